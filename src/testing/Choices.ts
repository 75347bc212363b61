/**
 * Where everything in a simulated run that could go one way or another is decided: which fiber is next, where one is
 * preempted, what fails. One list of numbers is a whole run, so one list is what is replayed and shrunk.
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import { VirtualClock } from "./sim/VirtualClock.ts"

export interface Choices {
  /** A whole number from 0 to `options - 1`. Shrinking goes towards 0: let it be what happens on a good day. */
  readonly choose: (options: number) => number
  /** True with this probability; shrinking goes towards false. */
  readonly happens: (probability: number) => boolean
}

/**
 * The choices of the run that a fiber is part of; outside of simulations Effect's `Random` decides.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import * as Exit from "effect/Exit"
 * import { Choices, Sim } from "skein/testing"
 *
 * const isSimulated = Effect.map(Choices.Choices, (choices) => choices !== undefined)
 * const run = await Effect.runPromise(Sim.run(isSimulated))
 *
 * run.exit // => Exit.succeed(true)
 * await Effect.runPromise(isSimulated) // => false
 * ```
 */
export const Choices: Context.Reference<Choices | undefined> = Context.Reference("skein/testing/Choices", {
  defaultValue: (): Choices | undefined => undefined
})

/**
 * A whole number from 0 to `options - 1`, decided as the order of fibers is: explored, replayed and shrunk (towards 0)
 * with it. For simulated services of your own.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import * as Exit from "effect/Exit"
 * import { Choices, Sim } from "skein/testing"
 *
 * const reply = Effect.map(Choices.choose(3), (n) => ["ok", "slow", "lost"][n])
 * const run = await Effect.runPromise(Sim.run(reply, { strategy: "fifo" }))
 *
 * run.exit // => Exit.succeed("ok")
 * ```
 */
export const choose = (options: number): Effect.Effect<number> =>
  Effect.map(current, (choices) => choices.choose(options))

/**
 * True with this probability (0 to 1), decided as the order of fibers is: explored, replayed and shrunk (towards false)
 * with it.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import * as Exit from "effect/Exit"
 * import { Choices, Sim } from "skein/testing"
 *
 * const run = await Effect.runPromise(Sim.run(Choices.happens(0.1), { strategy: "fifo" }))
 *
 * run.exit // => Exit.succeed(false)
 * ```
 */
export const happens = (probability: number): Effect.Effect<boolean> =>
  Effect.map(current, (choices) => choices.happens(probability))

/** How long something takes: always the same, or drawn anew each time. */
export type Latency = Duration.Input | { readonly min: Duration.Input; readonly max: Duration.Input }

/**
 * Sleeps for as long as something outside may take, decided as the order of fibers is: the shortest on a good day, and else
 * one of ten longer ones, or until the very moment at which somebody else wakes, so that both are there at once.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { Choices, Sim } from "skein/testing"
 *
 * const reply = Choices.latency({ min: "20 millis", max: "80 millis" })
 *
 * const { time } = await Effect.runPromise(Sim.run(reply))
 * time // => 20
 * ```
 */
export const latency = (latency: Latency): Effect.Effect<void> => {
  if (typeof latency !== "object" || !("min" in latency)) return Effect.sleep(latency)
  const min = Duration.toMillis(latency.min)
  const max = Duration.toMillis(latency.max)
  return Effect.clockWith((clock) => {
    const steps = Array.from({ length: 11 }, (_, step) => min + ((max - min) * step) / 10)
    const meeting =
      clock instanceof VirtualClock ? clock.moments(clock.now + min, clock.now + max).map((at) => at - clock.now) : []
    return choose(meeting.length === 0 ? 1 : 2).pipe(
      Effect.map((meets) => (meets === 1 ? meeting : steps)),
      Effect.flatMap((ways) => Effect.flatMap(choose(ways.length), (way) => Effect.sleep(ways[way]!)))
    )
  })
}

const current: Effect.Effect<Choices> = Effect.withFiber((fiber) =>
  Effect.succeed(fiber.getRef(Choices) ?? byRandom(fiber.getRef(Random.Random)))
)

const byRandom = (random: { nextDoubleUnsafe(): number }): Choices => ({
  choose: (options) => Math.floor(random.nextDoubleUnsafe() * options),
  happens: (probability) => random.nextDoubleUnsafe() < probability
})
