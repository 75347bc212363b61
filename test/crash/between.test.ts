/** What happens between two runs loses nothing: every row is refused, goes on or starts anew, and what was there stays (P10). */
import { afterAll, assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import { createHash } from "node:crypto"
import { type Kind, keysOf, linesOf, numbers, Scene, textOf } from "./scene.ts"
import { fresh } from "../support/postgres/database.ts"
import { ran, rowsOf, type Work } from "./work.ts"

const deep = process.env["SKEIN_DEEP"] !== undefined
const count = 40
const everything = numbers(count)

const sets = {
  table: ["table rows"],
  file: ["file out.jsonl"],
  both: ["table rows", "file out.jsonl"],
  files: ["file out.jsonl", "short short.jsonl"]
} as const
type SetName = keyof typeof sets

const firsts = ["finished", "failed", "was drained", "was killed"] as const
type First = (typeof firsts)[number]

type Words = Omit<Work, "folder">

/** A job after its first run, and what can be said of it. */
class Case {
  readonly scene: Scene
  readonly set: SetName
  readonly first: First
  readonly words: Words

  constructor(scene: Scene, set: SetName, first: First) {
    this.scene = scene
    this.set = set
    this.first = first
    this.words = { sinks: sets[set] }
  }

  get hasTable(): boolean {
    return this.set === "table" || this.set === "both"
  }

  get hasFile(): boolean {
    return this.set !== "table"
  }

  get isKilled(): boolean {
    return this.first === "was killed"
  }

  /** What is not settled yet. */
  get rest(): ReadonlyArray<number> {
    return numbers(count, this.scene.settled + 1)
  }

  run(changes: Words = {}) {
    const { database, folder } = this.scene
    return ran({ database, ...this.words, ...changes, folder })
  }

  /** Runs to the end. */
  done(changes: Words = {}): Effect.Effect<void> {
    return Effect.map(this.run(changes), (result) => {
      if (Result.isFailure(result)) assert.fail(`It failed: ${String(result.failure)}`)
      assert.strictEqual(result.success.outcome, "done")
    })
  }

  /** All rows, each once, and nothing beside. */
  exact(list: ReadonlyArray<number> = everything): void {
    const { scene } = this
    if (this.hasTable) assert.deepEqual(scene.table("rows"), keysOf(list))
    if (this.hasFile) assert.strictEqual(scene.text("out.jsonl"), linesOf(list))
    if (this.set === "files") assert.strictEqual(scene.text("short.jsonl"), shortOf(list))
    assert.isFalse(scene.has(".out.jsonl.skein"))
  }

  goesOn(list: ReadonlyArray<number> = everything, changes: Words = {}): Effect.Effect<void> {
    return Effect.map(this.done(changes), () => this.exact(list))
  }

  /** Is told so, and finds nothing changed of all that is there. */
  refused(error: string, says: RegExp, changes: Words = {}): Effect.Effect<void> {
    return Effect.gen({ self: this }, function* () {
      const before = this.scene.all
      const result = yield* this.run(changes)
      if (Result.isSuccess(result)) assert.fail("It was not refused")
      const { failure } = result
      assert.strictEqual("kind" in failure ? `${failure._tag} ${failure.kind}` : failure._tag, error, failure.message)
      assert.match(failure.message, says)
      assert.deepEqual(this.scene.all, before)
    })
  }
}

const shortOf = (list: ReadonlyArray<number>): string =>
  list
    .flatMap(rowsOf)
    .map(({ n }) => `{"n":${n}}\n`)
    .join("")

/** In the middle of a commit, and each sink in the middle of its write. */
const killedAt = { table: "written:5", file: "half:3", both: "half:3", files: "half:5" } as const

/** What the first run did, once for all rows. */
const first = (set: SetName, how: First, kind: Kind): Effect.Effect<readonly [Case, () => void], never, Scope.Scope> =>
  Effect.gen(function* () {
    const scene = yield* Scene.make(count, kind)
    const made = new Case(scene, set, how)
    if (how === "finished") yield* made.goesOn()
    if (how === "failed") assert.isTrue(Result.isFailure(yield* made.run({ failAt: 21 })))
    if (how === "was drained") yield* Effect.asVoid(made.run({ drainAt: 18 }))
    // Opening the table is one more there.
    const at = set === "table" && kind === "PostgreSQL" ? "written:6" : killedAt[set]
    if (how === "was killed") yield* scene.killed(made.words, at)
    assert.strictEqual(how === "finished", scene.settled === count)
    assert.isAbove(scene.settled, 8)
    return [made, yield* scene.save()] as const
  })

const scope = Scope.makeUnsafe()
afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))

