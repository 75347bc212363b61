/** Who may start, what runs elsewhere, and what can be seen of what waits. */
import { describe, expect, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import { join } from "node:path"
import { Cancel, Deadline, Limiter, Offload, TaskGroup } from "skein"
import { Workers } from "skein/node"
import type * as Jobs from "../concurrency/offload-jobs.ts"
import * as Child from "../support/child.ts"
import { newLog, offload } from "../support/foreign.ts"
import { conforms, defectOf } from "./support.ts"

/** Starts it and gives it time to wait for what it waits for. */
const fork = <A, E>(effect: Effect.Effect<A, E>) =>
  Effect.tap(Effect.forkChild(effect, { startImmediately: true }), Effect.sleep(1))

describe("Limiters", () => {
  conforms(
    "C131 waiters are let in in the order they came, and who comes back goes to the end",
    ({ say }) =>
      Effect.gen(function* () {
        const limiter = yield* Limiter.concurrency(1)
        const turn = (name: string) => limiter.withPermit(Effect.andThen(say(name), Effect.sleep(10)))
        const fibers = yield* Effect.forEach(["a", "b", "c"], (name) => fork(Effect.andThen(turn(name), turn(name))))
        yield* Fiber.joinAll(fibers)
      }),
    ({ log, time }) => {
      expect(log).toEqual(["a", "b", "c", "a", "b", "c"])
      expect(time).toBe(60)
    }
  )

  conforms(
    "C133 when the first waiter is cancelled in the step of a release, the second gets the permit",
    ({ works }) =>
      Effect.gen(function* () {
        const limiter = yield* Limiter.concurrency(1)
        const holder = yield* fork(limiter.withPermit(works("holder")))
        const first = yield* fork(limiter.withPermit(works("first")))
        const second = yield* fork(limiter.withPermit(works("second", 10)))
        yield* Effect.sync(() => {
          holder.interruptUnsafe()
          first.interruptUnsafe()
        })
        return yield* Fiber.join(second)
      }),
    ({ exit, log }) => {
      expect(exit).toEqual(Exit.succeed("second"))
      expect(log).toEqual(["holder cancelled", "second done"])
    }
  )

  // There is no release to call: a permit ends with the effect it was taken for.
  conforms(
    "C135 permits come back exactly once, however the effect ends; fewer than none cannot be taken",
    () =>
      Effect.gen(function* () {
        const limiter = yield* Limiter.concurrency(2)
        const ends: ReadonlyArray<Effect.Effect<unknown, string>> = [
          Effect.void,
          Effect.fail("typed"),
          Effect.die("defect"),
          Effect.interrupt,
          Effect.andThen(Effect.sleep(1), Effect.interrupt)
        ]
        const inUse: Array<number> = []
        for (const end of ends) {
          const limited = limiter.withPermits(2)(end)
          yield* Fiber.await(yield* fork(limited))
          yield* Fiber.await(yield* fork(limited))
          inUse.push((yield* limiter.stats).inUse)
        }
        const release = yield* Fiber.await(yield* fork(limiter.withPermits(-1)(Effect.void)))
        return { inUse, release: String(defectOf(release)) }
      }),
    ({ exit }) =>
      expect(exit).toEqual(
        Exit.succeed({
          inUse: [0, 0, 0, 0, 0],
          release: "RangeError: Limiter: permits must be a whole number, 0 or more; got -1"
        })
      )
  )

  conforms(
    "C136 asking twice in one task is a defect that names the task; on behalf of another fiber it may",
    ({ works }) =>
      Effect.gen(function* () {
        const limiter = yield* Limiter.concurrency(2)
        const nested = TaskGroup.open(limiter.withPermit(limiter.withPermit(works("never"))), { name: "orders" })
        const twice = yield* Fiber.await(yield* fork(nested))
        const other = limiter.withPermit(Effect.flatMap(fork(limiter.withPermit(works("other", 10))), Fiber.join))
        return [String(defectOf(twice)), yield* other]
      }),
    ({ exit, log }) => {
      expect(exit).toEqual(Exit.succeed([expect.stringContaining("orders holds a permit of this limiter"), "other"]))
      expect(log).toEqual(["other done"])
    }
  )

  conforms(
    "C138 growing lets waiters in, in order; shrinking lets holders finish and admits nobody until enough came back",
    ({ log, say }) =>
      Effect.gen(function* () {
        const limiter = yield* Limiter.concurrency(1)
        const steps: Array<string> = []
        // Those who are let in together run in any order.
        const started = (step: string) => Effect.sync(() => void steps.push(`${step}: ${log.toSorted().join(" ")}`))
        const fibers = yield* Effect.forEach([1, 2, 3, 4, 5], (n) =>
          fork(limiter.withPermit(Effect.andThen(say(String(n)), Effect.sleep(100 * n))))
        )
        yield* started("one")
        yield* limiter.resize(3)
        yield* Effect.sleep(1)
        yield* started("three")
        yield* limiter.resize(1)
        yield* Effect.sleep(250)
        yield* started("shrunk")
        yield* Effect.sleep(100)
        yield* started("room again")
        yield* Fiber.joinAll(fibers)
        return steps
      }),
    ({ exit, log }) => {
      expect(exit).toEqual(Exit.succeed(["one: 1", "three: 1 2 3", "shrunk: 1 2 3", "room again: 1 2 3 4"]))
      expect(log.slice(3)).toEqual(["4", "5"])
    }
  )

  conforms(
    "C139 a limit of zero holds everything up and try gives none; raising it lets all in, in order",
    ({ log, say }) =>
      Effect.gen(function* () {
        const limiter = yield* Limiter.concurrency(0)
        const fibers = yield* Effect.forEach([1, 2, 3], (n) => fork(limiter.withPermits(n)(say(String(n)))))
        yield* Effect.sleep(1000)
        const before = [...log]
        const tried = yield* limiter.tryWithPermits(1)(say("tried"))
        yield* limiter.resize(3)
        yield* Fiber.joinAll(fibers)
        return { before, tried: Option.isSome(tried) }
      }),
    ({ exit, log }) => {
      expect(exit).toEqual(Exit.succeed({ before: [], tried: false }))
      // The first two have room together; the third needs all of it.
      expect([...log.slice(0, 2).toSorted(), ...log.slice(2)]).toEqual(["1", "2", "3"])
    }
  )

  conforms(
    "C140 a cancelled waiter is gone from the books, and stats tell who holds what",
    () =>
      Effect.gen(function* () {
        const limiter = yield* Limiter.concurrency(5)
        const named = (name: string, permits: number) =>
          fork(TaskGroup.open(limiter.withPermits(permits)(Effect.never), { name }))
        const holders = yield* Effect.all([named("loader", 2), named("loader", 1), named("writer", 2)])
        const waiters = yield* Effect.all([named("late", 1), named("late", 5)])
        const full = yield* limiter.stats
        yield* Fiber.interruptAll(waiters)
        const { waiting } = yield* limiter.stats
        yield* Fiber.interruptAll(holders)
        return { full, waiting, after: yield* limiter.stats }
      }),
    ({ exit }) => {
      const borrowers = new Map([
        ["loader", 3],
        ["writer", 2]
      ])
      expect(exit).toEqual(
        Exit.succeed({
          full: { limit: 5, inUse: 5, waiting: 2, borrowers },
          waiting: 0,
          after: { limit: 5, inUse: 0, waiting: 0, borrowers: new Map() }
        })
      )
    }
  )
})

// Skein has no queue of its own: these two say how to do it with Effect's, and where that differs.
describe("Queues", () => {
  conforms(
    "C142 an ended queue takes nothing new, gives what it has, what blocked offers wait with included, and then ends",
    () =>
      Effect.gen(function* () {
        const queue = yield* Queue.bounded<string, Cause.Done>(1)
        yield* Queue.offer(queue, "first")
        const blocked = yield* fork(Queue.offer(queue, "blocked"))
        yield* Queue.end(queue)
        const late = yield* Queue.offer(queue, "late")
        const taken = [yield* Queue.take(queue), yield* Queue.take(queue)]
        const end = yield* Effect.flip(Queue.take(queue))
        return { late, taken, end: end._tag, blocked: yield* Fiber.join(blocked) }
      }),
    ({ exit }) =>
      expect(exit).toEqual(Exit.succeed({ late: false, taken: ["first", "blocked"], end: "Done", blocked: true }))
  )

  conforms(
    "C143 a queue that is shut down drops what it has and wakes who gives and who takes",
    () =>
      Effect.gen(function* () {
        const full = yield* Queue.bounded<string>(1)
        yield* Queue.offer(full, "dropped")
        const giver = yield* fork(Queue.offer(full, "blocked"))
        const empty = yield* Queue.bounded<string>(1)
        const taker = yield* fork(Queue.take(empty))
        yield* Queue.shutdown(full)
        yield* Queue.shutdown(empty)
        const took = yield* Fiber.await(taker)
        return {
          size: yield* Queue.size(full),
          gave: yield* Fiber.join(giver),
          took: Exit.isFailure(took) && Cause.hasInterruptsOnly(took.cause)
        }
      }),
    ({ exit }) => expect(exit).toEqual(Exit.succeed({ size: 0, gave: false, took: true }))
  )

  it.skip("C146 a barrier with a cancelled waiter: neither Skein nor Effect has a barrier; tasks join their group", () => {})
})

describe("Offloaded work", () => {
  conforms(
    "C147 a cancelled caller waits for the work; cancelled before it starts, the work never does",
    ({ say }) =>
      Effect.gen(function* () {
        const [log, never] = [newLog(), newLog()]
        const limiter = yield* Limiter.concurrency(1)
        const working = offload(log, Effect.sleep(100), { limiter, afterAbort: Effect.sleep(30) })
        const caller = yield* fork(
          Effect.onExit(working, () => say(`caller ended, ${log.made - log.settled} promises run`))
        )
        const waiter = yield* fork(offload(never, Effect.void, { limiter }))
        yield* Effect.sleep(8)
        yield* Fiber.interrupt(waiter)
        yield* Fiber.interrupt(caller)
        return { made: log.made, never: never.made }
      }),
    ({ exit, log, time }) => {
      expect(exit).toEqual(Exit.succeed({ made: 1, never: 0 }))
      expect(log).toEqual(["caller ended, 0 promises run"])
      expect(time).toBe(40)
    }
  )

  it.effect("C149 offloaded code that polls for the cancellation sees it", () =>
    Effect.gen(function* () {
      const url = new URL("../concurrency/offload-jobs.ts", import.meta.url)
      const jobs = Offload.define<typeof Jobs>(url)
      const { poll } = yield* Offload.pool(jobs, { size: 1 })
      const steps: Jobs.Steps = new Int32Array(new SharedArrayBuffer(12))
      const fiber = yield* Effect.forkChild(poll(steps), { startImmediately: true })
      const turn = Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
      yield* Effect.repeat(turn, { until: () => Atomics.load(steps, 0) === 1 })
      yield* Fiber.interrupt(fiber)
      expect(Atomics.load(steps, 1)).toBe(1)
    }).pipe(Effect.scoped, Effect.provide(Workers.layer))
  )
})

describe("Signals", () => {
  const start = (name: string) => Child.start([join(import.meta.dirname, "signals-program.ts"), name])

  const interrupted = (name: string) =>
    Effect.gen(function* () {
      const child = yield* start(name)
      yield* child.says("ready")
      child.kill("SIGINT")
      expect(yield* child.end, name).toMatchObject({ code: 130, stdout: "ready\ncleaned up\n" })
    })

  const interruptedTwice = Effect.gen(function* () {
    const child = yield* start("cleans up for ever")
    yield* child.says("ready")
    child.kill("SIGINT")
    yield* child.says("cancelling")
    child.kill("SIGTERM")
    expect(yield* child.end).toMatchObject({ code: 130, stdout: "ready\n" })
  })

  it.effect("C150 SIGINT cancels a program that waits or spins: it cleans up and says so; a second one ends it", () =>
    Effect.all([interrupted("waits"), interrupted("spins"), interruptedTwice], { concurrency: "unbounded" })
  )
})

describe("Tooling", () => {
  conforms(
    "C152 the tree shows what each task waits for, through groups, joins of several, shields and deadlines",
    ({ works }) =>
      TaskGroup.open(
        Effect.gen(function* () {
          const slow = yield* TaskGroup.spawn(works("slow", 100), { name: "slow" })
          const limiter = yield* Limiter.concurrency(1)
          const waits = {
            join: slow.join,
            exit: slow.exit,
            all: Effect.all([slow.join, slow.join], { concurrency: "unbounded" }),
            shield: Cancel.shield(slow.join),
            deadline: Deadline.within(slow.join, 1000),
            group: TaskGroup.open(slow.join, { name: "inner" }),
            limiter: limiter.withPermit(limiter.stats),
            promise: offload(newLog(), Effect.sleep(100), { name: "save" })
          }
          const holder = yield* TaskGroup.spawn(limiter.withPermit(slow.join), { name: "holder" })
          yield* Effect.sleep(1)
          for (const [name, wait] of Object.entries(waits)) yield* TaskGroup.spawn(wait, { name })
          yield* Effect.sleep(1)
          const { groups } = yield* TaskGroup.tree
          const tasks = groups.flatMap((group) => group.tasks)
          const inner = tasks.flatMap((task) => task.groups).flatMap((group) => group.tasks)
          yield* holder.join
          return Object.fromEntries(
            [...tasks.slice(3), ...inner].map(({ name, waitsFor }) => [name, waitsFor] as const)
          )
        }),
        { name: "main" }
      ),
    ({ exit }) => {
      const slow = 'the end of task "slow"'
      expect(exit).toEqual(
        Exit.succeed({
          join: slow,
          exit: slow,
          all: slow,
          shield: slow,
          deadline: slow,
          group: null,
          inner: slow,
          limiter: "1 of 1 permits",
          promise: 'promise "save"'
        })
      )
    }
  )

  conforms(
    "C154 450 seconds of nested sleeps pass by themselves",
    () => {
      const nested = (depth: number): Effect.Effect<number> =>
        depth === 0
          ? Effect.succeed(0)
          : Effect.andThen(
              Effect.sleep("10 seconds"),
              Effect.map(nested(depth - 1), (n) => n + 1)
            )
      return nested(45)
    },
    ({ exit, time }) => {
      expect(exit).toEqual(Exit.succeed(45))
      expect(time).toBe(450_000)
    }
  )

  conforms(
    "C155 time passes only when no task can run, and does not wait for those with a timeout",
    ({ log, say }) =>
      TaskGroup.open(
        Effect.gen(function* () {
          const busy = (name: string) => Effect.andThen(Effect.repeat(Effect.yieldNow, { times: 10 }), say(name))
          yield* TaskGroup.spawn(busy("a"))
          yield* TaskGroup.spawn(busy("b"))
          yield* TaskGroup.spawn(Effect.ignore(Deadline.within(Effect.never, "1 hour")), { kind: "daemon" })
          yield* Effect.sleep(1)
          return log.length
        })
      ),
    ({ exit, time }) => {
      expect(exit).toEqual(Exit.succeed(2))
      expect(time).toBe(1)
    }
  )
})
