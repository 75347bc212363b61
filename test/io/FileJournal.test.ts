import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import { Files, Journal, Pipeline, Sink, Source } from "skein"
import { Disk as SimDisk, Interrupt, Leaks } from "skein/testing"
import { make } from "../../src/io/files/journal/FileJournal.ts"
import type { Host } from "../../src/pipeline/context/Host.ts"
import { checkpoint, kept, leaseOf } from "../support/database.ts"
import * as Disk from "../support/disk.ts"

const letter = (changes: Partial<Journal.DeadLetter> = {}): Journal.DeadLetter => ({
  step: "parse",
  input: { line: "x'\"; \n\ud800 ü" },
  cause: "no number",
  causes: [
    { depth: 0, name: "Refused", message: "x'\"\u0000\ud800\u001b[31m", stack: "at a (b.ts:1:2)\nat c" },
    { depth: 1, name: "", message: "" }
  ],
  attempts: 4,
  version: "2",
  position: { byte: 12, line: 1 },
  path: "3.1",
  at: 1_790_000_000_123,
  ...changes
})

const key = Journal.keyOf("p")
const newPath = Effect.map(
  FileSystem.FileSystem.use((fs) => fs.makeTempDirectoryScoped()),
  (folder) => `${folder}/run.journal`
)
const textOf = (path: string) => FileSystem.FileSystem.use((fs) => fs.readFileString(path))
const beside = (path: string) =>
  FileSystem.FileSystem.use((fs) => fs.readDirectory(path.slice(0, path.lastIndexOf("/")))).pipe(
    Effect.map((names) => names.toSorted())
  )

/** What a run does that takes the lease for one commit. */
const commit = (
  journal: Journal.Journal,
  changes: Partial<Journal.Checkpoint> = {},
  rest: Partial<Omit<Journal.Commit, "checkpoint">> = {},
  leased: { readonly pipeline?: string; readonly partition?: string } = {}
) =>
  Effect.scoped(
    Effect.flatMap(leaseOf(journal, { pipeline: "p", ...leased }), (lease) =>
      lease.commit(Effect.succeed(kept(changes, rest)))
    )
  )

/** A lease that is held until `ended`, as that of a process that may end without a word. */
const held = (journal: Journal.Journal, leased: Parameters<typeof leaseOf>[1] = {}) =>
  Effect.gen(function* () {
    const scope = yield* Scope.make()
    const lease = yield* Scope.provide(leaseOf(journal, { pipeline: "p", ...leased }), scope)
    return { lease, ended: Scope.close(scope, Exit.void) }
  })

const host = (id: string, runs: { readonly [id: string]: boolean } = {}): Host => ({
  id,
  label: `process ${id}`,
  runs: (other) => (other === id ? true : runs[other])
})

/** The file system where each call comes a random while later. */
const slowed = (fs: FileSystem.FileSystem): FileSystem.FileSystem => {
  const later = Effect.flatMap(Random.nextIntBetween(0, 12), (turns) =>
    Effect.forEach(Array.from({ length: turns }), () => Effect.yieldNow, { discard: true })
  )
  return {
    ...fs,
    link: (from, to) => Effect.andThen(later, fs.link(from, to)),
    rename: (from, to) => Effect.andThen(later, fs.rename(from, to)),
    remove: (path, options) => Effect.andThen(later, fs.remove(path, options)),
    readFileString: (path, encoding) => Effect.andThen(later, fs.readFileString(path, encoding))
  }
}

/** A process that is gone at some step of taking the lock from the one that is dead. */
const diesTaking = (disk: SimDisk.Disk, seed: number) =>
  Effect.suspend(() => {
    let steps = 0
    const fs = disk.fileSystem
    const last = 3 + (seed % 5)
    const counted = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
      Effect.suspend(() => (++steps > last ? Effect.die("killed") : effect))
    const until: FileSystem.FileSystem = {
      ...fs,
      link: (from, to) => counted(fs.link(from, to)),
      rename: (from, to) => counted(fs.rename(from, to)),
      remove: (path, options) => counted(fs.remove(path, options)),
      readFileString: (path, encoding) => counted(fs.readFileString(path, encoding))
    }
    return Effect.flatMap(make("/run.journal", host("killed", { dead: false })), held).pipe(
      Effect.provideService(FileSystem.FileSystem, until),
      Effect.exit
    )
  })

