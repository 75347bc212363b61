/**
 * What invoices.ts does, with p-map, fetch and node:sqlite: a page at a time, its entries and where the next one is in one transaction.
 *
 *     node docs/examples/twins/invoices.ts <shop> <ledger>
 */
import { DatabaseSync } from "node:sqlite"
import { setTimeout as sleep } from "node:timers/promises"
import pMap from "p-map"
import { serve } from "../invoices/apis.ts"

const [shop, ledger] = process.argv.length > 3 ? process.argv.slice(2) : (await serve()).urls

interface Invoice {
  readonly id: number
  readonly customer: string
  readonly cents: number
}
const isInvoice = ({ cents, customer, id }: Partial<Invoice>): boolean =>
  Number.isInteger(id) && typeof customer === "string" && Number.isInteger(cents)

interface Answer {
  readonly access_token?: string
  readonly invoices?: ReadonlyArray<Invoice>
  readonly next?: string
  readonly entry?: string
}

class Refused extends Error {
  readonly status: number
  constructor(url: string, status: number, text: string) {
    super(`${url} answered ${status}: ${text}`)
    this.status = status
  }
}
const transient = new Set([408, 425, 429, 500, 502, 503, 504])
let retries = 0

/** Sends it until it is answered, at most four times; only what may be sent twice. */
const ask = async (url: string, init: () => RequestInit, before?: () => Promise<void>): Promise<Answer> => {
  for (let attempt = 1; ; attempt++) {
    await before?.()
    let wait = Math.random() * 250 * 2 ** (attempt - 1)
    try {
      const response = await fetch(url, { ...init(), signal: AbortSignal.timeout(5000) })
      if (response.ok) return (await response.json()) as Answer
      wait = Number(response.headers.get("retry-after") ?? 0) * 1000 || wait
      throw new Refused(url, response.status, await response.text())
    } catch (error) {
      if (attempt === 4 || (error instanceof Refused && !transient.has(error.status))) throw error
    }
    retries++
    await sleep(wait)
  }
}

let token = ""
const login = async () => {
  const body = new URLSearchParams({
    grant_type: "client_credentials",
    client_id: "books",
    client_secret: process.env["SHOP_SECRET"] ?? "secret"
  })
  token = (await ask(`${shop}/token`, () => ({ method: "POST", body }))).access_token ?? ""
}

const getPage = async (after: string): Promise<Answer & { invoices: ReadonlyArray<Invoice> }> => {
  const get = () => ask(`${shop}/invoices?after=${after}`, () => ({ headers: { authorization: `Bearer ${token}` } }))
  const page = await get().catch(async (error) => {
    if (!(error instanceof Refused) || error.status !== 401) throw error
    await login()
    return get()
  })
  const { invoices } = page
  if (!Array.isArray(invoices) || !invoices.every(isInvoice)) throw new Error(`no page of invoices: ${after}`)
  return { ...page, invoices }
}

/** 200 in a second, 8 of them at once. */
let free = 0
const turn = async () => {
  const now = performance.now()
  free = Math.max(free, now - 8 * 5) + 5
  if (free > now) await sleep(free - now)
}

const book = async (invoice: Invoice): Promise<string> => {
  const headers = { "content-type": "application/json", "idempotency-key": `invoice-${invoice.id}` }
  const init = { method: "POST", headers, body: JSON.stringify(invoice) }
  const { entry } = await ask(`${ledger}/entries`, () => init, turn)
  if (typeof entry !== "string") throw new Error(`no entry: ${JSON.stringify(entry)}`)
  return entry
}

const database = new DatabaseSync("invoices.db", { timeout: 10_000 })
database.exec(`
  CREATE TABLE IF NOT EXISTS entries (invoice INTEGER PRIMARY KEY, entry TEXT NOT NULL);
  CREATE TABLE IF NOT EXISTS rejected (invoice INTEGER PRIMARY KEY, reason TEXT NOT NULL);
  CREATE TABLE IF NOT EXISTS place (job TEXT PRIMARY KEY, after TEXT NOT NULL)`)
const upsert = database.prepare(
  "INSERT INTO entries VALUES (?, ?) ON CONFLICT (invoice) DO UPDATE SET entry = excluded.entry"
)
const reject = database.prepare("INSERT OR REPLACE INTO rejected VALUES (?, ?)")
const keep = database.prepare(
  "INSERT INTO place VALUES ('invoices', ?) ON CONFLICT (job) DO UPDATE SET after = excluded.after"
)

let [booked, rejected, told] = [0, 0, Date.now()]
let after: string | undefined = String(database.prepare("SELECT after FROM place").get()?.["after"] ?? "0")
while (after !== undefined) {
  const { invoices, next } = await getPage(after)
  const entries: Array<[number, string]> = []
  const bad: Array<[number, string]> = []
  // Those of one customer in order.
  await pMap(
    Map.groupBy(invoices, ({ customer }) => customer).values(),
    async (group) => {
      for (const invoice of group) {
        try {
          entries.push([invoice.id, await book(invoice)])
        } catch (error) {
          bad.push([invoice.id, String(error)])
        }
      }
    },
    { concurrency: 8 }
  )
  database.exec("BEGIN")
  try {
    for (const entry of entries) upsert.run(...entry)
    for (const line of bad) reject.run(...line)
    if (next !== undefined) keep.run(next)
    database.exec("COMMIT")
  } catch (error) {
    database.exec("ROLLBACK")
    throw error
  }
  booked += entries.length
  rejected += bad.length
  after = next
  if (Date.now() - told < 1000) continue
  told = Date.now()
  console.log(`${booked + rejected} invoices so far`)
}
database.close()
console.log(`${booked} invoices booked, ${rejected} not; ${retries} requests were sent again.`)
