/** S21: runs a failed effect again, on a schedule and within a budget. */
import * as Cause from "effect/Cause"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import { constVoid } from "effect/Function"
import type * as Schedule from "effect/Schedule"
import * as Alarm from "../base/Alarm.ts"
import { millisOf } from "../base/Lasting.ts"
import { checkDuration, checkWhole } from "../base/Options.ts"
import * as Time from "../base/Time.ts"
import * as Wait from "../base/Wait.ts"

export interface RestartOptions {
  /** When a failed task starts again, counted from its end; its own end is the end of restarting. */
  readonly restart: Schedule.Schedule<unknown, unknown>
  /** How many restarts there may be in any stretch of `per`; one more fails. Default: any number. */
  readonly maxRestarts?: { readonly times: number; readonly per: Duration.Input } | undefined
}

/** The group of a task that restarts. */
interface Restarting {
  readonly state: string
  /** Calls `f` when its body ends; the function it gives takes that back. */
  readonly whenClosing: (f: () => void) => () => void
}

/**
 * The instance that failed has run its finalizers before the next one starts, as both are the same fiber's work. A
 * cancellation ends it, and once the group is closing so does a failure; a pause is over then.
 */
export const restarting = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  options: RestartOptions,
  group: Restarting
): Effect.Effect<A, E, R> => {
  checkWhole("TaskGroup: maxRestarts.times", options.maxRestarts?.times, 0, "unlimited")
  checkDuration("TaskGroup: maxRestarts.per", options.maxRestarts?.per)
  return Effect.withFiber((fiber) => {
    const clock = Time.of(fiber)
    // A schedule counts from the first moment it is given. A step of the wall clock would move all that comes after it.
    const epoch = clock.currentTimeMillisUnsafe() - Alarm.now(clock)
    const recent: Array<number> = []
    const isOverBudget = (now: number): boolean => {
      if (options.maxRestarts === undefined) return false
      const since = now - millisOf(options.maxRestarts.per)
      while (recent.length > 0 && recent[0]! <= since) recent.shift()
      return recent.push(now) > options.maxRestarts.times
    }
    return Effect.flatMap(stepOf(options.restart), (step) => {
      const attempt: Effect.Effect<A, E, R> = Effect.catchCause(effect, (cause) => {
        const last = Effect.failCause(cause)
        if (Cause.hasInterrupts(cause)) return last
        const now = Alarm.now(clock)
        return isOverBudget(now)
          ? last
          : Effect.flatMap(
              Effect.catchCause(step(epoch + now, Cause.squash(cause)), () => Effect.succeed(undefined)),
              (next) =>
                next === undefined
                  ? last
                  : Effect.flatMap(pause(fiber, clock, next[1], group), () => (group.state === "open" ? attempt : last))
            )
      })
      return attempt
    })
  })
}

/** As `Schedule.toStep`, which comes with `Duration` and is a fifteenth of what a browser would load. */
const stepOf = (schedule: RestartOptions["restart"]) =>
  Effect.catchCause(
    // Not among its types, as `toStep` is the public way to it; the tests of restarts hold that it is there.
    (schedule as unknown as { readonly step: ReturnType<typeof Schedule.toStep<unknown, unknown, never, never>> }).step,
    (cause) => Effect.succeed(() => Effect.failCause(cause))
  )

/** Waits so long, or until the body of the group has ended. */
const pause = (
  fiber: Fiber.Fiber<unknown, unknown>,
  clock: Time.Time,
  duration: Duration.Duration,
  group: Restarting
): Effect.Effect<void> =>
  Wait.callback("its restart", (resume) => {
    let stop = constVoid
    const end = () => {
      appointment.withdraw()
      stop()
    }
    const appointment = Alarm.appointment(() => over())
    const over = () => {
      end()
      resume(Effect.void)
    }
    Alarm.of(clock).set(appointment, Alarm.now(clock) + millisOf(duration), fiber.cache.scheduler)
    stop = group.whenClosing(over)
    return Effect.sync(end)
  })
