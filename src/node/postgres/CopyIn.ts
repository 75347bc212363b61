/** The client's side of `COPY … FROM STDIN`: chunks are pulled as the socket takes them. */
import type { SqlError } from "effect/sql/SqlError"
import type { First } from "../../io/db/CopyConnection.ts"
import type { Exchange, Field, Wire } from "./Pg.ts"
import * as Values from "./Values.ts"

export class CopyIn implements Exchange {
  private readonly sql: string
  private readonly chunks: Iterator<Uint8Array>
  private readonly done: (error: Error | undefined, count: number) => void
  private readonly check: First["check"] | undefined
  private read: Values.Read<unknown> | undefined
  private readonly rows: Array<unknown> = []
  private wire: Wire | undefined
  private state: "asked" | "sending" | "sent" | "over" = "asked"
  private isAborted = false
  private count = 0
  /** What the chunks threw. */
  thrown: { readonly error: unknown } | undefined
  /** What the check said. */
  refused: SqlError | undefined

  constructor(
    statements: ReadonlyArray<string>,
    chunks: Iterable<Uint8Array>,
    first: First | undefined,
    done: (error: Error | undefined, count: number) => void
  ) {
    this.sql = statements.toSpliced(-1, 0, ...(first === undefined ? [] : [first.sql])).join("; ")
    this.chunks = chunks[Symbol.iterator]()
    this.check = first?.check
    this.done = done
  }

  submit(wire: Wire): void {
    this.wire = wire
    wire.query(this.sql)
  }

  handleCopyInResponse(wire: Wire): void {
    if (this.state !== "asked") return
    this.state = "sending"
    this.refused = this.check?.(this.rows)
    if (this.isAborted) this.fail(wire, "interrupted")
    else if (this.refused !== undefined) this.fail(wire, "refused")
    else this.send()
  }

  private readonly send = (): void => {
    if (this.state !== "sending") return
    const wire = this.wire!
    const { stream } = wire
    let next: IteratorResult<Uint8Array>
    try {
      next = this.chunks.next()
    } catch (error) {
      this.thrown = { error }
      return this.fail(wire, "the rows could not be written")
    }
    if (next.done === true) {
      this.state = "sent"
      stream.write(copyDone)
      return
    }
    const head = Buffer.allocUnsafe(5)
    head[0] = 0x64
    head.writeInt32BE(next.value.length + 4, 1)
    stream.cork()
    stream.write(head)
    stream.write(next.value, this.goOn)
    stream.uncork()
  }

  /** A socket may take all there is; others have their turn, and the server's refusal of a row is heard. */
  private readonly goOn = (): void => void setImmediate(this.send)

  /** The server answers with an error, and the connection stays in step. */
  private fail(wire: Wire, reason: string): void {
    this.state = "sent"
    wire.sendCopyFail(reason)
    this.closeChunks()
  }

  /** Ends it as failed; where all was sent, or the server has not asked for rows yet, `false`: it is to be cancelled. */
  abort(): boolean {
    this.isAborted = true
    if (this.state !== "sending") return false
    this.fail(this.wire!, "interrupted")
    return true
  }

  private settle(error: Error | undefined): void {
    if (this.state === "over") return
    const isUnread = this.state === "asked" || this.state === "sending"
    this.state = "over"
    if (isUnread) this.closeChunks()
    this.done(error, this.count)
  }

  /** A generator has its `finally`. */
  private closeChunks(): void {
    try {
      if (this.thrown === undefined) this.chunks.return?.()
    } catch (error) {
      this.thrown = { error }
    }
  }

  callback(): void {}

  handleCommandComplete(message: { readonly text: string }): void {
    this.count = Number(/^COPY (\d+)/.exec(message.text)?.[1] ?? 0)
  }

  handleError(error: Error): void {
    this.settle(error)
  }

  handleReadyForQuery(): void {
    this.settle(undefined)
  }

  handleRowDescription(message: { readonly fields: ReadonlyArray<Field> }): void {
    this.read = Values.readRow(message.fields)
  }

  handleDataRow(message: { readonly fields: ReadonlyArray<string | null> }): void {
    if (this.check !== undefined && this.read !== undefined) this.rows.push(this.read(message.fields))
  }

  handleEmptyQuery(): void {}
  handlePortalSuspended(): void {}
  handleCopyData(): void {}
}

const copyDone = Uint8Array.of(0x63, 0, 0, 0, 4)
