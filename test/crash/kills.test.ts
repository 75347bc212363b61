/** Many elements, killed with SIGKILL at random times: after every kill what is there is what the journal says, and in the end all. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { endOf, keysOf, linesOf, numbers, Scene } from "./scene.ts"

const deep = process.env["SKEIN_DEEP"] !== undefined
const kills = deep ? 200 : 2
const count = deep ? 100_000 : 20_000
/** For machines that do much else. */
const slow = deep ? 7_200_000 : 240_000

const sets = {
  table: ["table rows"],
  file: ["file out.jsonl"],
  both: ["table rows", "file out.jsonl"]
} as const
type SetName = keyof typeof sets

const everything = numbers(count)
const dead = numbers(100).map((n) => n * Math.floor(count / 101))
const alive = (list: ReadonlyArray<number>) => {
  const gone = new Set(dead)
  return list.filter((n) => !gone.has(n))
}

/** All that is settled is there once, all that is not is not, and the journal has counted it; gives how much it is. */
const verify = (scene: Scene, set: SetName): number => {
  const kept = scene.kept()
  if (kept === undefined) return 0
  const below = scene.settled
  const settled = [...numbers(below), ...(kept["ahead"] as ReadonlyArray<number>).map((i) => below + i)]
  const rows = alive(settled)
  assert.strictEqual(scene.query("PRAGMA integrity_check")[0]!["integrity_check"], "ok")
  if (set !== "file") assert.deepEqual(scene.table("rows"), keysOf(rows))
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
  for (const set of ["table", "file", "both"] as const) {
    it.live(
      `lose nothing and double nothing: ${set}, ${kills} kills of ${count} elements`,
      () =>
        Effect.gen(function* () {
          const words = { sinks: sets[set], window: 1024, dead }
          let killed = 0
          let whole = 0
          let again = 0
          // oxlint-disable-next-line eslint/no-unmodified-loop-condition -- the generator in it does
          while (killed < kills) {
            yield* Effect.gen(function* () {
              const scene = yield* Scene.make(count)
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
                settled = verify(scene, set)
                if (signal === "SIGKILL" && settled > 0) again += 1
              }
              assert.strictEqual((yield* Effect.flatMap(scene.child(words), endOf)).outcome, "done")
              assert.strictEqual(verify(scene, set), count)
              assert.isTrue(scene.kept()!["finished"])
              if (set !== "table") assert.strictEqual(scene.text("out.jsonl"), linesOf(alive(everything)))
              assert.deepEqual(scene.aside("out.jsonl"), [])
              whole += 1
            }).pipe(Effect.scoped)
          }
          yield* Effect.log(
            `${set}: killed ${killed} times, ${again} of them with something committed; ${whole} times all ${count} elements, each once`
          )
        }),
      slow
    )
  }
})
