/**
 * Rows of a table or query as a source. They are read in pages, each by a short statement of its own that goes on behind the last
 * key: nothing is held open in the database between two pages, however long a sink takes or a pipeline is paused.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import type * as Schema from "effect/Schema"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import * as Stream from "effect/Stream"
import { changes } from "../../../pipeline/context/Changes.ts"
import { elementsOf, type Portion } from "../../../pipeline/context/Portion.ts"
import type { Element, Fingerprint, Settled } from "../../../pipeline/Source.ts"
import { DbError, fromSqlError } from "../../DbError.ts"
import type { Db } from "../Contract.ts"
import * as DbStatement from "../statement/DbStatement.ts"
import * as Fields from "../Fields.ts"
import type { KeyValue, Piece, RowPosition } from "./Reading.ts"
import * as Passed from "./Passed.ts"
import * as RowDecoder from "./RowDecoder.ts"
import * as RowQuery from "./RowQuery.ts"
import { again } from "../Transient.ts"

export interface RowsOptions<in out I> {
  /**
   * The column, or columns, that put the rows in order and tell them apart: two rows with the same values, or one with NULL, are
   * refused. It should have an index, as each page of rows is looked up by it.
   */
  readonly by: KeyOf<I> | ReadonlyArray<KeyOf<I>>
  /**
   * How old a row has to be by the first column of `by`, a point in time: younger ones are left for the next run, since one with an
   * earlier time may still be about to be committed. Milliseconds since the epoch where it is a number. Default: none is left.
   */
  readonly lag?: Duration.Input | undefined
}

type KeyOf<I> = Extract<keyof I, string>

export interface Rows<A, I extends object> {
  readonly from: string | RowQuery.RowQuery
  readonly schema: Schema.Codec<A, I>
  readonly by: ReadonlyArray<string>
  readonly lag: Duration.Duration | undefined
}

/** The rows behind `after`, up to the last one that there is when reading begins. */
export const read = <A, I extends object>(
  db: Db,
  rows: Rows<A, I>,
  after: Option.Option<RowPosition>
): Stream.Stream<Element<A, RowPosition>, DbError> =>
  Effect.gen(function* () {
    const reader = yield* readerOf(db, rows)
    yield* reader.checkNulls
    const last = yield* reader.last
    if (Option.isNone(last)) return Stream.empty
    const passed = Passed.from(Option.getOrNull(after))
    return Stream.paginate({ after, limit: firstPage }, ({ after, limit }) =>
      Effect.map(reader.page(after, last.value, limit), ({ bytes, isLast, positions, values }) => {
        let all = 1
        for (const weight of bytes) all += weight
        for (const position of positions) passed.add(position)
        const end = positions.at(-1)
        const next = Option.map(Option.fromUndefinedOr(isLast ? undefined : end), (position) => ({
          after: Option.some(position),
          limit: nextPage(limit, all / values.length)
        }))
        const portion: Portion<A, RowPosition> = { values, positionOf: (index) => positions[index]!, bytes }
        return [values.length === 0 ? [] : [portion], next] as const
      })
    )
  }).pipe(Stream.unwrap, elementsOf)

/** Few at first, as nobody knows how large they are. More than a thousand do not get faster, and keep the thread for longer. */
const firstPage = 64
const largestPage = 1024
const pageBytes = 4 * 1024 * 1024

/** A power of two, so that a handful of statements serves every page. */
const nextPage = (limit: number, bytesPerRow: number): number =>
  2 ** Math.floor(Math.log2(Math.max(1, Math.min(largestPage, limit * 4, pageBytes / bytesPerRow))))

/** What rows are known by: where they come from, and not what is in them, as the rows of a table come and go. */
export const fingerprint = <A, I extends object>(
  db: Db,
  rows: Rows<A, I>,
  upTo: Option.Option<RowPosition>,
  since: Fingerprint | undefined
): Effect.Effect<Fingerprint, DbError> =>
  Effect.map(since === undefined ? origin(db, rows) : Effect.succeed(Passed.without(since)), (known) => ({
    ...known,
    ...(Option.isSome(upTo) && Passed.fields(upTo.value))
  }))

