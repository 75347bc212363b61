/** A source or an output that somebody changes while a run goes on: the run fails and says why, and loses nothing. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { keysOf, linesOf, numbers, Scene, textOf } from "./scene.ts"
import { ran, type Work } from "./work.ts"

const count = 40
const everything = numbers(count)
const words = { sinks: ["table rows", "file out.jsonl"] }

const exact = (scene: Scene, list: ReadonlyArray<number> = everything): void => {
  assert.deepEqual(scene.table("rows"), keysOf(list))
  assert.strictEqual(scene.text("out.jsonl"), linesOf(list))
  assert.isFalse(scene.has(".out.jsonl.skein"))
}

const done = (scene: Scene, more: Omit<Work, "folder"> = {}) =>
  Effect.map(ran({ ...words, ...more, folder: scene.folder }), (result) => {
    if (Result.isFailure(result)) assert.fail(`It failed: ${String(result.failure)}`)
    assert.strictEqual(result.success.outcome, "done")
  })

/** Runs, and does something as soon as the run has come to its middle; gives the error. */
const disturbed = (scene: Scene, change: () => void, more: Omit<Work, "folder"> = {}) =>
  Effect.map(
    ran({ ...words, holdAt: 20, ...more, folder: scene.folder }, (text) => {
      if (text !== "held") return
      change()
      scene.put("go", "")
    }),
    (result) => {
      if (Result.isSuccess(result)) assert.fail("It did not see it")
      const { failure } = result
      if (failure._tag !== "FilesError") assert.fail(`It failed for something else: ${failure.message}`)
      return failure
    }
  )

describe("P10 a source that changes while it is read", () => {
  const cases: ReadonlyArray<readonly [string, (scene: Scene) => void, string, RegExp]> = [
    [
      "is cut",
      (scene) => scene.cut("in.txt", 9),
      "Shrunk",
      /it was cut while it was read: it had \d+ bytes, and ended after 9/
    ],
    ["is emptied", (scene) => scene.cut("in.txt", 0), "Shrunk", /it was cut while it was read/],
    ["is removed", (scene) => scene.remove("in.txt"), "NotFound", /Could not open .*in\.txt.*no such file/],
    [
      "is replaced by another content",
      (scene) => {
        scene.put("new.txt", textOf(everything.toReversed()))
        scene.move("new.txt", "in.txt")
      },
      "Replaced",
      /what was read of it was changed while it was read/
    ],
    [
      "is written anew",
      (scene) => scene.put("in.txt", textOf(numbers(90, 50))),
      "Replaced",
      /what was read of it was changed while it was read/
    ],
    [
      "is replaced by a copy",
      (scene) => {
        scene.put("new.txt", textOf(everything))
        scene.move("new.txt", "in.txt")
      },
      "Replaced",
      /another file took its place while it was read/
    ]
  ]
  for (const [how, change, kind, says] of cases) {
    it.live(`and ${how} ends the run, and goes on once it is put back`, () =>
      Effect.gen(function* () {
        const scene = yield* Scene.make(count)
        const whole = scene.text("in.txt")
        const error = yield* disturbed(scene, () => change(scene))
        assert.strictEqual(error.kind, kind)
        assert.match(error.message, says)
        scene.put("in.txt", whole)
        yield* done(scene)
        exact(scene)
      })
    )
  }

  it.live("and is cut far behind what was read of it ends the run, before half a line is taken for one", () =>
    Effect.gen(function* () {
      const scene = yield* Scene.make(count)
      const many = numbers(1600)
      const whole = many.map((n) => `${`${n}`.padStart(999, "0")}\n`).join("")
      scene.put("in.txt", whole)
      const error = yield* disturbed(scene, () => scene.cut("in.txt", 1_300_500), { window: 500 })
      assert.match(error.message, /it was cut while it was read: it had 1600000 bytes, and ended after 1300500/)
      scene.put("in.txt", whole)
      yield* done(scene)
      exact(scene, many)
    })
  )

  it.live("and grows is read to where it ends, now or by the next run", () =>
    Effect.gen(function* () {
      const scene = yield* Scene.make(count)
      const result = yield* ran({ ...words, holdAt: 20, folder: scene.folder }, (text) => {
        if (text !== "held") return
        scene.add("in.txt", "41\n42\n")
        scene.put("go", "")
      })
      assert.isTrue(Result.isSuccess(result))
      yield* done(scene)
      exact(scene, numbers(42))
    })
  )
})

