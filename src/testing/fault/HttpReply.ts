/** Replies that differ from what the origin sent: what faults and slow networks hand on. */
import * as Effect from "effect/Effect"
import type * as Headers from "effect/http/Headers"
import type { HttpClientError } from "effect/http/HttpClientError"
import type { HttpClientRequest } from "effect/http/HttpClientRequest"
import type { HttpClientResponse } from "effect/http/HttpClientResponse"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Stream from "effect/Stream"

export interface Head {
  readonly status: number
  readonly headers?: Headers.Input | undefined
}

/** A reply that no origin has sent. */
export const make = (request: HttpClientRequest, head: Head, body: string | Uint8Array): HttpClientResponse => {
  const bytes = typeof body === "string" ? new TextEncoder().encode(body) : body
  return HttpServerResponse.toClientResponse(HttpServerResponse.uint8Array(bytes, head), { request })
}

/** The reply with another body; it may fail, as one whose connection breaks, or have no end. */
export const withBody = (
  reply: HttpClientResponse,
  body: Stream.Stream<Uint8Array, HttpClientError>,
  headers: Headers.Headers = reply.headers
): HttpClientResponse => {
  // Every way to read it is Effect's own, over the bytes that have arrived.
  const { request, status } = reply
  const arrived = Effect.map(Stream.mkUint8Array(body), (bytes) => make(request, { status, headers }, bytes))
  return Object.create(reply, {
    headers: { value: headers },
    stream: { value: body },
    arrayBuffer: { value: Effect.flatMap(arrived, (whole) => whole.arrayBuffer) },
    text: { value: Effect.flatMap(arrived, (whole) => whole.text) },
    json: { value: Effect.flatMap(arrived, (whole) => whole.json) },
    urlParamsBody: { value: Effect.flatMap(arrived, (whole) => whole.urlParamsBody) },
    formData: { value: Effect.flatMap(arrived, (whole) => whole.formData) }
  })
}

/** Lets go of a reply that nobody is to see: who begins to read its body and stops closes its connection. */
export const release = (reply: HttpClientResponse): Effect.Effect<void> =>
  Effect.asVoid(Effect.scoped(Stream.toPull(reply.stream)))
