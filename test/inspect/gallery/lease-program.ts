/** A run can no longer renew its lease: somebody holds the lock of its database, and when the lease is over another may take its name. */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { Db, Pipeline } from "skein"
import { DatabaseSync } from "node:sqlite"
import { inspected } from "./inspected.ts"

const [file = ""] = process.argv.slice(2)
const Row = Schema.Struct({ id: Schema.Int })

// One that is not held on to is closed by the collector.
let holder: DatabaseSync | undefined
const locked = Effect.gen(function* () {
  holder = new DatabaseSync(file)
  holder.exec("BEGIN IMMEDIATE")
  yield* Console.log("sick")
  return yield* Effect.never // here
})

const job = Pipeline.from([{ id: 1 }]).pipe(
  Pipeline.map(() => locked, { name: "load" }),
  Pipeline.to(Db.table("rows", Row))
)

inspected(
  Pipeline.run(job, { name: "nightly", lease: "1 second" }).pipe(
    Effect.provide(Db.sqlite(file, { lockTimeout: "10 minutes" }))
  )
)
