/** Reads the body of a response within a limit, or lets go of it. */
import * as Effect from "effect/Effect"
import type * as HttpClientError from "effect/http/HttpClientError"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Stream from "effect/Stream"

/** The body was larger than the limit; what there is of it was not read, and its connection is closed. */
export interface TooLarge {
  readonly _tag: "TooLarge"
  /** Its size, where the server said it. */
  readonly announced: number | undefined
}

/** The whole body, or `TooLarge` as soon as it is known to exceed `limit` bytes. */
export const read = (
  response: HttpClientResponse.HttpClientResponse,
  limit: number
): Effect.Effect<Uint8Array, HttpClientError.HttpClientError | TooLarge> => {
  if (isEmpty(response)) return Effect.succeed(new Uint8Array())
  const { headers } = response
  // Of a compressed body, the length says nothing about what comes out of it.
  const encoded = headers["content-encoding"] !== undefined || headers["transfer-encoding"] !== undefined
  const announced = encoded ? Number.NaN : Number(headers["content-length"] ?? Number.NaN)
  if (announced > limit) return Effect.andThen(release(response), Effect.fail(tooLarge(announced)))
  // The transport holds the body to its length, so it can be collected without a look at each piece.
  if (announced <= limit) return Effect.map(response.arrayBuffer, (buffer) => new Uint8Array(buffer))
  return Effect.suspend(() => {
    const pieces: Array<Uint8Array> = []
    let size = 0
    const collected = Stream.runForEachArray(response.stream, (arrived) => {
      for (const piece of arrived) {
        size += piece.length
        pieces.push(piece)
      }
      return size > limit ? Effect.fail(tooLarge(undefined)) : Effect.void
    })
    return Effect.map(collected, () => joined(pieces, size))
  })
}

/** Closes the connection of a response whose body is not wanted. */
const release = (response: HttpClientResponse.HttpClientResponse): Effect.Effect<void> =>
  Effect.asVoid(Effect.scoped(Stream.toPull(response.stream)))

/**
 * Reads the body to its end, so that the connection can serve the next request; beyond 64 KiB, or when the rest does
 * not come, a new connection is cheaper.
 */
export const discard = (response: HttpClientResponse.HttpClientResponse): Effect.Effect<void> =>
  Effect.ignore(read(response, 64 * 1024))

/** Text by the charset of the content type; UTF-8 where it names none, or one that nobody knows. */
export const text = (bytes: Uint8Array, contentType: string | undefined): string => {
  const label = contentType === undefined ? undefined : charset.exec(contentType)?.[1]
  return (label === undefined ? utf8 : decoderFor(label.toLowerCase())).decode(bytes)
}

/** Whether a body of this type is meant to be read as text. */
export const isText = (contentType: string): boolean => textual.test(contentType)

const textual = /^\s*(text\/|application\/([^;]*[+])?(json|xml|yaml|javascript|x-ndjson|x-www-form-urlencoded)\b)/i
const charset = /;\s*charset\s*=\s*"?([^\s";]+)/i
const utf8 = new TextDecoder()
const decoders = new Map<string, typeof utf8>()

const decoderFor = (label: string): typeof utf8 => {
  let decoder = decoders.get(label)
  if (decoder === undefined) {
    try {
      decoder = new TextDecoder(label)
    } catch {
      return utf8
    }
    decoders.set(label, decoder)
  }
  return decoder
}

const isEmpty = ({ request, status }: HttpClientResponse.HttpClientResponse): boolean =>
  request.method === "HEAD" || status === 204 || status === 304

const tooLarge = (announced: number | undefined): TooLarge => ({ _tag: "TooLarge", announced })

const joined = (pieces: ReadonlyArray<Uint8Array>, size: number): Uint8Array => {
  const whole = new Uint8Array(size)
  let at = 0
  for (const piece of pieces) {
    whole.set(piece, at)
    at += piece.length
  }
  return whole
}
