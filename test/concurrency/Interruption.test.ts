import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import { Cancel, Deadline, Joiner, TaskGroup } from "skein"
import { Sim } from "skein/testing"
import { describe, expect, it, vi } from "vitest"
import { chance } from "../../src/testing/sim/Decider.ts"
import type * as Interruption from "../../src/concurrency/base/Interruption.ts"
import { apart, isRight, together } from "../../src/concurrency/base/Interruption.ts"
import type { Reason } from "../../src/concurrency/base/Reason.ts"

const mode = vi.hoisted((): { way: "apart" | "together" | "chosen" } => ({ way: "chosen" }))
vi.mock("../../src/concurrency/base/Interruption.ts", async (load) => {
  const real = await load<typeof Interruption>()
  const ways = { apart: real.apart, together: real.together, chosen: real.interrupting }
  return { ...real, interrupting: (reason: Reason) => ways[mode.way](reason) }
})

describe("one cause for all that are interrupted together", () => {
  it("is what this version of Effect lets through: if not, see what changed in its fibers, as cancelling costs more now", () => {
    expect(isRight(together)).toBe(true)
  })

  it("is one object", () => {
    const interrupt = together({ kind: "explicit", by: "test", message: "enough" })
    const exits = [1, 2].map(() => {
      const fiber = Effect.runFork(Effect.never)
      interrupt(fiber)
      return fiber.pollUnsafe()!
    })
    const [one, other] = exits.map((exit) => (Exit.isFailure(exit) ? exit.cause.reasons[0] : undefined))
    expect(one).toBeDefined()
    expect(other === one).toBe(true)
  })
})

const inside = (fiber: object) => fiber as Record<string, unknown>

describe("the check finds", () => {
  it("nothing wrong with what is public", () => {
    expect(isRight(apart)).toBe(true)
  })

  const wrong: Record<string, (reason: Reason) => (fiber: Fiber.Fiber<unknown, unknown>) => void> = {
    "that the reason is lost": () => (fiber) => fiber.interruptUnsafe(),
    "that nothing happens": () => () => {},
    "what is thrown": () => () => {
      throw new Error("no such thing")
    },
    "that it says so twice": (reason) => (fiber) => {
      apart(reason)(fiber)
      apart(reason)(fiber)
    },
    "that a fiber which runs goes on": (reason) => (fiber) => {
      if (inside(fiber)["_running"] === true) inside(fiber)["_interruptedCause"] = undefined
      else apart(reason)(fiber)
    },
    "that a fiber which waits goes on waiting": (reason) => (fiber) => {
      const isWaiting = inside(fiber)["_running"] === false
      if (!isWaiting) apart(reason)(fiber)
    },
    "that a shield is broken": (reason) => (fiber) => {
      apart(reason)(fiber)
      inside(fiber)["_deferredInterrupt"] = true
    }
  }

  it.each(Object.entries(wrong))("%s", (_, way) => {
    expect(isRight(way)).toBe(false)
  })
})

/** Its fiber has a frame of a stack trace. */
const named = Effect.fn("named")(function* () {
  return yield* Effect.ensuring(Effect.never, Effect.sleep(1))
})

// What is made at random has lost its types.
type Part = Effect.Effect<any, any, any>

