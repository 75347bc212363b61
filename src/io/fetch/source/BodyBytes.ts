/** The bytes of a body behind a place, once it is sure that what comes before is what was read before. */
import * as Effect from "effect/Effect"
import type * as HttpClient from "effect/http/HttpClient"
import { Checksum } from "../../../concurrency/base/Checksum.ts"
import type { FetchError } from "../../FetchError.ts"
import { carriageReturn, newline } from "../../files/format/LineCutter.ts"
import type { Options } from "../call/FetchCall.ts"
import { Reading } from "../download/Reading.ts"
import type { Opened, Rest } from "../download/Rest.ts"
import { Trail } from "./Trail.ts"

/** A place in a body, with what the body is known by up to there. */
export type BodyPosition = {
  /** How many bytes of the body come before it, undone of any content coding. */
  readonly at: number
  /** A checksum of those. */
  readonly sum: string
  /** With which the rest can be asked for; null where all has to be read again. */
  readonly validator: string | null
}

export class BodyBytes {
  readonly trail: Trail
  /** The byte before the first one that is given; undefined at the start of the body. */
  before: number | undefined
  private readonly reading: Reading
  /** Came, and was not taken yet. */
  private left: Uint8Array | undefined
  /** What is read once more, and how far that is: from the start of the body up to what was read before. */
  private again: { readonly sum: Checksum; at: number } | undefined

  constructor(rest: Rest, options: Options, start: BodyPosition | undefined) {
    this.reading = new Reading(rest, options, start?.at ?? 0, start?.validator ?? undefined)
    this.trail = new Trail(start?.at ?? 0, start?.sum)
    // What was read ends with an element; one that has no line break is the last, and nothing follows while nothing has changed.
    this.before = start === undefined ? undefined : newline
  }

  /** Waits for the first bytes that were not read before, or the end. Fails with reason `Changed` where others come before them. */
  begin(): Effect.Effect<void, FetchError, HttpClient.HttpClient> {
    return Effect.suspend(() => {
      if (this.left !== undefined) return Effect.void
      return Effect.flatMap(this.reading.next, (piece) => {
        if (piece === undefined) return this.end
        const charset = charsetOf(this.reading.opened!)
        if (!isUtf8(charset)) {
          return this.error("Decode", `its content type says charset=${charset}, and it is read as UTF-8`)
        }
        const fresh = this.fresh(piece.at, piece.bytes)
        if (fresh === undefined)
          return this.differs(`its first ${this.trail.end} bytes, which were read, are not what they were`)
        if (fresh.length === 0) return this.begin()
        this.trail.add(fresh)
        this.left = fresh
        return Effect.void
      })
    })
  }

  /** Whether what follows belongs to an element that was read as a whole. */
  get goesOn(): boolean {
    const { before, left } = this
    const isClosed = before === undefined || before === newline || before === carriageReturn
    return !isClosed && left !== undefined && left[0] !== newline && left[0] !== carriageReturn
  }

  read(into: Uint8Array): Effect.Effect<number, FetchError, HttpClient.HttpClient> {
    return Effect.suspend(() => {
      const { left } = this
      if (left === undefined)
        return Effect.flatMap(this.begin(), () => (this.left === undefined ? Effect.succeed(0) : this.read(into)))
      const taken = left.subarray(0, into.length)
      into.set(taken)
      this.left = taken.length < left.length ? left.subarray(taken.length) : undefined
      return Effect.succeed(taken.length)
    })
  }

  get validator(): string | null {
    return this.reading.validator ?? null
  }

  get close(): Effect.Effect<void> {
    return this.reading.close
  }

  /** Something is wrong with what was read. Nothing is read before there is an answer. */
  error(reason: "Changed" | "Decode", detail: string): Effect.Effect<never, FetchError> {
    return Effect.fail(this.reading.opened!.answer.error(reason, detail))
  }

  differs(detail: string): Effect.Effect<never, FetchError> {
    return this.error("Changed", detail)
  }

  private get end(): Effect.Effect<void, FetchError> {
    return this.reading.at < this.trail.end
      ? this.differs(`${this.trail.end} bytes of it were read, and it has ${this.reading.at} now`)
      : Effect.void
  }

  /** What of a piece was not read before; undefined where what was read before is another thing now. */
  private fresh(at: number, bytes: Uint8Array): Uint8Array | undefined {
    const { end } = this.trail
    if (at === end) return bytes
    if (at === 0 || this.again === undefined) this.again = { sum: new Checksum(), at: 0 }
    const known = bytes.subarray(0, end - at)
    this.again.sum.addBytes(known)
    this.again.at += known.length
    if (at + known.length < end) return known.subarray(known.length)
    this.before = known.at(-1)
    const isSame = this.again.sum.text === this.trail.whole
    this.again = undefined
    return isSame ? bytes.subarray(known.length) : undefined
  }
}

const charsetOf = ({ answer }: Opened): string | undefined =>
  /;\s*charset\s*=\s*"?([^\s";]+)/i.exec(answer.response.headers["content-type"] ?? "")?.[1]

/** What another charset makes of bytes that are UTF-8 as well, as UTF-16 of ASCII is, would pass for what was meant. */
const isUtf8 = (charset: string | undefined): boolean =>
  charset === undefined || /^(utf-?8|(us-)?ascii|unicode-1-1-utf-8)$/i.test(charset)
