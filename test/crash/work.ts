/**
 * A job that tests put together of words, so that the same one runs in the process of a test and in one that is killed or
 * stopped. As a program:
 *
 *     work.ts '{"folder":"…","sinks":["table rows","file out.jsonl"]}'
 *
 * says `did N` for each 50th element and `held` where it waits, and in its last line how it ended, as JSON.
 */
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { Db, Files, Pipeline, Sink, TaskGroup } from "skein"
import { Drivers } from "skein/node"
import * as fs from "node:fs"
import { flushCompileCache } from "node:module"
import { join } from "node:path"
import * as Disk from "../support/disk.ts"

export interface Work {
  readonly folder: string
  /** Default "work". */
  readonly name?: string
  /** The file of numbers. Default "in.txt". */
  readonly input?: string
  /** Whether its lines are JSON, of which a bad one ends the run. Default: text. */
  readonly json?: boolean
  /** As in "table rows", "file out.jsonl", "lines out.txt", "short out.jsonl", which has the numbers alone, and "keyed rows". */
  readonly sinks?: ReadonlyArray<string>
  /** A file in the folder, or a URL. Default "work.db". */
  readonly database?: string
  readonly replay?: boolean
  readonly version?: string
  readonly existing?: "append" | "replace"
  readonly restart?: boolean
  readonly onChanged?: "refuse" | "restart"
  readonly onFinished?: "resume" | "restart"
  readonly onSinkChanged?: "refuse" | "begin"
  readonly window?: number
  readonly maxRows?: number
  /** Default false. */
  readonly fsync?: boolean
  readonly lease?: string
  /** How long it waits for a locked database. */
  readonly patience?: string
  /** Numbers that become dead letters. */
  readonly dead?: ReadonlyArray<number>
  /** Rows that become dead letters, behind a `flatMap`, as "n.part". */
  readonly deadRows?: ReadonlyArray<string>
  /** The first number that a "short" sink does not take. */
  readonly refuseFrom?: number
  /** The number that ends the run. */
  readonly failAt?: number
  /** The number that asks for a drain. */
  readonly drainAt?: number
  /** The number that is not done before there is a file `go` in the folder. */
  readonly holdAt?: number
  /** The disk is full in the middle of the k-th write to a file. */
  readonly fullAt?: number
  /** The signal it sends itself at the k-th time it comes to a point, as in ["half:2", "SIGKILL"]; see `points`. */
  readonly signal?: readonly [at: string, signal: NodeJS.Signals]
}

/**
 * `write`, `written`: around the rows that a commit writes to a table; `commit`, `committed`: around the end of a transaction;
 * `append`, `half`, `appended`, `synced`: before, in the middle of and after a write to a file, and after its fsync;
 * `cut`: before a file is cut back; `opened`: when a file is opened to be written to; `worked`: an element.
 */
export type Point =
  | "write"
  | "written"
  | "commit"
  | "committed"
  | "append"
  | "half"
  | "appended"
  | "synced"
  | "cut"
  | "opened"
  | "worked"

export const Row = Schema.Struct({ n: Schema.Int, part: Schema.Int })
export type Row = typeof Row.Type
const shortBelow = (n: number) => Schema.Struct({ n: Schema.Int.check(Schema.isLessThan(n)) })

/** What element `n` becomes. */
export const rowsOf = (n: number): ReadonlyArray<Row> =>
  Array.from({ length: n % 3 === 0 ? 2 : 1 }, (_, part) => ({ n, part }))

class Refused extends Schema.TaggedError<Refused>()("Refused", { message: Schema.String }) {}

type AnySink = Sink.Sink<Row, Files.FilesError | Db.DbError, Db.Db, "effectively-once">

const sinkOf = (work: Work, words: string): AnySink => {
  const [kind, name = ""] = words.split(" ")
  const path = join(work.folder, name)
  const existing = { existing: work.existing ?? "append" }
  // A kill leaves alone what the system was given to write.
  const written = { ...existing, fsync: work.fsync ?? false }
  const sinks: Record<string, () => unknown> = {
    table: () => Db.table(name, Row, existing),
    keyed: () => Db.table(name, Row, { ...existing, key: ["n", "part"] }),
    file: () => Files.jsonl(path, Row, written),
    short: () => Files.jsonl(path, shortBelow(work.refuseFrom ?? Number.MAX_SAFE_INTEGER), written),
    lines: () => ({ ...Files.lines(path, written), ...asLines(Files.lines(path, written)) })
  }
  return sinks[kind!]!() as AnySink
}

