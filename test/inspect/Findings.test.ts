/** What snapshots say is wrong: each with a program that is sick, and a like one that is healthy and gives none. */
import { describe, expect } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import { Limiter, Registry, Task, TaskGroup } from "skein"
import { Inspect } from "skein/inspect"
import { Sim } from "skein/testing"
import { it } from "skein/testing/vitest"
import type { StepView } from "../../src/inspect/context/Snapshot.ts"
import { defaults, findings, type Seen } from "../../src/inspect/inspect/Findings.ts"

/** In virtual time, under a registry of its own, with the layer. */
const valueOf = <A, E>(effect: Effect.Effect<A, E>, limits?: Inspect.LimitOptions): A => {
  const own = Effect.suspend(() =>
    Effect.provide(effect, Inspect.layer({ limits })).pipe(Effect.provideService(Registry.Registry, Registry.make()))
  )
  const { exit } = Effect.runSync(Sim.run(own))
  if (Exit.isSuccess(exit)) return exit.value
  throw new Error(String(exit))
}

const looks = Effect.map(Inspect.snapshot, (snapshot) =>
  snapshot.findings.map(({ kind, message, task }) => ({ kind, message, task: task?.name }))
)

/** What is found so long after the program began beside it. */
const foundAfter = (millis: number, program: Effect.Effect<unknown, never, TaskGroup.TaskGroup<never>>) =>
  TaskGroup.open(
    Effect.gen(function* () {
      yield* TaskGroup.spawn(program as Effect.Effect<unknown>, { name: "program", kind: "daemon" })
      yield* Effect.sleep(millis)
      return yield* looks
    }),
    { name: "main" }
  )

describe("a deadlock", () => {
  const twoLocks = (
    order: (a: Limiter.Limiter, b: Limiter.Limiter) => ReadonlyArray<readonly [Limiter.Limiter, Limiter.Limiter]>
  ) =>
    Effect.gen(function* () {
      const [a, b] = [yield* Limiter.concurrency(1), yield* Limiter.concurrency(1)]
      return yield* TaskGroup.open(
        Effect.forEach(order(a, b), ([first, second], i) =>
          TaskGroup.spawn(first.withPermit(Effect.andThen(Effect.sleep(1), second.withPermit(Effect.sleep(1)))), {
            name: ["ann", "bob"][i]!
          })
        ),
        { name: "locks" }
      )
    })
  const found = (program: Effect.Effect<unknown>) =>
    valueOf(
      Effect.gen(function* () {
        const fiber = yield* Effect.forkChild(program)
        yield* Effect.sleep(10)
        const all = yield* looks
        fiber.interruptUnsafe()
        return all
      })
    )

  it("of two locks taken in another order is found by name, and none where the order is one", () => {
    expect(
      found(
        twoLocks((a, b) => [
          [a, b],
          [b, a]
        ])
      )
    ).toMatchObject([
      {
        kind: "deadlock",
        message: `"ann" waits for 1 of 1 permits, and "bob" waits for 1 of 1 permits: none of them can go on`
      }
    ])
    expect(
      found(
        twoLocks((a, b) => [
          [a, b],
          [a, b]
        ])
      )
    ).toEqual([])
  })

  it("of tasks that join one another is found through the groups that they opened", () => {
    const joins = (isSick: boolean) =>
      TaskGroup.open(
        Effect.gen(function* () {
          const other = yield* TaskGroup.spawn(Effect.sleep("1 hour"), { name: "other" })
          const job = yield* TaskGroup.spawn(
            Effect.gen(function* () {
              const self = Option.getOrThrow(yield* Task.current)
              yield* TaskGroup.open(
                TaskGroup.spawn(isSick ? Effect.asVoid(self.exit) : Effect.asVoid(other.exit), { name: "inner" })
              )
            }),
            { name: "job" }
          )
          yield* job.exit
        }),
        { name: "joins" }
      )
    expect(found(joins(true))).toMatchObject([{ kind: "waits-for-itself", task: "inner" }])
    expect(found(joins(false))).toEqual([])
  })

  it("is none where a task waits in one of its fibers and goes on in another", () => {
    const program = Effect.gen(function* () {
      const lock = yield* Limiter.concurrency(1)
      yield* TaskGroup.open(
        TaskGroup.spawn(
          lock.withPermit(
            Effect.gen(function* () {
              yield* TaskGroup.open(
                TaskGroup.spawn(Effect.raceFirst(lock.withPermit(Effect.void), Effect.sleep(20)), { name: "inner" })
              )
            })
          ),
          { name: "job" }
        )
      )
    })
    expect(found(Effect.exit(program))).toEqual([])
  })
})

