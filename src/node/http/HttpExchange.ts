/** One request on its way through undici: what arrives is kept here until the body's reader asks for it. */
import type * as Undici from "@effect/platform-node/Undici"
import type { NonEmptyReadonlyArray } from "effect/Array"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Cookies from "effect/http/Cookies"
import * as Headers from "effect/http/Headers"
import * as HttpClientError from "effect/http/HttpClientError"
import type * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as HttpIncomingMessage from "effect/http/HttpIncomingMessage"
import * as Inspectable from "effect/Inspectable"
import * as Option from "effect/Option"
import { pipeArguments } from "effect/Pipeable"
import * as Stream from "effect/Stream"
import type { Receiver } from "../../io/context/Direct.ts"
import { setCookies } from "../../io/context/Wire.ts"
import { WireError } from "../../io/context/WireError.ts"
import type { Proxy } from "./ProxySettings.ts"
import { declined } from "./Tunnel.ts"

type HttpError = HttpClientError.HttpClientError

/** Bytes kept for a reader that is slower than the network; beyond them the connection pauses. */
const ahead = 64 * 1024

export class Exchange implements Undici.Dispatcher.DispatchHandler {
  readonly request: HttpClientRequest.HttpClientRequest
  readonly url: URL
  /** That speaks for the host. */
  proxy: Proxy | undefined
  private readonly maxHeaders: number
  private readonly receiver: Receiver
  private controller: Undici.Dispatcher.DispatchController | undefined
  private chunks: Array<Uint8Array> = []
  private size = 0
  private ended = false
  private error: HttpError | undefined
  private aborted = false
  private answered = false
  /** That is given with its whole body. */
  private whole: Response | undefined
  private interim = 0
  /** Looks again whether it has what it waits for: told once a turn, however much has arrived in it. */
  private reader: (() => void) | undefined
  private told = false

  constructor(request: HttpClientRequest.HttpClientRequest, url: URL, maxHeaders: number, receiver: Receiver) {
    this.request = request
    this.url = url
    this.maxHeaders = maxHeaders
    this.receiver = receiver
  }

  /** Whether nobody wants its answer any more: then it is not begun. */
  get isGivenUp(): boolean {
    return this.aborted
  }

  onRequestStart(controller: Undici.Dispatcher.DispatchController): void {
    this.controller = controller
    if (this.aborted) controller.abort(interrupted)
  }

  onResponseStart(
    controller: Undici.Dispatcher.DispatchController,
    status: number,
    headers: Undici.Dispatcher.ResponseData["headers"]
  ): void {
    if (status < 200) {
      if (++this.interim > mostInterim) controller.abort(new WireError("Protocol", "it answers without end (1xx)"))
      return
    }
    const refusal = refusalOf(status, headers, this.proxy)
    if (refusal !== undefined) return controller.abort(refusal)
    this.answered = true
    const response = new Response(this, status, headers)
    if (this.receiver.wantsWhole(status, headers)) {
      this.whole = response
      return
    }
    // Not from within undici's parser: by the time that is done, a small body has arrived with its head.
    queueMicrotask(() => {
      if (!this.ended) unread.register(response, this)
      this.receiver.receive(Exit.succeed(response))
    })
  }

  onResponseData(controller: Undici.Dispatcher.DispatchController, chunk: Uint8Array): void {
    this.chunks.push(chunk)
    this.size += chunk.length
    if (this.whole !== undefined) return
    if (this.reader === undefined && this.size > ahead) controller.pause()
    this.tell()
  }

  onResponseEnd(): void {
    this.ended = true
    if (this.whole === undefined) this.tell()
    else this.give(this.whole)
  }

  onResponseError(_: unknown, error: unknown): void {
    const cause = this.answered ? error : ofHead(error, this.maxHeaders)
    this.error = HttpClientError.isHttpClientError(cause)
      ? cause
      : new HttpClientError.HttpClientError({
          reason: new HttpClientError.TransportError({ request: this.request, cause })
        })
    if (this.whole !== undefined) return this.give(this.whole)
    if (this.answered) return this.tell()
    this.answered = true
    queueMicrotask(() => this.receiver.receive(Exit.fail(this.error!)))
  }

