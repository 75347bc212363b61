/** The time that this floor keeps by itself is Effect's. */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/testing/TestClock"
import { describe, expect, it } from "vitest"
import * as Alarm from "../../src/concurrency/base/Alarm.ts"
import { lasting, millisOf } from "../../src/concurrency/base/Lasting.ts"
import * as Time from "../../src/concurrency/base/Time.ts"
import { clockLike } from "../support/clock.ts"

const ofEffect = Context.get(Context.empty(), Clock.Clock)
const here = <A, E>(effect: Effect.Effect<A, E>, clock: Clock.Clock) =>
  Effect.runSync(Effect.provideService(effect, Clock.Clock, clock))
/** Numbers from 0 to 1, the same in each run. */
const chance = (n: number): number => Math.abs(Math.sin(n * 12.9898) * 43_758.5453) % 1
const now = Effect.withFiber((fiber) => Effect.succeed(Time.of(fiber)))

describe("a duration", () => {
  const some = [0, 1, 2.5, -1, 7.25, 0.000_001, 0.123_456_7, 12_345.678_9, 1e15, Infinity, -Infinity, NaN]
  const numbers = [...some, ...Array.from({ length: 500 }, (_, i) => (chance(i) - 0.2) * 10 ** (chance(-i - 1) * 12))]
  const units = ["nano", "micro", "milli", "second", "minute", "hour", "day", "week"]
  const fields = ["weeks", "days", "hours", "minutes", "seconds", "milliseconds", "microseconds", "nanoseconds"]
  const forms: ReadonlyArray<readonly [string, (n: number, i: number) => unknown]> = [
    ["in milliseconds", (n) => n],
    ["in nanoseconds", (n) => (Number.isFinite(n) ? BigInt(Math.round(n * 1_000_000)) : 0n)],
    [
      "in words",
      (n, i) => (Math.abs(n) < 1e9 ? `${n.toFixed(i % 7)} ${units[i % 8]}${i % 2 === 0 ? "s" : ""}` : `${n}`)
    ],
    ["as a time", (n, i) => [n, i % 3 === 0 ? n : i]],
    ["by its fields", (n, i) => ({ [fields[i % 8]!]: n, [fields[(i * 5 + 3) % 8]!]: i, unknown: 7 })],
    ["of Effect", (n, i) => Duration.fromInputUnsafe(i % 2 === 0 ? n : { nanoseconds: n })]
  ]
  const ofEffect = (input: unknown): number | "refused" => {
    try {
      return Duration.toMillis(input as Duration.Input)
    } catch {
      return "refused"
    }
  }
  const ours = (input: unknown): number | "refused" => {
    try {
      return millisOf(input as Duration.Input)
    } catch {
      return "refused"
    }
  }
  /** The rounding of the last digit that a number of milliseconds has, or a nanosecond. */
  const isAlike = (one: number | "refused", other: number | "refused"): boolean =>
    Object.is(one, other) ||
    (typeof one === "number" &&
      typeof other === "number" &&
      Math.abs(one - other) <= Math.max(0.000_001_1, Math.abs(one) * 2 * Number.EPSILON))

  it.each(forms)("%s is as long as for Effect", (_, form) => {
    for (const [i, n] of numbers.entries()) {
      const input = form(n, i)
      const [one, other] = [ours(input), ofEffect(input)]
      if (!isAlike(one, other)) expect.fail(`${String(input)}: ${one}, and for Effect ${other}`)
    }
  })

  it.each([
    "1 second",
    "1.5 seconds",
    " 1 second",
    "1  hour",
    "1s",
    "1 constructor",
    "",
    "1",
    "2 secondss",
    "- 1 day",
    "Infinity"
  ])("%j is what it is for Effect", (input) => expect(ours(input)).toBe(ofEffect(input)))
  it.each([[[1]], [[1, "2"]], [[1, 2, 3]], [null], [undefined], [true], [Symbol.iterator], [() => 1]])(
    "%s is what it is for Effect",
    (input) => expect(ours(input)).toBe(ofEffect(input))
  )

  it("is no finer than a nanosecond", () => {
    for (const n of [0.123_456_7, 7.000_000_4]) {
      expect(millisOf(n)).toBe(Duration.toMillis(Duration.millis(n)))
      expect(Duration.toMillis(lasting(n))).toBe(millisOf(n))
    }
  })

  it("made for a clock is one to the functions of Effect", () => {
    for (const n of numbers.filter((n) => n >= 0 && n < 2 ** 53 / 1_000_000)) {
      const [one, other] = [lasting(n), Duration.millis(n)]
      expect(Duration.isDuration(one)).toBe(true)
      expect(Duration.equals(one, other)).toBe(true)
      expect(isAlike(Duration.toMillis(one), Duration.toMillis(other))).toBe(true)
      expect(Duration.format(one)).toBe(Duration.format(other))
      expect(one.pipe(Duration.sum(Duration.seconds(1)), Equal.equals(Duration.sum(other, Duration.seconds(1))))).toBe(
        true
      )
    }
    expect(String(lasting(1500))).toBe(String(Duration.millis(1500)))
  })
})

describe("the clock of a fiber", () => {
  it("is that of the process, which Effect's own is as well", () => {
    expect(Effect.runSync(now)).toBe(Time.ofProcess)
    expect(here(now, ofEffect)).toBe(Time.ofProcess)
    expect(Alarm.of(ofEffect)).toBe(Alarm.of(Time.ofProcess))
  })

  it("is the one that is provided, also where that is made of Effect's", () => {
    const made = [clockLike(ofEffect, {}), Object.create(ofEffect) as Clock.Clock, { ...ofEffect } as Clock.Clock]
    for (const clock of made) {
      expect(here(now, clock)).toBe(clock)
      expect(Alarm.of(clock).clock).toBe(clock)
    }
    const test = Effect.runSync(Effect.scoped(TestClock.make()))
    expect(here(now, test)).toBe(test)
  })

  it("keeps the time that Effect's keeps", () => {
    const order = [
      ofEffect.monotonicTimeNanosUnsafe(),
      Time.ofProcess.monotonicTimeNanosUnsafe(),
      ofEffect.monotonicTimeNanosUnsafe()
    ]
    expect(order).toEqual(order.toSorted((one, other) => Number(one - other)))
    const [one, two] = [Time.ofProcess.currentTimeNanosUnsafe(), BigInt(Date.now()) * 1_000_000n]
    expect(two - one < 60_000_000_000n && one - two < 60_000_000_000n).toBe(true)
  })

  it("sleeps, also longer than a timer can, and not at all", async () => {
    const timers: Array<number> = []
    const { clearTimeout, setTimeout } = globalThis
    let cleared = 0
    Object.assign(globalThis, {
      setTimeout: (f: () => void, millis: number) => {
        timers.push(millis)
        queueMicrotask(f)
        return setTimeout(() => {}, 0)
      },
      clearTimeout: () => void cleared++
    })
    try {
      await Effect.runPromise(Time.ofProcess.sleep(lasting(2 ** 31 + 4)))
      expect(timers).toEqual([2 ** 31 - 1, 5])
      await Effect.runPromise(Time.ofProcess.sleep(lasting(-1)))
      expect(timers).toHaveLength(2)
      const fiber = Effect.runFork(Time.ofProcess.sleep(lasting(3)))
      fiber.interruptUnsafe()
      await Effect.runPromise(Fiber.await(fiber))
      expect([timers[2], cleared]).toEqual([3, 1])
    } finally {
      Object.assign(globalThis, { clearTimeout, setTimeout })
    }
  })
})
