import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import { DatabaseSync } from "node:sqlite"
import { setImmediate } from "node:timers/promises"
import { Db, Journal } from "skein"
import { Drivers } from "skein/node"
import { Fault, Interrupt, Leaks, type Sim } from "skein/testing"
import { make } from "../../src/io/db/journal/SqlJournal.ts"
import type { Host } from "../../src/pipeline/context/Host.ts"
import { checkpoint, connect, kept, leaseOf, newFile, rowsOf } from "../support/database.ts"
import { databases } from "../support/databases.ts"

const letter = (changes: Partial<Journal.DeadLetter> = {}): Journal.DeadLetter => ({
  step: "parse",
  input: { line: "x'\"; DROP TABLE skein_dead; --" },
  cause: "no number",
  causes: [
    { depth: 0, name: "Refused", message: "x'\"\u0000\ud800\u001b[31m", stack: "at a (b.ts:1:2)\nat c" },
    { depth: 1, name: "", message: "" }
  ],
  attempts: 4,
  version: "2",
  position: { byte: 12, line: 1 },
  path: "3.1",
  at: 1_790_000_000_123,
  ...changes
})

const key = Journal.keyOf("p")
/** What a run does that takes the lease for one commit. */
const commit = (
  journal: Journal.Journal,
  changes: Partial<Journal.Checkpoint> = {},
  rest: Partial<Omit<Journal.Commit, "checkpoint">> = {},
  leased: { readonly pipeline?: string; readonly partition?: string } = {}
) =>
  Effect.scoped(
    Effect.flatMap(leaseOf(journal, { pipeline: "p", ...leased }), (lease) =>
      lease.commit(Effect.succeed(kept(changes, rest)))
    )
  )

const table = Effect.flatMap(Db.Db, ({ sql }) => sql`CREATE TABLE written (n INTEGER)`)
const write = (n: number) => Effect.flatMap(Db.Db, ({ sql }) => sql`INSERT INTO written VALUES (${n})`)

/** A lease that is held until `killed`, as that of a process that ends without a word, or `ended`. */
const held = (journal: Journal.Journal, leased: Parameters<typeof leaseOf>[1] = {}) =>
  Effect.gen(function* () {
    const scope = yield* Scope.make()
    const lease = yield* Scope.provide(leaseOf(journal, { pipeline: "p", ...leased }), scope)
    return { lease, ended: Scope.close(scope, Exit.void) }
  })

/** A process among those of a machine; it does not know the others but by `runs`. */
const host = (id: string, runs: { readonly [id: string]: boolean } = {}): Host => ({
  id,
  label: `process ${id}`,
  runs: (other) => (other === id ? true : runs[other])
})

