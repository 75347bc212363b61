/**
 * Items in a table, each with a key, taken by runs of any number of processes. An item is a run's for as long as its lease lasts, and
 * is done in the transaction that makes durable what became of it, which fails where another run has taken it since.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Latch from "effect/Latch"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { isSqlError, type SqlError } from "effect/sql/SqlError"
import * as Stream from "effect/Stream"
import * as JsonText from "../../../concurrency/base/JsonText.ts"
import * as JsonReader from "../../text/JsonReader.ts"
import { newId } from "../../../pipeline/context/Host.ts"
import type { Writer } from "../../../pipeline/Sink.ts"
import type { Account, Element } from "../../../pipeline/Source.ts"
import { DbError, fromSqlError, mayPass } from "../../DbError.ts"
import type { Db } from "../Contract.ts"
import * as DbRows from "./DbRows.ts"
import * as DbTable from "../DbTable.ts"
import { valueOf } from "../Fields.ts"
import type { Piece } from "./Reading.ts"
import { concat, RowQuery, statementOf } from "./RowQuery.ts"
import { again } from "../Transient.ts"

export interface QueueOptions<in out I> {
  /** The field, or fields, that an item is known by: strings, numbers, bigints or booleans, as they are encoded. */
  readonly key: KeyOf<I> | ReadonlyArray<KeyOf<I>>
  /** How long a run that is not heard of keeps what it has taken; one that lives renews it. Default 30 seconds. */
  readonly lease?: Duration.Input | undefined
  /** The most items that a run holds at a time. Default 100. */
  readonly atOnce?: number | undefined
  /**
   * Whether a run goes on when nothing is left, looking for more every `poll`. Default false: it ends once all items are done, by it
   * or by others: what they have taken may add more, or be given back.
   */
  readonly follow?: boolean | undefined
  /** How often to look for more. Default half a second. */
  readonly poll?: Duration.Input | undefined
}

type KeyOf<I> = Extract<keyof I, string>

export interface Queue<A, I extends object> {
  readonly name: string
  readonly schema: Schema.Codec<A, I>
  readonly key: ReadonlyArray<string>
  readonly lease: Duration.Duration
  readonly poll: Duration.Duration
  readonly atOnce: number
  readonly follow: boolean
}

/** An item as it is kept. It is free where it has no owner, or one whose time is over. */
const Row = Schema.Struct({
  key: Schema.String,
  item: Schema.String,
  /** When it was added, in thousandths of a millisecond: the order in which items are taken. */
  place: Schema.Int,
  owner: Schema.NullOr(Schema.String),
  /** How often it was taken. */
  taken: Schema.Int,
  /** In milliseconds since the epoch, by the clock of the server where there is one. */
  until: Schema.Int,
  done: Schema.Int
})
type Row = typeof Row.Type

const Listed = Schema.Struct({ key: Schema.String, item: Schema.String, place: Schema.Int })

/** Makes the table where there is none, and gives what writes items to it; those that it has had already are left as they are. */
export const open = <A, I extends object>(
  db: Db,
  queue: Queue<A, I>,
  committed: Option.Option<Schema.Json> = Option.none()
): Effect.Effect<Writer<A, DbError, Db>, DbError> => {
  const { dialect, sql } = db
  const { name } = queue
  const table = dialect.quote(name)
  const index = (what: string, on: string, where: string) =>
    sql.unsafe(`CREATE INDEX IF NOT EXISTS ${dialect.quote(`${name} ${what}`)} ON ${table} (${on}) WHERE ${where}`)
  const opened = Effect.gen(function* () {
    const isNew = dialect.whyUnusable(name) === undefined && (yield* dialect.inspect(sql, name)).length === 0
    const options = { key: "key", onConflict: "ignore" } as const
    const writer = yield* DbTable.open(db, { name, schema: Row, options, committed })
    if (isNew) {
      yield* index("free", "place, key", "done = 0")
      yield* index("taken", "owner", "owner IS NOT NULL")
    }
    return writer
  })
  return sql.withTransaction(opened).pipe(
    // Others may be making it at the same time.
    Effect.retry({ times: 3, while: (error) => isSqlError(error) || isSqlError(error.cause) }),
    Effect.mapError(fromSqlError(db.name, `open queue "${name}"`)),
    Effect.map((writer): Writer<A, DbError, Db> => {
      const encode = encoderOf(db, queue)
      return {
        ...writer,
        write: (items, since) =>
          Effect.gen(function* () {
            const now = (yield* Clock.currentTimeMillis) * 1000
            const [last] = yield* Effect.mapError(
              sql.unsafe<{ readonly place: unknown }>(`SELECT max(place) AS place FROM ${table} WHERE done = 0`),
              fromSqlError(db.name, `add to queue "${name}"`)
            )
            const first = Math.max(now, Number(last?.place ?? 0) + 1)
            const rows: Array<Row> = []
            for (const [i, item] of items.entries()) {
              const row = encode(item, i, first + i)
              if (row instanceof DbError) return yield* row
              rows.push(row)
            }
            return yield* writer.write(rows, since)
          })
      }
    })
  )
}

