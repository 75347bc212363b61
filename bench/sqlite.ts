/** How fast do rows get into SQLite, and for how long is nothing else done meanwhile? */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { Db, Pipeline } from "skein"
import { Drivers, Sqlite } from "skein/node"
import { monitorEventLoopDelay } from "node:perf_hooks"
import { DatabaseSync } from "node:sqlite"
import { type Group, perSecond, scaled, sumBelow } from "./support/group.ts"
import { indexed } from "./support/jobs.ts"
import { temporary } from "./support/temporary.ts"

const n = scaled(500_000)
const Row = Schema.Struct({ id: Schema.Int, name: Schema.String, price: Schema.Finite })
const rows = Array.from({ length: n }, (_, i) => ({ id: i, name: `${i}`.padStart(32, "row "), price: i / 4 }))
const folder = temporary("sqlite")

const checksum = { count: n, ids: sumBelow(n), letters: 32 * n, prices: sumBelow(n) / 4 }
const checksumOf = (file: string) => {
  const database = new DatabaseSync(file)
  const sums = database.prepare(
    "SELECT count(*) AS count, sum(id) AS ids, sum(length(name)) AS letters, sum(price) AS prices FROM rows"
  )
  const found = { ...sums.get() }
  database.close()
  return found
}

type Write = (file: string) => Promise<unknown>

/** As `Db.sqlite` opens it; a transaction for as many rows as `each` says, one for all by default. */
const byHand =
  (write: (database: DatabaseSync, from: number, to: number) => void, each: number = n): Write =>
  async (file) => {
    const database = new DatabaseSync(file)
    database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = full")
    database.exec("CREATE TABLE rows (id INTEGER NOT NULL, name TEXT NOT NULL, price REAL NOT NULL)")
    for (let from = 0; from < n; from += each) {
      database.exec("BEGIN IMMEDIATE")
      write(database, from, Math.min(n, from + each))
      database.exec("COMMIT")
      if (each < n) await new Promise(setImmediate)
    }
    database.close()
  }

const rowByRow = byHand((database) => {
  const insert = database.prepare("INSERT INTO rows VALUES (?,?,?)")
  for (const { id, name, price } of rows) insert.run(id, name, price)
})

const hundreds = (database: DatabaseSync, from: number, to: number) => {
  const insert = database.prepare(`INSERT INTO rows VALUES ${Array(100).fill("(?,?,?)").join(",")}`)
  const values = new Array<number | string>(300)
  for (let i = from; i < to; i += 100) {
    let next = 0
    for (let at = i; at < i + 100; at++) {
      const { id, name, price } = rows[at]!
      values[next++] = id
      values[next++] = name
      values[next++] = price
    }
    insert.run(...values)
  }
}
const atOnce = byHand(hundreds)
const byThousands = byHand(hundreds, 1000)

const insertHelper: Write = (file) =>
  Sqlite.open(file).pipe(
    Effect.flatMap(({ sql }) =>
      Effect.gen(function* () {
        yield* sql`CREATE TABLE rows (id INTEGER NOT NULL, name TEXT NOT NULL, price REAL NOT NULL)`
        for (let i = 0; i < n; i += 1000) {
          const [first, ...rest] = rows.slice(i, i + 1000)
          yield* sql`INSERT INTO rows ${sql.insert([first!, ...rest])}`
        }
      }).pipe(sql.withTransaction)
    ),
    Effect.scoped,
    Effect.runPromise
  )

const skein =
  (options: Pick<Pipeline.RunOptions<never>, "maxRows" | "window"> = {}, count = n): Write =>
  (file) =>
    Pipeline.from(indexed(count, (i) => rows[i % n]!, 64)).pipe(
      Pipeline.to(Db.table("rows", Row)),
      (job) => Pipeline.run(job, { name: "rows", require: "exactly-once", ...options }),
      Effect.provide(Db.sqlite(file).pipe(Layer.provide(Drivers.layer))),
      Effect.runPromise
    )

const inFile = async <A>(use: (file: string) => Promise<A>): Promise<A> => {
  const file = folder.path("rows.db")
  try {
    return await use(file)
  } finally {
    folder.remove("rows.db", "rows.db-wal", "rows.db-shm")
  }
}

const rate = (write: Write) => () =>
  inFile((file) =>
    perSecond({
      ops: n,
      checksum,
      work: async (timer) => {
        timer.start()
        await write(file)
        timer.stop()
        return checksumOf(file)
      }
    })()
  )

/** In milliseconds, of a timer that is due every millisecond. */
const delay = (write: Write) => () =>
  inFile(async (file) => {
    const histogram = monitorEventLoopDelay({ resolution: 1 })
    histogram.enable()
    // Not from within the microtasks of the last round, so that the first delay is seen as well.
    await new Promise((resolve) => setTimeout(resolve, 10))
    await write(file)
    await new Promise((resolve) => setTimeout(resolve, 10))
    histogram.disable()
    return histogram.percentile(99) / 1e6
  })

const larger = { maxRows: 16_384, window: { items: 32_768 } }

const groups: ReadonlyArray<Group> = [
  {
    title: `${n.toLocaleString("en")} rows (integer, 32 characters, double) into SQLite`,
    unit: "rows a second",
    better: "more",
    baseline: "100-row VALUES, commits of 1,000",
    rows: [
      { name: "100-row VALUES, commits of 1,000", kind: "floor", measure: rate(byThousands) },
      {
        name: "Db.table",
        kind: "ours",
        goal: { limit: 0.85, of: "100-row VALUES, commits of 1,000" },
        measure: rate(skein({}))
      },
      { name: "Db.table, commits of 16,384", kind: "ours", measure: rate(skein(larger)) }
    ],
    notes: ["As durable on both sides: a commit waits for the disk. Db.table: exactly once, a checkpoint in each."]
  },
  {
    title: "The same, beside one transaction for all",
    unit: "rows a second",
    better: "more",
    baseline: "100-row VALUES",
    rows: [
      { name: "node:sqlite, row by row", kind: "peer", measure: rate(rowByRow) },
      { name: "100-row VALUES", kind: "floor", measure: rate(atOnce) },
      { name: "insert helper of SqlClient", kind: "raw", measure: rate(insertHelper) },
      { name: "Db.table", kind: "ours", goal: { limit: 0.55, of: "100-row VALUES" }, measure: rate(skein({})) }
    ]
  },
  {
    title: `What a timer that is due every millisecond waits meanwhile, 99th percentile, twice as many rows`,
    unit: "ms",
    better: "less",
    baseline: "100-row VALUES, commits of 1,000",
    rows: [
      { name: "100-row VALUES, commits of 1,000", kind: "floor", measure: delay(byThousands) },
      { name: "Db.table", kind: "ours", goal: { limit: 5 }, measure: delay(skein({}, 2 * n)) },
      { name: "Db.table, commits of 16,384", kind: "ours", measure: delay(skein(larger, 2 * n)) }
    ],
    notes: [
      "A thread has to begin first: most of what is above the percentile is that, and commits before it is there."
    ],
    close: folder.close
  }
]
export default groups
