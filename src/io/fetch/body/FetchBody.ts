/** The body of a response: undone of its content codings, within limits, or let go of. */
import * as Effect from "effect/Effect"
import type * as HttpClientError from "effect/http/HttpClientError"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Option from "effect/Option"
import * as Pull from "effect/Pull"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Compression from "../../codec/Compression.ts"
import type { Received } from "../../context/Direct.ts"
import { codingsOf } from "./FetchCoding.ts"

type Response = HttpClientResponse.HttpClientResponse
type HttpError = HttpClientError.HttpClientError

/** More than `limit` says; what there is of it was not read, and its connection is closed. */
export interface TooLarge {
  readonly _tag: "TooLarge"
  readonly limit: "maxBody" | "maxRatio"
  /** Its size, where the server said it. */
  readonly announced: number | undefined
}

/** It came whole, and is not what its `Content-Encoding` says, or of a coding that is not known. */
export interface Undecodable {
  readonly _tag: "Undecodable"
  /** As in "its body `is coded as "lzma", which is not known`". */
  readonly detail: string
  /** It ends too early, as after a broken connection: the next time it may be whole. */
  readonly isCut: boolean
}

export type Fault = TooLarge | Undecodable

export interface Bounds {
  /** Of the body as it is given, in bytes. */
  readonly maxBody: number
  /** How many times its coded size it may have, once it is larger than 1 MiB. */
  readonly maxRatio?: number | undefined
}

/** Default: gzip cannot do much more, and what does as much is one byte repeated. */
export const maxRatio = 1000

/** As in "`its body of 20 bytes is larger than 10 bytes, …`". */
export const explainLarge = ({ announced, limit: name }: TooLarge, limit: number): string =>
  name === "maxRatio"
    ? `its body becomes more than ${limit} times as large when it is decompressed, the limit \`maxRatio\`, and was not read to the end`
    : `its body${announced === undefined ? "" : ` of ${announced} bytes`} is larger than ${limit} bytes, and was not read to the end`

/** The whole body. It fails as soon as it is known to be larger than the bounds. */
export const read = (response: Response, bounds: Bounds): Effect.Effect<Uint8Array, HttpError | Fault> => {
  if (isEmpty(response)) return Effect.succeed(new Uint8Array())
  const limit = bounds.maxBody
  const announced = lengthOf(response.headers)
  if (announced > limit) return Effect.andThen(release(response), Effect.fail(tooLarge("maxBody", announced)))
  // The transport holds the body to its length, so it can be collected without a look at each piece.
  if (announced <= limit) return Effect.map(response.arrayBuffer, (buffer) => new Uint8Array(buffer))
  return Effect.scoped(Effect.flatMap(open(response, bounds), (next) => gathered(next)))
}

/** A whole body, in memory of its own for those who keep it. */
export const own = (body: Uint8Array): Uint8Array =>
  body.byteLength === body.buffer.byteLength ? body : new Uint8Array(body)

/** Whether the whole body will come as it is given, and no more of it than the bounds allow. */
export const isBounded = (headers: Received, bounds: Bounds): boolean => lengthOf(headers) <= bounds.maxBody

/** Not a number where it is not said. Of a coded body, its length says nothing about what comes out of it. */
const lengthOf = (headers: Received): number =>
  headers["content-encoding"] === undefined && headers["transfer-encoding"] === undefined
    ? Number(headers["content-length"] ?? Number.NaN)
    : Number.NaN

/** The body as it arrives, piece by piece; undefined at its end. */
export const open = (
  response: Response,
  bounds: Bounds
): Effect.Effect<Compression.Pull<HttpError | Fault>, never, Scope.Scope> => {
  if (isEmpty(response)) return Effect.succeed(Effect.undefined)
  const codings = isUndone(response) ? [] : codingsOf(response.headers)
  if (typeof codings === "string") {
    return Effect.succeed(Effect.andThen(release(response), Effect.fail(undecodable(codings))))
  }
  return Effect.flatMap(arriving(response), (next) => undone(codings, next, bounds))
}

/**
 * Reads the body to its end, so that the connection can serve the next request; beyond 64 KiB, or when the rest does
 * not come, a new connection is cheaper.
 */
export const discard = (response: Response): Effect.Effect<void> => {
  if (isEmpty(response)) return Effect.void
  const raw = Effect.flatMap(arriving(response), (next) => gathered(bounded(next, { maxBody: discarded })))
  return Effect.ignore(Effect.timeoutOption(Effect.scoped(raw), patience))
}

