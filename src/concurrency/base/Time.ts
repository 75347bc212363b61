/**
 * The clock of a fiber: the one its program provides, or that of the process. Effect's own for the process needs all of `Duration`,
 * which is a tenth of what a browser would load; this one keeps the same time.
 */
// @effect-diagnostics globalDate:off globalTimers:off globalTimersInEffect:off
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import { millisOf } from "./Lasting.ts"
import * as Wait from "./Wait.ts"

/** What this floor asks of a clock. */
export interface Time {
  currentTimeMillisUnsafe(): number
  currentTimeNanosUnsafe(): bigint
  monotonicTimeNanosUnsafe(): bigint
  sleep(duration: Duration.Duration): Effect.Effect<void>
}

/** The clock of this fiber. */
export const of = (fiber: Fiber.Fiber<unknown, unknown>): Time => known(fiber.getRef(Current))

/** That of the process where it is Effect's, which a program may have provided all the same; else itself. */
export const known = (clock: Time): Time => (clock !== ofProcess && isOfEffect(clock) ? ofProcess : clock)

/** By the name of a method, as its class is not exported; `test/concurrency/Time.test.ts` holds that it is there. */
const isOfEffect = (clock: Time): boolean => Object.hasOwn(Object.getPrototypeOf(clock) ?? {}, "sleepMillis")

/** The timers, and what tells the time, as they were before a test replaced them. */
const hrtime = /* @__PURE__ */ (() => globalThis.process?.hrtime)()

const inNanos = (millis: number): bigint => BigInt(Math.round(millis * 1_000_000))

export const ofProcess: Time = {
  currentTimeMillisUnsafe: () => Date.now(),
  currentTimeNanosUnsafe: () => inNanos(Date.now()),
  monotonicTimeNanosUnsafe: () => hrtime?.bigint?.() ?? inNanos((globalThis.performance ?? Date).now()),
  sleep: (duration) => sleep(millisOf(duration))
}

/** The longest that a timer takes. */
const longest = 2 ** 31 - 1

const sleep = (millis: number): Effect.Effect<void> =>
  millis <= 0
    ? Effect.yieldNow
    : Wait.callback("a timer", (resume) => {
        const then = millis > longest ? sleep(millis - longest) : Effect.void
        const timer = setTimeout(() => resume(then), Math.min(millis, longest))
        return Effect.sync(() => clearTimeout(timer))
      })

const Current: Context.Reference<Time> = /* @__PURE__ */ Context.Reference("effect/Clock", {
  defaultValue: (): Time => ofProcess
})
