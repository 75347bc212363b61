/** How fast do rows get into PostgreSQL, once each, and for how long is nothing else done meanwhile? */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { Db, Pipeline } from "skein"
import { Drivers } from "skein/node"
import { once } from "node:events"
import { monitorEventLoopDelay } from "node:perf_hooks"
import { Client } from "pg"
import * as Server from "../test/support/postgres/Server.ts"
import { type Group, perSecond, scaled, sumBelow } from "./support/group.ts"
import { indexed } from "./support/jobs.ts"
import { peer } from "./support/peers.ts"

const n = scaled(500_000)
const Row = Schema.Struct({ id: Schema.Int, name: Schema.String, price: Schema.Finite })
type Row = typeof Row.Type
const rowOf = (i: number): Row => ({ id: i, name: `${i}`.padStart(32, "row "), price: i / 4 })
const rows = Array.from({ length: n }, (_, i) => rowOf(i))

const copyStreams = await peer("pg-copy-streams")
const given = process.env["DATABASE_URL"]
const server = given === undefined ? await Server.open() : undefined
const url = given ?? server!.url()

const client = new Client({ connectionString: url })
await client.connect()
await client.query("DROP TABLE IF EXISTS rows, progress, skein_run, skein_dead")
await client.query("CREATE TABLE progress (at int8); INSERT INTO progress VALUES (0)")

const plain = "CREATE TABLE rows (id int8 NOT NULL, name text NOT NULL, price float8 NOT NULL)"
const keyed = "CREATE TABLE rows (id int8 PRIMARY KEY, name text NOT NULL, price float8 NOT NULL)"
/** As `keyed`, with rows of other prices under all keys. */
const filled = `${keyed}; INSERT INTO rows SELECT i, 'old', -1 FROM generate_series(0, ${n - 1}) i`

const checksum = { count: n, ids: sumBelow(n), letters: 32 * n, prices: sumBelow(n) / 4 }
const checksumOf = async () => {
  const { rows } = await client.query(
    "SELECT count(*)::int AS count, sum(id)::float8 AS ids, sum(length(name))::int AS letters, sum(price) AS prices FROM rows"
  )
  return rows[0]
}

/** As many rows a commit as `Db.table` takes. */
const commit = 20_000

/** COPY's binary form, as one writes it for a table that one knows. */
const header = Buffer.from("5047434f50590aff0d0a000000000000000000", "hex")
const binary = (part: ReadonlyArray<Row>): Buffer => {
  const out = Buffer.allocUnsafe(header.length + 2 + part.reduce((sum, { name }) => sum + 38 + name.length * 3, 0))
  let at = header.copy(out)
  for (const { id, name, price } of part) {
    at = out.writeInt16BE(3, at)
    at = out.writeInt32BE(8, at)
    at = out.writeBigInt64BE(BigInt(id), at)
    const length = out.write(name, at + 4)
    out.writeInt32BE(length, at)
    at = out.writeInt32BE(8, at + 4 + length)
    at = out.writeDoubleBE(price, at)
  }
  return out.subarray(0, out.writeInt16BE(-1, at))
}

type Write = () => Promise<unknown>

/** In transactions of so many rows, each with how far it has come, on a connection that is opened for it as `Db.open` does. */
const inCommits =
  (size: number, write: (client: Client, part: ReadonlyArray<Row>) => Promise<unknown>): Write =>
  async () => {
    const client = new Client({ connectionString: url })
    await client.connect()
    for (let i = 0; i < n; i += size) {
      await client.query("BEGIN")
      await write(client, rows.slice(i, i + size))
      await client.query("UPDATE progress SET at = $1", [i + size])
      await client.query("COMMIT")
    }
    await client.end()
  }

const copy =
  copyStreams &&
  ((size: number) =>
    inCommits(size, async (client, part) => {
      const stream = client.query(copyStreams.from("COPY rows FROM STDIN (FORMAT binary)"))
      stream.end(binary(part))
      await once(stream, "finish")
    }))

