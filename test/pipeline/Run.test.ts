/** Runs as things: one of a name at a time, and what can be asked of one while it runs (P9, P10). */
import { describe, expect } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import type * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { Journal, Pipeline, Policy, Sink, type Source, Task, TaskGroup } from "skein"
import { Interrupt, Leaks, Sim } from "skein/testing"
import { it } from "skein/testing/vitest"
import { isHeard, ProgramStop, StopSignal } from "../../src/concurrency/base/Stop.ts"
import { after, counted, endsWell, errorOf, numbers, upTo, valueOf } from "../support/jobs.ts"
import * as Store from "../support/store.ts"

/** Counts what is opened and closed of a sink. */
const watched = <A, E, R, G extends Sink.Guarantee>(sink: Sink.Sink<A, E, R, G>) => {
  const seen = { opened: 0, clean: [] as Array<boolean>, closed: [] as Array<Option.Option<Schema.Json>> }
  const watching: typeof sink = {
    ...sink,
    open: (opening) =>
      Effect.suspend(() => {
        seen.opened += 1
        seen.clean.push(opening.clean)
        return Effect.map(sink.open(opening), (writer) => ({
          ...writer,
          close: (committed) => Effect.sync(() => void seen.closed.push(committed))
        }))
      })
  }
  return { seen, sink: watching }
}

const each = (n: number) => after(n % 3, n)

describe("P10 of the runs of a name", () => {
  const contest = (count: number, journal: "memory" | "store") =>
    Effect.gen(function* () {
      const store = Store.make<number>()
      const { seen, sink } = watched<number, never, never, Sink.Guarantee>(
        journal === "memory" ? store.file : store.table
      )
      const job = Pipeline.from(numbers(6)).pipe(Pipeline.map(each, { concurrency: 2 }), Pipeline.to(sink))
      const run = Pipeline.run(job, { name: "contested" })
      const exits = yield* Effect.all(
        Array.from({ length: count }, () => Effect.exit(run)),
        { concurrency: "unbounded" }
      )
      expect(exits.filter(Exit.isSuccess).length).toBe(1)
      for (const exit of exits) {
        if (Exit.isSuccess(exit)) expect(exit.value).toMatchObject({ outcome: "done", written: 6 })
        else expect(yield* Effect.flip(exit)).toBeInstanceOf(Pipeline.AlreadyRunning)
      }
      expect(seen.opened).toBe(1)
      expect(journal === "memory" ? store.file.lines : store.rows).toEqual(upTo(6))
      // The name is free again, and there is nothing left to do.
      expect(yield* run).toMatchObject({ outcome: "done", settled: 0, resumed: true })
      expect(seen.clean).toEqual([true, true])
    }).pipe(Effect.provide(Journal.memory))

  for (const journal of ["memory", "store"] as const) {
    for (const [count, schedules] of [
      [2, 200],
      [8, 40]
    ] as const) {
      it.sim(`one of ${count} at once is accepted, over a journal of kind ${journal}`, contest(count, journal), {
        schedules,
        check: endsWell
      })
    }
  }

  it("who is refused is told who runs it and since when", () => {
    const job = Pipeline.from(numbers(3)).pipe(Pipeline.map(each), Pipeline.to(Sink.discard))
    const error = valueOf(
      Effect.gen(function* () {
        yield* Effect.sleep(5000)
        yield* Pipeline.start(job, { name: "taken" })
        return yield* Effect.flip(Pipeline.run(job, { name: "taken" }))
      }).pipe(TaskGroup.open, Effect.provide(Journal.memory))
    )
    expect(String(error)).toContain('"taken" runs already, in this process, since 1970-01-01T00:00:05.000Z')
  })

  for (const kind of ["table", "file"] as const) {
    it.sim(
      `the next is accepted right after one has failed or was cancelled, with a ${kind}`,
      Effect.gen(function* () {
        const store = Store.make<number>()
        let bad = true
        const step = (n: number) =>
          Effect.flatMap(each(n), (n) => (n === 4 && bad ? Effect.fail("four") : Effect.succeed(n)))
        const sink: Sink.Sink<number, never, never, Sink.Guarantee> = store[kind]
        const job = Pipeline.from(numbers(6)).pipe(Pipeline.map(step, { concurrency: 2 }), Pipeline.to(sink))
        const run = Pipeline.run(job, { name: "next" })
        expect(yield* Effect.flip(run)).toBe("four")
        bad = false
        const cancelled = yield* Effect.forkChild(run)
        yield* Effect.sleep(1)
        yield* Fiber.interrupt(cancelled)
        expect(yield* run).toMatchObject({ outcome: "done" })
        expect(kind === "table" ? store.rows : store.file.lines).toEqual(upTo(6))
      }).pipe(Effect.provide(Journal.memory)),
      { schedules: 100, check: endsWell }
    )
  }

  it.sim(
    "P18 two partitions run beside one another, each with a place and keys of its own",
    Effect.gen(function* () {
      const keys: Array<string> = []
      const store = Store.make<number>()
      const job = Pipeline.from(numbers(3)).pipe(
        Pipeline.map((n) =>
          Effect.andThen(
            each(n),
            Effect.map(Pipeline.idempotencyKey, (key) => keys.push(key))
          )
        ),
        Pipeline.to(store.elsewhere)
      )
      const partition = (partition: string | undefined) => Pipeline.run(job, { name: "p", partition })
      yield* Effect.all([partition("a"), partition("b"), partition(undefined)], { concurrency: 3 })
      expect(store.elsewhere.received.length).toBe(9)
      expect(new Set(keys).size).toBe(9)
      const journal = yield* Journal.Journal
      for (const key of [Journal.keyOf("p", "a"), Journal.keyOf("p", "b"), Journal.keyOf("p")]) {
        expect(yield* journal.load(key)).toMatchObject({ value: { position: Option.some(3), finished: true } })
      }
      expect(yield* partition("c")).toMatchObject({ settled: 3, resumed: false })
    }).pipe(Effect.provide(Journal.memory)),
    { schedules: 50, check: endsWell }
  )

  it("one that is refused for what changed leaves the next as clean a start as it found", () => {
    const store = Store.make<number>()
    const { seen, sink } = watched(store.table)
    const run = (n: number) =>
      Pipeline.run(Pipeline.from(numbers(n)).pipe(Pipeline.to(sink)), { name: "r" }).pipe(
        Effect.provide(Journal.memory)
      )
    valueOf(run(3))
    expect(errorOf(run(2))).toBeInstanceOf(Pipeline.SourceChanged)
    valueOf(run(4))
    expect(seen).toMatchObject({ opened: 2, clean: [true, true] })
  })
})

