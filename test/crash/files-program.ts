/** Copies lines into files, one way or another, and says how far it has come. Killed by its test, and started again. */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { Files, Pipeline } from "skein"
import { Main } from "skein/node"
import { writeSync } from "node:fs"

const [folder = "", way = ""] = process.argv.slice(2)

const ways: { readonly [way: string]: Files.Options<string> } = {
  append: {},
  atomic: { atomic: true },
  rotate: { rotate: { rows: 97 } },
  partition: { partition: (line) => `by/${Number(line) % 7}` }
}
const [name = "", compression] = way.split(" ")
const out = `${folder}/out.txt${compression === undefined ? "" : ".gz"}`
const Row = Schema.Struct({ line: Schema.String })
const parquet = Files.parquet(`${folder}/out.parquet`, Row, { rowGroup: 500 })

let count = 0
const lines = Pipeline.from(Files.lines(`${folder}/in.txt`)).pipe(
  Pipeline.map((line) => {
    count += 1
    if (count % 50 === 0) writeSync(1, `did ${count}\n`)
    return line
  })
)
const job =
  name === "parquet"
    ? lines.pipe(
        Pipeline.map((line) => Effect.succeed({ line }), { name: "row" }),
        Pipeline.to(parquet)
      )
    : lines.pipe(Pipeline.to(Files.lines(out, ways[name])))

Effect.runPromise(
  Effect.provide(Pipeline.run(job, { name: "copy", maxRows: 20, window: { items: 40 } }), Main.layer)
).then(({ outcome }) => writeSync(1, outcome))
