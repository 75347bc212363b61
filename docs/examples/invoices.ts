/**
 * Books the invoices of a shop in a ledger. The shop's API gives them page by page, for tokens that expire; the ledger's takes each
 * by POST, with a key that is the same however often it is sent, and is asked no faster than it likes. The entries of a customer
 * are booked in order. Kill it at any moment and run it again: it goes on, and books nothing twice.
 *
 *     node --conditions=skein-source docs/examples/invoices.ts                  between the two APIs of invoices/apis.ts
 *     node --conditions=skein-source docs/examples/invoices.ts <shop> <ledger>  between others of their kind
 *
 * What was booked is in the table `entries` of invoices.db; what the ledger refused is a dead letter.
 */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { Db, Fetch, Pipeline } from "skein"
import { Http, Main } from "skein/node"
import { serve } from "./invoices/apis.ts"

const [shop, ledger] = process.argv.length > 3 ? process.argv.slice(2) : (await serve()).urls

const Invoice = Schema.Struct({ id: Schema.Int, customer: Schema.String, cents: Schema.Int })
const Page = Schema.Struct({ invoices: Schema.Array(Invoice), next: Schema.optionalKey(Schema.String) })
const Entry = Schema.Struct({ invoice: Schema.Int, entry: Schema.String })

const invoices = Fetch.pages(`${shop}/invoices`, {
  schema: Page,
  items: (page) => page.invoices,
  next: { cursor: "after", of: (page) => page.next }
})

// It is asked again by the step, at the step's rate and in the order of the customer.
const post = Fetch.json(Schema.Struct({ entry: Schema.String }), { idempotencyKey: true, retries: 0 })
const book = (invoice: typeof Invoice.Type) =>
  Effect.map(post({ url: `${ledger}/entries`, json: invoice }), ({ entry }) => ({ invoice: invoice.id, entry }))

const job = Pipeline.from(invoices).pipe(
  Pipeline.map(book, {
    name: "book",
    key: ({ customer }) => customer,
    concurrency: 8,
    rate: { limit: 200, per: "1 second", burst: 8 },
    retry: { retries: 5, retryWhile: ({ retryable }: Fetch.FetchError) => retryable },
    timeout: { total: "1 minute" },
    onError: { deadLetter: Invoice, maxDead: "10%" }
  }),
  Pipeline.to(Db.table("entries", Entry, { key: "invoice" }))
)

/** A new token, where the shop says that the old one is none any more. */
const login = () =>
  Fetch.json(Schema.Struct({ access_token: Schema.String }))({
    url: `${shop}/token`,
    form: {
      grant_type: "client_credentials",
      client_id: "books",
      client_secret: process.env["SHOP_SECRET"] ?? "secret"
    }
  }).pipe(
    Effect.map(({ access_token }) => ({ authorization: `Bearer ${access_token}` })),
    Effect.provide(Http.layer())
  )

const program = Effect.gen(function* () {
  const { dead, retries, written } = yield* Pipeline.run(job, {
    name: "invoices",
    require: "exactly-once",
    progress: { on: ({ settled }) => Console.log(`${settled} invoices so far`) }
  })
  yield* Console.log(`${written} invoices booked, ${dead} not; ${retries} requests were sent again.`)
})

Main.run(
  Effect.provide(program, [Db.open("invoices.db"), Fetch.layer({ onUnauthorized: login, timeout: "5 seconds" })])
)
