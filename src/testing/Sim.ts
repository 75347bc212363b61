/**
 * Runs any effect in a world of its own, where the order of fibers, the clock and chance are decided by a schedule:
 * repeatable, thousands of runs a second. Time stands still while anything can run and then jumps to the next timer.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { checkWhole } from "../concurrency/base/Options.ts"
import * as Bug from "./search/Bug.ts"
import type { Explored } from "./search/Explored.ts"
import * as Orders from "./search/Orders.ts"
import * as Control from "./sim/Control.ts"
import { chance } from "./sim/Decider.ts"
import { endsCleanly } from "./sim/Leaked.ts"
import { resultOf, type Run } from "./sim/Run.ts"
import type { BugFound, Deadlock, Livelock, OutsideNondeterminism } from "./SimError.ts"
import * as Schedules from "./Schedules.ts"
import * as Trace from "./sim/Trace.ts"
import type { Played } from "./sim/Played.ts"
import * as World from "./sim/World.ts"

export type { Explored } from "./search/Explored.ts"
export type { Run } from "./sim/Run.ts"
export { BugFound, Deadlock, Livelock, OutsideNondeterminism } from "./SimError.ts"
export type { Slice } from "./sim/Trace.ts"
export type { Left } from "./sim/Played.ts"

/** A schedule, or as much of one as matters. */
export interface Options extends Partial<Schedules.Schedule> {
  /** A run that performs more operations is a `Livelock`: one million by default. */
  readonly maxOperations?: number | undefined
}

export interface ExploreOptions<A, E> extends Omit<Options, "choices" | "stop"> {
  /** How many schedules to run, 200 by default; of an exhaustive search, at most. */
  readonly schedules?: number | undefined
  /** Real time after which no further schedule is begun; unlimited by default. */
  readonly budget?: Duration.Input | undefined
  /**
   * What has to hold of each run: throws, gives `false` or an effect that fails, where it does not. By default the effect has
   * to succeed; where it was interrupted, to end without a defect and to leave nothing.
   */
  readonly check?: Bug.Check<A, E> | undefined
  /** Interrupts each run of a seed once more, before a step that the seed picks. */
  readonly stop?: "interrupt" | "kill" | undefined
  /**
   * Runs all orders instead of drawing some: those without preemptions first, then those with one, and so on, up to so many
   * in a run: 2 by default, 0 at `"boundary"`. Gives up after `schedules`, 20,000 by default, or `budget`. A `stop` comes
   * before each step in turn.
   */
  readonly exhaustive?: boolean | { readonly preemptions: number } | undefined
  /** Runs this one schedule instead: the token of a failure. */
  readonly replay?: string | undefined
  /** How many runs may be spent on making the failing schedule smaller, 500 by default. */
  readonly shrinks?: number | undefined
}

/**
 * Runs the effect once, by default as Effect itself would (`strategy: "fifo"`, `granularity: "boundary"`), from time 0 and
 * with `Random` seeded by `seed` (0). Fails with `Deadlock`, which names who waits for what, or `Livelock`; whatever the
 * effect itself fails with is in `exit`. Promises that settle without timers or I/O may take part.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import * as Exit from "effect/Exit"
 * import { Sim } from "skein/testing"
 *
 * const program = Effect.as(Effect.sleep("20 days"), "done")
 * const run = await Effect.runPromise(Sim.run(program))
 *
 * run.exit // => Exit.succeed("done")
 * run.time // => 20 * 24 * 60 * 60 * 1000
 * ```
 */
export const run = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  options: Options = {}
): Effect.Effect<Run<A, E>, Deadlock | Livelock, R> =>
  Effect.flatMap(World.play(effect, settingsOf(options)), (played) =>
    played.end._tag === "Exit" || played.end._tag === "Killed"
      ? settle(played)
      : Effect.flatMap(World.play(effect, { ...settingsOf(options), detail: true }), settle)
  )

/**
 * Gives what the effect gives, in virtual time that goes on by itself: for a test under a clock that does not, as in
 * `it.effect`. Fails with `Deadlock` or `Livelock` where `run` does.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { Sim } from "skein/testing"
 *
 * await Effect.runPromise(Sim.autoAdvance(Effect.delay(Effect.succeed("morning"), "8 hours"))) // => "morning"
 * ```
 */
