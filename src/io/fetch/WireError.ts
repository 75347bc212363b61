/** Why a transport did not do what it was asked: the cause of an `HttpClientError` that needs no guessing. */

/** What a transport says of a failure that it has made out itself. */
export class WireError extends Error {
  readonly reason: "Blocked" | "Connect" | "Dns" | "Tls" | "Protocol"
  readonly retryable: boolean
  override readonly name = "WireError"
  /** Not one of those on which undici tries the same again by itself. */
  readonly code = "SKEIN_WIRE"

  constructor(
    reason: WireError["reason"],
    message: string,
    { retryable = false, cause }: { readonly retryable?: boolean; readonly cause?: unknown } = {}
  ) {
    super(message, cause === undefined ? undefined : { cause })
    this.reason = reason
    this.retryable = retryable
  }
}
