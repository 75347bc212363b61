import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { gunzipSync, zstdDecompressSync } from "node:zlib"
import { Files, Journal, Pipeline, Source } from "skein"
import { Choices, Disk } from "skein/testing"
import { Host } from "../../src/pipeline/context/Host.ts"

const Row = Schema.Struct({ n: Schema.Int })
type Row = typeof Row.Type
const rows = (count: number): ReadonlyArray<Row> => Array.from({ length: count }, (_, n) => ({ n }))
const linesOf = (all: ReadonlyArray<Row>) => all.map((row) => `${JSON.stringify(row)}\n`).join("")

/** The file system until its `last` call that changes something, with which the process is gone; and how many there were. */
const until = (fs: FileSystem.FileSystem, last: number) => {
  const calls = { count: 0, last: "" }
  const gone = Effect.suspend(() => (calls.count > last ? Effect.die("killed") : Effect.void))
  const counted =
    <Args extends ReadonlyArray<unknown>, A, E, R>(name: string, call: (...args: Args) => Effect.Effect<A, E, R>) =>
    (...args: Args) =>
      Effect.suspend(() => {
        calls.count += 1
        if (calls.count === last + 1) calls.last = `${name} ${String(args[0])}`
        return Effect.andThen(gone, call(...args))
      })
  const file = (one: FileSystem.File): FileSystem.File => ({
    ...one,
    [FileSystem.FileTypeId]: FileSystem.FileTypeId,
    stat: Effect.andThen(gone, one.stat),
    sync: counted("sync", () => one.sync)(),
    seek: (offset, from) => Effect.andThen(gone, one.seek(offset, from)),
    read: (buffer, options) => Effect.andThen(gone, one.read(buffer, options)),
    truncate: counted("truncate", (length) => one.truncate(length)),
    // Half of it, and then all of it.
    writeAll: (bytes) =>
      Effect.suspend(() => {
        calls.count += 1
        if (calls.count !== last + 1) return Effect.andThen(gone, one.writeAll(bytes))
        calls.last = "half of a write"
        return Effect.andThen(one.writeAll(bytes.subarray(0, bytes.length >> 1)), gone)
      })
  })
  const system: FileSystem.FileSystem = {
    ...fs,
    open: (path, options) => Effect.map(Effect.andThen(gone, fs.open(path, options)), file),
    remove: counted("remove", fs.remove),
    rename: counted("rename", fs.rename),
    link: counted("link", fs.link),
    makeDirectory: counted("makeDirectory", fs.makeDirectory),
    chmod: counted("chmod", fs.chmod)
  }
  return { calls, system }
}

/** A process that knows all others as gone. */
const alone = (id: string): Host => ({ id, label: `process ${id}`, runs: (other) => other === id })

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
          for (let last = 0; ; last++) {
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
          assert.isAbove(points, 30)
        })
      )
    }
  }
})
void [Choices, Journal, Layer, NodeServices]
