/**
 * Cuts text into lines with the byte position behind each. Newlines are found in the decoded text of a piece, where
 * searching is fastest; a piece of plain ASCII has its byte positions in the same places, any other has its newlines found
 * a second time, in the bytes.
 */
import { Columns } from "../../../pipeline/context/Portion.ts"
import { type Cutter, type Problem, Refusal, type Start } from "../Format.ts"

export interface LineOptions {
  /** Leave out lines of nothing but white space. */
  readonly skipBlank: boolean
  /** The longest line that is accepted, in bytes. */
  readonly maxLine: number
}

/** What becomes of a line. */
export type Parse<A> = (line: string) => A | Refusal

export const newline = 10
export const carriageReturn = 13

/** Read at a time. */
export const blockSize = 1024 * 1024
/**
 * Converted at a time: between two of these pieces, others run and a cancel is seen. The text of one that is larger than 128 kB has memory
 * of its own, and to map that takes thirty times as long as to decode it.
 */
export const pieceSize = 64 * 1024

export class LineCutter<A> implements Cutter<A> {
  problem: Problem | undefined
  ended = false

  private readonly decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })
  private readonly parseIn: (text: string) => Parse<A>
  private parse: Parse<A> | undefined
  private readonly options: LineOptions
  private buffer = new Uint8Array(blockSize)
  /** Of the bytes in the buffer: how many there are, and where the first of them stands in the file. */
  private filled = 0
  private base: number
  /** Some complete lines, as text and in bytes, and how far they were given. */
  private text = ""
  private textAt = 0
  private bytesAt = 0
  private bytesEnd = 0
  /** Where the last of the complete lines in the buffer ends. */
  private complete = 0
  /** The line before had no end when it was read. */
  private isOpen: boolean

  /** `parseIn` is given all lines of a piece, to see at once what would have to be looked for in each of them. */
  constructor({ at, before }: Start, parseIn: (text: string) => Parse<A>, options: LineOptions) {
    this.base = at
    this.isOpen = before !== undefined && before !== newline
    this.parseIn = parseIn
    this.options = options
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
    if (count === 0) this.ended = true
    const known = this.isOpen ? 0 : this.filled
    this.filled += count
    if (this.isOpen && !this.closeLine()) return
    const last = this.buffer.subarray(known, this.filled).lastIndexOf(newline)
    const complete = last < 0 ? 0 : known + last + 1
    this.complete = this.ended ? this.filled : complete
    if (complete === 0 && this.filled > this.options.maxLine) this.refuse(tooLong(this.options.maxLine))
  }

  next(): Columns<A> {
    const portion = new Columns<A>()
    // One of nothing but blank lines gives nothing, and the end is not there yet.
    while (portion.values.length === 0 && this.open()) this.give(portion)
    return portion
  }

  private give(portion: Columns<A>): void {
    const { base, buffer, bytesEnd, text } = this
    const { maxLine, skipBlank } = this.options
    const parse = (this.parse ??= this.parseIn(text))
    let textAt = this.textAt
    let bytesAt = this.bytesAt
    let problem: Refusal | undefined
    while (textAt < text.length) {
      const found = text.indexOf("\n", textAt)
      const end = found < 0 ? text.length : found
      // A character is a byte or more: if there is a newline as many bytes ahead, it is the one, and all were ASCII.
      const near = bytesAt + end - textAt
      const bytesEnds = found < 0 ? bytesEnd : buffer[near] === newline ? near : buffer.indexOf(newline, near + 1)
      if (bytesEnds - bytesAt > maxLine) {
        problem = tooLong(maxLine)
        break
      }
      const start = bytesAt === 0 && base === 0 && text.charCodeAt(0) === byteOrderMark ? 1 : textAt
      const stop = end > start && text.charCodeAt(end - 1) === carriageReturn ? end - 1 : end
      const next = found < 0 ? bytesEnd : bytesEnds + 1
      if (!skipBlank || !isBlank(text, start, stop)) {
        const value = parse(text.slice(start, stop))
        if (value instanceof Refusal) {
          problem = value
          break
        }
        portion.add(value, base + next, next - bytesAt)
      }
      textAt = end + 1
      bytesAt = next
    }
    this.textAt = textAt
    this.bytesAt = bytesAt
    if (problem !== undefined) this.refuse(problem)
  }

  /** Takes the end of the line before, which must be all that is left of it; gives whether lines follow. */
  private closeLine(): boolean {
    const { buffer, filled } = this
    if (filled === 0 || (filled === 1 && buffer[0] === carriageReturn && !this.ended)) return false
    this.isOpen = false
    const length =
      buffer[0] === newline ? 1 : filled > 1 && buffer[0] === carriageReturn && buffer[1] === newline ? 2 : 0
    if (length === 0) {
      this.refuse(goesOn)
      return false
    }
    buffer.copyWithin(0, length, filled)
    this.base += length
    this.filled -= length
    return true
  }

  /** Makes what follows the text to give lines of, where that has been given; says whether there are any. */
  private open(): boolean {
    if (this.textAt < this.text.length) return true
    if (this.bytesAt >= this.complete) return false
    this.openUpTo(this.pieceEnd())
    return this.text.length > 0
  }

  /** Behind the last line that ends within a piece; behind the first one where that is longer. */
  private pieceEnd(): number {
    const { buffer, bytesAt, complete } = this
    const end = bytesAt + pieceSize
    if (end >= complete) return complete
    const last = buffer.lastIndexOf(newline, end - 1)
    const found = last < bytesAt ? buffer.indexOf(newline, end) : last
    return found < 0 || found >= complete ? complete : found + 1
  }

  private openUpTo(end: number): void {
    this.textAt = 0
    this.bytesEnd = end
    this.parse = undefined
    try {
      this.text = this.decoder.decode(this.buffer.subarray(this.bytesAt, end))
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

  private refuse(refusal: Refusal): void {
    this.problem = { refusal, offset: this.base + this.bytesAt }
    this.text = ""
    this.textAt = 0
    this.complete = this.bytesAt
  }
}

const tooLong = (maxLine: number): Refusal =>
  new Refusal(
    `it is longer than ${maxLine} bytes, the limit of \`maxLine\``,
    "Raise the limit, or look whether this is a file of lines at all."
  )

const goesOn = new Refusal(
  "what comes before it was read as the last line, without an end, and that line goes on now",
  "Let nothing add to a file in the middle of a line, or start again from its beginning."
)

const byteOrderMark = 0xfeff

/** Looks at the first character first: few lines begin with a space, and all others are decided by it. */
const isBlank = (text: string, start: number, end: number): boolean => {
  if (start === end) return true
  const first = text.charCodeAt(start)
  return (first <= 32 || (first >= 0x85 && spaces.test(text.charAt(start)))) && spaces.test(text.slice(start, end))
}

const spaces = /^\p{White_Space}+$/u
