/** Statements on the wire: one with its parameters, a script without, and the rows of a portal. */
import type { Exchange, Field, Wire } from "./Pg.ts"
import * as Values from "./Values.ts"

export interface Result {
  /** As PostgreSQL tells it: `INSERT 0 3`. */
  readonly command: string
  readonly rows: ReadonlyArray<unknown>
  readonly rowCount: number
  /** Whether a portal has more rows. */
  readonly more: boolean
}

export type Done = (error: Error | undefined, result: Result) => void

/** What is sent before it in the same message. */
export interface Before {
  /** Prepared statements that are no longer needed. */
  readonly close: ReadonlyArray<string>
  /** Milliseconds for `statement_timeout`, until the end of the transaction. */
  readonly timeout: { readonly millis: number; readonly isPrepared: boolean } | undefined
  /** Statements that begin or go on with a transaction. */
  readonly waiting: ReadonlyArray<string>
}

export interface Statement {
  readonly sql: string
  readonly values: ReadonlyArray<string | Buffer | null>
  /** That it is prepared under; "" for none. */
  readonly name: string
  readonly isPrepared: boolean
  readonly asArrays: boolean
  /** A portal that is left open, and gives no rows before it is asked for some. */
  readonly portal?: string | undefined
  /** Hears the id of the transaction, which is asked for behind the statement. */
  readonly onXid?: ((xid: string) => void) | undefined
}

const timeoutName = "skein_timeout"

/** Of the open transaction; NULL where it has written nothing. */
export const xidOf = "SELECT pg_catalog.pg_current_xact_id_if_assigned()::text AS xid"

abstract class Rows implements Exchange {
  private readonly done: Done
  private readonly asArrays: boolean
  private read: Values.Read<unknown> | undefined
  protected rows: Array<unknown> = []
  /** Answers to what was sent before the statement. */
  protected skip = 0
  private command = ""
  private more = false
  private failure: Error | undefined
  private over = false

  constructor(asArrays: boolean, done: Done, columns?: ReadonlyArray<Field>) {
    this.asArrays = asArrays
    this.done = done
    if (columns !== undefined) this.columns(columns)
  }

  abstract submit(wire: Wire): void

  callback(): void {}

  protected columns(fields: ReadonlyArray<Field>): void {
    this.read = this.asArrays ? Values.readValues(fields) : Values.readRow(fields)
  }

  handleRowDescription(message: { readonly fields: ReadonlyArray<Field> }): void {
    this.columns(message.fields)
  }

  handleDataRow(message: { readonly fields: ReadonlyArray<string | null> }): void {
    if (this.skip === 0 && this.read !== undefined) this.rows.push(this.read(message.fields))
  }

  handleCommandComplete(message: { readonly text: string }): void {
    if (this.skip > 0) this.skip--
    else this.command = message.text
  }

  handleEmptyQuery(): void {}

  handlePortalSuspended(): void {
    this.more = true
  }

  handleCopyInResponse(wire: Wire): void {
    wire.sendCopyFail("COPY needs copyIn")
  }

  handleCopyData(): void {
    this.failure ??= new Error("COPY … TO STDOUT is not supported. Use a SELECT")
  }

  handleError(error: Error): void {
    this.settle(error)
  }

  handleReadyForQuery(): void {
    this.settle(this.failure)
  }

  private settle(error: Error | undefined): void {
    if (this.over) return
    this.over = true
    const rowCount = Number(/ (\d+)$/.exec(this.command)?.[1] ?? this.rows.length)
    this.done(error, { command: this.command, rows: this.rows, rowCount, more: this.more })
  }
}

/** Several statements with `;` between them, without parameters; all of their rows. */
export class Script extends Rows {
  private readonly sql: string

  constructor(sql: string, done: Done, waiting: ReadonlyArray<string> = []) {
    super(false, done)
    this.sql = [...waiting, sql].join("; ")
  }

  submit(wire: Wire): void {
    wire.query(this.sql)
  }
}

/** One statement with its parameters. */
export class Query extends Rows {
  private readonly statement: Statement
  private readonly before: Before
  /** The statement itself, so that what comes is the answer to what was sent behind it. */
  private isRun = false
  private readonly onColumns: ((columns: ReadonlyArray<Field>) => void) | undefined

  constructor(statement: Statement, before: Before, done: Done, onColumns?: (columns: ReadonlyArray<Field>) => void) {
    super(statement.asArrays, done)
    this.statement = statement
    this.before = before
    this.onColumns = onColumns
  }

  override handleRowDescription(message: { readonly fields: ReadonlyArray<Field> }): void {
    super.handleRowDescription(message)
    this.onColumns?.(message.fields)
  }

  override handleDataRow(message: { readonly fields: ReadonlyArray<string | null> }): void {
    if (!this.isRun) return super.handleDataRow(message)
    const [xid] = message.fields
    if (xid !== null && xid !== undefined) this.statement.onXid?.(xid)
  }

  override handleCommandComplete(message: { readonly text: string }): void {
    if (this.isRun) return
    this.isRun = this.skip === 0
    super.handleCommandComplete(message)
  }

  override handleCopyInResponse(wire: Wire): void {
    super.handleCopyInResponse(wire)
    // That of the message itself is not heard while the server waits for rows.
    wire.sync()
  }

  submit(wire: Wire): void {
    const { name, onXid, portal = "", sql, values } = this.statement
    const { close, timeout, waiting } = this.before
    this.skip = waiting.length
    wire.stream.cork()
    for (const old of close) wire.close({ type: "S", name: old })
    // With no Sync between them, the server passes over all that follows where one of them fails.
    for (const text of waiting) run(wire, text)
    if (timeout !== undefined) {
      this.skip += 1
      if (!timeout.isPrepared) {
        wire.parse({ name: timeoutName, text: "SELECT set_config('statement_timeout', $1, true)" })
      }
      wire.bind({ portal: "", statement: timeoutName, values: [String(timeout.millis)] })
      wire.execute({ portal: "" })
    }
    if (!this.statement.isPrepared) wire.parse({ name, text: sql })
    wire.bind({ portal, statement: name, values })
    wire.describe({ type: "P", name: portal })
    if (portal === "") wire.execute({ portal })
    if (onXid !== undefined) run(wire, xidOf)
    wire.sync()
    wire.stream.uncork()
  }
}

const run = (wire: Wire, text: string): void => {
  wire.parse({ name: "", text })
  wire.bind({ portal: "", statement: "", values: [] })
  wire.execute({ portal: "" })
}

/** The next rows of a portal, which ends with the transaction it was opened in. */
export class Fetch extends Rows {
  private readonly portal: string
  private readonly count: number

  constructor(portal: string, count: number, columns: ReadonlyArray<Field>, done: Done) {
    super(false, done, columns)
    this.portal = portal
    this.count = count
  }

  submit(wire: Wire): void {
    wire.stream.cork()
    wire.execute({ portal: this.portal, rows: this.count })
    wire.sync()
    wire.stream.uncork()
  }
}

export class ClosePortal extends Rows {
  private readonly portal: string

  constructor(portal: string, done: Done) {
    super(false, done)
    this.portal = portal
  }

  submit(wire: Wire): void {
    wire.stream.cork()
    wire.close({ type: "P", name: this.portal })
    wire.sync()
    wire.stream.uncork()
  }
}
