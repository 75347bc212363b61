import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { join } from "node:path"
import { Db, Journal, Pipeline, Source } from "skein"
import * as Child from "../support/child.ts"
import { connect } from "../support/database.ts"
import { databases } from "../support/databases.ts"

const isDeep = process.env["SKEIN_DEEP"] !== undefined
const program = join(import.meta.dirname, "sources-program.ts")

const Item = Schema.Struct({ id: Schema.Int, note: Schema.String })
const Count = Schema.Struct({ rows: Schema.Int, distinct: Schema.Int })

const items = (count: number) => Array.from({ length: count }, (_, id) => ({ id, note: `note ${id}` }))
const counted = (url: string, table: "copies" | "done") =>
  Effect.scoped(
    Effect.flatMap(connect(url), (db) => {
      const query = Db.query(Count)
      const rows =
        table === "copies"
          ? query`SELECT count(*) AS rows, count(DISTINCT id) AS "distinct" FROM copies`
          : query`SELECT count(*) AS rows, count(DISTINCT id) AS "distinct" FROM done`
      return Effect.map(Effect.provideService(rows, Db.Db, db), ([found]) => ({ ...found }))
    })
  )

describe.each(databases)("Sources in $database whose program is killed with SIGKILL", ({ database, url }) => {
  it.live(
    "rows are resumed behind the last one that was committed",
    () =>
      Effect.scoped(
        Effect.gen(function* () {
          const count = isDeep ? 100_000 : 20_000
          const at = yield* url
          yield* Effect.scoped(
            Effect.flatMap(connect(at), (db) =>
              Pipeline.run(Pipeline.from(items(count)).pipe(Pipeline.to(Db.table("items", Item, { key: "id" }))), {
                name: "fill"
              }).pipe(Effect.provideService(Db.Db, db), Effect.provideService(Journal.Journal, db.journal))
            )
          )
          const rounds = isDeep ? 200 : 3
          for (let round = 0; round < rounds; round++) {
            const { signal, stderr } = yield* Effect.scoped(
              Effect.gen(function* () {
                const child = yield* Child.start([program, at, "rows", "copy"])
                yield* child.says(`read ${Math.max(50, Math.floor((count / rounds / 2 + round * 7) / 50) * 50)}.`)
                for (let spin = 0; spin < (round * 7919) % 5000; spin++) Math.sqrt(spin)
                child.kill("SIGKILL")
                return yield* child.end
              })
            )
            assert.strictEqual(signal, "SIGKILL", stderr)
            const { distinct, rows } = yield* counted(at, "copies")
            assert.strictEqual(rows, distinct)
          }
          const { code, stderr, stdout } = yield* Effect.scoped(
            Effect.flatMap(Child.start([program, at, "rows", "copy"]), ({ end }) => end)
          )
          assert.strictEqual(code, 0, stderr)
          assert.match(stdout, /done\n$/)
          assert.deepEqual(yield* counted(at, "copies"), { rows: count, distinct: count })
        })
      ),
    600_000
  )

  it.live(
    "P17 items of a frontier are done once, by many processes of which some are killed and some frozen past their lease",
    () =>
      Effect.scoped(
        Effect.gen(function* () {
          const count = isDeep ? 50_000 : 2000
          const at = yield* url
          const db = yield* connect(at)
          const jobs = Source.frontier("jobs", Item, { key: "id" })
          yield* jobs.add(items(count)).pipe(Effect.provideService(Journal.Journal, db.journal))
          let names = 0
          const start = Effect.suspend(() => Child.start([program, at, "queue", `work-${++names}`]))
          const rounds = isDeep ? 40 : 2
          for (let round = 0; round < rounds; round++) {
            yield* Effect.scoped(
              Effect.gen(function* () {
                const workers = [yield* start, yield* start, yield* start]
                const [frozen, killed] = [workers[0]!, workers[1]!]
                // One that finds nothing to take ends without it.
                yield* Effect.exit(killed.says("read 50."))
                killed.kill("SIGKILL")
                // In SQLite one that is frozen in a commit has locked out all others.
                if (database === "PostgreSQL") {
                  yield* Effect.exit(frozen.says("read 50."))
                  frozen.kill("SIGSTOP")
                  // Past its lease, after which the third may take what it holds.
                  yield* Effect.sleep("2500 millis")
                  frozen.kill("SIGCONT")
                }
                // It goes on, or is refused what another has taken since.
                yield* Effect.exit(frozen.says("read 100."))
                for (const { kill } of workers) kill("SIGKILL")
              })
            )
            const { distinct, rows } = yield* counted(at, "done")
            assert.strictEqual(rows, distinct)
          }
          // What the dead held is free when their leases have ended.
          while ((yield* counted(at, "done")).rows !== count) {
            const { code, stderr } = yield* Effect.scoped(Effect.flatMap(start, ({ end }) => end))
            assert.strictEqual(code, 0, stderr)
          }
          assert.deepEqual(yield* counted(at, "done"), { rows: count, distinct: count })
        })
      ),
    600_000
  )
})
