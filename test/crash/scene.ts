/** The folder that a job works in: what is in it, put there and taken back, and whether it is what it has to be. */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as fs from "node:fs"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import * as Child from "../support/child.ts"
import { askSync } from "../support/postgres/askSync.ts"
import { fresh } from "../support/postgres/database.ts"
import { rowsOf, type Work } from "./work.ts"

const program = join(import.meta.dirname, "work.ts")

/** The numbers from `first` to `last`. */
export const numbers = (last: number, first = 1): ReadonlyArray<number> =>
  Array.from({ length: last - first + 1 }, (_, i) => first + i)

export const textOf = (list: ReadonlyArray<number>): string => list.map((n) => `${n}\n`).join("")
export const linesOf = (list: ReadonlyArray<number>): string =>
  list
    .flatMap(rowsOf)
    .map((row) => `${JSON.stringify(row)}\n`)
    .join("")
export const keysOf = (list: ReadonlyArray<number>): ReadonlyArray<string> =>
  sorted(list.flatMap(rowsOf).map(({ n, part }) => `${n}.${part}`))
const sorted = (list: ReadonlyArray<string>) => list.toSorted((a, b) => Number(a) - Number(b))

export type Kind = "SQLite" | "PostgreSQL"

export class Scene {
  readonly folder: string
  /** A file in the folder, or a URL. */
  readonly database: string

  constructor(folder: string, database: string) {
    this.folder = folder
    this.database = database
  }

  static make(count: number, kind: Kind = "SQLite"): Effect.Effect<Scene, never, Scope.Scope> {
    return Effect.gen(function* () {
      const folder = yield* Child.folder
      const scene = new Scene(fs.realpathSync(folder), kind === "SQLite" ? "work.db" : yield* fresh)
      scene.put("in.txt", textOf(numbers(count)))
      return scene
    })
  }

  path(name: string): string {
    return join(this.folder, name)
  }

  /** Whether the database is one. */
  get isFile(): boolean {
    return !this.database.includes("://")
  }

  has(name: string): boolean {
    return fs.existsSync(this.path(name))
  }

  text(name: string): string {
    return fs.readFileSync(this.path(name), "utf8")
  }

  put(name: string, text: string): void {
    fs.writeFileSync(this.path(name), text)
  }

  add(name: string, text: string): void {
    fs.appendFileSync(this.path(name), text)
  }

  move(from: string, to: string): void {
    fs.renameSync(this.path(from), this.path(to))
  }

  remove(name: string): void {
    fs.rmSync(this.path(name))
  }

  cut(name: string, length: number): void {
    fs.truncateSync(this.path(name), length)
  }

  /** All files by their name, without databases. */
  get files(): Readonly<Record<string, string>> {
    const names = fs.readdirSync(this.folder).filter((name) => name !== "go" && !/\.db(-wal|-shm)?$/.test(name))
    return Object.fromEntries(names.toSorted().map((name) => [name, this.text(name)]))
  }

  /** What was moved aside, of a file. */
  aside(name: string): ReadonlyArray<string> {
    const found = fs.readdirSync(this.folder).filter((other) => other.startsWith(`${name}.cut-`))
    return found.map((other) => this.text(other))
  }

  /** Runs with a connection of its own, that writes where it is told to. */
  query(sql: string, database = this.database): ReadonlyArray<Record<string, any>> {
    if (database.includes("://")) return askSync(database, sql)
    const connection = new DatabaseSync(this.path(database), { timeout: 10_000 })
    try {
      return connection.prepare(sql).all()
    } finally {
      connection.close()
    }
  }

  script(sql: string, database = this.database): void {
    if (database.includes("://")) return void askSync(database, sql)
    const connection = new DatabaseSync(this.path(database), { timeout: 10_000 })
    connection.exec(sql)
    connection.close()
  }

  /** The keys of the rows of a table, none where there is no table. */
  table(name: string, database = this.database): ReadonlyArray<string> {
    if (!this.tables(database).includes(name)) return []
    return sorted(this.query(`SELECT n, part FROM "${name}"`, database).map((row) => `${row["n"]}.${row["part"]}`))
  }

  /** The names of the tables. */
  tables(database = this.database): ReadonlyArray<string> {
    const isFile = !database.includes("://")
    if (isFile && !this.has(database)) return []
    const sql = isFile
      ? "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name"
      : "SELECT relname AS name FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY 1"
    return this.query(sql, database).map((row) => row["name"] as string)
  }

