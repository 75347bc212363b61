/** What passes by itself: a write or a commit that is tried again, with nothing lost and nothing twice (P13). */
import { describe, expect, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { DeadlockError, SqlError } from "effect/sql/SqlError"
import { Db, Deadline, Journal, Pipeline, Sink, Source, TaskGroup } from "skein"
import { Drivers } from "skein/node"
import { Fault, Leaks, Sim } from "skein/testing"
import { after, causeOf, committing, errorOf, exitOf, numbers, upTo, valueOf } from "../support/jobs.ts"
import * as Store from "../support/store.ts"

class Gone extends Schema.TaggedError<Gone>()("Gone", { passes: Schema.Boolean }) {}

type AnySink = Sink.Sink<number, Gone, never, Sink.Guarantee>

/** Fails on its first writes, after it has done them; what passes by itself is its own to say. */
const failing = (
  sink: Sink.Sink<number, never, never, Sink.Guarantee>,
  times: number,
  passes: boolean
): AnySink & { readonly at: Array<number> } => {
  const at: Array<number> = []
  return {
    ...sink,
    at,
    open: (opening) =>
      Effect.map(sink.open(opening), (writer) => ({
        ...writer,
        mayPass: (error) => error instanceof Gone && error.passes,
        atFault: () => "batch" as const,
        write: (rows: ReadonlyArray<number>, since) =>
          Effect.gen(function* () {
            const state = yield* writer.write(rows, since)
            if (rows.length === 0) return state
            at.push(yield* Clock.currentTimeMillis)
            return at.length > times ? state : yield* new Gone({ passes })
          })
      }))
  }
}

/** A journal some of whose commits fail: before anything of them is kept, or after all is. */
const flaky = (
  journal: Journal.Journal,
  fails: (turn: number) => "before" | "after" | undefined,
  error: (pipeline: string) => Journal.JournalError
): Journal.Journal =>
  committing(journal, (commit, turn, { pipeline, write }) => {
    const when = fails(turn)
    if (when === undefined) return commit
    // As far as a COMMIT that fails.
    const done = when === "before" ? Effect.asVoid(write) : commit
    return Effect.andThen(done, error(pipeline))
  })

const deadlock = (pipeline: string) =>
  new Journal.JournalError({ pipeline, tried: "commit", reason: "deadlock", mayPass: true })

describe("a write that fails with what passes by itself", () => {
  const run = (sink: AnySink, store: Store.Store<number>, options: Pipeline.ToOptions<number> = {}) =>
    Store.given(store)(Pipeline.run(Pipeline.from(numbers(5)).pipe(Pipeline.to(sink, options)), { name: "r" }))

  it("is tried again without being asked for, in growing intervals, and written once", () => {
    for (const kind of ["table", "file"] as const) {
      const store = Store.make<number>()
      const sink = failing(store[kind], 6, true)
      expect(valueOf(run(sink, store))).toMatchObject({ outcome: "done", settled: 5, written: 5, retries: 6 })
      expect(kind === "table" ? store.rows : store.file.lines).toEqual(upTo(5))
    }
  })

  it("is tried ten times more, within half a minute, and ends the run then, which the next one goes on from", () => {
    const store = Store.make<number>()
    const sink = failing(store.table, 100, true)
    expect(errorOf(run(sink, store))).toBeInstanceOf(Gone)
    expect(sink.at.length).toBe(11)
    expect(sink.at[10]! - sink.at[0]!).toBeGreaterThan(3000)
    expect(sink.at[10]! - sink.at[0]!).toBeLessThan(27_000)
    expect(store.rows).toEqual([])
    expect(valueOf(run(store.table, store))).toMatchObject({ settled: 5 })
    expect(store.rows).toEqual(upTo(5))
  })

  it.each([
    ["where the sink says that it does not pass", false, {}, 1],
    ["where the user asks for none", true, { retry: { retries: 0 } }, 1],
    ["as the user asks for it, whatever the sink says", false, { retry: { retries: 2 } }, 3],
    ["for what the user says is worth it", true, { retry: { retries: 2, retryWhile: () => false } }, 1]
  ] as const)("is tried %s", (_, passes, options, attempts) => {
    const store = Store.make<number>()
    const sink = failing(store.table, 100, passes)
    expect(errorOf(run(sink, store, options))).toBeInstanceOf(Gone)
    expect(sink.at.length).toBe(attempts)
  })

  it("is not tried again where the deadline around the run leaves no time for it", () => {
    const store = Store.make<number>()
    const sink = failing(store.table, 100, true)
    const program = Effect.timed(Effect.exit(Deadline.within(run(sink, store), "2 seconds", { name: "all" })))
    const [took, exit] = valueOf(program)
    expect(Exit.isFailure(exit)).toBe(true)
    expect(Duration.toMillis(took)).toBeLessThanOrEqual(2000)
    expect(sink.at.length).toBeGreaterThan(2)
  })

  it("is given up with the run, past the deadline of a drain, and on a cancel", () => {
    const store = Store.make<number>()
    const sink = failing(store.table, 100, true)
    const job = Pipeline.from(numbers(5)).pipe(Pipeline.to(sink, { retry: { backoff: { base: "1 hour" } } }))
    const [took, summary] = valueOf(
      Effect.gen(function* () {
        const handle = yield* Pipeline.start(job, { name: "r", drainWithin: "1 second" })
        yield* Effect.sleep(100)
        yield* handle.drain
        return yield* Effect.timed(handle.await)
      }).pipe(TaskGroup.open, Store.given(store))
    )
    expect(Duration.toMillis(took)).toBeLessThanOrEqual(1000)
    expect(summary).toMatchObject({ outcome: "drained", settled: 0 })
  })
})

describe("a commit that fails", () => {
  const job = (store: Store.Store<number>, journal: Journal.Journal) => {
    const table = { ...store.table, journal: Effect.succeedSome(journal) }
    return Pipeline.from(numbers(9)).pipe(
      Pipeline.map((n) => after(n % 3, n), { concurrency: 3 }),
      Pipeline.to(Sink.all(table, store.file))
    )
  }

  it("with what passes by itself is tried again, whichever it is, with the run as it was", () => {
    for (let at = 1, turns = at; turns >= at; at++) {
      const store = Store.make<number>()
      store.twice = at % 2 === 0
      turns = 0
      const journal = flaky(
        store.journal,
        (turn) => {
          turns = turn
          return turn === at || turn === at + 1 ? "before" : undefined
        },
        deadlock
      )
      const summary = valueOf(Pipeline.run(job(store, journal), { name: "r" }).pipe(Store.given(store)))
      expect(summary).toMatchObject({ outcome: "done", settled: 9, written: 9 })
      expect([store.rows, store.file.lines]).toEqual([upTo(9), upTo(9)])
      expect(store.checkpoint).toMatchObject({ finished: true, counts: { settled: 9, written: 9 } })
    }
  })

  it("ends the run where it may have been kept: that is for the next run to find out", () => {
    const store = Store.make<number>()
    const lost = (pipeline: string) => new Journal.JournalError({ pipeline, tried: "commit", reason: "lost" })
    const journal = flaky(store.journal, (turn) => (turn === 3 ? "after" : undefined), lost)
    const exit = exitOf(Pipeline.run(job(store, journal), { name: "r" }).pipe(Store.given(store)))
    expect(Exit.isFailure(exit) && Cause.squash(exit.cause)).toEqual(lost("r"))
    valueOf(Pipeline.run(job(store, store.journal), { name: "r" }).pipe(Store.given(store)))
    expect([store.rows, store.file.lines]).toEqual([upTo(9), upTo(9)])
  })

  it("now and then is exact under any schedule, killed and cancelled at any time", () => {
    for (const stop of ["kill", "interrupt"] as const) {
      let store!: Store.Store<number>
      let runs = 0
      const start = Effect.suspend(() => {
        store = Store.make<number>()
        runs += 1
        const fails = (turn: number) => ((turn * 7 + runs) % 3 === 0 ? ("before" as const) : undefined)
        return Pipeline.run(job(store, flaky(store.journal, fails, deadlock)), { name: "r" }).pipe(Store.given(store))
      })
      const check = (run: Sim.Run<unknown, unknown>) => {
        if (!run.stopped) Effect.runSync(Effect.andThen(run.exit, Leaks.check(run)))
        store.free()
        valueOf(Pipeline.run(job(store, store.journal), { name: "r" }).pipe(Store.given(store)))
        expect([store.rows, store.file.lines]).toEqual([upTo(9), upTo(9)])
      }
      Effect.runSync(Sim.explore(start, { check, schedules: 60, stop }))
    }
  })
})

describe("a database that fails and comes back", () => {
  const Row = Schema.Struct({ n: Schema.Int })
  const rows = Array.from({ length: 10 }, (_, n) => ({ n }))
  const job = Pipeline.from(Source.list(rows, { name: "rows" })).pipe(Pipeline.to(Db.table("rows", Row)))
  const run = Pipeline.run(job, { name: "rows", require: "exactly-once", maxRows: 3, window: { items: 3 } })
  const over = <A, E>(plan: ReadonlyArray<Fault.SqlRule>, effect: Effect.Effect<A, E, Db.Db | Journal.Journal>) =>
    Effect.provide(effect, Db.sqlite(":memory:").pipe(Layer.provide(Fault.db(plan)), Layer.provide(Drivers.layer)))
  const all = Effect.map(
    Effect.flatMap(Db.Db, ({ sql }) => sql<{ readonly n: number }>`SELECT n FROM rows ORDER BY rowid`),
    (found) => found.map(({ n }) => ({ n }))
  )
  const isInsert = ({ sql }: Fault.SqlCall) => sql.startsWith('INSERT INTO "rows"')
  /** The commits of rows and checkpoint, not what is done to begin. */
  const commits = () => {
    let inserted = false
    return (call: Fault.SqlCall) => {
      if (isInsert(call)) inserted = true
      return call.sql === "COMMIT" && inserted
    }
  }

  it.each([
    ["an insert that deadlocks", () => [{ on: isInsert, nth: [1, 2, 4], fault: deadlocked }]],
    ["an insert that finds it locked", () => [{ on: isInsert, nth: [2, 3], fault: "busy" }]],
    ["a connection that breaks in the middle", () => [{ on: isInsert, nth: [1, 3, 4], fault: "disconnected" }]],
    ["a reply to an insert that is lost", () => [{ on: isInsert, nth: [1, 3], fault: "lost" }]],
    ["a COMMIT that finds it locked", () => [{ on: commits(), nth: [1, 3], fault: "busy" }]],
    ["a COMMIT that does not arrive", () => [{ on: commits(), nth: [2], fault: "disconnected" }]],
    ["a reply to a COMMIT that is lost", () => [{ on: commits(), nth: [1, 2, 4], fault: "lost" }]]
  ] satisfies ReadonlyArray<readonly [string, () => ReadonlyArray<Fault.SqlRule>]>)(
    "has each row once after %s",
    (_, plan) => {
      const program = Effect.gen(function* () {
        const summary = yield* run
        return { summary, rows: yield* all }
      })
      const { rows: found, summary } = valueOf(over(plan(), program))
      expect(summary).toMatchObject({ outcome: "done", settled: 10, written: 10 })
      expect(found).toEqual(rows)
    }
  )

  it.each([
    ["for less than its lease lasts", 8, "done"],
    ["for longer", 1000, "JournalError"]
  ] as const)("keeps its run though it cannot be told of it %s", (_, times, outcome) => {
    const slow = Pipeline.from(Source.list(rows, { name: "rows" })).pipe(
      Pipeline.map((row) => after(10_000, row)),
      Pipeline.to(Db.table("rows", Row))
    )
    // Only commits would be left to renew it.
    const on = ({ sql }: Fault.SqlCall) => sql.startsWith("UPDATE skein_run SET expires")
    const still = Pipeline.run(slow, { name: "rows", commitEvery: "1 hour" })
    const run = Effect.map(still, (summary): string => summary.outcome)
    const told = Effect.catchTag(run, "JournalError", (error) => Effect.succeed(error._tag))
    expect(valueOf(over([{ on, fault: "disconnected", times }], told))).toBe(outcome)
  })

  it("is not asked again blindly where nobody can say whether a COMMIT was kept", () => {
    const lost = commits()
    let count = 0
    let isLost = false
    const plan: ReadonlyArray<Fault.SqlRule> = [
      { on: (call) => lost(call) && ++count === 2 && (isLost = true), fault: "lost" },
      { on: ({ sql }) => isLost && sql.startsWith("SELECT"), times: 1000, fault: "disconnected" }
    ]
    const program = Effect.gen(function* () {
      const error = yield* Effect.flip(run)
      isLost = false
      yield* run
      return { error, rows: yield* all }
    })
    const { error, rows: found } = valueOf(over(plan, program))
    expect(error).toBeInstanceOf(Journal.JournalError)
    expect(found).toEqual(rows)
  })

  it("says so of a row that is refused, which is no matter of time", () => {
    const cause = causeOf(over([{ on: isInsert, fault: "constraint" }], run))
    expect(Cause.squash(cause)).toBeInstanceOf(Db.DbError)
  })
})

const deadlocked = new SqlError({ reason: new DeadlockError({ cause: new Error("deadlock detected") }) })