const made = new Map<string, Promise<readonly [Case, () => void]>>()
const after = (set: SetName, how: First, kind: Kind): Promise<readonly [Case, () => void]> => {
  const key = `${set} ${how} ${kind}`
  const known = made.get(key) ?? Effect.runPromise(Scope.provide(first(set, how, kind), scope))
  made.set(key, known)
  return known
}

/** Each sink and each first run with one another at least once. */
const some = new Set(["table finished", "table was killed", "both was drained", "both was killed", "files failed"])

/** A file is the same whatever the database: where a table is written, both are tried. */
const kindsOf = (set: SetName): ReadonlyArray<Kind> =>
  set === "table" || (deep && set === "both") ? ["SQLite", "PostgreSQL"] : ["SQLite"]

/** One row for each of these sinks and first runs; outside of deep runs for some of them. */
const row = (
  name: string,
  on: ReadonlyArray<SetName>,
  after_: ReadonlyArray<First>,
  body: (made: Case) => Effect.Effect<unknown, never, Scope.Scope>,
  kinds?: ReadonlyArray<Kind>
): void => {
  for (const set of on) {
    for (const how of after_) {
      if (!deep && on.length * after_.length > 3 && !some.has(`${set} ${how}`)) continue
      for (const kind of kinds ?? kindsOf(set)) {
        it.live(`${name}: ${set} on ${kind}, after a run that ${how}`, () =>
          Effect.gen(function* () {
            const [made, restore] = yield* Effect.promise(() => after(set, how, kind))
            restore()
            yield* body(made)
          })
        )
      }
    }
  }
}

const all = ["table", "file", "both", "files"] as const
const withTable = ["table", "both"] as const
const withFile = ["file", "both", "files"] as const
const ended = ["finished", "failed", "was drained"] as const
const stopped = ["failed", "was drained", "was killed"] as const

describe("P10 the second run of a job of which nothing changed", () => {
  row("goes on", all, firsts, (made) =>
    Effect.gen(function* () {
      yield* made.goesOn()
      yield* made.goesOn()
    })
  )

  row("goes on, whatever its version and window", all, firsts, (made) =>
    made.goesOn(everything, { version: "2", window: 3 })
  )
})