export const autoAdvance = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  options?: Options
): Effect.Effect<A, E | Deadlock | Livelock, R> => Effect.flatMap(run(effect, options), ({ exit }) => exit)

/**
 * Waits until no other fiber of the simulation can run and all wait for something, be it time, which stands still
 * meanwhile. Dies outside of simulations.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import * as Fiber from "effect/Fiber"
 * import * as Queue from "effect/Queue"
 * import { Sim } from "skein/testing"
 *
 * const program = Effect.gen(function* () {
 *   const queue = yield* Queue.unbounded<string>()
 *   const reader = yield* Effect.forkChild(Queue.take(queue))
 *   yield* Sim.waitAllBlocked
 *   yield* Queue.offer(queue, "for one who already waits")
 *   return yield* Fiber.join(reader)
 * })
 *
 * await Effect.runPromise(Sim.autoAdvance(program)) // => "for one who already waits"
 * ```
 */
export const waitAllBlocked: Effect.Effect<void> = Effect.withFiber((fiber) => {
  const idle = fiber.getRef(Control.Idle)
  if (idle === undefined)
    return Effect.die(new Error("Sim.waitAllBlocked works in a simulation only: wrap the test in Sim.run"))
  return Effect.callback<void>((resume) => void idle.push(() => resume(Effect.void)))
})

/**
 * Runs the effect under many schedules: the natural one, then one for each seed from `seed` (1) on, alternating between the
 * strategies and granularities that are not given. The first run that fails, deadlocks, does not end or does not pass
 * `check` is repeated (a difference is `OutsideNondeterminism`), made smaller, and reported as `BugFound` with a token for
 * `replay` and a table of who did what. With `exhaustive` it goes through all orders of a small program instead, and says
 * in `summary` how many there are.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import * as Ref from "effect/Ref"
 * import { Sim } from "skein/testing"
 *
 * const program = Effect.gen(function* () {
 *   const total = yield* Ref.make(0)
 *   const add = Effect.flatMap(Ref.get(total), (n) => Ref.set(total, n + 1))
 *   yield* Effect.all([add, add], { concurrency: 2 })
 *   if ((yield* Ref.get(total)) !== 2) return yield* Effect.fail("lost an update")
 * })
 * const bug = await Effect.runPromise(Effect.flip(Sim.explore(program)))
 *
 * bug._tag // => "BugFound"
 *
 * const turns = Effect.all([Effect.yieldNow, Effect.yieldNow, Effect.yieldNow], { concurrency: 3 })
 * const { summary } = await Effect.runPromise(Sim.explore(turns, { exhaustive: true, granularity: "boundary" }))
 *
 * summary // => "all 6 orders without preemptions"
 * ```
 */
export const explore = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  options: ExploreOptions<A, E> = {}
): Effect.Effect<Explored, BugFound | OutsideNondeterminism, R> =>
  Effect.suspend(() => {
    const search: Bug.Search<A, E> = {
      check: options.check ?? ((run) => (run.stopped ? endsCleanly(run) : Bug.succeeds(run))),
      shrinks: options.shrinks ?? 500,
      settings: (schedule) => ({ ...settingsOf({ ...schedule, maxOperations: options.maxOperations }), quiet: true })
    }
    if (options.replay !== undefined) {
      const schedule = Schedules.parse(options.replay)
      return Effect.as(Bug.run(effect, { ...search, shrinks: 0 }, schedule, 1), drawn(1, 1))
    }
    const until = options.budget === undefined ? Infinity : now() + Duration.toMillis(options.budget)
    const first = options.seed ?? 1
    if (options.exhaustive) {
      const usual = options.granularity === "boundary" ? 0 : 2
      const preemptions = options.exhaustive === true ? usual : options.exhaustive.preemptions
      checkWhole("preemptions", preemptions, 0, "unlimited")
      const schedules = options.schedules ?? 20_000
      const isTimeLeft = () => now() < until
      return Orders.all(effect, search, { seed: first, preemptions, schedules, isTimeLeft, stop: options.stop })
    }
    const seen = new Set<number>()
    const total = options.schedules ?? 200
    const next = (index: number): Effect.Effect<Explored, BugFound | OutsideNondeterminism, R> => {
      if (index >= total || (index > 0 && now() >= until)) {
        return Effect.succeed(drawn(index, seen.size))
      }
      const schedule = scheduleAt(index, first, options)
      return Effect.flatMap(Bug.run(effect, search, schedule, index + 1), (played) => {
        seen.add(played.fingerprint)
        if (options.stop === undefined) return next(index + 1)
        const stop = stopAt(schedule.seed, options.stop, played)
        return Effect.flatMap(Bug.run(effect, search, { ...schedule, stop }, index + 1), () => next(index + 1))
      })
    }
    return next(0)
  })

