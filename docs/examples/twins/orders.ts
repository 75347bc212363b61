/**
 * What orders.ts does, with csv-parse and node:sqlite: rows, bad lines and how many lines are done are one transaction.
 *
 *     node docs/examples/twins/orders.ts orders.csv.gz
 */
import { parse } from "csv-parse"
import { createReadStream } from "node:fs"
import { DatabaseSync } from "node:sqlite"
import { pipeline } from "node:stream/promises"
import { createGunzip } from "node:zlib"

const [file = "orders.csv.gz"] = process.argv.slice(2)

type Line = Record<"id" | "customer" | "quantity" | "ordered", string>

const check = ({ customer, id, ordered, quantity }: Line): ReadonlyArray<string | number> => {
  if (!/^-?\d+$/.test(id)) throw new Error(`id is no whole number: ${id}`)
  if (customer === "") throw new Error("customer is empty")
  if (!/^[1-9]\d*$/.test(quantity)) throw new Error(`quantity is no whole number above 0: ${quantity}`)
  if (Number.isNaN(Date.parse(ordered))) throw new Error(`ordered is no time: ${ordered}`)
  return [Number(id), customer, Number(quantity), new Date(ordered).toISOString()]
}

const database = new DatabaseSync("orders.db", { timeout: 10_000 })
database.exec(`
  CREATE TABLE IF NOT EXISTS orders (id INTEGER PRIMARY KEY, customer TEXT NOT NULL, quantity INTEGER NOT NULL, ordered TEXT NOT NULL);
  CREATE TABLE IF NOT EXISTS rejected (line TEXT NOT NULL, reason TEXT NOT NULL);
  CREATE TABLE IF NOT EXISTS place (file TEXT PRIMARY KEY, lines INTEGER NOT NULL)`)
const upsert = database.prepare(`
  INSERT INTO orders VALUES (?, ?, ?, ?) ON CONFLICT (id) DO UPDATE
  SET customer = excluded.customer, quantity = excluded.quantity, ordered = excluded.ordered`)
const reject = database.prepare("INSERT INTO rejected VALUES (?, ?)")
const keep = database.prepare("INSERT INTO place VALUES (?, ?) ON CONFLICT (file) DO UPDATE SET lines = excluded.lines")

let done = Number(database.prepare("SELECT lines FROM place WHERE file = ?").get(file)?.["lines"] ?? 0)
let [skip, written, rejected, told] = [done, 0, 0, Date.now()]

const write = (lines: ReadonlyArray<Line>) => {
  database.exec("BEGIN")
  try {
    for (const line of lines) {
      let order
      try {
        order = check(line)
      } catch (error) {
        reject.run(JSON.stringify(line), (error as Error).message)
        rejected++
        continue
      }
      upsert.run(...order)
      written++
    }
    keep.run(file, done + lines.length)
    database.exec("COMMIT")
  } catch (error) {
    database.exec("ROLLBACK")
    throw error
  }
  done += lines.length
  if (Date.now() - told < 1000) return
  told = Date.now()
  console.log(`${written + rejected} lines so far`)
}

await pipeline(
  createReadStream(file),
  createGunzip(),
  parse({ columns: true, bom: true }),
  async (records: AsyncIterable<Line>) => {
    let batch: Array<Line> = []
    for await (const line of records) {
      if (skip-- > 0) continue
      batch.push(line)
      if (batch.length < 1000) continue
      write(batch)
      batch = []
    }
    write(batch)
  }
)
console.log(`${written} orders written, ${rejected} lines put aside.`)
for (const { line, reason } of database.prepare("SELECT line, reason FROM rejected").all()) console.log(line, reason)
database.close()
