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
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { execFileSync } from "node:child_process"
import { createHash } from "node:crypto"
import { Files, type Sink, type Source } from "skein"
import { openingAlone } from "../support/database.ts"
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
        const fingerprint = file.fingerprint(Option.some(1))
        for (const use of [Effect.asVoid(read(file)), Effect.asVoid(file.size), Effect.asVoid(fingerprint)]) {
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
    const print = (path: string, upTo?: number, since?: Source.Fingerprint) =>
      Files.lines(path).fingerprint(Option.fromUndefinedOr(upTo), since)
    const mebibyte = 1024 * 1024

    it.effect("P10 is of what was read: it tells any change there apart, and none behind it", () =>
      Effect.gen(function* () {
        const content = "a\nb\nc\n"
        const path = yield* fileOf(content)
        const grown = yield* fileOf(`${content}d\n`)
        assert.deepEqual(yield* print(path), yield* print(path, 0))
        for (let upTo = 0; upTo <= content.length; upTo++) {
          const one = yield* print(path, upTo)
          assert.deepEqual(yield* print(grown, upTo), one)
          for (let at = 0; at < content.length; at++) {
            const mended = yield* fileOf(`${content.slice(0, at)}x${content.slice(at + 1)}`)
            const other = yield* print(mended, upTo)
            if (at < upTo) assert.notDeepEqual(other, one, `a change at ${at}, of ${upTo} bytes, goes unseen`)
            else assert.deepEqual(other, one, `a change at ${at}, of ${upTo} bytes`)
          }
        }
        assert.notDeepEqual(yield* print(path, 2), yield* print(path, 4))
      })
    )

    it.effect("built on one for an earlier position is the same as from scratch, at any position", () =>
      Effect.gen(function* () {
        const block = 64 * 1024
        const around = [0, 1, block - 1, block, block + 1, 2 * block, 16 * mebibyte, 18 * mebibyte + 5]
        for (const size of [0, 1, block, 3 * block + 7, 5 * mebibyte + 3, 20 * mebibyte]) {
          const numbers = yield* Effect.forEach(Array.from({ length: 12 }), () => Random.nextIntBetween(0, size + 1))
          const content = Uint8Array.from({ length: size }, (_, i) => (i * 7 + (i >> 8)) % 251)
          const path = yield* fileOf(content)
          let since: Source.Fingerprint | undefined
          const cuts = [
            ...numbers.map((at) => Math.min(at, size)),
            ...around.filter((at) => at <= size),
            size
          ].toSorted((a, b) => a - b)
          for (const cut of cuts) {
            since = yield* print(path, cut, since)
            assert.deepEqual(since, yield* print(path, cut), `of ${size} bytes, at ${cut} of ${cuts.join()}`)
          }
          // One for a later position is no help.
          assert.deepEqual(yield* print(path, cuts[3], since), yield* print(path, cuts[3]))
        }
      }).pipe(Random.withSeed(1))
    )

    it.effect("of a large file reads all of its first 16 MiB, then samples, and always its last bytes", () =>
      Effect.gen(function* () {
        const size = 20 * mebibyte
        const content = new Uint8Array(size).fill(97)
        const path = yield* fileOf(content)
        let bytes = 0
        const counted = print(path, size).pipe(
          Disk.changed((file) => ({
            read: (buffer, options) => Effect.tap(file.read(buffer, options), (n) => Effect.sync(() => (bytes += n)))
          }))
        )
        const before = yield* counted
        // And a few to see what it is.
        assert.strictEqual(bytes - (bytes % 1024), (256 + 32 + 1) * 64 * 1024)
        const fs = yield* FileSystem.FileSystem
        const seen = [0, 9 * mebibyte + 1, 16 * mebibyte - 1, 18 * mebibyte, size - 2 * 64 * 1024, size - 1]
        for (const at of [...seen, 18 * mebibyte + 64 * 1024]) {
          content[at] = 98
          yield* fs.writeFile(path, content)
          content[at] = 97
          const same = JSON.stringify(yield* print(path, size)) === JSON.stringify(before)
          assert.strictEqual(same, !seen.includes(at), `a change at ${at}`)
        }
      })
    )

    it.effect("P10 says of a file that was read whether that is there still", () =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const path = yield* fileOf("a\nb\nc\n")
        const kept = yield* print(path, 4)
        const changes = Files.lines(path).changed!(kept, Option.some(4))
        const becomes = (content: string) => Effect.andThen(fs.writeFileString(path, content), changes)
        assert.deepEqual(yield* changes, [])
        assert.deepEqual(yield* becomes("a\nb\nC\nadded\n"), [])
        assert.deepEqual(yield* becomes("a\nb\n"), [])
        assert.deepEqual(yield* becomes("a\nB\nc\n"), ["its first 4 bytes, which were read, are not what they were"])
        assert.deepEqual(yield* becomes("a\n"), ["4 bytes of it were read, and it has 2 now"])
        yield* fs.remove(path)
        assert.strictEqual((yield* Effect.flip(changes)).kind, "NotFound")
      })
    )

    const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex")

    it.effect("that version 0.1 kept, of the whole file, is compared with what the file had then", () =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const content = "a\nb\nc\n"
        const path = yield* fileOf(content)
        const changes = (kept: Source.Fingerprint) => Files.lines(path).changed!(kept, Option.some(4))
        const kept = { size: 6, sha256: sha256(encoder.encode(content)) }
        assert.deepEqual(yield* changes(kept), [])
        yield* fs.writeFileString(path, `${content}d\n`)
        assert.deepEqual(yield* changes(kept), [])
        yield* fs.writeFileString(path, "a\nB\nc\n")
        assert.strictEqual((yield* changes(kept)).length, 1)
        yield* fs.writeFileString(path, "a\nb\n")
        assert.strictEqual((yield* changes(kept)).length, 1)

        const large = Uint8Array.from({ length: 17 * mebibyte }, (_, i) =>
          i < 4 ? [97, 10, 98, 10][i]! : (i >> 10) % 251
        )
        const block = 64 * 1024
        const samples = Array.from({ length: 66 }, (_, i) => Math.floor(((large.length - block) * i) / 65))
        const whole = Buffer.concat(samples.map((start) => large.subarray(start, start + block)))
        yield* fs.writeFile(path, large)
        assert.deepEqual(yield* changes({ size: large.length, sha256: sha256(whole) }), [])
        large[samples[33]!] = 255
        yield* fs.writeFile(path, large)
        assert.strictEqual((yield* changes({ size: large.length, sha256: sha256(whole) })).length, 1)
      })
    )
  })

  const Order = Schema.Struct({
    id: Schema.Int,
    at: Schema.Date,
    items: Schema.Array(Schema.Struct({ name: Schema.String }))
  })
  const order = (id: number): typeof Order.Type => ({ id, at: new Date(id * 1000), items: [{ name: `ü${id}\n` }] })

  const none = Option.none<Schema.Json>()
  const opening = (committed: Option.Option<Schema.Json>, changes: Partial<Sink.Opening> = {}): Sink.Opening => ({
    ...openingAlone(committed),
    ...changes
  })

  /** What a run does that ends well, or with `killed` one that is gone behind its last batch; gives the states. */
  const write = <A>(
    file: Files.LineFile<A>,
    committed: Option.Option<Schema.Json>,
    ...batches: ReadonlyArray<ReadonlyArray<A>>
  ) => writeAs(file, opening(committed), batches)

  const writeAs = <A>(
    file: Files.LineFile<A>,
    how: Sink.Opening & { readonly killed?: boolean },
    batches: ReadonlyArray<ReadonlyArray<A>>
  ) =>
    Effect.scoped(
      Effect.gen(function* () {
        const writer = yield* file.open(how)
        const states: Array<Schema.Json> = []
        let last = how.committed
        for (const batch of batches) {
          const state = yield* writer.write(batch, last)
          states.push(state)
          last = Option.some(state)
        }
        if (how.killed !== true) yield* writer.close!(last)
        return states
      })
    )

  /** All names in the folder of a file. */
  const beside = (path: string) =>
    FileSystem.FileSystem.use((fs) =>
      Effect.map(fs.readDirectory(path.slice(0, path.lastIndexOf("/"))), (names) => names.toSorted())
    )
  const lockOf = (path: string) => path.replace(/[^/]*$/, (name) => `.${name}.skein`)
  /** What stands in the files that something was set aside in. */
  const asideOf = (path: string) =>
    Effect.gen(function* () {
      const names = (yield* beside(path)).filter((name) => name.startsWith("data.txt.cut-"))
      return yield* Effect.forEach(names, (name) => contentOf(path.replace("data.txt", name)))
    })

  describe("jsonl", () => {
    it.effect("writes and reads back what JSON alone could not keep", () =>
      Effect.gen(function* () {
        const path = yield* newPath
        const file = Files.jsonl(path, Order)
        const [state] = yield* write(file, none, [order(1), order(2)])
        assert.deepEqual(yield* values(file), [order(1), order(2)])
        const content = yield* contentOf(path)
        assert.strictEqual(content.split("\n").length, 3)
        assert.strictEqual((state as { length: number }).length, encoder.encode(content).length)
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
            write(Files.jsonl(path, schema as Schema.Codec<any>), none, [1, JSON.parse(deepText)])
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
        yield* write(Files.lines(path), none, [], ["a"], ["b", "c"])
        assert.strictEqual(yield* contentOf(path), "old, without its newline\na\nb\nc\n")
        yield* write(Files.lines(path), none, ["d"])
        assert.strictEqual(yield* contentOf(path), "old, without its newline\na\nb\nc\nd\n")
        yield* write(Files.lines(path, { existing: "replace" }), none, ["e"])
        assert.strictEqual(yield* contentOf(path), "e\n")
        const deep = `${path}.d/x/y.txt`
        yield* write(Files.lines(deep), none, ["f"])
        assert.strictEqual(yield* contentOf(deep), "f\n")
      })
    )

    it.effect("refuses text that has no UTF-8 form, and writes what only looks like its escape", () =>
      Effect.gen(function* () {
        const path = yield* newPath
        const plain = yield* Effect.flip(write(Files.lines(path), none, ["a", "b\udc00"]))
        assert.strictEqual(plain.kind, "BadElement")
        assert.include(plain.message, "element 2 of a batch of 2")
        assert.include(plain.reason, "it has half of a character in it")
        const file = Files.jsonl(path, Schema.Json)
        for (const bad of ["\ud800", ["\\\udfff"], { "\ud83d": 1 }]) {
          assert.strictEqual((yield* Effect.flip(write(file, none, [bad]))).kind, "BadElement")
        }
        const good = ["\\ud800", ["\\\\udc00", "\\"], "😀"]
        yield* write(file, none, good)
        assert.deepEqual(yield* values(file), good)
      })
    )

    it.effect("repairs an output cut at any byte of its last three records, from any committed state", () =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const path = yield* newPath
        const file = Files.jsonl(path, Schema.Struct({ n: Schema.String }))
        const orders = [1, 2, 3, 4, 5].map((n) => ({ n: `ü${n}` }))
        const states = yield* write(file, none, [], ...orders.map((one) => [one]))
        const whole = yield* contentOf(path)
        const lengths = states.map((state) => (state as { length: number }).length)
        for (let length = lengths[2]!; length <= lengths[5]!; length++) {
          for (const [count, state] of states.entries()) {
            yield* fs.writeFile(path, encoder.encode(whole).subarray(0, length))
            const killed = opening(Option.some(state), { clean: false })
            const resumed = yield* Effect.exit(writeAs(file, killed, [orders.slice(count)]))
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
        assert.include(gone.message, "it is gone. Put the file back as it was, or start over")
        const fs = yield* FileSystem.FileSystem
        assert.isFalse(yield* fs.exists(`${path}.gone`))
        assert.deepEqual(yield* beside(path), ["data.txt"])
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
          const disk = Disk.changed((file, to) =>
            to !== path
              ? {}
              : {
                  writeAll: (bytes) =>
                    broken
                      ? Effect.andThen(file.writeAll(bytes.subarray(0, 3)), Effect.fail(Disk.fault(code, "writeAll")))
                      : file.writeAll(bytes)
                }
          )
          const committed = yield* Effect.gen(function* () {
            const writer = yield* file.open(opening(none))
            const first = Option.some(yield* writer.write(["first"], none))
            broken = true
            const error = yield* Effect.flip(writer.write(["second", "third"], first))
            assert.strictEqual(error.kind, kind)
            assert.include(error.message, "run again")
            assert.strictEqual(yield* contentOf(path), "first\nsec")
            broken = false
            const state = Option.some(yield* writer.write(["2nd"], first))
            assert.strictEqual(yield* contentOf(path), "first\n2nd\n")
            broken = true
            yield* Effect.flip(writer.write(["third"], state))
            return state
          }).pipe(Effect.scoped, disk)
          assert.strictEqual(yield* contentOf(path), "first\n2nd\nthi")
          yield* writeAs(file, opening(committed, { clean: false }), [["third"]])
          assert.strictEqual(yield* contentOf(path), "first\n2nd\nthird\n")
        })
      )
    }

    it.effect("a run that ends knows what is kept, and takes away what is not", () =>
      Effect.gen(function* () {
        const path = yield* newPath
        yield* Effect.gen(function* () {
          const writer = yield* Files.lines(path).open(opening(none))
          const state = Option.some(yield* writer.write(["kept"], none))
          yield* writer.write(["not committed"], state)
          yield* writer.close!(state)
        }).pipe(Effect.scoped)
        assert.strictEqual(yield* contentOf(path), "kept\n")
        assert.deepEqual(yield* beside(path), ["data.txt"])
      })
    )

    it.effect("a batch whose flush failed is not kept either", () =>
      Effect.gen(function* () {
        const path = yield* newPath
        let broken = false
        yield* Effect.gen(function* () {
          const writer = yield* Files.lines(path).open(opening(none))
          broken = true
          yield* Effect.flip(writer.write(["lost"], none))
          broken = false
          yield* writer.write(["kept"], none)
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
        const logged = () => log.map((entry) => entry.replace(/skein\..*/, "skein.new").replace(/cut-.*/, "cut"))
        const lock = "write .data.txt.skein"
        yield* writeAs(Files.lines(path), { ...opening(none), killed: true }, [["a"], [], ["b"]]).pipe(
          Disk.recorded(log)
        )
        // What is going to be written is said before it is.
        const batch = [lock, "write data.txt", "sync data.txt"]
        const taking = [`${lock}.new`, "sync .data.txt.skein.new"]
        assert.deepEqual(logged(), [...taking, `sync ${folder}`, lock, ...batch, ...batch])
        log.length = 0
        const fast = Files.lines(path, { fsync: false })
        const killed = opening(Option.some({ length: 2 }), { clean: false })
        yield* writeAs(fast, killed, [["c"]]).pipe(Disk.recorded(log))
        assert.deepEqual(logged(), [...taking, ...taking, "rename", "truncate data.txt", lock, lock, "write data.txt"])
      })
    )

    it.effect("writes nothing of a batch with an element that cannot be written", () =>
      Effect.gen(function* () {
        const path = yield* newPath
        const file = Files.jsonl(path, Order)
        const bad = { ...order(2), id: 1.5 }
        const error = yield* Effect.flip(write(file, none, [order(1), bad]))
        assert.deepInclude(error, { kind: "BadElement", field: "id" })
        assert.include(error.message, "Could not write element 2 of a batch of 2 to")
        assert.strictEqual(yield* contentOf(path), "")
        const split = yield* Effect.flip(write(Files.lines(path), none, ["one\ntwo"]))
        assert.strictEqual(split.kind, "BadElement")
      })
    )

    it.effect("notices that something else writes to its file", () =>
      Effect.gen(function* () {
        const path = yield* newPath
        const fs = yield* FileSystem.FileSystem
        const error = yield* Effect.gen(function* () {
          const writer = yield* Files.lines(path).open(opening(none))
          const state = Option.some(yield* writer.write(["a"], none))
          yield* fs.writeFileString(path, "from elsewhere\n", { flag: "a" })
          return yield* Effect.flip(writer.write(["b"], state))
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
        const fiber = yield* write(Files.lines(path), none, ["a"]).pipe(
          Disk.changed((file, to) =>
            to !== path
              ? {}
              : {
                  writeAll: (bytes) =>
                    Deferred.succeed(started, undefined).pipe(
                      Effect.andThen(Deferred.await(go)),
                      Effect.andThen(file.writeAll(bytes))
                    )
                }
          ),
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

  describe("a file as a sink, between two runs", () => {
    const file = (path: string) => Files.lines(path)
    /** Writes batches as a run that is killed behind the last one; gives the states. */
    const killed = (path: string, ...batches: ReadonlyArray<ReadonlyArray<string>>) =>
      writeAs(file(path), { ...opening(none), killed: true }, batches)
    const resumed = (path: string, state: Schema.Json, batch: ReadonlyArray<string>) =>
      writeAs(file(path), opening(Option.some(state), { clean: false }), [batch])
    const logging = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
      Effect.gen(function* () {
        const log: Array<string> = []
        const logger = Logger.make(({ message }) => void log.push(String(message)))
        yield* Effect.provide(effect, Logger.layer([logger]))
        return log
      })

    it.effect(
      "undoes what came after a state when it is written from that again, and keeps what was there before",
      () =>
        Effect.gen(function* () {
          const path = yield* fileOf("old\n")
          yield* Effect.gen(function* () {
            const writer = yield* file(path).open(opening(none))
            const begun = Option.some(yield* writer.write([], none))
            for (const since of [none, begun, none]) yield* writer.write(["twice"], since)
            assert.strictEqual(yield* contentOf(path), "old\ntwice\n")
            const first = Option.some(yield* writer.write(["a"], begun))
            assert.strictEqual(yield* contentOf(path), "old\na\n")
            const second = yield* writer.write(["b"], first)
            const again = yield* writer.write(["b"], first)
            assert.deepEqual(again, second)
            yield* writer.write(["c", "d"], Option.some(again))
            yield* writer.close!(Option.some(yield* writer.write(["e"], Option.some(again))))
          }).pipe(Effect.scoped)
          assert.strictEqual(yield* contentOf(path), "old\na\nb\ne\n")
        })
    )

    it.effect("P10 what a killed run was writing is cut off, and nothing is set aside", () =>
      Effect.gen(function* () {
        const path = yield* newPath
        const [state] = yield* killed(path, ["a"], ["lost"])
        assert.strictEqual(yield* contentOf(path), "a\nlost\n")
        assert.deepEqual(yield* beside(path), [".data.txt.skein", "data.txt"])
        const log = yield* logging(resumed(path, state!, ["b"]))
        assert.strictEqual(yield* contentOf(path), "a\nb\n")
        assert.deepEqual([yield* beside(path), log], [["data.txt"], []])
      })
    )

    it.effect.each([
      ["added to", (tail: string) => `${tail}foreign\n`],
      ["replaced", () => "xxxx\n"],
      ["a part of it", (tail: string) => tail.slice(0, 3)]
    ] as const)("P10 what is behind the committed lines and not known to be its own is set aside: %s", ([, change]) =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const path = yield* newPath
        const [state] = yield* killed(path, ["a"], ["lost"])
        const tail = change("lost\n")
        yield* fs.writeFileString(path, `a\n${tail}`)
        const log = yield* logging(resumed(path, state!, ["b"]))
        assert.strictEqual(yield* contentOf(path), "a\nb\n")
        assert.deepEqual(yield* asideOf(path), [tail])
        assert.strictEqual(log.length, 1)
        assert.include(log[0], `What stood in ${path} behind its first 2 bytes is not committed`)
      })
    )

    it.effect("P10 without its lock, nothing behind the committed lines is known to be its own", () =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const path = yield* newPath
        const [state] = yield* killed(path, ["a"], ["lost"])
        yield* fs.remove(lockOf(path))
        yield* logging(resumed(path, state!, ["b"]))
        assert.strictEqual(yield* contentOf(path), "a\nb\n")
        assert.deepEqual(yield* asideOf(path), ["lost\n"])
      })
    )

    it.effect("what was killed while it resumed is known all the same", () =>
      Effect.gen(function* () {
        const path = yield* newPath
        const [state] = yield* killed(path, ["a"], ["lost"])
        const dying = resumed(path, state!, ["b"]).pipe(
          Disk.changed((file, to) => (to === path ? { truncate: () => Effect.die("killed") } : file))
        )
        assert.isTrue(Exit.isFailure(yield* Effect.exit(dying)))
        assert.deepEqual(yield* logging(resumed(path, state!, ["b"])), [])
        assert.strictEqual(yield* contentOf(path), "a\nb\n")
        assert.deepEqual(yield* asideOf(path), [])
      })
    )

    it.effect("P10 what was added after a clean end stays, and what comes goes behind it", () =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const path = yield* newPath
        const [state] = yield* write(file(path), none, ["a"])
        yield* fs.writeFileString(path, "by somebody else", { flag: "a" })
        const [next] = yield* write(file(path), Option.some(state!), ["b"])
        assert.strictEqual(yield* contentOf(path), "a\nby somebody else\nb\n")
        yield* write(file(path), Option.some(next!), ["c"])
        assert.strictEqual(yield* contentOf(path), "a\nby somebody else\nb\nc\n")
        assert.deepEqual(yield* beside(path), ["data.txt"])
      })
    )

    it.effect("P10 refuses a file with other content than was committed, and touches nothing", () =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const path = yield* newPath
        const [state] = yield* write(file(path), none, ["a", "b"])
        yield* fs.writeFileString(path, "a\nB\nand more\n")
        for (const clean of [true, false]) {
          const how = opening(Option.some(state!), { clean })
          const error = yield* Effect.flip(writeAs(file(path), how, [["c"]]))
          assert.strictEqual(error.kind, "CommittedLost")
          assert.include(error.message, "4 bytes of it were committed, and they are not what was written")
          assert.strictEqual(yield* contentOf(path), "a\nB\nand more\n")
          assert.deepEqual(yield* beside(path), ["data.txt"])
        }
        // Version 0.1 kept no checksum.
        yield* write(file(path), Option.some({ length: 4 }), ["c"])
        assert.strictEqual(yield* contentOf(path), "a\nB\nand more\nc\n")
      })
    )

    it.effect.each([
      ["deleted", (fs, path) => fs.remove(path), "it was deleted or renamed"],
      ["renamed", (fs, path) => fs.rename(path, `${path}.old`), "it was deleted or renamed"],
      [
        "replaced",
        (fs, path) => Effect.andThen(fs.copyFile(path, `${path}.new`), fs.rename(`${path}.new`, path)),
        "another file was put in its place"
      ],
      ["added to", (fs, path) => fs.writeFileString(path, "foreign\n", { flag: "a" }), "something else writes to it"]
    ] as ReadonlyArray<
      readonly [string, (fs: FileSystem.FileSystem, path: string) => Effect.Effect<void, unknown>, string]
    >)("P10 fails when the file is %s while it is written to, and then leaves all as it is", ([, change, reason]) =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const path = yield* newPath
        const error = yield* Effect.gen(function* () {
          const writer = yield* file(path).open(opening(none))
          const state = Option.some(yield* writer.write(["a"], none))
          yield* change(fs, path)
          const error = yield* Effect.flip(writer.write(["b"], state))
          const after = yield* Effect.option(contentOf(path))
          assert.strictEqual((yield* Effect.flip(writer.write(["b"], state))).kind, "Interfered")
          // So the next run is not told that all is well.
          assert.strictEqual((yield* Effect.flip(writer.close!(state))).kind, "Interfered")
          assert.deepEqual(yield* Effect.option(contentOf(path)), after)
          return error
        }).pipe(Effect.scoped)
        assert.strictEqual(error.kind, "Interfered")
        assert.include(error.message, reason)
      })
    )

    it.effect("a write that failed is not undone over what somebody else has written since", () =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const path = yield* newPath
        yield* Effect.gen(function* () {
          const writer = yield* file(path).open(opening(none))
          const state = Option.some(yield* writer.write(["a"], none))
          yield* writer.write(["b"], state)
          yield* fs.writeFileString(path, "foreign\n", { flag: "a" })
          assert.strictEqual((yield* Effect.flip(writer.write(["c"], state))).kind, "Interfered")
          assert.strictEqual((yield* Effect.flip(writer.close!(state))).kind, "Interfered")
        }).pipe(Effect.scoped)
        assert.strictEqual(yield* contentOf(path), "a\nb\nforeign\n")
      })
    )

    /** Another pipeline, in another process, which has this to say of the first one's. */
    const another = (runs: boolean | undefined) =>
      opening(none, { owner: "another", host: { id: "other", label: "the other test", runs: () => runs } })

    it.effect.each([
      ["is alive", true, {}, "another pipeline writes to it, in this test"],
      ["may be alive", undefined, {}, "another pipeline may be writing to it, in this test"],
      ["was killed while it wrote and can go on", false, {}, "another pipeline was killed while it wrote to it"],
      ["was killed while it wrote and cannot go on", false, { durable: false }, undefined]
    ] as const)("P14 a file whose writer %s", ([, runs, how, refusal]) =>
      Effect.gen(function* () {
        const path = yield* newPath
        yield* writeAs(file(path), { ...opening(none, how), killed: true }, [["a"], ["b"]])
        const before = yield* beside(path)
        const exit = yield* Effect.exit(writeAs(file(path), another(runs), [["c"]]))
        if (refusal === undefined) {
          assert.isTrue(Exit.isSuccess(exit))
          assert.strictEqual(yield* contentOf(path), "a\nb\nc\n")
          return
        }
        const error = Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined
        assert.instanceOf(error, Files.FilesError)
        assert.strictEqual(error.kind, "Interfered")
        assert.include(error.message, refusal)
        assert.strictEqual(yield* contentOf(path), "a\nb\n")
        assert.deepEqual(yield* beside(path), before)
      })
    )

    it.effect(
      "P14 a file is taken from a dead writer whose journal is gone with it, and one at its end leaves no lock",
      () =>
        Effect.gen(function* () {
          const path = yield* newPath
          yield* writeAs(file(path), { ...opening(none), durable: false, killed: true }, [])
          yield* writeAs(file(path), another(false), [["c"]])
          assert.strictEqual(yield* contentOf(path), "c\n")
          assert.deepEqual(yield* beside(path), ["data.txt"])
          yield* writeAs(file(path), another(true), [["d"]])
          assert.strictEqual(yield* contentOf(path), "c\nd\n")
        })
    )

    it.effect("P14 a file whose lock is somebody else's file is refused, and both are left alone", () =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const path = yield* fileOf("a\n")
        yield* fs.writeFileString(lockOf(path), "not ours")
        const error = yield* Effect.flip(write(file(path), none, ["b"]))
        assert.strictEqual(error.kind, "Interfered")
        assert.include(error.message, `${lockOf(path)} is not what Skein writes there`)
        assert.deepEqual([yield* contentOf(path), yield* contentOf(lockOf(path))], ["a\n", "not ours"])
        assert.deepEqual(yield* beside(path), [".data.txt.skein", "data.txt"])
      })
    )

    it.effect("P14 a file is one and the same by whatever link, and is written through it", () =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const path = yield* fileOf("a\n")
        const folder = yield* fs.makeTempDirectoryScoped()
        yield* fs.symlink(path, `${folder}/link`)
        yield* fs.link(path, `${folder}/hard`)
        yield* fs.symlink("new.txt", `${folder}/dangling`)
        const link = file(`${folder}/link`)
        assert.strictEqual(yield* link.identity, yield* file(path).identity)
        const places = yield* link.places!
        assert.deepEqual(places, yield* file(path).places!)
        assert.includeMembers([...(yield* file(`${folder}/hard`).places!)], [places[1]!])
        yield* writeAs(link, { ...opening(none), killed: true }, [["b"]])
        assert.deepEqual(yield* beside(path), [".data.txt.skein", "data.txt"])
        assert.strictEqual(yield* contentOf(path), "a\nb\n")
        yield* write(file(`${folder}/dangling`), none, ["c"])
        assert.strictEqual(yield* contentOf(`${folder}/new.txt`), "c\n")
        assert.deepEqual((yield* fs.readDirectory(folder)).toSorted(), ["dangling", "hard", "link", "new.txt"])
        assert.strictEqual(yield* fs.readLink(`${folder}/dangling`), "new.txt")
      })
    )

    it.effect("a batch that is more than a string can hold is written in pieces, and taken back as a whole", () =>
      Effect.gen(function* () {
        const path = yield* newPath
        const lines = Array.from({ length: 8 }, (_, n) => `${n}${"x".repeat(3 * 1024 * 1024)}`)
        const small = Array.from({ length: 1000 }, (_, n) => `small ${n}`)
        const sizes: Array<number> = []
        const recording = Disk.changed((file, to) => ({
          writeAll: (bytes) =>
            Effect.tap(file.writeAll(bytes), () => Effect.sync(() => to === path && sizes.push(bytes.length)))
        }))
        yield* Effect.gen(function* () {
          const writer = yield* file(path).open(opening(none))
          const state = Option.some(yield* writer.write([...small, ...lines], none))
          assert.strictEqual(sizes.length, lines.length)
          assert.isBelow(Math.max(...sizes), 4 * 1024 * 1024 + 1)
          const committed = yield* contentOf(path)
          assert.strictEqual(committed, [...small, ...lines, ""].join("\n"))

          const error = yield* Effect.flip(writer.write([...lines, "two\nlines", "more"], state))
          assert.deepInclude(error, { kind: "BadElement", row: lines.length })
          assert.deepEqual(writer.atFault?.(error), [lines.length])
          assert.isAbove(sizes.length, lines.length)
          yield* writer.close!(state)
          assert.isTrue((yield* contentOf(path)) === committed)
        }).pipe(Effect.scoped, recording)
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
