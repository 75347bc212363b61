/** Reads rows, or takes items of a frontier, and writes each to a table without a key; says how many it has read. Killed and frozen by its test. */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { Db, type Journal, Pipeline, Source } from "skein"
import { Drivers } from "skein/node"
import { writeSync } from "node:fs"

const Item = Schema.Struct({ id: Schema.Int, note: Schema.String })
const [url = "", what = "", name = ""] = process.argv.slice(2)

const copy = <E, P>(
  source: Source.Source<typeof Item.Type, E, Db.Db | Journal.Journal, P>,
  table: string,
  maxRows: number,
  pause: Effect.Effect<void>
) => {
  let read = 0
  const job = Pipeline.from(source).pipe(
    Pipeline.map((item) =>
      Effect.map(pause, () => {
        read += 1
        if (read % 50 === 0) writeSync(1, `read ${read}.\n`)
        return item
      })
    ),
    Pipeline.to(Db.table(table, Item))
  )
  return Pipeline.run(job, { name, maxRows, commitEvery: 0 })
}

const run: Effect.Effect<Pipeline.Summary, unknown, Db.Db | Journal.Journal> =
  what === "rows"
    ? copy(Db.rows("items", Item, { by: "id" }), "copies", 100, Effect.void)
    : copy(
        Source.frontier("jobs", Item, { key: "id", lease: "2 seconds", atOnce: 40 }),
        "done",
        20,
        Effect.sleep("1 millis")
      )

await Effect.runPromise(
  run.pipe(
    Effect.tap(({ outcome }) => Console.log(outcome)),
    Effect.provide(Db.open(url).pipe(Layer.provide(Drivers.layer)))
  )
)
