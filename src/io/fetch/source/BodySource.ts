/** The elements of a body as a source: gone on with at a byte, where the body up to there is what it was. */
import * as Effect from "effect/Effect"
import type * as HttpClient from "effect/http/HttpClient"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { elementsOf } from "../../../pipeline/context/Portion.ts"
import type { Element, Fingerprint, Source } from "../../../pipeline/Source.ts"
import type { FetchError } from "../../FetchError.ts"
import type { Format, Problem } from "../../files/Format.ts"
import { cut, type Portions } from "../../files/read/Bytes.ts"
import type { Options } from "../call/FetchCall.ts"
import { Reading } from "../download/Reading.ts"
import { Rest } from "../download/Rest.ts"
import { shown } from "../call/ShownUrl.ts"
import { BodyBytes, type BodyPosition } from "./BodyBytes.ts"

export const make = <A>(
  url: string | URL,
  format: Format<A>,
  options: Options
): Source<A, FetchError, HttpClient.HttpClient, BodyPosition> => {
  const rest = new Rest(url, options)
  return {
    name: shown(`${url}`, options.secretParameters),
    resumable: true,
    size: Effect.succeedNone,
    fingerprint: (upTo) => Effect.succeed(Option.match(upTo, { onNone: () => ({}), onSome: knownBy })),
    changed: (_, upTo) => (Option.isNone(upTo) ? Effect.succeed([]) : changed(rest, options, upTo.value)),
    read: (after) => read(rest, format, options, Option.getOrUndefined(after))
  }
}

const knownBy = ({ at, sum }: BodyPosition): Fingerprint => ({ bytes: at, sum })

/** What differs by now, found by asking for what follows: with a validator that costs one request, else reading up to it. */
const changed = (
  rest: Rest,
  options: Options,
  upTo: BodyPosition
): Effect.Effect<ReadonlyArray<string>, FetchError, HttpClient.HttpClient> =>
  Effect.suspend(() => {
    const bytes = new BodyBytes(rest, options, upTo)
    return bytes.begin().pipe(
      Effect.map(() => (bytes.goesOn ? [lastGoesOn] : [])),
      Effect.catchIf(
        (error) => error.reason === "Changed",
        (error) => Effect.succeed([error.detail])
      ),
      Effect.ensuring(bytes.close)
    )
  })

const lastGoesOn = "its last line, which was read, goes on now"

const read = <A>(
  rest: Rest,
  format: Format<A>,
  options: Options,
  after: BodyPosition | undefined
): Stream.Stream<Element<A, BodyPosition>, FetchError, HttpClient.HttpClient> => {
  const portions = Effect.gen(function* () {
    const context = yield* Effect.context<HttpClient.HttpClient>()
    const bytes = yield* Effect.acquireRelease(
      Effect.sync(() => new BodyBytes(rest, options, after)),
      (bytes) => bytes.close
    )
    const head = after === undefined ? nothing : yield* headOf(rest, options, format.head ?? 0)
    if (after !== undefined) {
      yield* bytes.begin()
      if (bytes.goesOn) return yield* bytes.differs(lastGoesOn)
    }
    const cutter = format.cut({ at: after?.at ?? 0, before: bytes.before, head })
    const refuse = ({ offset, refusal }: Problem) => {
      bytes.trail.upTo(offset)
      const line = after === undefined ? `line ${bytes.trail.breaks + 1} (byte ${offset})` : `byte ${offset}`
      const field = refusal.field === undefined ? "" : `field "${refusal.field}": `
      return bytes.error("Decode", `${line} cannot be read: ${field}${refusal.reason}`)
    }
    const known = { read: (into: Uint8Array) => Effect.provideContext(bytes.read(into), context) }
    // At once, as the trail goes only forward.
    const summed = ([portion]: Portions<A, number>): Portions<A, BodyPosition> => {
      const positions = portion.values.map((_, i): BodyPosition => {
        const at = portion.positionOf(i)
        return { at, sum: bytes.trail.upTo(at), validator: bytes.validator }
      })
      return [{ ...portion, positionOf: (i) => positions[i]! }]
    }
    return Stream.fromPull(Effect.succeed(Effect.map(cut(known, cutter, refuse), summed)))
  })
  return elementsOf(Stream.unwrap(portions))
}

const nothing = new Uint8Array()

/** The first bytes of the body: of CSV they have the names of the columns. */
const headOf = (
  rest: Rest,
  options: Options,
  size: number
): Effect.Effect<Uint8Array, FetchError, HttpClient.HttpClient> =>
  Effect.suspend(() => {
    if (size === 0) return Effect.succeed(nothing)
    const reading = new Reading(rest, options, 0, undefined)
    const head = new Uint8Array(size)
    let filled = 0
    const more: Effect.Effect<Uint8Array, FetchError, HttpClient.HttpClient> = Effect.flatMap(reading.next, (piece) => {
      if (piece === undefined) return Effect.succeed(head.subarray(0, filled))
      if (piece.at === 0) filled = 0
      const taken = piece.bytes.subarray(0, size - filled)
      head.set(taken, filled)
      filled += taken.length
      return filled === size ? Effect.succeed(head) : more
    })
    return Effect.ensuring(more, reading.close)
  })
