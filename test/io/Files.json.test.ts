import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { Files, Journal, Pipeline, Sink } from "skein"
import { symlinkSync } from "node:fs"
import { gzipSync } from "node:zlib"
import * as Disk from "../support/disk.ts"

const fileOf = (content: string | Uint8Array, name = "data.json") =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const path = `${yield* fs.makeTempDirectoryScoped()}/${name}`
    yield* fs.writeFile(path, typeof content === "string" ? Buffer.from(content) : content)
    return path
  })

const read = <A>(file: Files.LineFile<A>, after?: number) => Stream.runCollect(file.read(Option.fromUndefinedOr(after)))

const readUntilError = <A>(file: Files.LineFile<A>) =>
  Effect.gen(function* () {
    const seen: Array<A> = []
    const error = yield* file.read(Option.none()).pipe(
      Stream.runForEach(({ value }) => Effect.sync(() => void seen.push(value))),
      Effect.flip
    )
    return { seen, error }
  })

it.layer(NodeServices.layer)("Files", (it) => {
  describe("json", () => {
    const texts: ReadonlyArray<string> = [
      "[]",
      " [ ] \n",
      "[1]",
      "\ufeff[1,2]",
      '[ 1 , "a" ,null,true,-1.5e3 , {"a":[1,{"b":"]"}]},[[],[[]]] ]',
      '[\n{"a":"\\"}]"},\n{"a":"\\\\"},"\\\\\\"",\n"é漢😀,]"\n]\n',
      '["\\u005d","[{"]'
    ]

    it.effect("gives each element of any array, however the bytes arrive, and resumes behind each", () =>
      Effect.gen(function* () {
        for (const text of texts) {
          const expected = JSON.parse(text.replace("\ufeff", "")) as ReadonlyArray<unknown>
          const file = Files.json(yield* fileOf(text), Schema.Json)
          for (const size of [1, 2, 3, 7, 1000]) {
            const elements = yield* read(file).pipe(Disk.shortReads(size))
            assert.deepEqual(
              elements.map(({ value }) => value),
              expected,
              text
            )
            for (const [index, { position }] of elements.entries()) {
              assert.deepEqual(yield* read(file, position).pipe(Disk.shortReads(size)), elements.slice(index + 1))
            }
          }
        }
      })
    )

    it.effect("refuses what is no array by its offset, after the elements before it", () =>
      Effect.gen(function* () {
        const cases: ReadonlyArray<readonly [text: string, count: number, offset: number, reason: string]> = [
          ["", 0, 0, "it is empty"],
          [" \n", 0, 2, "it is empty"],
          ['{"a":1}', 0, 0, "it does not begin with `[`"],
          ["[", 0, 1, "it ends before the `]`"],
          ["[1", 0, 1, "it ends in the middle of an element"],
          ["[1 ", 1, 3, "it ends before the `]`"],
          ["[1,", 1, 3, "it ends before the `]`"],
          ["[1,]", 1, 3, "there is no element"],
          ["[,1]", 0, 1, "there is no element"],
          ["[1 2]", 1, 3, "there is no `,` or `]`"],
          ["[1]x", 1, 3, "something follows"],
          ["[1]]", 1, 3, "something follows"],
          ["[1][2]", 1, 3, "something follows"],
          ['["a', 0, 1, "it ends in the middle of an element"],
          ['["a"b]', 1, 4, "there is no `,` or `]`"],
          ["[1,{]}]", 1, 3, "it is not JSON"],
          ["[nul]", 0, 1, "it is not JSON"],
          ["[01]", 0, 1, "it is not JSON"],
          ["[1}]", 1, 2, "there is no `,` or `]`"]
        ]
        for (const [text, count, offset, reason] of cases) {
          const { error, seen } = yield* readUntilError(Files.json(yield* fileOf(text), Schema.Json))
          assert.deepEqual([seen.length, error.offset], [count, offset], text)
          assert.include(error.reason, reason, text)
        }
      })
    )

    it.effect("names the field of an element that does not fit, with its line and byte", () =>
      Effect.gen(function* () {
        const file = Files.json(yield* fileOf('[\n{"a":1},\n{"a":"x"}\n]'), Schema.Struct({ a: Schema.Finite }))
        const { error, seen } = yield* readUntilError(file)
        assert.deepEqual(seen, [{ a: 1 }])
        assert.deepInclude(error, { kind: "BadLine", line: 3, offset: 11, field: "a" })
      })
    )

    it.effect("bounds an element, and takes one that is deep", () =>
      Effect.gen(function* () {
        const path = yield* fileOf(`[1,${JSON.stringify("x".repeat(3_000_000))}]`)
        const { error } = yield* readUntilError(Files.json(path, Schema.Json, { maxLine: 1000 }))
        assert.include(error.reason, "an element is longer than 1000 bytes, the limit of `maxLine`")
        assert.lengthOf(yield* read(Files.json(path, Schema.Json)), 2)
        const deep = `[${"[".repeat(5000)}${"]".repeat(5000)}]`
        assert.lengthOf(yield* read(Files.json(yield* fileOf(deep), Schema.Unknown)), 1)
      })
    )

    it.effect("reads more than its blocks, compressed as well", () =>
      Effect.gen(function* () {
        const all = Array.from({ length: 30_000 }, (_, i) => ({ i, text: `${"é".repeat(i % 90)}"]` }))
        const text = JSON.stringify(all)
        for (const path of [yield* fileOf(text), yield* fileOf(gzipSync(text), "data.json.gz")]) {
          const file = Files.json(path, Schema.Struct({ i: Schema.Finite, text: Schema.String }))
          const elements = yield* read(file)
          assert.deepEqual(
            elements.map(({ value }) => value),
            all
          )
          assert.deepEqual(yield* read(file, elements[29_000]!.position), elements.slice(29_001))
        }
      })
    )

    it.effect("P10 goes on with an array that was written on, without its old end", () =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const path = yield* fileOf("[\n1,\n2\n]\n")
        const seen: Array<number> = []
        const run = Pipeline.from(Files.json(path, Schema.Finite)).pipe(
          Pipeline.to(Sink.forEach((n: number) => Effect.sync(() => void seen.push(n)))),
          (job) => Pipeline.run(job, { name: "array" })
        )
        yield* run
        yield* fs.writeFileString(path, "[\n1,\n2,\n3\n]\n")
        yield* run
        assert.deepEqual(seen, [1, 2, 3])
        yield* fs.writeFileString(path, "[\n1,\n2,\n4\n]\n")
        assert.instanceOf(yield* Effect.flip(run), Pipeline.SourceChanged)
      }).pipe(Effect.provide(Journal.memory))
    )
  })

  describe("bytes", () => {
    it.effect("gives blocks of a size and resumes behind each", () =>
      Effect.gen(function* () {
        const content = Uint8Array.from({ length: 10 }, (_, i) => 255 - i)
        for (const path of [yield* fileOf(content, "a.bin"), yield* fileOf(gzipSync(content), "a.bin.gz")]) {
          const file = Files.bytes(path, { size: 4 })
          const blocks = yield* read(file).pipe(Disk.shortReads(3))
          assert.deepEqual(
            blocks.map(({ position, value }) => [[...value], position]),
            [
              [[255, 254, 253, 252], 4],
              [[251, 250, 249, 248], 8],
              [[247, 246], 10]
            ]
          )
          assert.deepEqual(yield* read(file, 4), blocks.slice(1))
          assert.deepEqual(yield* read(file, 10), [])
        }
        assert.deepEqual(yield* read(Files.bytes(yield* fileOf("", "none"))), [])
        const raw = gzipSync("x")
        const kept = yield* read(Files.bytes(yield* fileOf(raw, "x.gz"), { compression: "none" }))
        assert.deepEqual(
          kept.map(({ value }) => Buffer.from(value)),
          [raw]
        )
        assert.throws(() => Files.bytes("x", { size: 0 }), "Files: size must be a whole number, 1 or more; got 0")
      })
    )

    it.effect("P10 goes on behind a last block that was short", () =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const path = yield* fileOf("abcdef", "a.bin")
        const seen: Array<string> = []
        const run = Pipeline.from(Files.bytes(path, { size: 4 })).pipe(
          Pipeline.to(
            Sink.forEach((block: Uint8Array) => Effect.sync(() => void seen.push(Buffer.from(block).toString())))
          ),
          (job) => Pipeline.run(job, { name: "blocks" })
        )
        yield* run
        yield* fs.writeFileString(path, "ghi", { flag: "a" })
        yield* run
        assert.deepEqual(seen, ["abcd", "ef", "ghi"])
      }).pipe(Effect.provide(Journal.memory))
    )
  })

  describe("walk", () => {
    const found = (root: string, options?: Files.WalkOptions) =>
      Effect.map(Stream.runCollect(Files.walk(root, options)), (all) => all.map(({ name, type }) => `${name} ${type}`))

    it.effect("gives what is in a folder and below it, by name, and leaves links alone unless asked", () =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const root = yield* fs.makeTempDirectoryScoped()
        yield* fs.makeDirectory(`${root}/b/c`, { recursive: true })
        yield* fs.writeFileString(`${root}/b/c/x.txt`, "")
        yield* fs.writeFileString(`${root}/a.txt`, "")
        yield* fs.writeFileString(`${root}/.z`, "")
        symlinkSync(root, `${root}/b/up`)
        symlinkSync("c", `${root}/b/other`)
        symlinkSync("nowhere", `${root}/b/broken`)
        symlinkSync("self", `${root}/b/self`)
        const all = [
          ".z File",
          "a.txt File",
          "b Directory",
          "b/broken SymbolicLink",
          "b/c Directory",
          "b/c/x.txt File",
          "b/other SymbolicLink",
          "b/self SymbolicLink",
          "b/up SymbolicLink"
        ]
        assert.deepEqual(yield* found(root), all)
        assert.deepEqual(yield* found(`${root}//`), all)
        assert.deepEqual(yield* found(root, { followLinks: true }), all.toSpliced(7, 0, "b/other/x.txt File"))
        assert.deepEqual(yield* found(root, { pattern: "**/*.txt" }), ["a.txt File", "b/c/x.txt File"])
        const [first] = yield* Stream.runCollect(Stream.take(Files.walk(root), 1))
        assert.strictEqual(first!.path, `${root}/.z`)
        const missing = yield* Effect.flip(found(`${root}/none`))
        assert.include(missing.message, `Could not look into "${root}/none": there is no such file or folder`)
      })
    )
  })
})
