/** What of the journal is PostgreSQL's own: roles, schemas, sessions that wait for one another, isolation. */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import { randomUUID } from "node:crypto"
import { join } from "node:path"
import { Journal } from "skein"
import { make } from "../../src/io/db/journal/SqlJournal.ts"
import type { Host } from "../../src/pipeline/context/Host.ts"
import * as Child from "../support/child.ts"
import { connect, kept, leaseOf } from "../support/database.ts"
import { ask, fresh } from "../support/postgres/database.ts"

const key = Journal.keyOf("p")
const run = (url: string, sql: string) => Effect.promise(() => ask<Record<string, any>>(url, sql))

const host = (id: string): Host => ({ id, label: `process ${id}`, runs: (other) => (other === id ? true : undefined) })

const journalOf = (url: string, id: string) => Effect.map(connect(url), (db) => make(db, host(id)))

const committed = (journal: Journal.Journal, ahead: ReadonlyArray<number> = [1]) =>
  Effect.scoped(
    Effect.flatMap(leaseOf(journal, { pipeline: "p" }), (lease) => lease.commit(Effect.succeed(kept({ ahead }))))
  )

const aheadOf = (journal: Journal.Journal) =>
  Effect.map(journal.load(key), (found) => Option.getOrUndefined(Option.map(found, ({ ahead }) => ahead)))

/** The URL with something more of a session's settings. */
const withSetting = (url: string, name: string, value: string): string => {
  const changed = new URL(url)
  changed.search = `?options=-c%20${name}%3D${value}`
  return changed.href
}

/** A role that may log in and nothing else, and the URL as that one. */
const role = (url: string): Effect.Effect<readonly [name: string, url: string], never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.map(
      Effect.sync(() => `skein_test_${randomUUID().replaceAll("-", "")}`),
      (name) => name
    ),
    (name) => Effect.andThen(run(url, `DROP OWNED BY ${name}`), run(url, `DROP ROLE ${name}`))
  ).pipe(
    Effect.flatMap((name) => {
      const as = new URL(url)
      as.username = name
      as.password = "secret"
      return Effect.as(run(url, `CREATE ROLE ${name} LOGIN PASSWORD 'secret'`), [name, as.href] as const)
    })
  )

const isWaitedFor = (url: string): Effect.Effect<void> =>
  Effect.flatMap(
    run(url, "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"),
    (rows) => (rows.length > 0 ? Effect.void : Effect.andThen(Effect.sleep("5 millis"), isWaitedFor(url)))
  )

/** As if an hour had passed. */
const later = (url: string) => run(url, "UPDATE skein_run SET since = since - 3600000, expires = expires - 3600000")

describe("the first use of a database", () => {
  it.live("by eight at once in one process makes the tables once", () =>
    Effect.gen(function* () {
      const url = yield* fresh
      const journals = yield* Effect.forEach(Array.from({ length: 8 }), () => journalOf(url, "a"))
      const same = yield* journalOf(url, "a")
      const letters = (journal: Journal.Journal, at: number) =>
        journal.bury(Journal.keyOf(`${at}`), [
          { step: "s", input: at, cause: "", causes: [], attempts: 1, version: null, position: at, path: "", at }
        ])
      yield* Effect.all(
        [...journals, ...journals.map(() => same)].map((journal, at) => letters(journal, at)),
        { concurrency: "unbounded" }
      )
      assert.deepEqual(yield* run(url, "SELECT count(*)::int AS n FROM skein_dead"), [{ n: 16 }])
    })
  )

  it.live(
    "by eight processes at once makes the tables once",
    () =>
      Effect.gen(function* () {
        const url = yield* fresh
        const program = join(import.meta.dirname, "../crash/postgres-journal.ts")
        const children = yield* Effect.forEach(
          Array.from({ length: 8 }, (_, at) => at),
          (at) => Child.start([program, JSON.stringify({ url, name: `p${at}` })]),
          { concurrency: "unbounded" }
        )
        for (const child of children) {
          const { code, stderr, stdout } = yield* child.end
          assert.strictEqual(code, 0, stderr)
          assert.include(stdout, `"done"`)
        }
        assert.strictEqual((yield* run(url, "SELECT 1 FROM skein_run")).length, 8)
      }),
    120_000
  )

  it.live("by a role that may create nothing is refused with what to do, unless the tables are there", () =>
    Effect.gen(function* () {
      const url = yield* fresh
      const [name, as] = yield* role(url)
      yield* run(url, "REVOKE CREATE ON SCHEMA public FROM PUBLIC")
      const journal = yield* journalOf(as, "a")
      assert.deepEqual(yield* journal.load(key), Option.none())
      assert.deepEqual(yield* journal.dead(key), [])
      const error = yield* Effect.flip(committed(journal))
      assert.instanceOf(error, Journal.JournalError)
      assert.include(error.message, "skein_run and skein_dead are not there, and this role may not make them")
      assert.include(error.message, "grant this one SELECT, INSERT, UPDATE and DELETE")

      yield* committed(yield* journalOf(url, "b"))
      yield* run(url, `GRANT SELECT, INSERT, UPDATE, DELETE ON skein_run, skein_dead TO ${name}`)
      yield* committed(journal, [2])
      const letter = {
        step: "s",
        input: 1,
        cause: "",
        causes: [],
        attempts: 1,
        version: null,
        position: 1,
        path: "",
        at: 1
      }
      yield* journal.bury(key, [letter])
      assert.strictEqual((yield* journal.dead(key)).length, 1)
      assert.deepEqual(yield* aheadOf(journal), [2])
    })
  )

  it.live("goes by the schemas of the session", () =>
    Effect.gen(function* () {
      const url = yield* fresh
      yield* run(url, "CREATE SCHEMA a")
      yield* run(url, "CREATE SCHEMA b")
      const [a, b] = [
        yield* journalOf(withSetting(url, "search_path", "a"), "a"),
        yield* journalOf(withSetting(url, "search_path", "b"), "a")
      ]
      yield* committed(a, [1])
      assert.isUndefined(yield* aheadOf(b))
      yield* committed(b, [2])
      assert.deepEqual([yield* aheadOf(a), yield* aheadOf(b)], [[1], [2]])
    })
  )

  it.live("that can only be read makes nothing, and reads what is there", () =>
    Effect.gen(function* () {
      const url = yield* fresh
      const readOnly = withSetting(url, "default_transaction_read_only", "on")
      const journal = yield* journalOf(readOnly, "a")
      assert.isUndefined(yield* aheadOf(journal))
      assert.deepEqual(yield* journal.dead(key), [])
      yield* committed(yield* journalOf(url, "b"), [3])
      assert.deepEqual(yield* aheadOf(journal), [3])
      const error = yield* Effect.flip(committed(journal))
      assert.include(error.message, "could not take its lease")
      assert.include(error.message, "read-only")
    })
  )
})

