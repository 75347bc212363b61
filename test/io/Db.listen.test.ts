import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { Db, Pipeline, Sink, TaskGroup } from "skein"
import { Drivers } from "skein/node"
import { withDb } from "../support/database.ts"
import { ask, fresh } from "../support/postgres/database.ts"
import * as Server from "../support/postgres/Server.ts"

const Order = Schema.Struct({ id: Schema.Int, at: Schema.Date })

const inDb = <A, E, R>(body: (url: string) => Effect.Effect<A, E, R>) =>
  Effect.scoped(Effect.flatMap(fresh, (url) => Effect.provide(body(url), layerOf(url))))
const layerOf = (url: string) => Db.open(url, { connectTimeout: "10 seconds" }).pipe(Layer.provide(Drivers.layer))
const notify = (url: string, channel: string, ...payloads: ReadonlyArray<string>) =>
  Effect.forEach(payloads, (payload) => Effect.promise(() => ask(url, "SELECT pg_notify($1, $2)", [channel, payload])))
const values = <A>(source: {
  readonly read: (after: never) => Stream.Stream<{ readonly value: A }, Db.DbError, Db.Db>
}) => Stream.map(source.read(undefined as never), ({ value }) => value)
/** Says when it listens, the first time. */
const begun = Effect.map(Deferred.make<void>(), (deferred) => ({
  onListening: Effect.asVoid(Deferred.succeed(deferred, undefined)),
  wait: Deferred.await(deferred)
}))
const listeners = `FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND datname = current_database()`

