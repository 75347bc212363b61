/** What others do in a PostgreSQL that a run writes to: it ends and says why, or goes on, and no row is lost, doubled or another one. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { Client } from "pg"
import { Db, Pipeline, Source } from "skein"
import { Drivers } from "skein/node"
import { connect } from "../support/database.ts"
import { askSync } from "../support/postgres/askSync.ts"
import { fresh } from "../support/postgres/database.ts"
import { isAlone, until } from "../support/postgres/watch.ts"

const count = 2000
const Row = Schema.Struct({ id: Schema.Int, text: Schema.String })
const source = Source.list(
  Array.from({ length: count }, (_, id) => id),
  { name: "numbers" }
)

interface Options extends Db.PostgresOptions {
  readonly key?: keyof typeof Row.Type | undefined
  readonly onNumber?: (id: number) => void
}

const run = (url: string, { key, onNumber, ...options }: Options = {}) =>
  Pipeline.from(source).pipe(
    Pipeline.map((id) => {
      onNumber?.(id)
      return { id, text: `row ${id}` }
    }),
    Pipeline.to(Db.table("rows", Row, { key })),
    (job) => Pipeline.run(job, { name: "job", require: "exactly-once", maxRows: 100, window: { items: 200 } }),
    Effect.provide(Db.postgres(url, options).pipe(Layer.provide(Drivers.layer)))
  )

/** What is done at once when the run has come to its middle. */
const atHalf = (act: () => void) => (id: number) => {
  if (id === count / 2) act()
}

/** What is there and what the journal says that is written. */
const found = (url: string, table = "rows") => {
  const [row] = askSync(
    url,
    `SELECT count(*)::int AS rows, count(DISTINCT id::text)::int AS "distinct", min(text) AS first,
       (SELECT (checkpoint::jsonb -> 'counts' ->> 'written')::int FROM skein_run) AS written,
       count(*) FILTER (WHERE text = 'row ' || id)::int AS right FROM ${table}`
  )
  return row!
}

const isWhole = (url: string, table?: string) => {
  const { distinct, right, rows, written } = found(url, table)
  assert.deepEqual({ rows, distinct, right, written }, { rows: count, distinct: count, right: count, written: count })
}

describe("A table of PostgreSQL that is altered while a run writes to it", () => {
  const types = [
    ["id", "double precision", "id::float8"],
    ["id", "numeric", "id"],
    ["id", "text", "id"],
    ["text", "bytea", "text::bytea"],
    ["id", "timestamp", "'2000-01-01'::timestamp + id * interval '1 microsecond'"]
  ] as const
  for (const key of [undefined, "id"] as const) {
    const how = key === undefined ? "without a key" : "by key"
    for (const [column, type, using] of types) {
      it.live(`ends it, and has no value that is another one, where ${column} becomes ${type}: ${how}`, () =>
        Effect.gen(function* () {
          const url = yield* fresh
          const alter = () => askSync(url, `ALTER TABLE rows ALTER ${column} TYPE ${type} USING ${using}`)
          const error = yield* Effect.flip(run(url, { key, onNumber: atHalf(() => void alter()) }))
          assert.match(error.message, /it was altered, or another table took its name, while it was written to/)
          const back =
            column === "text"
              ? "text TYPE text USING convert_from(text, 'UTF8')"
              : type === "timestamp"
                ? "id TYPE bigint USING round(extract(epoch FROM id - '2000-01-01'::timestamp) * 1000000)"
                : "id TYPE bigint USING id::bigint"
          askSync(url, `ALTER TABLE rows ALTER ${back}`)
          const { distinct, right, rows, written } = found(url)
          assert.deepEqual({ distinct, right, written }, { distinct: rows, right: rows, written: rows })
          assert.strictEqual((yield* run(url, { key })).outcome, "done")
          isWhole(url)
        })
      )
    }

    it.live(`ends it, and none of its rows is in the other, where another takes its name: ${how}`, () =>
      Effect.gen(function* () {
        const url = yield* fresh
        const swap = () =>
          askSync(url, "ALTER TABLE rows RENAME TO before; CREATE TABLE rows (LIKE before INCLUDING ALL)")
        const error = yield* Effect.flip(run(url, { key, onNumber: atHalf(() => void swap()) }))
        assert.match(error.message, /another table took its name/)
        assert.strictEqual(found(url)["rows"], 0)
        askSync(url, "DROP TABLE rows; ALTER TABLE before RENAME TO rows")
        assert.strictEqual((yield* run(url, { key })).outcome, "done")
        isWhole(url)
      })
    )

    it.live(
      `is refused, and none of its rows is in another, where the search path has one of its name now: ${how}`,
      () =>
        Effect.gen(function* () {
          const url = yield* fresh
          assert.strictEqual((yield* run(url, { key })).outcome, "done")
          askSync(url, "CREATE SCHEMA other; CREATE TABLE other.rows (LIKE rows INCLUDING ALL)")
          const error = yield* Effect.flip(run(`${url}?options=-csearch_path%3Dother,public`, { key }))
          assert.match(error.message, /other\.rows/)
          assert.deepEqual(askSync(url, "SELECT 1 FROM other.rows"), [])
          isWhole(url)
        })
    )

    it.live(`goes on where it has a column more: ${how}`, () =>
      Effect.gen(function* () {
        const url = yield* fresh
        const alter = () => askSync(url, "ALTER TABLE rows ADD COLUMN more text; CREATE INDEX ON rows (text)")
        assert.strictEqual((yield* run(url, { key, onNumber: atHalf(() => void alter()) })).outcome, "done")
        isWhole(url)
      })
    )
  }

  it.live("waits for one that is being altered, and then sees it", () =>
    Effect.gen(function* () {
      const url = yield* fresh
      const other = yield* client(url)
      const begin = () =>
        void other
          .query("BEGIN; ALTER TABLE rows ALTER id TYPE float8; SELECT pg_sleep(0.3); COMMIT")
          .catch(() => undefined)
      const error = yield* Effect.flip(run(url, { onNumber: atHalf(begin) }))
      assert.match(error.message, /it was altered/)
      const { right, rows, written } = found(url)
      assert.deepEqual([right, written], [rows, rows])
    })
  )
})

