/**
 * Copies the orders of a shop into a database for reports, in euros and by day, each order once, as it is now: run it again and it
 * copies what was added or changed since; kill it at any moment, and the next run goes on. Either database may be SQLite or PostgreSQL.
 *
 *     node --conditions=skein-source docs/examples/copy.ts shop.db postgres://localhost/reports
 *
 * The shop has the tables `orders` and `rates`. What it says goes into `sales`; orders in a currency that has no rate are listed.
 */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { Db, Pipeline, Source } from "skein"
import { Main } from "skein/node"

const [from = "shop.db", to = "reports.db"] = process.argv.slice(2)

const Rate = Schema.Struct({ currency: Schema.String, euros: Schema.Finite })
const Order = Schema.Struct({ id: Schema.Int, cents: Schema.Int, currency: Schema.String, changed: Schema.Date })
const Sale = Schema.Struct({ id: Schema.Int, day: Schema.String, euros: Schema.Finite })

const program = Effect.gen(function* () {
  const shop = yield* Layer.build(Db.open(from))
  const rates = new Map(
    (yield* Db.query(Rate)`SELECT * FROM rates`.pipe(Effect.provide(shop))).map(({ currency, euros }) => [
      currency,
      euros
    ])
  )
  const toSale = ({ cents, changed, currency, id }: typeof Order.Type) => {
    const rate = rates.get(currency)
    return rate === undefined
      ? Effect.fail(`no rate for ${currency}`)
      : Effect.succeed({ id, day: changed.toISOString().slice(0, 10), euros: Math.round(cents * rate) / 100 })
  }
  const orders = Source.provide(Db.rows("orders", Order, { by: ["changed", "id"], lag: "1 second" }), shop)
  const job = Pipeline.from(orders).pipe(
    Pipeline.map(toSale, { name: "convert", onError: { deadLetter: Order } }),
    Pipeline.to(Db.table("sales", Sale, { key: "id" }))
  )
  const { dead, written } = yield* Pipeline.run(job, {
    name: "sales",
    require: "exactly-once",
    progress: { on: ({ settled }) => Console.log(`${settled} orders so far`) }
  })
  yield* Console.log(`${written} orders copied, ${dead} not.`)
})

Main.run(Effect.scoped(Effect.provide(program, Db.open(to))))
