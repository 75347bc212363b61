/** Dead letters, whichever journal keeps them: listed, taken out, carried about, run again, and told of (P5). */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { DeadLetters, Journal, Pipeline, Sink, Source } from "skein"
import { make as fileJournal } from "../../src/io/files/journal/FileJournal.ts"
import { make as sqlJournal } from "../../src/io/db/journal/SqlJournal.ts"
import type { Host } from "../../src/pipeline/context/Host.ts"
import { connect, leaseOf } from "../support/database.ts"
import { databases } from "../support/databases.ts"

const host = (id: string): Host => ({ id, label: `process ${id}`, runs: (other) => other === id })

/** A journal that is opened again and again, each time as by another process; of one in memory there is one. */
type Open = (id: string) => Effect.Effect<Journal.Journal, never, Scope.Scope>

const inMemory: Effect.Effect<Open, never, Scope.Scope> = Effect.map(Layer.build(Journal.memory), (context) => {
  const journal = Effect.provideContext(Journal.Journal, context)
  return () => journal
})

const inFile: Effect.Effect<Open, never, Scope.Scope> = Effect.gen(function* () {
  const services = yield* Layer.build(NodeServices.layer)
  const fs = yield* Effect.provideContext(FileSystem.FileSystem, services)
  const folder = yield* Effect.orDie(fs.makeTempDirectoryScoped())
  return (id) => Effect.orDie(Effect.provideContext(fileJournal(`${folder}/run.journal`, host(id)), services))
})

const kinds: ReadonlyArray<readonly [name: string, open: Effect.Effect<Open, never, Scope.Scope>]> = [
  ["memory", inMemory],
  ...databases.map(
    ({ database, url }) =>
      [
        database,
        Effect.map(
          url,
          (url): Open =>
            (id) =>
              Effect.orDie(Effect.map(connect(url), (db) => sqlJournal(db, host(id))))
        )
      ] as const
  ),
  ["a file", inFile]
]

const letter = (changes: Partial<Journal.DeadLetter> = {}): Journal.DeadLetter => ({
  step: "parse",
  input: { line: "x'\"; DROP TABLE skein_dead; --", more: [1, null] },
  cause: "no number",
  causes: [{ depth: 0, name: "Refused", message: "x'\"\u0000\ud800\u001b[31m", stack: "at a (b.ts:1:2)" }],
  attempts: 4,
  version: "2",
  position: { byte: 12, line: 1 },
  path: "3.1",
  at: 1_790_000_000_123,
  ...changes
})

const idsOf = (options?: DeadLetters.Options, name = "p") =>
  Effect.map(Stream.runCollect(DeadLetters.list(name, options)), (letters) => letters.map(({ id }) => id))
const atsOf = (options?: DeadLetters.Options, name = "p") =>
  Effect.map(Stream.runCollect(DeadLetters.list(name, options)), (letters) => letters.map(({ at }) => at))
const textOf = (options?: DeadLetters.Options, name = "p") => Stream.mkString(DeadLetters.export(name, options))
const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i)

/** The numbers from 1 on, of which `isBad` tells which fail in step `work`. */
const jobOf = (n: number, isBad: (n: number) => boolean, written: Array<number> = []) =>
  Pipeline.from(Source.list(range(1, n), { name: "numbers" })).pipe(
    // @effect-diagnostics-next-line globalErrorInEffectFailure:off
    Pipeline.map((n) => (isBad(n) ? Effect.fail(new Error(`${n} is bad`)) : Effect.succeed(n)), {
      name: "work",
      onError: { deadLetter: Schema.Number }
    }),
    Pipeline.to(Sink.forEach((n) => Effect.sync(() => void written.push(n))))
  )

