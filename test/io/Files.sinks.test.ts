import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Sink from "effect/Sink"
import * as Stdio from "effect/Stdio"
import * as TestClock from "effect/testing/TestClock"
import { gunzipSync, zstdDecompressSync } from "node:zlib"
import type { Sink as Sinks } from "skein"
import { Files, Journal, Pipeline, Source } from "skein"
import { linesFormat } from "../../src/io/files/format/LinesFormat.ts"
import type { Format } from "../../src/io/files/Format.ts"
import * as FileWriter from "../../src/io/files/write/FileWriter.ts"
import * as Child from "../support/child.ts"
import { openingAlone } from "../support/database.ts"

const newFolder = FileSystem.FileSystem.use((fs) => fs.makeTempDirectoryScoped())
const textOf = (path: string) => FileSystem.FileSystem.use((fs) => fs.readFileString(path))
const namesIn = (folder: string) =>
  FileSystem.FileSystem.use((fs) => fs.readDirectory(folder, { recursive: true })).pipe(
    Effect.map((names) => names.filter((name) => name.includes(".")).toSorted())
  )

const numbers = (count: number, name = "numbers") =>
  Source.list(
    Array.from({ length: count }, (_, n) => `${n}`),
    { name }
  )
const linesTo = (count: number) => Array.from({ length: count }, (_, n) => `${n}\n`).join("")

/** A run of so many lines into a sink, in commits of a few. */
const write = <E, R, J>(
  count: number,
  sink: Sinks.Sink<string, E, R, Sinks.Guarantee, J>,
  options: Partial<Pipeline.RunOptions<never>> = {}
) =>
  Pipeline.run(Pipeline.from(numbers(count)).pipe(Pipeline.to(sink)), {
    name: "write",
    maxRows: 3,
    window: { items: 3 },
    ...options
  })

