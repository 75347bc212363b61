/** A request in plain words: what is sent, to where, with a body of JSON, of a form, or of bytes as they come. */
import * as Headers from "effect/http/Headers"
import * as HttpBody from "effect/http/HttpBody"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type { HttpMethod } from "effect/http/HttpMethod"
import * as UrlParams from "effect/http/UrlParams"
import * as Predicate from "effect/Predicate"
import type { Random } from "effect/Random"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import * as JsonText from "../../../concurrency/base/JsonText.ts"
import { type BodyStream, repeatable } from "./BodyStream.ts"
import * as Multipart from "./Multipart.ts"

interface Head {
  readonly url: string | URL
  /** Default GET, or POST where there is a body. */
  readonly method?: HttpMethod | undefined
  readonly headers?: Headers.Input | undefined
  /** Added to the query that the URL has. */
  readonly query?: UrlParams.Input | undefined
}

/** What is sent, at most one kind of body. */
export type Message = Head &
  (
    | {
        /** Sent as JSON. What JSON has no form for, as NaN, is refused and not sent. */
        readonly json?: unknown
        readonly form?: never
        readonly multipart?: never
        readonly body?: never
      }
    | {
        readonly json?: never
        /** Sent as a form is, URL encoded. */
        readonly form?: UrlParams.Input | undefined
        readonly multipart?: never
        readonly body?: never
      }
    | {
        readonly json?: never
        readonly form?: never
        /** Sent as a form with files is. */
        readonly multipart?: Multipart.Fields | undefined
        readonly body?: never
      }
    | {
        readonly json?: never
        readonly form?: never
        readonly multipart?: never
        /** Sent as it is; its type is that of the header `content-type`, or what is usual for text and bytes. */
        readonly body?: string | Uint8Array | BodyStream | undefined
      }
  )

/** Whether a target is such a message, and no URL or request of Effect's. */
export const isMessage = (target: unknown): target is Message =>
  Predicate.isObject(target) && !(target instanceof URL) && !HttpClientRequest.isHttpClientRequest(target)

/** The method of a message that names none is that of its body. */
export const methodOf = ({ body, form, json, method, multipart }: Message): HttpMethod =>
  method ?? ([json, form, multipart, body].every((kind) => kind === undefined) ? "GET" : "POST")

/** The request that a message stands for, or why it has no form that could be sent. */
export const toRequest = (
  message: Message,
  random: Random
): Result.Result<HttpClientRequest.HttpClientRequest, string> => {
  const query = message.query === undefined ? Result.succeed(undefined) : wellFormed(message.query, "query parameter")
  if (Result.isFailure(query)) return Result.fail(query.failure)
  return Result.map(bodyOf(message, random), (body) => {
    const bare = HttpClientRequest.make(methodOf(message))(message.url, {
      ...(query.success !== undefined && { urlParams: query.success })
    })
    const full = body === undefined ? bare : HttpClientRequest.setBody(bare, body)
    // The type that a message names goes before the one that its body would have.
    return message.headers === undefined ? full : HttpClientRequest.setHeaders(full, message.headers)
  })
}

const bodyOf = (message: Message, random: Random): Result.Result<HttpBody.HttpBody | undefined, string> => {
  const { body, form, json, multipart } = message
  const kinds = [json, form, multipart, body].filter((kind) => kind !== undefined)
  if (kinds.length > 1) return Result.fail("it has more than one of `json`, `form`, `multipart` and `body`")
  if (json !== undefined) return Result.map(jsonText(json), (text) => HttpBody.text(text, "application/json"))
  if (form !== undefined) return Result.map(wellFormed(form, "form field"), HttpBody.urlParams)
  if (multipart !== undefined) return Multipart.body(multipart, random)
  if (body === undefined) return Result.succeed(undefined)
  if (typeof body === "string") {
    return body.isWellFormed() ? Result.succeed(HttpBody.text(body)) : Result.fail(`its body ${JsonText.noUtf8}`)
  }
  if (body instanceof Uint8Array) return Result.succeed(HttpBody.uint8Array(body))
  if (Stream.isStream(body)) {
    return Result.succeed(HttpBody.stream(repeatable(body), undefined, announced(message)))
  }
  return Result.fail("its `body` is neither text nor bytes nor a stream of bytes")
}

/** How long a streamed body is, where its message says so. */
const announced = ({ headers }: Message): number | undefined => {
  const length = headers === undefined ? undefined : Headers.fromInput(headers)["content-length"]
  return length !== undefined && /^\d+$/.test(length) ? Number(length) : undefined
}

const wellFormed = (input: UrlParams.Input, what: string): Result.Result<UrlParams.UrlParams, string> => {
  const params = UrlParams.fromInput(input)
  const bad = params.params.find((pair) => pair.some((text) => typeof text === "string" && !text.isWellFormed()))
  return bad === undefined
    ? Result.succeed(params)
    : Result.fail(`its ${what} "${bad[0].toWellFormed()}" ${JsonText.noUtf8}`)
}

/** JSON that says what was given: `JSON.stringify` makes null of what it has no form for, without a word. */
const jsonText = (value: unknown): Result.Result<string, string> => {
  const lost = formlessIn(value)
  if (lost !== undefined) return Result.fail(lost)
  return Result.mapError(JsonText.print(value), (problem) => `its JSON ${problem}`)
}

/** What of a value JSON has no form for; nothing where it cannot be looked through. */
const formlessIn = (value: unknown): string | undefined => {
  let found: string | undefined
  Result.try(() =>
    JSON.stringify(value, function (this: unknown, key, inner: unknown) {
      const what = formless(inner, key === "" || Array.isArray(this))
      if (what !== undefined) found ??= key === "" ? `its JSON is ${what}` : `its JSON has ${what} at "${key}"`
      return typeof inner === "bigint" ? null : inner
    })
  )
  return found
}

const formless = (value: unknown, isNeeded: boolean): string | undefined => {
  if (typeof value === "number" && !Number.isFinite(value)) return `${value}, which JSON has no form for`
  if (typeof value === "bigint") return "a bigint, which JSON has no form for"
  // A field that is not set is left out, as everybody expects of JSON; in a list something would have to take its place.
  const isLeftOut = value === undefined || typeof value === "function" || typeof value === "symbol"
  return isNeeded && isLeftOut ? `${typeof value}, which JSON has no form for` : undefined
}