describe.each(kinds)("dead letters in %s", (kind, open) => {
  /** With the journal of one process, and a way to be others. */
  const within = <A, E>(body: (open: Open) => Effect.Effect<A, E, Journal.Journal | Scope.Scope>) =>
    Effect.gen(function* () {
      const opened = yield* open
      return yield* Effect.provideService(body(opened), Journal.Journal, yield* opened("a"))
    })
  const buried = (letters: ReadonlyArray<Journal.DeadLetter>, key = Journal.keyOf("p")) =>
    Effect.flatMap(Journal.Journal, (journal) => journal.bury(key, letters))

  it.effect("P5 are listed by what is asked of them, oldest first", () =>
    within(() =>
      Effect.gen(function* () {
        assert.deepEqual(yield* idsOf(), [])
        const kept = [
          letter({ at: 1, version: null }),
          letter({ at: 2, cause: "Timeout: it's late", step: "o'clock" }),
          letter({ at: 3, causes: [{ depth: 0, name: "Busy\"%_'", message: "" }] }),
          letter({ at: 4, version: "3", cause: "timeout" }),
          letter({ at: 5, causes: [] })
        ]
        yield* buried(kept)
        yield* buried([letter({ at: 6 })], Journal.keyOf("p", "1"))
        yield* buried([letter({ at: 7 })], Journal.keyOf("q"))
        const found = yield* Stream.runCollect(DeadLetters.list("p"))
        assert.deepEqual(
          found.map(({ id: _, replayed, ...rest }) => [rest, replayed]),
          kept.map((letter) => [letter, false])
        )
        const [first, second, , fourth] = found.map(({ id }) => id)
        const cases: ReadonlyArray<readonly [DeadLetters.Options, ReadonlyArray<number>]> = [
          [{ ids: [fourth!, first!, second!, first!, 999] }, [1, 2, 4]],
          [{ ids: [] }, []],
          [{ step: "o'clock" }, [2]],
          [{ step: "o" }, []],
          [{ cause: "Timeout" }, [2]],
          [{ cause: "imeout" }, [2, 4]],
          [{ cause: "it's late" }, [2]],
          [{ cause: "Busy\"%_'" }, [3]],
          [{ cause: "Bus" }, []],
          [{ cause: "%" }, []],
          [{ version: null }, [1]],
          [{ version: "3" }, [4]],
          [{ since: 3 }, [3, 4, 5]],
          [{ since: new Date(2), until: 4 }, [2, 3]],
          [{ until: "1970-01-01T00:00:00.003Z" }, [1, 2]],
          [{ limit: 2 }, [1, 2]],
          [{ since: 2, limit: 2 }, [2, 3]],
          [{ ids: found.map(({ id }) => id).toReversed(), limit: 2 }, [1, 2]],
          [{ replayed: true }, []],
          [{ partition: "1" }, [6]],
          [{ partition: "2" }, []]
        ]
        for (const [options, expected] of cases) {
          assert.deepEqual(yield* atsOf(options), expected, JSON.stringify(options))
        }
        assert.deepEqual(yield* atsOf({}, "q"), [7])
      })
    )
  )

  it.effect("are read a page after another, as the list is pulled", () =>
    within(() =>
      Effect.gen(function* () {
        yield* buried(range(1, 600).map((at) => letter({ at })))
        assert.deepEqual(yield* atsOf(), range(1, 600))
        assert.deepEqual(yield* atsOf({ limit: 301 }), range(1, 301))
        const journal = yield* Journal.Journal
        const pages: Array<number> = []
        const counted: Journal.Journal = {
          ...journal,
          dead: (key, filter) =>
            Effect.tap(journal.dead(key, filter), (letters) => Effect.sync(() => pages.push(letters.length)))
        }
        yield* DeadLetters.list("p").pipe(
          Stream.take(10),
          Stream.runDrain,
          Effect.provideService(Journal.Journal, counted)
        )
        assert.deepEqual(pages, [250])
      })
    )
  )

  it.effect("are taken out for good by what is asked of them, and the others stay", () =>
    within(() =>
      Effect.gen(function* () {
        assert.strictEqual(yield* DeadLetters.purge("p", {}), 0)
        yield* buried(range(1, 600).map((at) => letter({ at, cause: at % 2 === 0 ? "even" : "odd" })))
        yield* buried([letter()], Journal.keyOf("p", "1"))
        assert.strictEqual(yield* DeadLetters.purge("p", { cause: "even", limit: 299 }), 299)
        assert.deepEqual(
          yield* atsOf(),
          range(1, 600).filter((at) => at % 2 === 1 || at === 600)
        )
        const [first] = yield* idsOf()
        assert.strictEqual(yield* DeadLetters.purge("p", { ids: [first!, 12_345] }), 1)
        assert.strictEqual(yield* DeadLetters.purge("p", { ids: [first!] }), 0)
        assert.strictEqual(yield* DeadLetters.purge("p", {}), 300)
        assert.deepEqual(yield* idsOf(), [])
        assert.lengthOf(yield* idsOf({ partition: "1" }), 1)
        // Nobody who still has its number in hand must meet another letter by it.
        yield* buried([letter()])
        assert.isAbove((yield* idsOf())[0]!, first!)
      })
    )
  )

  it.effect("P5 run again as they are asked for, in their order; the others stay as they are", () =>
    within(() =>
      Effect.gen(function* () {
        yield* Pipeline.run(
          jobOf(600, () => true),
          { name: "p" }
        )
        const ids = yield* idsOf()
        const written: Array<number> = []
        const mended = jobOf(600, (n) => n > 595, written)
        const one = yield* Pipeline.replay(mended, { name: "p", letters: { ids: [ids[6]!] } })
        assert.deepEqual([one.settled, written], [1, [7]])
        yield* Pipeline.replay(mended, { name: "p", letters: { cause: "8 is bad", limit: 2 } })
        assert.deepEqual(written, [7, 8, 18])
        assert.deepEqual(yield* idsOf({ replayed: true }), [ids[6], ids[7], ids[17]])
        const rest = yield* Pipeline.replay(mended, { name: "p" })
        assert.deepEqual([rest.settled, rest.written, rest.dead], [597, 592, 5])
        assert.deepEqual(
          written.slice(3),
          range(1, 595).filter((n) => ![7, 8, 18].includes(n))
        )
        // What failed again is new, and was not run twice in one replay.
        const left = yield* Stream.runCollect(DeadLetters.list("p"))
        assert.deepEqual(
          left.map(({ input }) => input),
          [596, 597, 598, 599, 600]
        )
        assert.isAbove(left[0]!.id, ids.at(-1)!)
        assert.strictEqual(rest.total.dead, 5)
        assert.strictEqual(yield* DeadLetters.purge("p", { replayed: true }), 600)
        assert.lengthOf(yield* idsOf(), 5)
      })
    )
  )

  it.effect("P5 one that cannot be read any more stays, is named, and keeps none of the others from it", () =>
    within(() =>
      Effect.gen(function* () {
        yield* Pipeline.run(
          jobOf(4, () => true),
          { name: "p" }
        )
        const text = yield* textOf()
        yield* DeadLetters.purge("p", {})
        const changed = text.replace('"input":2', '"input":"two"').replace('"input":3', '"input":null')
        yield* DeadLetters.import("p", changed)
        const ids = yield* idsOf()
        const written: Array<number> = []
        const error = yield* Effect.flip(
          Pipeline.replay(
            jobOf(4, () => false, written),
            { name: "p" }
          )
        )
        assert.instanceOf(error, Pipeline.BadDeadLetter)
        assert.deepEqual(written, [1, 4])
        assert.deepEqual(yield* idsOf(), [ids[1], ids[2]])
        assert.include(error.message, `step "work": could not run dead letter ${ids[1]} again`)
        assert.include(error.message, `nor ${ids[2]}`)
        // The rest can be asked for without them.
        const none = yield* Pipeline.replay(
          jobOf(4, () => false),
          { name: "p", letters: { ids: [ids[0]!] } }
        )
        assert.deepEqual([none.outcome, none.settled], ["done", 0])
      })
    )
  )

  it.effect("are the same once they were carried to another journal, and come no second time", () =>
    within(() =>
      Effect.gen(function* () {
        const texts = ["a\0b", "\u001b[31m\u009b\u202e", "\ud800", "\r\n\u2028", "ü😀", ""]
        const letters = texts.map((text, at) =>
          letter({ at, step: text, cause: text, input: { [text]: text }, position: text, version: text, path: "" })
        )
        const many = range(100, 700).map((at) => letter({ at }))
        yield* buried([...letters, ...many])
        const text = yield* textOf()
        assert.notMatch(text, /[^\P{Cc}\n]|[\u2028-\u202e]/u)
        assert.lengthOf(text.split("\n"), 608)
        for (const line of text.trimEnd().split("\n")) assert.include(JSON.parse(line), { format: 1, pipeline: "p" })

        const known = yield* DeadLetters.import("p", text)
        assert.deepEqual(known, { added: 0, known: 607 })
        const elsewhere = { partition: "2" }
        assert.deepEqual(yield* DeadLetters.import("p", text, elsewhere), { added: 607, known: 0 })
        const plain = (letters: ReadonlyArray<Journal.KeptDeadLetter>) =>
          letters.map(({ id: _, replayed: __, ...rest }) => rest)
        const brought = yield* Stream.runCollect(DeadLetters.list("p", elsewhere))
        assert.deepEqual(plain(brought), [...letters, ...many])

        // Cut anywhere, with other line ends, fields in another order, and an empty line.
        const reordered = text
          .trimEnd()
          .split("\n")
          .map((line) => JSON.stringify(Object.fromEntries(Object.entries(JSON.parse(line)).toReversed())))
        const pieces = `\uFEFF${reordered.join("\r\n")}\r\n\r\n`.match(/[^]{1,1000}/gu)!
        const again = DeadLetters.import("p", Stream.fromIterable(pieces), elsewhere)
        assert.deepEqual(yield* again, { added: 0, known: 607 })
      })
    )
  )

  it.effect("that ran again since, or when they were written, are known", () =>
    within(() =>
      Effect.gen(function* () {
        yield* Pipeline.run(
          jobOf(3, () => true),
          { name: "p" }
        )
        const text = yield* textOf()
        yield* Pipeline.replay(
          jobOf(3, (n) => n === 3),
          { name: "p", letters: { limit: 2 } }
        )
        assert.deepEqual(yield* DeadLetters.import("p", text), { added: 0, known: 3 })
        const settled = yield* textOf({ replayed: true })
        assert.deepEqual(yield* DeadLetters.import("q", settled), { added: 0, known: 2 })
        assert.deepEqual(yield* idsOf({}, "q"), [])
        // What was taken out is not known any more.
        yield* DeadLetters.purge("p", { replayed: true })
        assert.deepEqual(yield* DeadLetters.import("p", text), { added: 2, known: 1 })
      })
    )
  )

  it.effect("that are equal are as many as were brought at most, however far apart they are", () =>
    within(() =>
      Effect.gen(function* () {
        yield* buried([letter()])
        const line = yield* textOf()
        assert.deepEqual(yield* DeadLetters.import("p", line.repeat(3)), { added: 2, known: 1 })
        assert.deepEqual(yield* DeadLetters.import("p", line.repeat(3)), { added: 0, known: 3 })
        assert.deepEqual(yield* DeadLetters.import("p", line.repeat(600)), { added: 597, known: 3 })
        assert.deepEqual(yield* DeadLetters.import("p", line.repeat(600)), { added: 0, known: 600 })
      })
    )
  )

  it.effect("of a text with lines that are none are not imported, and the lines are named", () =>
    within(() =>
      Effect.gen(function* () {
        yield* buried(range(1, 300).map((at) => letter({ at })))
        const text = yield* textOf()
        yield* DeadLetters.purge("p", {})
        const [first = ""] = text.split("\n")
        const bad = [
          "nonsense \u001b[31m",
          "[]",
          JSON.stringify({ ...JSON.parse(first), format: 2 }),
          JSON.stringify({ ...JSON.parse(first), at: 1.5 }),
          `${"[".repeat(100_000)}`
        ]
        const error = yield* Effect.flip(DeadLetters.import("p", `${text}${bad.join("\n")}\n${first}`))
        assert.instanceOf(error, DeadLetters.BadLines)
        assert.deepEqual([error.count, error.lines.map(({ line }) => line)], [5, [301, 302, 303, 304, 305]])
        assert.include(error.message, "line 303: a newer version of Skein wrote it (format 2, this one knows 1)")
        assert.notInclude(error.message, "\u001b")
        assert.deepEqual(yield* idsOf(), [])
        const many = yield* Effect.flip(DeadLetters.import("p", "x\n".repeat(1000)))
        assert.include(many.message, "and 990 more. Nothing was imported")
        // A text that breaks off.
        const broken = Stream.concat(Stream.succeed(text), Stream.fail("unplugged"))
        assert.strictEqual(yield* Effect.flip(DeadLetters.import("p", broken)), "unplugged")
        assert.deepEqual(yield* idsOf(), [])
        assert.deepEqual(yield* DeadLetters.import("p", text), { added: 300, known: 0 })
      })
    )
  )

  it.effect("P10 are not taken out, nor imported, while a replay or a run is at them", () =>
    within((open) =>
      Effect.gen(function* () {
        yield* Pipeline.run(
          jobOf(3, () => true),
          { name: "p" }
        )
        const text = yield* textOf()
        for (const how of ["replay", "run"] as const) {
          const begun = yield* Deferred.make<void>()
          const go = yield* Deferred.make<void>()
          const slow = Pipeline.from(Source.list(range(1, 4), { name: "numbers" })).pipe(
            Pipeline.map((n) => Effect.as(Effect.andThen(Deferred.succeed(begun, undefined), Deferred.await(go)), n), {
              name: "work",
              onError: { deadLetter: Schema.Number }
            }),
            Pipeline.to(Sink.forEach(() => Effect.void))
          )
          const running = yield* Effect.forkChild((how === "run" ? Pipeline.run : Pipeline.replay)(slow, { name: "p" }))
          yield* Deferred.await(begun)
          const there = yield* idsOf()
          for (const change of [
            Effect.asVoid(DeadLetters.purge("p", {})),
            Effect.asVoid(DeadLetters.import("p", text))
          ]) {
            const other = kind === "memory" ? yield* Journal.Journal : yield* open("a")
            const refused = yield* Effect.flip(Effect.provideService(change, Journal.Journal, other))
            assert.instanceOf(refused, Journal.AlreadyRunning)
          }
          assert.lengthOf(there, 3)
          assert.deepEqual(yield* idsOf(), there)
          yield* Deferred.succeed(go, undefined)
          yield* Fiber.join(running)
          yield* buried(range(1, 3).map((at) => letter({ at })))
        }
      })
    )
  )

  it.effect("P10 are not touched by one who has lost the lease meanwhile", () =>
    within((open) =>
      Effect.gen(function* () {
        if (kind === "memory") return
        yield* buried([letter()])
        // Each takes the other for dead.
        const [a, b] = [yield* open("a"), yield* open("b")]
        const old = yield* leaseOf(a, { pipeline: "p" })
        yield* Effect.scoped(Effect.asVoid(leaseOf(b, { pipeline: "p" })))
        const tries = [old.purge({}), old.adopt(Stream.make(letter({ at: 2 }))), old.told([1])]
        for (const attempt of tries) assert.instanceOf(yield* Effect.flip(attempt), Journal.LeaseLost)
        assert.deepEqual(yield* atsOf(), [letter().at])
      })
    )
  )

  it.effect("P10 are imported whole or not at all, and who was cut off gives back the lease", () =>
    within(() =>
      Effect.gen(function* () {
        yield* buried(range(1, 600).map((at) => letter({ at })))
        const text = yield* textOf()
        yield* DeadLetters.purge("p", {})
        const read = yield* Deferred.make<void>()
        const hanging = Stream.concat(
          Stream.succeed(text),
          Stream.fromEffect(Effect.andThen(Deferred.succeed(read, undefined), Effect.never))
        )
        const running = yield* Effect.forkChild(DeadLetters.import("p", hanging))
        yield* Deferred.await(read)
        yield* Fiber.interrupt(running)
        assert.deepEqual(yield* idsOf(), [])
        assert.deepEqual(yield* DeadLetters.import("p", text), { added: 600, known: 0 })
      })
    )
  )

  it.effect("P10 of two imports at once one is refused, or finds all known", () =>
    within((open) =>
      Effect.gen(function* () {
        yield* buried(range(1, 300).map((at) => letter({ at })))
        const text = yield* textOf()
        yield* DeadLetters.purge("p", {})
        const others = yield* Effect.forEach(range(1, 4), () => open("a"))
        const exits = yield* Effect.forEach(
          others,
          (journal) => Effect.exit(Effect.provideService(DeadLetters.import("p", text), Journal.Journal, journal)),
          { concurrency: "unbounded" }
        )
        let added = 0
        for (const exit of exits) {
          if (Exit.isSuccess(exit)) added += exit.value.added
          else assert.include(["AlreadyRunning", "JournalError"], (Cause.squash(exit.cause) as { _tag: string })._tag)
        }
        assert.strictEqual(added, 300)
        assert.deepEqual(yield* atsOf(), range(1, 300))
      })
    )
  )

  it.effect("P13 whoever wants to know is told of each once it is durable, and before the next commit", () =>
    within((open) =>
      Effect.gen(function* () {
        const other = yield* open("b")
        const told: Array<Schema.Json> = []
        const onDead = (letter: Journal.KeptDeadLetter) =>
          Effect.gen(function* () {
            const there = yield* other.dead(Journal.keyOf("p"), { ids: [letter.id] })
            assert.deepEqual(there, [letter])
            told.push(letter.input)
          }).pipe(Effect.orDie)
        const isBad = (n: number) => n % 3 === 0
        yield* Pipeline.run(jobOf(30, isBad), { name: "p", onDead, window: { items: 4 } })
        assert.deepEqual(told, range(1, 30).filter(isBad))
        yield* Pipeline.replay(
          jobOf(30, (n) => n === 6),
          { name: "p", onDead }
        )
        assert.deepEqual(told.slice(10), [6])
        // A run that nobody asked owes nothing to the next one that somebody does.
        yield* Pipeline.run(jobOf(33, isBad), { name: "p" })
        yield* Pipeline.run(jobOf(34, isBad), { name: "p", onDead })
        assert.deepEqual(told.slice(11), [])
      })
    )
  )

  it.effect("P13 who was cut off in being told is told again by the next run that tells", () =>
    within(() =>
      Effect.gen(function* () {
        const told: Array<Schema.Json> = []
        const telling = (until: number) => (letter: Journal.KeptDeadLetter) =>
          Effect.suspend(() => {
            told.push(letter.input)
            return told.length === until ? Effect.die("unplugged") : Effect.void
          })
        const job = jobOf(6, () => true)
        const cut = yield* Effect.exit(Pipeline.run(job, { name: "p", onDead: telling(3) }))
        assert.strictEqual(Exit.isFailure(cut) && Cause.squash(cut.cause), "unplugged")
        assert.deepEqual(told, [1, 2, 3])
        yield* Pipeline.run(job, { name: "p" })
        yield* Pipeline.run(job, { name: "p", onDead: telling(0) })
        assert.deepEqual(told.slice(3), [1, 2, 3, 4, 5, 6])
        yield* Pipeline.run(job, { name: "p", onDead: telling(0) })
        assert.lengthOf(told, 9)
        assert.lengthOf(yield* idsOf(), 6)
      })
    )
  )

  it.effect(
    "keep the trace of what caused them: each by its class and message, within a bound and without secrets",
    () =>
      within(() =>
        Effect.gen(function* () {
          class Refused extends Schema.TaggedError<Refused>()("Refused", {
            host: Schema.String,
            password: Schema.String
          }) {}
          const failures = [
            new Refused({ host: "a\u001b[31m", password: "hunter2" }),
            new Error("outer", {
              cause: new TypeError("in https://ada:hunter2@b.c/?token=hunter2", { cause: "the end" })
            }),
            new AggregateError([new Error("one"), new RangeError("two")], "both"),
            new Error(`${"x".repeat(3990)} https://ada:hunter2@b.c/`),
            new Error("x".repeat(10_000_000), { cause: "y".repeat(10_000_000) }),
            Array.from({ length: 1000 }).reduce<unknown>((cause, _, n) => new Error(`${n}`, { cause }), "root"),
            undefined
          ]
          const job = Pipeline.from(failures.map((_, n) => n)).pipe(
            Pipeline.map((n) => Effect.fail(failures[n]), { onError: { deadLetter: Schema.Number } }),
            Pipeline.to(Sink.discard)
          )
          yield* Pipeline.run(job, { name: "p" })
          const letters = yield* Stream.runCollect(DeadLetters.list("p"))
          const [refused, chain, both, cut, long, deep, none] = letters.map(({ causes }) => causes)
          const plain = (causes: ReadonlyArray<Journal.LetterCause> | undefined) =>
            causes?.map(({ depth, message, name }) => [depth, name, message])
          assert.deepEqual(plain(refused), [[0, "Refused", ' { host: "a\\u001b[31m", password: *** }']])
          assert.deepEqual(plain(chain), [
            [0, "Error", "outer"],
            [1, "TypeError", "in https://***@b.c/?token=***"],
            [2, "", "the end"]
          ])
          assert.match(chain?.[1]?.stack ?? "", /^at .*DeadLetters\.test\.ts/)
          assert.notInclude(chain?.[1]?.stack ?? "", "hunter2")
          assert.deepEqual(plain(both), [
            [0, "AggregateError", "both"],
            [1, "Error", "one"],
            [1, "RangeError", "two"]
          ])
          assert.notInclude(JSON.stringify([cut, letters[3]]), "hunter2")
          assert.isBelow(JSON.stringify([long, letters[4]]).length, 50_000)
          assert.isBelow(deep!.length, 21)
          assert.deepEqual(none, [])
        })
      )
  )
})