it.layer(NodeServices.layer)("Files as sinks", (it) => {
  describe("atomic", () => {
    it.effect("shows the old content until the new one is whole, also where the run fails, and goes on", () =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const folder = yield* newFolder
        const path = `${folder}/out.txt`
        yield* fs.writeFileString(path, "old\n")
        yield* fs.chmod(path, 0o640)
        const seen = new Set<string>()
        let broken = true
        const job = Pipeline.from(numbers(9)).pipe(
          Pipeline.map((n) =>
            Effect.gen(function* () {
              seen.add(yield* Effect.orDie(textOf(path)))
              return broken && n === "7" ? yield* Effect.fail("broken") : n
            })
          ),
          Pipeline.to(Files.lines(path, { atomic: true }))
        )
        const run = Pipeline.run(job, { name: "write", maxRows: 2, window: { items: 2 } })
        assert.strictEqual(yield* Effect.flip(run), "broken")
        assert.strictEqual(yield* textOf(path), "old\n")
        assert.deepEqual(yield* namesIn(folder), [".out.txt.skein-journal", ".out.txt.skein-part", "out.txt"])
        broken = false
        yield* run
        assert.deepEqual([...seen], ["old\n"])
        assert.strictEqual(yield* textOf(path), linesTo(9))
        assert.strictEqual((yield* fs.stat(path)).mode & 0o777, 0o640)
        assert.deepEqual(yield* namesIn(folder), [".out.txt.skein-journal", "out.txt"])
      })
    )

    it.effect("goes on in a copy once the source grew, and touches nothing where it did not", () =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const folder = yield* newFolder
        const path = `${folder}/out.txt`
        const sink = Files.lines(path, { atomic: true })
        yield* write(4, sink)
        const { ino } = yield* fs.stat(path)
        yield* write(4, sink)
        assert.deepEqual((yield* fs.stat(path)).ino, ino)
        yield* fs.writeFileString(path, "by somebody else\n", { flag: "a" })
        yield* write(6, sink)
        assert.strictEqual(yield* textOf(path), `${linesTo(4)}by somebody else\n4\n5\n`)
        assert.notDeepEqual((yield* fs.stat(path)).ino, ino)
        yield* write(2, sink, { restart: true })
        assert.strictEqual(yield* textOf(path), linesTo(2))
        yield* fs.writeFileString(path, "changed\n")
        assert.strictEqual((yield* Effect.flip(write(3, sink)))._tag, "FilesError")
        assert.strictEqual(yield* textOf(path), "changed\n")
      })
    )

    it.effect("writes through a link, and so does writeAtomic: the link stays", () =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const folder = yield* newFolder
        yield* fs.makeDirectory(`${folder}/far`)
        const far = `${folder}/far/out.txt`
        yield* fs.writeFileString(far, "old\n")
        yield* fs.chmod(far, 0o604)
        yield* fs.symlink(far, `${folder}/link`)
        yield* write(2, Files.lines(`${folder}/link`, { atomic: true }))
        assert.strictEqual(yield* textOf(far), linesTo(2))
        yield* write(3, Files.lines(`${folder}/link`, { atomic: true }), { restart: true })
        assert.strictEqual(yield* textOf(far), linesTo(3))
        yield* Files.writeAtomic(`${folder}/link`, "whole\n")
        assert.strictEqual(yield* textOf(far), "whole\n")
        assert.strictEqual(yield* fs.readLink(`${folder}/link`), far)
        assert.strictEqual((yield* fs.stat(far)).mode & 0o777, 0o604)
        assert.deepEqual(
          (yield* namesIn(folder)).filter((name) => !name.includes("skein-journal")),
          ["far/out.txt"]
        )
        yield* fs.symlink("new.txt", `${folder}/nowhere`)
        yield* Files.writeAtomic(`${folder}/nowhere`, "made\n")
        assert.strictEqual(yield* textOf(`${folder}/new.txt`), "made\n")
        assert.strictEqual(yield* fs.readLink(`${folder}/nowhere`), "new.txt")
      })
    )

    it.effect("of nothing is an empty file", () =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const path = `${yield* newFolder}/out.txt`
        yield* fs.writeFileString(path, "old\n")
        yield* write(0, Files.lines(path, { atomic: true }))
        assert.strictEqual(yield* textOf(path), "")
      })
    )
  })

  describe("compressed", () => {
    it.effect.each([
      ["gz", gunzipSync],
      // What comes in Node gives the first frame alone.
      ["zst", (bytes: Uint8Array) => Buffer.concat([zstdDecompressSync(bytes), Buffer.from(linesTo(10).slice(6))])]
    ] as const)("by its name, .%s: each commit is a whole by itself, read back, and cut back to", ([ending, plain]) =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const path = `${yield* newFolder}/out.txt.${ending}`
        yield* write(7, Files.lines(path))
        yield* write(10, Files.lines(path))
        assert.strictEqual(plain(yield* fs.readFile(path)).toString(), linesTo(10))
        assert.deepEqual(yield* Pipeline.collect(Pipeline.from(Files.lines(path))), [..."0123456789"])
        yield* fs.truncate(path, Number((yield* fs.stat(path)).size) - 1)
        const error = yield* Effect.flip(write(11, Files.lines(path)))
        assert.strictEqual((error as Files.FilesError).kind, "CommittedLost")
      })
    )

    it.effect("by an option, and not by the name where that says so; another way than before is another sink", () =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const folder = yield* newFolder
        yield* write(3, Files.lines(`${folder}/a.gz`, { compression: "none" }))
        assert.strictEqual(yield* textOf(`${folder}/a.gz`), linesTo(3))
        yield* write(3, Files.lines(`${folder}/b`, { compression: "gzip" }))
        assert.strictEqual(gunzipSync(yield* fs.readFile(`${folder}/b`)).toString(), linesTo(3))
        const error = yield* Effect.flip(write(4, Files.lines(`${folder}/b`)))
        assert.strictEqual(error._tag, "SinkChanged")
      })
    )

    it.effect("brotli is refused before anything is written", () =>
      Effect.gen(function* () {
        const folder = yield* newFolder
        const error = yield* Effect.flip(write(3, Files.lines(`${folder}/a.br`)))
        assert.include(error.message, "what is compressed with brotli cannot be added to, nor cut back")
        assert.notInclude(yield* namesIn(folder), "a.br")
      })
    )

    it.effect("does not lose what makes it small to small commits", () =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const path = `${yield* newFolder}/out.gz`
        const lines = Source.list(
          Array.from({ length: 20_000 }, (_, n) => `{"id":${n},"name":"somebody","mail":"somebody@example.org"}`),
          { name: "lines" }
        )
        yield* Pipeline.run(Pipeline.from(lines).pipe(Pipeline.to(Files.lines(path))), { name: "write" })
        const bytes = yield* fs.readFile(path)
        assert.isBelow(bytes.length * 8, gunzipSync(bytes).length)
      })
    )
  })

  describe("rotated", () => {
    const partsIn = (folder: string) =>
      Effect.map(namesIn(folder), (names) => names.filter((name) => !name.startsWith(".")))

    it.effect("by rows: whole elements, the last one beyond what is there, from run to run", () =>
      Effect.gen(function* () {
        const folder = yield* newFolder
        const sink = Files.lines(`${folder}/log.txt.gz`, { rotate: { rows: 4 }, compression: "none" })
        yield* write(6, sink)
        yield* write(9, sink)
        assert.deepEqual(
          yield* partsIn(folder),
          [1, 2, 3].map((part) => `log-00000${part}.txt.gz`)
        )
        assert.strictEqual(yield* textOf(`${folder}/log-000001.txt.gz`), "0\n1\n2\n3\n")
        assert.strictEqual(yield* textOf(`${folder}/log-000002.txt.gz`), "4\n5\n6\n7\n")
        assert.strictEqual(yield* textOf(`${folder}/log-000003.txt.gz`), "8\n")
        yield* write(2, sink, { restart: true })
        assert.strictEqual(yield* textOf(`${folder}/log-000004.txt.gz`), "0\n1\n")
        yield* write(
          1,
          Files.lines(`${folder}/log.txt.gz`, { rotate: { rows: 4 }, compression: "none", existing: "replace" }),
          {
            restart: true
          }
        )
        assert.deepEqual(yield* partsIn(folder), ["log-000001.txt.gz"])
      })
    )

    it.effect("by bytes, and by time as the clock tells it", () =>
      Effect.gen(function* () {
        const folder = yield* newFolder
        yield* write(7, Files.lines(`${folder}/a`, { rotate: { bytes: 5 } }), { name: "a" })
        assert.strictEqual(yield* textOf(`${folder}/a-000001`), "0\n1\n2\n")
        assert.strictEqual(yield* textOf(`${folder}/a-000003`), "6\n")
        const job = Pipeline.from(numbers(5)).pipe(
          Pipeline.map((n) => Effect.as(TestClock.adjust("20 minutes"), n)),
          Pipeline.to(Files.lines(`${folder}/b`, { rotate: { every: "1 hour" } }))
        )
        yield* Pipeline.run(job, { name: "b", maxRows: 1, window: { items: 1 } })
        assert.strictEqual(yield* textOf(`${folder}/b-000001`), "0\n1\n")
        assert.strictEqual(yield* textOf(`${folder}/b-000002`), "2\n3\n4\n")
      })
    )

    it.effect("a write that runs again begins where it did, whatever it had begun since", () =>
      Effect.gen(function* () {
        const folder = yield* newFolder
        yield* Effect.gen(function* () {
          const writer = yield* Files.lines(`${folder}/a.txt`, { rotate: { rows: 2 } }).open(openingAlone())
          const begun = Option.some(yield* writer.write([], Option.none()))
          const first = Option.some(yield* writer.write(["0", "1", "2"], begun))
          yield* writer.write(["x", "y", "z", "x", "y", "z"], first)
          const next = yield* writer.write(["3", "4"], first)
          assert.deepEqual(yield* writer.write(["3", "4"], first), next)
          yield* writer.write(["lost", "lost", "lost", "lost"], Option.some(next))
          yield* writer.close!(Option.some(next))
        }).pipe(Effect.scoped)
        assert.deepEqual(yield* partsIn(folder), ["a-000001.txt", "a-000002.txt", "a-000003.txt"])
        assert.strictEqual(yield* textOf(`${folder}/a-000002.txt`), "2\n3\n")
        assert.strictEqual(yield* textOf(`${folder}/a-000003.txt`), "4\n")
      })
    )

    it.effect("P14 a part that is read by the same run is refused, and so is one that somebody else has made", () =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const folder = yield* newFolder
        const sink = Files.lines(`${folder}/a.txt`, { rotate: { rows: 2 } })
        yield* write(3, sink)
        const job = Pipeline.from(Files.lines(Files.glob(`${folder}/*.txt`))).pipe(Pipeline.to(sink))
        assert.strictEqual((yield* Effect.flip(Pipeline.run(job, { name: "round" })))._tag, "SamePlace")
        yield* fs.writeFileString(`${folder}/a-000003.txt`, "mine")
        const error = yield* Effect.flip(write(6, sink))
        assert.include(error.message, "it is there already, and is not of this pipeline")
        assert.strictEqual(yield* textOf(`${folder}/a-000003.txt`), "mine")
      })
    )

    it("options that mean nothing are refused at once", () => {
      for (const rotate of [{ rows: 0 }, { bytes: 0.5 }, { every: "soon" }]) {
        assert.throws(() => Files.lines("a", { rotate: rotate as never }))
      }
      assert.throws(() => Files.lines("a", { rotate: {}, atomic: true }), TypeError)
      assert.throws(() => Files.lines("a", { partition: String, atomic: true }), TypeError)
      assert.throws(() => Files.lines("a", { rotate: { rows: 1 }, partition: String }), TypeError)
    })
  })

  describe("with something around the elements", () => {
    const array: Format<string> = {
      ...linesFormat({ skipBlank: false, maxLine: 1000 }),
      layout: { header: "[\n", separator: ",\n", footer: "\n]\n" }
    }
    const how = { existing: "append", fsync: true, atomic: false, compression: undefined, rotate: undefined } as const
    /** Two runs into one file, the second from the state of the first. */
    const twice = (path: string, options: Partial<FileWriter.WriteOptions>) =>
      Effect.gen(function* () {
        const run = (committed: Option.Option<Schema.Json>, batches: ReadonlyArray<ReadonlyArray<string>>) =>
          Effect.scoped(
            Effect.gen(function* () {
              const writer = yield* FileWriter.open(path, openingAlone(committed), array, { ...how, ...options })
              let state = committed
              for (const batch of batches) state = Option.some(yield* writer.write(batch, state))
              state = Option.some(yield* writer.finish!(state))
              // As a transaction that runs again.
              const again = yield* writer.finish!(state)
              assert.deepEqual(Option.some(again), state)
              yield* writer.close!(state)
              return state
            })
          )
        const first = yield* run(Option.none(), [[], ["1", "2"]])
        return { first, run }
      })

    for (const [name, options] of [
      ["in place", {}],
      ["atomic", { atomic: true, existing: "replace" }],
      ["gzip", { compression: "gzip" }],
      ["rotated", { rotate: { rows: 3 } }]
    ] as ReadonlyArray<readonly [string, Partial<FileWriter.WriteOptions>]>) {
      it.effect(`its end is written at the end, and cut off to go on: ${name}`, () =>
        Effect.gen(function* () {
          const fs = yield* FileSystem.FileSystem
          const folder = yield* newFolder
          const at = name === "rotated" ? `${folder}/a-000001.json` : `${folder}/a.json`
          const text = Effect.map(fs.readFile(at), (bytes) =>
            JSON.parse((name === "gzip" ? gunzipSync(bytes) : Buffer.from(bytes)).toString())
          )
          const { first, run } = yield* twice(`${folder}/a.json`, options)
          assert.deepEqual(yield* text, [1, 2])
          const same = yield* run(first, [])
          assert.deepEqual(yield* text, [1, 2])
          const more = yield* run(same, [["3"], ["4", "5"]])
          assert.deepEqual(yield* text, name === "rotated" ? [1, 2, 3] : [1, 2, 3, 4, 5])
          if (name === "rotated") {
            assert.strictEqual(yield* textOf(`${folder}/a-000002.json`), "[\n4,\n5\n]\n")
            return
          }
          yield* fs.writeFileString(`${folder}/a.json`, "mine", { flag: "a" })
          const error = yield* Effect.flip(run(more, [["6"]]))
          assert.strictEqual(error.kind, "Interfered")
          assert.include(error.message, "nothing can be added to a file of this format")
        })
      )
    }

    it.effect("nothing is an empty array; what somebody else has written is not added to", () =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const folder = yield* newFolder
        const run = (path: string, options: Partial<FileWriter.WriteOptions> = {}) =>
          Effect.scoped(
            Effect.gen(function* () {
              const writer = yield* FileWriter.open(path, openingAlone(), array, { ...how, ...options })
              const state = Option.some(yield* writer.finish!(Option.some(yield* writer.write([], Option.none()))))
              yield* writer.close!(state)
            })
          )
        yield* run(`${folder}/a.json`)
        assert.deepEqual(JSON.parse(yield* textOf(`${folder}/a.json`)), [])
        yield* fs.writeFileString(`${folder}/b.json`, "mine")
        assert.strictEqual((yield* Effect.flip(run(`${folder}/b.json`))).kind, "Interfered")
        assert.strictEqual(yield* textOf(`${folder}/b.json`), "mine")
        assert.deepEqual(yield* namesIn(folder), ["a.json", "b.json"])
        yield* run(`${folder}/b.json`, { existing: "replace" })
        assert.deepEqual(JSON.parse(yield* textOf(`${folder}/b.json`)), [])
      })
    )
  })

  describe("partitioned", () => {
    it.effect("more folders than are open at a time, again and again, from run to run", () =>
      Effect.gen(function* () {
        const folder = yield* newFolder
        const sink = Files.lines(`${folder}/all.txt`, { partition: (line) => `p${Number(line) % 150}` })
        yield* write(400, sink, { maxRows: 90, window: { items: 90 } })
        yield* write(600, sink, { maxRows: 250, window: { items: 250 } })
        for (let part = 0; part < 150; part++) {
          const expected = [0, 150, 300, 450].map((n) => `${n + part}\n`).join("")
          assert.strictEqual(yield* textOf(`${folder}/p${part}/all.txt`), expected)
        }
        assert.strictEqual((yield* namesIn(folder)).length, 150 + 2)
        assert.isBelow((yield* textOf(`${folder}/.all.txt.skein-journal`)).length, 12_000)
      })
    )

    it.effect("a write that runs again takes back what it wrote, and the files that it made", () =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const folder = yield* newFolder
        yield* fs.makeDirectory(`${folder}/a`)
        yield* fs.writeFileString(`${folder}/a/all.txt`, "was there\n")
        yield* Effect.gen(function* () {
          const writer = yield* Files.lines(`${folder}/all.txt`, { partition: (line) => line[0]! }).open(openingAlone())
          const begun = Option.some(yield* writer.write([], Option.none()))
          const first = Option.some(yield* writer.write(["a1", "b1"], begun))
          yield* writer.write(["a2", "c1", "b2"], first)
          const next = Option.some(yield* writer.write(["a3"], first))
          assert.deepEqual(Option.some(yield* writer.write(["a3"], first)), next)
          yield* writer.write(["d1", "a4"], next)
          yield* writer.close!(next)
        }).pipe(Effect.scoped)
        assert.strictEqual(yield* textOf(`${folder}/a/all.txt`), "was there\na1\na3\n")
        assert.strictEqual(yield* textOf(`${folder}/b/all.txt`), "b1\n")
        assert.deepEqual(
          (yield* namesIn(folder)).filter((name) => !name.startsWith(".")),
          ["a/all.txt", "b/all.txt"]
        )
      })
    )

    it.effect.each([
      ["..", "has a `..` in it"],
      ["a/../b", "has a `..` in it"],
      [".", "has a `.` in it"],
      ["/etc", "is an absolute path"],
      ["C:x", "is an absolute path"],
      ["\\\\host\\share", "is an absolute path"],
      ["a\\..\\b", "has a `\\` in it"],
      ["a\0b", "has a control character in it"],
      ["a\nb", "has a control character in it"],
      ["", "gave an empty text"],
      ["a//b", "has an empty part"],
      [".hidden", "begins with a dot"],
      ["nul", "names a device"],
      ["a/COM1.txt", "names a device"],
      ["a.", "ends in a dot or a space"],
      ["x".repeat(256), "more than 255 bytes"],
      ["é".repeat(128), "more than 255 bytes"],
      [`${"x/".repeat(600)}x`, "longer than 1,024"],
      ["\ud800", "half of a character"],
      [7, "gave number for it"],
      ["LINK", "is a link"],
      ["good/link", "is a link"],
      ["File", "is there and is something else"],
      ["GOOD", 'is the same as "good"'],
      ["goo\u1d48", 'is the same as "good"']
    ] as const)("P14 nothing is written out of its root, and the element is named: %j", ([name, reason]) =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const folder = yield* newFolder
        yield* fs.makeDirectory(`${folder}/root/good`, { recursive: true })
        yield* fs.makeDirectory(`${folder}/out`)
        yield* fs.symlink(`${folder}/out`, `${folder}/root/LINK`)
        yield* fs.symlink(`${folder}/out`, `${folder}/root/good/link`)
        yield* fs.writeFileString(`${folder}/root/File`, "mine")
        const job = Pipeline.from(numbers(4)).pipe(
          Pipeline.to(
            Files.lines(`${folder}/root/all.txt`, { partition: (line) => (line === "2" ? (name as string) : "good") }),
            { onError: { deadLetter: Schema.String }, name: "out" }
          )
        )
        assert.deepInclude(yield* Pipeline.run(job, { name: "bad" }), { written: 3, dead: 1 })
        assert.strictEqual(yield* textOf(`${folder}/root/good/all.txt`), "0\n1\n3\n")
        const journal = Files.journal(`${folder}/root/.all.txt.skein-journal`)
        const [letter] = yield* Effect.provide(
          Effect.flatMap(Journal.Journal, (journal) => journal.dead(Journal.keyOf("bad"))),
          journal
        )
        assert.strictEqual(letter!.input, "2")
        assert.include(letter!.cause, reason)
        assert.deepEqual((yield* fs.readDirectory(`${folder}/out`)).length, 0)
        assert.deepEqual((yield* fs.readDirectory(folder)).toSorted(), ["out", "root"])
        assert.deepEqual((yield* fs.readDirectory(`${folder}/root`)).filter((one) => !one.startsWith(".")).toSorted(), [
          "File",
          "LINK",
          "good"
        ])
      })
    )

    it.effect("P14 a file that the same run reads is not written to", () =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const folder = yield* newFolder
        yield* fs.makeDirectory(`${folder}/de`)
        yield* fs.writeFileString(`${folder}/de/all.txt`, "0\n")
        const job = Pipeline.from(Files.lines(Files.glob(`${folder}/*/all.txt`))).pipe(
          Pipeline.to(Files.lines(`${folder}/all.txt`, { partition: () => "de" }))
        )
        const error = yield* Effect.flip(Pipeline.run(job, { name: "round" }))
        assert.include(error.message, "it is read by this run")
        assert.strictEqual(yield* textOf(`${folder}/de/all.txt`), "0\n")
      })
    )

    it.effect("its ledger is written anew once it is much longer than what it says", () =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const folder = yield* newFolder
        const long = "x".repeat(200)
        const partition = (line: string) => `${long}/${Number(line) % 4}`
        const lines = (from: number, count: number) => Array.from({ length: count }, (_, n) => `${from + n}`)
        let state = Option.none<Schema.Json>()
        let most = 0
        for (let round = 0; round < 3; round++) {
          yield* Effect.scoped(
            Effect.gen(function* () {
              const writer = yield* Files.lines(`${folder}/a.txt`, { partition, fsync: false }).open(
                openingAlone(state)
              )
              for (let n = 0; n < 400; n++) {
                const last = state
                state = Option.some(yield* writer.write(lines((round * 400 + n) * 4, 4), last))
                if (Option.isSome(last)) writer.settled!(last.value)
                if (n % 50 === 7) state = Option.some(yield* writer.write(lines((round * 400 + n) * 4, 4), last))
              }
              yield* writer.close!(state)
            })
          )
          const ledgers = (yield* fs.readDirectory(folder)).filter((name) => name.endsWith("skein-files"))
          assert.isAtMost(ledgers.length, 2)
          for (const name of ledgers) most = Math.max(most, Number((yield* fs.stat(`${folder}/${name}`)).size))
        }
        assert.isBelow(most, 1_200_000)
        for (let part = 0; part < 4; part++) {
          const text = yield* textOf(`${folder}/${long}/${part}/a.txt`)
          assert.strictEqual(
            text,
            lines(0, 1200)
              .map((n) => `${Number(n) * 4 + part}\n`)
              .join("")
          )
        }
      })
    )
  })

  describe("stdout", () => {
    const taking = (given: Array<string>) =>
      Stdio.layerTest({
        stdout: () =>
          Sink.forEach((text: string | Uint8Array) =>
            Effect.sync(() => given.push(Buffer.from(text as Uint8Array).toString()))
          )
      })

    it.effect("gives each commit as a whole, with what stands around the elements once", () =>
      Effect.gen(function* () {
        const given: Array<string> = []
        const Cell = Schema.Struct({ a: Schema.String })
        const job = Pipeline.from(numbers(4)).pipe(
          Pipeline.map((a) => ({ a })),
          Pipeline.to(Files.csv(Files.stdout, Cell))
        )
        yield* Pipeline.run(job, { name: "give", maxRows: 2, window: { items: 2 } }).pipe(
          Effect.provide([taking(given), Journal.memory])
        )
        assert.strictEqual(given.join(""), "a\n0\n1\n2\n3\n")
        assert.strictEqual(job.guarantee, "at-least-once")
      })
    )
  })
})

describe("Files.stdout", () => {
  it.live("a reader that goes away ends the run with an error of its own, and without noise", () =>
    Effect.gen(function* () {
      const { code, stderr, stdout } = yield* Effect.flatMap(
        Child.start(["test/crash/stdout-program.ts"], { sh: '"$@" | head -n 2' }),
        ({ end }) => end
      )
      assert.deepEqual([stdout, stderr, code], ["line 0\nline 1\n", "FilesError Closed", 0])
    })
  )
})
