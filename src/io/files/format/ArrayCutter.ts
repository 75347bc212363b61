/**
 * Cuts the text of a JSON array into that of its elements, with the byte position behind each. What is between brackets and
 * quotes is found here; whether it is JSON is decided by who parses it.
 */
import { Columns } from "../../../pipeline/context/Portion.ts"
import { type Cutter, type Problem, Refusal, type Start } from "../Format.ts"

/** What may come next, other than white space. */
type Next = "array" | "first" | "element" | "more" | "nothing"

/** Read at a time. */
const blockSize = 1024 * 1024
/** Converted at a time: between two of these pieces, others run and a cancel is seen. */
const pieceSize = 64 * 1024

const quote = 0x22
const comma = 0x2c
const backslash = 0x5c
const opening = 0x5b
const closing = 0x5d
const openingBrace = 0x7b
const closingBrace = 0x7d

export class ArrayCutter<A> implements Cutter<A> {
  problem: Problem | undefined
  ended = false
  /** Behind the last element: what follows may be written anew. */
  end: number

  private readonly decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })
  private readonly parse: (text: string) => A | Refusal
  private readonly maxElement: number
  private buffer = new Uint8Array(blockSize)
  private filled = 0
  /** Where the first byte of the buffer stands in the file. */
  private base: number
  private nextIs: Next
  /** Up to where the bytes were looked at, and where the element begins that is being looked at. */
  private at = 0
  private start = 0
  private isInside = false
  private depth = 0
  private inText = false
  private isEscaped = false

  constructor({ at }: Start, parse: (text: string) => A | Refusal, maxElement: number) {
    this.base = at
    this.end = at
    this.nextIs = at === 0 ? "array" : "more"
    this.parse = parse
    this.maxElement = maxElement
  }

  space(): Uint8Array {
    const from = this.isInside ? this.start : this.at
    if (from > 0) {
      this.buffer.copyWithin(0, from, this.filled)
      this.base += from
      this.filled -= from
      this.at -= from
      this.start = 0
    }
    if (this.filled === this.buffer.length) {
      const larger = new Uint8Array(this.buffer.length * 2)
      larger.set(this.buffer)
      this.buffer = larger
    }
    return this.buffer.subarray(this.filled)
  }

  add(count: number): void {
    this.filled += count
    if (count === 0) this.ended = true
  }

  next(): Columns<A> {
    const portion = new Columns<A>()
    const stop = this.at + pieceSize
    while (this.problem === undefined && (this.at < stop || portion.values.length === 0)) {
      if (!this.isInside && !this.skipToElement()) break
      const end = this.endOfElement()
      if (end === undefined) {
        if (this.ended) this.refuse("it ends in the middle of an element")
        else if (this.filled - this.start > this.maxElement) this.refuse(tooLong(this.maxElement))
        break
      }
      this.give(end, portion)
    }
    return portion
  }

  /** Takes what stands around elements; gives whether one begins. */
  private skipToElement(): boolean {
    const { buffer, filled } = this
    if (this.at === 0 && this.base === 0 && this.nextIs === "array") {
      if (filled < 3 && !this.ended) return false
      if (filled >= 3 && buffer[0] === 0xef && buffer[1] === 0xbb && buffer[2] === 0xbf) this.at = 3
    }
    for (; this.at < filled; this.at++) {
      const byte = buffer[this.at]!
      if (byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09) continue
      if (this.nextIs === "array") {
        if (byte !== opening) return this.refuse("it does not begin with `[`, as an array does")
        this.nextIs = "first"
      } else if (byte === closing && (this.nextIs === "first" || this.nextIs === "more")) {
        this.nextIs = "nothing"
      } else if (this.nextIs === "more") {
        if (byte !== comma) return this.refuse("there is no `,` or `]` behind an element")
        this.nextIs = "element"
      } else if (this.nextIs === "nothing") {
        return this.refuse("something follows behind the `]` of the array")
      } else if (byte === comma || byte === closing || byte === closingBrace) {
        return this.refuse("there is no element where one should be")
      } else {
        this.start = this.at
        this.depth = 0
        this.isInside = true
        return true
      }
    }
    if (this.ended && this.nextIs !== "nothing") {
      this.refuse(
        this.nextIs === "array"
          ? "it is empty: an array has `[` and `]` at least"
          : "it ends before the `]` of the array"
      )
    }
    return false
  }

  /** Undefined where more bytes are needed. */
  private endOfElement(): number | undefined {
    const { buffer, filled } = this
    while (this.at < filled) {
      if (this.inText) {
        if (!this.skipText()) return undefined
        if (this.depth === 0 && buffer[this.start] === quote) return this.at
        continue
      }
      const byte = buffer[this.at]!
      if (byte === quote) {
        this.inText = true
      } else if (byte === opening || byte === openingBrace) {
        this.depth += 1
      } else if (byte === closing || byte === closingBrace) {
        if (this.depth === 0) return this.at
        this.depth -= 1
        if (this.depth === 0) return ++this.at
      } else if (this.depth === 0 && (byte === comma || byte <= 0x20)) {
        return this.at
      }
      this.at += 1
    }
    return undefined
  }

  /** Goes behind the quote at the end of a text; gives whether it is there. */
  private skipText(): boolean {
    const { buffer, filled } = this
    for (; this.at < filled; this.at++) {
      const byte = buffer[this.at]
      if (this.isEscaped) this.isEscaped = false
      else if (byte === backslash) this.isEscaped = true
      else if (byte === quote) {
        this.at += 1
        this.inText = false
        return true
      }
    }
    return false
  }

  private give(end: number, portion: Columns<A>): void {
    const { base, start } = this
    if (end - start > this.maxElement) {
      this.refuse(tooLong(this.maxElement))
      return
    }
    let value: A | Refusal
    try {
      value = this.parse(this.decoder.decode(this.buffer.subarray(start, end)))
    } catch (error) {
      if (!(error instanceof TypeError)) throw error
      value = new Refusal("it is not valid UTF-8", "Give the `encoding` it is in, or correct it there.")
    }
    if (value instanceof Refusal) {
      this.problem = { refusal: value, offset: base + start }
      return
    }
    const position = base + end
    portion.add(value, position, position - this.end)
    this.end = position
    this.nextIs = "more"
    this.isInside = false
  }

  private refuse(reason: string): false {
    const offset = this.base + (this.isInside ? this.start : this.at)
    this.problem = { refusal: new Refusal(reason, fixArray), offset }
    return false
  }
}

const tooLong = (most: number): string => `an element is longer than ${most} bytes, the limit of \`maxLine\``

const fixArray = "Correct the file, or look whether it is one JSON array at all: `Files.jsonl` reads one value a line."
