import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import { Cancel, Deadline, Joiner, Registry, Task, TaskGroup } from "skein"
import { Sim } from "skein/testing"
import { describe, expect, it, vi } from "vitest"
import { chance } from "../../src/testing/sim/Decider.ts"
import type * as Interruption from "../../src/concurrency/base/Interruption.ts"
import { isAlone } from "../../src/concurrency/base/Interruption.ts"

const mode = vi.hoisted((): { way: "one fiber each" | "lanes" } => ({ way: "lanes" }))
vi.mock("../../src/concurrency/base/Interruption.ts", async (load) => {
  const real = await load<typeof Interruption>()
  return {
    ...real,
    isAlone: (fiber: Fiber.Fiber<unknown, unknown>) => mode.way === "lanes" && real.isAlone(fiber)
  }
})

const fiberOf = <A>(f: (fiber: Fiber.Fiber<unknown, unknown>) => A) =>
  Effect.withFiber((fiber) => Effect.succeed(f(fiber)))

describe("a fiber is alone", () => {
  const looked = (prepare: Effect.Effect<unknown>) => {
    const fiber = Effect.runFork(
      Effect.andThen(
        prepare,
        Effect.callback<void>(() => {})
      )
    )
    fiber.addObserver(() => {})
    const seen = isAlone(fiber)
    fiber.interruptUnsafe()
    return seen
  }

  it("where nobody but one observer waits for its end: if not, see what changed in Effect's fibers, as joiners cost more now", () => {
    expect(looked(Effect.void)).toBe(true)
    // A child that has ended is none.
    expect(looked(Effect.forkChild(Effect.void, { startImmediately: true }))).toBe(true)
  })

  it("but not with a child", () => {
    expect(looked(Effect.forkChild(Effect.never, { startImmediately: true }))).toBe(false)
  })

  it("but not with an observer more", () => {
    expect(looked(fiberOf((fiber) => fiber.addObserver(() => {})))).toBe(false)
  })

  it("but not with an interruption that it is behind with", () => {
    const itself = fiberOf((fiber) => fiber.interruptUnsafe())
    let seen: boolean | undefined
    const look = fiberOf((fiber) => {
      fiber.addObserver(() => {})
      seen = isAlone(fiber)
    })
    Effect.runFork(Effect.uninterruptible(Effect.andThen(itself, look)))
    expect(seen).toBe(false)
  })

  it("but not where Effect keeps all that elsewhere", () => {
    const made = { _observers: [() => {}], _children: undefined, _interruptedCause: undefined }
    const without = (key: keyof typeof made) => {
      const { [key]: _, ...rest } = made
      return isAlone(rest as unknown as Fiber.Fiber<unknown, unknown>)
    }
    expect(isAlone(made as unknown as Fiber.Fiber<unknown, unknown>)).toBe(true)
    expect(without("_observers")).toBe(false)
    expect(without("_children")).toBe(false)
    expect(without("_interruptedCause")).toBe(false)
  })
})

// What is made at random has lost its types.
type Part = Effect.Effect<any, any, any>

const told = (exit: Exit.Exit<unknown, unknown>): unknown =>
  Exit.isSuccess(exit)
    ? [
        "succeeded",
        Array.isArray(exit.value) ? exit.value.map((one) => (Exit.isExit(one) ? told(one) : one)) : exit.value
      ]
    : exit.cause.reasons.map((reason) => [
        reason._tag,
        reason._tag === "Interrupt"
          ? Option.getOrUndefined(Cancel.reasonOf(Cause.fromReasons([reason])))
          : String(reason._tag === "Die" ? reason.defect : reason.error)
      ])

/** All that is listed and has not ended. */
const runningIn = (groups: ReadonlyArray<Registry.GroupInfo>): ReadonlyArray<unknown> =>
  groups.map(({ tasks, ...group }) => [
    group,
    tasks
      .filter(({ state }) => state === "running" || state === "cancelling")
      .map(({ groups, ...task }) => [task, runningIn(groups)])
  ])

class Mark extends Context.Service<Mark, string>()("Mark") {}

