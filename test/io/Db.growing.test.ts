import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { Db, type Journal, Pipeline, Sink, Source } from "skein"
import { within } from "../support/database.ts"
import { ask, fresh } from "../support/postgres/database.ts"
import { isAlone, until } from "../support/postgres/watch.ts"

// PostgreSQL plans a prepared statement for the table as it is, knows nothing of one that is new, and keeps the plan.
const n = 6000
const Row = Schema.Struct({ id: Schema.Int })
const batches = { maxRows: 200, window: { items: 400 } } as const

/** How many rows and entries of its indexes the server has looked at in a table, once all is closed. */
const lookedAt = (url: string, table: string) =>
  Effect.andThen(
    until(url, isAlone),
    Effect.map(
      Effect.promise(() =>
        ask<{ readonly n: string }>(
          url,
          `SELECT seq_tup_read + (SELECT sum(idx_tup_read) FROM pg_stat_user_indexes i WHERE i.relid = t.relid) AS n
            FROM pg_stat_user_tables t WHERE relname = $1`,
          [table]
        )
      ),
      ([row]) => Number(row?.n)
    )
  )

const frontier = Source.frontier("ids", Schema.Int, { atOnce: 200 })
const jobs: Record<string, Effect.Effect<Pipeline.Summary, unknown, Db.Db | Journal.Journal>> = {
  skein_frontier: Effect.andThen(
    frontier.add([0]),
    Pipeline.run(
      Pipeline.from(frontier).pipe(
        Pipeline.map((id) => frontier.add([2 * id + 1, 2 * id + 2].filter((next) => next < n))),
        Pipeline.to(Sink.discard)
      ),
      { name: "find", ...batches }
    )
  ),
  skein_seen: Pipeline.run(
    Pipeline.from(Array.from({ length: n }, (_, id) => ({ id }))).pipe(
      Pipeline.unique(({ id }) => `${id}`),
      Pipeline.to(Db.table("rows", Row))
    ),
    { name: "once", ...batches }
  )
}

describe("PostgreSQL: a table that grows while it is read", () => {
  it.live.each(Object.entries(jobs))("%s is not read as a whole for each commit", ([table, job]) =>
    Effect.gen(function* () {
      const url = yield* fresh
      const { settled } = yield* within(Effect.succeed(url))(job)
      assert.strictEqual(settled, n)
      assert.isBelow((yield* lookedAt(url, table)) / n, 12)
    }).pipe(Effect.scoped)
  )
})