describe("P10 another output", () => {
  const other: Record<(typeof withFile)[number], ReadonlyArray<string>> = {
    file: ["file new.jsonl"],
    both: ["table rows", "file new.jsonl"],
    files: ["file new.jsonl", "short short.jsonl"]
  }
  const sinksOf = (made: Case) => other[made.set as "file"]

  row("a file of another name is refused, and the right one goes on", withFile, firsts, (made) =>
    Effect.gen(function* () {
      made.scene.put("new.jsonl", "somebody's\n")
      yield* made.refused("SinkChanged", /did not write to file .*new\.jsonl before/, { sinks: sinksOf(made) })
      yield* made.goesOn()
      assert.strictEqual(made.scene.text("new.jsonl"), "somebody's\n")
    })
  )

  row("a file of another name begins with what comes now, where that is asked for", withFile, firsts, (made) =>
    Effect.gen(function* () {
      const { rest, scene } = made
      const before = scene.text("out.jsonl")
      scene.put("new.jsonl", "somebody's\n")
      yield* made.done({ sinks: sinksOf(made), onSinkChanged: "begin" })
      assert.strictEqual(scene.text("new.jsonl"), `somebody's\n${linesOf(rest)}`)
      assert.strictEqual(scene.text("out.jsonl"), before)
      if (made.hasTable) assert.deepEqual(scene.table("rows"), keysOf(everything))
      if (made.set === "files") assert.strictEqual(scene.text("short.jsonl"), shortOf(everything))
    })
  )

  row("a file that was renamed is lost under its name and new under the other one", withFile, firsts, (made) =>
    Effect.gen(function* () {
      made.scene.move("out.jsonl", "new.jsonl")
      yield* made.refused("FilesError CommittedLost", /it is gone/)
      assert.isFalse(made.scene.has("out.jsonl"))
      yield* made.refused("SinkChanged", /did not write to file .*new\.jsonl before/, { sinks: sinksOf(made) })
      made.scene.move("new.jsonl", "out.jsonl")
      yield* made.goesOn()
    })
  )

  for (const length of [0, -1]) {
    const how = length < 0 ? "its last committed byte" : `all but ${length} bytes`
    row(`a file that lost ${how} is refused`, withFile, firsts, (made) =>
      Effect.gen(function* () {
        const whole = made.scene.text("out.jsonl")
        const [identity] = Object.keys(made.scene.kept()!["sinks"]).filter((name) => name.includes("out.jsonl"))
        const committed = made.scene.kept()!["sinks"][identity!].state.length
        made.scene.cut("out.jsonl", length < 0 ? committed + length : length)
        yield* made.refused("FilesError CommittedLost", /bytes of it were committed, and it has only/)
        made.scene.put("out.jsonl", whole)
        yield* made.goesOn()
      })
    )
  }

  row("a longer file of somebody else in its place is refused", withFile, firsts, (made) =>
    Effect.gen(function* () {
      made.scene.move("out.jsonl", "mine.jsonl")
      made.scene.put("out.jsonl", "somebody else's\n".repeat(1000))
      yield* made.refused("FilesError CommittedLost", /not what was written/)
      made.scene.move("mine.jsonl", "out.jsonl")
      yield* made.goesOn()
    })
  )

  row("a line that was added by hand stays where it is", ["file", "both"], ended, (made) =>
    Effect.gen(function* () {
      const before = made.scene.text("out.jsonl")
      const { rest } = made
      made.scene.add("out.jsonl", "by hand\nand another")
      yield* made.done()
      yield* made.done()
      const behind = rest.length === 0 ? "" : `\n${linesOf(rest)}`
      assert.strictEqual(made.scene.text("out.jsonl"), `${before}by hand\nand another${behind}`)
      if (made.hasTable) assert.deepEqual(made.scene.table("rows"), keysOf(everything))
    })
  )

  row("a line that was added by hand stays through runs that were refused", withFile, ["finished"], (made) =>
    Effect.gen(function* () {
      made.scene.add("out.jsonl", "by hand\n")
      made.scene.put("other.txt", textOf(numbers(count).toReversed()))
      yield* made.refused("SourceChanged", /not what they were/, { input: "other.txt" })
      yield* made.refused("SinkChanged", /did not write/, { sinks: ["file new.jsonl"] })
      yield* made.refused("FilesError NotFound", /no such file/, { input: "nothing.txt" })
      yield* made.done()
      assert.strictEqual(made.scene.text("out.jsonl"), `${linesOf(everything)}by hand\n`)
      assert.deepEqual(made.scene.aside("out.jsonl"), [])
    })
  )

  for (const at of deep ? ["opened:1", "opened:3", "append:1", "appended:1", "half:2"] : ["append:1", "half:2"]) {
    row(`a line that was added by hand stays where the next run is killed at ${at}`, ["file"], ["failed"], (made) =>
      Effect.gen(function* () {
        const before = made.scene.text("out.jsonl")
        const { rest } = made
        made.scene.add("out.jsonl", "by hand\n")
        yield* made.scene.killed(made.words, at)
        yield* made.done()
        assert.strictEqual(made.scene.text("out.jsonl"), `${before}by hand\n${linesOf(rest)}`)
        // Half of a write could be anybody's.
        assert.strictEqual(made.scene.aside("out.jsonl").length, at.startsWith("half") ? 1 : 0)
      })
    )
  }

  row("a line that was added by hand is kept beside", withFile, ["was killed"], (made) =>
    Effect.gen(function* () {
      made.scene.add("out.jsonl", "by hand\n")
      const found = made.scene.text("out.jsonl")
      const committed = linesOf(numbers(made.scene.settled)).length
      yield* made.goesOn()
      assert.deepEqual(made.scene.aside("out.jsonl"), [found.slice(committed)])
    })
  )

  row("two files that were swapped are refused", ["files"], firsts, (made) =>
    Effect.gen(function* () {
      const swap = () => {
        made.scene.move("out.jsonl", "third")
        made.scene.move("short.jsonl", "out.jsonl")
        made.scene.move("third", "short.jsonl")
      }
      swap()
      yield* made.refused("FilesError CommittedLost", /committed/)
      swap()
      yield* made.goesOn()
    })
  )

  row("two sinks in another order are the same two", ["files", "both"], firsts, (made) =>
    Effect.gen(function* () {
      yield* made.goesOn(everything, { sinks: sets[made.set].toReversed() })
      yield* made.goesOn()
    })
  )

  row("another form of a file is refused", ["file"], firsts, (made) =>
    Effect.gen(function* () {
      yield* made.refused("SinkChanged", /format was "jsonl", is "lines"/, { sinks: ["lines out.jsonl"] })
      yield* made.goesOn()
    })
  )

  row("another table is refused", withTable, firsts, (made) =>
    Effect.gen(function* () {
      const sinks = ["table other", ...sets[made.set].slice(1)]
      yield* made.refused(
        "SinkChanged",
        /did not write to table (public\.)?other before; it wrote to table (public\.)?rows before/,
        {
          sinks
        }
      )
      const { rest } = made
      const before = made.scene.table("rows")
      yield* made.done({ sinks, onSinkChanged: "begin" })
      assert.deepEqual(made.scene.table("rows"), before)
      assert.deepEqual(made.scene.table("other"), keysOf(rest))
      if (made.hasFile) assert.strictEqual(made.scene.text("out.jsonl"), linesOf(everything))
    })
  )

  row("a table with another key is refused", ["table"], firsts, (made) =>
    Effect.gen(function* () {
      yield* made.refused("SinkChanged", /key was \[\], is \["n","part"\]/, { sinks: ["keyed rows"] })
      yield* made.goesOn()
    })
  )

  row("a table that is gone is refused", withTable, firsts, (made) =>
    Effect.gen(function* () {
      made.scene.script("ALTER TABLE rows RENAME TO elsewhere")
      yield* made.refused("DbError", /it is gone, with rows that this pipeline has committed/)
      made.scene.script("ALTER TABLE elsewhere RENAME TO rows")
      yield* made.goesOn()
    })
  )

  row("rows of somebody else in the table stay", ["table"], firsts, (made) =>
    Effect.gen(function* () {
      made.scene.script("INSERT INTO rows (n, part) VALUES (0, 5)")
      yield* made.done()
      assert.deepEqual(made.scene.table("rows"), ["0.5", ...keysOf(everything)])
    })
  )

  row("a sink more is refused, or begins with what comes now", ["table"], firsts, (made) =>
    Effect.gen(function* () {
      const { rest } = made
      yield* made.refused("SinkChanged", /did not write to file/, { sinks: sets.both })
      yield* made.goesOn(everything, { sinks: sets.both, onSinkChanged: "begin" })
      assert.strictEqual(made.scene.text("out.jsonl"), linesOf(rest))
    })
  )

  row("a sink less is refused, or forgotten", ["both"], firsts, (made) =>
    Effect.gen(function* () {
      const before = made.scene.text("out.jsonl")
      yield* made.refused("SinkChanged", /it wrote to file .*out\.jsonl before, and now does not/, {
        sinks: sets.table
      })
      yield* made.done({ sinks: sets.table, onSinkChanged: "begin" })
      assert.deepEqual(made.scene.table("rows"), keysOf(everything))
      assert.strictEqual(made.scene.text("out.jsonl"), before)
    })
  )
})

