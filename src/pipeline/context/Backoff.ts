/** Whether a failure is worth another attempt, and how long that one waits. */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import type * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import { DeadlineExceeded } from "../../concurrency/Deadline.ts"

/** The wait before retry n is between zero and `base * factor ** (n - 1)`, at random, the latter no more than `cap`. */
export interface Backoff {
  /** Default 250 milliseconds. */
  readonly base?: Duration.Input | undefined
  /** Default 2. */
  readonly factor?: number | undefined
  /** Default 30 seconds. */
  readonly cap?: Duration.Input | undefined
}

/** What of a policy says when to try again. */
export interface Retrying<in E> {
  readonly backoff?: Backoff | undefined
  readonly retryWhile?: ((error: E) => boolean) | undefined
  readonly retryAfter?: ((error: E) => Option.Option<Duration.Duration>) | undefined
  readonly attempt?: Duration.Input | undefined
}

/** Whether to try again after an error: as a policy says, or else unless the error itself says `retryable: false`. */
export const isWorthIt = <E>({ retryWhile }: Pick<Retrying<E>, "retryWhile">, error: E): boolean =>
  retryWhile === undefined ? !isFinal(error) : retryWhile(error)

const isFinal = (error: unknown): boolean =>
  typeof error === "object" && error !== null && "retryable" in error && error.retryable === false

/** How long to wait before this retry; none where the failure is not worth one. */
export const waitBefore = <E>(
  fiber: Fiber.Fiber<unknown, unknown>,
  cause: Cause.Cause<E | DeadlineExceeded>,
  policy: Retrying<E>,
  retry: number
): Duration.Duration | undefined => {
  const failure = Cause.hasDies(cause) ? undefined : cause.reasons.find(Cause.isFailReason)
  if (failure === undefined) return undefined
  const timedOut = policy.attempt !== undefined && failure.error instanceof DeadlineExceeded
  if (!timedOut) {
    const error = failure.error as E
    if (!isWorthIt(policy, error)) return undefined
    const asked = Option.getOrUndefined(policy.retryAfter?.(error) ?? Option.none())
    if (asked !== undefined && Duration.isPositive(asked)) {
      return Duration.isLessThanOrEqualTo(asked, maxRetryAfter) ? asked : undefined
    }
  }
  const { base = "250 millis", factor = 2, cap = "30 seconds" } = policy.backoff ?? {}
  const most = Math.min(Duration.toMillis(cap), Duration.toMillis(base) * factor ** (retry - 1))
  return Duration.millis(fiber.getRef(Random.Random).nextDoubleUnsafe() * most)
}

const maxRetryAfter = Duration.seconds(60)