  /** Closes the connection, unless the whole body has arrived. */
  abort(): void {
    if (this.ended || this.aborted || this.error !== undefined) return
    this.aborted = true
    this.controller?.abort(interrupted)
  }

  /** All that has arrived, once `ready`; fails when the connection broke before the end. */
  take(ready: (arrived: number, ended: boolean) => boolean): Effect.Effect<ReadonlyArray<Uint8Array>, HttpError> {
    if (this.ended && this.error === undefined) return Effect.sync(() => this.drain())
    return Effect.callback((resume) => {
      const look = () => {
        if (this.error === undefined && !ready(this.size, this.ended)) return false
        this.reader = undefined
        resume(this.error === undefined ? Effect.succeed(this.drain()) : Effect.fail(this.error))
        return true
      }
      if (look()) return
      this.reader = look
      if (this.controller?.paused === true) this.controller.resume()
      return Effect.sync(() => this.abort())
    })
  }

  private give(whole: Response): void {
    // Not from within undici's parser, which nobody may call who reads another body.
    queueMicrotask(() => this.receiver.receive(Exit.succeed(whole), this.ended ? joined(this.chunks) : undefined))
  }

  private drain(): ReadonlyArray<Uint8Array> {
    const chunks = this.chunks
    this.chunks = []
    this.size = 0
    return chunks
  }

  private tell(): void {
    if (this.reader === undefined || this.told) return
    this.told = true
    queueMicrotask(() => {
      this.told = false
      this.reader?.()
    })
  }
}

/** Answers before the answer: a server sends one or two, and one that never stops would be listened to until the time is up. */
const mostInterim = 100

/** What is wrong with the head of an answer. */
const ofHead = (error: unknown, maxHeaders: number): unknown => {
  const code = error instanceof Error && "code" in error ? error.code : undefined
  if (code === "UND_ERR_HEADERS_OVERFLOW") {
    const what = `its headers are longer than ${maxHeaders} bytes, the limit \`maxHeaders\``
    return new WireError("Protocol", what, { cause: error, limit: maxHeaders })
  }
  // Undici says so of all headers with a length that it cannot read.
  if (code === "UND_ERR_RES_CONTENT_LENGTH_MISMATCH") {
    const what = "its headers cannot be read: there are two lengths, or a line that is folded or otherwise wrong"
    return new WireError("Protocol", what, { cause: error })
  }
  return error
}

/** Why an answer is none that can be given on. */
const refusalOf = (
  status: number,
  { location }: Undici.Dispatcher.ResponseData["headers"],
  proxy: Proxy | undefined
): WireError | undefined => {
  if (status === 407 && proxy !== undefined) return declined(proxy, status)
  // Where somebody has smuggled a second one in, either may be the wrong one.
  if (status < 300 || status > 399 || !Array.isArray(location) || new Set(location).size < 2) return undefined
  return new WireError("Redirect", `it leads to ${location.length} places at once`)
}

const interrupted = new Error("The request was given up")

/** A response that nobody reads would hold its connection for ever: it is closed when the response is collected. */
const unread = new FinalizationRegistry<Exchange>((exchange) => exchange.abort())

const atEnd = (_: number, ended: boolean) => ended
const atSome = (arrived: number, ended: boolean) => arrived > 0 || ended

class Response extends Inspectable.Class implements HttpClientResponse.HttpClientResponse {
  readonly [HttpIncomingMessage.TypeId]: typeof HttpIncomingMessage.TypeId = HttpIncomingMessage.TypeId
  readonly [HttpClientResponse.TypeId]: typeof HttpClientResponse.TypeId = HttpClientResponse.TypeId
  readonly status: number
  private readonly exchange: Exchange
  private readonly received: Undici.Dispatcher.ResponseData["headers"]
  private parsed: Headers.Headers | undefined
  private bytes: ArrayBuffer | undefined

  constructor(exchange: Exchange, status: number, received: Undici.Dispatcher.ResponseData["headers"]) {
    super()
    this.exchange = exchange
    this.status = status
    this.received = received
  }

  get request(): HttpClientRequest.HttpClientRequest {
    return this.exchange.request
  }

  get url(): string {
    return this.exchange.url.href.split("#")[0]!
  }

  get headers(): Headers.Headers {
    return (this.parsed ??= headersOf(this.received))
  }

