/** Steps that keep keys or a state, killed with SIGKILL at random times: what is written is what one run writes. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import { join } from "node:path"
import * as Child from "../support/child.ts"
import { databases } from "../support/databases.ts"
import { isAlone, until } from "../support/postgres/watch.ts"
import { expected, type Row } from "./state.ts"

const isDeep = process.env["SKEIN_DEEP"] !== undefined
const program = join(import.meta.dirname, "state-program.ts")
const count = isDeep ? 100_000 : 1200
const kills = isDeep ? 200 : 3

/** Kills it so often, and lets it end; `written` is what is there by then, which must be the beginning of what there will be. */
const killed = (place: string, written: Effect.Effect<ReadonlyArray<Row>>) =>
  Effect.gen(function* () {
    const all = expected(count)
    let some = 0
    for (let round = 0; round < kills; round++) {
      yield* Effect.scoped(
        Effect.gen(function* () {
          const child = yield* Child.start([program, place, String(count)])
          yield* Effect.exit(child.says(`read ${50 * (1 + Math.floor((Math.random() * count) / kills / 50))}.\n`))
          for (let spin = Math.random() * 2_000_000; spin > 0; spin--) Math.sqrt(spin)
          child.kill("SIGKILL")
          const { code, signal, stderr } = yield* child.end
          assert.isTrue(code === 0 || signal === "SIGKILL", stderr)
        })
      )
      if (place.includes("://")) yield* until(place, isAlone)
      const rows = yield* written
      assert.deepEqual(rows, all.slice(0, rows.length))
      if (rows.length > 0) some += 1
    }
    const { code, stderr, stdout } = yield* Effect.scoped(
      Effect.flatMap(Child.start([program, place, String(count)]), ({ end }) => end)
    )
    assert.strictEqual(code, 0, stderr)
    assert.match(stdout, /done\n$/)
    assert.deepEqual(yield* written, all)
    yield* Effect.log(`killed ${kills} times, ${some} of them with something written`)
  })

describe("P2 unique, scan and window, killed with SIGKILL", () => {
  it.live.each(databases)(
    "give each row once to $database",
    ({ direct, url }) =>
      Effect.scoped(
        Effect.flatMap(url, (place) => {
          const rows = direct(place, "SELECT * FROM rows ORDER BY value")
          const written = Effect.catchCause(rows, () => Effect.succeed([]))
          return killed(
            place,
            Effect.map(written, (rows) =>
              rows.map((row) => ({
                from: Number(row["from"]),
                count: Number(row["count"]),
                value: Number(row["value"])
              }))
            )
          )
        })
      ),
    600_000
  )

  it.live(
    "give each row once to a file, with a journal in a file",
    () =>
      Effect.scoped(
        Effect.flatMap(Child.folder, (folder) => {
          const place = join(folder, "out.jsonl")
          // What is not committed is behind what is, until the next run.
          const committed = Effect.sync(() => {
            const journal = fs.existsSync(`${place}.journal`) ? fs.readFileSync(`${place}.journal`, "utf8") : ""
            const lengths = [...journal.matchAll(/"length":(\d+)/g)].map(([, length]) => Number(length))
            if (lengths.length === 0) return []
            const lines = fs.readFileSync(place).subarray(0, lengths.at(-1)).toString().split("\n").slice(0, -1)
            return lines.map((line) => JSON.parse(line) as Row)
          })
          return killed(place, committed)
        })
      ),
    600_000
  )
})