/**
 * Runs the effect as the token of an earlier run says, and keeps what each fiber did for `Sim.table`. Dies
 * with `Schedules.BadToken` where the token is none.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { Sim } from "skein/testing"
 *
 * const program = Effect.all([Effect.yieldNow, Effect.yieldNow], { concurrency: 2 })
 * const { order, token } = await Effect.runPromise(Sim.run(program, { seed: 3, strategy: "random" }))
 * const again = await Effect.runPromise(Sim.replay(program, token))
 *
 * String(again.order) // => String(order)
 * ```
 */
export const replay = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  token: string,
  options: Pick<Options, "maxOperations"> = {}
): Effect.Effect<Run<A, E>, Deadlock | Livelock, R> =>
  Effect.suspend(() => {
    const settings = settingsOf({ ...Schedules.parse(token), ...options })
    return Effect.flatMap(World.play(effect, { ...settings, detail: true }), settle)
  })

/**
 * Writes a line into the table, in the column of the fiber: for steps between operations, which the simulation does not
 * see. Does nothing outside of simulations.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { Sim } from "skein/testing"
 *
 * const run = await Effect.runPromise(Sim.replay(Sim.note("half way"), "sim1:0:boundary:fifo"))
 *
 * Sim.table(run).includes("half way") // => true
 * ```
 */
export const note: (text: string) => Effect.Effect<void> = Control.note

/**
 * What the fibers of a replayed run did, as a table: a column for each fiber, under the name of its task, span or
 * `Effect.fn`, and time downwards.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { Sim } from "skein/testing"
 *
 * const run = await Effect.runPromise(Sim.replay(Effect.sleep("2 seconds"), "sim1:0:boundary:fifo"))
 *
 * Sim.table(run).split("\n").length // => 3
 * ```
 */
export const table = <A, E>(run: Run<A, E>): string => Trace.table(run.trace, run.fibers)

const settle = <A, E>(played: Played<A, E>): Effect.Effect<Run<A, E>, Deadlock | Livelock> => {
  const result = resultOf(played)
  return "exit" in result ? Effect.succeed(result) : Effect.fail(result)
}

const settingsOf = ({ maxOperations, ...schedule }: Options): World.Settings => ({
  schedule: {
    ...schedule,
    seed: (schedule.seed ?? 0) >>> 0,
    strategy: schedule.strategy ?? "fifo",
    granularity: schedule.granularity ?? "boundary"
  },
  maxOperations
})

/** The first is the natural one; then each strategy has its turn. */
const scheduleAt = (
  index: number,
  first: number,
  { granularity, strategy }: Pick<Options, "strategy" | "granularity">
): Schedules.Schedule => {
  const [turn, fine] = index === 0 ? (["fifo", false] as const) : turns[index % turns.length]!
  return {
    seed: first + index,
    strategy: strategy ?? turn,
    granularity: granularity ?? (fine ? "op" : "boundary")
  }
}

const turns: ReadonlyArray<readonly [Schedules.Strategy, boolean]> = [
  ["random", true],
  ["pct", true],
  ["random", false],
  ["random", true],
  ["pct", false]
]

/** Of an interruption, the victim; from when it is first seen on, and never before the effect has begun. */
const stopAt = <A, E>(
  seed: number,
  how: Schedules.Stop["how"],
  { born, steps, victim }: Played<A, E>
): Schedules.Stop => {
  const fiber = how === "interrupt" ? victim : 0
  const first = Math.max(1, born[fiber]!)
  return { how, step: first + Math.floor(chance(seed ^ 0x570b)() * (steps - first)), fiber }
}

const drawn = (schedules: number, distinct: number): Explored => ({
  schedules,
  distinct,
  complete: false,
  summary: `${schedules} schedules, ${distinct} of them different`
})

/** A budget is about real time, also where a test has set the clock of its own. */
const now = (): number => Clock.Clock.defaultValue().currentTimeMillisUnsafe()
