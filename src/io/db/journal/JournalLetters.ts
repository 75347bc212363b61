/** The rows of dead letters, in portions: a statement may have only so many parameters, and a page is all that is held in memory. */
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import type * as Schema from "effect/Schema"
import type { SqlClient } from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import type { Fragment } from "effect/sql/Statement"
import * as Stream from "effect/Stream"
import { Newcomers } from "../../../pipeline/context/Letter.ts"
import type { Adopted, DeadLetter, JournalKey, KeptDeadLetter, LetterFilter } from "../../../pipeline/Journal.ts"
import type { JournalDialect } from "./JournalDialect.ts"
import { decodeDead, encodeDead, encodeText } from "./JournalRows.ts"
import type { JournalTables } from "./JournalTables.ts"

export interface JournalLetters {
  readonly dead: (
    key: JournalKey,
    filter?: LetterFilter
  ) => Effect.Effect<ReadonlyArray<KeptDeadLetter>, SqlError | Schema.SchemaError>
  readonly bury: (key: JournalKey, letters: ReadonlyArray<DeadLetter>, untold: boolean) => Effect.Effect<void, SqlError>
  readonly markReplayed: (key: JournalKey, ids: ReadonlyArray<number>) => Effect.Effect<void, SqlError>
  readonly markTold: (key: JournalKey, ids: ReadonlyArray<number>) => Effect.Effect<void, SqlError>
  readonly forget: (key: JournalKey) => Effect.Effect<unknown, SqlError>
  readonly purge: (key: JournalKey, filter: LetterFilter) => Effect.Effect<number, SqlError | Schema.SchemaError>
  readonly adopt: <E, R>(
    key: JournalKey,
    letters: Stream.Stream<DeadLetter, E, R>
  ) => Effect.Effect<Adopted, E | SqlError | Schema.SchemaError, R>
}