describe("Db.listen", () => {
  it.live("gives what is sent to the channel, and to no other one, whatever its name", () =>
    inDb((url) =>
      Effect.gen(function* () {
        for (const channel of ["plain", `Ä "quoted"; DROP`, "x".repeat(63)]) {
          const { onListening, wait } = yield* begun
          const heard = yield* Effect.forkChild(
            Stream.runCollect(Stream.take(values(Db.listen(channel, { onListening })), 3))
          )
          yield* wait
          yield* notify(url, "other", "no")
          yield* notify(url, channel, "a", "", `é "b"`)
          assert.deepEqual(yield* Fiber.join(heard), ["a", "", `é "b"`])
        }
      })
    )
  )

  it.live("reads JSON by a schema into a pipeline that is at-most-once, and gives its connection back", () =>
    inDb((url) =>
      Effect.gen(function* () {
        const { onListening, wait } = yield* begun
        const seen: Array<typeof Order.Type> = []
        const job = Pipeline.from(Db.listen("orders", Order, { onListening })).pipe(
          Pipeline.to(Sink.forEach((order) => Effect.sync(() => seen.push(order))))
        )
        const guarantee: "at-most-once" = job.guarantee
        assert.strictEqual(guarantee, "at-most-once")
        const run = yield* Pipeline.start(job, { name: "orders" })
        yield* wait
        yield* notify(url, "orders", ...[1, 2].map((id) => JSON.stringify({ id, at: new Date(id) })))
        yield* Effect.repeat(Effect.yieldNow, { until: () => seen.length === 2 })
        yield* run.drain
        const { outcome, resumable, written } = yield* run.await
        assert.deepEqual({ outcome, resumable, written }, { outcome: "drained", resumable: false, written: 2 })
        assert.deepEqual(seen, [
          { id: 1, at: new Date(1) },
          { id: 2, at: new Date(2) }
        ])
        yield* Effect.repeat(
          Effect.promise(() => ask<{ n: string }>(url, `SELECT count(*) AS n ${listeners}`)),
          { until: ([row]) => Number(row?.n) === 0 }
        )
      }).pipe(TaskGroup.open)
    )
  )

  it.live("listens again after its connection was lost, and says so before what it hears then", () =>
    inDb((url) =>
      Effect.gen(function* () {
        const said: Array<string> = []
        const again = yield* Deferred.make<void>()
        const { onListening, wait } = yield* begun
        const listening = Effect.andThen(
          Effect.suspend(() => {
            said.push("listening")
            return said.length === 1 ? Effect.void : Deferred.succeed(again, undefined)
          }),
          onListening
        )
        const heard = yield* Effect.forkChild(
          values(Db.listen("c", { onListening: listening })).pipe(
            Stream.tap((payload) => Effect.sync(() => said.push(payload))),
            Stream.take(2),
            Stream.runDrain
          )
        )
        yield* wait
        yield* notify(url, "c", "one")
        yield* Effect.repeat(Effect.yieldNow, { until: () => said.length === 2 })
        yield* Effect.promise(() => ask(url, `SELECT pg_terminate_backend(pid) ${listeners}`))
        yield* Deferred.await(again)
        yield* notify(url, "c", "two")
        yield* Fiber.join(heard)
        assert.deepEqual(said, ["listening", "one", "listening", "two"])
      })
    )
  )

  it.live("waits for a server that is started again, and gives up in the end", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const server = yield* Effect.acquireRelease(
          Effect.promise(() => Server.open()),
          (server) => Effect.promise(() => server.close())
        )
        const said: Array<string> = []
        const { onListening, wait } = yield* begun
        const options = {
          onListening: Effect.andThen(
            Effect.sync(() => said.push("listening")),
            onListening
          ),
          reconnectFor: "30 seconds"
        } as const
        yield* Effect.gen(function* () {
          const heard = yield* Effect.forkChild(Stream.runCollect(Stream.take(values(Db.listen("c", options)), 1)))
          yield* wait
          yield* Effect.promise(() => server.kill())
          yield* Effect.promise(() => server.start())
          yield* Effect.repeat(Effect.sleep("20 millis"), { until: () => said.length === 2 })
          yield* notify(server.url(), "c", "back")
          assert.deepEqual(yield* Fiber.join(heard), ["back"])

          const { onListening, wait: waitAgain } = yield* begun
          const short = Db.listen("c", { onListening, reconnectFor: 0 })
          const lost = yield* Effect.forkChild(Effect.flip(Stream.runDrain(values(short))))
          yield* waitAgain
          yield* Effect.promise(() => server.kill())
          assert.match((yield* Fiber.join(lost)).message, /could not listen to channel "c"/)
        }).pipe(Effect.provide(layerOf(server.url())))
      })
    )
  )

  it.live("fails where more wait than it may keep, and for what is not as the schema says", () =>
    inDb((url) =>
      Effect.gen(function* () {
        const { onListening, wait } = yield* begun
        const goOn = yield* Deferred.make<void>()
        const slow = values(Db.listen("c", { onListening, capacity: 3 })).pipe(
          Stream.tap(() => Deferred.await(goOn)),
          Stream.runDrain
        )
        const run = yield* Effect.forkChild(Effect.flip(slow))
        yield* wait
        yield* Effect.promise(() => ask(url, "SELECT pg_notify('c', n::text) FROM generate_series(1, 100) n"))
        yield* notify(url, "c", "last")
        yield* Deferred.succeed(goOn, undefined)
        assert.match(
          (yield* Fiber.join(run)).message,
          /listen to channel "c": notifications came faster than they were taken: 3 wait/
        )

        const orders = yield* begun
        const strange = yield* Effect.forkChild(
          Effect.flip(Stream.runDrain(values(Db.listen("orders", Order, { onListening: orders.onListening }))))
        )
        yield* orders.wait
        yield* notify(url, "orders", `{"id": "x"}`)
        assert.match((yield* Fiber.join(strange)).message, /a notification is not as the schema says: .*id/)
      })
    )
  )

  it.live(
    "refuses names that the server would cut or not take, options that make no sense, and databases without channels",
    () =>
      Effect.gen(function* () {
        const refused = <R>(
          source: ReturnType<typeof Db.listen>,
          within: (body: Effect.Effect<string, Db.DbError, Db.Db>) => R
        ) =>
          within(
            Effect.map(Effect.flip(Stream.runDrain(values(source))), ({ message }) => message) as Effect.Effect<
              string,
              Db.DbError,
              Db.Db
            >
          )
        for (const channel of ["", "é".repeat(32), "a\0b", "\ud800"]) {
          const message = yield* refused(Db.listen(channel), (body) => inDb(() => body))
          assert.match(message, /the name of a channel is 1 to 63 bytes of text without NUL/)
        }
        assert.match(
          yield* refused(Db.listen("c"), withDb),
          /SQLite has no channels\. Use PostgreSQL, or Source\.frontier/
        )
        assert.throws(() => Db.listen("c", { capacity: 0 }), /capacity/)
        assert.throws(() => Db.listen("c", { reconnectFor: -1 }), /reconnectFor/)
      })
  )
})
