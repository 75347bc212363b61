/** Fetch, transform, write to a database and a file: what do exactly-once and a watermark that holds cost? */
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { Db, Fetch, Files, Pipeline, Sink, Source } from "skein"
import { Drivers, Http } from "skein/node"
import { appendFileSync, readFileSync } from "node:fs"
import { DatabaseSync } from "node:sqlite"
import * as api from "./support/api.ts"
import { type Group, perSecond, scaled, sumBelow } from "./support/group.ts"
import { peer } from "./support/peers.ts"
import { temporary } from "./support/temporary.ts"

const n = scaled(20_000)
const concurrency = 64
const pMap = await peer("p-map")
const undici = await peer("undici")
const { close, url } = await api.start()
const folder = temporary("etl")
const database = folder.path("items.db")
const file = folder.path("items.jsonl")
const ids = Array.from({ length: n }, (_, i) => i)

class Row extends Schema.Class<Row>("Row")({ id: Schema.Int, name: Schema.String, cents: Schema.Int }) {}
const rowOf = ({ id, name, price }: api.Item) => ({ id, name: name.toUpperCase(), cents: Math.round(price * 100) })

const cents = sumBelow(n) * 25
const checksum = { table: { count: n, ids: sumBelow(n), cents }, file: { count: n, ids: sumBelow(n), cents } }

const measured = (run: () => Promise<unknown>) =>
  perSecond({
    ops: n,
    checksum,
    work: async (timer) => {
      folder.remove("items.db", "items.db-wal", "items.db-shm", "items.jsonl")
      timer.start()
      await run()
      timer.stop()
      return { table: inTable(), file: inFile() }
    }
  })

const inTable = () => {
  const db = new DatabaseSync(database)
  const found = { ...db.prepare("SELECT count(*) AS count, sum(id) AS ids, sum(cents) AS cents FROM items").get() }
  db.close()
  return found
}

const inFile = () => {
  const rows: ReadonlyArray<Row> = readFileSync(file, "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line))
  const sum = (field: "id" | "cents") => rows.reduce((sum, row) => sum + row[field], 0)
  return { count: rows.length, ids: sum("id"), cents: sum("cents") }
}

/** As one writes it by hand: batches in the order of completion, and the largest id so far as the watermark. */
const byHand =
  undici &&
  pMap &&
  (async () => {
    const pool = new undici.Pool(url, { connections: concurrency, pipelining: 1 })
    const db = new DatabaseSync(database)
    db.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = full")
    db.exec("CREATE TABLE items (id INTEGER NOT NULL, name TEXT NOT NULL, cents INTEGER NOT NULL)")
    db.exec("CREATE TABLE progress (watermark INTEGER NOT NULL); INSERT INTO progress VALUES (-1)")
    const insert = db.prepare("INSERT INTO items VALUES (?,?,?)")
    const progress = db.prepare("UPDATE progress SET watermark = max(watermark, ?)")
    let batch: Array<ReturnType<typeof rowOf>> = []
    const write = () => {
      const rows = batch
      batch = []
      appendFileSync(file, rows.map((row) => `${JSON.stringify(row)}\n`).join(""), { flush: true })
      db.exec("BEGIN")
      for (const { cents, id, name } of rows) insert.run(id, name, cents)
      progress.run(Math.max(...rows.map((row) => row.id)))
      db.exec("COMMIT")
    }
    const one = async (id: number) => {
      const { body } = await pool.request({ path: `/items/${id}`, method: "GET" })
      batch.push(rowOf((await body.json()) as api.Item))
      if (batch.length === 1000) write()
    }
    await pMap.default(ids, one, { concurrency })
    if (batch.length > 0) write()
    db.close()
    await pool.close()
  })

const fetchItem = Fetch.json(api.Item)
/** Of some 20,000 documents a second about as many a commit as by hand. */
const asRarely = { commitEvery: "50 millis" } as const

const skein = (options: Pick<Pipeline.RunOptions<never>, "commitEvery">) => () =>
  Pipeline.from(Source.list(ids, { name: "ids" })).pipe(
    Pipeline.map((id) => fetchItem(`${url}/items/${id}`), { concurrency }),
    Pipeline.map((item) => new Row(rowOf(item))),
    Pipeline.to(Sink.all(Db.table("items", Row), Files.jsonl(file, Row))),
    (job) => Pipeline.run(job, { name: "items", require: "effectively-once", ...options }),
    Effect.provide([
      Http.layer({ connections: concurrency }),
      NodeFileSystem.layer,
      Db.sqlite(database).pipe(Layer.provide(Drivers.layer))
    ]),
    Effect.runPromise
  )

const group: Group = {
  title: `Fetch ${n.toLocaleString("en")} documents, transform them, write them to SQLite and a file`,
  unit: "documents a second",
  better: "more",
  baseline: "by hand",
  rows: [
    { name: "by hand", kind: "peer", measure: byHand && measured(byHand) },
    {
      name: "Pipeline.run, commits as large",
      kind: "ours",
      goal: { limit: 0.9, of: "by hand" },
      measure: measured(skein(asRarely))
    },
    { name: "Pipeline.run", kind: "ours", measure: measured(skein({})) }
  ],
  notes: [
    "By hand: undici, p-map, node:sqlite; batches of 1,000, flushed; not resumable without loss, as its watermark runs ahead."
  ],
  close: () => {
    close()
    folder.close()
  }
}
export default group