describe("P10 a run whose lease was taken by another", () => {
  /** Takes the name away after 15 ms, as from a process that was stopped, and finishes the work. */
  const takenOver = (
    end: (run: Fiber.Fiber<Pipeline.Summary, unknown>) => Effect.Effect<unknown, unknown>,
    slow: (n: number) => Effect.Effect<number, string>
  ) =>
    Effect.gen(function* () {
      const store = Store.make<number>()
      const [stopped, other] = [watched(store.file), watched(store.file)]
      const run = (sink: Sink.Sink<number, never, never, Sink.Guarantee>, step: typeof slow) =>
        Pipeline.run(Pipeline.from(numbers(6)).pipe(Pipeline.map(step), Pipeline.to(sink)), {
          name: "l",
          commitEvery: 0
        }).pipe(Effect.provideService(Journal.Journal, store.journal))
      const first = yield* Effect.forkChild(run(stopped.sink, slow))
      yield* Effect.sleep(15)
      store.free()
      expect(yield* run(other.sink, Effect.succeed)).toMatchObject({ outcome: "done", resumed: true })
      const commits = store.commits.length
      yield* end(first)
      const exit = yield* Fiber.await(first)
      expect(store.commits.length).toBe(commits)
      expect(store.file.lines).toEqual(upTo(6))
      // What it knows is old: who takes away what is not committed would take what the other one has written.
      expect([stopped.seen.closed, other.seen.closed]).toEqual([[], [Option.some(6)]])
      return exit
    })

  it.sim(
    "fails, commits nothing more and touches its sink no more",
    Effect.gen(function* () {
      const exit = yield* takenOver(
        () => Effect.void,
        (n) => after(10, n)
      )
      expect(yield* Effect.flip(exit)).toBeInstanceOf(Pipeline.LeaseLost)
    }),
    { schedules: 60, check: endsWell }
  )

  it.sim(
    "touches its sink no more when it is cancelled",
    takenOver(Fiber.interrupt, (n) => after(10, n)),
    { schedules: 60, check: endsWell }
  )

  it.sim(
    "touches its sink no more when a step fails",
    takenOver(
      () => Effect.void,
      (n) => (n === 2 ? Effect.delay(Effect.fail("two"), 20) : after(10, n))
    ),
    { schedules: 60, check: endsWell }
  )

  it("hears of it when it renews the lease, however long a write takes", () => {
    const store = Store.make<number>()
    const { seen, sink } = watched({
      ...store.elsewhere,
      open: () => Effect.succeed({ write: (rows) => (rows.length === 0 ? Effect.succeed(null) : Effect.never) })
    } satisfies Sink.Sink<number, never, never, "at-least-once">)
    let renewals = 0
    const lost = Effect.fail(new Journal.LeaseLost({ pipeline: "l", holder: "another" }))
    const journal: Journal.Journal = {
      ...store.journal,
      lease: (key, options) =>
        Effect.map(store.journal.lease(key, options), (lease) => ({
          ...lease,
          renewEvery: Option.some(Duration.seconds(5)),
          renew: Effect.suspend(() => (++renewals < 3 ? Effect.void : lost)),
          guard: (work) => Effect.suspend(() => (renewals < 3 ? lease.guard(work) : lost))
        }))
    }
    const run = Pipeline.run(Pipeline.from(numbers(3)).pipe(Pipeline.to(sink)), { name: "l", commitEvery: 0 })
    const [took, error] = valueOf(Effect.timed(Effect.flip(Effect.provideService(run, Journal.Journal, journal))))
    expect(error).toBeInstanceOf(Pipeline.LeaseLost)
    expect(Duration.toSeconds(took)).toBe(15)
    expect(seen.closed).toEqual([])
  })
})

