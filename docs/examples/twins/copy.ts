/**
 * What copy.ts does, by hand: SQLite to PostgreSQL, in pages by the time of the change, each with its place in one transaction.
 *
 *     node docs/examples/twins/copy.ts shop.db postgres://localhost/reports
 */
import { DatabaseSync } from "node:sqlite"
import { Client } from "pg"

const [from = "shop.db", to = "postgres://localhost/reports"] = process.argv.slice(2)

const shop = new DatabaseSync(from, { readOnly: true })
const reports = new Client(to)
await reports.connect()
await reports.query(`
  CREATE TABLE IF NOT EXISTS sales (id bigint PRIMARY KEY, day text NOT NULL, euros double precision NOT NULL);
  CREATE TABLE IF NOT EXISTS rejected (id bigint, reason text NOT NULL, source text NOT NULL);
  CREATE TABLE IF NOT EXISTS place (job text PRIMARY KEY, changed text NOT NULL, id bigint NOT NULL)`)

const rates = new Map<unknown, number>()
for (const { currency, euros } of shop.prepare("SELECT * FROM rates").all()) rates.set(currency, Number(euros))

const isOrder = (
  row: Record<string, unknown>
): row is { id: number; cents: number; currency: string; changed: string } =>
  Number.isInteger(row["id"]) &&
  Number.isInteger(row["cents"]) &&
  typeof row["currency"] === "string" &&
  !Number.isNaN(Date.parse(String(row["changed"])))

const page = shop.prepare(`
  SELECT * FROM orders WHERE (changed, id) > (?, ?) AND changed < ? ORDER BY changed, id LIMIT 1000`)
const until = new Date(Date.now() - 1000).toISOString()
const stop = new AbortController()
process.once("SIGINT", () => stop.abort())

const known = await reports.query("SELECT changed, id FROM place WHERE job = 'sales'")
let place: { changed: string; id: number } = known.rows[0] ?? { changed: "", id: 0 }
let [copied, rejected] = [0, 0]
let told = Date.now()

while (!stop.signal.aborted) {
  const rows = page.all(place.changed, place.id, until)
  if (rows.length === 0) break
  const sales = new Map<number, { day: string; euros: number }>()
  const bad: Array<{ id: unknown; reason: string; source: string }> = []
  for (const row of rows) {
    if (!isOrder(row)) throw new Error(`no order: ${JSON.stringify(row)}`)
    const rate = rates.get(row.currency)
    place = row
    if (rate === undefined) {
      bad.push({ id: row.id, reason: `no rate for ${row.currency}`, source: JSON.stringify(row) })
    } else {
      const day = new Date(row.changed).toISOString().slice(0, 10)
      sales.set(row.id, { day, euros: Math.round(row.cents * rate) / 100 })
    }
  }
  await reports.query("BEGIN")
  try {
    await reports.query(
      `INSERT INTO sales SELECT * FROM unnest($1::bigint[], $2::text[], $3::float8[])
       ON CONFLICT (id) DO UPDATE SET day = excluded.day, euros = excluded.euros`,
      [[...sales.keys()], [...sales.values()].map(({ day }) => day), [...sales.values()].map(({ euros }) => euros)]
    )
    await reports.query("INSERT INTO rejected SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[])", [
      bad.map(({ id }) => id),
      bad.map(({ reason }) => reason),
      bad.map(({ source }) => source)
    ])
    await reports.query(
      `INSERT INTO place VALUES ('sales', $1, $2)
       ON CONFLICT (job) DO UPDATE SET changed = excluded.changed, id = excluded.id`,
      [place.changed, place.id]
    )
    await reports.query("COMMIT")
  } catch (error) {
    await reports.query("ROLLBACK")
    throw error
  }
  copied += sales.size
  rejected += bad.length
  if (Date.now() - told < 1000) continue
  told = Date.now()
  console.log(`${copied + rejected} orders so far`)
}
await reports.end()
console.log(`${copied} orders copied, ${rejected} not.`)