/** All that are not done, in the order in which they would be taken. */
export const peek = <A, I extends object>(db: Db, queue: Queue<A, I>): Stream.Stream<Element<A, string>, DbError> => {
  const from = new RowQuery([`SELECT key, item, place FROM ${db.dialect.quote(queue.name)} WHERE done = 0`], [])
  const decode = decoderOf(db, queue)
  const read = DbRows.read(db, { from, schema: Listed, by: ["place", "key"], lag: undefined }, Option.none())
  const listed = Stream.mapEffect(read, ({ value }) => decode(value.key, value.item))
  return Stream.unwrap(
    Effect.flatMap(
      Effect.mapError(db.dialect.inspect(db.sql, queue.name), fromSqlError(db.name, `look at queue "${queue.name}"`)),
      // Who only looks makes nothing.
      (columns) => (columns.length === 0 ? Effect.succeed(Stream.empty) : Effect.as(open(db, queue), listed))
    )
  )
}

/** What one run takes, and settles. */
export const account = <A, I extends object>(
  db: Db,
  queue: Queue<A, I>
): Effect.Effect<Account<A, DbError, never, string>, DbError, Scope.Scope> =>
  Effect.gen(function* () {
    const { dialect, sql } = db
    yield* open(db, queue)
    const owner = yield* newId
    const table = dialect.quote(queue.name)
    const lease = Math.max(1, Math.round(Duration.toMillis(queue.lease)))
    const failed = fromSqlError(db.name, `take items of queue "${queue.name}"`)
    const decode = decoderOf(db, queue)

    const ask = statementOf<Kept>(sql)
    const parameter = (value: unknown): Piece => ({ sql: ["", ""], parameters: [value] })
    const now = Effect.map(Clock.currentTimeMillis, (clock) =>
      concat(["CAST("], dialect.reading.now(clock), [" AS BIGINT)"])
    )

    /** By their keys: what is in the pipeline, and not settled. */
    const held = new Set<string>()
    const moved = Latch.makeUnsafe()

    // Rows that are locked are being settled, and waiting for those could be for ever: they may wait for others of these.
    const renew = Effect.flatMap(now, (now) =>
      ask(
        [`WITH mine AS MATERIALIZED (SELECT key FROM ${table} WHERE owner = `],
        parameter(owner),
        [`${dialect.reading.unlocked}) UPDATE ${table} SET until = `],
        now,
        [` + ${lease} WHERE key IN (SELECT key FROM mine)`]
      )
    )
    const release = ask([`UPDATE ${table} SET owner = NULL, until = 0 WHERE owner = `], parameter(owner))
    yield* Effect.addFinalizer(() => Effect.ignore(release))
    // One that could not be renewed in time is another's to take, and will not settle here.
    yield* Effect.forkScoped(Effect.forever(Effect.andThen(Effect.sleep(Math.ceil(lease / 3)), Effect.ignore(renew))))

    /** Where a reply was lost, some may be this run's already. */
    const take = (count: number, doubt: boolean): Effect.Effect<ReadonlyArray<Kept>, SqlError> =>
      Effect.flatMap(now, (now) =>
        ask(
          [`WITH free AS MATERIALIZED (SELECT key FROM ${table} WHERE done = 0 AND (owner IS NULL OR (until <= `],
          now,
          [` AND owner <> `],
          parameter(owner),
          [")"],
          ...(doubt ? [[" OR owner = "], parameter(owner)] : []),
          [") ORDER BY place, key LIMIT "],
          parameter(doubt ? count + held.size : count),
          [`${dialect.reading.unlocked}) UPDATE ${table} SET owner = `],
          parameter(owner),
          [", taken = taken + 1, until = "],
          now,
          [` + ${lease} WHERE key IN (SELECT key FROM free) RETURNING key, item, place`]
        )
      )
    const takeSome = Effect.suspend(() => {
      let doubt = false
      const count = queue.atOnce - held.size
      return again(
        Effect.tapError(
          Effect.suspend(() => take(count, doubt)),
          () => Effect.sync(() => void (doubt = true))
        )
      )
    })
    const left = again(ask([`SELECT key, item, place FROM ${table} WHERE done = 0 LIMIT 1`]))
    const more: Effect.Effect<readonly [ReadonlyArray<Element<A, string>>, Option.Option<undefined>], DbError> =
      Effect.suspend(() => {
        moved.closeUnsafe()
        if (held.size >= queue.atOnce) return Effect.andThen(moved.await, more)
        return Effect.flatMap(Effect.mapError(takeSome, failed), (rows) => {
          const taken = rows.filter(({ key }) => !held.has(key)).sort(byPlace)
          if (taken.length > 0) {
            for (const { key } of taken) held.add(key)
            return Effect.map(
              Effect.forEach(taken, ({ item, key }) => decode(key, item)),
              (elements) => [elements, Option.some(undefined)] as const
            )
          }
          const wait = Effect.andThen(Effect.raceFirst(moved.await, Effect.sleep(queue.poll)), more)
          // What is in this pipeline, or another, may add to the queue when it settles.
          if (held.size > 0 || queue.follow) return wait
          return Effect.flatMap(Effect.mapError(left, failed), (rows) =>
            rows.length > 0 ? wait : Effect.succeed([[], Option.none()] as const)
          )
        })
      })

    const settlePart = (keys: ReadonlyArray<string>): Effect.Effect<number, SqlError> =>
      Effect.map(
        ask(
          [`UPDATE ${table} SET done = 1, owner = NULL WHERE done = 0 AND owner = `],
          parameter(owner),
          [" AND key IN ("],
          { sql: keys.map((_, i) => (i === 0 ? "" : ", ")).concat(""), parameters: keys },
          [") RETURNING key"]
        ),
        ({ length }) => length
      )
    return {
      elements: Stream.paginate(undefined, () => more),
      settle: (keys) =>
        Effect.gen(function* () {
          const tried = `settle ${keys.length} items of queue "${queue.name}"`
          let settled = 0
          for (let from = 0; from < keys.length; from += mostKeys) {
            settled += yield* Effect.mapError(
              settlePart(keys.slice(from, from + mostKeys)),
              fromSqlError(db.name, tried)
            )
          }
          if (settled < keys.length) {
            const reason = `${keys.length - settled} of them were taken by another run meanwhile, as this one did not renew its lease of ${Duration.format(queue.lease)} in time. Nothing of them is written here; run it again, with a longer \`lease\` where something stops the program for so long`
            return yield* new DbError({ database: db.name, tried, reason })
          }
        }),
      mayPass,
      settled: (keys) => {
        for (const key of keys) held.delete(key)
        moved.openUnsafe()
      }
    }
  })

