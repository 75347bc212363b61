/** Many elements, killed with SIGKILL at random times: after every kill what is there is what the journal says, and in the end all. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { isAlone, until } from "../support/postgres/watch.ts"
import { endOf, type Kind, keysOf, linesOf, numbers, Scene } from "./scene.ts"
import { rowsOf } from "./work.ts"

const deep = process.env["SKEIN_DEEP"] !== undefined
const count = deep ? 100_000 : 20_000
/** For machines that do much else. */
const slow = deep ? 7_200_000 : 600_000

const sets = {
  table: ["table rows"],
  file: ["file out.jsonl"],
  both: ["table rows", "file out.jsonl"]
} as const
type SetName = keyof typeof sets

/** A kill costs the start of a process, and a file is killed in other tests as well. */
const cases: ReadonlyArray<readonly [SetName, Kind, number]> = [
  ["table", "SQLite", deep ? 200 : 8],
  ["table", "PostgreSQL", deep ? 200 : 8],
  ["file", "SQLite", deep ? 200 : 2],
  ["both", "SQLite", deep ? 200 : 2]
]

const everything = numbers(count)
const dead = numbers(100).map((n) => n * Math.floor(count / 101))
const alive = (list: ReadonlyArray<number>) => {
  const gone = new Set(dead)
  return list.filter((n) => !gone.has(n))
}

/** What tells these rows from any others: a row that is missing, there twice or another one changes one of them. */
const digestOf = (list: ReadonlyArray<number>) => {
  const keys = list.flatMap(rowsOf).map(({ n, part }) => n * 2 + part)
  const sum = (of: (key: number) => number) => keys.reduce((all, key) => all + of(key), 0)
  return { rows: keys.length, distinct: keys.length, sum: sum((key) => key), hash: sum((key) => (key * key) % 9973) }
}

const digestIn = (scene: Scene) => {
  if (!scene.tables().includes("rows")) return digestOf([])
  const key = "(n * 2 + part)"
  const [found] = scene.query(`SELECT count(*) AS rows, count(DISTINCT ${key}) AS "distinct",
    coalesce(sum(${key}), 0) AS sum, coalesce(sum(${key} * ${key} % 9973), 0) AS hash FROM rows`)
  return Object.fromEntries(Object.entries(found!).map(([name, value]) => [name, Number(value)]))
}

/** All that is settled is there once, all that is not is not, and the journal has counted it; gives how much it is. */
const verify = (scene: Scene, set: SetName): number => {
  const kept = scene.kept()
  if (kept === undefined) return 0
  const below = scene.settled
  const settled = [...numbers(below), ...(kept["ahead"] as ReadonlyArray<number>).map((i) => below + i)]
  const rows = alive(settled)
  if (!scene.database.includes("://")) {
    assert.strictEqual(scene.query("PRAGMA integrity_check")[0]!["integrity_check"], "ok")
  }
  if (set !== "file") assert.deepEqual(digestIn(scene), digestOf(rows))
  if (set !== "table") {
    const [state] = Object.entries(kept["sinks"]).flatMap(([name, { state }]: [string, any]) =>
      name.startsWith("file") ? [state] : []
    )
    assert.strictEqual(scene.text("out.jsonl").slice(0, state?.length ?? 0), linesOf(rows))
  }
  const letters = dead.filter((n) => settled.includes(n))
  assert.deepEqual(
    scene
      .dead()
      .map(Number)
      .toSorted((a, b) => a - b),
    letters
  )
  assert.deepInclude(kept["counts"], {
    settled: settled.length,
    written: keysOf(rows).length,
    dead: letters.length
  })
  return settled.length
}

describe("P3 many elements, killed with SIGKILL at random times", () => {
  for (const [set, kind, kills] of cases) {
    it.live(
      `lose nothing and double nothing: ${set}, on ${kind}, ${kills} kills of ${count} elements`,
      () =>
        Effect.gen(function* () {
          const words = { sinks: sets[set], window: 1024, dead }
          let killed = 0
          let whole = 0
          let again = 0
          // oxlint-disable-next-line eslint/no-unmodified-loop-condition -- the generator in it does
          while (killed < kills) {
            yield* Effect.gen(function* () {
              const scene = yield* Scene.make(count, kind)
              let settled = 0
              while (killed < kills && settled < count) {
                const child = yield* scene.child(words)
                const steps = Math.floor((count - settled) / 50)
                yield* Effect.exit(child.says(`did ${50 * (1 + Math.floor(Math.random() * 0.95 * steps))}\n`))
                for (let i = Math.random() * 2_000_000; i > 0; i--) Math.sqrt(i)
                child.kill("SIGKILL")
                const { code, signal, stderr } = yield* child.end
                assert.isTrue(code === 0 || signal === "SIGKILL", stderr)
                if (signal === "SIGKILL") killed += 1
                // What a session of the dead was told to commit is committed, or not, once it is gone.
                if (kind === "PostgreSQL") yield* until(scene.database, isAlone)
                settled = verify(scene, set)
                if (signal === "SIGKILL" && settled > 0) again += 1
              }
              assert.strictEqual((yield* Effect.flatMap(scene.child(words), endOf)).outcome, "done")
              assert.strictEqual(verify(scene, set), count)
              assert.isTrue(scene.kept()!["finished"])
              if (set !== "file") assert.deepEqual(scene.table("rows"), keysOf(alive(everything)))
              if (set !== "table") assert.strictEqual(scene.text("out.jsonl"), linesOf(alive(everything)))
              assert.deepEqual(scene.aside("out.jsonl"), [])
              whole += 1
            }).pipe(Effect.scoped)
          }
          yield* Effect.log(
            `${set}, ${kind}: killed ${killed} times, ${again} of them with something committed; ${whole} times all ${count} elements, each once`
          )
        }),
      slow
    )
  }
})