describe("P10 another job into the same file", () => {
  const others = numbers(70, 50)
  const other = { name: "other", input: "others.txt" }

  row("leaves the lines of the first, and the first leaves its own", ["file", "both"], ended, (made) =>
    Effect.gen(function* () {
      const before = made.scene.text("out.jsonl")
      const { rest } = made
      made.scene.put("others.txt", textOf(others))
      const sinks = made.hasTable ? ["table others", "file out.jsonl"] : sets.file
      yield* made.done({ ...other, sinks })
      yield* made.done()
      made.scene.add("others.txt", "71\n")
      yield* made.done({ ...other, sinks })
      yield* made.done()
      assert.strictEqual(made.scene.text("out.jsonl"), before + linesOf(others) + linesOf(rest) + linesOf([71]))
      if (made.hasTable) assert.deepEqual(made.scene.table("others"), keysOf([...others, 71]))
    })
  )

  row("is refused until the first was run again", ["file", "both"], ["was killed"], (made) =>
    Effect.gen(function* () {
      made.scene.put("others.txt", textOf(others))
      const sinks = made.hasTable ? ["table others", "file out.jsonl"] : sets.file
      // It has begun, as far as its journal says, and nothing else.
      yield* Effect.map(made.run({ ...other, sinks }), (result) => {
        assert.match(Result.isFailure(result) ? result.failure.message : "", /another pipeline was killed while/)
      })
      yield* made.goesOn()
      yield* made.done({ ...other, sinks })
      assert.strictEqual(made.scene.text("out.jsonl"), linesOf(everything) + linesOf(others))
    })
  )

  for (const at of deep
    ? ["opened:1", "opened:3", "append:1", "append:3", "appended:3", "synced:3", "committed:5"]
    : ["append:1", "synced:3"]) {
    it.live(`and the first, killed at ${at}, both have all of their lines`, () =>
      Effect.gen(function* () {
        const scene = yield* Scene.make(count)
        const made = new Case(scene, "file", "was killed")
        scene.put("others.txt", textOf(others))
        yield* scene.killed({ ...made.words, fsync: at.startsWith("synced") }, at)
        const refused = yield* made.run(other)
        yield* made.done()
        const lines = (list: ReadonlyArray<number>) => linesOf(list).split("\n")
        if (Result.isFailure(refused)) {
          assert.match(refused.failure.message, /another pipeline was killed while/)
          yield* made.done(other)
        }
        yield* made.done()
        yield* made.done(other)
        const expected = [...lines(everything), ...lines(others)].toSorted()
        assert.deepEqual(scene.text("out.jsonl").split("\n").concat("").toSorted(), expected)
        assert.deepEqual(scene.aside("out.jsonl"), [])
      })
    )
  }
})

