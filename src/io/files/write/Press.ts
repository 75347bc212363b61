/** Elements on their way into a file: as text, until there is enough of it for a write; then as bytes, compressed where asked. */
import * as Effect from "effect/Effect"
import { type Compression, encodedAll } from "../../codec/Compression.ts"
import { FilesError } from "../../FilesError.ts"
import { type Format, type Layout, Refusal } from "../Format.ts"
import type { Appender } from "./Appender.ts"

/** What of a format says how elements stand in a file. */
export type Printed<A> = Pick<Format<A>, "print" | "layout">

/** Encoded and written at a time: a batch may be larger than any string can be. */
const pieceSize = 1024 * 1024

export class Press<A> {
  private readonly name: string
  private readonly print: Printed<A>["print"]
  private readonly header: string
  private readonly terminator: string
  private readonly separator: string
  private readonly footer: string
  private readonly compression: Compression | undefined
  private readonly encoder = new TextEncoder()
  private readonly lineEnd: Uint8Array
  private text: Array<string> = []
  /** What came before the text. */
  private pieces: Array<Uint8Array> = []
  private held = 0
  private rows = 0

  constructor(name: string, { layout, print }: Printed<A>, compression: Compression | undefined) {
    const { footer = "", header = "", separator = "", terminator = "" } = layout
    this.name = name
    this.print = print
    this.header = header
    this.terminator = terminator
    this.separator = separator
    this.footer = footer
    this.compression = compression
    this.lineEnd = this.encoder.encode(terminator)
  }

  /** What comes next is written there, behind so many elements. */
  begin(end: Appender, rows: number): void {
    // What somebody else wrote may lack its last newline; the first element must not become part of that line.
    const isCut = this.compression === undefined && !end.endsIn(this.lineEnd)
    this.start(end.mark.length === 0, rows)
    if (isCut) this.text = [this.terminator]
  }

  /** What comes next is written to what is empty or is not, behind so many elements. */
  start(isEmpty: boolean, rows: number): void {
    this.text = isEmpty ? [this.header] : []
    this.pieces = []
    this.held = 0
    this.rows = rows
  }

  /** Whether there is enough for a write, or why the element cannot be written. */
  add(element: A): boolean | Refusal {
    const printed = this.print(element)
    return printed instanceof Refusal ? printed : this.addPrinted(printed)
  }

  addPrinted(printed: string | Uint8Array): boolean {
    const { separator, terminator } = this
    if (separator !== "" && this.rows > 0) this.text.push(separator)
    if (typeof printed === "string") this.text.push(printed, terminator)
    else {
      this.pieces.push(this.encoder.encode(this.text.join("")), printed)
      this.text = [terminator]
    }
    this.held += printed.length + terminator.length
    this.rows += 1
    return this.held >= pieceSize
  }

  /** How much is held, in characters or bytes. */
  get size(): number {
    return this.held
  }

  get count(): number {
    return this.rows
  }

  /** What was added, as it is written. */
  get printed(): Effect.Effect<Uint8Array, FilesError> {
    return this.take(this.held > 0)
  }

  /** Writes what was added. */
  flush(end: Appender, durable: boolean): Effect.Effect<void, FilesError> {
    return Effect.flatMap(this.take(this.held > 0 || this.pieces.length > 0), (bytes) =>
      bytes.length > 0 || durable ? end.append(bytes, durable) : Effect.void
    )
  }

  /** What belongs at the start, where there are no elements, and at the end. */
  get around(): Effect.Effect<Uint8Array, FilesError> {
    this.text.push(this.footer)
    return this.take(true)
  }

  /** Writes what belongs at the start of a file, where there are no elements. */
  head(end: Appender): Effect.Effect<void, FilesError> {
    if (end.mark.length > 0 || this.header === "") return Effect.void
    return Effect.flatMap(this.take(true), (bytes) => end.append(bytes, this.footer === ""))
  }

  /** Writes what belongs at the end of a file. */
  foot(end: Appender): Effect.Effect<void, FilesError> {
    if (this.footer === "") return Effect.void
    this.text = [this.footer]
    return Effect.flatMap(this.take(true), (bytes) => end.append(bytes, true))
  }

  private take(any: boolean): Effect.Effect<Uint8Array, FilesError> {
    if (!any) return Effect.succeed(nothing)
    const text = this.encoder.encode(this.text.join(""))
    const bytes = this.pieces.length === 0 ? text : joined([...this.pieces, text])
    this.text = []
    this.pieces = []
    this.held = 0
    if (this.compression === undefined || bytes.length === 0) return Effect.succeed(bytes)
    return Effect.mapError(
      encodedAll(this.compression, bytes),
      ({ detail }) => new FilesError({ kind: "Other", tried: "compress", path: this.name, reason: detail, fix: "" })
    )
  }
}

/** Whether elements can be added behind what somebody else wrote. */
export const isOpenEnded = ({ footer, separator }: Layout): boolean => footer === undefined && separator === undefined

const nothing = new Uint8Array()

const joined = (pieces: ReadonlyArray<Uint8Array>): Uint8Array => {
  const all = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const piece of pieces) {
    all.set(piece, at)
    at += piece.length
  }
  return all
}

export const badElement = (
  path: string,
  row: number,
  count: number,
  refusal: Refusal
): Effect.Effect<never, FilesError> =>
  Effect.fail(
    new FilesError({
      kind: "BadElement",
      tried: `write element ${row + 1} of a batch of ${count} to`,
      path,
      reason: refusal.reason,
      fix: refusal.fix,
      row,
      ...(refusal.field !== undefined && { field: refusal.field })
    })
  )
