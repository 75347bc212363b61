/** Runs of one name, and of several into one file, at the same time: one writes, the others are told (P10). */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import type * as Child from "../support/child.ts"
import { endOf, type Kind, keysOf, linesOf, numbers, Scene, textOf } from "./scene.ts"
import { databaseOf, ran, run, start, type Work } from "./work.ts"

const deep = process.env["SKEIN_DEEP"] !== undefined
const rounds = deep ? 100 : 3
/** For machines that do much else. */
const slow = deep ? 3_600_000 : 600_000

const count = 40
const everything = numbers(count)
const words = { sinks: ["table rows", "file out.jsonl"] } as const
type Words = Omit<Work, "folder">

const exact = (scene: Scene, list: ReadonlyArray<number> = everything): void => {
  assert.deepEqual(scene.table("rows"), keysOf(list))
  assert.strictEqual(scene.text("out.jsonl"), linesOf(list))
  assert.isFalse(scene.has(".out.jsonl.skein"))
  assert.deepEqual(scene.aside("out.jsonl"), [])
}

/** Opens the gate for whoever holds the name, once all others have ended. */
const gate = (scene: Scene, runs: number) => {
  let ended = 0
  return Effect.sync(() => {
    ended += 1
    if (ended === runs - 1) scene.put("go", "")
  })
}

const oneIsDone = (results: ReadonlyArray<Told>, holder: RegExp) => {
  const [done, ...more] = results.filter(({ outcome }) => outcome === "done")
  assert.isDefined(done)
  assert.deepEqual(more, [])
  for (const { error, message, outcome } of results) {
    if (outcome === "done") continue
    assert.strictEqual(error, "AlreadyRunning", message)
    assert.match(message ?? "", holder)
  }
}

/** Where a job of the scene works. */
const at = ({ database, folder }: Scene) => ({ database, folder })

interface Told {
  readonly outcome: string
  readonly error?: string
  readonly message?: string
}

const told = (result: Effect.Success<ReturnType<typeof ran>>): Told =>
  Result.match(result, {
    onSuccess: ({ outcome }) => ({ outcome }),
    onFailure: ({ _tag, message }) => ({ outcome: "failed", error: _tag, message })
  })

/** Takes the name over as soon as its lease has ended; tells whether the database was locked instead. */
const takeOver = (scene: Scene, more: Words): Effect.Effect<"done" | "locked"> =>
  Effect.gen(function* () {
    const result = yield* ran({ ...more, ...at(scene), patience: "100 millis" })
    if (Result.isSuccess(result)) return "done" as const
    const { failure } = result
    if (failure._tag === "AlreadyRunning") {
      yield* Effect.sleep(Math.max(0, failure.until - Date.now()) + 1)
      return yield* takeOver(scene, more)
    }
    assert.match(failure.message, /another process or connection holds its lock/)
    return "locked" as const
  })

/** Stops it past its lease, lets another one do its work, and wakes it: what is there then is what the other one wrote. */
const stopped = (scene: Scene, child: Child.Child, more: Words, list?: ReadonlyArray<number>) =>
  Effect.gen(function* () {
    const other = yield* takeOver(scene, more)
    // Who is stopped with the database locked keeps readers out as well, where it was about to leave.
    const before = other === "done" ? scene.all : undefined
    if (other === "done") exact(scene, list)
    child.kill("SIGCONT")
    const woken = yield* endOf(child)
    if (other === "done") {
      if (woken.outcome !== "done") assert.strictEqual(woken.error, "LeaseLost", woken.message)
      assert.deepEqual(scene.all, before)
    } else {
      // It had the database, and nobody could take its place.
      assert.strictEqual(yield* takeOver(scene, more), "done")
    }
    exact(scene, list)
    return [other, woken] as const
  })

