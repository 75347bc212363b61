import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { Db, Files, Pipeline, Source } from "skein"
import { Drivers, Main } from "skein/node"
import { join } from "node:path"
import { writeFileSync } from "node:fs"
import * as Child from "../support/child.ts"

const Order = Schema.Struct({ id: Schema.Int, name: Schema.String })

const database = (url: string) => Db.open(url).pipe(Layer.provide(Drivers.layer))
const shopWith = (url: string, ...names: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const shop = yield* Layer.build(database(url))
    yield* Effect.provide(Db.execute`CREATE TABLE orders (id INTEGER PRIMARY KEY, name TEXT NOT NULL)`, shop)
    for (const name of names) yield* Effect.provide(Db.execute`INSERT INTO orders (name) VALUES (${name})`, shop)
    return shop
  })

describe("Source.provide", () => {
  it.effect("P10 goes on in a database of its own, and keeps its place in that of the sink", () =>
    Effect.gen(function* () {
      const shop = yield* shopWith(":memory:", "a", "b")
      const orders = Source.provide(Db.rows("orders", Order, { by: "id" }), shop)
      const job = Pipeline.from(orders).pipe(Pipeline.to(Db.table("orders", Order)))
      const run = Effect.map(Pipeline.run(job, { name: "copy", require: "exactly-once" }), ({ written }) => written)
      const written = yield* Effect.gen(function* () {
        const first = yield* run
        yield* Effect.provide(Db.execute`INSERT INTO orders (name) VALUES ('c')`, shop)
        return [first, yield* run, yield* Db.query(Order)`SELECT * FROM orders`]
      }).pipe(Effect.provide(database(":memory:")))
      assert.deepEqual(written, [
        2,
        1,
        [
          { id: 1, name: "a" },
          { id: 2, name: "b" },
          { id: 3, name: "c" }
        ]
      ])
    }).pipe(Effect.scoped)
  )

  it.effect("P10 refuses what was settled and is not there any more", () =>
    Effect.gen(function* () {
      const [one, other] = [yield* shopWith(":memory:", "a"), yield* Layer.build(database(":memory:"))]
      yield* Effect.provide(Db.execute`CREATE VIEW orders AS SELECT 1 AS id, 'a' AS name`, other)
      const run = (from: typeof one, by: "id" | "name") =>
        Pipeline.run(
          Pipeline.from(Source.provide(Db.rows("orders", Order, { by }), from)).pipe(
            Pipeline.to(Db.table("copy", Order))
          ),
          { name: "copy" }
        )
      yield* Effect.gen(function* () {
        yield* run(one, "id")
        assert.deepInclude(yield* Effect.flip(run(other, "name")), { _tag: "SourceChanged" })
      }).pipe(Effect.provide(database(":memory:")))
    }).pipe(Effect.scoped)
  )

  it.effect("P14 tells the files that it is in", () =>
    Effect.gen(function* () {
      const file = join(yield* Child.folder, "lines.txt")
      writeFileSync(file, "one\n")
      const lines = Source.provide(Files.lines(file), yield* Layer.build(Main.layer))
      const job = Pipeline.from(lines).pipe(Pipeline.to(Files.lines(file)))
      const error = yield* Effect.flip(Effect.provide(Pipeline.run(job, { name: "same" }), Main.layer))
      assert.deepInclude(error, { _tag: "SamePlace" })
    }).pipe(Effect.scoped)
  )

  it.effect("P17 refuses a source whose elements are settled by the transaction of the sink", () =>
    Effect.gen(function* () {
      const shop = yield* Layer.build(database(":memory:"))
      const exit = yield* Effect.exit(
        Effect.sync(() => Source.provide(Source.frontier("orders", Order, { key: "id" }), shop))
      )
      assert.deepEqual(
        exit,
        Exit.die(
          new TypeError(
            "Source.provide: frontier orders settles its elements in the transaction of the sink, so it has to be of the sink's database: provide that to the whole run"
          )
        )
      )
    }).pipe(Effect.scoped)
  )
})