export const make = (
  sql: SqlClient,
  dialect: JournalDialect,
  tables: JournalTables,
  where: (key: JournalKey) => Fragment
): JournalLetters => {
  /** What follows WHERE; none where the table cannot have any. */
  const meant = (
    key: JournalKey,
    columns: ReadonlyArray<string>,
    { after, cause, replayed = false, since, step, until, untold, upTo, version }: LetterFilter
  ): Fragment | undefined => {
    const has = (column: string) => columns.includes(column)
    // Version 0.1 knew no partitions.
    if (columns.length === 0 || (!has("part") && key.partition !== null)) return undefined
    if (untold === true && !has("untold")) return undefined
    const all: Array<string | Fragment> = [
      has("part") ? where(key) : sql`pipeline = ${key.pipeline}`,
      sql`replayed = ${replayed ? 1 : 0}`
    ]
    if (step !== undefined) all.push(sql`step = ${encodeText(step)}`)
    if (version === null) all.push(sql`version IS NULL`)
    else if (version !== undefined) all.push(sql`version = ${encodeText(version)}`)
    if (since !== undefined) all.push(sql`at >= ${since}`)
    if (until !== undefined) all.push(sql`at < ${until}`)
    if (after !== undefined) all.push(sql`id > ${after}`)
    if (upTo !== undefined) all.push(sql`id <= ${upTo}`)
    if (untold === true) all.push(sql`untold = 1`)
    if (cause !== undefined) {
      const inText = sql`${dialect.indexOf}(cause, ${encodeText(cause)}) > 0`
      const asName = sql`${dialect.indexOf}(causes, ${`"name":${JSON.stringify(cause)}`}) > 0`
      all.push(has("causes") ? sql.or([inText, asName]) : inText)
    }
    return sql.and(all)
  }

  const rows = Effect.fnUntraced(function* (key: JournalKey, what: "*" | "id", filter: LetterFilter) {
    const { dead } = yield* tables.found
    const which = meant(key, dead, filter)
    const { ids, limit = Infinity, newest = false } = filter
    const found: Array<unknown> = []
    if (which === undefined) return found
    const order = sql.literal(newest ? "DESC" : "ASC")
    const inOrder = ids && [...new Set(ids)].sort((a, b) => (newest ? b - a : a - b))
    for (const part of inOrder === undefined ? [undefined] : Arr.chunksOf(inOrder, 1000)) {
      const left = limit - found.length
      if (left <= 0) break
      const these = part === undefined ? which : sql.and([which, sql.in("id", part)])
      const most = left === Infinity ? sql.literal("") : sql`LIMIT ${left}`
      for (const row of yield* dialect.planned(
        sql`SELECT ${sql.literal(what)} FROM skein_dead WHERE ${these} ORDER BY id ${order} ${most}`
      )) {
        found.push(row)
      }
    }
    return found
  })

  const dead: JournalLetters["dead"] = (key, filter = {}) => Effect.flatMap(rows(key, "*", filter), decodeDead)

  /** Calls `use` with a page after another of those that are meant. */
  const paged = Effect.fnUntraced(function* (
    key: JournalKey,
    filter: LetterFilter,
    use: (ids: Arr.NonEmptyReadonlyArray<number>) => Effect.Effect<unknown, SqlError>
  ) {
    let count = 0
    let after: number | undefined
    while (filter.limit === undefined || count < filter.limit) {
      const limit = Math.min(page, (filter.limit ?? Infinity) - count)
      const found = yield* rows(key, "id", { ...filter, ...(after !== undefined && { after }), limit })
      const ids = found.map((row) => Number((row as { readonly id: unknown }).id))
      if (!Arr.isReadonlyArrayNonEmpty(ids)) break
      yield* use(ids)
      count += ids.length
      after = ids.at(-1)
    }
    return count
  })

  const bury: JournalLetters["bury"] = (key, letters, untold) =>
    Effect.forEach(
      portions(letters.map((letter) => encodeDead(key, letter, untold))),
      (part) => sql`INSERT INTO skein_dead ${sql.insert(part)}`,
      { discard: true }
    )

  return {
    dead,
    bury,
    markReplayed: (key, ids) =>
      inParts(ids, (part) =>
        dialect.planned(sql`UPDATE skein_dead SET replayed = 1 WHERE ${where(key)} AND ${sql.in("id", part)}`)
      ),
    markTold: (key, ids) =>
      inParts(ids, (part) =>
        dialect.planned(sql`UPDATE skein_dead SET untold = 0 WHERE ${where(key)} AND ${sql.in("id", part)}`)
      ),
    forget: (key) => sql`DELETE FROM skein_dead WHERE ${where(key)}`,
    purge: (key, filter) =>
      paged(key, filter, (ids) =>
        dialect.planned(sql`DELETE FROM skein_dead WHERE ${where(key)} AND ${sql.in("id", ids)}`)
      ),
    adopt: (key, letters) =>
      Effect.suspend(() => {
        const known = new Newcomers()
        const adopted = { added: 0, known: 0 }
        const take = Effect.fnUntraced(function* (brought: ReadonlyArray<DeadLetter>) {
          const times = known.lacking(brought)
          for (const part of Arr.chunksOf(times, 1000)) {
            let after = 0
            for (;;) {
              const found = yield* decodeDead(
                yield* dialect.planned(sql`SELECT * FROM skein_dead WHERE ${where(key)} AND ${sql.in("at", part)} AND id > ${after}
                  ORDER BY id LIMIT ${page}`)
              )
              for (const letter of found) known.know(letter)
              if (found.length < page) break
              after = found.at(-1)!.id
            }
          }
          const added = brought.filter((letter) => known.isNew(letter))
          yield* bury(key, added, false)
          adopted.added += added.length
          adopted.known += brought.length - added.length
        })
        return Effect.as(Stream.runForEach(Stream.grouped(letters, page), take), adopted)
      })
  }
}

/** Letters that are held in memory at once. */
const page = 250

const inParts = <A>(
  all: ReadonlyArray<A>,
  run: (part: Arr.NonEmptyReadonlyArray<A>) => Effect.Effect<unknown, SqlError>
): Effect.Effect<void, SqlError> => Effect.forEach(Arr.chunksOf(all, 1000), run, { discard: true })

/** So many rows as one statement may have, in number and in length. */
const portions = <A extends { readonly [column: string]: string | number | null }>(
  rows: ReadonlyArray<A>
): ReadonlyArray<Arr.NonEmptyArray<A>> => {
  const all: Array<Arr.NonEmptyArray<A>> = []
  let length = 0
  for (const row of rows) {
    let more = 0
    for (const column in row) more += `${row[column]}`.length
    const last = all.at(-1)
    if (last === undefined || last.length === 1000 || length + more > longest) {
      all.push([row])
      length = more
    } else {
      last.push(row)
      length += more
    }
  }
  return all
}
const longest = 8 * 1024 * 1024
