/** Why a request gave no value. */
import * as Duration from "effect/Duration"
import * as Schema from "effect/Schema"

/**
 * - `Url`: not an address of the web; nothing was sent
 * - `Encode`: the request has something in it that cannot be sent
 * - `Dns`: the host's name leads nowhere
 * - `Connect`: no connection, or it broke before the answer was complete
 * - `Tls`: no secure connection, as with a certificate that does not hold
 * - `Timeout`: no complete answer in time
 * - `Protocol`: what came is no HTTP, or more of it than is taken
 * - `Status`: the answer's status was not one to accept
 * - `Redirect`: redirected too often, or to somewhere that cannot be fetched
 * - `TooLarge`: the body exceeds the limit; the rest was not read
 * - `Decode`: the body is not what its reader expects: text that is not JSON, JSON that does not match the schema
 * - `Changed`: it is not what it was when the first part of it was read
 * - `Blocked`: the policy forbids this address, or its robots.txt; nothing was sent
 * - `CircuitOpen`: the host kept failing and is left alone for a while; nothing was sent
 */
export type Reason = (typeof reasons)[number]

const reasons = [
  "Url",
  "Encode",
  "Dns",
  "Connect",
  "Tls",
  "Timeout",
  "Protocol",
  "Status",
  "Redirect",
  "TooLarge",
  "Decode",
  "Changed",
  "Blocked",
  "CircuitOpen"
] as const

/** A request that failed: `reason` says how, and the message what to do about it. No message holds a secret. */
export class FetchError extends Schema.TaggedError<FetchError>()("FetchError", {
  reason: Schema.Literals(reasons),
  method: Schema.String,
  /** Without the secrets it may have had. */
  url: Schema.String,
  /** What happened, in words. */
  detail: Schema.String,
  /** Whether the same request may be sent again, and might succeed then. */
  retryable: Schema.Boolean,
  /** How many times it was sent. */
  attempt: Schema.Number,
  /** Milliseconds since it was asked for. */
  elapsed: Schema.Number,
  status: Schema.optionalKey(Schema.Number),
  /** How long the server asks to wait, or its circuit stays open, in milliseconds. */
  retryAfter: Schema.optionalKey(Schema.Number),
  /** The limit that was exceeded, in bytes. */
  limit: Schema.optionalKey(Schema.Number),
  /** The first 500 bytes of the answer, where it is text. */
  excerpt: Schema.optionalKey(Schema.String),
  cause: Schema.optionalKey(Schema.Defect())
}) {
  override get message(): string {
    const what = this.reason === "Url" ? `Cannot fetch "${this.url}"` : `${this.method} ${this.url}`
    return `${what}: ${this.detail}${tries(this)}; ${advice(this)}`
  }
}

const tries = ({ attempt, elapsed }: FetchError): string =>
  attempt < 2 ? "" : ` (attempt ${attempt}, after ${Duration.format(Duration.millis(elapsed))})`

const advice = ({ detail, reason, retryable, status, retryAfter }: FetchError): string => {
  switch (reason) {
    case "Url":
      return "write it in full, like https://example.com/page"
    case "Encode":
      return "correct what is sent"
    case "Dns":
      return "check the name of the host, and the network"
    case "Connect":
      return "check the address, or try again later"
    case "Tls":
      return "check the certificate of the host, and who is to be trusted"
    case "Timeout":
      return "try again later, or allow more time"
    case "Protocol":
      return "check what serves this address"
    case "Redirect":
      return "fetch the address that it leads to"
    case "TooLarge":
      return detail.includes("the limit `") ? "raise that limit to accept it" : "raise the limit `maxBody` to accept it"
    case "Decode":
      return "check what this address serves against what you expect"
    case "Changed":
      return "start again from its beginning"
    case "Blocked":
      return retryable ? "try again later" : "change the policy to allow it"
    case "CircuitOpen":
      return `try again in ${Math.ceil((retryAfter ?? 0) / 1000)} s`
    case "Status":
      if (retryAfter !== undefined) return `try again in ${Math.ceil(retryAfter / 1000)} s`
      if (status === 401 || status === 403 || status === 407) return "check the credentials sent with the request"
      if (status === 429) return "lower the rate"
      return (status ?? 0) >= 500 ? "the server failed: try again later" : "check the address and the request"
  }
}
