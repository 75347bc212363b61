/** What others have in the places of a run, and names that were not thought of: nothing of theirs is lost, spoiled or taken for data. */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Logger from "effect/Logger"
import * as Schema from "effect/Schema"
import { Files, Pipeline, Source } from "skein"
import { existsSync, linkSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { gunzipSync, gzipSync } from "node:zlib"
import * as Child from "../support/child.ts"

const numbers = (count: number) =>
  Source.list(
    Array.from({ length: count }, (_, n) => `${n}`),
    { name: "numbers" }
  )
const Row = Schema.Struct({ a: Schema.String })

const errorOf = <A, E>(exit: Exit.Exit<A, E>) => (Exit.isFailure(exit) ? (Cause.squash(exit.cause) as E) : undefined)
const messageOf = (exit: Exit.Exit<unknown, unknown>) => String(errorOf(exit))

it.layer(NodeServices.layer)("Files, and what is there already", (it) => {
  describe("is added to only where whoever reads it finds both", () => {
    const cases: ReadonlyArray<readonly [name: string, content: Uint8Array, reason: RegExp]> = [
      ["plain.txt.gz", Buffer.from("old\n"), /it is damaged, or is no gzip/],
      ["cut.txt.gz", gzipSync("old\n".repeat(100)).subarray(0, 20), /it ends in the middle of its data/],
      ["plain.txt.zst", Buffer.from("old\n"), /it is damaged, or is no zstd/],
      ["utf16.txt", Buffer.from("\ufeffold\n", "utf16le"), /it is UTF-16LE, and what is added is UTF-8/],
      ["zipped.txt", gzipSync("old\n"), /it is compressed with gzip/]
    ]
    for (const [name, content, reason] of cases) {
      for (const options of [{}, { atomic: true, existing: "append" as const }, { partition: () => "x" }]) {
        it.effect(`${name}, ${Object.keys(options)[0] ?? "in place"}`, () =>
          Effect.gen(function* () {
            const folder = yield* Child.folder
            const path = `${folder}/${"partition" in options ? "x/" : ""}${name}`
            yield* Effect.sync(() => {
              if ("partition" in options) return void mkdirSync(`${folder}/x`)
            })
            writeFileSync(path, content)
            const job = Pipeline.from(numbers(2)).pipe(Pipeline.to(Files.lines(`${folder}/${name}`, options)))
            const exit = yield* Effect.exit(Pipeline.run(job, { name: "add" }))
            assert.deepInclude(errorOf(exit), { _tag: "FilesError", kind: "Interfered", tried: "add to" })
            assert.match(messageOf(exit), reason)
            assert.deepEqual(new Uint8Array(readFileSync(path)), new Uint8Array(content))
          })
        )
      }
    }

    it.effect("compressed CSV of other columns, and a last line without an end", () =>
      Effect.gen(function* () {
        const folder = yield* Child.folder
        writeFileSync(`${folder}/a.csv.gz`, gzipSync("b,a\n1,2\n"))
        const csv = Pipeline.from([{ a: "A" }]).pipe(Pipeline.to(Files.csv(`${folder}/a.csv.gz`, Row)))
        assert.match(messageOf(yield* Effect.exit(Pipeline.run(csv, { name: "csv" }))), /its columns are "b", "a"/)
        writeFileSync(`${folder}/a.txt.gz`, gzipSync("old"))
        writeFileSync(`${folder}/b.txt.gz`, "")
        writeFileSync(`${folder}/c.txt.gz`, gzipSync("old\n"))
        for (const [name, expected] of [
          ["a", undefined],
          ["b", "0\n1\n"],
          ["c", "old\n0\n1\n"]
        ]) {
          const path = `${folder}/${name}.txt.gz`
          const job = Pipeline.from(numbers(2)).pipe(Pipeline.to(Files.lines(path)))
          const exit = yield* Effect.exit(Pipeline.run(job, { name: "lines" }))
          if (expected === undefined) assert.match(messageOf(exit), /its last line has no end/)
          else assert.strictEqual(gunzipSync(readFileSync(path)).toString(), expected)
        }
      })
    )

    it.effect("P10 with a journal that is gone, it says that all is written again", () =>
      Effect.gen(function* () {
        const folder = yield* Child.folder
        const said: Array<string> = []
        const logger = Logger.make(({ message }) => void said.push(String(message)))
        writeFileSync(`${folder}/out.txt`, "0\n")
        const job = Pipeline.from(numbers(2)).pipe(Pipeline.to(Files.lines(`${folder}/out.txt`)))
        yield* Pipeline.run(job, { name: "again" }).pipe(Effect.provide(Logger.layer([logger])))
        assert.match(said.join(), /has 2 bytes already, and no run of this pipeline is known that wrote them/)
      })
    )
  })

  it.effect("P14 the hidden files beside a sink are places, and no data to any pattern", () =>
    Effect.gen(function* () {
      const folder = yield* Child.folder
      for (const name of [".out.txt.skein-part", ".out.txt.skein"]) {
        writeFileSync(`${folder}/${name}`, "mine\n")
        linkSync(`${folder}/${name}`, `${folder}/link${name.length}`)
        for (const from of [name, `link${name.length}`]) {
          const job = Pipeline.from(Files.lines(`${folder}/${from}`)).pipe(
            Pipeline.to(Files.lines(`${folder}/out.txt`, { atomic: true }))
          )
          assert.deepInclude(yield* Effect.flip(Pipeline.run(job, { name: "same" })), { _tag: "SamePlace" })
        }
        assert.strictEqual(readFileSync(`${folder}/${name}`, "utf8"), "mine\n")
      }
      writeFileSync(`${folder}/in.txt`, "1\n2\n")
      writeFileSync(`${folder}/.in.txt`, "3\n")
      for (const name of ["skein-journal", "skein-journal.lock", "skein-rows", "skein.abc-def", "skein-new.1x"]) {
        writeFileSync(`${folder}/.a.${name}`, "no data\n")
      }
      const found = yield* Pipeline.collect(
        Pipeline.from(Files.lines(Files.glob("{.*,*}.{txt,skein*,lock,*-*}", { root: folder })))
      )
      assert.deepEqual(found.toSorted(), ["1", "2", "3"])
    })
  )

  it.effect("P14 a pattern does not match what the run makes itself", () =>
    Effect.gen(function* () {
      const folder = yield* Child.folder
      const lines = Array.from({ length: 5000 }, (_, n) => `${n}\n`).join("")
      writeFileSync(`${folder}/in.txt`, lines)
      const job = Pipeline.from(Files.lines(Files.glob("*.txt", { root: folder }))).pipe(
        Pipeline.to(Files.lines(`${folder}/out.txt`, { fsync: false }))
      )
      yield* Pipeline.run(job, { name: "own", maxRows: 100, window: { items: 200 } })
      assert.strictEqual(readFileSync(`${folder}/out.txt`, "utf8"), lines)
      assert.deepInclude(yield* Effect.flip(Pipeline.run(job, { name: "own" })), { _tag: "SamePlace" })
      // Whoever reads it later sees what is there then.
      const source = Files.lines(Files.glob("*.txt", { root: folder }))
      writeFileSync(`${folder}/z.txt`, "z\n")
      assert.strictEqual((yield* Pipeline.collect(Pipeline.from(source))).length, 10_001)
    })
  )

  const names = [
    "a b.txt",
    `it's "x".txt`,
    "é\u0301😀.txt",
    "a\nb.txt",
    "-rf.txt",
    "[a].txt",
    "{a,b}.txt",
    "*.txt",
    "d\\e.txt"
  ]
  const long = [`${"x".repeat(251)}.txt`, `${"é".repeat(125)}.txt`, `${"x".repeat(147)}.txt`]
  it.effect("names of any kind, as long as the system takes them", () =>
    Effect.gen(function* () {
      for (const name of process.platform === "win32" ? [] : [...names, ...long]) {
        for (const options of [{}, { atomic: true }, { partition: () => "p" }]) {
          const folder = yield* Child.folder
          const path = `${folder}/${name}`
          const job = Pipeline.from(numbers(3)).pipe(Pipeline.to(Files.lines(path, { ...options, fsync: false })))
          yield* Pipeline.run(job, { name: "names" })
          const made = "partition" in options ? `${folder}/p/${name}` : path
          assert.strictEqual(readFileSync(made, "utf8"), "0\n1\n2\n", name)
          assert.deepEqual(
            readdirSync(folder, { recursive: true, withFileTypes: true })
              .filter((entry) => entry.isFile() && !entry.name.startsWith("."))
              .map((entry) => entry.name),
            [name]
          )
          assert.deepEqual(yield* Pipeline.collect(Pipeline.from(Files.lines(made))), ["0", "1", "2"])
          yield* Files.writeAtomic(path, "new\n")
          assert.strictEqual(readFileSync(path, "utf8"), "new\n")
        }
      }
      const folder = yield* Child.folder
      const rotated = Files.lines(`${folder}/${long[0]}`, { rotate: { rows: 1 } })
      const exit = yield* Effect.exit(Pipeline.run(Pipeline.from(numbers(1)).pipe(Pipeline.to(rotated)), { name: "r" }))
      assert.match(messageOf(exit), /longer than the file system takes\. Choose a shorter one/)
      assert.deepEqual(readdirSync(folder), [])
      const parquet = Files.parquet(`${folder}/${long[0]}`, Row)
      yield* Pipeline.run(Pipeline.from([{ a: "1" }]).pipe(Pipeline.to(parquet)), { name: "p" })
      assert.deepEqual(yield* Pipeline.collect(Pipeline.from(parquet)), [{ a: "1" }])
    })
  )

  it.effect("a file with a date in its name is no part of a rotated one", () =>
    Effect.gen(function* () {
      const folder = yield* Child.folder
      writeFileSync(`${folder}/out-20261130.txt`, "mine\n")
      for (const existing of ["append", "replace"] as const) {
        const rotated = Files.lines(`${folder}/out.txt`, { existing, rotate: { rows: 2 } })
        yield* Pipeline.run(Pipeline.from(numbers(3)).pipe(Pipeline.to(rotated)), { name: existing })
      }
      assert.strictEqual(readFileSync(`${folder}/out-20261130.txt`, "utf8"), "mine\n")
      assert.deepEqual(
        readdirSync(folder)
          .filter((name) => !name.startsWith("."))
          .toSorted(),
        ["out-000001.txt", "out-000002.txt", "out-20261130.txt"]
      )
    })
  )

  it.effect("rows on their way into Parquet are as secret as the file", () =>
    Effect.gen(function* () {
      const folder = yield* Child.folder
      writeFileSync(`${folder}/a.parquet`, "", { mode: 0o600 })
      const modes = new Set<number>()
      const job = Pipeline.from([{ a: "1" }, { a: "2" }]).pipe(
        Pipeline.map((row) =>
          Effect.sync(() => {
            const rows = `${folder}/.a.parquet.skein-rows`
            if (existsSync(rows)) modes.add(statSync(rows).mode & 0o777)
            return row
          })
        ),
        Pipeline.to(Files.parquet(`${folder}/a.parquet`, Row))
      )
      yield* Pipeline.run(job, { name: "secret" })
      assert.deepEqual([...modes], [0o600])
      assert.strictEqual(statSync(`${folder}/a.parquet`).mode & 0o777, 0o600)
    })
  )
})