describe("programs", () => {
  const lock = (hold: number) =>
    Effect.gen(function* () {
      const limiter = yield* Limiter.concurrency(1)
      yield* TaskGroup.spawn(limiter.withPermit(Effect.sleep(hold)), { name: "holder" })
      yield* TaskGroup.spawn(limiter.withPermit(Effect.void), { name: "waiter" })
    })

  it("that hold a permit for too long", () => {
    expect(valueOf(foundAfter(40_000, TaskGroup.open(lock(60_000))))).toMatchObject([
      { kind: "permit-held", task: "holder", message: `"holder" held 1 of 1 permits for 40s, and "waiter" waits` }
    ])
    expect(valueOf(foundAfter(40_000, TaskGroup.open(lock(35_000))))).toEqual([])
    expect(valueOf(foundAfter(20_000, TaskGroup.open(lock(60_000))))).toEqual([])
  })

  it("whose cleanup is stuck", () => {
    const job = (cleanup: number) =>
      TaskGroup.open(
        Effect.gen(function* () {
          const task = yield* TaskGroup.spawn(
            Effect.onInterrupt(Effect.never, () => Effect.sleep(cleanup)),
            { name: "job" }
          )
          yield* task.cancel()
        }),
        { cleanup: "1 hour" }
      )
    expect(valueOf(foundAfter(20_000, job(60_000)))).toMatchObject([
      { kind: "cleanup-stuck", task: "job", message: `"job" was cancelled 20s ago and still cleans up` }
    ])
    expect(valueOf(foundAfter(20_000, job(5000)))).toEqual([])
  })

  it("with failures of supervised tasks that nobody looks at", () => {
    const job = (looksAtIt: boolean) =>
      TaskGroup.open(
        Effect.gen(function* () {
          const bad = yield* TaskGroup.supervise(Effect.fail("no"), { name: "bad" })
          if (looksAtIt) yield* bad.exit
          return yield* Effect.never
        }),
        { name: "jobs" }
      )
    for (const millis of [5000, 50_000]) {
      expect(valueOf(foundAfter(millis, job(false)))).toMatchObject([{ kind: "failure-unseen", task: "bad" }])
      expect(valueOf(foundAfter(millis, job(true)))).toEqual([])
    }
  })

  const growing = (spawn: (i: number) => Effect.Effect<unknown>, every: number) =>
    Effect.map(Limiter.concurrency(1), (limiter) =>
      TaskGroup.open(
        Effect.gen(function* () {
          for (let i = 0; ; i++) {
            yield* TaskGroup.spawn(limiter.withPermit(spawn(i)), { name: `${i}` })
            yield* Effect.sleep(every)
          }
        }),
        { name: "jobs" }
      )
    )

  const watchedFor = (seconds: number, program: Effect.Effect<Effect.Effect<unknown>>) =>
    TaskGroup.open(
      Effect.gen(function* () {
        yield* TaskGroup.spawn(yield* program, { name: "program", kind: "daemon" })
        let found: Effect.Success<typeof looks> = []
        for (let i = 0; i < seconds; i++) {
          yield* Effect.sleep(1000)
          found = yield* looks
        }
        return found
      })
    )

  it("whose groups and queues only grow", () => {
    const limits = { queue: 50, tasks: 80 }
    expect(
      valueOf(
        watchedFor(
          15,
          growing(() => Effect.sleep(1000), 100)
        ),
        limits
      )
    ).toMatchObject([
      { kind: "tasks-grow", message: expect.stringContaining(`Group "jobs" grew from 10 to `) },
      { kind: "queue-grows" }
    ])
    expect(
      valueOf(
        watchedFor(
          15,
          growing(() => Effect.sleep(90), 100)
        ),
        limits
      )
    ).toEqual([])
    // All at once is no growth.
    const batch = Effect.succeed(
      TaskGroup.open(Effect.forEach(Array.from({ length: 500 }), () => TaskGroup.spawn(Effect.sleep("1 hour"))))
    )
    expect(valueOf(watchedFor(15, batch), limits)).toEqual([])
  })
})

describe("views", () => {
  const calm: Seen = {
    at: 100_000,
    tasks: [],
    orphans: [],
    runs: [],
    circles: [],
    gates: [],
    groups: [],
    unseen: [],
    overruns: []
  }
  const kinds = (seen: Partial<Seen>) => findings({ ...calm, ...seen }, defaults).map(({ kind }) => kind)

  it("of orphans that run on", () => {
    const orphan = { name: "upload", from: "promise" as const }
    expect(kinds({ orphans: [{ ...orphan, since: 80_000 }] })).toEqual(["orphan"])
    expect(kinds({ orphans: [{ ...orphan, since: 95_000 }] })).toEqual([])
  })

  it("of slices that were too long: of code that blocks, and of fibers that never yield", () => {
    const overrun = { at: 90_000, task: { id: 3, name: "hog" }, took: 500 }
    expect(kinds({ overruns: [{ ...overrun, operations: 3 }] })).toEqual(["blocks-the-loop"])
    expect(kinds({ overruns: [{ ...overrun, operations: 100_000 }] })).toEqual(["never-yields"])
    expect(kinds({ overruns: [{ ...overrun, at: 10_000, operations: 3 }] })).toEqual([])
    // Nobody could tell whose it was.
    expect(kinds({ overruns: [{ ...overrun, task: null, operations: 3 }] })).toEqual([])
  })

  const step: StepView = {
    name: "geocode",
    concurrency: 4,
    waiting: 60,
    working: 4,
    resting: 0,
    taken: 100,
    given: 96,
    retries: 0,
    skipped: 0,
    dead: 0,
    latency: { p50: 2000, p99: 5000 }
  }
  const run = {
    name: "cities",
    partition: null,
    state: "running" as const,
    steps: [step],
    settled: 90,
    written: 90,
    dead: 0,
    inFlight: 64,
    lag: 64,
    rate: 2,
    elapsed: 45_000,
    eta: null,
    commit: null,
    leaseUntil: 110_000
  }

  it("of steps that others wait for", () => {
    expect(findings({ ...calm, runs: [run] }, defaults)[0]!.message).toBe(
      `Step "geocode" of run "cities" takes 2s an element, 5s at worst, and 60 wait for it`
    )
    const healthy = [{ waiting: 0 }, { working: 1 }, { latency: null }, { latency: { p50: 20, p99: 5000 } }]
    expect(kinds({ runs: healthy.map((change) => ({ ...run, steps: [{ ...step, ...change }] })) })).toEqual([])
  })

  it("of leases that are not renewed", () => {
    const of = (leaseUntil: number | null) => kinds({ runs: [{ ...run, steps: [], leaseUntil }] })
    expect([of(99_000), of(101_000), of(null)]).toEqual([["lease-stalled"], [], []])
  })
})
