/** What journals that last keep for steps: keys that were seen, and states. */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { Db, Files, Journal, Pipeline, Sink, Source } from "skein"
import { checkpoint, kept, leaseOf, within } from "../support/database.ts"
import { databases } from "../support/databases.ts"

/** Strange, and never one another. */
const keys = ["sa", "s'\"; --", "s\0", "s\u24000;", "s\ud800", "s\ud801", "sä", "sa\u0308", "n1", "s1", "s1 ", "S1"]
const seenBy = (step: string, list: ReadonlyArray<string> = keys) => list.map((key) => ({ step, key }))

/** What a run does that takes the lease for one commit. */
const commit = (
  journal: Journal.Journal,
  rest: Partial<Omit<Journal.Commit, "checkpoint">>,
  leased: Parameters<typeof leaseOf>[1] = {},
  changes: Partial<Journal.Checkpoint> = {}
) =>
  Effect.scoped(Effect.flatMap(leaseOf(journal, leased), (lease) => lease.commit(Effect.succeed(kept(changes, rest)))))

const known = (journal: Journal.Journal, step: string, leased: Parameters<typeof leaseOf>[1] = {}, list = keys) =>
  Effect.scoped(
    Effect.flatMap(leaseOf(journal, leased), (lease) =>
      Effect.map(lease.seen(step, list), (known) => list.filter((key) => known.has(key)))
    )
  )

const Word = Schema.Struct({ text: Schema.String })
const passing = (words: ReadonlyArray<string>) =>
  Pipeline.from(Source.list(words, { name: "words" })).pipe(
    Pipeline.unique((word) => word[0]!),
    Pipeline.map((text) => ({ text }))
  )

interface Lasting {
  readonly kind: string
  /** The body twice, each time as another process would have it. */
  readonly twice: <E>(
    body: (turn: number) => Effect.Effect<void, E, Journal.Journal>
  ) => Effect.Effect<unknown, unknown>
}