for (const { database: name, direct, later, mend, spoil, url: fresh } of databases) {
  const isSqlite = name === "SQLite"
  /** The journals of several processes in one database. */
  const among = <const Hosts extends ReadonlyArray<Host>>(...hosts: Hosts) =>
    Effect.gen(function* () {
      const url = yield* fresh
      const journals = yield* Effect.forEach(hosts, (host) =>
        Effect.map(connect(url), (db) => ({ url, sql: db.sql, journal: make(db, host) }))
      )
      return journals as {
        [H in keyof Hosts]: { readonly url: string; readonly sql: Db.Db["sql"]; readonly journal: Journal.Journal }
      }
    })

  const tables = (url: string) =>
    direct(
      url,
      isSqlite
        ? "SELECT name FROM sqlite_master WHERE type = 'table'"
        : "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
    )

  /** Completes once a session waits for a lock that another one has. */
  const isWaitedFor = (url: string): Effect.Effect<void> =>
    Effect.flatMap(
      direct(url, "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"),
      (rows) => (rows.length > 0 ? Effect.void : Effect.andThen(Effect.sleep("5 millis"), isWaitedFor(url)))
    )

  /** The body with `Db` and `Journal` of a new database. */
  const withDb = <A, E, R>(body: (url: string) => Effect.Effect<A, E, R>) =>
    Effect.flatMap(fresh, (url) => Effect.provide(body(url), Db.open(url).pipe(Layer.provide(Drivers.layer))))

  describe(`${name}: what was committed is loaded`, () => {
    it.effect("nothing before the first commit, and then all of the last one, also by the next process", () =>
      Effect.gen(function* () {
        const url = yield* fresh
        const first = yield* connect(url)
        assert.deepEqual(yield* first.journal.load(key), Option.none())
        yield* commit(first.journal)
        const last = checkpoint({
          fingerprint: { path: "é'\"", size: 1, nested: [null, { a: true }] },
          position: Option.some({ byte: 2 ** 40, of: [1.5, "x"] }),
          ahead: [1, 2, 7],
          reach: Option.some({ position: [null], fingerprint: { chain: "ü" } }),
          sinks: {
            "table a": { fingerprint: { key: ["id"] }, state: null },
            "'\"": { fingerprint: {}, state: { b: 1 } }
          },
          counts: { settled: 6, written: 5, filtered: 4, skipped: 3, dead: 2, bytes: 2 ** 50 },
          finished: true
        })
        const { ended, lease } = yield* held(first.journal)
        yield* lease.commit(Effect.succeed({ ...kept(), checkpoint: last }))
        assert.deepEqual(yield* lease.load, Option.some(last))
        yield* ended
        const next = yield* connect(url)
        assert.deepEqual(yield* next.journal.load(key), Option.some(last))
        assert.deepEqual(yield* next.journal.load(Journal.keyOf("other")), Option.none())
      })
    )

    it.effect("a position and a sink's state of null are not the same as none", () =>
      withDb(() =>
        Effect.gen(function* () {
          const journal = yield* Journal.Journal
          for (const position of [Option.none(), Option.some(null), Option.some("null")]) {
            const reach = Option.map(position, (position) => ({ position, fingerprint: {} }))
            const sinks = Option.match(position, {
              onNone: () => ({}),
              onSome: (state) => ({ s: { fingerprint: {}, state } })
            })
            yield* commit(journal, { position, reach, sinks })
            const found = Option.getOrThrow(yield* journal.load(key))
            assert.deepEqual([found.position, found.reach, found.sinks], [position, reach, sinks])
          }
        })
      )
    )

    it.effect("each pipeline and each of its partitions has its own, whatever their names", () =>
      withDb(() =>
        Effect.gen(function* () {
          const journal = yield* Journal.Journal
          const names = ["", "a", "A", "a.b", "a:b", `'; DELETE FROM skein_run; --`, "ü"]
          const keys = names.flatMap((name) => [
            Journal.keyOf(name),
            ...names.map((partition) => Journal.keyOf(name, partition))
          ])
          for (const [n, { partition, pipeline }] of keys.entries()) {
            yield* commit(
              journal,
              { position: Option.some(n) },
              { dead: [letter({ at: n })] },
              { pipeline, ...(partition !== null && { partition }) }
            )
          }
          for (const [n, key] of keys.entries()) {
            assert.deepEqual(Option.getOrThrow(yield* journal.load(key)).position, Option.some(n))
            assert.deepEqual(
              (yield* journal.dead(key)).map(({ at }) => at),
              [n]
            )
          }
        })
      )
    )
  })

  describe(`${name}: dead letters`, () => {
    it.effect("come back as they were, oldest first, until a replay has settled them", () =>
      withDb(() =>
        Effect.gen(function* () {
          const journal = yield* Journal.Journal
          assert.deepEqual(yield* journal.dead(key), [])
          const letters = [
            letter(),
            letter({ input: null, position: [2], path: "", version: null }),
            letter({ input: "text", cause: "" })
          ]
          yield* commit(journal, {}, { dead: letters.slice(0, 2) })
          yield* commit(journal, {}, { dead: letters.slice(2) })
          yield* commit(journal, {}, { dead: [letter()] }, { pipeline: "other" })
          yield* commit(journal, {}, { dead: [letter()] }, { partition: "1" })
          const found = yield* journal.dead(key)
          assert.deepEqual(
            found.map(({ id: _, replayed, ...rest }) => ({ ...rest, replayed })),
            letters.map((one) => ({ ...one, replayed: false }))
          )

          const ids = found.map(({ id }) => id)
          yield* commit(journal, {}, { replayed: ids.slice(0, 2) })
          yield* commit(journal, {}, { replayed: [] })
          yield* commit(journal, {}, { replayed: ids }, { pipeline: "other" })
          yield* commit(journal, {}, { replayed: ids }, { partition: "1" })
          assert.deepEqual(
            (yield* journal.dead(key)).map(({ id }) => id),
            ids.slice(2)
          )
          assert.strictEqual((yield* journal.dead(Journal.keyOf("other"))).length, 1)
          assert.strictEqual((yield* journal.dead(Journal.keyOf("p", "1"))).length, 1)
        })
      )
    )

    it.effect("more than a statement has parameters for", () =>
      withDb(() =>
        Effect.gen(function* () {
          const journal = yield* Journal.Journal
          const numbers = Array.from({ length: 40_000 }, (_, at) => at)
          yield* commit(journal, {}, { dead: numbers.map((at) => letter({ at })) })
          const found = yield* journal.dead(key)
          assert.deepEqual(
            found.map(({ at }) => at),
            numbers
          )
          yield* commit(journal, {}, { replayed: found.map(({ id }) => id) })
          assert.deepEqual(yield* journal.dead(key), [])
        })
      )
    )

    it.effect("marked in a commit that fails are not marked", () =>
      withDb((url) =>
        Effect.gen(function* () {
          const { journal } = yield* Db.Db
          yield* commit(journal, {}, { dead: [letter()] })
          const [found] = yield* journal.dead(key)
          yield* spoil(url, "INSERT ON skein_dead")
          yield* Effect.flip(commit(journal, {}, { replayed: [found?.id ?? 0], dead: [letter()] }))
          assert.deepEqual(yield* journal.dead(key), [found!])
        })
      )
    )

    it.effect("P10 are forgotten by the commit that starts over, which may keep new ones", () =>
      withDb((url) =>
        Effect.gen(function* () {
          const { journal } = yield* Db.Db
          yield* commit(journal, {}, { dead: [letter({ at: 1 }), letter({ at: 2 })] })
          yield* commit(journal, {}, { dead: [letter({ at: 3 })] }, { partition: "1" })
          const restart = { restart: true, dead: [letter({ at: 4 })] }
          yield* spoil(url, "INSERT ON skein_dead")
          yield* Effect.flip(commit(journal, {}, restart))
          assert.strictEqual((yield* journal.dead(key)).length, 2)
          yield* mend(url, "INSERT ON skein_dead")
          yield* commit(journal, {}, restart)
          const at = (key: Journal.JournalKey) => Effect.map(journal.dead(key), (found) => found.map(({ at }) => at))
          assert.deepEqual([yield* at(key), yield* at(Journal.keyOf("p", "1"))], [[4], [3]])
        })
      )
    )

    it.effect("are kept without a commit, and without a lease", () =>
      withDb(() =>
        Effect.gen(function* () {
          const journal = yield* Journal.Journal
          yield* journal.bury(key, [letter({ at: 1 })])
          const { lease } = yield* held(journal)
          yield* journal.bury(key, [letter({ at: 2 }), letter({ at: 3 })])
          yield* lease.commit(Effect.succeed(kept()))
          assert.deepEqual(
            (yield* journal.dead(key)).map(({ at }) => at),
            [1, 2, 3]
          )
          assert.isTrue(Option.isSome(yield* journal.load(key)))
        })
      )
    )
  })

  describe(`${name}: a commit is all or nothing`, () => {
    it.effect("the writer's own error comes out as it is, with nothing kept", () =>
      withDb(() =>
        Effect.gen(function* () {
          const journal = yield* Journal.Journal
          yield* table
          const { lease } = yield* held(journal)
          assert.strictEqual(
            yield* Effect.flip(lease.commit(Effect.andThen(write(1), Effect.fail("mine" as const)))),
            "mine"
          )
          // An SqlError too is the writer's, and not the journal's.
          const { sql } = yield* Db.Db
          const error = yield* Effect.flip(lease.commit(Effect.andThen(write(1), Effect.as(sql`nonsense`, kept()))))
          assert.strictEqual(error._tag, "SqlError")
          assert.deepEqual(yield* rowsOf("written"), [])
          assert.deepEqual(yield* journal.load(key), Option.none())
          yield* lease.commit(Effect.as(write(2), kept()))
          assert.deepEqual(yield* rowsOf("written"), [{ n: 2 }])
        })
      )
    )

    it.effect("rows, dead letters and checkpoint go together when the journal itself cannot write", () =>
      withDb((url) =>
        Effect.gen(function* () {
          const { journal } = yield* Db.Db
          yield* table
          const { lease } = yield* held(journal)
          yield* lease.commit(Effect.succeed(kept()))
          yield* spoil(url, "UPDATE OF checkpoint ON skein_run")
          const error = yield* Effect.flip(
            lease.commit(Effect.as(write(1), kept({ ahead: [9] }, { dead: [letter()] })))
          )
          assert.instanceOf(error, Journal.JournalError)
          assert.include(error.message, `Journal of pipeline "p": could not commit: out of ink`)
          assert.deepEqual(yield* rowsOf("written"), [])
          assert.deepEqual(yield* journal.dead(key), [])
          assert.deepEqual(Option.getOrThrow(yield* journal.load(key)).ahead, [])
          // The failure was not a commit of somebody else.
          yield* mend(url, "UPDATE OF checkpoint ON skein_run")
          yield* lease.commit(Effect.succeed(kept()))
        })
      )
    )

    it.effect("inside of a transaction it is part of that one", () =>
      withDb((url) =>
        Effect.gen(function* () {
          const { journal, sql } = yield* Db.Db
          const one = commit(journal, {}, { dead: [letter()] })
          yield* Effect.flip(sql.withTransaction(Effect.andThen(one, Effect.fail("outer"))))
          assert.deepEqual(yield* tables(url), [])
          assert.deepEqual(yield* journal.load(key), Option.none())

          yield* table
          yield* sql.withTransaction(
            Effect.gen(function* () {
              const { ended, lease } = yield* held(journal)
              yield* lease.commit(Effect.succeed(kept({ ahead: [1] })))
              yield* Effect.flip(lease.commit(Effect.andThen(write(1), Effect.fail("inner"))))
              yield* lease.commit(Effect.succeed(kept({ ahead: [2] })))
              yield* ended
            })
          )
          assert.deepEqual(Option.getOrThrow(yield* journal.load(key)).ahead, [2])
          assert.deepEqual(yield* rowsOf("written"), [])
        })
      )
    )
  })

  describe(`${name}: a commit whose reply is lost`, () => {
    /** COMMITs are numbered: the first makes the tables, the second takes the lease; PostgreSQL reads the row in a transaction. */
    const through = (plan: ReadonlyArray<Fault.SqlRule>) =>
      Effect.gen(function* () {
        const url = yield* fresh
        const services = yield* Layer.build(
          Db.open(url).pipe(Layer.provide(Fault.db(plan)), Layer.provide(Drivers.layer))
        )
        const db = Context.get(services, Db.Db)
        const read = yield* connect(url)
        yield* read.sql`CREATE TABLE written (n INTEGER)`
        const one = (lease: Journal.Lease, n: number) =>
          lease.commit(Effect.as(db.sql`INSERT INTO written VALUES (${n})`, kept({ ahead: [n] })))
        const found = Effect.gen(function* () {
          const rows = (yield* read.sql`SELECT n FROM written ORDER BY n`).map(({ n }) => n)
          return [rows, Option.getOrThrow(yield* read.journal.load(key)).ahead]
        })
        return { ...db, one, found }
      })
    const commits = ({ sql }: Fault.SqlCall) => sql === "COMMIT"

    it.effect("P13 counts as committed where it was, and the next one goes on from there", () =>
      Effect.gen(function* () {
        const { found, journal, one } = yield* through([
          { fault: "lost", on: commits, nth: isSqlite ? [2, 3, 5] : [2, 4, 7] }
        ])
        const { lease } = yield* held(journal)
        for (const n of [1, 2, 3, 4]) yield* one(lease, n)
        assert.deepEqual(yield* found, [[1, 2, 3, 4], [4]])
      })
    )

    it.effect("P13 fails where it was not, with nothing kept, and the next one goes on from there", () =>
      Effect.gen(function* () {
        const { found, journal, one } = yield* through([
          { fault: "disconnected", on: commits, nth: isSqlite ? [2, 4] : [2, 5] }
        ])
        const error = yield* Effect.flip(held(journal))
        assert.strictEqual(error._tag, "JournalError")
        assert.include(error.message, "could not take its lease: the connection broke")
        const { lease } = yield* held(journal)
        const lost = yield* Effect.flip(one(lease, 1))
        assert.instanceOf(lost, Journal.JournalError)
        assert.include(lost.message, "could not commit: the connection broke")
        yield* one(lease, 2)
        assert.deepEqual(yield* found, [[2], [2]])
      })
    )

    const reads = ({ sql }: Fault.SqlCall) => sql.startsWith("SELECT *,")
    /** The effect, with time passing whenever it waits for that. */
    const inTime = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
      Effect.raceFirst(
        effect,
        Effect.forever(
          Effect.andThen(
            TestClock.adjust("1 second"),
            Effect.promise(() => setImmediate())
          )
        )
      )

    it.effect("P13 is read again where the journal cannot be read for a while", () =>
      Effect.gen(function* () {
        const { found, journal, one } = yield* through([
          { fault: "lost", on: commits, nth: 3 },
          { fault: "disconnected", on: reads, nth: [3, 4, 5] }
        ])
        const { lease } = yield* held(journal)
        yield* inTime(one(lease, 1))
        assert.deepEqual(yield* found, [[1], [1]])
      })
    )

    it.effect("P13 is in doubt where the journal cannot be read, until it is loaded", () =>
      Effect.gen(function* () {
        const { found, journal, one } = yield* through([
          { fault: "lost", on: commits, nth: 3 },
          { fault: "disconnected", on: reads, nth: Array.from({ length: 21 }, (_, i) => i + 3) }
        ])
        const { lease } = yield* held(journal)
        assert.instanceOf(yield* inTime(Effect.flip(one(lease, 1))), Journal.JournalError)
        assert.deepEqual(Option.getOrThrow(yield* lease.load).ahead, [1])
        yield* one(lease, 2)
        assert.deepEqual(yield* found, [[1, 2], [2]])
      })
    )
  })

  describe(`${name}: the lease of a pipeline`, () => {
    it.effect("P10 is one run's at a time, and who is refused is told who holds it, since when and until when", () =>
      Effect.gen(function* () {
        const [a, b] = yield* among(host("a"), host("b", { a: true }))
        if (isSqlite) yield* later(a.url, "1 hour")
        const first = yield* held(a.journal, { duration: "10 minutes" })
        yield* later(a.url, "1 minute")
        for (const { journal } of [a, b]) {
          const error = yield* Effect.flip(held(journal))
          assert.instanceOf(error, Journal.AlreadyRunning)
          assert.deepInclude(error, { pipeline: "p", holder: "process a" })
          assert.strictEqual(error.until - error.since, 600_000)
          if (isSqlite) assert.strictEqual(error.since, 3_600_000)
          const since = new Date(error.since).toISOString()
          assert.include(error.message, `Pipeline "p" runs already, in process a, since ${since}`)
        }
        // Nor has the one that was refused ended the other's.
        yield* first.lease.commit(Effect.succeed(kept()))
        yield* first.ended
        const second = yield* held(b.journal)
        assert.strictEqual(second.lease.id, first.lease.id)
        assert.instanceOf(yield* Effect.flip(held(a.journal)), Journal.AlreadyRunning)
      })
    )

    it.effect("is of a name and partition: others are not kept waiting, and have other ids", () =>
      Effect.gen(function* () {
        const [{ journal }] = yield* among(host("a"))
        const leases = yield* Effect.forEach(
          [{}, { partition: "" }, { partition: "1" }, { partition: "2" }, { pipeline: "other" }],
          (leased) => Effect.map(held(journal, leased), ({ lease }) => lease.id)
        )
        assert.strictEqual(new Set(leases).size, 5)
        assert.instanceOf(yield* Effect.flip(held(journal, { partition: "1" })), Journal.AlreadyRunning)
      })
    )

    it.effect("P10 is taken over at once from a holder that is known to be dead", () =>
      Effect.gen(function* () {
        const [a, b] = yield* among(host("a"), host("b", { a: false }))
        yield* (yield* held(a.journal)).lease.guard(Effect.void)
        const { lease } = yield* held(b.journal)
        assert.isFalse(lease.clean)
        yield* lease.commit(Effect.succeed(kept()))
      })
    )

    it.effect.each([
      ["unknown", {}],
      ["known to be alive", { a: true }]
    ] as const)(
      "P10 is taken over from a holder that is %s only once it has run out; then that one writes nothing",
      ([, runs]) =>
        Effect.gen(function* () {
          const [a, b] = yield* among(host("a"), host("b", runs))
          yield* a.sql`CREATE TABLE written (n INTEGER)`
          const old = yield* held(a.journal, { duration: "1 hour" })
          yield* old.lease.commit(Effect.succeed(kept({ ahead: [1] })))
          yield* later(a.url, "59 minutes")
          assert.instanceOf(yield* Effect.flip(held(b.journal)), Journal.AlreadyRunning)
          yield* later(a.url, "1 minute")
          const { lease } = yield* held(b.journal)
          assert.deepEqual(Option.getOrThrow(yield* lease.load).ahead, [1])

          let written = 0
          const write = Effect.tap(a.sql`INSERT INTO written VALUES (1)`, () => Effect.sync(() => written++))
          const lost = yield* Effect.flip(
            old.lease.commit(Effect.as(write, kept({ ahead: [2] }, { dead: [letter()], restart: true })))
          )
          assert.instanceOf(lost, Journal.LeaseLost)
          assert.strictEqual(lost.holder, "process b")
          assert.include(lost.message, `Pipeline "p" was taken over by process b`)
          assert.strictEqual(written, 0)
          assert.instanceOf(yield* Effect.flip(old.lease.renew), Journal.LeaseLost)
          assert.deepEqual(yield* b.sql`SELECT * FROM written`, [])
          assert.deepEqual(yield* b.journal.dead(key), [])
          assert.deepEqual(Option.getOrThrow(yield* b.journal.load(key)).ahead, [1])

          // Nor does its end take the lease from the other, or speak for it.
          yield* old.lease.leaveClean
          yield* old.ended
          assert.instanceOf(yield* Effect.flip(held(a.journal)), Journal.AlreadyRunning)
          yield* lease.commit(Effect.succeed(kept({ ahead: [3] })))
          assert.deepEqual(Option.getOrThrow(yield* a.journal.load(key)).ahead, [3])
        })
    )

    it.effect("is lost as well to another run of the same process", () =>
      Effect.gen(function* () {
        const [{ journal, url }] = yield* among(host("a"))
        const old = yield* held(journal)
        yield* later(url, "15 seconds")
        yield* held(journal)
        const lost = yield* Effect.flip(old.lease.commit(Effect.succeed(kept())))
        assert.deepInclude(lost, { _tag: "LeaseLost", holder: "another run" })
      })
    )

    it.effect("is kept by renewing it, and by every commit", () =>
      Effect.gen(function* () {
        const [a, b] = yield* among(host("a"), host("b"))
        const { lease } = yield* held(a.journal, { duration: "15 minutes" })
        assert.deepEqual(Option.map(lease.renewEvery, String), Option.some("300000 millis"))
        for (const keep of [lease.renew, lease.commit(Effect.succeed(kept())), lease.renew]) {
          yield* later(a.url, "10 minutes")
          yield* keep
          yield* later(a.url, "10 minutes")
          assert.instanceOf(yield* Effect.flip(held(b.journal)), Journal.AlreadyRunning)
        }
        // A commit that fails is no sign of life.
        yield* Effect.flip(lease.commit(Effect.fail("no")))
        yield* later(a.url, "5 minutes")
        yield* held(b.journal)
      })
    )

    it.live("cannot be taken while its holder commits, though that is taken for dead", () =>
      Effect.gen(function* () {
        const url = yield* fresh
        const a = yield* connect(url)
        const b = yield* connect(url, { lockTimeout: 1 })
        yield* b.journal.load(key)
        const { lease } = yield* held(make(a, host("a")))
        const taking = held(make(b, host("b", { a: false })))
        if (isSqlite) {
          yield* lease.commit(
            Effect.map(Effect.flip(taking), (error) => {
              assert.instanceOf(error, Journal.JournalError)
              assert.include(error.message, "could not take its lease")
              return kept()
            })
          )
          yield* taking
          return
        }
        const waiting = yield* Effect.forkChild(taking)
        yield* lease.commit(Effect.as(isWaitedFor(url), kept({ ahead: [1] })))
        const { lease: next } = yield* Fiber.join(waiting)
        assert.deepEqual(Option.getOrThrow(yield* next.load).ahead, [1])
        assert.instanceOf(yield* Effect.flip(lease.renew), Journal.LeaseLost)
      })
    )

    it.effect("tells whether the run before left cleanly, which one that was killed did not", () =>
      Effect.gen(function* () {
        const [a, b] = yield* among(host("a"), host("b", { a: false }))
        const first = yield* held(a.journal)
        assert.isTrue(first.lease.clean)
        yield* first.lease.guard(Effect.void)
        yield* first.lease.leaveClean
        yield* first.ended
        const second = yield* held(a.journal)
        assert.isTrue(second.lease.clean)
        yield* second.lease.guard(Effect.void)
        yield* second.ended
        // It did not say so.
        const third = yield* held(a.journal)
        assert.isFalse(third.lease.clean)
        yield* third.lease.leaveClean
        yield* third.lease.guard(Effect.void)
        // Killed before its lease was given back.
        const fourth = yield* held(b.journal)
        assert.isFalse(fourth.lease.clean)
        yield* fourth.lease.leaveClean
        yield* fourth.ended
        assert.isTrue((yield* held(a.journal)).lease.clean)
      })
    )

    it.effect("is lost when its row is deleted by hand, and so is a commit", () =>
      Effect.gen(function* () {
        const [{ journal, sql }] = yield* among(host("a"))
        const { lease } = yield* held(journal)
        yield* lease.commit(Effect.succeed(kept()))
        yield* sql`DELETE FROM skein_run`
        for (const use of [lease.commit(Effect.succeed(kept())), lease.renew]) {
          const lost = yield* Effect.flip(use)
          assert.deepInclude(lost, { _tag: "LeaseLost", holder: "somebody who deleted its row from the journal" })
        }
        assert.deepEqual(yield* journal.load(key), Option.none())
        // Nor is the row that takes its place mistaken for the old one.
        const next = yield* held(journal)
        assert.notStrictEqual(next.lease.id, lease.id)
        yield* next.lease.commit(Effect.succeed(kept()))
        assert.deepInclude(yield* Effect.flip(lease.commit(Effect.succeed(kept()))), { _tag: "LeaseLost" })
      })
    )

    it.effect("is not needed to read, and reading does not end it", () =>
      Effect.gen(function* () {
        const [a, b] = yield* among(host("a"), host("b"))
        const { lease } = yield* held(a.journal)
        yield* lease.commit(Effect.succeed(kept({}, { dead: [letter()] })))
        assert.isTrue(Option.isSome(yield* b.journal.load(key)))
        assert.strictEqual((yield* b.journal.dead(key)).length, 1)
        yield* lease.commit(Effect.succeed(kept()))
      })
    )
  })

  describe(`${name}: a row that it cannot use`, () => {
    const broken = (change: string) =>
      Effect.gen(function* () {
        const url = yield* fresh
        const { journal } = yield* connect(url)
        yield* commit(journal, {}, { dead: [letter()] })
        yield* direct(url, change)
        return journal
      })

    it.effect("is refused when a newer version wrote it, and stays as it is", () =>
      Effect.gen(function* () {
        const journal = yield* broken("UPDATE skein_run SET format = 3")
        const newer = "a newer version of Skein wrote it (format 3, this one knows 2). Update"
        assert.strictEqual(
          (yield* Effect.flip(journal.load(key))).message,
          `Journal of pipeline "p": could not read the checkpoint: ${newer}`
        )
        for (let times = 0; times < 2; times++) {
          assert.strictEqual(
            (yield* Effect.flip(held(journal))).message,
            `Journal of pipeline "p": could not take its lease: ${newer}`
          )
        }
      })
    )

    it.effect.each([
      ["checkpoint = '{'"],
      ["checkpoint = '{}'"],
      [`checkpoint = replace(checkpoint, '"ahead":[]', '"ahead":["x"]')`],
      [isSqlite ? "epoch = 'x'" : "epoch = 9007199254740993"]
    ])("is refused when it was changed by hand: %s", ([change]) =>
      Effect.gen(function* () {
        const error = yield* Effect.flip((yield* broken(`UPDATE skein_run SET ${change}`)).load(key))
        assert.include(error.message, "was it changed by hand? Restore it, or delete it to start over")
      })
    )

    it.effect("among the dead letters is refused too", () =>
      Effect.gen(function* () {
        const error = yield* Effect.flip((yield* broken("UPDATE skein_dead SET input = 'x'")).dead(key))
        assert.include(error.message, "could not read the dead letters")
      })
    )
  })
}