const slow = (n: number) => after(10, n)

describe("a run that was started", () => {
  it("tells its state, its progress and how its steps stand", () => {
    const store = Store.make<number>()
    const job = Pipeline.from(numbers(10)).pipe(
      Pipeline.map(slow, { name: "slow", concurrency: 2 }),
      Pipeline.filter((n) => n !== 1, { name: "not one" }),
      Pipeline.batch(3, { name: "threes" }),
      Pipeline.flatMap((all) => all, { name: "apart" }),
      Pipeline.to(store.table)
    )
    valueOf(
      Effect.gen(function* () {
        const run = yield* Pipeline.start(job, { name: "s" })
        expect([run.name, yield* run.state]).toEqual(["s", "running"])
        yield* Effect.sleep(25)
        expect(yield* run.steps).toMatchObject([
          { name: "slow", concurrency: 2, waiting: 4, working: 2 },
          { name: "not one", concurrency: 1, waiting: 0, working: 0 },
          { name: "threes", concurrency: 1, waiting: 0, working: 0 },
          { name: "apart", concurrency: 1, waiting: 0, working: 0 },
          { name: "table", concurrency: 1, waiting: 0, working: 0 }
        ])
        expect(yield* run.progress).toMatchObject({ pipeline: "s", settled: 4, written: 3, inFlight: 6, lag: 6 })
        expect(yield* run.await).toMatchObject({ outcome: "done", written: 9 })
        expect(yield* run.state).toBe("done")
      }).pipe(TaskGroup.open, Effect.provide(Journal.memory))
    )
  })

  it("is refused as one that is run, before there is a handle", () => {
    const job = Pipeline.from(numbers(3)).pipe(Pipeline.map(slow), Pipeline.to(Sink.discard))
    valueOf(
      Effect.gen(function* () {
        const first = yield* Pipeline.start(job, { name: "s" })
        expect(yield* Effect.flip(Pipeline.start(job, { name: "s" }))).toBeInstanceOf(Pipeline.AlreadyRunning)
        yield* first.await
      }).pipe(TaskGroup.open, Effect.provide(Journal.memory))
    )
  })

  it("fails in `await`, and says so in its state", () => {
    const job = Pipeline.from(numbers(3)).pipe(
      Pipeline.map((n) => (n === 2 ? Effect.fail("two") : slow(n))),
      Pipeline.to(Sink.discard)
    )
    valueOf(
      Effect.gen(function* () {
        const run = yield* Pipeline.start(job, { name: "s" })
        expect(yield* Effect.flip(run.await)).toBe("two")
        expect(yield* run.state).toBe("failed")
        // Nothing can be asked of it any more.
        yield* Effect.all([run.pause, run.drain, run.resume])
        expect(yield* run.state).toBe("failed")
      }).pipe(TaskGroup.open, Effect.provide(Journal.memory))
    )
  })

  it.sim(
    "P9 reads no more while it is paused, commits what is in flight, and goes on when told to",
    Effect.gen(function* () {
      const store = Store.make<number>()
      const { seen, source } = counted(8)
      const job = Pipeline.from(source).pipe(
        Pipeline.filter((n) => after(1, n !== 2)),
        Pipeline.map(slow, { concurrency: 2 }),
        Pipeline.to(store.table)
      )
      const run = yield* Pipeline.start(job, { name: "p", window: { items: 3 } })
      yield* Effect.sleep(15)
      yield* run.pause
      yield* Sim.waitAllBlocked
      const { read } = seen
      yield* Effect.sleep(60_000)
      // One more than the window holds: what the reader has in its hand.
      expect(seen.read - read).toBeLessThanOrEqual(1)
      expect(yield* run.state).toBe("paused")
      const { inFlight, settled } = yield* run.progress
      expect(inFlight).toBe(0)
      expect(store.rows).toEqual(upTo(settled).filter((n) => n !== 2))
      expect(settled).toBeLessThan(8)
      yield* run.pause
      yield* run.resume
      yield* run.resume
      expect(yield* run.state).toBe("running")
      expect(yield* run.await).toMatchObject({ outcome: "done", settled: 8 })
      expect(store.rows).toEqual(upTo(8).filter((n) => n !== 2))
    }).pipe(TaskGroup.open, Effect.provide(Journal.memory)),
    { schedules: 60, check: endsWell }
  )

  it.sim(
    "P9 is drained by its handle alone, and the run beside it is not",
    Effect.gen(function* () {
      const [one, two] = [Store.make<number>(), Store.make<number>()]
      const job = (store: Store.Store<number>) =>
        Pipeline.from(numbers(8)).pipe(Pipeline.map(slow, { concurrency: 2 }), Pipeline.to(store.table))
      const run = yield* Pipeline.start(job(one), { name: "one" })
      const beside = yield* Pipeline.start(job(two), { name: "two" })
      yield* Effect.sleep(15)
      yield* run.drain
      yield* run.drain
      expect(yield* run.state).toBe("draining")
      yield* Effect.all([run.pause, run.resume])
      expect(yield* run.state).toBe("draining")
      expect(yield* run.await).toMatchObject({ outcome: "drained", resumable: true, settled: 4 })
      expect(yield* run.state).toBe("drained")
      yield* run.drain
      expect(one.rows).toEqual([1, 2, 3, 4])
      expect(yield* beside.await).toMatchObject({ outcome: "done", settled: 8 })
      expect(yield* Pipeline.run(job(one), { name: "one" })).toMatchObject({ outcome: "done", settled: 4 })
      expect(one.rows).toEqual(upTo(8))
    }).pipe(TaskGroup.open, Effect.provide(Journal.memory)),
    { schedules: 60, check: endsWell }
  )

  it.sim(
    "P9 is drained while it is paused",
    Effect.gen(function* () {
      const store = Store.make<number>()
      const job = Pipeline.from(numbers(8)).pipe(Pipeline.map(slow), Pipeline.to(store.table))
      const run = yield* Pipeline.start(job, { name: "d", window: { items: 2 } })
      yield* Effect.sleep(15)
      yield* run.pause
      yield* Effect.sleep(1000)
      yield* run.drain
      const { settled, ...summary } = yield* run.await
      expect(summary).toMatchObject({ outcome: "drained", resumable: true })
      expect(store.rows).toEqual(upTo(settled))
      expect(yield* Pipeline.run(job, { name: "d" })).toMatchObject({ outcome: "done", settled: 8 - settled })
      expect(store.rows).toEqual(upTo(8))
    }).pipe(TaskGroup.open, Effect.provide(Journal.memory)),
    { schedules: 60, check: endsWell }
  )

  it.sim(
    "P9 is drained before the first element has come, at once",
    Effect.gen(function* () {
      const store = Store.make<number>()
      const never: Source.Source<number, never, never, number> = { ...numbers(3), read: () => Stream.never }
      const run = yield* Pipeline.start(Pipeline.from(never).pipe(Pipeline.to(store.table)), { name: "d" })
      yield* run.drain
      const [took, summary] = yield* Effect.timed(run.await)
      expect(summary).toMatchObject({ outcome: "drained", resumable: true, settled: 0 })
      expect(Duration.toMillis(took)).toBe(0)
      const whole = Pipeline.from(numbers(3)).pipe(Pipeline.to(store.table))
      expect(yield* Pipeline.run(whole, { name: "d" })).toMatchObject({ outcome: "done", settled: 3 })
    }).pipe(TaskGroup.open, Effect.provide(Journal.memory)),
    { check: endsWell }
  )

  it.sim(
    "is cancelled with its group, and free again when it ends though the group is open",
    Effect.gen(function* () {
      const store = Store.make<number>()
      const { seen, sink } = watched(store.table)
      const job = Pipeline.from(numbers(4)).pipe(Pipeline.map(slow), Pipeline.to(sink))
      let cut!: Pipeline.Run<unknown>
      const cutting = Effect.gen(function* () {
        cut = yield* Pipeline.start(job, { name: "c", commitEvery: 0 })
        yield* Effect.sleep(15)
        yield* TaskGroup.cancel("enough")
      })
      expect(yield* Effect.flip(TaskGroup.open(cutting))).toBeInstanceOf(TaskGroup.GroupCancelled)
      expect(Cause.squash(yield* Effect.flip(Effect.sandbox(cut.await)))).toBeInstanceOf(Task.TaskCancelled)
      expect(yield* cut.state).toBe("failed")
      expect(store.rows).toEqual([1])
      for (const settled of [3, 0]) {
        const run = yield* Pipeline.start(job, { name: "c" })
        expect(yield* run.await).toMatchObject({ outcome: "done", settled })
      }
      expect(seen).toMatchObject({ opened: 3, closed: { length: 3 }, clean: [true, true, true] })
      expect(store.rows).toEqual(upTo(4))
    }).pipe(TaskGroup.open, Effect.provide(Journal.memory)),
    { schedules: 60, check: endsWell }
  )

  it("is a task of the group around, named after it, which the group waits for", () => {
    const store = Store.make<number>()
    const job = Pipeline.from(numbers(4)).pipe(Pipeline.map(slow), Pipeline.to(store.table))
    const tasks = valueOf(
      Effect.gen(function* () {
        yield* Pipeline.start(job, { name: "t" })
        const { groups } = yield* TaskGroup.tree
        return groups.flatMap(({ tasks }) => tasks.map(({ kind, name }) => `${kind} ${name}`))
      }).pipe((body) => TaskGroup.open(body, { name: "around" }), Store.given(store))
    )
    expect(tasks).toEqual(["body around", "task pipeline t"])
    expect(store.rows).toEqual(upTo(4))
  })

  it("leaves the group alone when it fails, and its failure is reported where nobody looks at it", () => {
    const logged: Array<string> = []
    const logger = Logger.make<unknown, void>(({ message }) => void logged.push(String(message)))
    const failing = Pipeline.from(numbers(3)).pipe(
      Pipeline.map((n) => (n === 2 ? Effect.fail("two") : slow(n))),
      Pipeline.to(Sink.discard)
    )
    const program = (looks: boolean) =>
      Effect.gen(function* () {
        const run = yield* Pipeline.start(failing, { name: "s" })
        if (looks) expect(yield* Effect.flip(run.await)).toBe("two")
        yield* Effect.sleep(100)
        return "went on"
      }).pipe(TaskGroup.open, Effect.provide([Journal.memory, Logger.layer([logger])]))
    expect(valueOf(program(true))).toBe("went on")
    expect(logged).toEqual([])
    expect(valueOf(program(false))).toBe("went on")
    expect(logged.join()).toContain('Unhandled failure of supervised task "pipeline s"')
  })

  it("is refused without a trace: the group is not told of it", () => {
    const store = Store.make<number>()
    const { seen, sink } = watched(store.table)
    const job = Pipeline.from(numbers(3)).pipe(Pipeline.map(slow), Pipeline.to(sink))
    const logged: Array<unknown> = []
    const logger = Logger.make<unknown, void>(({ message }) => void logged.push(message))
    const twice = Effect.gen(function* () {
      const first = yield* Pipeline.start(job, { name: "l" })
      expect(yield* Effect.flip(Pipeline.start(job, { name: "l" }))).toBeInstanceOf(Pipeline.AlreadyRunning)
      return yield* first.await
    })
    const summary = valueOf(TaskGroup.open(twice).pipe(Store.given(store), Effect.provide(Logger.layer([logger]))))
    expect([summary.outcome, seen.opened]).toEqual(["done", 1])
    expect(logged).toEqual([])
  })

  it("goes on when who waits for it is cancelled", () => {
    const job = Pipeline.from(numbers(4)).pipe(Pipeline.map(slow), Pipeline.to(Sink.discard))
    valueOf(
      Effect.gen(function* () {
        const run = yield* Pipeline.start(job, { name: "w" })
        expect(yield* Effect.timeoutOption(run.await, 15)).toEqual(Option.none())
        expect(yield* run.await).toMatchObject({ outcome: "done", settled: 4 })
      }).pipe(TaskGroup.open, Effect.provide(Journal.memory))
    )
  })

  it("leaves nothing behind wherever it is interrupted", { timeout: 120_000 }, () => {
    let now: { readonly store: Store.Store<number>; readonly run: Effect.Effect<Pipeline.Summary, unknown> }
    const begin = Effect.suspend(() => {
      const store = Store.make<number>()
      const job = Pipeline.from(numbers(4)).pipe(Pipeline.map(each, { concurrency: 2 }), Pipeline.to(store.table))
      now = { store, run: Effect.provide(Pipeline.run(job, { name: "i" }), Journal.memory) }
      return TaskGroup.open(
        Effect.gen(function* () {
          const run = yield* Pipeline.start(job, { name: "i" })
          yield* run.pause
          yield* Effect.sleep(1)
          yield* run.resume
          yield* Effect.sleep(1)
          yield* run.drain
          return yield* run.await
        })
      ).pipe(Effect.provide(Journal.memory))
    })
    const check = (run: Sim.Run<unknown, unknown>) => {
      Effect.runSync(Leaks.check(run))
      // Its name is free again.
      valueOf(now.run)
      expect(now.store.rows).toEqual(upTo(4))
    }
    Effect.runSync(Interrupt.everywhere(begin, { check }))
    Effect.runSync(Sim.explore(begin, { check, schedules: 100, stop: "interrupt" }))
  })
})