const journals: ReadonlyArray<Lasting> = [
  ...databases.map(({ database, url }): Lasting => ({
    kind: database,
    twice: (body) =>
      Effect.scoped(
        Effect.flatMap(url, (at) => {
          const inDb = within(Effect.succeed(at))
          return Effect.all([inDb(body(1)), inDb(body(2))])
        })
      )
  })),
  {
    kind: "a file",
    twice: (body) =>
      Effect.gen(function* () {
        const folder = yield* FileSystem.FileSystem.use((fs) => fs.makeTempDirectoryScoped())
        const journal = Files.journal(`${folder}/run.journal`)
        return [yield* Effect.provide(body(1), journal), yield* Effect.provide(body(2), journal)] as const
      }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
  }
]

describe.each(journals)("a journal in $kind", ({ kind, twice }) => {
  it.effect("keeps the keys that a commit names, by step, pipeline and partition, whatever they look like", () =>
    twice((turn) =>
      Effect.gen(function* () {
        const journal = yield* Journal.Journal
        if (turn === 1) {
          assert.deepEqual(yield* known(journal, "one"), [])
          yield* commit(journal, { seen: seenBy("one") })
          yield* commit(journal, { seen: seenBy("it's\0", ["sa"]) })
          yield* commit(journal, { seen: seenBy("one", ["sa"]) }, { pipeline: "other" })
          yield* commit(journal, { seen: seenBy("one", ["sä"]) }, { partition: "1" })
        }
        assert.deepEqual(yield* known(journal, "one"), keys)
        for (const key of keys) assert.deepEqual(yield* known(journal, "one", {}, [key, `${key}!`, `${key}\0`]), [key])
        assert.deepEqual(yield* known(journal, "it's\0"), ["sa"])
        assert.deepEqual(yield* known(journal, "One"), [])
        assert.deepEqual(yield* known(journal, "one", { pipeline: "other" }), ["sa"])
        assert.deepEqual(yield* known(journal, "one", { partition: "1" }), ["sä"])
      })
    )
  )

  it.effect("keeps many in one commit, and is asked for many", () =>
    twice((turn) =>
      Effect.gen(function* () {
        const journal = yield* Journal.Journal
        const many = Array.from({ length: 3500 }, (_, i) => `n${i}`)
        if (turn === 1) yield* commit(journal, { seen: seenBy("one", many) })
        assert.lengthOf(yield* known(journal, "one", {}, [...many, "no"]), many.length)
      })
    )
  )

  it.effect("P10 forgets them in the commit that starts over, which may keep new ones, and nobody else's", () =>
    twice((turn) =>
      Effect.gen(function* () {
        const journal = yield* Journal.Journal
        if (turn === 1) {
          yield* commit(journal, { seen: seenBy("one") })
          yield* commit(journal, { seen: seenBy("one", ["sa"]) }, { partition: "1" })
          yield* commit(journal, { restart: true, seen: seenBy("two", ["sä"]) })
        }
        assert.deepEqual(yield* known(journal, "one"), [])
        assert.deepEqual(yield* known(journal, "two"), ["sä"])
        assert.deepEqual(yield* known(journal, "one", { partition: "1" }), ["sa"])
      })
    )
  )

  it.effect("keeps the states of steps in the checkpoint", () =>
    twice((turn) =>
      Effect.gen(function* () {
        const journal = yield* Journal.Journal
        const steps = { "it's": { state: [null, { a: "ü" }], position: null }, keys: "keys" }
        if (turn === 1) yield* commit(journal, {}, {}, { steps })
        assert.deepEqual(yield* journal.load(Journal.keyOf("test")), Option.some(checkpoint({ steps })))
      })
    )
  )

  it.effect("is asked by unique for the keys of runs before", () =>
    twice((turn) =>
      Effect.gen(function* () {
        const words = turn === 1 ? ["a1", "b1", "a2"] : ["a1", "b1", "a2", "b2", "c1", "c2"]
        const job = passing(words).pipe(Pipeline.to(Sink.discard))
        const { filtered, written } = yield* Pipeline.run(job, { name: "words" })
        assert.deepEqual({ filtered, written }, turn === 1 ? { filtered: 1, written: 2 } : { filtered: 2, written: 1 })
        if (turn === 1) return
        assert.strictEqual((yield* Pipeline.run(job, { name: "words", restart: true })).written, 3)
        assert.strictEqual((yield* Pipeline.run(job, { name: "words", restart: true })).written, 3)
      })
    )
  )

  it.effect(
    "P1 P16 keeps whose a key of unique is, of which parts are written, though another comes first in the next run",
    () =>
      Effect.suspend(() => {
        const received: Array<string> = []
        return twice((turn) =>
          Effect.gen(function* () {
            const written = yield* Deferred.make<void>()
            const passed = yield* Deferred.make<void>()
            const partsOf = (word: string) => {
              if (word === "b1") return Stream.fromEffect(Effect.as(Deferred.succeed(passed, undefined), "b1"))
              const rest =
                turn === 1 ? Effect.andThen(Deferred.await(written), Effect.fail("torn")) : Effect.succeed("a1 2")
              return Stream.concat(Stream.make(`${word} 1`), Stream.fromEffect(rest))
            }
            const job = Pipeline.from(Source.list(["a1", "a2", "b1"], { name: "words" })).pipe(
              Pipeline.map((word) => (turn === 2 && word === "a1" ? Effect.as(Deferred.await(passed), word) : word), {
                concurrency: 3,
                order: "completion"
              }),
              Pipeline.unique((word) => word[0]!),
              Pipeline.flatMap(partsOf, { name: "parts" }),
              Pipeline.to(
                Sink.forEach((part: string) => {
                  received.push(part)
                  return Deferred.succeed(written, undefined)
                })
              )
            )
            const exit = yield* Effect.exit(Pipeline.run(job, { name: "words", maxRows: 1, commitEvery: 0 }))
            assert.strictEqual(Exit.isSuccess(exit), turn === 2)
            assert.deepEqual(received, turn === 1 ? ["a1 1"] : ["a1 1", "b1", "a1 2"])
          })
        )
      })
  )

  if (kind === "a file") {
    it.effect("says all of it again when it is written anew", () =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const folder = yield* fs.makeTempDirectoryScoped()
        const path = `${folder}/run.journal`
        const count = 300
        const key = (i: number) => `s${i}${"x".repeat(200)}`
        const padding = { fingerprint: { padding: "x".repeat(4000) } }
        const program = Effect.gen(function* () {
          const journal = yield* Journal.Journal
          const lease = yield* leaseOf(journal)
          for (let i = 0; i < count; i++) {
            yield* lease.commit(Effect.succeed(kept(padding, { seen: seenBy("one", [key(i)]) })))
          }
          return yield* fs.stat(path)
        })
        const { size } = yield* Effect.scoped(Effect.provide(program, Files.journal(path)))
        // As long as its lines are, it was not.
        assert.isBelow(Number(size), count * 4200)
        const list = Array.from({ length: count }, (_, i) => key(i))
        const after = Effect.flatMap(Journal.Journal, (journal) => known(journal, "one", {}, [...list, "sx"]))
        assert.deepEqual(yield* Effect.provide(after, Files.journal(path)), list)
      }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
    )
  }
})

