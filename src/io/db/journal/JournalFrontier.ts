/** Frontiers in a database: their items are rows of one table, so that they are added and settled in the transactions of the journal. */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { SqlClient } from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import type { Fragment } from "effect/sql/Statement"
import type { FrontierStore, KeptItem, NewItem, Wanted } from "../../../pipeline/context/FrontierStore.ts"
import type { Host } from "../../../pipeline/context/Host.ts"
import { FrontierError } from "../../../pipeline/FrontierError.ts"
import type { JournalDialect } from "./JournalDialect.ts"

/** An item is free where it is not done and has no owner. What is done is kept as a key, without what it was. */
const create = (sql: SqlClient) =>
  Effect.all(
    [
      sql`CREATE TABLE skein_frontier (
        frontier TEXT NOT NULL, key TEXT NOT NULL, item TEXT NOT NULL, depth BIGINT NOT NULL, priority DOUBLE PRECISION NOT NULL,
        lane TEXT NOT NULL, place BIGINT NOT NULL, owner TEXT, until BIGINT NOT NULL, taken INTEGER NOT NULL,
        done INTEGER NOT NULL, PRIMARY KEY (frontier, key))`,
      sql`CREATE INDEX skein_frontier_free ON skein_frontier (frontier, lane, priority DESC, place)
        WHERE done = 0 AND owner IS NULL`,
      sql`CREATE INDEX skein_frontier_taken ON skein_frontier (frontier, owner) WHERE owner IS NOT NULL`
    ],
    { discard: true }
  )