/** As `discard`, and gives what came of it. */
export const beginning = (response: Response): Effect.Effect<Uint8Array> =>
  Effect.suspend(() => {
    const pieces: Array<Uint8Array> = []
    let size = 0
    const begun = (next: Compression.Pull<HttpError | Fault>): Compression.Pull<HttpError | Fault> => {
      const counted = Effect.map(next, (piece) => {
        size += piece?.length ?? 0
        return piece
      })
      return Effect.suspend(() => (size > discarded ? Effect.undefined : counted))
    }
    const read = Effect.flatMap(open(response, { maxBody: Infinity }), (next) => gathered(begun(next), pieces))
    return Effect.map(Effect.ignore(Effect.timeoutOption(Effect.scoped(read), patience)), () => joined(pieces))
  })

/** Closes the connection of a response whose body is not wanted. */
export const release = (response: Response): Effect.Effect<void> =>
  Effect.asVoid(Effect.scoped(Stream.toPull(response.stream)))

const arriving = (response: Response): Effect.Effect<Compression.Pull<HttpError>, never, Scope.Scope> =>
  Effect.map(Stream.toPull(response.stream), (pull) => {
    let pieces: ReadonlyArray<Uint8Array> = []
    let at = 0
    const more = Pull.catchDone(
      Effect.map(pull, (arrived) => {
        pieces = arrived
        at = 1
        return arrived[0] as Uint8Array | undefined
      }),
      () => Effect.undefined
    )
    return Effect.suspend(() => (at < pieces.length ? Effect.succeed(pieces[at++]) : more))
  })

const undone = (
  codings: ReadonlyArray<Compression.Compression>,
  next: Compression.Pull<HttpError>,
  bounds: Bounds
): Effect.Effect<Compression.Pull<HttpError | Fault>, never, Scope.Scope> => {
  if (codings.length === 0) return Effect.succeed(bounded(next, bounds))
  let coded = 0
  const counted: Compression.Pull<HttpError> = Effect.map(next, (piece) => {
    coded += piece?.length ?? 0
    return piece
  })
  let chain: Effect.Effect<Compression.Pull<HttpError | Compression.Damage>, never, Scope.Scope> = Effect.succeed(
    counted
  )
  for (const coding of codings) chain = Effect.flatMap(chain, (inner) => Compression.decoded(coding, inner))
  return Effect.map(chain, (pull) =>
    bounded(
      Effect.mapError(pull, (error) => (error instanceof Compression.Damage ? damaged(error) : error)),
      bounds,
      () => coded
    )
  )
}

const bounded = <E>(
  next: Compression.Pull<E>,
  bounds: Bounds,
  coded: () => number = () => Infinity
): Compression.Pull<E | TooLarge> => {
  const { maxBody } = bounds
  const ratio = bounds.maxRatio ?? maxRatio
  let size = 0
  return Effect.flatMap(next, (piece) => {
    size += piece?.length ?? 0
    if (size > maxBody) return Effect.fail(tooLarge("maxBody", undefined))
    if (size > 1024 * 1024 && size > ratio * coded()) return Effect.fail(tooLarge("maxRatio", undefined))
    return Effect.succeed(piece)
  })
}

const damaged = ({ detail, kind, reason }: Compression.Damage): Undecodable =>
  undecodable(`came as ${kind} that cannot be undone: ${detail}`, reason === "cut")

const undecodable = (detail: string, isCut = false): Undecodable => ({ _tag: "Undecodable", detail, isCut })

const tooLarge = (limit: TooLarge["limit"], announced: number | undefined): TooLarge => ({
  _tag: "TooLarge",
  limit,
  announced
})

/** So many bytes are read at most of a body that is not wanted, and so long is waited for them. */
const discarded = 64 * 1024
const patience = "2 seconds"

const isEmpty = ({ request, status }: Response): boolean =>
  request.method === "HEAD" || status === 204 || status === 304

/** A platform's own `fetch` undoes the codings that it knows, and leaves the header as it was. */
const isUndone = (response: Response): boolean =>
  Option.match(HttpClientResponse.toWeb(response), { onNone: () => false, onSome: ({ type }) => type !== "default" })

const gathered = <E>(next: Compression.Pull<E>, pieces: Array<Uint8Array> = []): Effect.Effect<Uint8Array, E> => {
  const more: Effect.Effect<Uint8Array, E> = Effect.flatMap(next, (piece) => {
    if (piece === undefined) return Effect.succeed(joined(pieces))
    pieces.push(piece)
    return more
  })
  return more
}

const joined = (pieces: ReadonlyArray<Uint8Array>): Uint8Array => {
  const whole = new Uint8Array(pieces.reduce((size, piece) => size + piece.length, 0))
  let at = 0
  for (const piece of pieces) {
    whole.set(piece, at)
    at += piece.length
  }
  return whole
}