describe("P9 a request to stop", () => {
  it.sim(
    "ends all of its runs, also one that begins after it was asked for",
    TaskGroup.open(
      Effect.gen(function* () {
        const stores = [Store.make<number>(), Store.make<number>()]
        const run = (name: string, store: Store.Store<number>) =>
          Pipeline.run(Pipeline.from(numbers(8)).pipe(Pipeline.map(slow), Pipeline.to(store.table)), { name })
        const runs = yield* Effect.forkChild(
          Effect.all([run("one", stores[0]!), run("two", stores[1]!)], { concurrency: 2 })
        )
        yield* Effect.sleep(25)
        yield* TaskGroup.stop()
        for (const summary of yield* Fiber.join(runs)) expect(summary).toMatchObject({ outcome: "drained", settled: 3 })
        expect(yield* run("one", stores[0]!)).toMatchObject({ outcome: "drained", resumable: true })
      }).pipe(Effect.provide(Journal.memory))
    ),
    { schedules: 50, check: endsWell }
  )

  for (const when of ["before", "during"] as const) {
    it.sim(
      `does not cut \`collect\` and \`stream\` short when it is asked for ${when} them`,
      TaskGroup.open(
        Effect.gen(function* () {
          const pipeline = Pipeline.from(numbers(6)).pipe(Pipeline.map(slow, { concurrency: 2 }), Pipeline.batch(4))
          if (when === "before") yield* TaskGroup.stop()
          else yield* Effect.forkChild(Effect.delay(TaskGroup.stop(), 15))
          const whole = [upTo(4), [5, 6]]
          const both = [Pipeline.collect(pipeline), Stream.runCollect(Pipeline.stream(pipeline))]
          expect(yield* Effect.all(both, { concurrency: 2 })).toEqual([whole, whole])
        })
      ),
      { schedules: 50, check: endsWell }
    )
  }

  it("has no listeners left wherever a run is interrupted", { timeout: 60_000 }, () => {
    let signal!: StopSignal
    const begin = Effect.suspend(() => {
      signal = new StopSignal()
      const job = Pipeline.from(numbers(4)).pipe(Pipeline.map(each, { concurrency: 2 }), Pipeline.to(Sink.discard))
      return Pipeline.run(job, { name: "i" }).pipe(
        Effect.provide(Journal.memory),
        Effect.provideService(ProgramStop, signal)
      )
    })
    const check = (run: Sim.Run<unknown, unknown>) => {
      Effect.runSync(Leaks.check(run))
      expect(isHeard(signal)).toBe(false)
    }
    Effect.runSync(Interrupt.everywhere(begin, { check }))
  })
})

