/** A database as `node:sqlite` has it: opened, and asked by one function for each form of an answer. Runs in any thread. */
import { existsSync, realpathSync, statSync } from "node:fs"
import type * as NodeSqlite from "node:sqlite"
import { pathToFileURL } from "node:url"

export type Synchronous = "full" | "normal"

/** The form of an answer: rows, rows as arrays, or of a statement without rows what it has changed. */
export type Form = "rows" | "values" | "raw"

export class Database {
  readonly raw: NodeSqlite.DatabaseSync
  /** Whether a statement has changed what the connection itself is: its settings, what is attached, tables that only it sees. */
  isPersonal = false
  private readonly cache = new Map<string, Prepared>()

  constructor(raw: NodeSqlite.DatabaseSync) {
    this.raw = raw
  }

  get isTransaction(): boolean {
    return this.raw.isTransaction
  }

  run(sql: string, params: ReadonlyArray<unknown>, form: Form, exact: boolean): unknown {
    const prepared = this.prepare(sql)
    if (prepared.reads) prepared.statement.setReadBigInts(exact)
    return bound(prepared, params, form === "values" ? allValues : form === "raw" && !prepared.reads ? change : allRows)
  }

  /** A statement of its own, which others do not begin again meanwhile; each row is read when it is asked for. */
  iterate(sql: string, params: ReadonlyArray<unknown>, exact: boolean): Iterator<Record<string, unknown>> {
    const prepared = this.make(sql)
    if (prepared.reads) prepared.statement.setReadBigInts(exact)
    return bound(prepared, params, ({ statement }, params) => statement.iterate(...params))
  }

  close(): void {
    this.raw.close()
  }

  private prepare(sql: string): Prepared {
    const known = this.cache.get(sql)
    if (known !== undefined) return known
    const prepared = this.make(sql)
    const [oldest] = this.cache.size < maxPrepared ? [] : this.cache.keys()
    if (oldest !== undefined) this.cache.delete(oldest)
    this.cache.set(sql, prepared)
    return prepared
  }

  private make(sql: string): Prepared {
    const statement = this.raw.prepare(sql)
    this.isPersonal ||= personal.test(sql)
    return { statement, reads: statement.columns().length > 0 }
  }
}

interface Prepared {
  readonly statement: NodeSqlite.StatementSync
  /** Whether it gives rows. */
  readonly reads: boolean
}

/** As many statements as a program has that does not make up SQL as it goes; beyond that the oldest are forgotten. */
const maxPrepared = 256

/** Statements that change the connection and not the database; of PRAGMAs those that set or are given something. */
const personal =
  /^\s*(?:PRAGMA\s+(?!(?:\w+\.)?(?:wal_checkpoint|user_version|application_id|optimize|\w+_(?:info|xinfo|list|check))\b)[^;]*[=(]|ATTACH\b|DETACH\b|CREATE\s+TEMP|CREATE\s+\w+\s+["[`]?temp["\]`]?\.)/i

type Params = ReadonlyArray<NodeSqlite.SQLInputValue>
type Execute<A> = (prepared: Prepared, params: Params) => A

const allRows: Execute<unknown> = ({ statement }, params) => statement.all(...params)
const change: Execute<unknown> = ({ statement }, params) => statement.run(...params)

const allValues: Execute<unknown> = ({ statement }, params) => {
  statement.setReturnArrays(true)
  try {
    return statement.all(...params)
  } finally {
    statement.setReturnArrays(false)
  }
}

/**
 * Numbers, strings, bytes and null are bound as they are; what else has an obvious form in SQLite gets it. Values are not
 * looked at before the binding refuses one, as there may be thousands; it does so before the statement runs.
 */
const bound = <A>(prepared: Prepared, params: ReadonlyArray<unknown>, execute: Execute<A>): A => {
  try {
    return execute(prepared, params as Params)
  } catch (error) {
    const refused = error instanceof TypeError && "code" in error && error.code === "ERR_INVALID_ARG_TYPE"
    if (!refused) throw error
    return execute(prepared, (params as Params).map(otherForm))
  }
}

const otherForm = (value: NodeSqlite.SQLInputValue | boolean | undefined | Date): NodeSqlite.SQLInputValue => {
  if (typeof value === "boolean") return Number(value)
  if (value === undefined) return null
  return value instanceof Date ? value.toISOString() : value
}

/** In WAL mode: readers do not wait for the writer, and a commit is one write to one file. */
export const open = (file: string, synchronous: Synchronous): Database => {
  try {
    return opened(file, {}, `PRAGMA journal_mode = WAL; PRAGMA synchronous = ${synchronous}`)
  } catch (error) {
    if (!mayBeReadable(error) || !existsSync(file)) throw error
    try {
      return openToRead(file)
    } catch {
      throw error
    }
  }
}

/** One more connection, which cannot write. */
export const openToRead = (file: string): Database => {
  try {
    return opened(file, { readOnly: true }, probe)
  } catch (error) {
    // What SQLite would keep beside the file it cannot; without a log of what is not in it yet there is no need to.
    const log = statSync(`${file}-wal`, { throwIfNoEntry: false })
    if (!mayBeReadable(error) || (log?.size ?? 0) > 0) throw error
    const url = pathToFileURL(realpathSync(file))
    url.searchParams.set("immutable", "1")
    return opened(url, { readOnly: true }, probe)
  }
}

/** Reads the file, or there would be no telling whether it can be read. */
const probe = "SELECT count(*) FROM sqlite_schema"

const opened = (file: string | URL, options: NodeSqlite.DatabaseSyncOptions, first: string): Database => {
  const database = new (load().DatabaseSync)(file, options)
  try {
    database.exec(first)
    return new Database(database)
  } catch (error) {
    database.close()
    throw error
  }
}

/** READONLY and CANTOPEN. */
const mayBeReadable = (error: unknown): boolean => [8, 14].includes(codeOf(error) & 0xff)

export const codeOf = (error: unknown): number =>
  error instanceof Error && "errcode" in error && typeof error.errcode === "number" ? error.errcode : 0

/**
 * The module prints an ExperimentalWarning when Node 22 loads it, which is for the author of this file and not for the
 * one who uses it; other warnings pass.
 */
const load = (): typeof NodeSqlite => {
  const emitWarning = process.emitWarning
  process.emitWarning = (warning: string | Error, ...rest: ReadonlyArray<unknown>) => {
    if (!String(warning).startsWith("SQLite is an experimental feature")) {
      Reflect.apply(emitWarning, process, [warning, ...rest])
    }
  }
  try {
    return process.getBuiltinModule("node:sqlite")
  } finally {
    process.emitWarning = emitWarning
  }
}