  /** The checkpoint of a pipeline. */
  kept(name = "work", database = this.database): Record<string, any> | undefined {
    const [row] = this.query(`SELECT checkpoint FROM skein_run WHERE pipeline = '${name}'`, database)
    return row === undefined || row["checkpoint"] === null ? undefined : JSON.parse(row["checkpoint"])
  }

  /** How many numbers of the source are below the watermark. */
  get settled(): number {
    return (
      this.text("in.txt")
        .slice(0, this.kept()?.["position"] ?? 0)
        .split("\n").length - 1
    )
  }

  dead(name = "work"): ReadonlyArray<string> {
    return this.query(`SELECT input FROM skein_dead WHERE pipeline = '${name}' AND replayed = 0 ORDER BY id`).map(
      (row) => row["input"] as string
    )
  }

  /** All that is there: of tables every row, of files every byte, of pipelines what is committed. */
  get all(): unknown {
    const files = fs.readdirSync(this.folder).filter((name) => name.endsWith(".db"))
    const databases = new Set([...files, ...(this.database.includes("://") ? [this.database] : [])])
    return {
      files: this.files,
      databases: [...databases].map((database) =>
        this.tables(database).map((name) => [
          name,
          name === "skein_run"
            ? this.query("SELECT pipeline, part, revision, checkpoint FROM skein_run ORDER BY pipeline, part", database)
            : this.query(`SELECT * FROM "${name}" ORDER BY 1, 2`, database).map((row) => ({ ...row }))
        ])
      )
    }
  }

  /** A copy of all that is there, and how to come back to it: a file is known by where it is. */
  save(): Effect.Effect<() => void, never, Scope.Scope> {
    return Effect.gen({ self: this }, function* () {
      const copy = yield* Child.folder
      fs.cpSync(this.folder, copy, { recursive: true })
      const restoreDatabase = this.isFile ? () => {} : yield* this.saveDatabase()
      return () => {
        fs.rmSync(this.folder, { recursive: true })
        fs.cpSync(copy, this.folder, { recursive: true })
        restoreDatabase()
      }
    })
  }

  /** The same of the database alone. */
  saveDatabase(): Effect.Effect<() => void, never, Scope.Scope> {
    if (this.isFile) {
      return Effect.sync(() => {
        this.query("PRAGMA wal_checkpoint(TRUNCATE)")
        const bytes = fs.readFileSync(this.path(this.database))
        return () => {
          this.removeDatabase()
          fs.writeFileSync(this.path(this.database), bytes)
        }
      })
    }
    return Effect.map(fresh, (copy) => {
      const nameOf = (url: string) => new URL(url).pathname.slice(1)
      const [here, saved] = [nameOf(this.database), nameOf(copy)]
      const other = new URL(copy)
      other.pathname = "/postgres"
      // One by one: several at once would be a transaction.
      const admin = (sql: string) => askSync(other.href, sql)
      const copyTo = (to: string, from: string) => {
        admin(`DROP DATABASE ${to} WITH (FORCE)`)
        admin(`CREATE DATABASE ${to} TEMPLATE ${from} STRATEGY file_copy`)
      }
      // A session that has just ended may be there for a moment, and nobody else may be while it is copied.
      askSync(other.href, `SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '${here}'`)
      copyTo(saved, here)
      return () => copyTo(here, saved)
    })
  }

  /** Deletes the file. */
  removeDatabase(): void {
    for (const end of ["", "-wal", "-shm"]) fs.rmSync(this.path(`${this.database}${end}`), { force: true })
  }

  /** Runs the job in a process of its own. */
  child(work: Omit<Work, "folder">): Effect.Effect<Child.Child, never, Scope.Scope> {
    return Child.start([program, JSON.stringify({ database: this.database, ...work, folder: this.folder })])
  }

  /** Kills the job where it comes to a point of its work. */
  killed(work: Omit<Work, "folder" | "signal">, at: string): Effect.Effect<void> {
    return Effect.gen({ self: this }, function* () {
      const child = yield* this.child({ ...work, signal: [at, "SIGKILL"] })
      const { signal, stderr, stdout } = yield* child.end
      assert.strictEqual(signal, "SIGKILL", `It never came to ${at}. ${stdout}${stderr}`)
    }).pipe(Effect.scoped)
  }
}

/** How a process ended that ran the job: its last line. */
export const endOf = (child: Child.Child) =>
  Effect.map(child.end, ({ signal, stderr, stdout }) => {
    const last = stdout.trimEnd().split("\n").at(-1)!
    assert.isTrue(last.startsWith("{"), `${signal} ${stdout}${stderr}`)
    return JSON.parse(last) as { readonly outcome: string; readonly error?: string; readonly message?: string }
  })