describe("what a run spawns", () => {
  it("belongs to the group around it, and not to the run: it may outlive it", () => {
    const order: Array<string> = []
    const say = (what: string, millis: number) =>
      Effect.andThen(
        Effect.sleep(millis),
        Effect.sync(() => order.push(what))
      )
    const { source } = counted(1)
    const spawning: Source.Source<number, never, TaskGroup.TaskGroup<never>, number> = {
      ...source,
      read: (from) => Stream.unwrap(Effect.as(TaskGroup.spawn(say("source", 300)), source.read(from)))
    }
    const sink = Sink.make({
      name: "spawning",
      guarantee: "at-least-once",
      open: () =>
        Effect.as(TaskGroup.spawn(say("open", 400)), {
          write: (rows: ReadonlyArray<number>) =>
            rows.length === 0 ? Effect.succeed(null) : Effect.as(TaskGroup.spawn(say("write", 200)), null)
        })
    })
    const job = Pipeline.from(spawning).pipe(
      Pipeline.map((n) => Effect.as(TaskGroup.spawn(say("step", 100)), n)),
      Pipeline.to(sink)
    )
    const run = Pipeline.run(job, { name: "spawns" }).pipe(
      Effect.tap((summary) => Effect.sync(() => order.push(summary.outcome)))
    )
    valueOf(TaskGroup.open(run).pipe(Effect.provide(Journal.memory)))
    expect(order).toEqual(["done", "step", "write", "source", "open"])
  })

  it("ends the group around it when it fails, and with it the run", () => {
    const job = Pipeline.from(numbers(3)).pipe(
      Pipeline.map((n) => Effect.as(TaskGroup.spawn(Effect.delay(Effect.fail(`task of ${n}`), 5)), n)),
      Pipeline.map(slow),
      Pipeline.to(Sink.discard)
    )
    const run = TaskGroup.open(Pipeline.run(job, { name: "spawns" }))
    expect(errorOf(Effect.provide(run, Journal.memory))).toBe("task of 1")
  })

  it("in a collection or a stream is owned in the same way", () => {
    const order: Array<string> = []
    const pipeline = Pipeline.from(numbers(1)).pipe(
      Pipeline.map((n) =>
        Effect.as(
          TaskGroup.spawn(
            Effect.delay(
              Effect.sync(() => order.push("task")),
              50
            )
          ),
          n
        )
      )
    )
    const both = Effect.andThen(Pipeline.collect(pipeline), Stream.runCollect(Pipeline.stream(pipeline)))
    valueOf(
      TaskGroup.open(
        Effect.andThen(
          both,
          Effect.sync(() => order.push("ended"))
        )
      )
    )
    expect(order).toEqual(["ended", "task", "task"])
  })

  it("is owned in the same way by the group around a start, also after the run", () => {
    const order: Array<string> = []
    const later = Effect.delay(
      Effect.sync(() => order.push("task")),
      50
    )
    const job = Pipeline.from(numbers(1)).pipe(
      Pipeline.map((n) => Effect.as(TaskGroup.spawn(later), n)),
      Pipeline.to(Sink.discard)
    )
    const program = Effect.gen(function* () {
      const run = yield* Pipeline.start(job, { name: "spawns" })
      order.push((yield* run.await).outcome)
    })
    valueOf(Effect.provide(TaskGroup.open(program), Journal.memory))
    expect(order).toEqual(["done", "task"])
    const failing = Pipeline.from(numbers(1)).pipe(
      Pipeline.map((n) => Effect.as(TaskGroup.spawn(Effect.delay(Effect.fail("no"), 5)), n)),
      Pipeline.map(slow),
      Pipeline.to(Sink.discard)
    )
    const failed = Effect.flatMap(Pipeline.start(failing, { name: "spawns" }), (run) =>
      Effect.andThen(run.await, Effect.never)
    )
    expect(errorOf(Effect.provide(TaskGroup.open(failed), Journal.memory))).toBe("no")
  })

  it("is owned in the same way where the breaker of a policy spawns it", () => {
    const groups: Array<string> = []
    const named = TaskGroup.spawn(Effect.map(TaskGroup.current(), ({ name }) => void groups.push(name)))
    const policy: Policy.Policy<never, never, TaskGroup.TaskGroup<never>, undefined, undefined> = {
      breaker: (effect) => Effect.andThen(named, effect),
      retries: 0
    }
    const job = Pipeline.from(numbers(1)).pipe(
      Pipeline.map((n) => Policy.apply(Effect.succeed(n), policy)),
      Pipeline.to(Sink.discard)
    )
    valueOf(Effect.provide(TaskGroup.open(Pipeline.run(job, { name: "spawns" }), { name: "caller's" }), Journal.memory))
    expect(groups).toEqual(["caller's"])
  })
})

