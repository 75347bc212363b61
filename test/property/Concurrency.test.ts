/** Programs made at random of everything that groups are made of: whatever becomes of them, they end and leave nothing. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Logger from "effect/Logger"
import { expect, it } from "vitest"
import { Cancel, Deadline, Joiner, Limiter, TaskGroup } from "skein"
import { Leaks, Sim } from "skein/testing"
import { chance } from "../../src/testing/sim/Decider.ts"

// What is made at random has lost its types.
type Part = Effect.Effect<any, any, any>

interface Shared {
  readonly slot: Limiter.Limiter
  readonly keys: Limiter.Keyed<string>
}

/** A program of this seed; each run of it is made anew, and is the same. */
const programOf = (seed: number): Effect.Effect<Exit.Exit<unknown, unknown>> => {
  const make = ({ keys, slot }: Shared): Part => {
    const next = chance(seed)
    const below = (n: number) => Math.floor(next() * n)
    const pick = <A>(...options: ReadonlyArray<A>): A => options[below(options.length)]!
    const leaf = (): Part =>
      pick<Part>(
        Effect.sleep(below(6)),
        Effect.yieldNow,
        Effect.succeed("value"),
        Effect.fail("error"),
        Effect.die("defect"),
        Effect.onInterrupt(Effect.sleep(9), () => Effect.sleep(1)),
        Effect.ensuring(Effect.sleep(3), Effect.sleep(1))
      )
    // What would be a deadlock of the program is left out: whoever holds a permit waits for no task outside, which might want
    // it, and the slot is asked for before a key, and one key alone.
    const part = (depth: number, holds: "nothing" | "slot" | "key"): Part => {
      if (depth <= 0) return leaf()
      const inner = (nowHolds = holds): Part => part(depth - 1, nowHolds)
      const millis = below(6)
      const some = inner()
      const kinds: ReadonlyArray<() => Part> = [
        () => Effect.andThen(some, inner()),
        () => Effect.exit(some),
        () => Effect.ignore(Effect.all([some, inner()], { concurrency: 2 })),
        () => TaskGroup.open(Effect.andThen(TaskGroup.spawn(some) as Part, inner())) as Part,
        () => (holds === "key" ? some : slot.withPermit(inner("slot"))),
        () => (holds === "key" ? some : keys.withPermit(pick("a", "b"))(inner("key"))),
        () => Deadline.moveOn(some, millis),
        () => Effect.ignore(Deadline.within(some, millis)),
        () => Effect.ignore(Cancel.shield(some, { within: millis + 1 }) as Part),
        () =>
          Effect.ignore(
            Cancel.scope(({ cancel }) => Effect.raceFirst(some, Effect.andThen(Effect.sleep(millis), cancel())))
          ),
        () => Effect.raceFirst(some, Cancel.stopRequested),
        () => Effect.ignore(Joiner.all([some, inner(), inner()], { limit: 1 + below(3) }) as Part),
        () => Effect.ignore(Joiner.race([some, inner()]) as Part),
        () => Effect.ignore(Joiner.first([some, inner()], { within: millis + 1 }) as Part),
        () => TaskGroup.stop(),
        () => TaskGroup.cancel("enough"),
        () => TaskGroup.spawn(some, { kind: pick("task", "daemon", "service") }) as Part,
        () => Effect.flatMap(TaskGroup.supervise(some) as Part, (task) => Effect.exit(task.join)),
        () => Effect.ignore(TaskGroup.start((ready) => Effect.andThen(ready(1), some) as Part) as Part),
        () =>
          Effect.flatMap(TaskGroup.spawn(some) as Part, (task) =>
            Effect.andThen(Effect.sleep(millis), pick(task.cancel("no longer needed"), task.stop(), task.exit))
          )
      ]
      return kinds[below(holds === "nothing" ? kinds.length : kinds.length - 3)]!()
    }
    return part(4 + below(3), "nothing")
  }
  return Effect.gen(function* () {
    const slot = yield* Limiter.concurrency(1)
    const keys = yield* Limiter.perKey((_: string) => Limiter.concurrency(1))
    yield* Leaks.limiter(slot)
    yield* Leaks.watch("limiter of a key", () => Effect.runSync(keys.stats).size)
    return yield* Effect.exit(TaskGroup.open(make({ slot, keys })) as Effect.Effect<unknown, unknown>)
  }).pipe(Effect.provideService(Logger.CurrentLoggers, new Set()))
}

/** Errors and defects of the program are right; those of JavaScript are ours. */
const check = (run: Sim.Run<Exit.Exit<unknown, unknown>, never>) => {
  Effect.runSync(Leaks.check(run))
  const exit = Exit.isSuccess(run.exit) ? run.exit.value : run.exit
  const defects = Exit.isSuccess(exit) ? [] : exit.cause.reasons.filter(Cause.isDieReason).map(({ defect }) => defect)
  expect(defects.filter((defect) => defect instanceof TypeError || defect instanceof RangeError)).toEqual([])
}

const programs = process.env["SKEIN_DEEP"] === "1" ? 20_000 : 150

it(
  "S1 programs made at random end and leave nothing behind, in any order, also when they are interrupted",
  { timeout: 3_600_000 },
  () => {
    for (let seed = 1; seed <= programs; seed++) {
      const stop = seed % 2 === 0 ? ({ stop: "interrupt" } as const) : {}
      Effect.runSync(Sim.explore(programOf(seed), { schedules: 20, check, ...stop }))
    }
  }
)