describe.each(databases)("the keys of unique in $database", ({ direct, spoil, url }) => {
  const tables = (at: string) =>
    Effect.catchCause(direct(at, "SELECT * FROM skein_seen"), () => Effect.succeed("no table" as const))

  it.effect("are in a table that is made for the first step that needs it, and cost nothing without", () =>
    Effect.scoped(
      Effect.flatMap(url, (at) =>
        within(Effect.succeed(at))(
          Effect.gen(function* () {
            const plain = Pipeline.from(Source.list(["a"], { name: "words" })).pipe(Pipeline.to(Sink.discard))
            yield* Pipeline.run(plain, { name: "plain" })
            yield* Pipeline.run(plain, { name: "plain", restart: true })
            assert.strictEqual(yield* tables(at), "no table")
            yield* Pipeline.run(passing(["a"]).pipe(Pipeline.to(Sink.discard)), { name: "words" })
            assert.deepEqual(yield* tables(at), [{ pipeline: "words", part: "", step: "unique", key: "sa" }])
          })
        )
      )
    )
  )

  it.effect("P13 are kept in the transaction of the rows, or not at all", () =>
    Effect.scoped(
      Effect.flatMap(url, (at) =>
        within(Effect.succeed(at))(
          Effect.gen(function* () {
            const job = passing(["a1", "b1", "a2"]).pipe(Pipeline.to(Db.table("words", Word)))
            yield* Pipeline.run(passing(["z"]).pipe(Pipeline.to(Sink.discard)), { name: "makes the table" })
            const { sql } = yield* Db.Db
            yield* sql`CREATE TABLE words (text TEXT NOT NULL)`
            yield* spoil(at, "INSERT ON skein_seen")
            yield* Effect.flip(Pipeline.run(job, { name: "words" }))
            assert.deepEqual(yield* direct(at, "SELECT * FROM words"), [])
            assert.lengthOf(yield* tables(at), 1)
          })
        )
      )
    )
  )

  it.effect("are those of the items of a frontier as well, and windows of them are given at its end", () =>
    Effect.scoped(
      Effect.flatMap(url, (at) =>
        within(Effect.succeed(at))(
          Effect.gen(function* () {
            const Job = Schema.Struct({ id: Schema.Int, host: Schema.String })
            const queue = Source.frontier("jobs", Job, { key: "id" })
            const items = (from: number) =>
              Array.from({ length: 6 }, (_, i) => ({ id: from + i, host: `host ${i % 3}` }))
            const job = Pipeline.from(queue).pipe(
              Pipeline.unique(({ host }) => host),
              Pipeline.window(
                { count: 2 },
                { initial: "", add: (all, { host }) => `${all}${host}, `, state: Schema.String }
              ),
              Pipeline.map(({ count, value }) => ({ text: `${count}: ${value}` })),
              Pipeline.to(Db.table("hosts", Word))
            )
            const hosts = Effect.map(direct(at, "SELECT text FROM hosts"), (rows) => rows.map(({ text }) => text))
            yield* queue.add(items(0))
            assert.include(yield* Pipeline.run(job, { name: "hosts" }), { outcome: "done", settled: 6, filtered: 3 })
            assert.deepEqual(yield* hosts, ["2: host 0, host 1, ", "1: host 2, "])
            yield* queue.add([...items(6), { id: 12, host: "host 3" }])
            assert.include(yield* Pipeline.run(job, { name: "hosts" }), { outcome: "done", settled: 7, filtered: 6 })
            assert.deepEqual(yield* hosts, ["2: host 0, host 1, ", "1: host 2, ", "2: host 2, host 3, "])
          })
        )
      )
    )
  )
})