describe("P10 another source", () => {
  row("that grew goes on, also a finished one", all, firsts, (made) =>
    Effect.gen(function* () {
      made.scene.add("in.txt", "41\n42\n")
      yield* made.goesOn(numbers(42))
      made.scene.add("in.txt", "43\n")
      yield* made.goesOn(numbers(43))
    })
  )

  row("that grew behind a last line without its end goes on", all, stopped, (made) =>
    Effect.gen(function* () {
      made.scene.cut("in.txt", textOf(everything).length - 1)
      yield* made.goesOn()
      made.scene.add("in.txt", "\n41\n")
      yield* made.goesOn(numbers(41))
      made.scene.add("in.txt", "42\r\n43")
      yield* made.goesOn(numbers(43))
      made.scene.add("in.txt", "\r\n44")
      yield* made.goesOn(numbers(44))
      made.scene.add("in.txt", "4\n")
      yield* made.refused("SourceChanged", /its last line, which was read, goes on now/)
      made.scene.put("in.txt", `${made.scene.text("in.txt").slice(0, -2)}\n45\n`)
      yield* made.goesOn(numbers(45))
    })
  )

  row("mended behind the watermark goes on with what it says now", all, stopped, (made) =>
    Effect.gen(function* () {
      const { scene } = made
      scene.put("in.txt", scene.text("in.txt").replace("\n40\n", "\n400\n").replace("\n38\n", "\n"))
      yield* made.goesOn([...numbers(37), 39, 400])
    })
  )

  row("mended before the watermark is refused", all, firsts, (made) =>
    Effect.gen(function* () {
      const whole = made.scene.text("in.txt")
      made.scene.put("in.txt", whole.replace("3\n", "8\n"))
      yield* made.refused("SourceChanged", /not what they were/)
      made.scene.put("in.txt", whole)
      yield* made.goesOn()
    })
  )

  row("cut behind the watermark has only what is left", all, stopped, (made) =>
    Effect.gen(function* () {
      made.scene.put("in.txt", textOf(numbers(38)))
      yield* made.goesOn(numbers(38))
    })
  )

  for (const [how, text] of [
    ["cut before the watermark", "1\n2\n"],
    ["emptied", ""],
    ["replaced by a longer one", "7\n".repeat(500)],
    ["replaced by one of the same length", textOf(everything.toReversed())]
  ] as const) {
    row(`${how} is refused`, all, firsts, (made) =>
      Effect.gen(function* () {
        const whole = made.scene.text("in.txt")
        made.scene.put("in.txt", text)
        yield* made.refused("SourceChanged", /which were read, are not|bytes of it were read/)
        made.scene.put("in.txt", whole)
        yield* made.goesOn()
      })
    )
  }

  row("that is gone is refused, and goes on under another name", all, firsts, (made) =>
    Effect.gen(function* () {
      made.scene.move("in.txt", "list.txt")
      yield* made.refused("FilesError NotFound", /no such file/)
      yield* made.goesOn(everything, { input: "list.txt" })
    })
  )

  for (const mended of ["21", "2121", "\n"]) {
    it.live(`goes on once a bad line is corrected, to ${JSON.stringify(mended)}`, () =>
      Effect.gen(function* () {
        const scene = yield* Scene.make(count)
        const made = new Case(scene, "both", "failed")
        scene.put("in.txt", textOf(everything).replace("\n21\n", "\ntwentyone\n"))
        yield* Effect.map(made.run({ json: true }), (result) => {
          if (Result.isSuccess(result)) assert.fail("It did not see the bad line")
          assert.match(result.failure.message, /line 21 .*: it is not JSON/)
          assert.match(result.failure.message, /Correct the line/)
        })
        made.exact(numbers(scene.settled))
        assert.isAtLeast(scene.settled, 8)
        scene.put("in.txt", scene.text("in.txt").replace("twentyone", mended))
        yield* made.goesOn([...numbers(20), ...(mended === "\n" ? [] : [Number(mended)]), ...numbers(count, 22)], {
          json: true
        })
      })
    )
  }
})

