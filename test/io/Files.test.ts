import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as ByteSize from "effect/ByteSize"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { execFileSync } from "node:child_process"
import { Files } from "skein"
import * as Disk from "../support/disk.ts"

const encoder = new TextEncoder()
const decoder = new TextDecoder("utf-8", { ignoreBOM: true })

/** A new file with this content, in a folder of its own that the test's scope removes. */
const fileOf = (content: string | Uint8Array) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const path = `${yield* fs.makeTempDirectoryScoped()}/data.txt`
    yield* fs.writeFile(path, typeof content === "string" ? encoder.encode(content) : content)
    return path
  })

const newPath = Effect.map(
  FileSystem.FileSystem.pipe(Effect.flatMap((fs) => fs.makeTempDirectoryScoped())),
  (folder) => `${folder}/data.txt`
)

const contentOf = (path: string) => FileSystem.FileSystem.pipe(Effect.flatMap((fs) => fs.readFileString(path)))

const read = <A>(file: Files.LineFile<A>, after?: number) => Stream.runCollect(file.read(Option.fromUndefinedOr(after)))

const values = <A>(file: Files.LineFile<A>, after?: number) =>
  Effect.map(read(file, after), (elements) => elements.map((element) => element.value))

/** The elements before the error, and the error. */
const readUntilError = <A>(file: Files.LineFile<A>, after?: number) =>
  Effect.gen(function* () {
    const seen: Array<A> = []
    const error = yield* file.read(Option.fromUndefinedOr(after)).pipe(
      Stream.runForEach(({ value }) => Effect.sync(() => void seen.push(value))),
      Effect.flip
    )
    return { seen, error }
  })

/** What the lines of these bytes are, found one byte after the other. */
const linesOf = (bytes: Uint8Array) => {
  const elements: Array<{ value: string; position: number; bytes: number }> = []
  let start = 0
  for (let at = 0; at < bytes.length; at++) {
    if (bytes[at] !== 10 && at !== bytes.length - 1) continue
    const text = decoder.decode(bytes.subarray(start, at + 1))
    const line = (start === 0 ? text.replace(/^\ufeff/, "") : text).replace(/\n$/, "").replace(/\r$/, "")
    elements.push({ value: line, position: at + 1, bytes: at + 1 - start })
    start = at + 1
  }
  return elements
}

const pieces = ["a", "é", "漢字", "😀", "\n", "\r\n", "\r", " ", "\ufeff", "plain text of some length", ""] as const
const text = Arbitrary.map(Arbitrary.array(Arbitrary.schema(Schema.Literals(pieces)), { maxLength: 24 }), (all) =>
  all.join("")
)

