/** Why a request gave no value. */
import * as UrlParams from "effect/http/UrlParams"
import * as Schema from "effect/Schema"

/**
 * - `url`: not an address of the web; nothing was sent
 * - `connect`: no connection, or it broke before the answer was complete
 * - `timeout`: no complete answer in time
 * - `status`: the answer's status was not one to accept
 * - `redirect`: redirected too often, or to somewhere that cannot be fetched
 * - `tooLarge`: the body exceeds the limit; the rest was not read
 * - `body`: the body is not what its reader expects, as text that is not JSON
 * - `schema`: the JSON does not match the schema
 */
export type Reason = "url" | "connect" | "timeout" | "status" | "redirect" | "tooLarge" | "body" | "schema"

/** A request that failed: `reason` says how, and the message what to do about it. No message holds a secret. */
export class FetchError extends Schema.TaggedError<FetchError>()("FetchError", {
  reason: Schema.Literals<ReadonlyArray<Reason>>([
    "url",
    "connect",
    "timeout",
    "status",
    "redirect",
    "tooLarge",
    "body",
    "schema"
  ]),
  method: Schema.String,
  /** Without the credentials it may have had. */
  url: Schema.String,
  /** What happened, in words. */
  detail: Schema.String,
  /** Whether the same request may be sent again, and might succeed then. */
  retryable: Schema.Boolean,
  status: Schema.optionalKey(Schema.Number),
  /** How long the server asks to wait, in milliseconds. */
  retryAfter: Schema.optionalKey(Schema.Number),
  /** The limit that was exceeded, in bytes. */
  limit: Schema.optionalKey(Schema.Number)
}) {
  override get message(): string {
    const what = this.reason === "url" ? `Cannot fetch "${this.url}"` : `${this.method} ${this.url}`
    return `${what}: ${this.detail}; ${advice(this)}`
  }
}

const advice = ({ reason, status, retryAfter }: FetchError): string => {
  switch (reason) {
    case "url":
      return "write it in full, like https://example.com/page"
    case "connect":
      return "check the address, or try again later"
    case "timeout":
      return "try again later, or allow more time"
    case "redirect":
      return "fetch the address that it leads to"
    case "tooLarge":
      return "raise the limit `maxBody` to accept it"
    case "body":
      return "check that this address serves what you expect"
    case "schema":
      return "check the schema against what this address serves"
    case "status":
      if (retryAfter !== undefined) return `try again in ${Math.ceil(retryAfter / 1000)} s`
      if (status === 401 || status === 403 || status === 407) return "check the credentials sent with the request"
      if (status === 429) return "lower the rate"
      return (status ?? 0) >= 500 ? "the server failed: try again later" : "check the address and the request"
  }
}

/** A URL as it may be shown: no password, no value of a parameter that is known to be secret. */
export const shown = (url: string): string => {
  const safe = UrlParams.redactUrl(url)
  return safe.length > 300 ? `${safe.slice(0, 300)}…` : safe
}

/** What a failure of the transport says, without Effect's and the runtime's wrappers around it. */
export const explain = (error: unknown): string => {
  let inner = error
  while (inner instanceof Error) {
    const [first] = inner instanceof AggregateError ? inner.errors : []
    const next: unknown = first ?? inner.cause
    if (!(next instanceof Error)) break
    inner = next
  }
  if (!(inner instanceof Error)) return "the connection broke"
  const code = "code" in inner ? String(inner.code) : ""
  return known.get(code) ?? (inner.message || code || inner.name)
}

const known = new Map(
  Object.entries({
    ECONNREFUSED: "nothing listens there (ECONNREFUSED)",
    ECONNRESET: "the connection was reset (ECONNRESET)",
    ENOTFOUND: "there is no host of that name (ENOTFOUND)",
    EAI_AGAIN: "the host's name could not be looked up (EAI_AGAIN)",
    UND_ERR_SOCKET: "the connection was closed before the answer was complete",
    UND_ERR_CONNECT_TIMEOUT: "no connection within 10 s"
  })
)
