import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FileSystem from "effect/FileSystem"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { Files, Journal, Pipeline, Sink, TaskGroup } from "skein"

const scene = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const path = `${yield* fs.makeTempDirectoryScoped()}/app.log`
  const write = (text: string, to = path) => fs.writeFileString(to, text, { flag: "a" })
  return { fs, path, write }
})

/** Lets time pass, and the system do what it was asked to, until this holds. */
const until = (holds: () => boolean) =>
  Effect.gen(function* () {
    for (let turns = 0; !holds(); turns++) {
      assert.isBelow(turns, 5000, "it never came to this")
      yield* TestClock.adjust("250 millis")
      yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
    }
  })

/** A while in which more would have come. */
const meanwhile = Effect.suspend(() => {
  let turns = 0
  return until(() => turns++ > 30)
})

const following = (path: string, seen: Array<string>, after?: Files.FilePosition) =>
  Files.lines(path, { follow: true })
    .read(Option.fromUndefinedOr(after))
    .pipe(
      Stream.runForEach(({ value }) => Effect.sync(() => void seen.push(value))),
      Effect.forkScoped
    )

/** Runs over the file as long as `meanwhile` takes, then drained; what was read, and what it failed with. */
const runWhile = <E, R>(path: string, meanwhile: (seen: ReadonlyArray<string>) => Effect.Effect<void, E, R>) =>
  Effect.gen(function* () {
    const seen: Array<string> = []
    const run = yield* Pipeline.from(Files.lines(path, { follow: true })).pipe(
      Pipeline.to(Sink.forEach((line: string) => Effect.sync(() => void seen.push(line)))),
      (job) => Pipeline.start(job, { name: "follow" })
    )
    yield* meanwhile(seen)
    let isDone = false
    const end = yield* Effect.forkChild(
      Effect.tap(Effect.andThen(run.drain, run.await), () => Effect.sync(() => (isDone = true)))
    )
    yield* until(() => isDone || end.pollUnsafe() !== undefined)
    yield* Fiber.join(end)
    return seen
  })
    .pipe(TaskGroup.open)
    .pipe(Effect.scoped)