describe("P10 another journal", () => {
  const forget = (scene: Scene) => {
    if (scene.isFile) scene.removeDatabase()
    else scene.script("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
  }

  row("that was deleted starts anew, and what stands in files stays", all, ended, (made) =>
    Effect.gen(function* () {
      const { scene } = made
      const before = scene.files
      forget(scene)
      yield* made.done()
      if (made.hasTable) assert.deepEqual(scene.table("rows"), keysOf(everything))
      if (made.hasFile) assert.strictEqual(scene.text("out.jsonl"), before["out.jsonl"] + linesOf(everything))
      if (made.set === "files")
        assert.strictEqual(scene.text("short.jsonl"), before["short.jsonl"] + shortOf(everything))
    })
  )

  row("that was deleted does not touch what a killed run was writing", withFile, ["was killed"], (made) =>
    Effect.gen(function* () {
      const { scene } = made
      const before = scene.text("out.jsonl")
      forget(scene)
      for (let again = 0; again < 2; again++) {
        yield* Effect.map(made.run(), (result) => {
          assert.match(Result.isFailure(result) ? result.failure.message : "", /another pipeline was killed while/)
        })
        assert.strictEqual(scene.text("out.jsonl"), before)
      }
      // As the message says.
      scene.remove(".out.jsonl.skein")
      if (made.set === "files") scene.remove(".short.jsonl.skein")
      yield* made.done()
      assert.strictEqual(scene.text("out.jsonl"), `${before}\n${linesOf(everything)}`)
    })
  )

  /** Of a run that came to 10. */
  const older = (set: SetName, kind: Kind, then: (made: Case) => Effect.Effect<unknown>) =>
    Effect.gen(function* () {
      const scene = yield* Scene.make(count, kind)
      const made = new Case(scene, set, "failed")
      assert.isTrue(Result.isFailure(yield* made.run({ failAt: 11 })))
      const { settled } = scene
      assert.isAtLeast(settled, 8)
      const restore = yield* scene.saveDatabase()
      yield* then(made)
      const before = scene.has("out.jsonl") ? scene.text("out.jsonl") : ""
      restore()
      yield* made.done()
      if (made.hasTable) assert.deepEqual(scene.table("rows"), keysOf(everything))
      return { made, before, settled }
    })

  for (const set of ["table", "file", "both"] as const) {
    for (const kind of kindsOf(set)) {
      it.live(`that is older goes on from there, and cuts nothing off: ${set} on ${kind}`, () =>
        Effect.gen(function* () {
          const { before, made, settled } = yield* older(set, kind, (made) => made.done())
          if (made.hasFile)
            assert.strictEqual(made.scene.text("out.jsonl"), before + linesOf(numbers(count, settled + 1)))
        })
      )

      if (!deep && set === "file") continue
      it.live(
        `that is older than a killed run goes on from there, and keeps beside what that one wrote: ${set} on ${kind}`,
        () =>
          Effect.gen(function* () {
            const { before, made, settled } = yield* older(set, kind, ({ scene, words }) =>
              scene.killed(words, set === "table" ? "written:3" : "half:2")
            )
            if (!made.hasFile) return
            const committed = linesOf(numbers(settled))
            assert.strictEqual(made.scene.text("out.jsonl"), linesOf(everything))
            assert.deepEqual(made.scene.aside("out.jsonl"), [before.slice(committed.length)])
          })
      )
    }
  }

  row("of a newer version is refused", all, firsts, (made) =>
    Effect.gen(function* () {
      const [kept] = made.scene.query("SELECT format FROM skein_run")
      made.scene.script("UPDATE skein_run SET format = 99")
      yield* made.refused("JournalError", /a newer version of Skein wrote it \(format 99.*Update/)
      yield* made.refused("JournalError", /a newer version of Skein wrote it/, { replay: true })
      made.scene.script(`UPDATE skein_run SET format = ${kept!["format"]}`)
      yield* made.goesOn()
    })
  )

  row("of another job of that name is refused", all, firsts, (made) =>
    Effect.gen(function* () {
      const { scene } = made
      scene.put("others.txt", textOf(numbers(90, 50)))
      const database = scene.isFile ? "other.db" : yield* fresh
      yield* made.done({ input: "others.txt", database, sinks: ["file others.jsonl"] })
      yield* made.refused("SourceChanged", /its source in\.txt changed/, { database })
      yield* made.refused("SinkChanged", /wrote to file .*others\.jsonl before/, { database, input: "others.txt" })
      yield* made.goesOn()
    })
  )

  row("that knows other jobs only starts anew, and what stands in files stays", all, ended, (made) =>
    Effect.gen(function* () {
      const { scene } = made
      const before = scene.files
      yield* made.done({ name: "another" })
      if (made.hasTable) {
        const committed = before["in.txt"] === undefined ? [] : numbers(count - made.rest.length)
        const rows = [...keysOf(committed), ...keysOf(everything)]
        assert.deepEqual(
          scene.table("rows"),
          rows.toSorted((a, b) => Number(a) - Number(b))
        )
      }
      if (made.hasFile) assert.strictEqual(scene.text("out.jsonl"), before["out.jsonl"] + linesOf(everything))
    })
  )
})

describe("P10 a journal of version 0.1", () => {
  /** It knew no other database. */
  const written = ["SQLite"] as const

  /** Says what the journal says, in its tables. */
  const asOld = ({ scene, set }: Case): void => {
    const { counts, finished, position, sinks } = scene.kept()!
    const states = Object.values(sinks as Record<string, { state: { length?: number } | null }>).map(({ state }) =>
      state === null ? null : { length: state.length }
    )
    const sink = set === "both" || set === "files" ? states : states[0]
    const input = scene.text("in.txt")
    const sha256 = createHash("sha256").update(input).digest("hex")
    const value = (of: unknown) => `'${JSON.stringify(of).replaceAll("'", "''")}'`
    scene.script(`DROP TABLE skein_run; DROP TABLE skein_dead;
      CREATE TABLE skein_checkpoint (
        pipeline TEXT PRIMARY KEY, version INTEGER NOT NULL, revision BIGINT NOT NULL, fingerprint TEXT NOT NULL,
        position TEXT, ahead TEXT NOT NULL, sink TEXT, counts TEXT NOT NULL, finished INTEGER NOT NULL);
      CREATE TABLE skein_dead (
        id INTEGER PRIMARY KEY, pipeline TEXT NOT NULL, step TEXT NOT NULL, input TEXT NOT NULL, cause TEXT NOT NULL,
        attempts INTEGER NOT NULL, position TEXT NOT NULL, version TEXT, at BIGINT NOT NULL, replayed INTEGER NOT NULL);
      CREATE INDEX skein_dead_pipeline ON skein_dead (pipeline, replayed, id);
      INSERT INTO skein_checkpoint VALUES ('work', 1, 1790000000000, ${value({ size: input.length, sha256 })},
        '${position}', '[]', ${value(sink)}, ${value(counts)}, ${finished ? 1 : 0});
      INSERT INTO skein_dead VALUES (7, 'work', 'check', '77', 'no', 1, '3', NULL, 1790000000000, 0)`)
    for (const lock of [".out.jsonl.skein", ".short.jsonl.skein"]) if (scene.has(lock)) scene.remove(lock)
  }

  row(
    "goes on, and its dead letters are replayed",
    all,
    ended,
    (made) =>
      Effect.gen(function* () {
        asOld(made)
        yield* made.goesOn()
        assert.deepEqual(made.scene.dead(), ["77"])
        yield* made.goesOn([...everything, 77], { replay: true })
        yield* made.goesOn([...everything, 77])
        assert.deepEqual(made.scene.dead(), [])
      }),
    written
  )

  row(
    "goes on behind what a killed run left, which is kept beside",
    all,
    ["was killed"],
    (made) =>
      Effect.gen(function* () {
        const found = made.hasFile ? made.scene.text("out.jsonl") : ""
        const committed = linesOf(numbers(made.scene.settled)).length
        asOld(made)
        yield* made.goesOn()
        if (made.hasFile) assert.deepEqual(made.scene.aside("out.jsonl"), [found.slice(committed)])
      }),
    written
  )

  row(
    "goes on with a source that grew since, and refuses one that was replaced",
    all,
    firsts,
    (made) =>
      Effect.gen(function* () {
        asOld(made)
        const whole = made.scene.text("in.txt")
        made.scene.put("in.txt", textOf(everything.toReversed()))
        const result = yield* made.run()
        assert.strictEqual(Result.isFailure(result) && result.failure._tag, "SourceChanged")
        made.scene.put("in.txt", `${whole}41\n`)
        yield* made.goesOn(numbers(41))
      }),
    written
  )

  row("refuses a file that has lost what was committed", ["file", "both"], firsts, (made) =>
    Effect.gen(function* () {
      asOld(made)
      const whole = made.scene.text("out.jsonl")
      made.scene.cut("out.jsonl", 10)
      const result = yield* made.run()
      assert.match(Result.isFailure(result) ? result.failure.message : "", /were committed, and it has only 10/)
      assert.strictEqual(made.scene.text("out.jsonl"), whole.slice(0, 10))
      made.scene.put("out.jsonl", whole)
      yield* made.goesOn()
    })
  )
})

describe("P10 a job that starts over", () => {
  const dead = [4, 8]

  /** With dead letters, which the new run does not make. */
  const withLetters = (set: SetName, kind: Kind) =>
    Effect.gen(function* () {
      const scene = yield* Scene.make(count, kind)
      const made = new Case(scene, set, "finished")
      yield* made.goesOn(
        everything.filter((n) => !dead.includes(n)),
        { dead }
      )
      assert.deepEqual(scene.dead(), ["4", "8"])
      return made
    })

  const starts: Record<string, (scene: Scene) => Words> = {
    "as told": () => ({ restart: true }),
    "as it had finished": () => ({ onFinished: "restart" }),
    "as its source changed": (scene) => {
      scene.put("in.txt", textOf(everything.toReversed()))
      return { onChanged: "restart" }
    }
  }
  const over = deep
    ? all.flatMap((set) => kindsOf(set).map((kind) => [set, kind] as const))
    : ([
        ["both", "SQLite"],
        ["table", "PostgreSQL"]
      ] as const)
  for (const [set, kind] of over) {
    for (const [why, how] of Object.entries(starts)) {
      it.live(`${why} forgets the dead letters of the run before, and writes nothing twice: ${set} on ${kind}`, () =>
        Effect.gen(function* () {
          const made = yield* withLetters(set, kind)
          const words = { ...how(made.scene), existing: "replace" as const }
          const list = words.onChanged === undefined ? everything : everything.toReversed()
          const rows = () => made.exact(list)
          yield* made.done(words)
          rows()
          assert.deepEqual(made.scene.dead(), [])
          yield* made.done({ ...words, replay: true })
          rows()
        })
      )

      it.live(`${why} leaves what stands there, where it was not told to replace it: ${set} on ${kind}`, () =>
        Effect.gen(function* () {
          const made = yield* withLetters(set, kind)
          const { scene } = made
          const before = { file: made.hasFile ? scene.text("out.jsonl") : "", table: scene.table("rows") }
          const words = how(scene)
          const list = words.onChanged === undefined ? everything : everything.toReversed()
          yield* made.done(words)
          assert.deepEqual(scene.dead(), [])
          yield* made.done({ ...words, replay: true })
          if (made.hasFile) assert.strictEqual(scene.text("out.jsonl"), before.file + linesOf(list))
          if (made.hasTable) {
            const rows = [...before.table, ...keysOf(everything)].toSorted((a, b) => Number(a) - Number(b))
            assert.deepEqual(scene.table("rows"), rows)
          }
        })
      )
    }

    it.live(`and is killed before its first commit starts over again: ${set} on ${kind}`, () =>
      Effect.gen(function* () {
        const made = yield* withLetters(set, kind)
        const words = { restart: true, existing: "replace" as const }
        yield* made.scene.killed({ ...made.words, ...words }, set === "table" ? "write:2" : "opened:3")
        yield* made.goesOn(everything, words)
        assert.deepEqual(made.scene.dead(), [])
      })
    )
  }
})

describe("P10 a replay", () => {
  const deadRows = ["9.1", "12.0", "20.0"]

  const tried = (deep ? all : (["table", "both"] as const)).flatMap((set) =>
    kindsOf(set).map((kind) => [set, kind] as const)
  )
  for (const [set, kind] of tried) {
    const replayed = (made: Case) => {
      const { scene } = made
      const keys = linesOf(everything).split("\n").toSorted()
      if (made.hasTable) assert.deepEqual(scene.table("rows"), keysOf(everything))
      if (made.hasFile) assert.deepEqual(scene.text("out.jsonl").split("\n").toSorted(), keys)
      assert.deepEqual(scene.dead(), [])
    }

    it.live(`of a step behind a flatMap writes what is missing, and once: ${set} on ${kind}`, () =>
      Effect.gen(function* () {
        const scene = yield* Scene.make(count, kind)
        const made = new Case(scene, set, "finished")
        yield* made.done({ deadRows })
        assert.deepEqual(
          scene.dead().map((text) => JSON.parse(text)),
          [
            { n: 9, part: 1 },
            { n: 12, part: 0 },
            { n: 20, part: 0 }
          ]
        )
        yield* made.done({ replay: true, deadRows: ["12.0"] })
        assert.strictEqual(scene.dead().length, 1)
        for (let again = 0; again < 2; again++) {
          yield* made.done({ replay: true })
          replayed(made)
        }
        yield* made.done()
        replayed(made)
      })
    )

    if (!deep && kind === "SQLite" && set !== "both") continue
    it.live(`that is killed goes on, and writes nothing twice: ${set} on ${kind}`, () =>
      Effect.gen(function* () {
        const scene = yield* Scene.make(count, kind)
        const made = new Case(scene, set, "finished")
        yield* made.done({ dead: numbers(20) })
        yield* scene.killed({ ...made.words, replay: true }, set === "table" ? "written:2" : "half:1")
        yield* made.done({ replay: true })
        replayed(made)
        yield* made.done({ replay: true })
        replayed(made)
      })
    )
  }
})