const client = (url: string): Effect.Effect<Client, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const opened = new Client({ connectionString: url })
      opened.on("error", () => {})
      await opened.connect()
      return opened
    }),
    (opened) => Effect.promise(() => opened.end())
  )

describe("A PostgreSQL", () => {
  for (const setting of [
    "statement_timeout = '2s'",
    "lock_timeout = '100ms'",
    "idle_in_transaction_session_timeout = '1s'",
    "idle_session_timeout = '100ms'",
    "default_transaction_isolation = 'serializable'",
    "standard_conforming_strings = off",
    "session_replication_role = replica"
  ]) {
    it.live(`with ${setting} for all takes every row once`, () =>
      Effect.gen(function* () {
        const url = yield* fresh
        askSync(url, `ALTER DATABASE ${new URL(url).pathname.slice(1)} SET ${setting}`)
        assert.strictEqual((yield* run(url)).outcome, "done")
        isWhole(url)
      })
    )
  }

  it.live("whose role may have one connection takes every row once", () =>
    Effect.gen(function* () {
      const url = yield* fresh
      const role = `one_${new URL(url).pathname.slice(12)}`
      yield* Effect.acquireRelease(
        Effect.sync(() =>
          askSync(
            url,
            `CREATE ROLE ${role} LOGIN PASSWORD 'one' CONNECTION LIMIT 1; GRANT CREATE, USAGE ON SCHEMA public TO ${role}`
          )
        ),
        () =>
          Effect.andThen(
            until(url, isAlone),
            Effect.sync(() => askSync(url, `DROP OWNED BY ${role} CASCADE; DROP ROLE ${role}`))
          )
      )
      const as = new URL(url)
      as.username = role
      as.password = "one"
      assert.strictEqual((yield* run(as.href)).outcome, "done")
      isWhole(url)
    })
  )

  it.live("is read and written through one connection", () =>
    Effect.gen(function* () {
      const url = yield* fresh
      askSync(url, `CREATE TABLE items (id bigint PRIMARY KEY, text text NOT NULL)`)
      askSync(url, `INSERT INTO items SELECT i, 'row ' || i FROM generate_series(0, ${count - 1}) i`)
      const summary = yield* Pipeline.from(Db.rows("items", Row, { by: "id" })).pipe(
        Pipeline.to(Db.table("rows", Row)),
        (job) => Pipeline.run(job, { name: "job", maxRows: 100, window: { items: 200 } }),
        Effect.provide(Db.postgres(url, { maxConnections: 1 }).pipe(Layer.provide(Drivers.layer)))
      )
      assert.strictEqual(summary.outcome, "done")
      isWhole(url)
    })
  )

  it.live(
    "whose lease is frozen in another session is not waited for without an end where there is one connection",
    () =>
      Effect.gen(function* () {
        const url = yield* fresh
        yield* run(url)
        askSync(url, "UPDATE skein_run SET holder = 'elsewhere', label = 'elsewhere', expires = 0")
        const frozen = yield* client(url)
        yield* Effect.promise(() => frozen.query("BEGIN; SELECT FROM skein_run FOR KEY SHARE"))
        const error = yield* Effect.flip(run(url, { maxConnections: 1 }))
        assert.match(error.message, /another session holds the lock of its row.*`maxConnections` of 2 or more/)
        // With a second one it is thrown out.
        assert.strictEqual((yield* run(url, { maxConnections: 2 })).outcome, "done")
        isWhole(url)
      })
  )

  it.live("behind a pooler runs no statement of another client: each has a name of its own in every session", () =>
    Effect.gen(function* () {
      const url = yield* fresh
      const names = (n: number) =>
        Effect.scoped(
          Effect.gen(function* () {
            const { sql } = yield* connect(url)
            for (let i = 0; i < 3; i++) yield* sql`SELECT ${n}::int4 + ${sql.literal(`${n * 10 + i}`)} AS n`
            const rows = yield* sql<{
              name: string
              statement: string
            }>`SELECT name, statement FROM pg_prepared_statements WHERE statement LIKE 'SELECT $1::int4 + %'`.unprepared
            return new Map(rows.map(({ name, statement }) => [name, statement]))
          })
        )
      const [one, same, other] = [yield* names(1), yield* names(1), yield* names(2)]
      assert.strictEqual(one.size, 3)
      assert.deepEqual(new Map([...same].toSorted()), new Map([...one].toSorted()))
      for (const name of other.keys()) assert.isFalse(one.has(name))
    })
  )
})
