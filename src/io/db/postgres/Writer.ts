/** Rows into a table: by COPY, or by one INSERT that takes a column as one array. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type { Connection } from "effect/sql/SqlConnection"
import { SqlError, UnknownError } from "effect/sql/SqlError"
import type { CopyConnection, First } from "../CopyConnection.ts"
import {
  type Column,
  refusalOf,
  RowRefused,
  type Rows,
  type Shape,
  type TableWriter,
  WriteRefused
} from "../Dialect.ts"
import { valueOf } from "../Fields.ts"
import { list, quote } from "../Sql.ts"
import { Bytes } from "./Bytes.ts"
import { type Facts, lastingIdentity } from "./Catalog.ts"
import { type Codec, identityOf } from "./Codec.ts"
import * as Copy from "./Copy.ts"
import { oidOf, type Type, wireOf } from "./Types.ts"
import type { Write } from "./Values.ts"

/** A column with the type that it has. */
export interface Target {
  readonly column: Column
  readonly type: Type
  readonly codec: Codec
}

/** How many rows one INSERT has at most, and about how many bytes: more are not faster. */
const largest = { rows: 10_000, bytes: 8 * 1024 * 1024 }

/** How many rows are made ready in one go. */
const turn = 1024

export const make = (shape: Shape, targets: ReadonlyArray<Target>, facts: Facts): TableWriter => {
  const { deferred } = facts
  const copiers = targets.map(({ column, codec }) => codec.copy && cellOf(column, codec.copy))
  const first = unchanged(shape, facts)
  const copy = facts.copies && copiers.every((cell) => cell !== undefined) ? byCopy(shape, copiers, first) : undefined
  const insert = after(first, byInsert(shape, targets, folderOf(shape, targets, facts)))
  const write =
    copy === undefined
      ? insert
      : shape.key.length === 0 || shape.onConflict === "fail"
        ? copy
        : facts.triggers || deferred.length > 0
          ? insert
          : copyFirst(copy, insert)
  if (deferred.length === 0) return { write }
  // Else they are checked at COMMIT, where nobody knows the row any more.
  const check = `SET CONSTRAINTS ${deferred.join(", ")} IMMEDIATE; SET CONSTRAINTS ${deferred.join(", ")} DEFERRED`
  return {
    write: (connection, rows) =>
      Effect.andThen(
        write(connection, rows),
        Effect.mapError(
          connection.executeUnprepared(check, [], undefined),
          (error) => new WriteRefused(error, 0, rows.length)
        )
      )
  }
}

/** Bytes in the form of one type may be a value in that of another, and nobody would be told. */
const unchanged = ({ columns, table }: Shape, { identity }: Facts): First | undefined =>
  identity === null
    ? undefined
    : {
        sql: lastingIdentity(
          table,
          columns.map(({ name }) => name)
        ),
        check: (rows) => {
          const last = rows.at(-1) as { readonly identity: string | null }
          return last.identity === identity ? undefined : sqlError(altered)
        }
      }

const after =
  (first: First | undefined, write: WriteRows): WriteRows =>
  (connection, rows) =>
    first === undefined
      ? write(connection, rows)
      : Effect.flatMap(connection.executeUnprepared(first.sql, [], undefined), (found) => {
          const wrong = first.check(found)
          return wrong === undefined ? write(connection, rows) : Effect.fail(wrong)
        })

const altered =
  "it was altered, or another table took its name, while it was written to. See that the rows of before are in it, and run again"

type WriteRows = TableWriter["write"]

/** One column of a row: what is written, or what is wrong with it. */
interface Cell {
  readonly column: Column
  readonly write: Write
  /** Whether its name is one that every object has. */
  readonly odd: boolean
}

const cellOf = (column: Column, write: Write): Cell => ({
  column,
  odd: column.name in Object.prototype,
  // Where a field cannot be absent, null may be a value: JSON's.
  write: column.nullable
    ? (out, value) => (value === null || value === undefined ? void out.int32(-1) : write(out, value))
    : write
})

const fieldIn = (fields: object, { column, odd }: Cell): unknown =>
  odd ? valueOf(fields, column.name) : (fields as Record<string, unknown>)[column.name]

const refused = (row: number, { column }: Cell, fields: object): RowRefused =>
  new RowRefused(
    row,
    refusalOf(column, fieldIn(fields, { column, odd: true, write: () => "" })),
    column.name,
    () => fields
  )

