/** How fast is a large file of CSV read, through a schema and with a position behind each record? */
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as Effect from "effect/Effect"
import * as Csv from "effect/encoding/Csv"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { Files, Journal, Pipeline } from "skein"
import { closeSync, createReadStream, openSync, writeSync } from "node:fs"
import { type Group, perSecond, scaled, sumBelow } from "./support/group.ts"
import { into } from "./support/jobs.ts"
import { peer } from "./support/peers.ts"
import { temporary } from "./support/temporary.ts"

const n = scaled(1_000_000)
const Row = Schema.Struct({
  id: Schema.Finite,
  name: Schema.String,
  email: Schema.String,
  score: Schema.Finite,
  active: Schema.Boolean,
  note: Schema.String
})
type Row = typeof Row.Type

const row = (id: number): string => {
  const note = id % 10 === 0 ? String.raw`"said ""no"", and` + '\nleft"' : "nothing of note"
  return `${id},person number ${id},person.number.${id}@example.org,${id / 8},${id % 2 === 0},${note}\n`
}

const folder = temporary("csv")
const path = folder.path("rows.csv")
const written = openSync(path, "w")
writeSync(written, "id,name,email,score,active,note\n")
for (let i = 0; i < n; i += 1000) {
  writeSync(written, Array.from({ length: 1000 }, (_, j) => row(i + j)).join(""))
}
closeSync(written)

/** All that a value of the schema has: parsers that give only text have their part of it done by hand. */
type Take = (row: Row) => void
type Run = (take: Take) => Promise<unknown>

const checksum = { count: n, ids: sumBelow(n), scores: sumBelow(n) / 8, active: n / 2, quoted: n / 10 }

const measured = (run: Run) =>
  perSecond({
    ops: n,
    checksum,
    work: async () => {
      const sum = { count: 0, ids: 0, scores: 0, active: 0, quoted: 0 }
      await run(({ active, id, note, score }) => {
        sum.count += 1
        sum.ids += id
        sum.scores += score
        if (active) sum.active += 1
        if (note === 'said "no", and\nleft') sum.quoted += 1
      })
      return sum
    }
  })

const typed = (texts: Record<string, string>): Row => ({
  id: Number(texts["id"]),
  name: texts["name"]!,
  email: texts["email"]!,
  score: Number(texts["score"]),
  active: texts["active"] === "true",
  note: texts["note"]!
})

const stream = () => createReadStream(path, { highWaterMark: 1024 * 1024 })
const csvParse = await peer("csv-parse")
const papaparse = await peer("papaparse")
const udsv = await peer("udsv")

const byCsvParse: Run | undefined =
  csvParse &&
  (async (take) => {
    for await (const texts of stream().pipe(csvParse.parse({ columns: true }))) take(typed(texts))
  })

const byPapaparse: Run | undefined =
  papaparse &&
  ((take) =>
    new Promise((done, fail) =>
      papaparse.default.parse(stream(), {
        header: true,
        skipEmptyLines: true,
        chunk: ({ data }) => data.forEach((texts) => take(typed(texts))),
        complete: () => done(undefined),
        error: fail
      })
    ))

const byUdsv: Run | undefined =
  udsv &&
  (async (take) => {
    let parser: ReturnType<typeof udsv.initParser> | undefined
    for await (const text of createReadStream(path, { encoding: "utf8", highWaterMark: 1024 * 1024 })) {
      parser ??= udsv.initParser(udsv.inferSchema(text))
      parser.chunk(text, parser.stringObjs, (texts) => take(typed(texts)))
    }
    parser?.end()
  })

const inEffect = <E>(effect: Effect.Effect<unknown, E, FileSystem.FileSystem>) =>
  Effect.runPromise(Effect.provide(effect, NodeFileSystem.layer))

const effectCsv: Run = (take) =>
  FileSystem.FileSystem.pipe(
    Effect.map((fs) => fs.stream(path, { chunkSize: 1024 * 1024 })),
    Stream.unwrap,
    Stream.pipeThroughChannel(Csv.decodeSchema(Row)({ headers: true })),
    Stream.runForEachArray((rows) => Effect.sync(() => rows.forEach(take))),
    inEffect
  )

const csv: Run = (take) =>
  Files.csv(path, Row)
    .read(Option.none())
    .pipe(
      Stream.runForEachArray((elements) => Effect.sync(() => elements.forEach(({ value }) => take(value)))),
      inEffect
    )

const pipeline: Run = (take) =>
  Pipeline.from(Files.csv(path, Row)).pipe(
    Pipeline.to(into(take)),
    (job) => Pipeline.run(job, { name: "csv" }),
    Effect.provide(Journal.memory),
    inEffect
  )

const group: Group = {
  title: `Read ${n / 1e6} million records of CSV, 92 bytes each, one in ten with quotes`,
  unit: "records a second",
  better: "more",
  baseline: "csv-parse, its stream",
  rows: [
    { name: "csv-parse, its stream", kind: "peer", measure: byCsvParse && measured(byCsvParse) },
    { name: "papaparse, chunks", kind: "peer", measure: byPapaparse && measured(byPapaparse) },
    { name: "udsv, chunks, no checks", kind: "peer", measure: byUdsv && measured(byUdsv) },
    { name: "effect Csv.decodeSchema", kind: "raw", measure: measured(effectCsv) },
    {
      name: "Files.csv, through a Schema, with positions",
      kind: "ours",
      goal: { limit: 2, of: "csv-parse, its stream" },
      measure: measured(csv)
    },
    { name: "Pipeline.run over Files.csv", kind: "ours", measure: measured(pipeline) }
  ],
  close: folder.close
}
export default group