export const make = (
  sql: SqlClient,
  dialect: JournalDialect,
  host: Host | undefined
): ((name: string) => FrontierStore) => {
  const nothing = sql.literal("")
  const { planned } = dialect
  let isThere = false
  let lastPlace = 0

  const ready = Effect.suspend(() =>
    isThere
      ? Effect.void
      : Effect.gen(function* () {
          const columns = dialect.columns("skein_frontier")
          if ((yield* columns).length === 0) {
            yield* dialect.transaction(
              Effect.andThen(
                dialect.creating,
                // Somebody else may have made it meanwhile.
                Effect.flatMap(columns, ({ length }) => (length === 0 ? create(sql) : Effect.void))
              )
            )
          }
          // Inside a transaction of the caller's it may still be rolled back.
          isThere = Option.isNone(yield* Effect.serviceOption(sql.transactionService))
        })
  )

  return (name) => {
    const failed =
      (tried: string) =>
      (error: SqlError): FrontierError =>
        new FrontierError({ frontier: name, tried, reason: error.message, ...(error.isRetryable && { mayPass: true }) })
    const made = <A>(tried: string, effect: Effect.Effect<A, SqlError>): Effect.Effect<A, FrontierError> =>
      Effect.mapError(Effect.andThen(ready, effect), failed(tried))

    const ours = sql`frontier = ${name}`
    const free = sql`${ours} AND done = 0 AND owner IS NULL`
    const until = (lease: Duration.Duration) =>
      Effect.map(dialect.now, (now) => sql`${now} + ${Math.max(1, Math.round(Duration.toMillis(lease)))}`)
    /** What an owner holds and nobody is about to settle: waiting for that could be for ever, as it may wait for others of these. */
    const heldBy = (owner: string, which = nothing) =>
      dialect.isOneOf(
        sql`SELECT ${dialect.row} FROM skein_frontier WHERE ${ours} AND owner = ${owner} ${which} ${dialect.toSkip}`
      )
    const columns = sql.literal("key, item, depth, priority, lane, place")

    return {
      host,
      add: (items) =>
        made(
          `add ${items.length} items`,
          Effect.flatMap(Clock.currentTimeMillis, (now) => {
            const first = Math.max(now * 1000, lastPlace + 1)
            lastPlace = first + items.length
            const rows = items.map((item, i) => rowOf(item, first + i))
            const write = (part: ReadonlyArray<Row>) =>
              sql`INSERT INTO skein_frontier (frontier, ${columns}, owner, until, taken, done)
                SELECT ${name}, value ->> 0, value ->> 1, CAST(value ->> 2 AS BIGINT), CAST(value ->> 3 AS DOUBLE PRECISION),
                  value ->> 4, CAST(value ->> 5 AS BIGINT), NULL, 0, 0, 0
                FROM ${dialect.listed(JSON.stringify(part))} WHERE true ON CONFLICT DO NOTHING`
            if (rows.length <= mostRows) return rows.length === 0 ? Effect.void : write(rows.sort(byKey))
            return sql.withTransaction(Effect.forEach(parts(rows.sort(byKey), mostRows), write, { discard: true }))
          })
        ),
      // Each step of the walk is one look into the index, however many items a lane has.
      lanes: (after, count) => {
        const next = (behind: Fragment) =>
          sql`(SELECT lane FROM skein_frontier WHERE ${free} ${behind} ORDER BY lane LIMIT 1)`
        const walk = (walk: string, start: Fragment) =>
          sql`${sql(walk)} (at, n) AS (SELECT ${next(start)}, 1 UNION ALL
            SELECT ${next(sql`AND skein_frontier.lane > ${sql(walk)}.at`)}, n + 1 FROM ${sql(walk)}
            WHERE at IS NOT NULL AND n < ${count})`
        const found =
          after === undefined
            ? sql<Lane>`WITH RECURSIVE ${walk("behind", nothing)} SELECT at FROM behind WHERE at IS NOT NULL`
            : sql<Lane>`WITH RECURSIVE ${walk("behind", sql`AND lane > ${after}`)}, ${walk("before", nothing)}
                SELECT at FROM behind WHERE at IS NOT NULL
                UNION ALL SELECT at FROM before WHERE at IS NOT NULL AND at <= ${after} LIMIT ${count}`
        return made(
          "take items",
          Effect.map(planned(found), (lanes) => lanes.map(({ at }) => at))
        )
      },
      take: (owner, wanted, lease) =>
        made(
          "take items",
          Effect.flatMap(until(lease), (until) => {
            const first = ({
              count,
              lane
            }: Wanted) => sql`SELECT ${dialect.row} FROM (SELECT ${dialect.row} FROM skein_frontier
              WHERE ${free} AND lane = ${lane} ORDER BY priority DESC, place LIMIT ${count} ${dialect.toSkip}) AS first`
            const take = (part: ReadonlyArray<Wanted>) =>
              planned(sql<Found>`UPDATE skein_frontier SET owner = ${owner}, taken = taken + 1, until = ${until}
                WHERE ${dialect.isOneOf(sql.join(" UNION ALL ", false)(part.map(first)))} AND owner IS NULL RETURNING ${columns}`)
            return Effect.map(Effect.forEach(parts(wanted, mostLanes), take), (found) => inOrder(found.flat()))
          })
        ),
      held: (owner) =>
        made(
          "take items",
          Effect.map(
            planned(sql<Found>`SELECT ${columns} FROM skein_frontier WHERE ${ours} AND owner = ${owner}`),
            inOrder
          )
        ),
      renew: (owner, lease) =>
        made(
          "renew the lease of items",
          Effect.flatMap(until(lease), (until) =>
            planned(sql`UPDATE skein_frontier SET until = ${until} WHERE ${heldBy(owner)}`)
          )
        ),
      release: (owner, what) =>
        made(
          "give items back",
          Effect.flatMap(dialect.now, (now) => {
            const which = what === "all" ? nothing : sql`AND until <= ${now}`
            return planned(sql`UPDATE skein_frontier SET owner = NULL, until = 0 WHERE ${heldBy(owner, which)}`)
          })
        ),
      holders: made(
        "see who has taken items",
        Effect.flatMap(dialect.now, (now) =>
          Effect.map(
            planned(sql<{ readonly owner: string; readonly over: unknown }>`
              SELECT owner, CASE WHEN max(until) <= ${now} THEN 1 ELSE 0 END AS over
              FROM skein_frontier WHERE ${ours} AND owner IS NOT NULL GROUP BY owner`),
            (found) => found.map(({ over, owner }) => ({ owner, isOver: Number(over) === 1 }))
          )
        )
      ),
      settle: (owner, keys) =>
        made(
          `settle ${keys.length} items`,
          Effect.map(
            planned(sql`UPDATE skein_frontier SET done = 1, owner = NULL, item = '' WHERE ${ours} AND owner = ${owner} AND done = 0
              AND key IN (SELECT value ->> 0 FROM ${dialect.listed(JSON.stringify(keys.map((key) => [key])))})
              RETURNING done`),
            ({ length }) => length
          )
        ),
      isLeft: made(
        "see what is left",
        Effect.map(
          // Those that are taken and those that are free are each in an index.
          planned(sql`SELECT 1 AS found WHERE EXISTS (SELECT 1 FROM skein_frontier WHERE ${free})
            OR EXISTS (SELECT 1 FROM skein_frontier WHERE ${ours} AND owner IS NOT NULL)`),
          ({ length }) => length > 0
        )
      ),
      read: (after) => {
        const behind =
          after === undefined
            ? nothing
            : sql`AND (lane > ${after.lane} OR (lane = ${after.lane} AND (priority < ${after.priority}
                OR (priority = ${after.priority} AND (place > ${after.place} OR (place = ${after.place} AND key > ${after.key}))))))`
        const found = Effect.suspend(() =>
          planned(sql<Found>`SELECT ${columns} FROM skein_frontier WHERE ${ours} AND done = 0 ${behind}
            ORDER BY lane, priority DESC, place, key LIMIT ${mostRows}`)
        )
        // Who only looks makes no table.
        return dialect.columns("skein_frontier").pipe(
          Effect.flatMap(({ length }) => (length === 0 ? Effect.succeed([]) : found)),
          Effect.map((rows) => rows.map(kept)),
          Effect.mapError(failed("read items"))
        )
      }
    }
  }
}

/** Of one statement. */
const mostRows = 5000
const mostLanes = 100

interface Lane {
  readonly at: string
}

interface Found {
  readonly key: string
  readonly item: string
  readonly depth: unknown
  readonly priority: unknown
  readonly lane: string
  readonly place: unknown
}

type Row = readonly [key: string, item: string, depth: number, priority: number, lane: string, place: number]

const rowOf = ({ depth, item, key, lane, priority }: NewItem, place: number): Row => [
  key,
  item,
  depth,
  priority,
  lane,
  place
]

/** So that no two who add the same wait for each other. */
const byKey = ([a]: Row, [b]: Row): number => (a < b ? -1 : a > b ? 1 : 0)

/** Drivers give 64-bit integers as numbers, as text or as bigints. */
const kept = ({ depth, item, key, lane, place, priority }: Found): KeptItem => ({
  key,
  item,
  lane,
  depth: Number(depth),
  priority: Number(priority),
  place: Number(place)
})

const inOrder = (found: ReadonlyArray<Found>): ReadonlyArray<KeptItem> =>
  found.map(kept).sort((a, b) => b.priority - a.priority || a.place - b.place)

const parts = <A>(all: ReadonlyArray<A>, size: number): ReadonlyArray<ReadonlyArray<A>> =>
  Array.from({ length: Math.ceil(all.length / size) }, (_, i) => all.slice(i * size, (i + 1) * size))
