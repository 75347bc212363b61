import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FileSystem from "effect/FileSystem"
import * as Random from "effect/Random"
import * as Schema from "effect/Schema"
import { gunzipSync, zstdDecompressSync } from "node:zlib"
import { Files, Pipeline, Source } from "skein"
import { Disk } from "skein/testing"
import { Host } from "../../src/pipeline/context/Host.ts"
import { alone, until } from "../support/gone.ts"

const Row = Schema.Struct({ n: Schema.Int })
type Row = typeof Row.Type
const rows = (count: number): ReadonlyArray<Row> => Array.from({ length: count }, (_, n) => ({ n }))
const linesOf = (all: ReadonlyArray<Row>) => all.map((row) => `${JSON.stringify(row)}\n`).join("")

type Job = Pipeline.Job<Files.FilesError, FileSystem.FileSystem, "effectively-once">

const run = (job: Job, fs: FileSystem.FileSystem, process: string, options: Partial<Pipeline.RunOptions<never>> = {}) =>
  Pipeline.run(job, { name: "write", maxRows: 3, window: { items: 3 }, ...options }).pipe(
    Effect.provideService(FileSystem.FileSystem, fs),
    Effect.provideService(Host, alone(process))
  )

interface Way {
  readonly options: Files.Options<Row>
  /** What has to be there, by name. */
  readonly expected: (all: ReadonlyArray<Row>) => { readonly [name: string]: string }
}

const ways: { readonly [name: string]: Way } = {
  append: { options: {}, expected: (all) => ({ "out.jsonl": `old\n${linesOf(all)}` }) },
  atomic: { options: { atomic: true }, expected: (all) => ({ "out.jsonl": linesOf(all) }) },
  "atomic append": {
    options: { atomic: true, existing: "append" },
    expected: (all) => ({ "out.jsonl": `old\n${linesOf(all)}` })
  },
  rotate: {
    options: { rotate: { rows: 2 } },
    expected: (all) => ({
      "out.jsonl": "old\n",
      ...Object.fromEntries(
        Array.from({ length: Math.ceil(all.length / 2) }, (_, part) => [
          `out-00000${part + 1}.jsonl`,
          linesOf(all.slice(part * 2, part * 2 + 2))
        ])
      )
    })
  },
  partition: {
    options: { partition: ({ n }) => (n % 3 === 0 ? "fizz" : `rest/${n % 2}`) },
    expected: (all) => ({
      "out.jsonl": "old\n",
      "fizz/out.jsonl": linesOf(all.filter(({ n }) => n % 3 === 0)),
      "rest/0/out.jsonl": linesOf(all.filter(({ n }) => n % 3 > 0 && n % 2 === 0)),
      "rest/1/out.jsonl": linesOf(all.filter(({ n }) => n % 3 > 0 && n % 2 === 1))
    })
  }
}

const compressions = {
  none: (bytes: Uint8Array) => bytes,
  gzip: (bytes: Uint8Array) => (bytes.length === 0 ? bytes : gunzipSync(bytes)),
  zstd: (bytes: Uint8Array) => (bytes.length === 0 ? bytes : zstdDecompressSync(bytes))
}

/** All that is there but hidden files. */
const found = (disk: Disk.Disk, plain: (bytes: Uint8Array) => Uint8Array, isTorn: boolean) =>
  Effect.gen(function* () {
    const files: Record<string, string> = {}
    for (const path of disk.paths) {
      // What was half written is kept aside, as nobody can tell whose it is.
      if (path.includes("/.") || (isTorn && path.includes(".cut-"))) continue
      const bytes = yield* disk.fileSystem.readFile(path)
      const name = path.slice("/out/".length)
      const isOld = name === "out.jsonl" && new TextDecoder().decode(bytes) === "old\n"
      files[name] = new TextDecoder().decode(isOld ? bytes : plain(bytes))
    }
    return files
  })

/** What a run leaves beside: its journal, and a lock that had not got its name yet. */
const isKept = (path: string) => /skein-(journal|files)$|(skein|lock)\.[a-z0-9]+-[a-z0-9]+(\.old)?$/.test(path)
const hidden = (disk: Disk.Disk, isTorn: boolean) =>
  disk.paths.filter((path) => path.includes("/.") && !isKept(path) && !(isTorn && path.includes(".cut-")))

const deep = process.env["SKEIN_DEEP"] !== undefined

describe("Files: a process that is gone at any call that changes the disk", () => {
  for (const [name, { expected, options }] of Object.entries(ways)) {
    for (const compression of ["none", "gzip"] as const) {
      // What is there is no gzip.
      if (name.includes("append") && compression !== "none") continue
      it.effect(`P10 ${name}, ${compression}: the next one goes on, with nothing lost, twice, or left`, () =>
        Effect.gen(function* () {
          const all = rows(7)
          const whole = expected(all)
          const plain = compressions[compression]
          let points = 0
          for (let last = 0; ; last += deep ? 1 : 3) {
            const disk = yield* Disk.make({ files: { "/out/out.jsonl": "old\n" } })
            const job = Pipeline.from(Source.list(all, { name: "numbers" })).pipe(
              Pipeline.to(Files.jsonl("/out/out.jsonl", Row, { ...options, compression }))
            ) as Job
            const { calls, system } = until(disk.fileSystem, last)
            const exit = yield* Effect.exit(run(job, system, "first"))
            yield* disk.kill
            const isTorn = calls.last.startsWith("half")
            const label = `killed at ${last}: ${calls.last}`
            if (name === "atomic") {
              const seen = (yield* found(disk, plain, isTorn))["out.jsonl"]
              assert.include(["old\n", whole["out.jsonl"]], seen, label)
            }
            const next = yield* Effect.exit(run(job, disk.fileSystem, "second"))
            assert.isTrue(Exit.isSuccess(next), `${label}: ${JSON.stringify(next)}`)
            assert.deepEqual(yield* found(disk, plain, isTorn), whole, label)
            assert.deepEqual(hidden(disk, isTorn), [], label)
            if (Exit.isSuccess(exit)) break
            points += 1
          }
          assert.isAbove(points, deep ? 30 : 10)
        })
      )
    }
  }
})

describe("Files: a machine that loses power at any call that changes the disk", () => {
  for (const [name, { expected, options }] of Object.entries(ways)) {
    it.effect(`P10 ${name}: the next run goes on, with nothing lost or twice`, () =>
      Effect.gen(function* () {
        const all = rows(5)
        const whole = expected(all)
        for (let last = 0, isDone = false; !isDone; last += deep ? 1 : 4) {
          for (let seed = 0; seed < (deep ? 20 : 2); seed++) {
            const disk = yield* Disk.make({ files: { "/out/out.jsonl": "old\n" } })
            const job = Pipeline.from(Source.list(all, { name: "numbers" })).pipe(
              Pipeline.to(Files.jsonl("/out/out.jsonl", Row, options))
            ) as Job
            const { calls, system } = until(disk.fileSystem, last)
            isDone = Exit.isSuccess(yield* Effect.exit(run(job, system, "first")))
            yield* Random.withSeed(disk.crash, `${last} ${seed}`)
            const label = `power lost at ${last} (${calls.last}), seed ${seed}`
            const next = yield* Effect.exit(run(job, disk.fileSystem, "second"))
            assert.isTrue(Exit.isSuccess(next), `${label}: ${JSON.stringify(next)}`)
            assert.deepEqual(yield* found(disk, compressions.none, true), whole, label)
          }
        }
      })
    )
  }
})
