/** Which reason a failure of the transport is, what it says in words, and whether the request is worth another attempt. */
import type { HttpClientError } from "effect/http/HttpClientError"
import * as Foreign from "../../../concurrency/base/Foreign.ts"
import type { Reason } from "../../FetchError.ts"
import { line } from "./ShownUrl.ts"
import { WireError } from "../../context/WireError.ts"

export interface Cause {
  readonly reason: Reason
  readonly detail: string
  /** Whether it may be otherwise the next time. */
  readonly isPassing: boolean
  /** That was exceeded, in bytes. */
  readonly limit?: number | undefined
}

/** What made the request fail, by the first in the chain of causes that is known; else what its innermost says. */
export const of = (error: HttpClientError): Cause => {
  if (error.reason._tag === "InvalidUrlError") return once("Url", "not a URL")
  if (error.reason._tag === "EncodeError") {
    return once("Encode", `its body could not be made: ${line(Foreign.describe(error.reason.cause))}`)
  }
  const chain = causes(error.reason)
  for (const each of chain) {
    if (each instanceof WireError) {
      return { reason: each.reason, detail: each.message, isPassing: each.retryable, limit: each.limit }
    }
    const code = Foreign.get(each, "code")
    // Undici's parser gives no code.
    const name = typeof code === "string" ? code : Foreign.nameOf(each) === "HTTPParserError" ? "HPE_" : ""
    const known = byCode(name, messageOf(each))
    if (known !== undefined) return { ...known, detail: line(known.detail) }
  }
  return passing("Connect", explain(error))
}

/** What a failure says, without Effect's and the runtime's wrappers around it. */
export const explain = (error: unknown): string => {
  const inner = causes(error).findLast(Foreign.isError)
  if (inner === undefined) return "the connection broke"
  const said = messageOf(inner) || Foreign.get(inner, "code") || Foreign.nameOf(inner)
  return line(String(said))
}

const passing = (reason: Reason, detail: string): Cause => ({ reason, detail, isPassing: true })
const once = (reason: Reason, detail: string): Cause => ({ reason, detail, isPassing: false })

const messageOf = (error: unknown): string => {
  const message = Foreign.get(error, "message")
  return typeof message === "string" ? message : ""
}

/** From the outermost on; where several were tried, as addresses of one host, by the first. */
const causes = (error: unknown): ReadonlyArray<unknown> => {
  const chain: Array<unknown> = []
  // A circle ends here as well.
  for (let next = error; next !== undefined && next !== null && chain.length < 16;) {
    chain.push(next)
    const several = Foreign.get(next, "errors")
    next = (Array.isArray(several) ? (several[0] as unknown) : undefined) ?? Foreign.get(next, "cause")
  }
  return chain
}

/** What Node, undici and OpenSSL call it. */
const byCode = (code: string, message: string): Cause | undefined => {
  if (code === "UND_ERR_INVALID_ARG") return once("Encode", `it cannot be sent: ${message}`)
  if (code === "UND_ERR_SOCKET" && message.startsWith("bad ")) {
    return once("Protocol", `it answered what was not asked for (${message})`)
  }
  if (code === "EPROTO" || code.startsWith("ERR_SSL_")) {
    return message.includes("wrong version number") || message.includes("packet length too long")
      ? once("Tls", `no TLS is spoken there; is it http:? (${code})`)
      : once("Tls", `no secure connection came about: ${message}`)
  }
  if (untrusted.has(code)) {
    const trust = "name its authority in `tls.ca` of `Http.layer`, or in NODE_EXTRA_CA_CERTS"
    return once("Tls", `its certificate is signed by nobody who is trusted (${code}); to trust it, ${trust}`)
  }
  if (code === "ERR_TLS_CERT_ALTNAME_INVALID") return once("Tls", `its certificate is for another host: ${message}`)
  if (/^(CERT_|CRL_|ERR_TLS_|UNABLE_TO_|INVALID_)|_CERT(_|$)/.test(code) || code === "HOSTNAME_MISMATCH") {
    return once("Tls", `its certificate does not hold: ${message} (${code})`)
  }
  // Undici's own parser gives up so on what no answer may have, as the status 000.
  if (code === "ERR_ASSERTION") return once("Protocol", "what it answered is no HTTP that can be read")
  if (known.has(code) || !code.startsWith("HPE_")) return known.get(code)
  return once("Protocol", `what it answered is no HTTP that can be read: ${message || code}`)
}

const untrusted: ReadonlySet<string> = new Set([
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_GET_ISSUER_CERT",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
  "CERT_UNTRUSTED"
])

const isShort = "the connection was closed before the answer was complete"

const known: ReadonlyMap<string, Cause> = new Map(
  Object.entries({
    ENOTFOUND: once("Dns", "there is no host of that name (ENOTFOUND)"),
    ENODATA: once("Dns", "the host's name has no address (ENODATA)"),
    EAI_FAIL: once("Dns", "the host's name could not be looked up (EAI_FAIL)"),
    EAI_AGAIN: passing("Dns", "the host's name could not be looked up (EAI_AGAIN)"),
    ECONNREFUSED: passing("Connect", "nothing listens there (ECONNREFUSED)"),
    ECONNRESET: passing("Connect", "the connection was reset (ECONNRESET)"),
    EPIPE: passing("Connect", "the connection was closed while the request was sent (EPIPE)"),
    ETIMEDOUT: passing("Connect", "the host did not answer in time (ETIMEDOUT)"),
    EHOSTUNREACH: passing("Connect", "no way leads to the host (EHOSTUNREACH)"),
    ENETUNREACH: passing("Connect", "no way leads to the host's network (ENETUNREACH)"),
    EMFILE: passing("Connect", "this process has too many open files (EMFILE); lower the concurrency"),
    EACCES: once("Connect", "this process may not connect there (EACCES)"),
    EPERM: once("Connect", "this process may not connect there (EPERM)"),
    ERR_SOCKET_BAD_PORT: once("Url", "there is no such port"),
    UND_ERR_SOCKET: passing("Connect", isShort),
    UND_ERR_RES_CONTENT_LENGTH_MISMATCH: passing("Connect", `${isShort}: its body is not as long as announced`),
    HPE_INVALID_EOF_STATE: passing("Connect", isShort),
    UND_ERR_CONNECT_TIMEOUT: passing("Connect", "no connection within 10 s"),
    UND_ERR_HEADERS_TIMEOUT: passing("Timeout", "no answer in the time that the client allows"),
    UND_ERR_BODY_TIMEOUT: passing("Timeout", "the rest of the answer did not come in the time that the client allows"),
    UND_ERR_HEADERS_OVERFLOW: once("Protocol", "its headers are longer than the client takes"),
    HPE_HEADER_OVERFLOW: once("Protocol", "its headers are longer than the client takes"),
    UND_ERR_DESTROYED: once("Connect", "the client is closed"),
    UND_ERR_CLOSED: once("Connect", "the client is closed"),
    UND_ERR_REQ_CONTENT_LENGTH_MISMATCH: once("Protocol", "its body is not as long as its `content-length` says")
  })
)
