/** Elements on their way into a file: as text, until there is enough of it for a write; then as bytes, compressed where asked. */
import * as Effect from "effect/Effect"
import { FilesError } from "../../FilesError.ts"
import { type Compression, encodedAll } from "../../codec/Compression.ts"
import { Refusal } from "../TextFile.ts"
import type { Appender } from "./Appender.ts"

/** How elements stand in a file. */
export interface Printed<in A> {
  /** The text of an element, or why it has none. */
  readonly print: (element: A) => string | Refusal
  /** Behind each element. */
  readonly end: string
  /** Before each element but the first. Where there is one, nothing can be added behind what somebody else wrote. */
  readonly between?: string | undefined
  /** At the start of an empty file. */
  readonly header?: string | undefined
  /** At the end of a file that is complete; cut off where it is written on. */
  readonly footer?: string | undefined
}

/** Encoded and written at a time: a batch may be larger than any string can be. */
const pieceSize = 1024 * 1024

export class Press<in A> {
  private readonly name: string
  private readonly format: Printed<A>
  private readonly compression: Compression | undefined
  private text: Array<string> = []
  private held = 0
  private rows = 0

  constructor(name: string, format: Printed<A>, compression: Compression | undefined) {
    this.name = name
    this.format = format
    this.compression = compression
  }

  /** What comes next is written there, behind so many elements. */
  begin(end: Appender, rows: number): void {
    const { between, header = "" } = this.format
    const { length } = end.mark
    // What somebody else wrote may lack its last newline; the first element must not become part of that line.
    const isCut = between === undefined && this.compression === undefined && !end.isAtLine
    this.text = [length === 0 ? header : isCut ? "\n" : ""]
    this.held = 0
    this.rows = rows
  }

  /** Whether there is enough for a write, or why the element cannot be written. */
  add(element: A): boolean | Refusal {
    const { between, end, print } = this.format
    const text = print(element)
    if (text instanceof Refusal) return text
    if (between !== undefined && this.rows > 0) this.text.push(between)
    this.text.push(text, end)
    this.held += text.length + end.length
    this.rows += 1
    return this.held >= pieceSize
  }

  /** How much is held, in characters. */
  get size(): number {
    return this.held
  }

  get count(): number {
    return this.rows
  }

  /** Writes what was added. */
  flush(end: Appender, durable: boolean): Effect.Effect<void, FilesError> {
    return Effect.flatMap(this.take(this.held > 0), (bytes) =>
      bytes.length > 0 || durable ? end.append(bytes, durable) : Effect.void
    )
  }

  /** Writes what belongs at the start of a file, where there are no elements. */
  head(end: Appender): Effect.Effect<void, FilesError> {
    return Effect.flatMap(this.take(end.mark.length === 0 && this.format.header !== undefined), (bytes) =>
      bytes.length > 0 ? end.append(bytes, this.format.footer === undefined) : Effect.void
    )
  }

  /** Writes what belongs at the end of a file. */
  foot(end: Appender): Effect.Effect<void, FilesError> {
    const { footer } = this.format
    if (footer === undefined) return Effect.void
    this.text = [footer]
    return Effect.flatMap(this.take(true), (bytes) => end.append(bytes, true))
  }

  private take(any: boolean): Effect.Effect<Uint8Array, FilesError> {
    const bytes = new TextEncoder().encode(any ? this.text.join("") : "")
    if (any) this.text = []
    this.held = 0
    if (this.compression === undefined || bytes.length === 0) return Effect.succeed(bytes)
    return Effect.mapError(
      encodedAll(this.compression, bytes),
      ({ detail }) => new FilesError({ kind: "Other", tried: "compress", path: this.name, reason: detail, fix: "" })
    )
  }
}