/** What is not as it was; of rows that were settled ahead of the watermark also whether they are still the same ones. */
export const changed = <A, I extends object>(
  db: Db,
  rows: Rows<A, I>,
  kept: Fingerprint,
  upTo: Option.Option<RowPosition>,
  watermark: Settled<RowPosition> | undefined
): Effect.Effect<ReadonlyArray<string>, DbError> =>
  Effect.gen(function* () {
    const differs = changes(Passed.without(kept), yield* origin(db, rows))
    if (differs.length > 0 || watermark === undefined || Option.isNone(upTo)) return differs
    const after = Option.getOrNull(watermark.position)
    const then = Passed.between(after, watermark.fingerprint, kept)
    if (then === undefined) return differs
    const reader = yield* readerOf(db, rows)
    const passed = Passed.from(after)
    let now: Passed.Passed | undefined
    for (const position of yield* reader.keys(after, upTo.value)) now = passed.add(position)
    return Passed.isSame(now, then) ? [] : [`rows behind ${JSON.stringify(after)} were added or removed`]
  })

const origin = <A, I extends object>(db: Db, rows: Rows<A, I>): Effect.Effect<Fingerprint, DbError> =>
  Effect.gen(function* () {
    const reader = yield* readerOf(db, rows)
    return { ...reader.known, by: rows.by, types: yield* reader.types }
  })

/** About how much memory all rows take, where the database knows about how many they are. */
export const size = <A, I extends object>(db: Db, rows: Rows<A, I>): Effect.Effect<Option.Option<number>, DbError> =>
  Effect.gen(function* () {
    const { from } = rows
    if (typeof from !== "string") return Option.none()
    const reader = yield* readerOf(db, rows)
    const count = yield* Effect.mapError(db.dialect.reading.estimate(db.sql, from), reader.failed)
    if (Option.isNone(count)) return count
    const last = yield* reader.last
    if (Option.isNone(last)) return Option.none()
    const { bytes } = yield* reader.page(Option.none(), last.value, firstPage)
    const all = bytes.reduce((sum, weight) => sum + weight, 0)
    return bytes.length === 0 ? Option.none() : Option.some((count.value * all) / bytes.length)
  })

interface Reader<A> {
  readonly known: Fingerprint
  readonly failed: (error: SqlError | DbError) => DbError
  readonly checkNulls: Effect.Effect<void, DbError>
  readonly types: Effect.Effect<ReadonlyArray<string>, DbError>
  /** The last key, of rows that are old enough. */
  readonly last: Effect.Effect<Option.Option<RowPosition>, DbError>
  readonly page: (
    after: Option.Option<RowPosition>,
    upTo: RowPosition,
    limit: number
  ) => Effect.Effect<Page<A>, DbError>
  /** All keys behind one, none being the first, up to another. */
  readonly keys: (after: RowPosition | null, upTo: RowPosition) => Effect.Effect<ReadonlyArray<RowPosition>, DbError>
}

interface Page<A> {
  readonly values: ReadonlyArray<A>
  readonly positions: ReadonlyArray<RowPosition>
  readonly bytes: ReadonlyArray<number>
  readonly isLast: boolean
}

