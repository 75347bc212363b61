import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import * as Child from "../support/child.ts"
import { newFile } from "../support/database.ts"

const rounds = process.env["SKEIN_DEEP"] === undefined ? 7 : 200
/** Rows of a round at least: by then commits are made by a thread. */
const least = process.env["SKEIN_DEEP"] === undefined ? 20 : 100
const program = join(import.meta.dirname, "sqlite-program.ts")

describe("SQLite killed with SIGKILL in the middle of commits", () => {
  it.effect(
    "rows, dead letters and checkpoint always agree, and nothing is lost that was said to be committed",
    () =>
      Effect.gen(function* () {
        const file = yield* newFile
        let last = 0
        for (let round = 0; round < rounds; round++) {
          const said = yield* Effect.scoped(
            Effect.gen(function* () {
              const child = yield* Child.start([program, file])
              // Some commits on, at another moment of a commit each time.
              yield* child.says(`\n${last + 1000 * (least + (round % 7))}\n`)
              for (let spin = 0; spin < (round * 7919) % 5000; spin++) Math.sqrt(spin)
              child.kill("SIGKILL")
              const { stdout, signal, stderr } = yield* child.end
              assert.strictEqual(signal, "SIGKILL", stderr)
              return Number(stdout.trimEnd().split("\n").at(-1))
            })
          )
          const database = new DatabaseSync(file)
          const { rows, distinct, highest } = database
            .prepare(`SELECT count(*) AS rows, count(DISTINCT n) AS "distinct", max(n) + 1 AS highest FROM numbers`)
            .get() as Record<string, number>
          const { checkpoint } = database.prepare("SELECT checkpoint FROM skein_run").get() as Record<string, string>
          const { counts, position } = JSON.parse(checkpoint ?? "")
          const { dead } = database.prepare("SELECT count(*) AS dead FROM skein_dead").get() as Record<string, number>
          const check = database.prepare("PRAGMA integrity_check").get() as Record<string, string>
          database.close()
          last = counts.written
          assert.deepEqual(
            { rows, distinct, highest, dead, position, check: check["integrity_check"] },
            { rows: last, distinct: last, highest: last, dead: last / 1000, position: last, check: "ok" }
          )
          assert.isAtLeast(last, said)
          assert.isAtMost(last, said + 1000)
        }
      }),
    rounds * 30_000
  )
})