/** A joiner with a limit, of effects made at random, which do all that is seen of the fiber they run in. */
const programOf = (seed: number, note: (...words: ReadonlyArray<unknown>) => void): Effect.Effect<unknown, unknown> => {
  const next = chance(seed)
  const below = (n: number) => Math.floor(next() * n)
  const pick = <A>(...options: ReadonlyArray<A>): A => options[below(options.length)]!
  const kept: Array<Task.Task<unknown, unknown>> = []
  // No two of them are due at once: what comes first is no matter of chance.
  let moments = 0
  const pause = () => Effect.sleep(`${Math.floor(next() * 40) * 1_000_000 + ++moments} nanos`)
  const here = Effect.map(Task.current, (task) => Option.getOrThrow(task))
  const part = (index: number): Part => {
    const wait = pick<() => Part>(
      pause,
      () => Effect.yieldNow,
      () => Effect.void
    )
    const main = pick<() => Part>(
      wait,
      wait,
      wait,
      () =>
        Effect.andThen(
          Effect.forkChild(Effect.onInterrupt(Effect.never, () => Effect.sync(() => note("child", index)))),
          wait()
        ),
      () => fiberOf((fiber) => fiber.addObserver((exit) => note(`observer ${index}`, told(exit)))),
      () =>
        Effect.uninterruptible(
          Effect.andThen(
            Effect.flatMap(here, (task) => Effect.forkDetach(task.cancel("by itself"))),
            pause()
          )
        ),
      () =>
        Effect.flatMap(here, (task) =>
          Effect.as(
            Effect.forkDetach(Effect.flatMap(task.exit, (exit) => Effect.sync(() => note("exit", index, told(exit))))),
            0
          )
        ),
      () =>
        Effect.flatMap(here, (task) =>
          Effect.andThen(Effect.forkDetach(Effect.andThen(pause(), task.cancel("from outside"))), pause())
        ),
      () =>
        Effect.forkDetach(
          Effect.andThen(
            pause(),
            Effect.map(here, (task) => note("later", index, task.name, task.id))
          )
        ),
      () => Effect.provideService(wait(), Mark, `mark ${index}`),
      () =>
        TaskGroup.open(
          TaskGroup.spawn(Effect.map(here, (task) => note("spawned", index, Option.getOrUndefined(task.parent)?.name)))
        ),
      () => Deadline.moveOn(pause(), below(40)),
      () => (below(3) === 0 ? Effect.fail(`failed ${index}`) : wait()),
      () => (below(3) === 0 ? Effect.interrupt : wait())
    )
    return Effect.gen(function* () {
      const task = yield* here
      kept.push(task)
      note("begins", index, task.name, yield* Effect.serviceOption(Mark), runningIn((yield* TaskGroup.tree).groups))
      yield* main()
      note("ends", index, (yield* here) === task, yield* task.state)
      return index
    })
  }
  const count = 1 + below(9)
  const effects = function* () {
    for (let index = 0; index < count; index++) {
      note("asked", index)
      yield part(index)
    }
  }
  const options = { limit: 1 + below(3), ...(below(4) === 0 && { within: below(60) }) }
  const joined = pick<() => Part>(
    () => Joiner.all(effects(), options),
    () => Joiner.settle(effects(), options),
    () => Joiner.first(effects(), options),
    () => Joiner.quorum(effects(), 1, options),
    () => Joiner.until(effects(), (n) => n === 3, options)
  )()
  const ended = Effect.gen(function* () {
    const exit = yield* Effect.exit(joined as Effect.Effect<unknown, unknown>)
    note("joined", told(exit))
    for (const task of kept) note(task.name, yield* task.state, told(yield* task.exit))
    return told(exit)
  })
  // One that has ended is let go before the next begins, or soon after.
  const registry = Registry.make(({ at, kind, task }) =>
    note(kind === "exited" ? `exited ${task.id}` : "event", kind, task, at)
  )
  return Effect.provideService(ended, Registry.Registry, registry)
}

const seeds = process.env["SKEIN_DEEP"] === undefined ? 300 : 20_000

describe("S20 tasks that follow one another in one fiber", () => {
  it("are as tasks with a fiber each: results, names, states, events, and what ends with them", () => {
    const run = (seed: number, way: typeof mode.way) => {
      mode.way = way
      const notes: Array<ReadonlyArray<unknown>> = []
      const { exit } = Effect.runSync(
        Sim.run(
          programOf(seed, (...words) => void notes.push(words)),
          { seed, strategy: "fifo" }
        )
      )
      // An observer of the fiber itself is told behind the group, which may have gone on by then.
      const isExit = (words: ReadonlyArray<unknown>) => /^(exited|observer)/.test(String(words[0]))
      const exits = notes.filter(isExit).toSorted((one, other) => String(one[0]).localeCompare(String(other[0])))
      return { notes: notes.filter((words) => !isExit(words)), exits, exit: told(exit) }
    }
    try {
      for (let seed = 1; seed <= seeds; seed++) {
        expect(run(seed, "lanes"), `seed ${seed}`).toEqual(run(seed, "one fiber each"))
      }
    } finally {
      mode.way = "lanes"
    }
  })
})
