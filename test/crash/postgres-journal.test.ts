/** A writer that is frozen in its transaction keeps its locks against every timeout: whoever takes its lease over ends its session. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import { randomUUID } from "node:crypto"
import { join } from "node:path"
import { Journal } from "skein"
import { make } from "../../src/io/db/journal/SqlJournal.ts"
import * as Child from "../support/child.ts"
import { connect, kept, leaseOf } from "../support/database.ts"
import { ask, fresh } from "../support/postgres/database.ts"
import type { Told } from "./postgres-journal.ts"

/** For machines that do much else. */
const slow = 120_000

const program = join(import.meta.dirname, "postgres-journal.ts")
const run = (url: string, sql: string) => Effect.promise(() => ask<Record<string, any>>(url, sql))

/** A run whose process was stopped in the middle of its second commit. */
const frozen = (freeze: "copy" | "idle") =>
  Effect.gen(function* () {
    const url = yield* fresh
    yield* run(url, "CREATE TABLE written (n INTEGER)")
    const told: Told = { url, name: "p", lease: "2 seconds", freeze }
    const child = yield* Child.start([program, JSON.stringify(told)])
    yield* child.says("frozen")
    return { url, child }
  })

/** A machine that knows nothing of the processes of others. */
const stranger = { id: "other", label: "another machine", runs: () => undefined }

/** The lease, as soon as it can be taken. */
const taken = (journal: Journal.Journal): Effect.Effect<Journal.Lease, Journal.JournalError, any> =>
  Effect.catchTag(leaseOf(journal, { pipeline: "p" }), "AlreadyRunning", ({ until }) =>
    Effect.andThen(Effect.sleep(Math.max(0, until - Date.now()) + 1), taken(journal))
  )

describe("P10 a run that is frozen in its transaction", () => {
  for (const freeze of ["copy", "idle"] as const) {
    it.live(
      freeze === "copy"
        ? "inside of COPY is taken over when its lease ends, and writes nothing once it is woken"
        : "between two statements is taken over when its lease ends, and writes nothing once it is woken",
      () =>
        Effect.gen(function* () {
          const { child, url } = yield* frozen(freeze)
          const db = yield* connect(url)
          const journal = make(db, stranger)
          const lease = yield* taken(journal)
          assert.deepEqual(Option.getOrThrow(yield* lease.load).ahead, [2])
          yield* lease.commit(Effect.as(db.sql`INSERT INTO written VALUES (3), (4), (5), (6)`, kept({ ahead: [6] })))
          child.kill("SIGCONT")
          const { stdout } = yield* child.end
          assert.include(stdout, `"LeaseLost"`)
          const rows = yield* run(url, "SELECT n FROM written ORDER BY n")
          assert.deepEqual(
            rows.map(({ n }) => n),
            [1, 2, 3, 4, 5, 6]
          )
          assert.deepEqual(Option.getOrThrow(yield* journal.load(Journal.keyOf("p"))).ahead, [6])
        }),
      slow
    )
  }

  it.live(
    "as another role is not, where that may not be: who would take it over is told what to do",
    () =>
      Effect.gen(function* () {
        const { child, url } = yield* frozen("copy")
        const name = yield* Effect.acquireRelease(
          Effect.sync(() => `skein_test_${randomUUID().replaceAll("-", "")}`),
          (name) => Effect.andThen(run(url, `DROP OWNED BY ${name}`), run(url, `DROP ROLE ${name}`))
        )
        yield* run(url, `CREATE ROLE ${name} LOGIN PASSWORD 'secret'`)
        yield* run(url, `GRANT SELECT, INSERT, UPDATE, DELETE ON skein_run, skein_dead TO ${name}`)
        const as = new URL(url)
        as.username = name
        as.password = "secret"
        const journal = make(yield* connect(as.href), stranger)
        const refused = yield* Effect.result(Effect.scoped(taken(journal)))
        const said = Result.isFailure(refused) ? refused.failure.message : ""
        assert.match(said, /session (\d+) of the server still has its row locked, and belongs to another role/)
        const [, session] = /pg_terminate_backend\((\d+)\)/.exec(said)!
        yield* run(url, `SELECT pg_terminate_backend(${session})`)
        yield* Effect.scoped(taken(journal))
        child.kill("SIGCONT")
        assert.include((yield* child.end).stdout, `"LeaseLost"`)
      }),
    slow
  )
})
