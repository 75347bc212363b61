/** Commits that hang, run twice, or whose reply is lost: what is settled, and what is left behind (P9, P13). */
import { describe, expect, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { Deadline, Journal, Pipeline, Sink, type Source, TaskGroup } from "skein"
import { Interrupt, Kill, Leaks, Sim } from "skein/testing"
import { after, committing, exitOf, numbers, sorted, upTo, valueOf } from "../support/jobs.ts"
import * as Store from "../support/store.ts"

type AnySink = Sink.Sink<number, string, never, Sink.Guarantee>
const kinds = ["table", "file", "both"] as const
type Kind = (typeof kinds)[number]

const sinkOf = (store: Store.Store<number>, kind: Kind): AnySink =>
  kind === "both" ? Sink.all(store.table as AnySink, store.file as AnySink) : store[kind]

/** Around each write of a sink, or of each of its members. */
const writing = (
  sink: AnySink,
  around: (write: Effect.Effect<unknown, string>, rows: ReadonlyArray<number>) => Effect.Effect<unknown, string>
): AnySink => ({
  ...sink,
  members: sink.members?.map((member) => writing(member, around)),
  open: (opening) =>
    Effect.map(sink.open(opening), (writer) => ({
      ...writer,
      write: (rows, since) => around(writer.write(rows, since), rows) as ReturnType<typeof writer.write>
    }))
})

/** The sink of a store brings its journal along; here it is replaced. */
const keptIn = (sink: AnySink, journal: Journal.Journal): AnySink =>
  ({ ...sink, journal: Effect.succeedSome(journal) }) as AnySink

const contentOf = (store: Store.Store<number>, kind: Kind): ReadonlyArray<ReadonlyArray<number>> =>
  ({ table: [store.rows], file: [store.file.lines], both: [store.rows, store.file.lines] })[kind]

const slow = (n: number) => after(10, n)

describe.each(kinds)("P9 a write that hangs, to %s,", (kind) => {
  /** The second write does its work and then hangs, for the first run. */
  const hanging = () => {
    const store = Store.make<number>()
    let hangs = true
    const sink = writing(sinkOf(store, kind), (write, rows) =>
      hangs && rows.includes(3) ? Effect.andThen(write, Effect.never) : write
    )
    const job = Pipeline.from(numbers(6)).pipe(Pipeline.map(slow), Pipeline.to(sink))
    const options = { name: "hangs", drainWithin: "5 seconds", commitEvery: 0 } as const
    const given = Store.given(store)
    const finish = () => {
      // Nothing is left behind but what is committed.
      for (const rows of contentOf(store, kind)) expect(rows).toEqual([1, 2])
      hangs = false
      expect(valueOf(given(Pipeline.run(job, options)))).toMatchObject({ outcome: "done", settled: 4 })
      for (const rows of contentOf(store, kind)) expect(rows).toEqual(upTo(6))
    }
    return { store, finish, given, run: Pipeline.run(job, options), start: Pipeline.start(job, options) }
  }
  const millis = <A>([took, value]: readonly [Duration.Duration, A]) => [Duration.toMillis(took), value] as const

  it("is cancelled past the deadline of a drain", () => {
    const { finish, given, start } = hanging()
    const [took, summary] = valueOf(
      Effect.gen(function* () {
        const run = yield* start
        yield* Effect.sleep(1000)
        yield* run.drain
        return millis(yield* Effect.timed(run.await))
      }).pipe(TaskGroup.open, given)
    )
    expect(took).toBe(5000)
    expect(summary).toMatchObject({ outcome: "drained", resumable: true, settled: 2 })
    finish()
  })

  it("is cancelled by a deadline around the run", () => {
    const { finish, given, run } = hanging()
    const late = Effect.flip(Deadline.within(run, "2 seconds", { name: "all" }))
    const [took, error] = millis(valueOf(given(Effect.timed(late))))
    expect(took).toBe(2000)
    expect(error).toBeInstanceOf(Deadline.DeadlineExceeded)
    finish()
  })

  it("is cancelled at once with the run", () => {
    const { finish, given, run } = hanging()
    const [took] = millis(
      valueOf(
        Effect.gen(function* () {
          const fiber = yield* Effect.forkChild(run)
          yield* Effect.sleep(1000)
          return yield* Effect.timed(Fiber.interrupt(fiber))
        }).pipe(given)
      )
    )
    expect(took).toBe(0)
    finish()
  })
})

describe("P9 what a sink writes at the end", () => {
  it("is cancelled past the deadline of a drain as well", () => {
    const store = Store.make<number>()
    let hangs = true
    const sink: AnySink = {
      ...store.elsewhere,
      open: (opening) =>
        Effect.map(store.elsewhere.open(opening), (writer) => ({
          ...writer,
          finish: () => (hangs ? Effect.never : Effect.succeed("finished"))
        }))
    }
    const job = Pipeline.from(numbers(3)).pipe(Pipeline.to(sink))
    const options = { name: "ends", drainWithin: "5 seconds" } as const
    const given = Store.given(store)
    const [took, summary] = valueOf(
      Effect.gen(function* () {
        const run = yield* Pipeline.start(job, options)
        yield* Effect.sleep(1000)
        yield* run.drain
        return yield* Effect.timed(run.await)
      }).pipe(TaskGroup.open, given)
    )
    expect(Duration.toMillis(took)).toBe(5000)
    expect(summary).toMatchObject({ outcome: "drained", resumable: true, settled: 3 })
    hangs = false
    expect(valueOf(given(Pipeline.run(job, options)))).toMatchObject({ outcome: "done", settled: 0 })
    expect(store.checkpoint).toMatchObject({ finished: true, sinks: { elsewhere: { state: "finished" } } })
  })

  it("is written under a lease that is renewed", () => {
    const store = Store.make<number>()
    let renewals = 0
    const journal: Journal.Journal = {
      ...store.journal,
      lease: (key, options) =>
        Effect.map(store.journal.lease(key, options), (lease) => ({
          ...lease,
          renewEvery: Option.some(Duration.seconds(5)),
          renew: Effect.tap(lease.renew, () => Effect.sync(() => void (renewals += 1)))
        }))
    }
    const sink: AnySink = {
      ...store.elsewhere,
      open: (opening) =>
        Effect.map(store.elsewhere.open(opening), (writer) => ({ ...writer, finish: () => after(60_000, null) }))
    }
    const job = Pipeline.from(numbers(3)).pipe(Pipeline.to(sink))
    valueOf(Effect.provideService(Pipeline.run(job, { name: "ends" }), Journal.Journal, journal))
    expect(renewals).toBeGreaterThanOrEqual(11)
  })
})

describe("P13 a commit that was interrupted", () => {
  it.each([
    ["was kept", true, 3],
    ["was not kept", false, 1]
  ] as const)("is decided by reading the checkpoint: it %s", (_, kept, lines) => {
    const store = Store.make<number>()
    const closed: Array<unknown> = []
    const inner = store.file
    const file: AnySink = {
      ...inner,
      open: (opening) =>
        Effect.map(inner.open(opening), (writer) => ({
          ...writer,
          close: (committed) =>
            Effect.andThen(
              Effect.sync(() => closed.push(committed)),
              writer.close!(committed)
            )
        }))
    }
    const journal = committing(store.journal, (commit, turn) =>
      turn !== 3 ? commit : kept ? Effect.andThen(commit, Effect.never) : Effect.never
    )
    const step = (n: number) => (n === 1 ? Effect.succeed(n) : after(5, n))
    const job = Pipeline.from(numbers(4)).pipe(
      Pipeline.map(step),
      Pipeline.batch(2),
      Pipeline.flatMap((all) => all)
    )
    const run = (journal: Journal.Journal, first: number) =>
      Pipeline.run(
        first === 1
          ? Pipeline.from(numbers(4)).pipe(
              Pipeline.map((n) => after(n <= 1 ? 1 : n <= 3 ? 20 : 2000, n), { concurrency: 4 }),
              Pipeline.to(file)
            )
          : job.pipe(Pipeline.to(file)),
        { name: "doubt" }
      ).pipe(Effect.provideService(Journal.Journal, journal))
    expect(valueOf(Effect.timeoutOption(run(journal, 1), "1 second"))).toEqual(Option.none())
    expect(closed).toEqual([Option.some(lines)])
    expect(store.file.lines).toEqual(upTo(lines))
    expect(valueOf(run(store.journal, 2))).toMatchObject({ settled: 4 - lines })
    expect(store.file.lines).toEqual(upTo(4))
  })
})

/** Whatever happens to the first run: between it and the next there is only what the store and the file hold. */
const lives = (
  kind: Kind,
  twice: boolean,
  journalOf: (journal: Journal.Journal) => Journal.Journal = (same) => same
) => {
  const store = Store.make<number>()
  store.twice = twice
  const steps = Pipeline.from(numbers(9)).pipe(
    Pipeline.map((n) => after(n % 3, n), { concurrency: 3, order: "completion" }),
    Pipeline.flatMap((n) => (n % 4 === 0 ? [] : [n, n + 100])),
    Pipeline.filter((n) => n !== 107)
  )
  const options = { name: "twice", maxRows: 3, window: { items: 6 } }
  const runIn = (journal: Journal.Journal) => {
    const sink = sinkOf(store, kind)
    return Pipeline.run(steps.pipe(Pipeline.to(kind === "file" ? sink : keptIn(sink, journal))), options).pipe(
      Effect.provideService(Journal.Journal, journal)
    )
  }
  return { kind, store, run: runIn(journalOf(store.journal)), next: runIn(store.journal) }
}
const expected = sorted([1, 2, 3, 5, 6, 7, 9].flatMap((n) => (n === 7 ? [7] : [n, n + 100])))

const finishes = ({ kind, next, store }: ReturnType<typeof lives>) => {
  store.free()
  expect(valueOf(next)).toMatchObject({ outcome: "done" })
  for (const rows of contentOf(store, kind)) expect(sorted(rows)).toEqual(expected)
  expect(store.checkpoint).toMatchObject({
    position: Option.some(9),
    finished: true,
    counts: { settled: 9, written: expected.length, filtered: 1, dead: 0 }
  })
}

describe.each(kinds)("P13 a journal that runs each transaction twice, with %s,", (kind) => {
  it("is exact under any schedule, killed or cancelled anywhere", { timeout: 120_000 }, () => {
    let now!: ReturnType<typeof lives>
    const start = Effect.suspend(() => (now = lives(kind, true)).run)
    const check = (run: Sim.Run<unknown, unknown>) => {
      if (!run.stopped) Effect.runSync(Effect.andThen(run.exit, Leaks.check(run)))
      finishes(now)
    }
    Effect.runSync(Kill.everywhere(start, { check, at: "suspension" }))
    Effect.runSync(Interrupt.everywhere(start, { check, at: "suspension" }))
    Effect.runSync(Sim.explore(start, { check, schedules: 60, stop: "kill" }))
    Effect.runSync(Sim.explore(start, { check, schedules: 60, stop: "interrupt", seed: 100 }))
  })
})

describe("P13 elements are settled", () => {
  it.each([false, true])("and counted only once they are committed, though the transaction runs twice: %s", (twice) => {
    const store = Store.make<number>()
    store.twice = twice
    let handle: Pipeline.Run<unknown> | undefined
    const seen: Array<readonly [told: number, kept: number]> = []
    const sink = writing(store.table, (write) =>
      Effect.gen(function* () {
        if (handle !== undefined) {
          const { settled, written } = yield* handle.progress
          const kept = store.checkpoint!.counts
          seen.push([settled, kept.settled])
          expect(written).toBe(kept.written)
        }
        return yield* Effect.delay(write, 7)
      })
    )
    const job = Pipeline.from(numbers(20)).pipe(
      Pipeline.map((n) => after(n % 4, n), { concurrency: 4 }),
      Pipeline.to(sink)
    )
    valueOf(
      Effect.gen(function* () {
        handle = yield* Pipeline.start(job, { name: "counts", window: { items: 8 } })
        yield* handle.await
      }).pipe(TaskGroup.open, Effect.provideService(Journal.Journal, store.journal))
    )
    expect(seen.length).toBeGreaterThan(4)
    for (const [told, kept] of seen) expect(told).toBe(kept)
  })

  it("in a progress that never goes back, be it during a commit", () => {
    const store = Store.make<number>()
    const sink = writing(store.table, (write) => Effect.delay(write, 20))
    const job = Pipeline.from(numbers(200)).pipe(
      Pipeline.map((n) => after(1, n)),
      Pipeline.filter((n) => n % 25 === 0),
      Pipeline.to(sink)
    )
    const told: Array<number> = []
    valueOf(
      Effect.gen(function* () {
        const run = yield* Pipeline.start(job, {
          name: "forward",
          progress: { interval: 1, on: ({ settled }) => Effect.sync(() => void told.push(settled)) }
        })
        yield* run.await
      }).pipe(TaskGroup.open, Effect.provideService(Journal.Journal, store.journal))
    )
    expect(told.length).toBeGreaterThan(100)
    expect(told).toEqual(sorted(told))
  })

  it("and make room for others only once they are committed", () => {
    const store = Store.make<number>()
    store.twice = true
    let read = 0
    let most = 0
    const source: Source.Source<number, never, never, number> = {
      ...numbers(40),
      read: (from) =>
        numbers(40)
          .read(from)
          .pipe(
            Stream.rechunk(1),
            Stream.tap(() => Effect.sync(() => void (read += 1)))
          )
    }
    const sink = writing(store.table, (write) =>
      Effect.tap(Effect.delay(write, 50), () =>
        Effect.sync(() => {
          most = Math.max(most, read - (store.checkpoint?.counts.settled ?? 0))
        })
      )
    )
    const job = Pipeline.from(source).pipe(Pipeline.to(sink))
    const run = Pipeline.run(job, { name: "room", window: { items: 5 }, maxRows: 2 })
    valueOf(Effect.provideService(run, Journal.Journal, store.journal))
    expect(store.rows).toEqual(upTo(40))
    // And one that the reader has in its hand.
    expect(most).toBe(6)
  })
})

describe.each(kinds)("P13 a commit whose reply is lost, with %s,", (kind) => {
  const lost = (pipeline: string) =>
    new Journal.JournalError({ pipeline, tried: "commit", reason: "the connection broke" })

  it("ends the run with an error or lets it go on, and the next one is exact", () => {
    for (const when of ["after", "before"] as const) {
      for (let at = 1; ; at++) {
        let turns = 0
        const now = lives(kind, at % 2 === 0, (journal) =>
          committing(journal, (commit, turn) => {
            turns = turn
            if (turn !== at) return commit
            return when === "after" ? Effect.andThen(commit, lost("twice")) : lost("twice")
          })
        )
        const exit = exitOf(now.run)
        if (Exit.isFailure(exit)) {
          expect(valueOf(Effect.flip(exit))).toBeInstanceOf(Journal.JournalError)
          // What the file holds is what was kept, whatever was said of it.
          const state = now.store.checkpoint?.sinks["file"]?.state
          if (kind !== "table") expect(now.store.file.lines.length).toBe(state ?? 0)
        }
        finishes(now)
        if (turns < at) {
          expect(at).toBeGreaterThan(4)
          break
        }
      }
    }
  })

  it("is exact under any schedule", () => {
    let now!: ReturnType<typeof lives>
    const start = Effect.suspend(() => {
      const at = 1 + (runs++ % 7)
      now = lives(kind, false, (journal) =>
        committing(journal, (commit, turn) => (turn === at ? Effect.andThen(commit, lost("twice")) : commit))
      )
      return now.run
    })
    let runs = 0
    for (let seed = 1; seed <= 40; seed++) {
      const strategy = seed % 2 === 0 ? "random" : "pct"
      Effect.runSync(Effect.tap(Sim.run(start, { seed, strategy, granularity: "op" }), Leaks.check))
      finishes(now)
    }
  })
})