// Two thousand runs, which on a machine that others load take long.
describe("SqlJournal: interrupted", { timeout: 300_000 }, () => {
  it.effect("wherever it is interrupted, and the next run goes on", () =>
    Effect.gen(function* () {
      const db = yield* connect(":memory:")
      yield* db.sql`CREATE TABLE written (n INTEGER)`
      let interrupted = 0
      let journal = db.journal
      const one = (lease: Journal.Lease, n: number) =>
        lease.commit(
          Effect.as(
            db.sql`INSERT INTO written VALUES (${n})`,
            kept({ position: Option.some(n) }, { dead: [letter({ at: n })] })
          )
        )
      // Every run finds a new journal and an empty database: also one that is interrupted before it begins.
      const empty = Effect.suspend(() => {
        journal = make(db)
        return Effect.all([db.sql`DROP TABLE IF EXISTS skein_run`, db.sql`DELETE FROM written`]).pipe(
          Effect.andThen(db.sql`DROP TABLE IF EXISTS skein_dead`)
        )
      })
      const subject = Effect.scoped(
        Effect.flatMap(
          Effect.suspend(() => leaseOf(journal, { pipeline: "p" })),
          (lease) =>
            Effect.gen(function* () {
              yield* lease.guard(Effect.void)
              yield* one(lease, 1)
              yield* lease.renew
              yield* one(lease, 2)
              yield* lease.leaveClean
            })
        )
      )
      const check = (run: Sim.Run<void, unknown>) => {
        if (Exit.isFailure(run.exit)) interrupted++
        const state = Effect.runSync(
          Effect.gen(function* () {
            const rows = (yield* db.sql`SELECT n FROM written ORDER BY n`).map(({ n }) => n)
            // Another process than the one that was interrupted: the lease has to be given back.
            const next = make(db, host("next"))
            const dead = (yield* next.dead(key)).map(({ at }) => at)
            const last = Option.map(yield* next.load(key), ({ position }) => position)
            const clean = yield* Effect.scoped(
              Effect.gen(function* () {
                const lease = yield* leaseOf(next, { pipeline: "p" })
                yield* lease.commit(Effect.succeed(kept()))
                return lease.clean
              })
            )
            return { rows, dead, last: Option.getOrElse(Option.flatten(last), () => 0), clean }
          }).pipe(Effect.ensuring(Effect.orDie(empty)))
        )
        const numbers = Array.from({ length: Number(state.last) }, (_, i) => i + 1)
        assert.deepEqual({ ...state, clean: true }, { rows: numbers, dead: numbers, last: numbers.length, clean: true })
        // A run that may have opened its sinks and did not come to say so has not left cleanly.
        if (Exit.isSuccess(run.exit)) assert.isTrue(state.clean)
        else if (state.clean) assert.include([0, 2], state.last)
        return Leaks.check(run)
      }
      yield* empty
      yield* Interrupt.everywhere(subject, { check })
      assert.isAbove(interrupted, 50)
    })
  )
})

