/** What is sent: a checked address, a request without secrets in its URL, and where a redirect leads it. */
import * as Context from "effect/Context"
import * as Headers from "effect/http/Headers"
import * as HttpBody from "effect/http/HttpBody"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type { HttpMethod } from "effect/http/HttpMethod"
import * as Url from "effect/http/Url"
import * as UrlParams from "effect/http/UrlParams"
import * as Option from "effect/Option"
import { Random } from "effect/Random"
import * as Result from "effect/Result"
import { Attempt } from "../../../pipeline/context/Attempt.ts"
import { FetchError, type Reason } from "../../FetchError.ts"
import { isMessage, type Message, methodOf, toRequest } from "../body/Message.ts"
import { isSecret, shown } from "./ShownUrl.ts"

/** What can be fetched: an absolute `http:` or `https:` URL, or a request with method, headers and body, plain or Effect's. */
export type Target = string | URL | Message | HttpClientRequest.HttpClientRequest

export interface Outgoing {
  readonly request: HttpClientRequest.HttpClientRequest
  readonly url: URL
  /** Whether sending it twice does no more than sending it once. */
  readonly idempotent: boolean
  /** Names of parameters that are not shown. */
  readonly secret: ReadonlyArray<string>
}

/** What the options say of each request. */
export interface Template {
  readonly method: HttpMethod | undefined
  /** All headers, those of a given request among them. */
  readonly headers: (given: Headers.Headers | undefined) => Headers.Headers
  readonly idempotencyKey: boolean
  /** Names of parameters that are not shown. */
  readonly secret: ReadonlyArray<string>
}

/** The request to send for `target`, or the error that says why there is none. */
export const make = (
  target: Target,
  template: Template,
  context: Context.Context<never>
): Result.Result<Outgoing, FetchError> => {
  const refused = (reason: Reason, detail: string, method: string) =>
    Result.fail(
      new FetchError({
        reason,
        method,
        url: shown(addressOf(target), template.secret),
        detail,
        retryable: false,
        attempt: 0,
        elapsed: 0
      })
    )

  const asked = isMessage(target) ? toRequest(target, Context.get(context, Random)) : Result.succeed(target)
  if (Result.isFailure(asked)) return refused("Encode", asked.failure, template.method ?? methodOf(target as Message))
  const given = HttpClientRequest.isHttpClientRequest(asked.success) ? asked.success : undefined
  const method = template.method ?? given?.method ?? "GET"
  const url = Option.getOrUndefined(urlOf(asked.success))
  if (url === undefined) return refused("Url", "not a URL", method)
  if (!isWeb(url)) return refused("Url", `${url.protocol} is not http: or https:`, method)

  let headers = template.headers(given?.headers)
  if (template.idempotencyKey && headers[keyHeader] === undefined) {
    headers = Headers.set(headers, keyHeader, Context.get(context, Attempt).key ?? newKey(context))
  }
  const idempotent = repeatable.has(method) || headers[keyHeader] !== undefined
  return Result.succeed({
    request: request(method, url, headers, given?.body ?? HttpBody.empty),
    url,
    idempotent,
    secret: template.secret
  })
}

/** The request that an answer with status 3xx and this `location` leads to, or why there is none. */
export const redirected = (from: Outgoing, status: number, location: string): Result.Result<Outgoing, string> => {
  const parsed = Url.fromString(location, from.url)
  if (Result.isFailure(parsed))
    return Result.fail(`redirected to "${shown(location, from.secret)}", which is not a URL`)
  const url = parsed.success
  if (!isWeb(url)) return Result.fail(`redirected to ${shown(url.href, from.secret)}, which is not http: or https:`)

  let { method, headers, body } = from.request
  if ((status === 303 && method !== "HEAD") || (status <= 302 && method === "POST")) {
    method = "GET"
    body = HttpBody.empty
    headers = Headers.removeMany(headers, ["content-type", "content-length"])
  }
  if (url.origin !== from.url.origin) headers = withoutSecrets(headers, from.secret)
  return Result.succeed({
    request: request(method, url, headers, body),
    url,
    idempotent: from.idempotent,
    secret: from.secret
  })
}

const keyHeader = "idempotency-key"

/** Without what is for the origin alone that it was given for. */
export const withoutSecrets = (headers: Headers.Headers, secret: ReadonlyArray<string>): Headers.Headers => {
  const names = Object.keys(headers).filter((name) => isSecret(name, secret))
  return names.length === 0 ? headers : Headers.removeMany(headers, names)
}

const repeatable: ReadonlySet<string> = new Set(["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])

const isWeb = (url: URL): boolean => url.protocol === "http:" || url.protocol === "https:"

const urlOf = (target: Exclude<Target, Message>): Option.Option<URL> =>
  HttpClientRequest.isHttpClientRequest(target)
    ? HttpClientRequest.toUrl(target)
    : Option.fromUndefinedOr(Result.getOrUndefined(Url.fromString(`${target}`)))

const addressOf = (target: Target): string =>
  typeof target === "string" || target instanceof URL ? `${target}` : `${target.url}`

/** User and password move from the URL, where they would be seen, into a header. */
const request = (
  method: string,
  url: URL,
  headers: Headers.Headers,
  body: HttpBody.HttpBody
): HttpClientRequest.HttpClientRequest => {
  const { username, password } = url
  // To set it, empty or not, makes the URL anew.
  if (url.href.includes("#")) url.hash = ""
  if (username === "" && password === "") {
    return HttpClientRequest.makeWith(method, url.href, UrlParams.empty, Option.none(), headers, body)
  }
  url.username = ""
  url.password = ""
  const bare = HttpClientRequest.makeWith(method, url.href, UrlParams.empty, Option.none(), headers, body)
  return headers["authorization"] === undefined
    ? HttpClientRequest.basicAuth(bare, decoded(username), decoded(password))
    : bare
}

const decoded = (part: string): string =>
  Result.getOrElse(
    Result.try(() => decodeURIComponent(part)),
    () => part
  )

const newKey = (context: Context.Context<never>): string => {
  const random = Context.get(context, Random)
  return Array.from({ length: 4 }, () => (random.nextIntUnsafe() >>> 0).toString(16).padStart(8, "0")).join("")
}
