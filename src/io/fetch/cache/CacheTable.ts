/** The table `skein_http`, which answers are kept in: of bounded size, the ones that were not used for the longest time go first. */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { checkDuration, checkWhole } from "../../../concurrency/base/Options.ts"
import { type DbError, fromSqlError } from "../../DbError.ts"
import { Db } from "../../db/Contract.ts"
import * as DbStatement from "../../db/statement/DbStatement.ts"

export interface CacheOptions {
  /** How long an answer is kept that nobody asks for. Default 30 days. */
  readonly maxAge?: Duration.Input | undefined
  /** How large all of them may be together, in bytes; one of more than a sixteenth of it is not kept. Default 256 MiB. */
  readonly maxSize?: number | undefined
}

/** Hashes: of an address, and of what else is sent. */
export interface Key {
  readonly target: string
  readonly variant: string
}

const Row = Schema.Struct({
  status: Schema.Int,
  /** A record, as JSON. */
  headers: Schema.String,
  body: Schema.Uint8Array,
  /** Of the body. */
  size: Schema.Int,
  /** When it came, and when it was last used: in milliseconds since the epoch. */
  at: Schema.Int,
  used: Schema.Int
})
export type Row = typeof Row.Type

/** Nothing fails: without its table, a program goes on as it would without a cache. */
export interface CacheTable {
  readonly find: (key: Key, now: number) => Effect.Effect<Row | undefined>
  readonly put: (key: Key, row: Row) => Effect.Effect<void>
  /** It is as new as if it had come now. */
  readonly touch: (key: Key, headers: string, now: number) => Effect.Effect<void>
  readonly drop: (key: Key) => Effect.Effect<void>
  /** All for this address. */
  readonly forget: (target: string) => Effect.Effect<void>
}

export const check = (where: string, { maxAge, maxSize }: CacheOptions): void => {
  checkDuration(`${where}: maxAge`, maxAge)
  checkWhole(`${where}: maxSize`, maxSize, 1, "unlimited")
}

export const make = (options: CacheOptions): Effect.Effect<CacheTable, DbError, Db> =>
  Effect.gen(function* () {
    const db = yield* Db
    const maxAge = Duration.toMillis(options.maxAge ?? "30 days")
    const maxSize = options.maxSize ?? 256 * 1024 * 1024
    let added = 0
    let isTold = false

    const quietly = <A>(effect: Effect.Effect<A, DbError, Db>): Effect.Effect<A | undefined> =>
      Effect.catch(Effect.provideService(effect, Db, db), (error) => {
        if (isTold) return Effect.undefined
        isTold = true
        return Effect.as(Effect.logWarning(`The cache of answers does not work: ${error.message}`), undefined)
      })

    /** Down to seven eighths, so that it is seldom. */
    const trim = Effect.flatMap(Clock.currentTimeMillis, (now) => {
      added = 0
      const old = DbStatement.execute`DELETE FROM skein_http WHERE used < ${Math.floor(Math.max(0, now - maxAge))}`
      if (maxSize === Infinity) return old
      return Effect.andThen(
        old,
        DbStatement.execute`DELETE FROM skein_http WHERE EXISTS (
          SELECT 1 FROM (
            SELECT target AS t, variant AS v, SUM(size + ${overhead}) OVER (ORDER BY used DESC, target, variant) AS total
            FROM skein_http
          ) AS summed WHERE t = target AND v = variant AND total > ${Math.floor((maxSize / 8) * 7)})`
      )
    })

    yield* Effect.mapError(
      db.dialect.createOnce(
        db.sql,
        "skein_http",
        () =>
          "target TEXT NOT NULL, variant TEXT NOT NULL, status INTEGER NOT NULL, size BIGINT NOT NULL, at BIGINT NOT NULL, " +
          "used BIGINT NOT NULL, headers TEXT NOT NULL, body BYTEA NOT NULL, PRIMARY KEY (target, variant)"
      ),
      fromSqlError(db.name, "make the table skein_http")
    )
    yield* trim

    return {
      find: ({ target, variant }, now) => {
        const found = DbStatement.query(Row)`SELECT status, headers, body, size, at, used FROM skein_http
          WHERE target = ${target} AND variant = ${variant}`
        return quietly(
          Effect.flatMap(found, ([row]) => {
            if (row === undefined || row.size !== row.body.length || now - row.used > maxAge) return Effect.undefined
            if (now - row.used < accuracy) return Effect.succeed(row)
            const used = DbStatement.execute`UPDATE skein_http SET used = ${now}
              WHERE target = ${target} AND variant = ${variant}`
            return Effect.as(used, row)
          })
        )
      },
      put: ({ target, variant }, { at, body, headers, size, status, used }) => {
        if (size + headers.length + overhead > maxSize / 16) return Effect.void
        added += size + overhead
        const put = DbStatement.execute`INSERT INTO skein_http (target, variant, status, size, at, used, headers, body)
          VALUES (${target}, ${variant}, ${status}, ${size}, ${at}, ${used}, ${headers}, ${body})
          ON CONFLICT (target, variant) DO UPDATE SET status = excluded.status, size = excluded.size, at = excluded.at,
            used = excluded.used, headers = excluded.headers, body = excluded.body`
        return Effect.asVoid(
          quietly(
            Effect.andThen(
              put,
              Effect.suspend(() => (added > maxSize / 8 ? trim : Effect.void))
            )
          )
        )
      },
      touch: ({ target, variant }, headers, now) =>
        Effect.asVoid(
          quietly(DbStatement.execute`UPDATE skein_http SET headers = ${headers}, at = ${now}, used = ${now}
            WHERE target = ${target} AND variant = ${variant}`)
        ),
      drop: ({ target, variant }) =>
        Effect.asVoid(
          quietly(DbStatement.execute`DELETE FROM skein_http WHERE target = ${target} AND variant = ${variant}`)
        ),
      forget: (target) => Effect.asVoid(quietly(DbStatement.execute`DELETE FROM skein_http WHERE target = ${target}`))
    }
  })

/** Of a row, besides its body, in bytes. */
const overhead = 1024
/** In milliseconds: when it was used is not written more often. */
const accuracy = 60_000