describe("integers", () => {
  it.live("are read however a session gives them, and a count too high to be one is refused", () =>
    Effect.gen(function* () {
      const url = yield* fresh
      const journal = yield* journalOf(url, "a")
      yield* committed(journal)
      yield* run(url, "UPDATE skein_run SET epoch = 9007199254740000, revision = 9007199254740991")
      assert.deepEqual(yield* aheadOf(journal), [1])
      yield* run(url, "UPDATE skein_run SET revision = 9007199254740993")
      assert.include((yield* Effect.flip(aheadOf(journal))).message, "was it changed by hand?")
    })
  )
})

describe("names and causes", () => {
  it.live("may hold NUL, halves of characters and what escapes them", () =>
    Effect.gen(function* () {
      const url = yield* fresh
      const journal = yield* journalOf(url, "a")
      const names = ["a\0b", "a\u24000;b", "a\u2400b", "\ud800", "\ud801", "�", "a\\0b", "\0", "😀"]
      for (const [at, name] of names.entries()) {
        const letter = {
          step: name,
          input: name,
          cause: name,
          causes: [{ depth: 0, name, message: name }],
          attempts: 1,
          version: name,
          position: name,
          path: "",
          at
        }
        yield* Effect.scoped(
          Effect.flatMap(leaseOf(journal, { pipeline: name, partition: name }), (lease) =>
            lease.commit(Effect.succeed(kept({ ahead: [at] }, { dead: [letter] })))
          )
        )
      }
      for (const [at, name] of names.entries()) {
        const key = Journal.keyOf(name, name)
        assert.deepEqual(Option.getOrThrow(yield* journal.load(key)).ahead, [at])
        const [letter, ...more] = yield* journal.dead(key)
        assert.deepEqual(more, [])
        assert.deepInclude(letter, { step: name, input: name, cause: name, version: name, position: name, at })
      }
    })
  )
})