it.layer(NodeServices.layer)("FileJournal", (it) => {
  describe("what was committed is loaded", () => {
    it.effect("nothing before the first commit, and then all of the last one, also by the next process", () =>
      Effect.gen(function* () {
        const path = yield* newPath
        const first = yield* make(path)
        assert.deepEqual(yield* first.load(key), Option.none())
        yield* commit(first)
        const last = checkpoint({
          fingerprint: { path: "é'\"", size: 1, nested: [null, { a: true }] },
          position: Option.some({ byte: 2 ** 40, of: [1.5, "x"] }),
          ahead: [1, 2, 7],
          reach: Option.some({ position: [null], fingerprint: { chain: "ü" } }),
          sinks: {
            "file a": { fingerprint: { key: ["id"] }, state: null },
            "'\"": { fingerprint: {}, state: { b: 1 } }
          },
          counts: { settled: 6, written: 5, filtered: 4, skipped: 3, dead: 2, bytes: 2 ** 50 },
          finished: true
        })
        const { ended, lease } = yield* held(first)
        yield* lease.commit(Effect.succeed({ ...kept(), checkpoint: last }))
        assert.deepEqual(yield* lease.load, Option.some(last))
        yield* ended
        const next = yield* make(path, host("next"))
        assert.deepEqual(yield* next.load(key), Option.some(last))
        assert.deepEqual(yield* next.load(Journal.keyOf("other")), Option.none())
        assert.deepEqual(yield* beside(path), ["run.journal"])
      })
    )

    it.effect("a position and a sink's state of null are not the same as none", () =>
      Effect.gen(function* () {
        const journal = yield* make(yield* newPath)
        for (const position of [Option.none(), Option.some(null), Option.some("null")]) {
          const reach = Option.map(position, (position) => ({ position, fingerprint: {} }))
          yield* commit(journal, { position, reach })
          const found = Option.getOrThrow(yield* journal.load(key))
          assert.deepEqual([found.position, found.reach], [position, reach])
        }
      })
    )

    it.effect("each pipeline and each of its partitions has its own, whatever their names", () =>
      Effect.gen(function* () {
        const journal = yield* make(yield* newPath)
        const names = ["", "a", "A", "a:b", '"],"x', "ü", "\ud800", "\n"]
        const keys = names.flatMap((name) => [
          Journal.keyOf(name),
          ...names.map((partition) => Journal.keyOf(name, partition))
        ])
        for (const [n, { partition, pipeline }] of keys.entries()) {
          const leased = { pipeline, ...(partition !== null && { partition }) }
          yield* commit(journal, { position: Option.some(n) }, { dead: [letter({ at: n })] }, leased)
        }
        for (const [n, key] of keys.entries()) {
          assert.deepEqual(Option.getOrThrow(yield* journal.load(key)).position, Option.some(n))
          assert.deepEqual(
            (yield* journal.dead(key)).map(({ at }) => at),
            [n]
          )
        }
      })
    )
  })

  describe("dead letters", () => {
    it.effect("come back as they were, oldest first, until a replay has settled them", () =>
      Effect.gen(function* () {
        const path = yield* newPath
        const journal = yield* make(path)
        assert.deepEqual(yield* journal.dead(key), [])
        const letters = [
          letter(),
          letter({ input: null, position: [2], path: "", version: null }),
          letter({ input: "text", cause: "" })
        ]
        yield* commit(journal, {}, { dead: letters.slice(0, 2) })
        yield* commit(journal, {}, { dead: letters.slice(2) })
        yield* commit(journal, {}, { dead: [letter()] }, { pipeline: "other" })
        yield* commit(journal, {}, { dead: [letter()] }, { partition: "1" })
        const found = yield* (yield* make(path)).dead(key)
        assert.deepEqual(
          found.map(({ id: _, replayed, ...rest }) => ({ ...rest, replayed })),
          letters.map((one) => ({ ...one, replayed: false }))
        )
        const ids = found.map(({ id }) => id)
        yield* commit(journal, {}, { replayed: ids.slice(0, 2) })
        yield* commit(journal, {}, { replayed: ids }, { pipeline: "other" })
        assert.deepEqual(
          (yield* journal.dead(key)).map(({ id }) => id),
          ids.slice(2)
        )
        // A number is not given again.
        yield* commit(journal, {}, { replayed: ids, dead: [letter()] })
        assert.notInclude(ids, (yield* journal.dead(key))[0]!.id)
        assert.strictEqual((yield* journal.dead(Journal.keyOf("p", "1"))).length, 1)
      })
    )

    it.effect("P10 are forgotten by the commit that starts over, which may keep new ones", () =>
      Effect.gen(function* () {
        const journal = yield* make(yield* newPath)
        yield* commit(journal, {}, { dead: [letter({ at: 1 }), letter({ at: 2 })] })
        yield* commit(journal, {}, { restart: true, dead: [letter({ at: 4 })] })
        assert.deepEqual(
          (yield* journal.dead(key)).map(({ at }) => at),
          [4]
        )
      })
    )

    it.effect("are kept without a commit, and without a lease", () =>
      Effect.gen(function* () {
        const path = yield* newPath
        const journal = yield* make(path)
        yield* journal.bury(key, [letter({ at: 1 })])
        const { ended, lease } = yield* held(journal)
        yield* journal.bury(key, [letter({ at: 2 }), letter({ at: 3 })])
        yield* lease.commit(Effect.succeed(kept()))
        const ats = Effect.map(journal.dead(key), (found) => found.map(({ at }) => at))
        assert.deepEqual(yield* ats, [1, 2, 3])
        const other = yield* make(path, host("other"))
        const refused = yield* Effect.flip(other.bury(key, [letter()]))
        assert.include(refused.message, `could not keep dead letters: ${JSON.stringify(path)}: `)
        yield* ended
        yield* other.bury(key, [letter({ at: 4 })])
        assert.deepEqual(yield* ats, [1, 2, 3, 4])
      })
    )
  })

  describe("P10 the lease", () => {
    /** The journals of several processes in one file. */
    const among = <const Hosts extends ReadonlyArray<Host>>(...hosts: Hosts) =>
      Effect.gen(function* () {
        const path = yield* newPath
        const journals = yield* Effect.forEach(hosts, (host) => make(path, host))
        return { path, journals: journals as unknown as { [H in keyof Hosts]: Journal.Journal } }
      })

    it.effect("is refused while its holder lives, which is told, and is there again at its end", () =>
      Effect.gen(function* () {
        const { journals, path } = yield* among(host("a"), host("b", { a: true }))
        const [a, b] = journals
        const since = yield* Clock.currentTimeMillis
        const { ended } = yield* held(a)
        for (const journal of [a, b]) {
          const error = yield* Effect.flip(held(journal))
          assert.instanceOf(error, Journal.AlreadyRunning)
          assert.deepInclude(error, { pipeline: "p", holder: journal === a ? "this process" : "process a", since })
        }
        // One that is known to live keeps it, whatever its time: nothing would keep it from writing.
        yield* TestClock.adjust("1 hour")
        assert.instanceOf(yield* Effect.flip(held(b)), Journal.AlreadyRunning)
        yield* ended
        yield* (yield* held(b)).ended
        assert.deepEqual(yield* beside(path), ["run.journal"])
      })
    )

    it.effect("of other pipelines: any number in one process, none in another", () =>
      Effect.gen(function* () {
        const { journals, path } = yield* among(host("a"), host("b", { a: true }))
        const [a, b] = journals
        const first = yield* held(a)
        const second = yield* held(a, { pipeline: "q" })
        const part = yield* held(a, { partition: "1" })
        const error = yield* Effect.flip(held(b, { pipeline: "r" }))
        assert.instanceOf(error, Journal.JournalError)
        assert.include(error.message, `${JSON.stringify(path)}: process a uses it for pipeline "p"`)
        yield* first.ended
        yield* second.lease.commit(Effect.succeed(kept()))
        yield* second.ended
        yield* part.lease.commit(Effect.succeed(kept()))
        yield* part.ended
        yield* (yield* held(b, { pipeline: "r" })).ended
      })
    )

    it.effect("of a dead holder is taken over at once, and who comes back has lost it", () =>
      Effect.gen(function* () {
        const { journals, path } = yield* among(host("a"), host("b", { a: false }))
        const [a, b] = journals
        const old = yield* held(a)
        yield* old.lease.guard(Effect.void)
        yield* old.lease.commit(Effect.succeed(kept({ ahead: [1] })))
        const { ended, lease } = yield* held(b)
        assert.strictEqual(lease.id, old.lease.id)
        assert.isFalse(lease.clean)
        assert.deepEqual(Option.getOrThrow(yield* lease.load).ahead, [1])
        const before = yield* textOf(path)
        let wrote = false
        const writing = Effect.sync(() => void (wrote = true))
        for (const use of [
          old.lease.commit(Effect.as(writing, kept({ ahead: [2] }))),
          old.lease.guard(writing),
          old.lease.renew,
          old.lease.load
        ]) {
          const lost = yield* Effect.flip(use as Effect.Effect<unknown, unknown>)
          assert.deepInclude(lost, { _tag: "LeaseLost", holder: "process b" })
        }
        assert.isFalse(wrote)
        yield* old.lease.leaveClean
        yield* old.ended
        assert.strictEqual(yield* textOf(path), before)
        yield* lease.commit(Effect.succeed(kept({ ahead: [3] })))
        yield* ended
        assert.deepEqual(yield* beside(path), ["run.journal"])
      })
    )

    it.effect("P10 a commit is lost as well where it is taken over in the middle of it", () =>
      Effect.gen(function* () {
        const { journals } = yield* among(host("a"), host("b", { a: false }))
        const [a, b] = journals
        const old = yield* held(a)
        const lost = yield* Effect.flip(
          old.lease.commit(
            Effect.gen(function* () {
              const { lease } = yield* held(b)
              yield* lease.commit(Effect.succeed(kept({ ahead: [1] })))
              return kept({ ahead: [2] })
            })
          )
        )
        assert.deepInclude(lost, { _tag: "LeaseLost", holder: "process b" })
        assert.deepEqual(Option.getOrThrow(yield* b.load(key)).ahead, [1])
      })
    )

    it.effect("of a holder that cannot be looked after ends with its time, unless it is renewed", () =>
      Effect.gen(function* () {
        const { journals } = yield* among(host("a"), host("b"))
        const [a, b] = journals
        const since = yield* Clock.currentTimeMillis
        const { lease } = yield* held(a, { duration: "15 minutes" })
        assert.deepEqual(Option.map(lease.renewEvery, Duration.toMillis), Option.some(300_000))
        yield* TestClock.adjust("10 minutes")
        yield* lease.renew
        yield* TestClock.adjust("10 minutes")
        const error = yield* Effect.flip(held(b))
        assert.instanceOf(error, Journal.AlreadyRunning)
        assert.strictEqual(error.until - since, Duration.toMillis("25 minutes"))
        yield* TestClock.adjust("5 minutes")
        yield* held(b)
        assert.instanceOf(yield* Effect.flip(lease.renew), Journal.LeaseLost)
      })
    )

    it.effect("is taken by one of many who find its holder dead at once", () =>
      Effect.gen(function* () {
        const path = yield* newPath
        const dead = { dead: false, a: true, b: true, c: true, d: true }
        yield* held(yield* make(path, host("dead")))
        const taking = ["a", "b", "c", "d"].map((id) =>
          Effect.flatMap(make(path, host(id, dead)), (journal) => Effect.exit(held(journal)))
        )
        const exits = yield* Effect.all(taking, { concurrency: "unbounded" })
        assert.strictEqual(exits.filter(Exit.isSuccess).length, 1)
      })
    )

    it.effect(
      "is taken by one of many in whatever order they come to each step, and also behind one that died taking it",
      () =>
        Effect.gen(function* () {
          const dead = { dead: false, killed: false, a: true, b: true, c: true, d: true }
          for (let seed = 0; seed < (process.env["SKEIN_DEEP"] === undefined ? 40 : 2000); seed++) {
            const disk = yield* SimDisk.make()
            const uneven = slowed(disk.fileSystem)
            yield* Effect.gen(function* () {
              const left = yield* held(yield* make("/run.journal", host("dead")))
              yield* left.lease.commit(Effect.succeed(kept({ ahead: [7] })))
              const journals = ["a", "b", "c", "d"].map((id) => make("/run.journal", host(id, dead)))
              if (seed % 2 === 1) yield* diesTaking(disk, seed)
              const exits = yield* Effect.all(
                journals.map((journal) => Effect.exit(Effect.flatMap(journal, held))),
                { concurrency: "unbounded" }
              ).pipe(Effect.provideService(FileSystem.FileSystem, uneven))
              const took = exits.filter(Exit.isSuccess)
              assert.strictEqual(took.length, 1, `seed ${seed}`)
              for (const exit of exits.filter(Exit.isFailure)) {
                assert.instanceOf(Cause.squash(exit.cause), Journal.AlreadyRunning)
              }
              const { ended, lease } = took[0]!.value
              assert.deepEqual(Option.getOrThrow(yield* lease.load).ahead, [7])
              yield* ended
              assert.deepEqual(
                disk.paths.filter((path) => path.endsWith("lock")),
                []
              )
            }).pipe(
              Effect.scoped,
              Effect.provideService(FileSystem.FileSystem, disk.fileSystem),
              Random.withSeed(`${seed}`)
            )
          }
        })
    )

    it.effect("tells whether the run before left cleanly, which one that was killed did not", () =>
      Effect.gen(function* () {
        const { journals } = yield* among(host("a"), host("b", { a: false }))
        const [a, b] = journals
        const first = yield* held(a)
        assert.isTrue(first.lease.clean)
        yield* first.lease.guard(Effect.void)
        yield* first.lease.guard(first.lease.leaveClean)
        yield* first.ended
        const second = yield* held(a)
        assert.isTrue(second.lease.clean)
        yield* second.lease.guard(Effect.void)
        yield* second.ended
        const third = yield* held(a)
        assert.isFalse(third.lease.clean)
        yield* third.lease.leaveClean
        // What could not be opened has left nothing.
        yield* Effect.flip(third.lease.guard(Effect.fail("no")))
        yield* third.ended
        const fourth = yield* held(a)
        assert.isTrue(fourth.lease.clean)
        yield* fourth.lease.guard(Effect.void)
        assert.isFalse((yield* held(b)).lease.clean)
      })
    )

    it.effect("is lost when the file, or its lock, is deleted by hand", () =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        for (const gone of ["", ".lock"]) {
          const { journals, path } = yield* among(host("a"))
          const [journal] = journals
          const { ended, lease } = yield* held(journal)
          yield* lease.commit(Effect.succeed(kept()))
          yield* fs.remove(`${path}${gone}`)
          const lost = yield* Effect.flip(lease.commit(Effect.succeed(kept())))
          assert.deepInclude(lost, {
            _tag: "LeaseLost",
            holder: "somebody who deleted its journal, or the lock of that"
          })
          yield* ended
          const next = yield* held(journal)
          if (gone === "") assert.notStrictEqual(next.lease.id, lease.id)
          yield* next.lease.commit(Effect.succeed(kept()))
          yield* next.ended
        }
      })
    )

    it.effect("is not needed to read, and reading does not end it", () =>
      Effect.gen(function* () {
        const { journals } = yield* among(host("a"), host("b"))
        const [a, b] = journals
        const { lease } = yield* held(a)
        yield* lease.commit(Effect.succeed(kept({}, { dead: [letter()] })))
        assert.isTrue(Option.isSome(yield* b.load(key)))
        assert.strictEqual((yield* b.dead(key)).length, 1)
        yield* lease.commit(Effect.succeed(kept()))
      })
    )
  })

  describe("the file", () => {
    it.effect("cut at any byte of its last three commits says what was committed before", () =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const path = "/run.journal"
        const journal = yield* make(path)
        const lengths: Array<number> = []
        const size = Effect.map(textOf(path), (text) => lengths.push(Buffer.byteLength(text)))
        const { ended, lease } = yield* held(journal)
        for (let n = 0; n < 5; n++) {
          yield* lease.commit(Effect.succeed(kept({ position: Option.some(n) }, { dead: [letter({ at: n })] })))
          yield* size
        }
        yield* ended
        const whole = yield* fs.readFile(path)
        for (let length = lengths[1]!; length <= whole.length; length++) {
          yield* fs.writeFile(path, whole.subarray(0, length))
          const last = lengths.filter((end) => end <= length).length - 1
          const expected = Array.from({ length: last + 1 }, (_, n) => n)
          const found = Effect.gen(function* () {
            const kept = Option.getOrThrow(yield* journal.load(key))
            return [kept.position, (yield* journal.dead(key)).map(({ at }) => at)]
          })
          assert.deepEqual(yield* found, [Option.some(last), expected], `cut to ${length} of ${whole.length}`)
          if (length % 5 > 0) continue
          // And the next commit stands behind what is whole.
          yield* commit(journal, { position: Option.some("next") }, { dead: [letter({ at: last + 1 })] })
          assert.deepEqual(yield* found, [Option.some("next"), [...expected, last + 1]])
        }
      }).pipe(Effect.provide(SimDisk.layer()))
    )

    it.effect("changed anywhere but in its last line is refused, and stays as it is", () =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const path = yield* newPath
        const journal = yield* make(path)
        for (let n = 0; n < 3; n++) yield* commit(journal, { position: Option.some(n) })
        const whole = yield* textOf(path)
        const lines = whole.split("\n").slice(0, -1)
        const broken = [
          whole.replace('"position":0', '"position":7'),
          lines.toSpliced(2, 1).concat("").join("\n"),
          lines.with(1, "").concat("").join("\n"),
          `${lines[0]}\n${whole}`
        ]
        for (const text of broken) {
          yield* fs.writeFileString(path, text)
          for (const use of [journal.load(key), journal.dead(key), held(journal), journal.bury(key, [letter()])]) {
            const error = yield* Effect.flip(use as Effect.Effect<unknown, Journal.JournalError>)
            assert.include(error.message, "was it changed by hand? Restore it, or delete it to start over")
          }
          assert.strictEqual(yield* textOf(path), text)
        }
        for (const text of ["something else\n", '{"a":1}\n{"b":2}\n']) {
          yield* fs.writeFileString(path, text)
          assert.include((yield* Effect.flip(held(journal))).message, "it is no journal of Skein")
          assert.strictEqual(yield* textOf(path), text)
        }
        assert.deepEqual(yield* beside(path), ["run.journal"])
      })
    )

    it.effect("of a newer version is refused", () =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const path = yield* newPath
        yield* fs.writeFileString(path, '{"format":2,"sum":"dc1a44e45ba34ac4"}\n')
        const { lineOf } = yield* Effect.promise(() => import("../../src/io/files/journal/JournalRecord.ts"))
        yield* fs.writeFileString(path, lineOf(undefined, '{"format":2}').line)
        const error = yield* Effect.flip((yield* make(path)).load(key))
        assert.include(error.message, "a newer version of Skein wrote it (format 2, this one knows 1). Update")
      })
    )

    it.effect("is written anew once it is much longer than what it says, and says the same", () =>
      Effect.gen(function* () {
        const path = yield* newPath
        const journal = yield* make(path)
        const { ended, lease } = yield* held(journal)
        const other = yield* held(journal, { pipeline: "other" })
        yield* other.lease.commit(Effect.succeed(kept({ position: Option.some("other") })))
        let longest = 0
        const fs = yield* FileSystem.FileSystem
        for (let n = 0; n < 400; n++) {
          const rest = n === 0 ? { dead: [letter({ at: 1 }), letter({ at: 2 })] } : n === 1 ? { replayed: [1] } : {}
          yield* lease.commit(Effect.succeed(kept({ position: Option.some([n, "x".repeat(3000)]) }, rest)))
          longest = Math.max(longest, Number((yield* fs.stat(path)).size))
        }
        assert.isBelow(longest, 300_000)
        yield* ended
        yield* other.ended
        const next = yield* make(path)
        assert.deepEqual(Option.getOrThrow(yield* next.load(key)).position, Option.some([399, "x".repeat(3000)]))
        assert.deepEqual(Option.getOrThrow(yield* next.load(Journal.keyOf("other"))).position, Option.some("other"))
        assert.deepEqual(
          (yield* next.dead(key)).map(({ at, id }) => [at, id]),
          [[2, 2]]
        )
        assert.deepEqual(yield* beside(path), ["run.journal"])
      })
    )

    for (const code of ["ENOSPC", "EIO"] as const) {
      for (const what of ["writeAll", "sync"] as const) {
        it.effect(`keeps nothing of a commit that failed with ${code} in ${what}, and the next one goes on`, () =>
          Effect.gen(function* () {
            const path = yield* newPath
            let broken = false
            const failing = Effect.fail(Disk.fault(code, what))
            const disk = Disk.changed((file, to) =>
              to !== path
                ? {}
                : {
                    writeAll: (bytes) =>
                      broken && what === "writeAll"
                        ? Effect.andThen(file.writeAll(bytes.subarray(0, 20)), failing)
                        : file.writeAll(bytes),
                    sync: Effect.suspend(() => (broken && what === "sync" ? failing : file.sync))
                  }
            )
            yield* Effect.gen(function* () {
              const journal = yield* make(path)
              const { ended, lease } = yield* held(journal)
              yield* lease.commit(Effect.succeed(kept({ ahead: [1] })))
              broken = true
              const error = yield* Effect.flip(lease.commit(Effect.succeed(kept({ ahead: [2] }))))
              assert.instanceOf(error, Journal.JournalError)
              assert.include(error.message, "could not commit: ")
              broken = false
              assert.deepEqual(Option.getOrThrow(yield* lease.load).ahead, [1])
              yield* lease.commit(Effect.succeed(kept({ ahead: [3] })))
              yield* ended
              assert.deepEqual(Option.getOrThrow(yield* journal.load(key)).ahead, [3])
            }).pipe(disk)
          })
        )
      }
    }

    it.effect("has a commit on the disk before it counts, and its own name too", () =>
      Effect.gen(function* () {
        const disk = yield* SimDisk.make()
        yield* Effect.gen(function* () {
          const journal = yield* make("/new/run.journal")
          const { lease } = yield* held(journal)
          for (let n = 0; n < 100; n++) {
            yield* lease.commit(Effect.succeed(kept({ position: Option.some([n, "x".repeat(10_000)]) })))
            assert.strictEqual(disk.durable("/new/run.journal"), disk.text("/new/run.journal"))
          }
          yield* disk.crash
        }).pipe(Effect.provide(disk.layer))
        const found = yield* Effect.flatMap(make("/new/run.journal"), (journal) => journal.load(key)).pipe(
          Effect.provide(disk.layer)
        )
        assert.deepEqual(Option.getOrThrow(found).position, Option.some([99, "x".repeat(10_000)]))
      })
    )
  })

  describe("beside the file that is written", () => {
    const source = (count: number) =>
      Source.list(
        Array.from({ length: count }, (_, n) => `${n}`),
        { name: "numbers" }
      )

    it.effect("a run from file to file needs no journal of the program, and goes on where it stopped", () =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const folder = yield* fs.makeTempDirectoryScoped()
        yield* fs.writeFileString(`${folder}/in.txt`, "1\n2\n3\n")
        let broken = true
        const job = Pipeline.from(Files.lines(`${folder}/in.txt`)).pipe(
          Pipeline.map((line) => (broken && line === "3" ? Effect.fail("broken" as const) : Effect.succeed(line)), {
            name: "check"
          }),
          Pipeline.to(Files.lines(`${folder}/out.txt`))
        )
        const run = Pipeline.run(job, { name: "copy" })
        assert.strictEqual(yield* Effect.flip(run), "broken")
        broken = false
        assert.deepInclude(yield* run, { settled: 1, outcome: "done" })
        yield* fs.writeFileString(`${folder}/in.txt`, "4\n", { flag: "a" })
        assert.deepInclude(yield* run, { settled: 1, outcome: "done" })
        assert.strictEqual(yield* textOf(`${folder}/out.txt`), "1\n2\n3\n4\n")
        assert.deepEqual((yield* fs.readDirectory(folder)).toSorted(), [".out.txt.skein-journal", "in.txt", "out.txt"])
      })
    )

    it.effect("dead letters are kept there, and replayed from there; a step is given that journal", () =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const folder = yield* fs.makeTempDirectoryScoped()
        let broken = true
        const check = (line: string) =>
          Effect.flatMap(Journal.Journal, (journal) =>
            broken && line === "1" ? Effect.fail("broken") : Effect.succeed(`${line} ${journal.places.length > 0}`)
          )
        const job = Pipeline.from(source(3)).pipe(
          Pipeline.map(check, { onError: { deadLetter: Schema.String } }),
          Pipeline.to(Files.lines(`${folder}/out.txt`))
        )
        assert.deepInclude(yield* Pipeline.run(job, { name: "letters" }), { dead: 1, written: 2 })
        broken = false
        assert.deepInclude(yield* Pipeline.replay(job, { name: "letters" }), { written: 1 })
        assert.deepInclude(yield* Pipeline.replay(job, { name: "letters" }), { written: 0 })
        assert.strictEqual(yield* textOf(`${folder}/out.txt`), "0 true\n2 true\n1 true\n")
      })
    )

    it.effect("that of the program comes first, and so does that of a database", () =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const folder = yield* fs.makeTempDirectoryScoped()
        const job = Pipeline.from(source(2)).pipe(Pipeline.to(Sink.all(Sink.discard, Files.lines(`${folder}/out.txt`))))
        yield* Pipeline.run(job, { name: "all" }).pipe(Effect.provide(Journal.memory))
        yield* Pipeline.run(job, { name: "all" }).pipe(Effect.provide(Files.journal(`${folder}/else.journal`)))
        assert.deepEqual((yield* fs.readDirectory(folder)).toSorted(), ["else.journal", "out.txt"])
        yield* Pipeline.run(job, { name: "all" })
        assert.include(yield* fs.readDirectory(folder), ".out.txt.skein-journal")
      })
    )

    it.effect("P14 it is a place: neither read nor written by a job that is kept in it", () =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const folder = yield* fs.makeTempDirectoryScoped()
        const hidden = `${folder}/.out.txt.skein-journal`
        const run = (from: string, to: string) =>
          Pipeline.run(Pipeline.from(Files.lines(from)).pipe(Pipeline.to(Files.lines(to))), { name: "p" })
        yield* fs.writeFileString(`${folder}/in.txt`, "1\n")
        yield* run(`${folder}/in.txt`, `${folder}/out.txt`)
        const before = yield* textOf(hidden)
        yield* fs.symlink(hidden, `${folder}/link`)
        for (const name of [hidden, `${folder}/link`]) {
          assert.deepInclude(yield* Effect.flip(run(name, `${folder}/out.txt`)), { _tag: "SamePlace", one: "journal" })
          assert.deepInclude(
            yield* Effect.flip(
              Pipeline.run(Pipeline.from(source(1)).pipe(Pipeline.to(Files.lines(name))), { name: "p" }).pipe(
                Effect.provide(Files.journal(hidden))
              )
            ),
            { _tag: "SamePlace", one: "journal" }
          )
        }
        assert.strictEqual(yield* textOf(hidden), before)
      })
    )
  })

  it.effect("interrupted anywhere, leaves no lock, and what was committed", () =>
    Effect.gen(function* () {
      let interrupted = 0
      const disk = yield* SimDisk.make()
      const subject = Effect.scoped(
        Effect.gen(function* () {
          const lease = yield* leaseOf(yield* make("/run.journal", host("a")), { pipeline: "p" })
          yield* lease.guard(Effect.void)
          yield* lease.commit(Effect.succeed(kept({ position: Option.some(1) }, { dead: [letter({ at: 1 })] })))
          yield* lease.renew
          yield* lease.commit(Effect.succeed(kept({ position: Option.some(2) }, { dead: [letter({ at: 2 })] })))
          yield* lease.leaveClean
        })
      ).pipe(Effect.provide(disk.layer))
      yield* Interrupt.everywhere(subject, {
        check: (run) => {
          if (Exit.isFailure(run.exit)) interrupted += 1
          const state = Effect.runSync(
            Effect.gen(function* () {
              const journal = yield* make("/run.journal", host("b"))
              const dead = (yield* journal.dead(key)).map(({ at }) => at)
              const last = Option.flatMap(yield* journal.load(key), ({ position }) => position)
              yield* Effect.scoped(leaseOf(journal, { pipeline: "p" }))
              const fs = yield* FileSystem.FileSystem
              yield* fs.remove("/run.journal")
              return { dead, last: Number(Option.getOrElse(last, () => 0)), paths: disk.paths }
            }).pipe(Effect.provide(disk.layer))
          )
          assert.deepEqual(
            state.dead,
            Array.from({ length: state.last }, (_, n) => n + 1)
          )
          assert.deepEqual(state.paths, [])
          return Leaks.check(run)
        }
      })
      assert.isAbove(interrupted, 20)
    })
  )
})