const readerOf = <A, I extends object>(
  db: Db,
  { by, from, lag, schema }: Rows<A, I>
): Effect.Effect<Reader<A>, DbError> =>
  Effect.gen(function* () {
    const { dialect, name: database, sql } = db
    const { reading } = dialect
    const tried = `read ${RowQuery.nameOf(from)}`
    const refused = (reason: string) => new DbError({ database, tried, reason })
    const secrets = typeof from === "string" ? [] : from.parameters
    const failed = (error: SqlError | DbError) => DbStatement.hiding(secrets, fromSqlError(database, tried)(error))

    const unusable = RowQuery.whyUnusable(from, dialect)
    if (unusable !== undefined) return yield* refused(unusable)
    const fields = Fields.of(schema)
    if (Result.isFailure(fields)) return yield* refused(fields.failure)
    if (by.length === 0) return yield* refused("`by` names no column. Name those that tell its rows apart")
    const key: Array<Fields.Field> = []
    for (const column of by) {
      const field = fields.success.list.find(({ name }) => name === column)
      if (field === undefined) return yield* refused(`\`by\` names "${column}", which is no field of the schema`)
      if (key.includes(field)) return yield* refused(`\`by\` names "${column}" twice`)
      key.push(field)
    }
    const decoder = RowDecoder.make(schema, fields.success, dialect)

    const bound = typeof from === "string" ? [] : yield* DbStatement.bindAll(db, tried, from.parameters)
    const query = RowQuery.subquery(from, bound, dialect)
    // Through the name of the subquery: SQLite takes a bare name in quotes that it does not know for a string.
    const columns = by.map((column) => `q.${dialect.quote(column)}`)
    const list = columns.join(", ")
    const exactly = columns.map((column, i) => `${reading.exactly(column)} AS ${keyName(i)}`).join(", ")

    const statement = RowQuery.statementOf<Record<string, unknown>>(sql)
    const ask = (...pieces: ReadonlyArray<Piece | ReadonlyArray<string>>) =>
      again(Effect.provideService(statement(...pieces), SqlClient.SafeIntegers, decoder.exact))

    const comparison = (operator: string, position: RowPosition): Piece => ({
      sql: position.map((_, i) => (i === 0 ? `(${list}) ${operator} (` : ", ")).concat(")"),
      parameters: position.map(reading.parameter)
    })
    const behind = (after: RowPosition | null, upTo: RowPosition) =>
      RowQuery.concat(...(after === null ? [] : [comparison(">", after), [" AND "]]), comparison("<=", upTo), [
        ` ORDER BY ${list}`
      ])

    /** The key of a row that was selected `exactly`. */
    const positionOf = (row: Record<string, unknown>): RowPosition | DbError => {
      const position: Array<KeyValue> = []
      for (const [i, column] of by.entries()) {
        const value = row[keyName(i)]
        const kept = reading.keep(value)
        if (kept === undefined)
          return value === null ? isNull(column) : refused(`"${column}" holds what cannot be kept`)
        position.push(kept)
      }
      return position
    }
    const isNull = (column: string) =>
      refused(
        `a row has NULL in "${column}", so it has no place in the order. Leave such rows out by a query, or make the column NOT NULL`
      )
    const position = (row: Record<string, unknown>) => {
      const found = positionOf(row)
      return found instanceof DbError ? Effect.fail(found) : Effect.succeed(found)
    }

    const upTo = lag === undefined ? Effect.succeed(undefined) : Effect.map(Clock.currentTimeMillis, reading.now)
    const instant = reading.millis(columns[0]!, key[0]!.kind)
    const last = Effect.gen(function* () {
      const now = yield* upTo
      const old = now === undefined ? [] : [[` WHERE ${instant} <= `], now, [` - ${Duration.toMillis(lag!)}`]]
      const descending = columns.map((column) => `${column} DESC`).join(", ")
      const [row] = yield* ask([`SELECT ${exactly} FROM `], query, [" AS q"], ...old, [
        ` ORDER BY ${descending} LIMIT 1`
      ])
      if (row !== undefined) return Option.some(yield* position(row))
      if (now !== undefined) {
        const [first] = yield* ask([`SELECT ${instant} IS NULL AS strange FROM `], query, [
          ` AS q ORDER BY ${list} LIMIT 1`
        ])
        if (isTrue(first?.["strange"])) {
          return yield* refused(`"${by[0]}" holds what is no point in time, so that \`lag\` cannot be measured by it`)
        }
      }
      return Option.none()
    })

    return {
      known: RowQuery.fingerprint(from, bound),
      failed,
      checkNulls: Effect.mapError(
        Effect.forEach(
          columns,
          (column, i) =>
            Effect.flatMap(ask(["SELECT 1 FROM "], query, [` AS q WHERE ${column} IS NULL LIMIT 1`]), (found) =>
              found.length === 0 ? Effect.void : Effect.fail(isNull(by[i]!))
            ),
          { discard: true }
        ),
        failed
      ),
      types: Effect.mapError(
        Option.match(reading.typeOf, {
          onNone: () =>
            // Fails for a column that is not there.
            Effect.as(
              ask([`SELECT ${list} FROM `], query, [" AS q LIMIT 0"]),
              key.map(({ kind }) => kind)
            ),
          onSome: (typeOf) =>
            Effect.forEach(columns, (column) => {
              const [before, behind] = typeOf(column)
              return Effect.map(ask([`SELECT ${before}`], query, [`${behind} AS type`]), ([row]) =>
                String(row?.["type"])
              )
            })
        }),
        failed
      ),
      last: Effect.mapError(last, failed),
      page: (after, upTo, limit) => {
        const selected = fields.success.list.map(({ name }) => dialect.quote(name))
        const raw = columns.map((column, i) => `${column} AS ${rawName(i)}`).join(", ")
        const order = by.map((_, i) => `p.${rawName(i)}`).join(", ")
        const before = by.map((_, i) => `lag(p.${rawName(i)}) OVER w`).join(", ")
        const shown = [...selected, ...by.map((_, i) => keyName(i))].map((name) => `p.${name}`).join(", ")
        return Effect.gen(function* () {
          const found = yield* ask(
            [`SELECT ${shown}, (${order}) = (${before}) AS skein_tied FROM (SELECT `],
            [`${selected.map((name) => `q.${name}`).join(", ")}, ${exactly}, ${raw} FROM `],
            query,
            [" AS q WHERE "],
            behind(Option.getOrNull(after), upTo),
            // One more, to see whether it is tied with the last one.
            [` LIMIT ${limit + 1}) AS p WINDOW w AS (ORDER BY ${order}) ORDER BY ${order}`]
          )
          const values: Array<A> = []
          const positions: Array<RowPosition> = []
          const bytes: Array<number> = []
          for (const row of found) {
            const position = positionOf(row)
            if (position instanceof DbError) return yield* position
            if (isTrue(row["skein_tied"]) || Passed.isSame(position, Option.getOrNull(after))) {
              return yield* refused(
                `several rows have the same key ${keyText(by, position)}, so that none of them can be found again. Add a column to \`by\` that tells them apart`
              )
            }
            if (values.length === limit) break
            const value = decoder.decode(row)
            if (Result.isFailure(value)) {
              return yield* refused(`row ${keyText(by, position)} is not as the schema says: ${value.failure}`)
            }
            values.push(value.success)
            positions.push(position)
            bytes.push(decoder.bytes(row))
          }
          return { values, positions, bytes, isLast: found.length <= limit }
        }).pipe(Effect.mapError(failed))
      },
      keys: (after, upTo) =>
        ask([`SELECT ${exactly} FROM `], query, [" AS q WHERE "], behind(after, upTo)).pipe(
          Effect.flatMap((found) => Effect.forEach(found, position)),
          Effect.mapError(failed)
        )
    }
  })

const keyName = (i: number): string => `skein_key_${i + 1}`
const rawName = (i: number): string => `skein_raw_${i + 1}`

const isTrue = (value: unknown): boolean => value === true || value === 1 || value === 1n

const keyText = (by: ReadonlyArray<string>, position: RowPosition): string =>
  JSON.stringify(Object.fromEntries(by.map((column, i) => [column, position[i]])))
