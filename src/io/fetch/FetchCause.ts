/** Which reason a failure of the transport is, what it says in words, and whether the request is worth another attempt. */
import type { HttpClientError } from "effect/http/HttpClientError"
import { describe } from "../../concurrency/base/Foreign.ts"
import type { Reason } from "../FetchError.ts"

export interface Cause {
  readonly reason: Reason
  readonly detail: string
  /** Whether it may be otherwise the next time. */
  readonly isPassing: boolean
}

export const of = (error: HttpClientError): Cause =>
  error.reason._tag === "EncodeError"
    ? { reason: "Encode", detail: `its body could not be made: ${describe(error.reason.cause)}`, isPassing: false }
    : { reason: "Connect", detail: explain(error), isPassing: true }

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
