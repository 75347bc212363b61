/**
 * Reads the lines of a file with the byte position behind each. Newlines are found in the decoded text of a whole
 * block, where searching is fastest; a block of plain ASCII has its byte positions in the same places, any other has
 * its newlines found a second time, in the bytes.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Stream from "effect/Stream"
import type { Element } from "../../pipeline/Source.ts"
import { FilesError, fromPlatform } from "../FilesError.ts"
import { aroundOf, carriageReturn, checkEnd, newline, openToRead, readAt, Refusal } from "./TextFile.ts"

export interface ReadOptions {
  readonly skipBlank: boolean
  readonly maxLine: number
}

/** The elements behind byte `after`, which must be the start of a line. */
export const read = <A>(
  path: string,
  after: number,
  parse: (line: string) => A | Refusal,
  options: ReadOptions
): Stream.Stream<Element<A, number>, FilesError, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const opened = yield* openToRead(path)
    const { file, size } = opened
    const fs = yield* FileSystem.FileSystem
    if (after > size) return yield* shorter(path, after, size)
    const start = after + (yield* lineEndAt(file, path, after))
    yield* Effect.orDie(file.seek(BigInt(start), "start"))
    const lines = new Splitter(start, parse, options)
    const pull: Effect.Effect<Chunk<A>, FilesError | Cause.Done> = Effect.suspend(() => {
      const elements = lines.next()
      if (isNonEmpty(elements)) return Effect.succeed(elements)
      if (lines.problem !== undefined) return badLine(file, path, lines.problem)
      if (lines.ended) return Cause.done()
      return more
    })
    const more = Effect.suspend(() => file.read(lines.space())).pipe(
      Effect.mapError(fromPlatform("read", path)),
      Effect.flatMap((count) => {
        if (count === 0) return end
        lines.add(count)
        return pull
      })
    )
    // Before the last line is given, which may be half of one where the file was cut.
    const end = Effect.suspend(() => checkEnd(path, opened, lines.end)).pipe(
      Effect.provideService(FileSystem.FileSystem, fs),
      Effect.andThen(
        Effect.suspend(() => {
          lines.add(0)
          return pull
        })
      )
    )
    return Stream.fromPull(Effect.succeed(pull))
  }).pipe(Stream.unwrap)

/** How long the end of a line is that was read before it had one. */
const lineEndAt = (file: FileSystem.File, path: string, after: number): Effect.Effect<number, FilesError> =>
  Effect.map(aroundOf(file, path, after), ([before, next, second]) =>
    before === newline || after === 0 ? 0 : next === newline ? 1 : next === carriageReturn && second === newline ? 2 : 0
  )

type Chunk<A> = readonly [Element<A, number>, ...Array<Element<A, number>>]

const isNonEmpty = <A>(elements: ReadonlyArray<Element<A, number>>): elements is Chunk<A> => elements.length > 0

/** Read at a time. */
const blockSize = 1024 * 1024
/** Converted at a time: between two of these pieces, others run and a cancel is seen. */
const pieceSize = 64 * 1024

interface Problem {
  readonly offset: number
  readonly refusal: Refusal
}

/** From bytes to elements. It does no I/O: it says where bytes should go, is told how many came, and gives elements. */
class Splitter<A> {
  /** What the next line was refused for, once all lines before it have been given. */
  problem: Problem | undefined
  ended = false