describe("a cancellation of the group", () => {
  const gives = TaskGroup.cancel("found it")
  const cancels = Pipeline.from(numbers(3)).pipe(Pipeline.map((n) => Effect.as(n === 2 ? gives : Effect.void, n)))
  const { source } = counted(1)
  const cancelling: Source.Source<number, never, TaskGroup.TaskGroup<TaskGroup.GroupCancelled>, number> = {
    ...source,
    read: (from) => Stream.unwrap(Effect.as(gives, source.read(from)))
  }
  const policy: Policy.Policy<never, never, TaskGroup.TaskGroup<TaskGroup.GroupCancelled>, undefined, undefined> = {
    breaker: (effect) => Effect.andThen(gives, effect),
    retries: 0
  }
  const toDiscard = Pipeline.to(Sink.discard)
  const run = { name: "cancels" }
  const jobs = {
    step: Pipeline.run(cancels.pipe(toDiscard), run),
    source: Pipeline.run(Pipeline.from(cancelling).pipe(toDiscard), run),
    sink: Pipeline.run(Pipeline.from(numbers(1)).pipe(Pipeline.to(Sink.forEach(() => gives))), run),
    started: Effect.flatMap(Pipeline.start(cancels.pipe(toDiscard), run), ({ await: end }) => end),
    collected: Pipeline.collect(cancels),
    streamed: Stream.runCollect(Pipeline.stream(cancels)),
    breaker: Pipeline.collect(Pipeline.from([1]).pipe(Pipeline.map((n) => Policy.apply(Effect.succeed(n), policy))))
  }

  it.each(Object.keys(jobs) as Array<keyof typeof jobs>)(
    "by a %s is one of the group around it, and ends the run",
    (name) => {
      const job = jobs[name] as Effect.Effect<
        unknown,
        never,
        TaskGroup.TaskGroup<TaskGroup.GroupCancelled> | Journal.Journal
      >
      const program = TaskGroup.open(Effect.andThen(job, Effect.never), { name: "caller's" }).pipe(
        Effect.catchTag("GroupCancelled", ({ group, reason }) => Effect.succeed([group, reason]))
      )
      expect(valueOf(Effect.provide(program, Journal.memory))).toEqual(["caller's", "found it"])
    }
  )
})