it.layer(NodeServices.layer)("Files", (it) => {
  describe("lines, as a source", () => {
    it.effect.prop(
      "gives the same lines and positions however the bytes arrive, and resumes behind each of them",
      { text, size: Arbitrary.schema(Schema.Literals([1, 2, 3, 5, 8, 1000])) },
      ({ text, size }) =>
        Effect.gen(function* () {
          const bytes = encoder.encode(text)
          const file = Files.lines(yield* fileOf(bytes))
          const expected = linesOf(bytes)
          assert.deepEqual(yield* read(file), expected)
          for (const [index, { position }] of expected.entries()) {
            assert.deepEqual(yield* read(file, position), expected.slice(index + 1))
          }
        }).pipe(Effect.scoped, Disk.shortReads(size)),
      { arbitrary: { runs: 200 } }
    )

    it.effect("reads across its blocks, with lines longer than a block among them", () =>
      Effect.gen(function* () {
        const long = "ü".repeat(700_000)
        const lines = Array.from({ length: 60_000 }, (_, i) =>
          i === 40_000 ? long : `line ${i} ${"é".repeat(i % 40)}`
        )
        const bytes = encoder.encode(lines.join("\r\n"))
        const file = Files.lines(yield* fileOf(bytes))
        const elements = yield* read(file)
        assert.deepEqual(elements, linesOf(bytes))
        assert.deepEqual(Option.some(elements.reduce((sum, { bytes }) => sum + bytes, 0)), yield* file.size)
        const middle = elements[39_990]!.position
        assert.deepEqual(yield* read(file, middle), elements.slice(39_991))
      })
    )

    it.effect("leaves out blank lines when asked, and keeps the positions", () =>
      Effect.gen(function* () {
        const path = yield* fileOf("\na\n \t\r\nb\n\n")
        assert.deepEqual(yield* values(Files.lines(path)), ["", "a", " \t", "b", ""])
        const kept = yield* read(Files.lines(path, { skipBlank: true }))
        assert.deepEqual(
          kept.map(({ value, position }) => [value, position]),
          [
            ["a", 3],
            ["b", 9]
          ]
        )
        const blanks = yield* fileOf(`${"\n".repeat(300_000)}end`)
        assert.deepEqual(yield* values(Files.lines(blanks, { skipBlank: true })), ["end"])
      })
    )

    it.effect("refuses a line longer than maxLine, by number and offset, after those before it", () =>
      Effect.gen(function* () {
        const path = yield* fileOf("12345\r\nab\n123456\nc\n")
        assert.deepEqual(yield* values(Files.lines(path, { maxLine: 6 })), ["12345", "ab", "123456", "c"])
        const { seen, error } = yield* readUntilError(Files.lines(path, { maxLine: 5 }), 7)
        assert.deepEqual(seen, ["ab"])
        assert.deepInclude(error, { kind: "BadLine", line: 3, offset: 10 })
        assert.include(error.message, `Could not read ${JSON.stringify(path)}, line 3 (byte 10): it is longer than 5`)
      })
    )

    it.effect("does not read an endless line into memory", () =>
      Effect.gen(function* () {
        const path = yield* fileOf(new Uint8Array(5_000_000).fill(97))
        let bytes = 0
        const { error } = yield* readUntilError(Files.lines(path, { maxLine: 1000 })).pipe(
          Disk.changed((file) => ({
            read: (buffer, options) => Effect.tap(file.read(buffer, options), (n) => Effect.sync(() => (bytes += n)))
          }))
        )
        assert.deepInclude(error, { kind: "BadLine", line: 1, offset: 0 })
        assert.isBelow(bytes, 2_000_000)
      })
    )

    it.effect("refuses bytes that are not UTF-8 instead of replacing them", () =>
      Effect.gen(function* () {
        const path = yield* fileOf(new Uint8Array([0x61, 10, 0x62, 10, 0xc3, 0x28, 10, 0x63, 10]))
        const { seen, error } = yield* readUntilError(Files.lines(path))
        assert.deepEqual(seen, ["a", "b"])
        assert.deepInclude(error, { kind: "BadLine", line: 3, offset: 4, reason: "it is not valid UTF-8" })
        assert.deepEqual(yield* values(Files.lines(path), 7), ["c"])
      })
    )

    it.effect("says what to do about a file that is missing, is a folder, or became shorter", () =>
      Effect.gen(function* () {
        const path = yield* fileOf("a\nb\n")
        const missing = yield* Effect.flip(Files.lines(`${path}.gone`).size)
        assert.strictEqual(missing.kind, "NotFound")
        assert.include(missing.message, `Could not open ${JSON.stringify(`${path}.gone`)}: there is no such file`)
        const folder = yield* Effect.flip(read(Files.lines(path.slice(0, path.lastIndexOf("/")))))
        assert.strictEqual(folder.kind, "NotAFile")
        assert.strictEqual((yield* Effect.flip(read(Files.lines(path), 5))).kind, "CommittedLost")
        assert.deepEqual(yield* read(Files.lines(path), 4), [])
      })
    )

    it.effect("refuses what is no regular file before it opens it, which a pipe without a writer would never end", () =>
      Effect.gen(function* () {
        const pipe = yield* newPath
        execFileSync("mkfifo", [pipe])
        const file = Files.lines(pipe)
        for (const use of [Effect.asVoid(read(file)), Effect.asVoid(file.size), Effect.asVoid(file.fingerprint)]) {
          const error = yield* Effect.flip(use)
          assert.deepInclude(error, { kind: "NotAFile", reason: "it is not a regular file but a FIFO" })
        }
        const device = yield* Effect.flip(read(Files.lines("/dev/zero")))
        assert.strictEqual(device.kind, "NotAFile")
      })
    )

    /** Reads a file of 3 MiB, and does this to it once its first block was read. */
    const readWhile = (change: (fs: FileSystem.FileSystem, path: string) => Effect.Effect<unknown, unknown>) =>
      Effect.gen(function* () {
        const content = "0123456789abcde\n".repeat(196_608)
        const path = yield* fileOf(content)
        const fs = yield* FileSystem.FileSystem
        let reads = 0
        const changing = Disk.changed((file) => ({
          read: (buffer, options) =>
            Effect.andThen(
              Effect.suspend(() => (reads++ === 1 ? Effect.orDie(change(fs, path)) : Effect.void)),
              file.read(buffer, options)
            )
        }))
        const seen: Array<string> = []
        const reading = Files.lines(path)
          .read(Option.none())
          .pipe(Stream.runForEach(({ value }) => Effect.sync(() => void seen.push(value))))
        return { exit: yield* changing(Effect.exit(reading)), seen }
      })

    it.effect.each([
      ["cut", "Shrunk", (fs, path) => fs.truncate(path, 2 ** 21 - 3)],
      ["cut to nothing", "Shrunk", (fs, path) => fs.truncate(path, 0)],
      ["rewritten shorter", "Shrunk", (fs, path) => fs.writeFileString(path, "something else.\n".repeat(150_000))],
      ["removed", "Replaced", (fs, path) => fs.remove(path)],
      ["renamed", "Replaced", (fs, path) => fs.rename(path, `${path}.old`)],
      [
        "replaced by one as long",
        "Replaced",
        (fs, path) => Effect.andThen(fs.copyFile(path, `${path}.new`), fs.rename(`${path}.new`, path))
      ]
    ] as ReadonlyArray<
      readonly [
        string,
        Files.FilesError["kind"],
        (fs: FileSystem.FileSystem, path: string) => Effect.Effect<void, unknown>
      ]
    >)("fails when the file is %s while it is read, and gives no part of a line", ([, kind, change]) =>
      Effect.gen(function* () {
        const { exit, seen } = yield* readWhile(change)
        const error = Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined
        assert.instanceOf(error, Files.FilesError)
        assert.strictEqual(error.kind, kind)
        assert.isTrue(seen.every((line) => line.length === 15))
      })
    )

    it.effect("reads what is added to the file while it is read", () =>
      Effect.gen(function* () {
        const { exit, seen } = yield* readWhile((fs, path) => fs.writeFileString(path, "added\n", { flag: "a" }))
        assert.isTrue(Exit.isSuccess(exit))
        assert.deepEqual([seen.length, seen.at(-1)], [196_609, "added"])
      })
    )

    it.effect("reports a failing disk as such", () =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(read(Files.lines(yield* fileOf("a\n"))))
        assert.strictEqual(error.kind, "DiskFault")
      }).pipe(Disk.changed(() => ({ read: () => Effect.fail(Disk.fault("EIO", "read")) })))
    )
  })

  describe("the fingerprint of a source", () => {
    it.effect("tells any change of a file apart", () =>
      Effect.gen(function* () {
        const print = (content: string) => Effect.flatMap(fileOf(content), (path) => Files.lines(path).fingerprint)
        const one = yield* print("a\nb\n")
        assert.deepEqual(yield* print("a\nb\n"), one)
        assert.deepEqual(one, {
          size: 4,
          sha256: "911169ddaaf146aff539f58c26c489af3b892dff0fe283c1c264c65ae5aa59a2"
        })
        assert.notDeepEqual((yield* print("a\nB\n")).sha256, one.sha256)
        assert.strictEqual((yield* print("a\nb\nc\n")).size, 6)
      })
    )

    it.effect("of a large file reads samples: head, tail and between", () =>
      Effect.gen(function* () {
        const content = new Uint8Array(20 * 1024 * 1024).fill(97)
        const path = yield* fileOf(content)
        let bytes = 0
        const print = Files.lines(path).fingerprint.pipe(
          Disk.changed((file) => ({
            read: (buffer, options) => Effect.tap(file.read(buffer, options), (n) => Effect.sync(() => (bytes += n)))
          }))
        )
        const before = yield* print
        assert.strictEqual(bytes, 66 * 64 * 1024)
        const fs = yield* FileSystem.FileSystem
        const middle = Math.floor(((content.length - 64 * 1024) * 33) / 65)
        for (const at of [0, middle, content.length - 1]) {
          content[at] = 98
          yield* fs.writeFile(path, content)
          content[at] = 97
          const after = yield* print
          assert.strictEqual(after.size, before.size)
          assert.notStrictEqual(after.sha256, before.sha256, `a change at ${at} goes unseen`)
        }
      })
    )
  })

  const Order = Schema.Struct({
    id: Schema.Int,
    at: Schema.Date,
    items: Schema.Array(Schema.Struct({ name: Schema.String }))
  })
  const order = (id: number): typeof Order.Type => ({ id, at: new Date(id * 1000), items: [{ name: `ü${id}\n` }] })

  const write = <A>(
    file: Files.LineFile<A>,
    committed: Option.Option<Schema.Json>,
    ...batches: ReadonlyArray<ReadonlyArray<A>>
  ) =>
    Effect.scoped(
      Effect.gen(function* () {
        const writer = yield* file.open(committed)
        return yield* Effect.forEach(batches, (batch) => writer.write(batch))
      })
    )

  describe("jsonl", () => {
    it.effect("writes and reads back what JSON alone could not keep", () =>
      Effect.gen(function* () {
        const path = yield* newPath
        const file = Files.jsonl(path, Order)
        const [state] = yield* write(file, Option.none(), [order(1), order(2)])
        assert.deepEqual(yield* values(file), [order(1), order(2)])
        const content = yield* contentOf(path)
        assert.strictEqual(content.split("\n").length, 3)
        assert.deepEqual(state, { length: encoder.encode(content).length })
      })
    )

    it.effect("names line, byte and field of a value that does not fit, also when resumed", () =>
      Effect.gen(function* () {
        const good = '{"id":1,"at":"1970-01-01T00:00:01.000Z","items":[]}\n'
        const path = yield* fileOf(`${good}\n${good}{"id":3,"at":"1970-01-01T00:00:01.000Z","items":[{}]}\n`)
        const file = Files.jsonl(path, Order)
        const { seen, error } = yield* readUntilError(file)
        assert.strictEqual(seen.length, 2)
        const where = { kind: "BadLine", line: 4, offset: good.length * 2 + 1, field: "items.0.name" } as const
        assert.deepInclude(error, where)
        assert.include(error.message, ', line 4 (byte 105): field "items.0.name": Missing key')
        assert.deepInclude((yield* readUntilError(file, good.length + 1)).error, where)
      })
    )

    const deepText = "[".repeat(100_000) + "]".repeat(100_000)
    type Tree = number | ReadonlyArray<Tree>
    const Tree: Schema.Codec<Tree> = Schema.Union([
      Schema.Number,
      Schema.Array(Schema.suspend((): Schema.Codec<Tree> => Tree))
    ])

    it.effect("refuses a line nested deeper than the stack, and reads it where its schema asks for any JSON", () =>
      Effect.gen(function* () {
        const path = yield* fileOf(`[1]\n${deepText}\n`)
        const { seen, error } = yield* readUntilError(Files.jsonl(path, Tree))
        assert.deepEqual(seen, [[1]])
        assert.deepInclude(error, { kind: "BadLine", line: 2, reason: "it is nested too deep" })
        assert.strictEqual((yield* values(Files.jsonl(path, Schema.Json))).length, 2)
      })
    )

    it.effect("refuses an element nested deeper than the stack", () =>
      Effect.gen(function* () {
        const path = yield* newPath
        for (const schema of [Tree, Schema.Json]) {
          const error = yield* Effect.flip(
            write(Files.jsonl(path, schema as Schema.Codec<any>), Option.none(), [1, JSON.parse(deepText)])
          )
          assert.deepInclude(error, { kind: "BadElement", reason: "it is nested too deep to be written as JSON" })
          assert.include(error.message, "element 2 of a batch of 2")
        }
      })
    )

    it.effect("names the line that is not JSON", () =>
      Effect.gen(function* () {
        const { error } = yield* readUntilError(Files.jsonl(yield* fileOf("1\n2\n{oops\n"), Schema.Number))
        assert.deepInclude(error, { kind: "BadLine", line: 3, offset: 4 })
        assert.include(error.reason, "it is not JSON: ")
        assert.isUndefined(error.field)
      })
    )
  })

  describe("a file as a sink", () => {
    it.effect("keeps what the file has, ends its last line, or replaces it; and makes missing folders", () =>
      Effect.gen(function* () {
        const path = yield* fileOf("old, without its newline")
        yield* write(Files.lines(path), Option.none(), [], ["a"], ["b", "c"])
        assert.strictEqual(yield* contentOf(path), "old, without its newline\na\nb\nc\n")
        yield* write(Files.lines(path), Option.none(), ["d"])
        assert.strictEqual(yield* contentOf(path), "old, without its newline\na\nb\nc\nd\n")
        yield* write(Files.lines(path, { existing: "replace" }), Option.none(), ["e"])
        assert.strictEqual(yield* contentOf(path), "e\n")
        const deep = `${path}.d/x/y.txt`
        yield* write(Files.lines(deep), Option.none(), ["f"])
        assert.strictEqual(yield* contentOf(deep), "f\n")
      })
    )

    it.effect("refuses text that has no UTF-8 form, and writes what only looks like its escape", () =>
      Effect.gen(function* () {
        const path = yield* newPath
        const plain = yield* Effect.flip(write(Files.lines(path), Option.none(), ["a", "b\udc00"]))
        assert.strictEqual(plain.kind, "BadElement")
        assert.include(plain.message, "element 2 of a batch of 2")
        assert.include(plain.reason, "it has half of a character in it")
        const file = Files.jsonl(path, Schema.Json)
        for (const bad of ["\ud800", ["\\\udfff"], { "\ud83d": 1 }]) {
          assert.strictEqual((yield* Effect.flip(write(file, Option.none(), [bad]))).kind, "BadElement")
        }
        const good = ["\\ud800", ["\\\\udc00", "\\"], "😀"]
        yield* write(file, Option.none(), good)
        assert.deepEqual(yield* values(file), good)
      })
    )

    it.effect("repairs an output cut at any byte of its last three records, from any committed state", () =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const path = yield* newPath
        const file = Files.jsonl(path, Order)
        const orders = [1, 2, 3, 4, 5].map(order)
        const states = yield* write(file, Option.none(), [], ...orders.map((one) => [one]))
        const whole = yield* contentOf(path)
        const lengths = states.map((state) => (state as { length: number }).length)
        for (let length = lengths[2]!; length <= lengths[5]!; length++) {
          for (const [count, state] of states.entries()) {
            yield* fs.writeFile(path, encoder.encode(whole).subarray(0, length))
            const resumed = yield* Effect.exit(write(file, Option.some(state), orders.slice(count)))
            if (lengths[count]! <= length) {
              assert.strictEqual(yield* contentOf(path), whole, `cut to ${length}, ${count} records committed`)
            } else {
              assert.strictEqual(resumed._tag, "Failure")
              assert.strictEqual(yield* Effect.map(fs.stat(path), (info) => ByteSize.toNumberUnsafe(info.size)), length)
            }
          }
        }
      })
    )

    it.effect("refuses to go on when committed lines are gone, and touches nothing", () =>
      Effect.gen(function* () {
        const path = yield* fileOf("a\n")
        const shorter = yield* Effect.flip(write(Files.lines(path), Option.some({ length: 4 }), ["c"]))
        assert.strictEqual(shorter.kind, "CommittedLost")
        assert.include(shorter.reason, "4 bytes of it were committed, and it has only 2")
        assert.strictEqual(yield* contentOf(path), "a\n")
        const gone = yield* Effect.flip(write(Files.lines(`${path}.gone`), Option.some({ length: 4 }), ["c"]))
        assert.include(gone.message, "it is gone. Put the file back as it was, or reset")
        const fs = yield* FileSystem.FileSystem
        assert.isFalse(yield* fs.exists(`${path}.gone`))
        const foreign = yield* Effect.flip(write(Files.lines(path), Option.some({ row: 4 }), ["c"]))
        assert.strictEqual(foreign.kind, "BadState")
      })
    )

    for (const [code, kind] of [
      ["ENOSPC", "DiskFull"],
      ["EIO", "DiskFault"]
    ] as const) {
      it.effect(`keeps nothing of a batch that failed with ${code}: neither in this run nor in the next`, () =>
        Effect.gen(function* () {
          const path = yield* newPath
          const file = Files.lines(path)
          let broken = false
          const disk = Disk.changed((file) => ({
            writeAll: (bytes) =>
              broken
                ? Effect.andThen(file.writeAll(bytes.subarray(0, 3)), Effect.fail(Disk.fault(code, "writeAll")))
                : file.writeAll(bytes)
          }))
          const committed = yield* Effect.gen(function* () {
            const writer = yield* file.open(Option.none())
            yield* writer.write(["first"])
            broken = true
            const error = yield* Effect.flip(writer.write(["second", "third"]))
            assert.strictEqual(error.kind, kind)
            assert.include(error.message, "run again")
            assert.strictEqual(yield* contentOf(path), "first\nsec")
            broken = false
            const state = yield* writer.write(["2nd"])
            assert.strictEqual(yield* contentOf(path), "first\n2nd\n")
            broken = true
            yield* Effect.flip(writer.write(["third"]))
            return state
          }).pipe(Effect.scoped, disk)
          assert.strictEqual(yield* contentOf(path), "first\n2nd\nthi")
          yield* write(file, Option.some(committed), ["third"])
          assert.strictEqual(yield* contentOf(path), "first\n2nd\nthird\n")
        })
      )
    }

    it.effect("a batch whose flush failed is not kept either", () =>
      Effect.gen(function* () {
        const path = yield* newPath
        let broken = true
        yield* Effect.gen(function* () {
          const writer = yield* Files.lines(path).open(Option.none())
          yield* Effect.flip(writer.write(["lost"]))
          broken = false
          yield* writer.write(["kept"])
        }).pipe(
          Effect.scoped,
          Disk.changed((file) => ({
            sync: Effect.suspend(() => (broken ? Effect.fail(Disk.fault("EIO", "sync")) : file.sync))
          }))
        )
        assert.strictEqual(yield* contentOf(path), "kept\n")
      })
    )

    it.effect("has a batch on the disk before it says so, and the new file's name, too", () =>
      Effect.gen(function* () {
        const path = yield* newPath
        const log: Array<string> = []
        const folder = path.split("/").at(-2)
        yield* write(Files.lines(path), Option.none(), ["a"], [], ["b"]).pipe(Disk.recorded(log))
        assert.deepEqual(log, [`sync ${folder}`, "write data.txt", "sync data.txt", "write data.txt", "sync data.txt"])
        log.length = 0
        const fast = Files.lines(path, { fsync: false })
        yield* write(fast, Option.some({ length: 2 }), ["c"]).pipe(Disk.recorded(log))
        assert.deepEqual(log, ["truncate data.txt", "write data.txt"])
      })
    )

    it.effect("writes nothing of a batch with an element that cannot be written", () =>
      Effect.gen(function* () {
        const path = yield* newPath
        const file = Files.jsonl(path, Order)
        const bad = { ...order(2), id: 1.5 }
        const error = yield* Effect.flip(write(file, Option.none(), [order(1), bad]))
        assert.deepInclude(error, { kind: "BadElement", field: "id" })
        assert.include(error.message, "Could not write element 2 of a batch of 2 to")
        assert.strictEqual(yield* contentOf(path), "")
        const split = yield* Effect.flip(write(Files.lines(path), Option.none(), ["one\ntwo"]))
        assert.strictEqual(split.kind, "BadElement")
      })
    )

    it.effect("notices that something else writes to its file", () =>
      Effect.gen(function* () {
        const path = yield* newPath
        const fs = yield* FileSystem.FileSystem
        const error = yield* Effect.gen(function* () {
          const writer = yield* Files.lines(path).open(Option.none())
          yield* writer.write(["a"])
          yield* fs.writeFileString(path, "from elsewhere\n", { flag: "a" })
          return yield* Effect.flip(writer.write(["b"]))
        }).pipe(Effect.scoped)
        assert.strictEqual(error.kind, "Interfered")
        assert.strictEqual(yield* contentOf(path), "a\nfrom elsewhere\nb\n")
      })
    )

    it.effect("finishes a write that is under way when it is cancelled, and only then closes the file", () =>
      Effect.gen(function* () {
        const path = yield* newPath
        const started = yield* Deferred.make<void>()
        const go = yield* Deferred.make<void>()
        const fiber = yield* write(Files.lines(path), Option.none(), ["a"]).pipe(
          Disk.changed((file) => ({
            writeAll: (bytes) =>
              Deferred.succeed(started, undefined).pipe(
                Effect.andThen(Deferred.await(go)),
                Effect.andThen(file.writeAll(bytes))
              )
          })),
          Effect.forkChild
        )
        yield* Deferred.await(started)
        const cancel = yield* Effect.forkChild(Fiber.interrupt(fiber))
        yield* Effect.yieldNow
        yield* Deferred.succeed(go, undefined)
        yield* Fiber.join(cancel)
        assert.strictEqual(yield* contentOf(path), "a\n")
      })
    )
  })

  describe("writeAtomic", () => {
    it.effect("replaces the whole file, flushes before it renames, and keeps the permissions", () =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const path = yield* fileOf("old")
        yield* fs.chmod(path, 0o600)
        const log: Array<string> = []
        yield* Files.writeAtomic(path, "new ü").pipe(Disk.recorded(log))
        assert.strictEqual(yield* contentOf(path), "new ü")
        assert.strictEqual((yield* fs.stat(path)).mode & 0o777, 0o600)
        assert.deepEqual(
          log.map((entry) => entry.split(" ")[0]),
          ["write", "sync", "rename", "sync"]
        )
        yield* Files.writeAtomic(path, new Uint8Array([1, 2]))
        assert.deepEqual([...(yield* fs.readFile(path))], [1, 2])
      })
    )

    it.effect("leaves the old file and nothing else when the disk is full", () =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const path = yield* fileOf("old")
        const error = yield* Effect.flip(Files.writeAtomic(path, "new")).pipe(
          Disk.changed(() => ({ writeAll: () => Effect.fail(Disk.fault("ENOSPC", "writeAll")) }))
        )
        assert.strictEqual(error.kind, "DiskFull")
        assert.strictEqual(yield* contentOf(path), "old")
        assert.deepEqual(yield* fs.readDirectory(path.slice(0, path.lastIndexOf("/"))), ["data.txt"])
      })
    )
  })

  describe("within", () => {
    it.effect("gives the path of a name that stays inside, whether it exists or not", () =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const root = yield* fs.makeTempDirectoryScoped()
        assert.strictEqual(yield* Files.within(root, "a/b.txt"), `${root}/a/b.txt`)
        assert.strictEqual(yield* Files.within(root, "..a/b..txt"), `${root}/..a/b..txt`)
        assert.strictEqual(yield* Files.within(`${root}/new`, "c"), `${root}/new/c`)
        yield* fs.makeDirectory(`${root}/real`)
        yield* fs.symlink(`${root}/real`, `${root}/link`)
        assert.strictEqual(yield* Files.within(root, "link/d"), `${root}/link/d`)
        const self = `${root}-self`
        yield* fs.symlink(root, self)
        assert.strictEqual(yield* Files.within(self, "real/e"), `${self}/real/e`)
        yield* fs.remove(self)
      })
    )

    for (const name of ["", ".", "..", "../x", "a/../../x", "a/..", "a\\..\\..\\x", "/etc/passwd", "a\0b"]) {
      it.effect(`refuses ${JSON.stringify(name)}`, () =>
        Effect.gen(function* () {
          const fs = yield* FileSystem.FileSystem
          const root = yield* fs.makeTempDirectoryScoped()
          const error = yield* Effect.flip(Files.within(root, name))
          assert.strictEqual(error.kind, "Outside")
        })
      )
    }

    it.effect("refuses symbolic links that lead out, to what exists and to what does not yet", () =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const outside = yield* fs.makeTempDirectoryScoped()
        const root = yield* fs.makeTempDirectoryScoped()
        yield* fs.symlink(outside, `${root}/out`)
        yield* fs.symlink(`${outside}/later`, `${root}/later`)
        for (const name of ["out", "out/x", "out/x/y", "later", "later/x"]) {
          assert.strictEqual((yield* Effect.flip(Files.within(root, name))).kind, "Outside", name)
        }
      })
    )
  })
})
