/**
 * A job from a file of numbers into a table, a file or both, that is killed in the middle. As a program:
 *
 *     job.ts FOLDER SINK ORDER [POINT:K [DATABASE]]
 *
 * says `done 50`, `done 100` … as it works, and kills itself when it comes to that point for the K-th time. The database is a
 * URL, by default a file in the folder:
 *
 * - `write`, `written`: around the rows that a commit writes to the table;
 * - `commit`, `committed`: around the COMMIT of a transaction;
 * - `append`, `half`, `appended`, `synced`: before, in the middle of and after a write to the file, and after its fsync.
 */
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { Db, Files, Pipeline, Sink } from "skein"
import { Drivers, Host } from "skein/node"
import { writeSync } from "node:fs"
import { flushCompileCache } from "node:module"
import { join } from "node:path"
import * as Disk from "../support/disk.ts"

export type SinkName = "table" | "file" | "both"
export type Order = "input" | "completion"
export const points = ["write", "written", "commit", "committed", "append", "half", "appended", "synced"] as const

export const Row = Schema.Struct({ n: Schema.Int, part: Schema.Int })
type Row = typeof Row.Type

export const pathsIn = (folder: string) => ({
  input: join(folder, "input.txt"),
  output: join(folder, "output.jsonl"),
  database: join(folder, "job.db")
})

class Unwanted extends Schema.TaggedError<Unwanted>()("Unwanted", { message: Schema.String }) {}

const window = 64

/** The first elements all give a row, so that the first commit they make has some. */
export const isUnwanted = (n: number): boolean => n > window && n % 41 === 0

/** What element `n` becomes: no row, one or more. */
export const rowsOf = (n: number): ReadonlyArray<Row> =>
  isUnwanted(n) ? [] : Array.from({ length: n > window ? n % 4 : 1 }, (_, part) => ({ n, part }))

const uneven = (n: number) => Effect.repeat(Effect.yieldNow, { times: (n * 7919) % 23 })

const jobOf = (folder: string, sink: SinkName, order: Order, worked: () => void) => {
  const { input, output } = pathsIn(folder)
  const table = Db.table("rows", Row)
  const file = Files.jsonl(output, Row)
  const sinks = { table, file, both: Sink.all(table, file) }
  return Pipeline.from(Files.lines(input)).pipe(
    Pipeline.map(
      (line) =>
        Effect.flatMap(uneven(Number(line)), () => {
          worked()
          return isUnwanted(Number(line)) ? new Unwanted({ message: line }) : Effect.succeed(Number(line))
        }),
      { name: "check", concurrency: 8, order, onError: { deadLetter: Schema.String } }
    ),
    Pipeline.flatMap(rowsOf),
    Pipeline.batch(5),
    Pipeline.map((batch) => Effect.as(uneven(batch[0]!.n + 1), batch), { concurrency: 3, order }),
    Pipeline.flatMap((batch) => batch),
    Pipeline.to(sinks[sink] as Sink.Sink<Row, Files.FilesError | Db.DbError, Db.Db, "effectively-once">)
  )
}

export const run = (
  folder: string,
  sink: SinkName,
  order: Order,
  worked: () => void = () => {},
  reached: (point: string) => void = () => {},
  database: string = pathsIn(folder).database
) =>
  Pipeline.run(jobOf(folder, sink, order, worked), {
    name: "job",
    require: "effectively-once",
    window: { items: window },
    maxRows: 40
  }).pipe(
    watchFile(pathsIn(folder).output, reached),
    Effect.provide(
      Db.open(database).pipe(
        Layer.provide([watchedDriver(reached), Host.layer]),
        Layer.provideMerge(NodeServices.layer)
      )
    )
  )

type Reached = (point: string) => void

const watchFile = (output: string, reached: Reached) =>
  Disk.changed((file, path) =>
    path !== output
      ? {}
      : {
          writeAll: (bytes) => {
            const half = Math.floor(bytes.length / 2)
            return Effect.sync(() => reached("append")).pipe(
              Effect.andThen(file.writeAll(bytes.subarray(0, half))),
              Effect.andThen(Effect.sync(() => reached("half"))),
              Effect.andThen(file.writeAll(bytes.subarray(half))),
              Effect.andThen(Effect.sync(() => reached("appended")))
            )
          },
          sync: Effect.andThen(
            file.sync,
            Effect.sync(() => reached("synced"))
          )
        }
  )

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
              const [before, after] = Option.isSome(outer) ? ["write", "written"] : ["commit", "committed"]
              const inside =
                before === "write"
                  ? Effect.andThen(
                      Effect.sync(() => reached("write")),
                      effect
                    )
                  : Effect.tap(effect, () => Effect.sync(() => reached("commit")))
              return Effect.tap(withTransaction(inside), () => Effect.sync(() => reached(after!)))
            })
          return { ...opened, sql: Object.assign(opened.sql, { withTransaction: watched }) }
        })
    }))
  ).pipe(Layer.provideMerge(Drivers.layer))

if (import.meta.main) {
  // Who is killed does not come to it at its end.
  flushCompileCache()
  const [folder = "", sink, order, crash = "none:0", database] = process.argv.slice(2)
  const [point, k] = crash.split(":")
  let done = 0
  let seen = 0
  const worked = () => {
    done += 1
    if (done % 50 === 0) writeSync(1, `done ${done}\n`)
  }
  const reached = (at: string) => {
    if (at === point && ++seen === Number(k)) process.kill(process.pid, "SIGKILL")
  }
  await Effect.runPromise(run(folder, sink as SinkName, order as Order, worked, reached, database))
}
