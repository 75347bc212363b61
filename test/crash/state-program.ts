/** Drops what was seen, sums up what is left and windows of it, into tables or a file. Killed by its test. */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { Db, Files, Pipeline, Source } from "skein"
import { Drivers, Main } from "skein/node"

import { writeSync } from "node:fs"
import { keyOf, Row, rowsIn } from "./state.ts"

const [place = "", count = ""] = process.argv.slice(2)

let read = 0
const rows = Pipeline.from(Source.list(rowsIn(Number(count)), { name: "numbers" })).pipe(
  Pipeline.map((n) => {
    read += 1
    if (read % 50 === 0) writeSync(1, `read ${read}.\n`)
    return read % 20 === 0 ? Effect.as(Effect.sleep("1 millis"), n) : n
  }),
  Pipeline.unique(keyOf),
  Pipeline.scan(0, (sum, n) => [sum + n, { n, sum: sum + n }], { state: Schema.Number }),
  Pipeline.window({ every: 40, at: ({ n }) => n }, { initial: 0, add: (_, { sum }) => sum, state: Schema.Number }),
  Pipeline.map(({ count, from, value }): Row => ({ from, count, value }))
)
const options = { name: "state", maxRows: 5, window: { items: 64 } } as const

const run: Effect.Effect<Pipeline.Summary, unknown> = place.endsWith(".jsonl")
  ? Pipeline.run(rows.pipe(Pipeline.to(Files.jsonl(place, Row))), options).pipe(
      Effect.provide(Layer.provideMerge(Files.journal(`${place}.journal`), Main.layer))
    )
  : Pipeline.run(rows.pipe(Pipeline.to(Db.table("rows", Row))), options).pipe(
      Effect.provide(Db.open(place).pipe(Layer.provide(Drivers.layer)))
    )
await Effect.runPromise(Effect.tap(run, ({ outcome }) => Console.log(outcome)))
