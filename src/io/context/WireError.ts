/** Why a transport did not do what it was asked: the cause of an `HttpClientError` that needs no guessing. */

/** What a transport says of a failure that it has made out itself. */
export class WireError extends Error {
  readonly reason: "Blocked" | "Connect" | "Protocol" | "Redirect"
  readonly retryable: boolean
  /** That was exceeded, in bytes. */
  readonly limit: number | undefined
  override readonly name = "WireError"
  /** Not one of those on which undici tries the same again by itself. */
  readonly code = "SKEIN_WIRE"

  constructor(
    reason: WireError["reason"],
    message: string,
    {
      cause,
      limit,
      retryable = false
    }: { readonly retryable?: boolean; readonly cause?: unknown; readonly limit?: number } = {}
  ) {
    super(message, cause === undefined ? undefined : { cause })
    this.reason = reason
    this.retryable = retryable
    this.limit = limit
  }
}