/** A program of this seed that cancels in many ways, and notes whatever can be seen of that from inside. */
const programOf = (seed: number, note: (...words: ReadonlyArray<unknown>) => void): Effect.Effect<unknown, unknown> =>
  Effect.suspend(() => {
    const next = chance(seed)
    const below = (n: number) => Math.floor(next() * n)
    const pick = <A>(...options: ReadonlyArray<A>): A => options[below(options.length)]!
    let parts = 0
    const noted = (effect: Part): Part => {
      const part = ++parts
      return effect.pipe(
        Effect.onExit((exit) =>
          Effect.map(Cancel.reason, (reason) => note(part, "ended", told(exit), Option.getOrUndefined(reason)?.message))
        ),
        Cancel.cleanup((reason) => Effect.sync(() => note(part, "cancelled", Option.getOrUndefined(reason)?.message)))
      )
    }
    const leaf = (): Part =>
      pick<() => Part>(
        () => Effect.never,
        () => Effect.sleep(below(6)),
        () => Effect.yieldNow,
        () => Effect.fail("error"),
        () => Effect.uninterruptible(Effect.sleep(4)),
        () => Effect.catchCause(Effect.never, () => Effect.fail("in its handler")),
        () => Effect.ensuring(Effect.never, pick(Effect.sleep(2), Effect.die("in cleanup"), Effect.yieldNow)),
        () => named(),
        () => Cancel.shield(Effect.sleep(3), { within: 5 }),
        () => TaskGroup.cancel("enough")
      )()
    const part = (depth: number): Part => {
      if (depth <= 0) return noted(leaf())
      const some = part(depth - 1)
      const inner = () => part(depth - 1)
      const millis = below(6)
      return noted(
        pick<() => Part>(
          () => TaskGroup.open(Effect.andThen(TaskGroup.spawn(some) as Part, inner())) as Part,
          () =>
            TaskGroup.open(Effect.all([TaskGroup.spawn(some), TaskGroup.spawn(inner(), { kind: "daemon" })] as any)),
          () => Effect.all([some, inner()], { concurrency: 2 }),
          () => Effect.uninterruptibleMask((restore) => Effect.andThen(Effect.sleep(1), restore(some))),
          () => Joiner.race([some, inner()]) as Part,
          () => Joiner.all([some, inner(), inner()], { limit: 2 }) as Part,
          () => Deadline.within(some, millis),
          () => TaskGroup.spawn(some, { kind: pick("task", "daemon", "service") }) as Part,
          () =>
            Effect.flatMap(TaskGroup.supervise(some) as Part, (task) =>
              Effect.andThen(Effect.sleep(millis), Effect.andThen(task.cancel(`after ${millis}`), task.exit))
            ),
          () =>
            Effect.flatMap(TaskGroup.spawn(some) as Part, (task) =>
              Effect.andThen(
                Effect.sleep(millis),
                Effect.all([task.cancel("one"), task.cancel("two")], { concurrency: 2 })
              )
            )
        )()
      )
    }
    const body = Effect.andThen(
      TaskGroup.spawn(part(3 + below(2))) as Part,
      Effect.andThen(Effect.sleep(8), TaskGroup.cancel("the end"))
    )
    return TaskGroup.open(body as Effect.Effect<unknown, unknown>)
  }).pipe(Effect.provideService(Logger.CurrentLoggers, new Set()))

/** An exit in words: each failure and interruption in its place, with why. */
const told = (exit: Exit.Exit<unknown, unknown>): ReadonlyArray<unknown> =>
  Exit.isSuccess(exit)
    ? ["succeeded"]
    : exit.cause.reasons.map((reason) => [
        reason._tag,
        [...reason.annotations.keys()],
        reason._tag === "Interrupt"
          ? Option.getOrUndefined(Cancel.reasonOf(Cause.fromReasons([reason])))
          : String(reason._tag === "Die" ? reason.defect : reason.error)
      ])

const seeds = process.env["SKEIN_DEEP"] === undefined ? 120 : 10_000

describe("S23 interrupting together", () => {
  it("does what interrupting one by one does: exits, reasons, finalizers and their order, in nested groups too", () => {
    const run = (seed: number, way: typeof mode.way) => {
      mode.way = way
      const notes: Array<unknown> = []
      const how = seed % 3 === 0 ? ({ stop: { how: "interrupt", step: 5 + (seed % 20), fiber: 0 } } as const) : {}
      const program = programOf(seed, (...words) => notes.push(words))
      const ended = Effect.runSync(Sim.run(program, { seed, strategy: "random", granularity: "op", ...how }))
      return { notes, exit: told(ended.exit), order: ended.order, operations: ended.operations, time: ended.time }
    }
    let cancelled = 0
    try {
      for (let seed = 1; seed <= seeds; seed++) {
        const one = run(seed, "together")
        expect(one, `seed ${seed}`).toEqual(run(seed, "apart"))
        cancelled += one.notes.filter((words) => (words as ReadonlyArray<unknown>)[1] === "cancelled").length
      }
    } finally {
      mode.way = "chosen"
    }
    // Most of them were, or this would say nothing.
    expect(cancelled).toBeGreaterThan(seeds)
  })
})