  get cookies(): Cookies.Cookies {
    const header = this.received["set-cookie"]
    return header === undefined ? Cookies.empty : Cookies.fromSetCookie(header)
  }

  get [setCookies](): ReadonlyArray<string> {
    const header = this.received["set-cookie"]
    return header === undefined ? [] : Array.isArray(header) ? header : [header]
  }

  get remoteAddress(): Option.Option<string> {
    return Option.none()
  }

  get arrayBuffer(): Effect.Effect<ArrayBuffer, HttpError> {
    if (this.bytes !== undefined) return Effect.succeed(this.bytes)
    return Effect.map(this.exchange.take(atEnd), (chunks) => (this.bytes = copied(chunks).buffer))
  }

  get stream(): Stream.Stream<Uint8Array, HttpError> {
    const next = Effect.flatMap(this.exchange.take(atSome), (chunks) =>
      isNonEmpty(chunks) ? Effect.succeed(chunks) : Cause.done()
    )
    return Stream.ensuring(
      Stream.fromPull(Effect.succeed(next)),
      Effect.sync(() => this.exchange.abort())
    )
  }

  get json(): HttpClientResponse.HttpClientResponse["json"] {
    return Effect.flatMap(this.web, (web) => web.json)
  }

  get text(): HttpClientResponse.HttpClientResponse["text"] {
    return Effect.flatMap(this.web, (web) => web.text)
  }

  get urlParamsBody(): HttpClientResponse.HttpClientResponse["urlParamsBody"] {
    return Effect.flatMap(this.web, (web) => web.urlParamsBody)
  }

  get formData(): HttpClientResponse.HttpClientResponse["formData"] {
    return Effect.flatMap(this.web, (web) => web.formData)
  }

  get upgrade(): HttpClientResponse.HttpClientResponse["upgrade"] {
    return Effect.flatMap(this.web, (web) => web.upgrade)
  }

  toJSON(): unknown {
    return HttpIncomingMessage.inspect(this, {
      _id: "HttpClientResponse",
      request: this.request.toJSON(),
      status: this.status
    })
  }

  pipe(): unknown {
    return pipeArguments(this, arguments)
  }

  /** The other ways to read a body are the platform's, over the bytes that have arrived. */
  private get web(): Effect.Effect<HttpClientResponse.HttpClientResponse, HttpError> {
    return Effect.map(this.arrayBuffer, (bytes) => {
      const type = this.headers["content-type"]
      return HttpClientResponse.fromWeb(
        this.request,
        new globalThis.Response(bytes, type === undefined ? {} : { headers: { "content-type": type } })
      )
    })
  }
}

/** Headers that hold addresses: their bytes beyond ASCII are escaped, as browsers do, so that no charset has to be guessed. */
const addresses: ReadonlySet<string> = new Set(["location", "content-location", "link"])

/** As `Headers.fromInput`, for names that are in lower case already: half of what that costs. */
const headersOf = (received: Undici.Dispatcher.ResponseData["headers"]): Headers.Headers => {
  const headers: Record<string, string> = Object.create(Object.getPrototypeOf(Headers.empty))
  for (const name of Object.keys(received)) {
    const given = received[name]
    if (given === undefined) continue
    // Of several addresses to go to, all are the same.
    const value = Array.isArray(given) ? (name === "location" ? given[0]! : given.join(", ")) : given
    headers[name] = addresses.has(name) ? value.replace(/[\x80-\xff]/g, escaped) : value
  }
  return headers as Headers.Headers
}

const escaped = (byte: string): string => `%${byte.charCodeAt(0).toString(16).toUpperCase()}`

const isNonEmpty = (chunks: ReadonlyArray<Uint8Array>): chunks is NonEmptyReadonlyArray<Uint8Array> => chunks.length > 0

/** Undici's chunks are parts of larger memory. */
const joined = (chunks: ReadonlyArray<Uint8Array>): Uint8Array => (chunks.length === 1 ? chunks[0]! : copied(chunks))

/** In memory of their own. */
const copied = (chunks: ReadonlyArray<Uint8Array>): Uint8Array<ArrayBuffer> => {
  let size = 0
  for (const chunk of chunks) size += chunk.length
  const whole = new Uint8Array(size)
  let at = 0
  for (const chunk of chunks) {
    whole.set(chunk, at)
    at += chunk.length
  }
  return whole
}