describe("a commit on its way", () => {
  /** A commit that is open until told to end. */
  const open = (lease: Journal.Lease, change: Parameters<typeof kept>[0] = {}) =>
    Effect.gen(function* () {
      const [begun, end] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
      const write = Deferred.succeed(begun, undefined).pipe(
        Effect.andThen(Deferred.await(end)),
        Effect.as(kept(change))
      )
      const fiber = yield* Effect.forkChild(Effect.exit(lease.commit(write)))
      yield* Deferred.await(begun)
      return { end: Effect.andThen(Deferred.succeed(end, undefined), Effect.flatten(Fiber.join(fiber))) }
    })

  /** By one that would take its lease, which has ended. */
  const waitedFor = Effect.gen(function* () {
    const url = yield* fresh
    const [a, b] = [yield* journalOf(url, "a"), yield* journalOf(url, "b")]
    const lease = yield* leaseOf(a, { pipeline: "p", duration: "1 hour" })
    const { end } = yield* open(lease, { ahead: [7] })
    yield* later(url)
    const taking = yield* Effect.forkChild(Effect.flip(Effect.scoped(leaseOf(b, { pipeline: "p" }))))
    yield* isWaitedFor(url)
    return { b, end, lease, taking }
  })

  it.live("does not keep its lease from being renewed, and whoever finds it renewed does not wait", () =>
    Effect.gen(function* () {
      const { b, end, lease, taking } = yield* waitedFor
      yield* lease.renew
      // It looks once a second, and the commit is still open.
      assert.instanceOf(yield* Fiber.join(taking), Journal.AlreadyRunning)
      assert.instanceOf(yield* Effect.flip(Effect.scoped(leaseOf(b, { pipeline: "p" }))), Journal.AlreadyRunning)
      yield* end
      assert.deepEqual(yield* aheadOf(b), [7])
    })
  )

  it.live("that comes to its end keeps the lease from who waits for it", () =>
    Effect.gen(function* () {
      const { b, end, lease, taking } = yield* waitedFor
      yield* end
      assert.instanceOf(yield* Fiber.join(taking), Journal.AlreadyRunning)
      yield* lease.commit(Effect.succeed(kept({ ahead: [8] })))
      assert.deepEqual(yield* aheadOf(b), [8])
    })
  )

  it.live(
    "of a lease that ended is ended too, once it has had its time, and of eight that wait one has the lease",
    () =>
      Effect.gen(function* () {
        const url = yield* fresh
        const a = yield* journalOf(url, "a")
        const lease = yield* leaseOf(a, { pipeline: "p", duration: "1 hour" })
        const { end } = yield* open(lease, { ahead: [7] })
        yield* later(url)
        const takers = yield* Effect.forEach(["b", "c", "d", "e", "f", "g", "h", "i"], (id) => journalOf(url, id))
        const results = yield* Effect.forEach(
          takers,
          (journal) => Effect.result(leaseOf(journal, { pipeline: "p", duration: "1 second" })),
          { concurrency: "unbounded" }
        )
        const taken = results.flatMap((result) => (result._tag === "Success" ? [result.success] : []))
        const refused = results.flatMap((result) => (result._tag === "Failure" ? [result.failure._tag] : []))
        assert.deepEqual([taken.length, ...new Set(refused)], [1, "AlreadyRunning"])
        assert.instanceOf(yield* Effect.flip(end), Journal.LeaseLost)
        assert.isUndefined(yield* aheadOf(a))
      })
  )

  it.live("fences off its zombie while the lease is being taken, before that is committed", () =>
    Effect.gen(function* () {
      const url = yield* fresh
      const [a, b] = [yield* connect(url), yield* connect(url)]
      const lease = yield* leaseOf(make(a, host("a")), { pipeline: "p" })
      yield* later(url)
      let wrote = 0
      const zombie = Effect.flip(lease.commit(Effect.sync(() => (wrote++, kept()))))
      const fiber = yield* b.sql.withTransaction(
        Effect.gen(function* () {
          yield* leaseOf(make(b, host("b")), { pipeline: "p" })
          const fiber = yield* Effect.forkDetach(zombie)
          yield* isWaitedFor(url)
          return fiber
        })
      )
      assert.instanceOf(yield* Fiber.join(fiber), Journal.LeaseLost)
      assert.strictEqual(wrote, 0)
    })
  )
})

describe("a commit that is serializable", () => {
  it.live("P13 and fails for it has kept nothing, says that it may be run again, and succeeds then", () =>
    Effect.gen(function* () {
      const url = yield* fresh
      yield* run(url, "CREATE TABLE written (n INTEGER)")
      const strict = withSetting(url, "default_transaction_isolation", "serializable")
      const [a, b] = [yield* connect(strict), yield* connect(strict)]
      const one = yield* leaseOf(a.journal, { pipeline: "a" })
      const two = yield* leaseOf(b.journal, { pipeline: "b" })
      // Renewing from beside would make it fail.
      const write = (db: typeof a, then: Effect.Effect<unknown>) =>
        db.sql`SELECT count(*) FROM written`.pipe(
          Effect.andThen(db.sql`INSERT INTO written VALUES (1)`),
          Effect.orDie,
          Effect.andThen(then),
          Effect.as(kept())
        )
      const both = one.commit(write(a, Effect.orDie(two.commit(write(b, Effect.void)))))
      const error = yield* Effect.flip(both)
      assert.instanceOf(error, Journal.JournalError)
      assert.isTrue(error.mayPass)
      assert.isTrue(Option.isNone(yield* one.load))
      yield* one.commit(write(a, Effect.orDie(one.renew)))
      assert.strictEqual((yield* run(url, "SELECT 1 FROM written")).length, 2)
    })
  )
})

describe("the outcome of a commit", () => {
  it.live("is never that of another run, which has taken the lease since", () =>
    Effect.gen(function* () {
      const url = yield* fresh
      const [a, b] = [yield* journalOf(url, "a"), yield* journalOf(url, "b")]
      const old = yield* leaseOf(a, { pipeline: "p" })
      yield* later(url)
      const next = yield* leaseOf(b, { pipeline: "p" })
      yield* next.commit(Effect.succeed(kept({ ahead: [5] })))
      assert.instanceOf(yield* Effect.flip(old.load), Journal.LeaseLost)
      assert.instanceOf(yield* Effect.flip(old.commit(Effect.succeed(kept()))), Journal.LeaseLost)
      assert.deepEqual(yield* aheadOf(a), [5])
    })
  )
})
