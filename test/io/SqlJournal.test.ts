import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as TestClock from "effect/testing/TestClock"
import { DatabaseSync } from "node:sqlite"
import { Db, Journal } from "skein"
import { Interrupt, Leaks, type Sim } from "skein/testing"
import { make } from "../../src/io/db/SqlJournal.ts"
import { checkpoint, connect, newFile, rowsOf, withDb } from "../support/database.ts"

const letter = (changes: Partial<Journal.DeadLetter> = {}): Journal.DeadLetter => ({
  step: "parse",
  input: { line: "x'\"; DROP TABLE skein_dead; --" },
  cause: "no number",
  attempts: 4,
  version: "2",
  position: { byte: 12, line: 1 },
  at: 1_790_000_000_123,
  ...changes
})

const commit = (
  journal: Journal.Journal,
  kept: Partial<Journal.Checkpoint> = {},
  dead: ReadonlyArray<Journal.DeadLetter> = [],
  pipeline = "p"
) => journal.commit(pipeline, Effect.succeed({ checkpoint: checkpoint(kept), dead }))

const table = Effect.flatMap(Db.Db, ({ sql }) => sql`CREATE TABLE written (n INTEGER)`)
const write = (n: number) => Effect.flatMap(Db.Db, ({ sql }) => sql`INSERT INTO written VALUES (${n})`)

describe("SqlJournal: what was committed is loaded", () => {
  it.effect("nothing before the first commit, and then all of the last one, also by the next process", () =>
    Effect.gen(function* () {
      const file = yield* newFile
      const first = yield* connect(file)
      assert.deepEqual(yield* first.journal.load("p"), Option.none())
      yield* commit(first.journal)
      const last = checkpoint({
        fingerprint: { path: "é'\"", size: 1, nested: [null, { a: true }] },
        position: Option.some({ byte: 2 ** 40, of: [1.5, "x"] }),
        ahead: [1, 2, 7],
        sink: Option.some({ bytes: 10 }),
        counts: { settled: 6, written: 5, filtered: 4, skipped: 3, dead: 2, bytes: 2 ** 50 },
        finished: true
      })
      yield* commit(first.journal, last)
      assert.deepEqual(yield* first.journal.load("p"), Option.some(last))
      const next = yield* connect(file)
      assert.deepEqual(yield* next.journal.load("p"), Option.some(last))
      assert.deepEqual(yield* next.journal.load("other"), Option.none())
    })
  )

  it.effect("a position and a sink's state of null are not the same as none", () =>
    withDb(
      Effect.gen(function* () {
        const journal = yield* Journal.Journal
        for (const state of [Option.none(), Option.some(null), Option.some("null")]) {
          yield* commit(journal, { position: state, sink: state })
          const kept = Option.getOrThrow(yield* journal.load("p"))
          assert.deepEqual([kept.position, kept.sink], [state, state])
        }
      })
    )
  )

  it.effect("each pipeline has its own, whatever its name", () =>
    withDb(
      Effect.gen(function* () {
        const journal = yield* Journal.Journal
        const names = ["", "a", "A", "a.b", `'; DELETE FROM skein_checkpoint; --`, "ü"]
        for (const [n, name] of names.entries()) yield* commit(journal, { position: Option.some(n) }, [], name)
        for (const [n, name] of names.entries()) {
          assert.deepEqual(Option.getOrThrow(yield* journal.load(name)).position, Option.some(n))
        }
      })
    )
  )

  it.effect("reset forgets the checkpoint of that pipeline and keeps its dead letters", () =>
    withDb(
      Effect.gen(function* () {
        const journal = yield* Journal.Journal
        yield* commit(journal, {}, [letter()])
        yield* commit(journal, {}, [], "other")
        yield* journal.reset("p")
        assert.deepEqual(yield* journal.load("p"), Option.none())
        assert.strictEqual((yield* journal.dead("p")).length, 1)
        assert.isTrue(Option.isSome(yield* journal.load("other")))
        yield* commit(journal, { ahead: [3] })
        assert.deepEqual(Option.getOrThrow(yield* journal.load("p")).ahead, [3])
      })
    )
  )
})

