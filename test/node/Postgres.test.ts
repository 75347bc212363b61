import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { CopyConnection } from "../../src/io/db/CopyConnection.ts"
import * as Context from "effect/Context"
import { Db } from "skein"
import { Postgres } from "skein/node"
import { fresh } from "../support/postgres/database.ts"

const openNew = Effect.flatMap(fresh, (url) => Postgres.open(url))

const copyIn = (db: Db.Opened, sql: string, chunks: Iterable<Uint8Array>) =>
  Effect.flatMap(Effect.context<never>(), (context) => {
    const [connection] = Context.getUnsafe(context as Context.Context<any>, db.sql.transactionService)
    return (connection as CopyConnection).copyIn(sql, chunks)
  })

describe("Postgres: opening", () => {
  it.live("runs statements, transactions, COPY and streams", () =>
    Effect.gen(function* () {
      const db = yield* openNew
      const { sql } = db
      assert.deepEqual(yield* sql`SELECT ${"a"} || ${"b"} AS ab`, [{ ab: "ab" }])
      yield* sql`CREATE TABLE t (n int4 PRIMARY KEY, x text)`
      const n = yield* sql.withTransaction(
        Effect.gen(function* () {
          yield* sql`INSERT INTO t VALUES (0, 'zero')`
          return yield* copyIn(db, "COPY t FROM STDIN", [Buffer.from("1\tone\n"), Buffer.from("2\ttwo\n")])
        })
      )
      assert.strictEqual(n, 2)
      assert.deepEqual(yield* sql`SELECT * FROM t ORDER BY n`, [
        { n: 0, x: "zero" },
        { n: 1, x: "one" },
        { n: 2, x: "two" }
      ])
      const rows = yield* Stream.runCount(sql`SELECT i FROM generate_series(1, 5000) i`.stream)
      assert.strictEqual(rows, 5000)
      const failed = yield* Effect.flip(
        sql.withTransaction(
          Effect.gen(function* () {
            yield* sql`INSERT INTO t VALUES (9, 'x')`
            yield* Effect.ignore(sql`SELECT 1/0`)
          })
        )
      )
      assert.include(failed.message, "rolled all of it back")
    })
  )
})
