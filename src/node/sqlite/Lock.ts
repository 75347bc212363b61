/** Waiting for another process that holds the lock, with timers: SQLite's own busy handler would block the thread. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as Alarm from "../../concurrency/base/Alarm.ts"
import { isBusy } from "./Failure.ts"

export type RetryLock = <A, E, R>(effect: Effect.Effect<A, E, R>, mayRetry?: () => boolean) => Effect.Effect<A, E, R>

export const waitForLock = (timeout: Duration.Duration): RetryLock => {
  const schedule = Schedule.min([Schedule.exponential("1 millis"), Schedule.spaced("50 millis")])
  return (effect, mayRetry = () => true) => {
    const waits = (error: unknown): boolean => isBusy(error) && mayRetry()
    // A schedule costs more than a statement, so it is set up only for the one that has to wait.
    return Effect.catchIf(effect, waits, () =>
      Effect.clockWith((clock) => {
        const until = Alarm.now(clock) + Duration.toMillis(timeout)
        return Effect.retry(effect, { while: (error) => waits(error) && Alarm.now(clock) < until, schedule })
      })
    )
  }
}