describe("SqlJournal: a database of version 0.1", () => {
  const fingerprint = { path: "in.csv", size: 3, sha256: "x" }
  const counts = { settled: 6, written: 5, filtered: 1, skipped: 0, dead: 2, bytes: 70 }
  const old = Effect.map(newFile, (file) => {
    const direct = new DatabaseSync(file)
    direct.exec(`
      CREATE TABLE skein_checkpoint (
        pipeline TEXT PRIMARY KEY, version INTEGER NOT NULL, revision BIGINT NOT NULL, fingerprint TEXT NOT NULL,
        position TEXT, ahead TEXT NOT NULL, sink TEXT, counts TEXT NOT NULL, finished INTEGER NOT NULL);
      CREATE TABLE skein_dead (
        id INTEGER PRIMARY KEY, pipeline TEXT NOT NULL, step TEXT NOT NULL, input TEXT NOT NULL, cause TEXT NOT NULL,
        attempts INTEGER NOT NULL, position TEXT NOT NULL, version TEXT, at BIGINT NOT NULL, replayed INTEGER NOT NULL);
      CREATE INDEX skein_dead_pipeline ON skein_dead (pipeline, replayed, id)`)
    const insert = (pipeline: string, sink: string | null, finished = 0) =>
      direct
        .prepare("INSERT INTO skein_checkpoint VALUES (?, 1, 17, ?, '12', '[2,3]', ?, ?, ?)")
        .run(pipeline, JSON.stringify(fingerprint), sink, JSON.stringify(counts), finished)
    const dead = direct.prepare("INSERT INTO skein_dead VALUES (NULL, ?, 'parse', '\"x\"', 'bad', 1, '7', '2', 5, ?)")
    insert("p", `[null,{"length":10}]`)
    insert("table", "null")
    insert("none", null, 1)
    dead.run("p", 1)
    dead.run("p", 0)
    return { file, direct, insert }
  })

  it.effect("is taken over with all it kept, the states of its sinks without a name", () =>
    Effect.gen(function* () {
      const { direct, file } = yield* old
      const { journal } = yield* connect(file)
      const expected: Journal.Checkpoint = {
        fingerprint,
        position: Option.some(12),
        ahead: [2, 3],
        reach: Option.none(),
        sinks: {},
        unnamed: Option.some([null, { length: 10 }]),
        counts,
        finished: false
      }
      const { ended, lease } = yield* held(journal)
      assert.deepEqual(yield* lease.load, Option.some(expected))
      // It had no way to tell how it ended.
      assert.isFalse(lease.clean)
      const state = (name: string) =>
        Effect.map(journal.load(Journal.keyOf(name)), (found) => Option.getOrThrow(found).unnamed)
      assert.deepEqual(yield* state("table"), Option.some(null))
      assert.deepEqual(yield* state("none"), Option.none())
      assert.isTrue(Option.getOrThrow(yield* journal.load(Journal.keyOf("none"))).finished)

      const [letter] = yield* journal.dead(key)
      assert.deepInclude(letter, { input: "x", position: 7, path: "", version: "2", id: 2 })
      yield* lease.commit(Effect.succeed(kept({ ahead: [9] }, { dead: [], replayed: [2] })))
      assert.deepEqual(yield* journal.dead(key), [])
      assert.isUndefined(Option.getOrThrow(yield* lease.load).unnamed)
      yield* ended

      // Version 0.1 refuses rows of a version that it does not know, so that it does not go on from an old place.
      const versions = direct.prepare("SELECT DISTINCT version FROM skein_checkpoint").all()
      assert.deepEqual(
        versions.map((row) => ({ ...row })),
        [{ version: 2 }]
      )
      direct.close()
    })
  )

  it.effect(
    "is taken over once: what was committed since stays, and a pipeline that 0.1 begins later comes along",
    () =>
      Effect.gen(function* () {
        const { direct, file, insert } = yield* old
        yield* commit((yield* connect(file)).journal, { ahead: [9] })
        insert("later", null)
        direct.close()
        const { journal } = yield* connect(file)
        assert.deepEqual(Option.getOrThrow(yield* journal.load(key)).ahead, [9])
        assert.deepEqual(Option.getOrThrow(yield* journal.load(Journal.keyOf("later"))).ahead, [2, 3])
      })
  )

  it.effect("stays as it was where it cannot be read", () =>
    Effect.gen(function* () {
      const { direct, file } = yield* old
      direct.exec("UPDATE skein_checkpoint SET counts = '{}' WHERE pipeline = 'table'")
      const { journal } = yield* connect(file)
      const error = yield* Effect.flip(held(journal))
      assert.include(error.message, "was it changed by hand?")
      const tables = direct.prepare("SELECT name FROM sqlite_master WHERE name = 'skein_run'").all()
      assert.deepEqual(tables, [])
      assert.strictEqual(direct.prepare("SELECT 1 FROM skein_checkpoint WHERE version = 1").all().length, 3)
      direct.close()
    })
  )
})
