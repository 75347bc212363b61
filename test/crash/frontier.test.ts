import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import { join } from "node:path"
import { Db, type Journal, Pipeline } from "skein"
import { Drivers } from "skein/node"
import { CrashPoint } from "skein/testing"
import * as Child from "../support/child.ts"
import { databases } from "../support/databases.ts"
import { jobOf, numbersOf } from "./frontier.ts"

const isDeep = process.env["SKEIN_DEEP"] !== undefined
const program = join(import.meta.dirname, "frontier-program.ts")

describe.each(databases)("P17 a frontier in $database", ({ database, direct, url }) => {
  const doneIn = (at: string) =>
    Effect.map(direct(at, "SELECT n FROM done"), (rows) => rows.map(({ n }) => Number(n)).sort((a, b) => a - b))
  const leftIn = (at: string) =>
    Effect.map(direct(at, "SELECT count(*) AS n FROM skein_frontier WHERE done = 0"), ([row]) => Number(row?.["n"]))
  const all = (count: number) => Array.from({ length: count }, (_, n) => n)

  it.live(
    "loses nothing and does nothing twice, wherever its process ends",
    () =>
      Effect.scoped(
        Effect.gen(function* () {
          // A server makes a database for each point.
          const [count, maxRows] = isDeep ? [40, 2] : database === "SQLite" ? [7, 2] : [4, 4]
          const numbers = numbersOf({ atOnce: 4, poll: "10 millis" })
          const crawl = Effect.andThen(
            numbers.add([0, 0]),
            Pipeline.run(jobOf(numbers, count), { name: "work", maxRows })
          )
          const inDb = <A, E>(
            at: string,
            driver: Layer.Layer<Db.Driver>,
            work: Effect.Effect<A, E, Db.Db | Journal.Journal>
          ) => Effect.provide(work, Layer.fresh(Db.open(at)).pipe(Layer.provide(driver)))
          const { points, runs } = yield* CrashPoint.everywhere({
            make: url,
            run: (at) => inDb(at, CrashPoint.db.pipe(Layer.provide(Drivers.layer)), crawl),
            // What the dead one had taken is free at once.
            check: (at) =>
              Effect.gen(function* () {
                yield* inDb(at, CrashPoint.db.pipe(Layer.provide(Drivers.layer)), crawl)
                assert.deepEqual(yield* doneIn(at), all(count))
                assert.strictEqual(yield* leftIn(at), 0)
              }),
            seeds: 1
          })
          assert.isAtLeast(points.length, 8)
          assert.strictEqual(runs, points.length + 1)
        })
      ),
    600_000
  )

  it.live(
    "is done once by many processes that are killed at any time",
    () =>
      Effect.scoped(
        Effect.gen(function* () {
          const [count, workers, rounds] = isDeep ? [5000, 8, 40] : [400, 3, 2]
          const at = yield* url
          const numbers = numbersOf({})
          yield* Effect.provide(numbers.add([0]), Db.open(at).pipe(Layer.provide(Drivers.layer)))
          let names = 0
          const start = Effect.suspend(() => Child.start([program, at, `work-${++names}`, `${count}`]))
          const killed = Effect.scoped(
            Effect.gen(function* () {
              const crew = yield* Effect.all(Array.from({ length: workers }, () => start))
              const after = yield* Random.nextIntBetween(1, 5)
              // One that finds nothing to do ends without it.
              yield* Effect.exit(crew[0]!.says(`did ${after * 10}.`))
              for (const { kill } of crew) {
                for (let spin = yield* Random.nextIntBetween(0, 5000); spin > 0; spin--) Math.sqrt(spin)
                kill("SIGKILL")
              }
              yield* Effect.all(crew.map(({ end }) => end))
            })
          )
          for (let round = 0; round < rounds; round++) {
            yield* killed
            const done = yield* doneIn(at)
            assert.strictEqual(new Set(done).size, done.length)
          }
          const crew = yield* Effect.all([start, start])
          for (const { code, stderr, stdout } of yield* Effect.all(crew.map(({ end }) => end))) {
            assert.strictEqual(code, 0, stderr)
            assert.match(stdout, /done\n$/)
          }
          assert.deepEqual(yield* doneIn(at), all(count), database)
          assert.strictEqual(yield* leftIn(at), 0)
        })
      ),
    600_000
  )
})