describe("SqlJournal: dead letters", () => {
  it.effect("come back as they were, oldest first, until a replay has settled them", () =>
    withDb(
      Effect.gen(function* () {
        const journal = yield* Journal.Journal
        assert.deepEqual(yield* journal.dead("p"), [])
        const letters = [letter(), letter({ input: null, position: [2] }), letter({ input: "text", cause: "" })]
        yield* commit(journal, {}, letters.slice(0, 2))
        yield* commit(journal, {}, letters.slice(2))
        yield* commit(journal, {}, [letter()], "other")
        const kept = yield* journal.dead("p")
        assert.deepEqual(
          kept.map(({ id: _, replayed, ...rest }) => ({ ...rest, replayed })),
          letters.map((one) => ({ ...one, replayed: false }))
        )

        const ids = kept.map(({ id }) => id)
        yield* journal.markReplayed("p", ids.slice(0, 2))
        yield* journal.markReplayed("p", [])
        yield* journal.markReplayed("other", ids)
        assert.deepEqual(
          (yield* journal.dead("p")).map(({ id }) => id),
          ids.slice(2)
        )
        assert.strictEqual((yield* journal.dead("other")).length, 1)
      })
    )
  )

  it.effect("more than a statement has parameters for", () =>
    withDb(
      Effect.gen(function* () {
        const journal = yield* Journal.Journal
        yield* commit(
          journal,
          {},
          Array.from({ length: 40_000 }, (_, at) => letter({ at }))
        )
        const kept = yield* journal.dead("p")
        assert.deepEqual(
          kept.map(({ at }) => at),
          Array.from({ length: 40_000 }, (_, at) => at)
        )
        yield* journal.markReplayed(
          "p",
          kept.map(({ id }) => id)
        )
        assert.deepEqual(yield* journal.dead("p"), [])
      })
    )
  )

  it.effect("marked in a commit that fails are not marked", () =>
    withDb(
      Effect.gen(function* () {
        const journal = yield* Journal.Journal
        yield* commit(journal, {}, [letter()])
        const [kept] = yield* journal.dead("p")
        yield* Effect.flip(
          journal.commit("p", Effect.andThen(journal.markReplayed("p", [kept?.id ?? 0]), Effect.fail("later")))
        )
        assert.strictEqual((yield* journal.dead("p")).length, 1)
      })
    )
  )
})

describe("SqlJournal: a commit is all or nothing", () => {
  it.effect("the writer's own error comes out as it is, with nothing kept", () =>
    withDb(
      Effect.gen(function* () {
        const journal = yield* Journal.Journal
        yield* table
        assert.strictEqual(
          yield* Effect.flip(journal.commit("p", Effect.andThen(write(1), Effect.fail("mine")))),
          "mine"
        )
        // An SqlError too is the writer's, and not the journal's.
        const { sql } = yield* Db.Db
        const error = yield* Effect.flip(journal.commit("p", Effect.andThen(write(1), Effect.as(sql`nonsense`, never))))
        assert.strictEqual(error._tag, "SqlError")
        assert.deepEqual(yield* rowsOf("written"), [])
        assert.deepEqual(yield* journal.load("p"), Option.none())
      })
    )
  )

  it.effect("rows, dead letters and checkpoint go together when the journal itself cannot write", () =>
    withDb(
      Effect.gen(function* () {
        const { journal, sql } = yield* Db.Db
        yield* table
        yield* commit(journal)
        yield* sql`CREATE TRIGGER broken BEFORE UPDATE ON skein_checkpoint BEGIN SELECT RAISE(ABORT, 'out of ink'); END`
        const error = yield* Effect.flip(
          journal.commit("p", Effect.as(write(1), { checkpoint: checkpoint({ ahead: [9] }), dead: [letter()] }))
        )
        assert.instanceOf(error, Journal.JournalError)
        assert.strictEqual(error.message, `Journal of pipeline "p": could not commit: out of ink`)
        assert.deepEqual(yield* rowsOf("written"), [])
        assert.deepEqual(yield* journal.dead("p"), [])
        assert.deepEqual(Option.getOrThrow(yield* journal.load("p")).ahead, [])
        // The failure was not a commit of somebody else.
        yield* sql`DROP TRIGGER broken`
        yield* commit(journal)
      })
    )
  )

  it.effect("wherever it is interrupted, and the next commit goes through", () =>
    Effect.gen(function* () {
      const db = yield* connect(":memory:")
      yield* db.sql`CREATE TABLE written (n INTEGER)`
      let interrupted = 0
      let journal = db.journal
      const one = (n: number) =>
        journal.commit(
          "p",
          Effect.as(db.sql`INSERT INTO written VALUES (${n})`, {
            checkpoint: checkpoint({ position: Option.some(n) }),
            dead: [letter({ at: n })]
          })
        )
      // Every run finds a new journal and an empty database: also one that is interrupted before it begins.
      const empty = Effect.suspend(() => {
        journal = make(db.sql)
        return Effect.all([journal.reset("p"), db.sql`DELETE FROM written`, db.sql`DELETE FROM skein_dead`])
      })
      const subject = Effect.andThen(
        Effect.suspend(() => one(1)),
        Effect.suspend(() => one(2))
      )
      const check = (run: Sim.Run<void, unknown>) => {
        if (Exit.isFailure(run.exit)) interrupted++
        const state = Effect.runSync(
          Effect.gen(function* () {
            const rows = (yield* db.sql`SELECT n FROM written ORDER BY n`).map(({ n }) => n)
            const dead = (yield* db.journal.dead("p")).map(({ at }) => at)
            const kept = Option.map(yield* db.journal.load("p"), ({ position }) => position)
            yield* commit(journal)
            return { rows, dead, last: Option.getOrElse(Option.flatten(kept), () => 0) }
          }).pipe(Effect.ensuring(Effect.orDie(empty)))
        )
        const numbers = Array.from({ length: Number(state.last) }, (_, i) => i + 1)
        assert.deepEqual(state, { rows: numbers, dead: numbers, last: numbers.length })
        return Leaks.check(run)
      }
      yield* empty
      yield* Interrupt.everywhere(subject, { check })
      assert.isAbove(interrupted, 50)
    })
  )

  it.effect("inside of a transaction it is part of that one", () =>
    withDb(
      Effect.gen(function* () {
        const { journal, sql } = yield* Db.Db
        yield* Effect.flip(sql.withTransaction(Effect.andThen(commit(journal, {}, [letter()]), Effect.fail("outer"))))
        assert.deepEqual(yield* sql`SELECT name FROM sqlite_master WHERE type = 'table'`, [])
        assert.deepEqual(yield* journal.load("p"), Option.none())

        yield* table
        yield* sql.withTransaction(
          Effect.gen(function* () {
            yield* commit(journal, { ahead: [1] })
            yield* Effect.flip(journal.commit("p", Effect.andThen(write(1), Effect.fail("inner"))))
            yield* commit(journal, { ahead: [2] })
          })
        )
        assert.deepEqual(Option.getOrThrow(yield* journal.load("p")).ahead, [2])
        assert.deepEqual(yield* rowsOf("written"), [])
      })
    )
  )
})