describe.each(databases)("dead letters in $database: taking them out", ({ direct, url }) => {
  it.effect("P10 that fails on the last one takes out none", () =>
    Effect.gen(function* () {
      const at = yield* url
      const { journal } = yield* connect(at)
      const purge = Effect.provideService(DeadLetters.purge("p", {}), Journal.Journal, journal)
      yield* journal.bury(
        Journal.keyOf("p"),
        range(1, 600).map((at) => letter({ at }))
      )
      yield* direct(at, "CREATE TABLE holds (id BIGINT REFERENCES skein_dead (id))")
      yield* direct(at, "INSERT INTO holds SELECT max(id) FROM skein_dead")
      assert.instanceOf(yield* Effect.flip(purge), Journal.JournalError)
      assert.lengthOf(yield* journal.dead(Journal.keyOf("p")), 600)
      yield* direct(at, "DROP TABLE holds")
      assert.strictEqual(yield* purge, 600)
    })
  )

  it.effect("that a version kept before there were traces are read as they are, and gain none", () =>
    Effect.gen(function* () {
      const at = yield* url
      const first = yield* connect(at)
      yield* first.journal.bury(Journal.keyOf("p"), [letter({ at: 1 })])
      yield* direct(at, "DROP INDEX skein_dead_at")
      yield* direct(at, "ALTER TABLE skein_dead DROP COLUMN causes")
      yield* direct(at, "ALTER TABLE skein_dead DROP COLUMN untold")
      const journal = sqlJournal(yield* connect(at), host("a"))
      const given = <A, E>(effect: Effect.Effect<A, E, Journal.Journal>) =>
        Effect.provideService(effect, Journal.Journal, journal)
      const old = { ...letter({ at: 1 }), causes: [] }
      const plain = Effect.map(Stream.runCollect(DeadLetters.list("p")), (letters) =>
        letters.map(({ id: _, replayed: __, ...rest }) => rest)
      )
      assert.deepEqual(yield* given(plain), [old])
      assert.deepEqual(yield* given(atsOf({ cause: "no number" })), [1])
      assert.deepEqual(yield* given(atsOf({ cause: "Refused" })), [])
      assert.deepEqual(yield* journal.dead(Journal.keyOf("p"), { untold: true }), [])
      const text = yield* given(textOf())
      assert.deepEqual(yield* given(DeadLetters.import("p", text + text.replace('"at":1,', '"at":2,'))), {
        added: 1,
        known: 1
      })
      assert.deepEqual(yield* given(plain), [old, { ...old, at: 2 }])
    })
  )
})
