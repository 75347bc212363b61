import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, expectTypeOf, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as PlatformError from "effect/PlatformError"
import * as Schema from "effect/Schema"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import { Files, Journal, Pipeline, Sink, type Source } from "skein"
import { execFileSync } from "node:child_process"
import { readdirSync, symlinkSync } from "node:fs"
import { gzipSync } from "node:zlib"

/** A folder with these files, which the test's scope removes. */
const folderOf = (files: Readonly<Record<string, string | Uint8Array>>) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const folder = yield* fs.makeTempDirectoryScoped()
    for (const [name, content] of Object.entries(files)) {
      const path = `${folder}/${name}`
      yield* fs.makeDirectory(path.slice(0, path.lastIndexOf("/")), { recursive: true })
      yield* fs.writeFile(path, typeof content === "string" ? Buffer.from(content) : content)
    }
    return folder
  })

type Lines = Files.ManyFiles<string>

const read = (source: Lines, after?: Files.FilePosition, kept?: Source.Fingerprint) =>
  Stream.runCollect(source.read(Option.fromUndefinedOr(after), kept))
const values = (source: Lines) => Effect.map(read(source), (all) => all.map(({ value }) => value))

/** Runs over these files, as often as it is asked to, each time with what it read. */
const runs = <E, R>(source: Source.Source<string, E, R, Files.FilePosition>, stopAt?: string) => {
  const seen: Array<string> = []
  const job = (isStopped: boolean) =>
    Pipeline.from(source).pipe(
      Pipeline.map((line) => (isStopped && line === stopAt ? Effect.fail("stopped" as const) : Effect.succeed(line))),
      Pipeline.to(Sink.forEach((line: string) => Effect.sync(() => void seen.push(line))))
    )
  const run = (isStopped = false) =>
    Effect.suspend(() => {
      seen.length = 0
      return Pipeline.run(job(isStopped), { name: "files", maxRows: 1 }).pipe(Effect.exit, Effect.as(seen))
    })
  const error = Effect.flip(Pipeline.run(job(false), { name: "files" })).pipe(
    Effect.map((error) => {
      assert.instanceOf(error, Pipeline.SourceChanged)
      return error
    })
  )
  return { run, error }
}