/** Writes rows to a file of text. */
const asLines = (file: Files.LineFile<string>) => ({
  open: (opening: Sink.Opening) =>
    Effect.map(file.open(opening), (writer) => ({
      ...writer,
      write: (rows: ReadonlyArray<Row>, since: Parameters<typeof writer.write>[1]) =>
        writer.write(
          rows.map(({ n, part }) => `${n}.${part}`),
          since
        )
    }))
})

type Told = (text: string) => void
type Reached = (point: Point) => void

const jobOf = (work: Work, tell: Told, reached: Reached, draining: Effect.Effect<void>) => {
  const input = join(work.folder, work.input ?? "in.txt")
  const [first, ...rest] = (work.sinks ?? ["table rows"]).map((words) => sinkOf(work, words))
  const isDead = (n: number) => work.dead?.includes(n) === true
  const isDeadRow = ({ n, part }: Row) => work.deadRows?.includes(`${n}.${part}`) === true
  const held = Effect.gen(function* () {
    const isHeld = () => !fs.existsSync(join(work.folder, "go"))
    if (isHeld()) tell("held")
    while (isHeld()) yield* Effect.sleep("2 millis")
  })
  let did = 0
  const numbers: Pipeline.Pipeline<number, Files.FilesError, FileSystem.FileSystem, number> =
    work.json === true
      ? Pipeline.from(Files.jsonl(input, Schema.Int))
      : Pipeline.from(Files.lines(input)).pipe(Pipeline.map((line: string) => Number(line), { name: "number" }))
  return numbers.pipe(
    Pipeline.map(
      (n) =>
        n === work.holdAt
          ? Effect.as(held, n)
          : n === work.drainAt
            ? Effect.as(draining, n)
            : n === work.failAt
              ? Effect.fail(new Refused({ message: `${n} is not done` }))
              : Effect.succeed(n),
      { name: "gate" }
    ),
    Pipeline.map(
      (n) =>
        Effect.suspend(() => {
          if (isDead(n)) return Effect.fail(new Refused({ message: `${n}` }))
          did += 1
          if (did % 50 === 0) tell(`did ${did}`)
          reached("worked")
          return n === work.holdAt ? Effect.as(held, n) : Effect.succeed(n)
        }),
      { name: "check", concurrency: 4, onError: { deadLetter: Schema.Number } }
    ),
    Pipeline.flatMap(rowsOf, { name: "rows" }),
    Pipeline.map((row) => (isDeadRow(row) ? Effect.fail(new Refused({ message: "row" })) : Effect.succeed(row)), {
      name: "row",
      onError: { deadLetter: Row }
    }),
    Pipeline.to(rest.length === 0 ? first! : Sink.all(first!, ...rest))
  )
}

/** The job, run or replayed, without what it needs. */
export const start = (work: Work, tell: Told = () => {}, reached: Reached = () => {}) =>
  Effect.gen(function* () {
    const asked = yield* Deferred.make<void>()
    const drains = yield* Deferred.make<void>()
    const draining = Effect.andThen(Deferred.succeed(asked, undefined), Deferred.await(drains))
    const job = jobOf(work, tell, reached, draining)
    const options = {
      name: work.name ?? "work",
      require: "effectively-once" as const,
      window: { items: work.window ?? 8 },
      maxRows: work.maxRows,
      version: work.version,
      restart: work.restart,
      onChanged: work.onChanged,
      onFinished: work.onFinished,
      onSinkChanged: work.onSinkChanged,
      lease: work.lease as "1 second" | undefined
    }
    if (work.replay === true) return yield* Pipeline.replay(job, options)
    const handle = yield* Pipeline.start(job, options)
    yield* Effect.forkScoped(
      Effect.andThen(Deferred.await(asked), Effect.andThen(handle.drain, Deferred.succeed(drains, undefined)))
    )
    return yield* handle.await
  }).pipe(TaskGroup.open, Effect.scoped)