const byCopy = ({ columns, table }: Shape, cells: ReadonlyArray<Cell>, first: First | undefined): WriteRows => {
  const statement = `COPY ${quote(table)} (${list(columns.map(({ name }) => name))}) FROM STDIN (FORMAT binary)`
  const width = cells.length
  /** Of the write before. One that failed may be on its way to the server still. */
  let idle: Bytes | undefined
  return (connection, rows) =>
    Effect.suspend(() => {
      if (rows.length === 0) return Effect.void
      let refusal: RowRefused | undefined
      const out = idle ?? Copy.scratch(rows.length, width)
      idle = undefined
      const chunks = Copy.chunks(rows.length, width, out, (out, row) => {
        const fields = rows.fields(row)
        if (fields instanceof RowRefused) throw (refusal = fields)
        for (let at = 0; at < width; at++) {
          const cell = cells[at]!
          if (cell.write(out, fieldIn(fields, cell)) !== undefined) throw (refusal = refused(row, cell, fields))
        }
      })
      const copied = (connection as CopyConnection).copyIn(statement, chunks, first)
      const kept = Effect.map(copied, () => void (idle = out))
      return Effect.catchCause(kept, (cause): Effect.Effect<never, RowRefused | WriteRefused> =>
        refusal === undefined
          ? Effect.failCause(Cause.map(cause, (error) => new WriteRefused(error, 0, rows.length)))
          : Effect.fail(refusal)
      )
    })
}

/**
 * Rows that are mostly new go by COPY, at a third of the cost. Where one of them is not, what that wrote is taken back and INSERT
 * writes them, and the next ones too: after each try in vain for twice as many writes.
 */
const copyFirst = (copy: WriteRows, insert: WriteRows): WriteRows => {
  let untried = 0
  let vain = 0
  return (connection, rows) =>
    Effect.suspend(() => {
      if (rows.length < worthATry) return insert(connection, rows)
      if (untried > 0) {
        untried--
        return insert(connection, rows)
      }
      const run = (sql: string) => connection.executeUnprepared(sql, [], undefined)
      const copied = Effect.andThen(run("SAVEPOINT skein_copy"), copy(connection, rows))
      return Effect.matchEffect(copied, {
        onSuccess: () => {
          vain = 0
          return Effect.asVoid(run("RELEASE SAVEPOINT skein_copy"))
        },
        onFailure: (error) => {
          if (!(error instanceof WriteRefused) || error.error.reason._tag !== "UniqueViolation")
            return Effect.fail(error)
          vain = Math.min(2 * vain + 1, 255)
          untried = vain
          const undone = run("ROLLBACK TO SAVEPOINT skein_copy; RELEASE SAVEPOINT skein_copy")
          return Effect.andThen(undone, insert(connection, rows))
        }
      })
    })
}

/** Rows; a savepoint costs as much as some of them. */
const worthATry = 256

/* INSERT. */

/** Which of some rows are written, by their key; undefined where PostgreSQL has to tell keys apart. */
type Fold = (fields: ReadonlyArray<object>) => ReadonlySet<number> | undefined

const folderOf = ({ key, onConflict }: Shape, targets: ReadonlyArray<Target>, facts: Facts): Fold | undefined => {
  const identities = key.map((name) => {
    const target = targets.find(({ column }) => column.name === name)!
    const identity = facts.loose.has(name) ? undefined : identityOf(target.column, target.type)
    return identity === undefined ? undefined : (fields: object) => identity(valueOf(fields, name))
  })
  if (identities.some((identity) => identity === undefined)) return undefined
  const [first, ...others] = identities as ReadonlyArray<(fields: object) => unknown>
  const identify =
    first === undefined || others.length === 0
      ? first
      : (fields: object) => JSON.stringify([first, ...others].map((identity) => partOf(identity(fields))))
  if (identify === undefined || onConflict === "fail") return () => undefined
  return (all) => {
    if (isAscending(all, identify)) return undefined
    const places = new Map<unknown, number>()
    for (let at = 0; at < all.length; at++) {
      const identity = identify(all[at]!)
      if (onConflict === "update" || !places.has(identity)) places.set(identity, at)
    }
    return places.size === all.length ? undefined : new Set(places.values())
  }
}

/** As keys mostly come; then none comes twice. */
const isAscending = (all: ReadonlyArray<object>, identify: (fields: object) => unknown): boolean => {
  let before: number | string | bigint | undefined
  for (const fields of all) {
    const identity = identify(fields)
    if (typeof identity !== "number" && typeof identity !== "string" && typeof identity !== "bigint") return false
    if (before !== undefined && !(identity > before)) return false
    before = identity
  }
  return true
}

/** The number 1 and the text "1" are never in the same column. */
const partOf = (value: unknown): unknown =>
  typeof value === "bigint" || typeof value === "number" ? String(value) : value