it.layer(NodeServices.layer)("Files of several", (it) => {
  describe("a list", () => {
    it.effect("is read in its order, with positions in each file, and resumed at each of them", () =>
      Effect.gen(function* () {
        const folder = yield* folderOf({ b: "b1\nb2\n", a: "a1\na2", empty: "", "c.gz": gzipSync("c1\n") })
        const paths = ["b", "a", "empty", "c.gz"].map((name) => `${folder}/${name}`)
        const source = Files.lines(paths)
        const elements = yield* read(source)
        assert.deepEqual(
          elements.map(({ position, value }) => [value, position.file.slice(folder.length + 1), position.at]),
          [
            ["b1", "b", 3],
            ["b2", "b", 6],
            ["a1", "a", 3],
            ["a2", "a", 5],
            ["c1", "c.gz", 3]
          ]
        )
        for (const [index, { position }] of elements.entries()) {
          assert.deepEqual(yield* read(source, position), elements.slice(index + 1))
          const kept = yield* source.fingerprint(Option.some(position))
          assert.deepEqual(yield* read(Files.lines(paths), position, kept), elements.slice(index + 1))
          assert.deepEqual(yield* Files.lines(paths).changed!(kept, Option.some(position)), [])
        }
        assert.strictEqual(source.name, `${folder}/b and 3 more`)
        assert.deepEqual(yield* source.size, Option.none())
        assert.deepEqual(yield* Files.lines(paths.slice(0, 3)).size, Option.some(11))
      })
    )

    it("is refused when it is empty or has a file twice", () => {
      assert.throws(() => Files.lines([]), "Files: the list of files is empty")
      assert.throws(() => Files.lines(["a", "b", "a"]), 'Files: "a" is in the list twice')
    })

    it.effect("fails with the name of a file that is missing or a folder, after those before it", () =>
      Effect.gen(function* () {
        const folder = yield* folderOf({ a: "a\n", "sub/b": "b\n" })
        for (const [name, kind] of [
          ["none", "NotFound"],
          ["sub", "NotAFile"]
        ] as const) {
          const seen: Array<string> = []
          const error = yield* Files.lines([`${folder}/a`, `${folder}/${name}`])
            .read(Option.none())
            .pipe(
              Stream.runForEach(({ value }) => Effect.sync(() => void seen.push(value))),
              Effect.flip
            )
          assert.deepInclude(error, { kind, path: `${folder}/${name}` })
          assert.deepEqual(seen, ["a"])
        }
      })
    )

    it.effect("has one file open at a time", () =>
      Effect.gen(function* () {
        const names = Array.from({ length: 50 }, (_, i) => `file ${i}`)
        const folder = yield* folderOf(Object.fromEntries(names.map((name) => [name, `${name}\n`])))
        const open: Array<number> = []
        yield* Files.lines(names.map((name) => `${folder}/${name}`))
          .read(Option.none())
          .pipe(Stream.runForEach(() => Effect.sync(() => void open.push(readdirSync("/proc/self/fd").length))))
        assert.lengthOf(open, 50)
        assert.isBelow(Math.max(...open) - Math.min(...open), 5)
      })
    )
  })

  describe("a glob", () => {
    it.effect("is read by name, and leaves out folders", () =>
      Effect.gen(function* () {
        const strange = [
          "a b.txt",
          "it's.txt",
          'say "hi".txt',
          "zeile\numbruch.txt",
          "-n.txt",
          "ünïcode 日本.txt",
          "[x]*.txt"
        ]
        const folder = yield* folderOf({
          ...Object.fromEntries(strange.map((name) => [name, `${JSON.stringify(name)}\n`])),
          "folder.txt/inner.txt": "inner\n",
          "other.log": "log\n",
          ".hidden.txt": "hidden\n"
        })
        const sorted = [...strange].sort((one, other) => (one < other ? -1 : 1)).map((name) => JSON.stringify(name))
        assert.deepEqual(yield* values(Files.lines(Files.glob(`${folder.replaceAll("[", "\\[")}/*.txt`))), sorted)
        assert.deepEqual(yield* values(Files.lines(Files.glob("*.txt", { root: folder }))), sorted)
        assert.deepEqual(yield* values(Files.lines(Files.glob("**/inner.txt", { root: folder }))), ["inner"])
        const { message } = yield* Effect.flip(read(Files.lines(Files.glob("*.none", { root: folder }))))
        assert.include(message, 'Could not find files by "*.none": no file matches it')
        for (const name of strange) {
          assert.deepEqual(
            yield* Effect.map(
              Stream.runCollect(Files.lines(`${folder}/${name}`).read(Option.none())),
              (all) => all.length
            ),
            1
          )
        }
      })
    )

    it.effect("P10 goes on with files that are new or grew, whatever their names, and reads nothing twice", () =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const folder = yield* folderOf({ "m.log": "m1\nm2\n", "t.log": "t1\n" })
        const { error, run } = runs(Files.lines(Files.glob("*.log", { root: folder })))
        assert.deepEqual(yield* run(), ["m1", "m2", "t1"])
        assert.deepEqual(yield* run(), [])
        yield* fs.writeFileString(`${folder}/z.log`, "z1\n")
        yield* fs.writeFileString(`${folder}/a.log`, "a1\n")
        yield* fs.writeFileString(`${folder}/m.log`, "m3\n", { flag: "a" })
        assert.deepEqual(yield* run(), ["a1", "m3", "z1"])
        yield* fs.writeFileString(`${folder}/a.log`, "a2\n", { flag: "a" })
        assert.deepEqual(yield* run(), ["a2"])
        yield* fs.writeFileString(`${folder}/m.log`, "M1\nm2\nm3\n")
        assert.include(
          (yield* error).message,
          `"${folder}/m.log": its first 9 bytes, which were read, are not what they were`
        )
        yield* fs.remove(`${folder}/m.log`)
        assert.include((yield* error).message, `"${folder}/m.log": it was read, and is not among the files any more`)
      }).pipe(Effect.provide(Journal.memory))
    )

    it.effect("P10 a run that was stopped reads first what it was about to, then what came meanwhile", () =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const folder = yield* folderOf({ "m.log": "m1\nm2\nm3\n", "t.log": "t1\n" })
        const { run } = runs(Files.lines(Files.glob("*.log", { root: folder })), "m2")
        assert.deepEqual(yield* run(true), ["m1"])
        yield* fs.writeFileString(`${folder}/a.log`, "a1\n")
        yield* fs.writeFileString(`${folder}/n.log`, "n1\n")
        assert.deepEqual(yield* run(), ["m2", "m3", "t1", "a1", "n1"])
        assert.deepEqual(yield* run(), [])
      }).pipe(Effect.provide(Journal.memory))
    )

    it.effect("fails at a link to nowhere, and at a folder that must not be looked into", () =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const folder = yield* folderOf({ "a.txt": "a\n", "sub/b.txt": "b\n" })
        symlinkSync(`${folder}/none`, `${folder}/link.txt`)
        const broken = yield* Effect.flip(read(Files.lines(Files.glob("*.txt", { root: folder }))))
        assert.deepInclude(broken, { kind: "NotFound", path: `${folder}/link.txt` })
        const denied = PlatformError.systemError({ _tag: "PermissionDenied", module: "FileSystem", method: "readdir" })
        const error = yield* Effect.flip(read(Files.lines(Files.glob("**/b.txt", { root: folder })))).pipe(
          Effect.provideService(FileSystem.FileSystem, {
            ...fs,
            readDirectoryEntries: (path) => (path.endsWith("sub") ? Effect.fail(denied) : fs.readDirectoryEntries(path))
          })
        )
        assert.strictEqual(error.kind, "NotAllowed")
        assert.match(error.message, /^Could not look into ".*sub": this user is not allowed to\./)
      })
    )

    it.effect("P14 does not match what the run writes to", () =>
      Effect.gen(function* () {
        const folder = yield* folderOf({ "a.log": "a\n", "out.log": "" })
        const error = yield* Pipeline.from(Files.lines(Files.glob("*.log", { root: folder }))).pipe(
          Pipeline.to(Files.lines(`${folder}/out.log`)),
          (job) => Pipeline.run(job, { name: "in is out" }),
          Effect.flip
        )
        assert.strictEqual(error._tag, "SamePlace")
      }).pipe(Effect.provide(Journal.memory))
    )

    it.effect("fails when a file in it is cut or replaced while it is read", () =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const long = "0123456789abcde\n".repeat(196_608)
        const folder = yield* folderOf({ "1.log": "one\n", "2.log": long })
        let count = 0
        const error = yield* Files.lines(Files.glob("*.log", { root: folder }))
          .read(Option.none())
          .pipe(
            Stream.runForEach(() => (count++ === 1 ? fs.truncate(`${folder}/2.log`, 1_500_000) : Effect.void)),
            Effect.flip
          )
        assert.deepInclude(error, { kind: "Shrunk", path: `${folder}/2.log` })
      })
    )

    it.effect("takes formats and schemas", () =>
      Effect.gen(function* () {
        const folder = yield* folderOf({
          "1.jsonl": '{"a":1}\n',
          "2.jsonl": '{"a":"x"}\n',
          "1.csv": "a\n1\n",
          "2.csv": "b,a\n3,2\n"
        })
        const Row = Schema.Struct({ a: Schema.Finite })
        const rows = yield* Stream.runCollect(Files.csv(Files.glob("*.csv", { root: folder }), Row).read(Option.none()))
        assert.deepEqual(
          rows.map(({ value }) => value),
          [{ a: 1 }, { a: 2 }]
        )
        const error = yield* Effect.flip(
          Stream.runDrain(Files.jsonl(Files.glob("*.jsonl", { root: folder }), Row).read(Option.none()))
        )
        assert.deepInclude(error, { kind: "BadLine", path: `${folder}/2.jsonl`, line: 1, field: "a" })
      })
    )
  })

  describe("stdin", () => {
    const given = (...pieces: ReadonlyArray<string | Uint8Array>) =>
      Stdio.layerTest({ stdin: Stream.fromIterable(pieces.map((piece) => Uint8Array.from(Buffer.from(piece)))) })

    it.effect("is read however its bytes come, in any form and format", () =>
      Effect.gen(function* () {
        const all = Pipeline.collect(Pipeline.from(Files.lines(Files.stdin)))
        assert.deepEqual(yield* Effect.provide(all, given("a", "b\n", "", "c\r", "\nlast")), ["ab", "c", "last"])
        assert.deepEqual(yield* Effect.provide(all, given()), [])
        assert.deepEqual(yield* Effect.provide(all, given(Buffer.from("\ufeffé\n", "utf16le"))), ["é"])
        const zipped = gzipSync("a\nb\n")
        const undone = Pipeline.collect(Pipeline.from(Files.lines(Files.stdin, { compression: "gzip" })))
        assert.deepEqual(yield* Effect.provide(undone, given(zipped.subarray(0, 5), zipped.subarray(5))), ["a", "b"])
        const refused = yield* Effect.flip(Effect.provide(all, given(zipped)))
        assert.include(refused.message, 'Could not read "stdin": it is compressed with gzip')
        const rows = Pipeline.collect(Pipeline.from(Files.jsonl(Files.stdin, Schema.Struct({ a: Schema.Finite }))))
        assert.deepEqual(yield* Effect.provide(rows, given('{"a":1}\n{"a":2}')), [{ a: 1 }, { a: 2 }])
        const bad = yield* Effect.flip(Effect.provide(rows, given('{"a":1}\n{"a":"x"}')))
        assert.include(bad, { kind: "BadLine", offset: 8, field: "a" })
      })
    )

    it("has no positions, as its type says", () => {
      const piped = Pipeline.from(Files.lines(Files.stdin))
      expectTypeOf(piped).toEqualTypeOf<Pipeline.Pipeline<string, Files.FilesError, Stdio.Stdio, Source.NoPosition>>()
      assert.strictEqual(Files.lines(Files.stdin).resumable, false)
    })

    it("P14 is the file that it was redirected from", () => {
      const program = `
        import { Effect } from "effect"
        import * as NodeServices from "@effect/platform-node/NodeServices"
        import { Files, Journal, Pipeline } from "skein"
        const job = Pipeline.from(Files.lines(Files.stdin)).pipe(Pipeline.to(Files.lines(process.argv[1])))
        const error = await Pipeline.run(job, { name: "same" }).pipe(
          Effect.flip, Effect.provide(Journal.memory), Effect.provide(NodeServices.layer), Effect.runPromise)
        console.log(error._tag)`
      const folder = process.env["TMPDIR"] ?? "/tmp"
      const path = `${folder}/stdin-${process.pid}.txt`
      const shell = 'echo one > "$0"; exec "$1" --conditions=skein-source --input-type=module -e "$2" "$0" < "$0"'
      try {
        const out = execFileSync("/bin/sh", ["-c", shell, path, process.execPath, program], { encoding: "utf8" })
        assert.strictEqual(out.trim(), "SamePlace")
      } finally {
        execFileSync("rm", ["-f", path])
      }
    })
  })
})