const kinds: ReadonlyArray<Kind> = ["SQLite", "PostgreSQL"]
for (const kind of kinds) {
  describe(`P10 runs of one name at once, on ${kind}`, () => {
    const self = new RegExp(`"work" runs already, in process ${process.pid} on .*, since 20.*its lease ends at 20`)

    for (const runs of [2, 8]) {
      it.live(`${runs} fibers over one database: one writes, and the others are refused`, () =>
        Effect.gen(function* () {
          const scene = yield* Scene.make(count, kind)
          const work = { ...words, ...at(scene), holdAt: 20 }
          const ended = gate(scene, runs)
          const one = Effect.tap(Effect.result(start(work)), () => ended)
          const results = yield* Effect.all(
            numbers(runs).map(() => one),
            { concurrency: "unbounded" }
          ).pipe(Effect.provide(databaseOf(work)))
          oneIsDone(results.map(told), self)
          exact(scene)
        })
      )

      it.live(
        `${runs} fibers, each with a database of its own on one file: one writes, and the others are refused`,
        () =>
          Effect.gen(function* () {
            const scene = yield* Scene.make(count, kind)
            const ended = gate(scene, runs)
            const one = Effect.tap(Effect.result(run({ ...words, ...at(scene), holdAt: 20 })), () => ended)
            const results = yield* Effect.all(
              numbers(runs).map(() => one),
              { concurrency: "unbounded" }
            )
            oneIsDone(results.map(told), self)
            exact(scene)
          })
      )

      it.live(
        `${runs} processes: one writes, and the others are refused`,
        () =>
          Effect.gen(function* () {
            const scene = yield* Scene.make(count, kind)
            const ended = gate(scene, runs)
            // The last to come must still find a lease, however busy the machine.
            const children = yield* Effect.all(
              numbers(runs).map(() => scene.child({ ...words, holdAt: 20, lease: "1 minute" }))
            )
            const results = yield* Effect.forEach(children, (child) => Effect.tap(endOf(child), () => ended), {
              concurrency: "unbounded"
            })
            const holder = children[results.findIndex(({ outcome }) => outcome === "done")]
            oneIsDone(results, new RegExp(`runs already, in process ${holder?.process.pid} on `))
            exact(scene)
          }),
        slow
      )
    }

    it.live("two replays, and a run beside a replay: one writes, and the others are refused", () =>
      Effect.gen(function* () {
        const scene = yield* Scene.make(count, kind)
        const work = { ...words, ...at(scene) }
        const dead = numbers(20, 11)
        assert.strictEqual(told(yield* ran({ ...work, dead })).outcome, "done")
        assert.strictEqual(scene.dead().length, 10)
        scene.add("in.txt", "41\n")
        const ended = gate(scene, 4)
        const results = yield* Effect.forEach(
          [{ replay: true }, { replay: true }, {}, { replay: true }],
          (more) => Effect.tap(ran({ ...work, ...more, holdAt: more.replay === true ? 15 : 41 }), () => ended),
          { concurrency: "unbounded" }
        )
        oneIsDone(results.map(told), self)
        for (const more of [{ replay: true }, {}])
          assert.strictEqual(told(yield* ran({ ...work, ...more })).outcome, "done")
        const all = numbers(41)
        assert.deepEqual(scene.table("rows"), keysOf(all))
        assert.deepEqual(scene.text("out.jsonl").split("\n").toSorted(), linesOf(all).split("\n").toSorted())
        assert.deepEqual(scene.dead(), [])
      })
    )
  })

  describe(`P10 two names into one file at once, on ${kind}`, () => {
    it.live("the second is refused, in one process and in two, and has its lines behind those of the first", () =>
      Effect.gen(function* () {
        const scene = yield* Scene.make(count, kind)
        scene.put("others.txt", textOf(numbers(70, 50)))
        const other: Words = { sinks: ["file out.jsonl"], name: "other", input: "others.txt" }
        const child = yield* scene.child({ ...words, holdAt: 20 })
        yield* child.says("held")
        const refused = [told(yield* ran({ ...other, ...at(scene) })), yield* Effect.flatMap(scene.child(other), endOf)]
        for (const { error, message } of refused) {
          assert.strictEqual(error, "FilesError")
          assert.match(message ?? "", new RegExp(`another pipeline writes to it, in process ${child.process.pid} on `))
        }
        scene.put("go", "")
        assert.strictEqual((yield* endOf(child)).outcome, "done")
        exact(scene)
        assert.strictEqual(told(yield* ran({ ...other, ...at(scene) })).outcome, "done")
        assert.strictEqual(scene.text("out.jsonl"), linesOf(everything) + linesOf(numbers(70, 50)))
      })
    )
  })

  describe(`P10 a run that was killed, on ${kind}`, () => {
    it.live("is taken over at once, however long its lease is", () =>
      Effect.gen(function* () {
        const scene = yield* Scene.make(count, kind)
        yield* scene.killed({ ...words, lease: "1 hour" }, "worked:30")
        assert.strictEqual(told(yield* ran({ ...words, ...at(scene) })).outcome, "done")
        exact(scene)
      })
    )
  })

  describe(`P10 a run that is stopped past its lease and woken, on ${kind}`, () => {
    const lease = "1 second"

    /** The job, stopped where it comes to a point. */
    const stoppedAt = (at: string, more: Words): Effect.Effect<readonly [Scene, Child.Child], never, Scope.Scope> =>
      Effect.gen(function* () {
        const scene = yield* Scene.make(count, kind)
        const child = yield* scene.child({ ...words, ...more, lease, signal: [at, "SIGSTOP"] })
        yield* child.says(`at ${at}`)
        return [scene, child] as const
      })

    // The second transaction takes the lease, the third opens the sinks, and then come the commits.
    for (const at of deep ? ["committed:2", "committed:3", "committed:5", "worked:20"] : ["committed:2", "worked:20"]) {
      it.live(
        `has lost its lease, and has written nothing: at ${at}`,
        () =>
          Effect.gen(function* () {
            const [scene, child] = yield* stoppedAt(at, {})
            const [other, woken] = yield* stopped(scene, child, words)
            assert.deepEqual([other, woken.error], ["done", "LeaseLost"])
          }),
        slow
      )
    }

    for (const at of deep ? ["opened:2", "written:3", "half:2", "commit:5"] : ["opened:2", "half:2"]) {
      it.live(
        `inside a transaction, nobody takes its place: at ${at}`,
        () =>
          Effect.gen(function* () {
            const [scene, child] = yield* stoppedAt(at, {})
            const [other] = yield* stopped(scene, child, words)
            assert.strictEqual(other, "locked")
          }),
        slow
      )
    }

    it.live(
      "while it cuts back what it could not commit, nobody takes its place",
      () =>
        Effect.gen(function* () {
          const sinks = ["file out.jsonl", "short short.jsonl"]
          const [scene, child] = yield* stoppedAt("cut:1", { sinks, refuseFrom: 21 })
          assert.strictEqual(yield* takeOver(scene, { sinks }), "locked")
          child.kill("SIGCONT")
          assert.strictEqual((yield* endOf(child)).error, "FilesError")
          assert.strictEqual(yield* takeOver(scene, { sinks }), "done")
          assert.strictEqual(scene.text("out.jsonl"), linesOf(everything))
        }),
      slow
    )

    it.live(
      `at random moments, ${rounds} times`,
      () =>
        Effect.gen(function* () {
          const many = numbers(1500)
          const chances: Record<string, number> = {}
          for (let round = 0; round < rounds; round++) {
            yield* Effect.gen(function* () {
              const scene = yield* Scene.make(many.length, kind)
              const child = yield* scene.child({ ...words, lease, window: 64 })
              yield* child.says(`did ${50 * (1 + Math.floor(Math.random() * 28))}\n`)
              for (let i = Math.random() * 1_000_000; i > 0; i--) Math.sqrt(i)
              child.kill("SIGSTOP")
              const [other, woken] = yield* stopped(scene, child, { ...words, window: 64 }, many)
              const what = `${other}, ${woken.error ?? woken.outcome}`
              chances[what] = (chances[what] ?? 0) + 1
            }).pipe(Effect.scoped)
          }
          yield* Effect.log(`Stopped ${rounds} times; the other one, and the one that was woken:`, chances)
        }),
      slow
    )
  })
}