const byInsert = (shape: Shape, targets: ReadonlyArray<Target>, fold: Fold | undefined): WriteRows => {
  const statement = insertInto(
    shape,
    targets,
    targets.map(({ type }, at) => `$${at + 1}::${wireOf(type)}[]`),
    fold === undefined && shape.onConflict !== "fail"
  )
  const cells = targets.map(({ column, codec }) => cellOf(column, codec.wire))
  const numbers = targets.map(({ type }) => oidOf({ cast: wireOf(type), form: "other", sized: false })!)
  const scratch = new Bytes(1024)
  /** Of the statement before, when nobody reads them any more. */
  let idle: ReadonlyArray<Bytes> | undefined

  /** The arrays of as many rows from `from` on as fit, and how many those are; pauses again and again, for others to have their turn. */
  function* arraysOf(
    rows: Rows,
    from: number
  ): Generator<void, { outs: ReadonlyArray<Bytes>; count: number } | RowRefused> {
    const wanted = Math.min(largest.rows, rows.length - from)
    const all = new Array<object>(wanted)
    for (let at = 0; at < wanted; at++) {
      const fields = rows.fields(from + at)
      if (fields instanceof RowRefused) return fields
      all[at] = fields
      if (at % turn === turn - 1) yield
    }
    const written = fold?.(all)
    const outs = idle ?? cells.map(() => new Bytes(64 + wanted * 16))
    idle = undefined
    for (const out of outs) out.length = 0
    for (const [at, out] of outs.entries()) arrayHead(out, numbers[at]!)
    let count = 0
    let kept = 0
    let bytes = 0
    for (; count < wanted && bytes < largest.bytes; count++) {
      const fields = all[count]!
      const keeps = written === undefined || written.has(count)
      if (keeps) kept++
      bytes = 0
      for (let at = 0; at < cells.length; at++) {
        const cell = cells[at]!
        const out = keeps ? outs[at]! : scratch
        if (cell.write(out, fieldIn(fields, cell)) !== undefined) return refused(from + count, cell, fields)
        bytes += out.length
      }
      scratch.length = 0
      if (count % turn === turn - 1) yield
    }
    for (const out of outs) out.patch(12, kept)
    return { outs, count }
  }

  return (connection: Connection, rows: Rows) => {
    let from = 0
    let making: ReturnType<typeof arraysOf> | undefined
    return Effect.whileLoop({
      while: () => from < rows.length,
      body: (): Effect.Effect<unknown, WriteRefused | RowRefused> => {
        making ??= arraysOf(rows, from)
        const { done, value: made } = making.next()
        if (done !== true) return Effect.yieldNow
        making = undefined
        if (made instanceof RowRefused) return Effect.fail(made)
        const at = from
        from += made.count
        const arrays = made.outs.map((out) => out.written())
        return Effect.mapBoth(connection.executeRaw(statement, arrays), {
          onSuccess: () => void (idle = made.outs),
          onFailure: (error) => new WriteRefused(error, at, made.count)
        })
      },
      step: () => {}
    })
  }
}

/** One dimension, whose length follows, from 1 on; with NULLs, as far as anybody knows. */
const arrayHead = (out: Bytes, oid: number): void => {
  out.int32(1)
  out.int32(1)
  out.int32(oid)
  out.int32(0)
  out.int32(1)
}

/** `arrays` are the columns; `unfolded` where a key may come twice in them. */
export const insertInto = (
  { columns, key, onConflict, onlyChanged, table }: Shape,
  targets: ReadonlyArray<Target>,
  arrays: ReadonlyArray<string>,
  unfolded: boolean
): string => {
  const names = columns.map(({ name }) => name)
  const values = new Map(
    targets.map(({ column, type }, at) => [
      column.name,
      type.cast === wireOf(type) ? `u.c${at}` : `u.c${at}::${type.cast}`
    ])
  )
  const selected = names.map((name) => values.get(name)!).join(", ")
  const keys = key.map((name) => values.get(name)!).join(", ")
  const distinct = unfolded && key.length > 0
  const source =
    `unnest(${arrays.join(", ")})${distinct ? " WITH ORDINALITY" : ""} AS u(` +
    `${targets.map((_, at) => `c${at}`).join(", ")}${distinct ? ", n" : ""})`
  const order = distinct ? ` ORDER BY ${keys}, u.n${onConflict === "update" ? " DESC" : ""}` : ""
  return (
    `INSERT INTO ${quote(table)} (${list(names)}) ` +
    `SELECT ${distinct ? `DISTINCT ON (${keys}) ` : ""}${selected} FROM ${source}${order}` +
    conflict({ columns, key, onConflict, onlyChanged, table }, targets)
  )
}

const conflict = ({ key, onConflict, onlyChanged, table }: Shape, targets: ReadonlyArray<Target>): string => {
  if (key.length === 0 || onConflict === "fail") return ""
  const others = targets.filter(({ column }) => !key.includes(column.name))
  const head = ` ON CONFLICT (${list(key)}) DO `
  if (onConflict === "ignore" || others.length === 0) return `${head}NOTHING`
  const sets = others.map(({ column: { name } }) => `${quote(name)} = excluded.${quote(name)}`).join(", ")
  if (!onlyChanged) return `${head}UPDATE SET ${sets}`
  const side = (from: string) =>
    others.map(({ column, type }) => `${from}.${quote(column.name)}${isComparable(type) ? "" : "::text"}`).join(", ")
  return `${head}UPDATE SET ${sets} WHERE (${side(quote(table))}) IS DISTINCT FROM (${side("excluded")})`
}

/** Whether its values have an equality: `json` has none, and of what is not known it is not known. */
const isComparable = ({ element, form }: Type): boolean =>
  element === undefined ? form !== "json" && form !== "other" : isComparable(element)

/** An error that the server would have made worse. */
export const sqlError = (message: string): SqlError =>
  new SqlError({ reason: new UnknownError({ cause: new Error(message), message, operation: "execute" }) })