describe("P10 an output that changes while it is written to", () => {
  const stranger = "somebody else's\n"

  it.live("and is deleted ends the run, and the next is refused until it is put back", () =>
    Effect.gen(function* () {
      const scene = yield* Scene.make(count)
      let bytes = ""
      const error = yield* disturbed(scene, () => {
        bytes = scene.text("out.jsonl")
        scene.remove("out.jsonl")
      })
      assert.match(error.message, /it was deleted or renamed while it was written to/)
      assert.isFalse(scene.has("out.jsonl"))
      const refused = yield* ran({ ...words, folder: scene.folder })
      assert.match(Result.isFailure(refused) ? refused.failure.message : "", /were committed, and it is gone/)
      scene.put("out.jsonl", bytes)
      yield* done(scene)
      exact(scene)
    })
  )

  it.live("and is renamed ends the run, and goes on once it has its name again", () =>
    Effect.gen(function* () {
      const scene = yield* Scene.make(count)
      const error = yield* disturbed(scene, () => scene.move("out.jsonl", "moved.jsonl"))
      assert.match(error.message, /it was deleted or renamed while it was written to/)
      scene.move("moved.jsonl", "out.jsonl")
      yield* done(scene)
      exact(scene)
      assert.deepEqual(scene.aside("out.jsonl"), [])
    })
  )

  it.live("and is replaced ends the run, leaves the other file alone, and goes on with its own", () =>
    Effect.gen(function* () {
      const scene = yield* Scene.make(count)
      const error = yield* disturbed(scene, () => {
        scene.move("out.jsonl", "moved.jsonl")
        scene.put("out.jsonl", stranger.repeat(100))
      })
      assert.match(error.message, /another file was put in its place while it was written to/)
      assert.strictEqual(scene.text("out.jsonl"), stranger.repeat(100))
      const refused = yield* ran({ ...words, folder: scene.folder })
      assert.match(Result.isFailure(refused) ? refused.failure.message : "", /not what was written/)
      assert.strictEqual(scene.text("out.jsonl"), stranger.repeat(100))
      scene.move("moved.jsonl", "out.jsonl")
      yield* done(scene)
      exact(scene)
    })
  )

  it.live("and is written to by another ends the run, and what the other wrote is kept beside", () =>
    Effect.gen(function* () {
      const scene = yield* Scene.make(count)
      const error = yield* disturbed(scene, () => scene.add("out.jsonl", stranger))
      assert.match(error.message, /something else writes to it at the same time/)
      assert.include(scene.text("out.jsonl"), stranger)
      yield* done(scene)
      exact(scene)
      const [aside, ...more] = scene.aside("out.jsonl")
      assert.deepEqual(more, [])
      assert.include(aside, stranger)
    })
  )

  it.live("and is cut by another ends the run, and the next is refused", () =>
    Effect.gen(function* () {
      const scene = yield* Scene.make(count)
      let bytes = ""
      const error = yield* disturbed(scene, () => {
        bytes = scene.text("out.jsonl")
        scene.cut("out.jsonl", 20)
      })
      assert.match(error.message, /something else writes to it at the same time/)
      const refused = yield* ran({ ...words, folder: scene.folder })
      assert.match(Result.isFailure(refused) ? refused.failure.message : "", /of it were committed, and/)
      scene.put("out.jsonl", bytes)
      yield* done(scene)
      exact(scene)
    })
  )

  for (const fullAt of [1, 3]) {
    it.live(`and meets a full disk in write ${fullAt} is cut back to what is committed`, () =>
      Effect.gen(function* () {
        const scene = yield* Scene.make(count)
        scene.put("out.jsonl", stranger)
        const result = yield* ran({ ...words, fullAt, folder: scene.folder })
        assert.match(Result.isFailure(result) ? result.failure.message : "", /the disk is full/)
        assert.strictEqual(scene.text("out.jsonl"), stranger + linesOf(numbers(scene.settled)))
        assert.deepEqual(scene.table("rows"), keysOf(numbers(scene.settled)))
        scene.add("out.jsonl", stranger)
        const before = scene.text("out.jsonl")
        const rest = numbers(count, scene.settled + 1)
        yield* done(scene)
        assert.strictEqual(scene.text("out.jsonl"), before + linesOf(rest))
        assert.deepEqual(scene.table("rows"), keysOf(everything))
        assert.deepEqual(scene.aside("out.jsonl"), [])
      })
    )
  }
})
