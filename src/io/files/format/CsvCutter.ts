/**
 * From bytes to records of RFC 4180, each with the byte position behind it. Whoever looks for the end of a record looks only for
 * line ends and quotes, by `indexOf` in the decoded text of a piece: most records have no quote, and are cut at a glance.
 */
import { Columns } from "../../../pipeline/context/Portion.ts"
import { type Cutter, type Problem, Refusal, type Start } from "../Format.ts"
import { blockSize, carriageReturn, newline, pieceSize } from "./LineCutter.ts"

/** A field that is quoted and empty, where others are the text itself: it may mean another thing than an empty one. */
export const quotedEmpty: unique symbol = Symbol("quoted and empty")
export type Cell = string | typeof quotedEmpty

/** What becomes of records. */
export interface Records<A> {
  /** Whether a record without a character is one, with one empty field, as it is where there is one column. */
  readonly blanks: boolean
  /** Takes the fields of the first record, if that has the names of the columns; gives what is wrong with it; `end` is behind it. */
  readonly header: ((cells: ReadonlyArray<Cell>, end: number) => Refusal | undefined) | undefined
  /** The cells are valid until the next call. */
  readonly parse: (cells: ReadonlyArray<Cell>) => A | Refusal
}

export interface CutOptions {
  readonly delimiter: string
  readonly quote: string | undefined
  /** Of a record, in bytes. */
  readonly maxLine: number
}

const none = Number.MAX_SAFE_INTEGER

export class CsvCutter<A> implements Cutter<A> {
  problem: Problem | undefined
  ended = false