  private readonly decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })
  private readonly parse: (line: string) => A | Refusal
  private readonly options: ReadOptions
  private buffer = new Uint8Array(blockSize)
  /** Of the bytes in the buffer: how many there are, and where the first of them stands in the file. */
  private filled = 0
  private base: number
  /** The complete lines at the start of the buffer, as text and in bytes, and how far they were given. */
  private text = ""
  private textAt = 0
  private bytesAt = 0
  private bytesEnd = 0

  constructor(base: number, parse: (line: string) => A | Refusal, options: ReadOptions) {
    this.base = base
    this.parse = parse
    this.options = options
  }

  /** Where to put the bytes that follow. */
  space(): Uint8Array {
    if (this.bytesAt > 0) {
      this.buffer.copyWithin(0, this.bytesAt, this.filled)
      this.base += this.bytesAt
      this.filled -= this.bytesAt
      this.bytesAt = this.bytesEnd = 0
    }
    if (this.filled === this.buffer.length) {
      const larger = new Uint8Array(this.buffer.length * 2)
      larger.set(this.buffer)
      this.buffer = larger
    }
    return this.buffer.subarray(this.filled)
  }

  /** Behind the last byte that was taken. */
  get end(): number {
    return this.base + this.filled
  }

  /** Takes `count` bytes that were put into `space()`; none means the end of the file. */
  add(count: number): void {
    const last = this.buffer.subarray(this.filled, this.filled + count).lastIndexOf(newline)
    const complete = last < 0 ? 0 : this.filled + last + 1
    this.filled += count
    if (count === 0) this.ended = true
    this.open(count === 0 ? this.filled : complete)
    if (complete === 0 && this.filled > this.options.maxLine) this.refuse(tooLong(this.options.maxLine))
  }

  /** The next elements; none when more bytes are needed, at a problem and at the end. */
  next(): ReadonlyArray<Element<A, number>> {
    const elements: Array<Element<A, number>> = []
    const { base, buffer, bytesEnd, parse, text } = this
    const { maxLine, skipBlank } = this.options
    const pieceEnd = Math.min(text.length, this.textAt + pieceSize)
    let textAt = this.textAt
    let bytesAt = this.bytesAt
    let problem: Refusal | undefined
    while (textAt < pieceEnd || (elements.length === 0 && textAt < text.length)) {
      const found = text.indexOf("\n", textAt)
      const end = found < 0 ? text.length : found
      // A character is a byte or more: if there is a newline as many bytes ahead, it is the one, and all were ASCII.
      const near = bytesAt + end - textAt
      const bytesEnds = found < 0 ? bytesEnd : buffer[near] === newline ? near : buffer.indexOf(newline, near + 1)
      if (bytesEnds - bytesAt > maxLine) {
        problem = tooLong(maxLine)
        break
      }
      const start = textAt === 0 && base === 0 && text.charCodeAt(0) === byteOrderMark ? 1 : textAt
      const line = text.slice(start, end > start && text.charCodeAt(end - 1) === carriageReturn ? end - 1 : end)
      const next = found < 0 ? bytesEnd : bytesEnds + 1
      if (!skipBlank || !isBlank(line)) {
        const value = parse(line)
        if (value instanceof Refusal) {
          problem = value
          break
        }
        elements.push({ value, position: base + next, bytes: next - bytesAt })
      }
      textAt = end + 1
      bytesAt = next
    }
    this.textAt = textAt
    this.bytesAt = bytesAt
    if (problem !== undefined) this.refuse(problem)
    return elements
  }

  /** Makes the first `end` bytes of the buffer the text to give lines of. */
  private open(end: number): void {
    this.textAt = 0
    this.bytesEnd = end
    try {
      this.text = this.decoder.decode(this.buffer.subarray(0, end))
    } catch {
      this.openUpToBadLine(end)
    }
  }

  private openUpToBadLine(end: number): void {
    let start = 0
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
    this.open(start)
  }

  private refuse(refusal: Refusal): void {
    this.problem = { refusal, offset: this.base + this.bytesAt }
    this.text = this.text.slice(0, this.textAt)
  }
}

const tooLong = (maxLine: number): Refusal =>
  new Refusal(
    `it is longer than ${maxLine} bytes, the limit of \`maxLine\``,
    "Raise the limit, or look whether this is a file of lines at all."
  )

const byteOrderMark = 0xfeff

/** Looks at the first character first: few lines begin with a space, and all others are decided by it. */
const isBlank = (line: string): boolean => line === "" || (line.charCodeAt(0) <= 32 && line.trim() === "")

/** Lines are counted only here, where somebody wants to know. */
const badLine = (file: FileSystem.File, path: string, { offset, refusal }: Problem): Effect.Effect<never, FilesError> =>
  Effect.gen(function* () {
    const buffer = new Uint8Array(blockSize)
    let line = 1
    for (let position = 0; position < offset; position += buffer.length) {
      const wanted = buffer.subarray(0, Math.min(buffer.length, offset - position))
      const count = yield* readAt(file, path, wanted, position)
      for (let at = wanted.indexOf(newline); at >= 0 && at < count; at = wanted.indexOf(newline, at + 1)) line += 1
    }
    return yield* new FilesError({
      kind: "BadLine",
      tried: "read",
      path,
      reason: refusal.reason,
      fix: refusal.fix,
      line,
      offset,
      ...(refusal.field !== undefined && { field: refusal.field })
    })
  })

const shorter = (path: string, after: number, size: number): FilesError =>
  new FilesError({
    kind: "CommittedLost",
    tried: "resume reading",
    path,
    reason: `${after} bytes of it were read before, and now it has ${size}`,
    fix: "Put the file back as it was, or start again from its beginning."
  })
