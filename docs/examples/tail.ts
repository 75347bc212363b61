/**
 * Follows the log of a server, a line of JSON a request, while it grows and is rotated, into the table `requests` of tail.db, each
 * line once. As long as there is a file called `maintenance`, it leaves the database alone. Ctrl-C stops it; stopped or killed, it
 * goes on where it was when it is started again. How it goes is in tail.prom once a second, for the textfile collector of Prometheus.
 *
 *     node --conditions=skein-source docs/examples/tail.ts access.log
 */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as PrometheusMetrics from "effect/observability/PrometheusMetrics"
import * as Schema from "effect/Schema"
import { Db, Files, Pipeline, TaskGroup } from "skein"
import { Main } from "skein/node"

const [log = "access.log"] = process.argv.slice(2)

const Request = Schema.Struct({ at: Schema.Date, path: Schema.String, status: Schema.Int, millis: Schema.Finite })

const parse = Schema.decodeEffect(Schema.fromJsonString(Schema.toCodecJson(Request)))

const job = Pipeline.from(Files.lines(log, { follow: true })).pipe(
  Pipeline.map(parse, { name: "parse", onError: "skip" }),
  Pipeline.to(Db.table("requests", Request))
)

const program = Effect.gen(function* () {
  const files = yield* FileSystem.FileSystem
  const run = yield* Pipeline.start(job, {
    name: "tail",
    require: "exactly-once",
    progress: {
      on: ({ rate, skipped, written }) =>
        Console.log(`${written} requests, ${skipped} lines that are none, ${rate.toFixed(0)} a second`)
    }
  })
  const look = Effect.gen(function* () {
    const closed = yield* files.exists("maintenance")
    if (closed === ((yield* run.state) === "paused")) return
    yield* closed ? run.pause : run.resume
    yield* Console.log(closed ? "Paused." : "Going on.")
  })
  const measure = Effect.flatMap(PrometheusMetrics.format(), (text) => Files.writeAtomic("tail.prom", text))
  const { skipped, total, written } = yield* Effect.raceAllFirst([
    run.await,
    Effect.forever(Effect.delay(look, "100 millis")),
    Effect.forever(Effect.delay(measure, "1 second"))
  ])
  yield* measure
  yield* Console.log(`Stopped: ${written} requests, ${skipped} lines that are none; ${total.written} requests in all.`)
})

Main.run(TaskGroup.open(Effect.provide(program, Db.open("tail.db"))))