/** The job with a database of its own. */
export const run = (work: Work, tell: Told = () => {}, reached: Reached = () => {}) =>
  start(work, tell, reached).pipe(watchFiles(work, reached), Effect.provide(databaseOf(work, reached)))

export const databaseOf = ({ database = "work.db", ...work }: Work, reached: Reached = () => {}) =>
  Db.open(database.includes("://") ? database : join(work.folder, database), {
    synchronous: work.fsync === true ? "full" : "normal",
    lockTimeout: (work.patience ?? "5 seconds") as "5 seconds"
  }).pipe(Layer.provide(watchedDriver(reached)), Layer.provideMerge(NodeServices.layer))

/** The job in this process, in real time; gives its error, if any. */
export const ran = (work: Work, tell?: Told, reached?: Reached) =>
  Effect.promise(() => Effect.runPromise(Effect.result(run(work, tell, reached))))

const watchFiles = (work: Work, reached: Reached) => {
  const outputs = new Set((work.sinks ?? []).map((words) => join(work.folder, words.split(" ")[1]!)))
  let writes = 0
  const half = Effect.suspend(() => {
    reached("half")
    writes += 1
    return writes === work.fullAt ? Effect.fail(Disk.fault("ENOSPC", "writeAll")) : Effect.void
  })
  return Disk.changed(
    (file, path) =>
      !outputs.has(path)
        ? {}
        : {
            writeAll: (bytes) => {
              const middle = Math.floor(bytes.length / 2)
              return Effect.sync(() => reached("append")).pipe(
                Effect.andThen(file.writeAll(bytes.subarray(0, middle))),
                Effect.andThen(half),
                Effect.andThen(file.writeAll(bytes.subarray(middle))),
                Effect.andThen(Effect.sync(() => reached("appended")))
              )
            },
            sync: Effect.andThen(
              file.sync,
              Effect.sync(() => reached("synced"))
            ),
            truncate: (length) =>
              Effect.andThen(
                Effect.sync(() => reached("cut")),
                file.truncate(length)
              )
          },
    (system) => ({
      stat: (path) =>
        Effect.tap(system.stat(path), () =>
          Effect.sync(() => {
            if (outputs.has(path)) reached("opened")
          })
        )
    })
  )
}

/** The driver, with its transactions watched: the outermost ends with COMMIT, one in it is a write of the table. */
const watchedDriver = (reached: Reached) =>
  Layer.effect(
    Db.Driver,
    Effect.map(Db.Driver, (driver) => ({
      open: (url, options) =>
        Effect.map(driver.open(url, options), (opened) => {
          const { transactionService, withTransaction } = opened.sql
          const watched: typeof withTransaction = (effect) =>
            Effect.flatMap(Effect.serviceOption(transactionService), (outer) => {
              const inner = Option.isSome(outer)
              const inside = inner
                ? Effect.andThen(
                    Effect.sync(() => reached("write")),
                    effect
                  )
                : Effect.tap(effect, () => Effect.sync(() => reached("commit")))
              return Effect.tap(withTransaction(inside), () =>
                Effect.sync(() => reached(inner ? "written" : "committed"))
              )
            })
          return { ...opened, sql: Object.assign(opened.sql, { withTransaction: watched }) }
        })
    }))
  ).pipe(Layer.provideMerge(Drivers.layer))

if (import.meta.main) {
  // Who is killed does not come to it at its end.
  flushCompileCache()
  const work: Work = JSON.parse(process.argv[2]!)
  const [at = "", signal] = work.signal ?? []
  const [point, k] = at.split(":")
  let seen = 0
  const tell = (text: string) => void fs.writeSync(1, `${text}\n`)
  const reached = (here: Point) => {
    if (here !== point || ++seen !== Number(k)) return
    tell(`at ${at}`)
    process.kill(process.pid, signal)
  }
  const ended = await Effect.runPromise(Effect.result(run(work, tell, reached)))
  const told = Result.match(ended, {
    onSuccess: ({ outcome }) => ({ outcome }),
    onFailure: (error) => ({ outcome: "failed", error: error._tag, message: error.message })
  })
  tell(JSON.stringify(told))
}
