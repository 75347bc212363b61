/**
 * Reads orders from a compressed CSV file into the table `orders` of orders.db, the last one of each id. Lines that are no orders are
 * put aside and listed at the end. Kill it at any moment and run it again: it goes on, and nothing is lost or there twice.
 *
 *     node --conditions=skein-source docs/examples/orders.ts orders.csv.gz
 */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { Db, DeadLetters, Files, Pipeline } from "skein"
import { Main } from "skein/node"

const [file = "orders.csv.gz"] = process.argv.slice(2)

/** A line as it is, whatever is in it. */
const Line = Schema.Struct({
  id: Schema.String,
  customer: Schema.String,
  quantity: Schema.String,
  ordered: Schema.String
})

const Order = Schema.Struct({
  id: Schema.Int,
  customer: Schema.NonEmptyString,
  quantity: Schema.Int.check(Schema.isGreaterThan(0)),
  ordered: Schema.Date
})

const check = Schema.decodeUnknownEffect(Schema.toCodecStringTree(Order))

const job = Pipeline.from(Files.csv(file, Line)).pipe(
  Pipeline.map(check, { name: "check", onError: { deadLetter: Line, maxDead: "5%" } }),
  Pipeline.to(Db.table("orders", Order, { key: "id" }))
)

const program = Effect.gen(function* () {
  const { dead, written } = yield* Pipeline.run(job, {
    name: "orders",
    require: "exactly-once",
    progress: { on: ({ settled }) => Console.log(`${settled} lines so far`) }
  })
  yield* Console.log(`${written} orders written, ${dead} lines put aside.`)
  yield* Stream.runForEach(DeadLetters.list("orders"), ({ cause, input }) => Console.log(JSON.stringify(input), cause))
})

Main.run(Effect.provide(program, Db.open("orders.db")))