  private readonly decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })
  private readonly records: Records<A>
  private readonly delimiter: string
  private readonly quote: string | undefined
  private readonly maxLine: number
  private buffer = new Uint8Array(blockSize)
  /** Of the bytes in the buffer: how many there are, and where the first of them stands in the file. */
  private filled = 0
  private base: number
  /** Some complete lines, as text and in bytes, and how far they were given. */
  private text = ""
  private textAt = 0
  private bytesAt = 0
  private bytesEnd = 0
  private isAscii = true
  /** Where the last of the complete lines in the buffer ends. */
  private complete = 0
  /** How much is converted at a time, in bytes: more where a record is longer. */
  private piece = pieceSize
  /** A record that is not complete is looked at again only when there is half as much again of it. */
  private enough = 0
  /** Where in the text the next of each stands, at or behind the place that is looked at. */
  private nextFeed = -1
  private nextReturn = -1
  private nextQuote = -1
  private cells: Array<Cell> = []
  private header: Records<A>["header"]
  /** The record before had no end when it was read, or one that may be half of it. */
  private isOpen: boolean
  private readonly before: number | undefined

  constructor({ at, before }: Pick<Start, "at" | "before">, records: Records<A>, options: CutOptions) {
    this.base = at
    this.before = before
    this.isOpen = before !== undefined && before !== newline
    this.records = records
    this.header = records.header
    this.delimiter = options.delimiter
    this.quote = options.quote
    this.maxLine = options.maxLine
  }

  space(): Uint8Array {
    if (this.bytesAt > 0) {
      this.buffer.copyWithin(0, this.bytesAt, this.filled)
      this.base += this.bytesAt
      this.filled -= this.bytesAt
      this.bytesAt = this.bytesEnd = this.complete = 0
    }
    if (this.filled === this.buffer.length) {
      const larger = new Uint8Array(this.buffer.length * 2)
      larger.set(this.buffer)
      this.buffer = larger
    }
    return this.buffer.subarray(this.filled)
  }

  get end(): number {
    return this.base + this.filled
  }

  add(count: number): void {
    this.filled += count
    if (count === 0) this.ended = true
    if (this.isOpen && !this.closeRecord()) return
    if (!this.ended && this.filled < this.enough) return
    this.complete = this.ended ? this.filled : this.linesEnd(0, this.filled)
    if (this.complete > 0) this.enough = 0
    else if (this.filled > this.maxLine) this.refuse(this.bytesAt, this.tooLong())
  }

  /** Takes the end of the record before, which must be all that is left of it; gives whether records follow. */
  private closeRecord(): boolean {
    const { buffer, filled } = this
    if (filled === 0 || (filled === 1 && buffer[0] === carriageReturn && !this.ended)) return false
    this.isOpen = false
    const wasReturn = this.before === carriageReturn
    const isCrLf = !wasReturn && filled > 1 && buffer[0] === carriageReturn && buffer[1] === newline
    const length = isCrLf ? 2 : buffer[0] === newline || (!wasReturn && buffer[0] === carriageReturn) ? 1 : 0
    if (length === 0 && !wasReturn) {
      this.refuse(0, goesOn)
      return false
    }
    buffer.copyWithin(0, length, filled)
    this.base += length
    this.filled -= length
    return true
  }

  /** Behind the last line end between two places that cannot be half of one; `from` where there is none. */
  private linesEnd(from: number, to: number): number {
    const { buffer } = this
    const feed = from + buffer.subarray(from, to).lastIndexOf(newline) + 1
    return to - feed < 2 ? feed : feed + buffer.subarray(feed, to - 1).lastIndexOf(carriageReturn) + 1
  }

  next(): Columns<A> {
    const portion = new Columns<A>()
    // One of nothing but blank lines gives nothing, and the end is not there yet.
    while (portion.values.length === 0 && this.open()) this.give(portion)
    return portion
  }

  private give(portion: Columns<A>): void {
    const { base, records, text } = this
    while (this.textAt < text.length) {
      const start = this.bytesAt === 0 && base === 0 && text.charCodeAt(0) === byteOrderMark ? 1 : this.textAt
      const end = this.cut(start)
      if (end instanceof Refusal) {
        this.refuse(this.bytesAt, end)
        break
      }
      if (end < 0) {
        if (this.bytesEnd < this.complete) this.widen()
        else if (this.ended && this.problem === undefined) this.refuse(this.bytesAt, unclosed)
        else this.incomplete()
        break
      }
      const isCrLf = text.charCodeAt(end) === carriageReturn && text.charCodeAt(end + 1) === newline
      const next = Math.min(text.length, end + (isCrLf ? 2 : 1))
      const bytesNext = this.bytesBehind(end, next)
      if (bytesNext - this.bytesAt > this.maxLine) {
        this.refuse(this.bytesAt, this.tooLong())
        break
      }
      if (end > start || records.blanks) {
        const refused = this.take(portion, base + bytesNext, bytesNext - this.bytesAt)
        if (refused !== undefined) {
          this.refuse(this.bytesAt, refused)
          break
        }
      }
      this.textAt = next
      this.bytesAt = bytesNext
      this.piece = pieceSize
    }
  }

  private take(portion: Columns<A>, position: number, bytes: number): Refusal | undefined {
    if (this.header !== undefined) {
      const { header } = this
      this.header = undefined
      return header(this.cells, position)
    }
    const value = this.records.parse(this.cells)
    if (value instanceof Refusal) return value
    portion.add(value, position, bytes)
    return undefined
  }

  /** Cuts the record at `start` into `cells`; gives where its last line end stands, less than 0 where it is not complete. */
  private cut(start: number): number | Refusal {
    const { delimiter, text } = this
    const end = this.lineEnd(start)
    const cells: Array<Cell> = []
    this.cells = cells
    if (this.quoteAt(start) > end) {
      let at = start
      for (let found = text.indexOf(delimiter, at); found >= 0 && found < end; found = text.indexOf(delimiter, at)) {
        cells.push(text.slice(at, found))
        at = found + 1
      }
      cells.push(text.slice(at, end))
      return end
    }
    return this.cutQuoted(start, cells)
  }

  private cutQuoted(start: number, cells: Array<Cell>): number | Refusal {
    const { delimiter, text } = this
    const quote = this.quote!
    for (let at = start; ;) {
      if (text[at] !== quote) {
        const end = this.lineEnd(at)
        const found = text.indexOf(delimiter, at)
        const stop = found >= 0 && found < end ? found : end
        cells.push(text.slice(at, stop))
        if (stop === end) return end
        at = stop + 1
        continue
      }
      let doubled = false
      let close = text.indexOf(quote, at + 1)
      while (close >= 0 && text[close + 1] === quote) {
        doubled = true
        close = text.indexOf(quote, close + 2)
      }
      if (close < 0) return -1
      const value = text.slice(at + 1, close)
      cells.push(value === "" ? quotedEmpty : doubled ? value.replaceAll(quote + quote, quote) : value)
      const after = close + 1
      if (after === text.length) return this.ended ? after : -1
      if (text[after] === delimiter) at = after + 1
      else if (isLineEnd(text.charCodeAt(after))) return after
      else return behindQuote(cells.length - 1)
    }
  }

  /** Where the line ends that goes on at `from`: at the end of the text at the latest. */
  private lineEnd(from: number): number {
    if (this.nextFeed < from) this.nextFeed = found(this.text.indexOf("\n", from))
    if (this.nextReturn < from) this.nextReturn = found(this.text.indexOf("\r", from))
    return Math.min(this.nextFeed, this.nextReturn, this.text.length)
  }

  private quoteAt(from: number): number {
    if (this.quote === undefined) return none
    if (this.nextQuote < from) this.nextQuote = found(this.text.indexOf(this.quote, from))
    return this.nextQuote
  }

  /** Which byte `next` is, behind a record that ends at `end`. */
  private bytesBehind(end: number, next: number): number {
    const { buffer, bytesAt, text, textAt } = this
    if (this.isAscii) return bytesAt + next - textAt
    if (next === text.length) return this.bytesEnd
    // A character is a byte or more: if there is the first line end as many bytes ahead, it is the one, and all were ASCII.
    const near = bytesAt + end - textAt
    if (this.isOneLine(end)) {
      const code = text.charCodeAt(end)
      return (buffer[near] === code ? near : buffer.indexOf(code, near + 1)) + next - end
    }
    return bytesAt + utf8Length(text, textAt, next)
  }

  private isOneLine(end: number): boolean {
    const { text, textAt } = this
    const code = text.charCodeAt(end) === newline ? "\n" : "\r"
    return text.indexOf(code, textAt) === end
  }

  /** Makes what follows the text to give records of, where that has been given; says whether there are any. */
  private open(): boolean {
    if (this.textAt < this.text.length) return true
    if (this.bytesAt >= this.complete) return false
    this.openUpTo(this.pieceEnd())
    return this.text.length > 0
  }

  private pieceEnd(): number {
    const { bytesAt, complete } = this
    for (; bytesAt + this.piece < complete; this.piece *= 2) {
      const end = this.linesEnd(bytesAt, bytesAt + this.piece)
      if (end > bytesAt) return end
    }
    return complete
  }

  /** The record that begins a piece goes on behind it. */
  private widen(): void {
    this.piece = 2 * Math.max(this.piece, this.bytesEnd - this.bytesAt)
    this.text = ""
    this.textAt = 0
  }

  private openUpTo(end: number): void {
    this.textAt = 0
    this.bytesEnd = end
    this.nextFeed = this.nextReturn = this.nextQuote = -1
    try {
      this.text = this.decoder.decode(this.buffer.subarray(this.bytesAt, end))
      this.isAscii = this.text.length === end - this.bytesAt
    } catch {
      this.openUpToBadLine(end)
    }
  }

  private openUpToBadLine(end: number): void {
    let start = this.bytesAt
    while (start < end) {
      const found = this.buffer.subarray(start, end).indexOf(newline)
      const next = found < 0 ? end : start + found + 1
      try {
        this.decoder.decode(this.buffer.subarray(start, next))
      } catch {
        break
      }
      start = next
    }
    const refusal = new Refusal("it is not valid UTF-8", "Convert the file, as in `iconv -f LATIN1 -t UTF-8`.")
    this.problem = { refusal, offset: this.base + start }
    this.complete = start
    this.openUpTo(start)
  }

  /** What follows is a part of a record: it is looked at again with what comes. */
  private incomplete(): void {
    const left = this.filled - this.bytesAt
    this.enough = left + (left >> 1)
    if (left > this.maxLine && this.problem === undefined) this.refuse(this.bytesAt, this.tooLong())
    this.stop()
  }

  private refuse(bytesAt: number, refusal: Refusal): void {
    this.problem = { refusal, offset: this.base + bytesAt }
    this.stop()
  }

  /** Gives nothing more of what is there. */
  private stop(): void {
    this.text = ""
    this.textAt = 0
    this.complete = this.bytesAt
  }

  private tooLong(): Refusal {
    return new Refusal(
      `its record is longer than ${this.maxLine} bytes, the limit of \`maxLine\``,
      "Look whether a quote is not closed there, or raise the limit."
    )
  }
}

const goesOn = new Refusal(
  "what comes before it was read as the last record, without an end, and that record goes on now",
  "Let nothing add to a file in the middle of a record, or start again from its beginning."
)

const found = (index: number): number => (index < 0 ? none : index)

const isLineEnd = (code: number): boolean => code === newline || code === carriageReturn

const byteOrderMark = 0xfeff

const fixQuotes = "A field with a quote in it has to be in quotes, and the quote in it doubled."

const behindQuote = (column: number): Refusal =>
  new Refusal(`field ${column + 1} goes on behind its closing quote`, fixQuotes)

const unclosed = new Refusal("a quote is opened in its record and not closed before the end of the file", fixQuotes)

/** How many bytes the characters from `start` to `end` are. */
const utf8Length = (text: string, start: number, end: number): number => {
  let length = end - start
  for (let i = start; i < end; i++) {
    const code = text.charCodeAt(i)
    // The halves of a pair are two bytes each.
    if (code > 0x7f) length += code > 0x7ff && (code < 0xd800 || code > 0xdfff) ? 2 : 1
  }
  return length
}
