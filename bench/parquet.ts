/** How fast are Parquet files read and written, through a schema, beside the library by hand? */
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { parquetReadObjects, parquetMetadataAsync } from "hyparquet"
import { parquetWriteRows } from "hyparquet-writer"
import { fileWriter } from "hyparquet-writer/src/node.js"
import { Files, Journal, Pipeline } from "skein"
import { open } from "node:fs/promises"
import { type Group, perSecond, scaled, sumBelow } from "./support/group.ts"
import { temporary } from "./support/temporary.ts"

const n = scaled(500_000)
const rowGroup = 50_000
const Row = Schema.Struct({
  id: Schema.Int,
  name: Schema.String,
  city: Schema.String,
  score: Schema.Number,
  active: Schema.Boolean,
  since: Schema.Date
})
type Row = typeof Row.Type

const row = (id: number): Row => ({
  id,
  name: `person number ${id}`,
  city: `city ${id % 500}`,
  score: id / 8,
  active: id % 2 === 0,
  since: new Date(1.6e12 + id * 1000)
})

function* rows(): Iterable<Row> {
  for (let id = 0; id < n; id++) yield row(id)
}

const folder = temporary("parquet")
const path = folder.path("rows.parquet")

const writeByHand = (to: string): Promise<void> =>
  Promise.resolve(
    parquetWriteRows({
      writer: fileWriter(to),
      rows: (function* () {
        for (const { id, ...others } of rows()) yield { id: BigInt(id), ...others }
      })(),
      columns: [
        { name: "id", type: "INT64", nullable: false },
        { name: "name", type: "STRING", nullable: false },
        { name: "city", type: "STRING", nullable: false },
        { name: "score", type: "DOUBLE", nullable: false },
        { name: "active", type: "BOOLEAN", nullable: false },
        { name: "since", type: "TIMESTAMP", nullable: false }
      ],
      rowGroupSize: rowGroup
    })
  )
await writeByHand(path)

const inEffect = <A, E>(effect: Effect.Effect<A, E, NodeServices.NodeServices>): Promise<A> =>
  Effect.runPromise(Effect.provide(effect, NodeServices.layer))

type Take = (id: number, score: number, since: Date) => void

const reading = (run: (take: Take) => Promise<unknown>) =>
  perSecond({
    ops: n,
    checksum: { count: n, ids: sumBelow(n), scores: sumBelow(n) / 8, since: sumBelow(n) },
    work: async () => {
      const sum = { count: 0, ids: 0, scores: 0, since: 0 }
      await run((id, score, since) => {
        sum.count += 1
        sum.ids += id
        sum.scores += score
        sum.since += (since.getTime() - 1.6e12) / 1000
      })
      return sum
    }
  })

/** A row group at a time, from a file that is open. */
const readByHand = async (take: Take): Promise<void> => {
  const handle = await open(path)
  const { size } = await handle.stat()
  const file = {
    byteLength: size,
    slice: async (start: number, end: number = size) => {
      const bytes = new Uint8Array(end - start)
      await handle.read(bytes, 0, bytes.length, start)
      return bytes.buffer
    }
  }
  const metadata = await parquetMetadataAsync(file)
  let rowStart = 0
  for (const { num_rows } of metadata.row_groups) {
    const rowEnd = rowStart + Number(num_rows)
    for (const { id, score, since } of await parquetReadObjects({ file, metadata, rowStart, rowEnd })) {
      take(Number(id), score, since)
    }
    rowStart = rowEnd
  }
  await handle.close()
}

const read = (take: Take): Promise<unknown> =>
  Files.parquet(path, Row)
    .read(Option.none())
    .pipe(
      Stream.runForEachArray((elements) =>
        Effect.sync(() => elements.forEach(({ value }) => take(value.id, value.score, value.since)))
      ),
      inEffect
    )

const written = (to: string, run: () => Promise<unknown>) =>
  perSecond({
    ops: n,
    checksum: n,
    work: async (timer) => {
      timer.start()
      await run()
      timer.stop()
      const handle = await open(to)
      const { size } = await handle.stat()
      const bytes = new Uint8Array(size)
      await handle.read(bytes, 0, size, 0)
      await handle.close()
      return Number(
        (await parquetMetadataAsync({ byteLength: size, slice: (a, b) => bytes.slice(a, b).buffer })).num_rows
      )
    }
  })

const job = (to: string) => () =>
  Pipeline.from(rows()).pipe(
    Pipeline.to(Files.parquet(to, Row, { rowGroup })),
    (all) => Pipeline.run(all, { name: "parquet" }),
    Effect.provide(Journal.memory),
    inEffect
  )

const group: Group = {
  title: `Parquet, ${n / 1000} thousand rows of 6 columns`,
  unit: "rows a second",
  better: "more",
  baseline: "hyparquet by hand",
  rows: [
    { name: "hyparquet by hand", kind: "floor", measure: reading(readByHand) },
    { name: "Files.parquet, read through a Schema", kind: "ours", measure: reading(read) },
    {
      name: "hyparquet-writer by hand",
      kind: "floor",
      measure: written(folder.path("hand.parquet"), () => writeByHand(folder.path("hand.parquet")))
    },
    {
      name: "Pipeline.run into Files.parquet, safe from crashes",
      kind: "ours",
      measure: written(folder.path("ours.parquet"), job(folder.path("ours.parquet")))
    }
  ],
  notes: ["By hand, what was written is lost where the program ends before the footer is."],
  close: folder.close
}
export default group