it.layer(NodeServices.layer)("Files, followed", (it) => {
  it.effect("reads on what is added, and waits for the end of half a line", () =>
    Effect.gen(function* () {
      const { path, write } = yield* scene
      const seen: Array<string> = []
      yield* write("a\nb\nhal")
      const fiber = yield* following(path, seen)
      yield* until(() => seen.length === 2)
      yield* meanwhile
      assert.deepEqual(seen, ["a", "b"])
      yield* write("f\n")
      yield* until(() => seen.length === 3)
      yield* write("é\n")
      yield* until(() => seen.length === 4)
      assert.deepEqual(seen, ["a", "b", "half", "é"])
      assert.isUndefined(fiber.pollUnsafe())
    })
  )

  it.effect("reads a file to its end that another one takes the place of, then that one", () =>
    Effect.gen(function* () {
      const { fs, path, write } = yield* scene
      const seen: Array<string> = []
      yield* write("a\n")
      yield* following(path, seen)
      yield* until(() => seen.length === 1)
      yield* fs.rename(path, `${path}.1`)
      yield* write("b\nlast", `${path}.1`)
      yield* meanwhile
      yield* write("c\n")
      yield* until(() => seen.length === 4)
      yield* fs.remove(`${path}.1`)
      yield* write("d\n")
      yield* until(() => seen.length === 5)
      assert.deepEqual(seen, ["a", "b", "last", "c", "d"])
    })
  )

  it.effect("begins again where the file was cut, says what is lost, and gives other positions", () =>
    Effect.gen(function* () {
      const { fs, path, write } = yield* scene
      const logged: Array<string> = []
      const logger = Logger.layer([Logger.make(({ message }) => void logged.push(String(message)))])
      yield* write("one\ntwo\nhal")
      const elements: Array<unknown> = []
      yield* Files.lines(path, { follow: true })
        .read(Option.none())
        .pipe(
          Stream.runForEach(({ position, value }) =>
            Effect.sync(() => void elements.push([value, position.at, position.file.replace(/^inode \d+:\d+/, "")]))
          ),
          Effect.provide(logger),
          Effect.forkScoped
        )
      yield* until(() => elements.length === 2)
      yield* meanwhile
      yield* fs.truncate(path, 0)
      yield* until(() => logged.length > 0)
      yield* write("new\n")
      yield* until(() => elements.length === 3)
      assert.deepEqual(elements, [
        ["one", 4, ""],
        ["two", 8, ""],
        ["new", 4, " cut 1"]
      ])
      assert.deepEqual(logged, [
        `${path} was cut while it is followed, after 11 bytes were read of it. It is read from its beginning; what was written to it before that and not read yet is lost, and 3 bytes of a line that had no end.`
      ])
    })
  )

  it.effect(
    "P9 P10 ends when it is drained, and goes on from there, in the file it was in and in those behind it",
    () =>
      Effect.gen(function* () {
        const { fs, path, write } = yield* scene
        yield* write("a\nb\n")
        assert.deepEqual(yield* runWhile(path, (seen) => until(() => seen.length === 2)), ["a", "b"])
        yield* write("c\n")
        assert.deepEqual(yield* runWhile(path, (seen) => until(() => seen.length === 1)), ["c"])
        // Twice another file takes its place while nobody reads.
        yield* write("d\n")
        yield* fs.rename(path, `${path}.2`)
        yield* fs.utimes(`${path}.2`, 1000, 1000)
        yield* write("e\n")
        yield* fs.rename(path, `${path}.1`)
        yield* fs.utimes(`${path}.1`, 2000, 2000)
        yield* write("f\n")
        yield* fs.writeFileString(`${path}.3`, "older\n")
        yield* fs.utimes(`${path}.3`, 500, 500)
        assert.deepEqual(yield* runWhile(path, (seen) => until(() => seen.length === 3)), ["d", "e", "f"])
        assert.deepEqual(yield* runWhile(path, () => meanwhile), [])
      }).pipe(Effect.provide(Journal.memory))
  )

  it.effect("P10 refuses to go on where what follows is lost", () =>
    Effect.gen(function* () {
      const { fs, path, write } = yield* scene
      yield* write("a\nb\n")
      yield* runWhile(path, (seen) => until(() => seen.length === 2))
      const error = runWhile(path, () => meanwhile).pipe(
        Effect.flip,
        Effect.map((error) => {
          assert.instanceOf(error, Pipeline.SourceChanged)
          return error.message
        })
      )
      yield* fs.rename(path, `${path}.old`)
      yield* write("x\n")
      yield* fs.rename(`${path}.old`, `${path}.elsewhere`)
      assert.deepEqual(yield* runWhile(path, (seen) => until(() => seen.length === 1)), ["x"])
      yield* fs.rename(path, `${path.replace("app.log", "gone")}`)
      yield* write("y\n")
      assert.include(yield* error, "2 bytes were read of a file that is neither under its name nor beside it any more")
    }).pipe(Effect.provide(Journal.memory))
  )

  it.effect("P10 goes on behind a file that had ended when it was removed", () =>
    Effect.gen(function* () {
      const { fs, path, write } = yield* scene
      yield* write("a\n")
      const seen: Array<string> = []
      const isRead = yield* Deferred.make<void>()
      const step = (line: string) => {
        seen.push(line)
        // `a` is committed once `b`, which no run gets to yet, shows that the end of its file was found.
        if (line === "a") return Effect.as(Deferred.await(isRead), line)
        return Effect.andThen(Deferred.succeed(isRead, undefined), Effect.never)
      }
      yield* Effect.gen(function* () {
        const run = yield* Pipeline.from(Files.lines(path, { follow: true })).pipe(
          Pipeline.map(step, { concurrency: 2 }),
          Pipeline.to(Sink.forEach(() => Effect.void)),
          (job) => Pipeline.start(job, { name: "follow" })
        )
        yield* until(() => seen.length === 1)
        yield* fs.rename(path, `${path}.1`)
        yield* write("b\n")
        yield* until(() => Effect.runSync(run.progress).written === 1)
        assert.deepEqual(seen, ["a", "b"])
        yield* TaskGroup.cancel("seen enough")
      }).pipe(TaskGroup.open, Effect.flip)
      yield* fs.remove(`${path}.1`)
      assert.deepEqual(yield* runWhile(path, (seen) => until(() => seen.length === 1)), ["b"])
    }).pipe(Effect.provide(Journal.memory))
  )

  it.effect("follows JSON Lines and CSV, names bad lines, and refuses what it cannot follow", () =>
    Effect.gen(function* () {
      const { fs, path, write } = yield* scene
      const Row = Schema.Struct({ a: Schema.Finite })
      yield* write("b,a\n1,2\n")
      const rows = yield* Stream.runCollect(Stream.take(Files.csv(path, Row, { follow: true }).read(Option.none()), 1))
      assert.deepEqual(
        rows.map(({ value }) => value),
        [{ a: 2 }]
      )
      const json = `${path}.jsonl`
      yield* fs.writeFileString(json, '{"a":1}\n{"a":"x"}\n')
      const error = yield* Effect.flip(Stream.runDrain(Files.jsonl(json, Row, { follow: true }).read(Option.none())))
      assert.deepInclude(error, { kind: "BadLine", offset: 8, field: "a" })
      const missing = yield* Effect.flip(
        Stream.runDrain(Files.lines(`${path}.no`, { follow: true }).read(Option.none()))
      )
      assert.strictEqual(missing.kind, "NotFound")
      yield* fs.writeFile(`${path}.16`, Uint8Array.of(0xff, 0xfe, 0x61, 0))
      const wide = yield* Effect.flip(Stream.runDrain(Files.lines(`${path}.16`, { follow: true }).read(Option.none())))
      assert.include(wide.message, "it is UTF-16LE. Only text in UTF-8 can be followed.")
      assert.throws(
        () => Files.lines("x.gz", { follow: true }),
        "Files: only one file that is not compressed can be followed"
      )
      assert.throws(() => Files.lines("x", { follow: true, interval: -1 }), "Files: interval must be a duration")
    })
  )
})