const unnest = (size: number) =>
  inCommits(size, (client, part) =>
    client.query({
      name: "unnest",
      text: "INSERT INTO rows SELECT * FROM unnest($1::int8[], $2::text[], $3::float8[])",
      values: [part.map(({ id }) => id), part.map(({ name }) => name), part.map(({ price }) => price)]
    })
  )

const skein =
  (options: Db.TableOptions<Row> = {}, count = n): Write =>
  async () => {
    await client.query("DROP TABLE IF EXISTS skein_run, skein_dead")
    await Pipeline.from(indexed(count, (i) => rows[i] ?? rowOf(i), 64)).pipe(
      Pipeline.to(Db.table("rows", Row, options)),
      (job) => Pipeline.run(job, { name: "rows", require: "exactly-once" }),
      Effect.provide(Db.open(url).pipe(Layer.provide(Drivers.layer))),
      Effect.runPromise
    )
  }

const rate = (table: string, write: Write | undefined) =>
  write &&
  perSecond({
    ops: n,
    checksum,
    work: async (timer) => {
      await client.query(`DROP TABLE IF EXISTS rows; ${table}`)
      await client.query("CHECKPOINT")
      timer.start()
      await write()
      timer.stop()
      return await checksumOf()
    }
  })

/** In milliseconds, of a timer that is due every millisecond. */
const delay = (write: Write) => async () => {
  await client.query(`DROP TABLE IF EXISTS rows; ${plain}`)
  const histogram = monitorEventLoopDelay({ resolution: 1 })
  histogram.enable()
  await new Promise((resolve) => setTimeout(resolve, 10))
  await write()
  await new Promise((resolve) => setTimeout(resolve, 10))
  histogram.disable()
  return histogram.percentile(99) / 1e6
}

const many = scaled(1_000_000)
const size = commit.toLocaleString("en")

const groups: ReadonlyArray<Group> = [
  {
    title: `${n.toLocaleString("en")} rows (int8, 32 characters, float8) into PostgreSQL, ${size} a commit`,
    unit: "rows a second",
    better: "more",
    baseline: "COPY binary by hand",
    rows: [
      { name: "COPY binary by hand", kind: "floor", measure: rate(plain, copy?.(commit)) },
      { name: "COPY binary by hand, one transaction", kind: "floor", measure: rate(plain, copy?.(n)) },
      { name: "unnest by hand", kind: "peer", measure: rate(plain, unnest(commit)) },
      {
        name: "Db.table",
        kind: "ours",
        goal: { limit: 0.9, of: "COPY binary by hand" },
        measure: rate(plain, skein())
      },
      {
        name: "Db.table, beside unnest",
        kind: "ours",
        goal: { limit: 1.4, of: "unnest by hand" },
        measure: rate(plain, skein())
      }
    ],
    notes: [
      "By hand: the progress is an UPDATE in each transaction. Db.table: exactly once, with the checkpoint in each.",
      "All of them open their connection in the time that is measured: what a session does first costs it more."
    ]
  },
  {
    title: "The same into a table with a primary key",
    unit: "rows a second",
    better: "more",
    baseline: "COPY binary by hand",
    rows: [
      { name: "COPY binary by hand", kind: "floor", measure: rate(keyed, copy?.(commit)) },
      { name: "Db.table, no key", kind: "ours", measure: rate(keyed, skein()) },
      {
        name: "Db.table, upsert of new keys",
        kind: "ours",
        goal: { limit: 0.4, of: "COPY binary by hand" },
        measure: rate(keyed, skein({ key: "id" }))
      },
      {
        name: "Db.table, upsert of known keys",
        kind: "ours",
        goal: { limit: 0.25, of: "COPY binary by hand" },
        measure: rate(filled, skein({ key: "id" }))
      }
    ]
  },
  {
    title: `${many.toLocaleString("en")} rows: what a timer that is due every millisecond waits, 99th percentile`,
    unit: "ms",
    better: "less",
    baseline: "Db.table",
    rows: [{ name: "Db.table", kind: "ours", goal: { limit: 5 }, measure: delay(skein({}, many)) }],
    close: async () => {
      await client.end()
      await server?.close()
    }
  }
]
export default groups