describe("SqlJournal: two runs of one pipeline", () => {
  it.effect("P10 only one of two processes commits: the other keeps nothing and says so", () =>
    Effect.gen(function* () {
      const file = yield* newFile
      const [a, b] = [yield* connect(file), yield* connect(file)]
      for (const { journal } of [a, b]) yield* journal.load("p")
      yield* commit(a.journal, { ahead: [1] })
      const late = yield* Effect.flip(commit(b.journal, { ahead: [2] }, [letter()]))
      assert.include(late.message, "another run of this pipeline has committed since this one read the checkpoint")
      // Trying again does not help, and the one that was first goes on.
      yield* Effect.flip(commit(b.journal))
      yield* commit(a.journal, { ahead: [3] })
      assert.deepEqual(yield* a.journal.dead("p"), [])

      // A new run of the second process takes over, and now the first is late.
      assert.deepEqual(Option.getOrThrow(yield* b.journal.load("p")).ahead, [3])
      yield* commit(b.journal)
      yield* Effect.flip(commit(a.journal))
    })
  )

  it.effect("nor does one go on that another process has reset", () =>
    Effect.gen(function* () {
      const file = yield* newFile
      const [a, b] = [yield* connect(file), yield* connect(file)]
      yield* commit(a.journal)
      yield* TestClock.adjust("1 second")
      yield* b.journal.reset("p")
      assert.instanceOf(yield* Effect.flip(commit(a.journal)), Journal.JournalError)
      assert.deepEqual(yield* b.journal.load("p"), Option.none())
      // Nor is the row that takes its place mistaken for the old one.
      yield* commit(b.journal)
      assert.instanceOf(yield* Effect.flip(commit(a.journal)), Journal.JournalError)
    })
  )

  it.effect("without having read the checkpoint it replaces what is there", () =>
    Effect.gen(function* () {
      const file = yield* newFile
      yield* commit((yield* connect(file)).journal, { ahead: [1] })
      const { journal } = yield* connect(file)
      yield* commit(journal, { ahead: [2] })
      assert.deepEqual(Option.getOrThrow(yield* journal.load("p")).ahead, [2])
    })
  )
})

describe("SqlJournal: a row that it cannot use", () => {
  const broken = (change: string) =>
    Effect.gen(function* () {
      const file = yield* newFile
      const { journal } = yield* connect(file)
      yield* commit(journal, {}, [letter()])
      const direct = new DatabaseSync(file)
      direct.exec(change)
      direct.close()
      return journal
    })

  it.effect("is refused when a newer version wrote it", () =>
    Effect.gen(function* () {
      const journal = yield* broken("UPDATE skein_checkpoint SET version = 2")
      const error = yield* Effect.flip(journal.load("p"))
      assert.strictEqual(
        error.message,
        `Journal of pipeline "p": could not read the checkpoint: ` +
          `a newer version of Skein wrote it (format 2, this one knows 1). Update`
      )
    })
  )

  it.effect.each([
    ["UPDATE skein_checkpoint SET position = '{'"],
    ["UPDATE skein_checkpoint SET counts = '{}'"],
    ["UPDATE skein_checkpoint SET ahead = '[\"x\"]'"]
  ] as const)("is refused when it was changed by hand: %s", ([change]) =>
    Effect.gen(function* () {
      const error = yield* Effect.flip((yield* broken(change)).load("p"))
      assert.include(error.message, "was it changed by hand? Restore it, or delete it to start over")
    })
  )

  it.effect("among the dead letters is refused too", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip((yield* broken("UPDATE skein_dead SET input = 'x'")).dead("p"))
      assert.include(error.message, "could not read the dead letters")
    })
  )
})

const never = { checkpoint: checkpoint(), dead: [] }