/** Of one statement. */
const mostKeys = 500

interface Kept {
  readonly key: string
  readonly item: string
  readonly place: number | string | bigint
}

const byPlace = (a: Kept, b: Kept): number => Number(a.place) - Number(b.place) || (a.key < b.key ? -1 : 1)

/** The row of a new item, or why there is none. */
const encoderOf = <A, I extends object>(db: Db, queue: Queue<A, I>) => {
  const encode = Schema.encodeUnknownExit(queue.schema)
  const json = Schema.encodeUnknownExit(Schema.toCodecJson(queue.schema))
  return (item: A, at: number, place: number): Row | DbError => {
    const refused = (reason: string) =>
      new DbError({
        database: db.name,
        tried: `add to queue "${queue.name}"`,
        reason: `item ${at + 1} does not encode: ${reason}`,
        row: at
      })
    const fields = encode(item)
    if (Exit.isFailure(fields)) return refused(DbTable.issueOf(fields.cause))
    const form = json(item)
    if (Exit.isFailure(form)) return refused(DbTable.issueOf(form.cause))
    const text = JsonText.print(form.value)
    if (Result.isFailure(text)) return refused(`it ${text.failure}`)
    const key: Array<string | number | boolean> = []
    for (const name of queue.key) {
      const value = valueOf(fields.value, name)
      if (typeof value === "bigint") key.push(String(value))
      else if (typeof value === "string" || typeof value === "number" || typeof value === "boolean") key.push(value)
      else return refused(`its key "${name}" is no string, number, bigint or boolean`)
    }
    const name = key.length === 1 ? String(key[0]) : JSON.stringify(key)
    if (!name.isWellFormed() || name.includes("\0")) return refused("its key is no text that a database keeps")
    return { key: name, item: text.success, place, owner: null, taken: 0, until: 0, done: 0 }
  }
}

const decoderOf = <A, I extends object>(db: Db, queue: Queue<A, I>) => {
  const decode = JsonReader.decoder(queue.schema)
  return (key: string, item: string): Effect.Effect<Element<A, string>, DbError> => {
    const exit = decode(item)
    if (Exit.isSuccess(exit)) return Effect.succeed({ value: exit.value, position: key, bytes: 64 + item.length })
    const reason = `item ${JSON.stringify(key)} is not as the schema says: ${DbTable.issueOf(exit.cause)}`
    return Effect.fail(new DbError({ database: db.name, tried: `read queue "${queue.name}"`, reason }))
  }
}
