/**
 * Two APIs as real ones are. A shop gives its invoices page by page, to who has a token, and tokens do not last. A ledger books
 * them: one entry for each `Idempotency-Key`, however often it is sent; now and then it is busy, or its answer is lost.
 *
 *     node docs/examples/invoices/apis.ts
 */
import { createServer, type IncomingMessage, type RequestListener } from "node:http"
import type { AddressInfo } from "node:net"
import { json, text } from "node:stream/consumers"
import { pathToFileURL } from "node:url"

export interface Invoice {
  readonly id: number
  readonly customer: string
  readonly cents: number
}

export const invoices: ReadonlyArray<Invoice> = Array.from({ length: 150 }, (_, i) => ({
  id: i + 1,
  customer: `customer ${(i * i) % 11}`,
  // A ledger books nothing for nothing.
  cents: i % 50 === 24 ? 0 : (i + 1) * 10
}))

const perPage = 20
const pagesOfToken = 3

/** What the two have seen. */
export interface Seen {
  tokens: number
  posts: number
  /** Of the ledger, by their keys. */
  readonly booked: Map<string, Invoice>
  /** Invoices of a customer that came behind a later one. */
  readonly disorder: Array<number>
  /** The most entries that were being booked at once. */
  most: number
}

const shop = (seen: Seen): RequestListener => {
  let [left, busy] = [0, true]
  return async (request, response) => {
    const { pathname, searchParams } = new URL(request.url!, "http://shop")
    const answer = (value: unknown) => response.end(JSON.stringify(value))
    if (pathname === "/token") {
      const form = new URLSearchParams(await text(request))
      if (form.get("client_secret") !== "secret") return response.writeHead(403).end()
      left = pagesOfToken
      return answer({ access_token: `token-${++seen.tokens}`, token_type: "Bearer" })
    }
    if (request.headers.authorization !== `Bearer token-${seen.tokens}` || left === 0) {
      return response.writeHead(401).end()
    }
    left--
    const after = Number(searchParams.get("after") ?? 0)
    if (after === 2 * perPage && busy) {
      busy = false
      return response.writeHead(503).end()
    }
    const page = invoices.slice(after, after + perPage)
    return answer(page.length < perPage ? { invoices: page } : { invoices: page, next: `${after + perPage}` })
  }
}

const ledger = (seen: Seen): RequestListener => {
  const met = new Set<string>()
  const last = new Map<string, number>()
  let now = 0
  const book = async (request: IncomingMessage, key: string) => {
    const invoice = (await json(request)) as Invoice
    const first = !met.has(key)
    met.add(key)
    if (first && invoice.id % 10 === 3) return { status: 503 }
    if (invoice.cents === 0) return { status: 422, body: { error: "nothing to book" } }
    if (!seen.booked.has(key)) {
      if (invoice.id < (last.get(invoice.customer) ?? 0)) seen.disorder.push(invoice.id)
      last.set(invoice.customer, invoice.id)
      seen.booked.set(key, invoice)
    }
    return first && invoice.id % 10 === 7 ? "lost" : { status: 200, body: { entry: `entry ${invoice.id}` } }
  }
  return async (request, response) => {
    seen.posts++
    seen.most = Math.max(seen.most, ++now)
    const key = request.headers["idempotency-key"]
    const answer = typeof key === "string" ? await book(request, key) : { status: 400 }
    setTimeout(() => {
      now--
      if (answer === "lost") return response.destroy()
      return response.writeHead(answer.status).end(JSON.stringify(answer.body ?? {}))
    }, 2)
  }
}

const listen = (listener: RequestListener): Promise<string> =>
  new Promise((ready) => {
    const server = createServer(listener)
    server.listen(0, "127.0.0.1", () => {
      server.unref()
      ready(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
    })
  })

/** Serves both until the process ends; gives their addresses. */
export const serve = async () => {
  const seen: Seen = { tokens: 0, posts: 0, booked: new Map(), disorder: [], most: 0 }
  return { urls: [await listen(shop(seen)), await listen(ledger(seen))] as const, seen }
}

if (import.meta.url === pathToFileURL(process.argv[1]!).href) {
  console.log(...(await serve()).urls)
  setInterval(() => {}, 60_000)
}
