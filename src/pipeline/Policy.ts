/**
 * How a call that may fail is made: in one fixed order, each part only where it is asked for.
 *
 * total deadline( breaker( retry( rate token( concurrency slot( attempt deadline( call ))))))
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { dual } from "effect/Function"
import * as Option from "effect/Option"
import { checkDuration, checkNumber, checkWhole } from "../concurrency/base/Options.ts"
import * as Deadline from "../concurrency/Deadline.ts"
import type { Limiter } from "../concurrency/Limiter.ts"
import { Attempt } from "./context/Attempt.ts"
import { type Backoff, waitBefore } from "./context/Backoff.ts"
import { Meter } from "./context/Meter.ts"

export type { Backoff } from "./context/Backoff.ts"

/**
 * `E` is what the call fails with; `BE` and `BR` are what the breaker adds to errors and services; `T` and `U` are
 * `undefined` where there is no `total` and no `attempt`.
 */
export interface Policy<in E, out BE = never, out BR = never, out T extends Time = Time, out U extends Time = Time> {
  /** Time for everything: all attempts, and the waiting before and between them. */
  readonly total?: T | undefined
  /**
   * Sees what came of all attempts; for a circuit breaker `(effect) => breaker.execute(effect, { key })`, in a policy
   * declared as `Policy<E, CircuitBreakerError>`.
   */
  readonly breaker?: (<A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E | BE, R | BR>) | undefined
  /** Attempts after the first; none whose wait is longer than the time that is left. Default 3; 0 for none. */
  readonly retries?: number | undefined
  readonly backoff?: Backoff | undefined
  /** Which errors are worth another attempt; default all but those with `retryable: false`. An attempt that ran out of its time always is. */
  readonly retryWhile?: ((error: E) => boolean) | undefined
  /**
   * How long the other side asked to wait. Up to 60 seconds it replaces the backoff; beyond, there is no retry. Zero is
   * no wish: the backoff stands.
   */
  readonly retryAfter?: ((error: E) => Option.Option<Duration.Duration>) | undefined
  /** Every attempt takes a token. */
  readonly rate?: Limiter | undefined
  /** Every attempt holds a slot, and gives it back before it waits for the next attempt. */
  readonly slot?: Limiter | undefined
  /** Time for one attempt, from the moment it has its slot. */
  readonly attempt?: U | undefined
}

export interface Options {
  /** Names the deadlines. */
  readonly name?: string | undefined
}

/**
 * Makes the call by the policy. Fails with the last attempt's error as it was, or with `DeadlineExceeded` where the
 * policy has `total` or `attempt`. Only typed failures are retried: a defect or a cancellation ends it at once, and so
 * does a failure after which `total`, or a deadline around the call, leaves no time for the wait before a retry.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { Policy } from "skein"
 *
 * let calls = 0
 * const flaky = Effect.suspend(() => (++calls < 3 ? Effect.fail("busy") : Effect.succeed("answer")))
 * const program = flaky.pipe(Policy.apply({ total: "5 seconds", backoff: { base: "1 millis" } }))
 *
 * await Effect.runPromise(program) // => "answer"
 * calls // => 3
 * ```
 */
export const apply: {
  <E, BE = never, BR = never, T extends Time = undefined, U extends Time = undefined>(
    policy: Policy<E, BE, BR, T, U>,
    options?: Options
  ): <A, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E | BE | TimedOut<T | U>, R | BR>
  <A, E, R, BE = never, BR = never, T extends Time = undefined, U extends Time = undefined>(
    effect: Effect.Effect<A, E, R>,
    policy: Policy<E, BE, BR, T, U>,
    options?: Options
  ): Effect.Effect<A, E | BE | TimedOut<T | U>, R | BR>
} = dual(
  (args) => Effect.isEffect(args[0]),
  <A, E, R, BE, BR>(effect: Effect.Effect<A, E, R>, policy: Policy<E, BE, BR>, options?: Options) => {
    check(policy)
    let call: Effect.Effect<A, E | Deadline.DeadlineExceeded, R> = effect
    if (policy.attempt !== undefined) call = Deadline.within(call, policy.attempt, { name: name(options, "attempt") })
    if (policy.slot !== undefined) call = policy.slot.withPermit(call)
    if (policy.rate !== undefined) call = policy.rate.withPermit(call)
    if (policy.retries !== 0) call = retrying(call, policy, 1)
    const all: Effect.Effect<A, E | BE | Deadline.DeadlineExceeded, R | BR> = policy.breaker?.(call) ?? call
    return policy.total === undefined ? all : Deadline.within(all, policy.total, { name: name(options, "total") })
  }
)

export type Time = Duration.Input | undefined

/** `DeadlineExceeded` where the policy limits the time. */
export type TimedOut<T extends Time> = [T] extends [undefined] ? never : Deadline.DeadlineExceeded

const check = ({ attempt, backoff, retries, total }: Policy<never, unknown, unknown>): void => {
  checkWhole("Policy: retries", retries, 0, "unlimited")
  checkDuration("Policy: total", total)
  checkDuration("Policy: attempt", attempt)
  if (backoff === undefined) return
  checkDuration("Policy: backoff.base", backoff.base)
  checkNumber("Policy: backoff.factor", backoff.factor, 0)
  checkDuration("Policy: backoff.cap", backoff.cap)
}

const name = (options: Options | undefined, part: string): string =>
  options?.name === undefined ? part : `${options.name} ${part}`

const retrying = <A, E, R>(
  call: Effect.Effect<A, E | Deadline.DeadlineExceeded, R>,
  policy: Policy<E, unknown, unknown>,
  retry: number
): Effect.Effect<A, E | Deadline.DeadlineExceeded, R> =>
  Effect.catchCause(call, (cause) =>
    Effect.flatMap(Deadline.remaining, (left) =>
      Effect.withFiber((fiber) => {
        const wait = retry > (policy.retries ?? 3) ? undefined : waitBefore(fiber, cause, policy, retry)
        // S15: a retry that cannot end in time is not begun, and nobody waits for the deadline to say so.
        if (wait === undefined || Option.exists(left, Duration.isLessThanOrEqualTo(wait)))
          return Effect.failCause(cause)
        const again = Effect.suspend(() => {
          fiber.getRef(Meter).retries += 1
          fiber.getRef(Attempt).count += 1
          return retrying(call, policy, retry + 1)
        })
        return Effect.andThen(Effect.sleep(wait), again)
      })
    )
  )
