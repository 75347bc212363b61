import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { Files, Pipeline } from "skein"
import { readdirSync, readFileSync, writeFileSync } from "node:fs"
import { gunzipSync } from "node:zlib"
import * as Child from "../support/child.ts"

const deep = process.env["SKEIN_DEEP"] !== undefined
const program = `${import.meta.dirname}/files-program.ts`
const count = 2000
const lines = Array.from({ length: count }, (_, n) => `${n}`)
const textOf = (all: ReadonlyArray<string>) => all.map((line) => `${line}\n`).join("")

/** What each way leaves, by the names of the files. */
const expected = (way: string): { readonly [name: string]: string } => {
  if (way === "rotate") {
    const parts = Array.from({ length: Math.ceil(count / 97) }, (_, part) => lines.slice(part * 97, part * 97 + 97))
    return Object.fromEntries(parts.map((part, n) => [`out-${String(n + 1).padStart(6, "0")}.txt`, textOf(part)]))
  }
  if (way === "partition") {
    const keys = Array.from({ length: 7 }, (_, key) => key)
    return Object.fromEntries(
      keys.map((key) => [`by/${key}/out.txt`, textOf(lines.filter((line) => Number(line) % 7 === key))])
    )
  }
  return { "out.txt": textOf(lines) }
}

const found = (folder: string) =>
  Object.fromEntries(
    readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && !entry.name.startsWith(".") && entry.name !== "in.txt")
      .map((entry) => {
        const path = `${entry.parentPath}/${entry.name}`
        const bytes = readFileSync(path)
        return [
          path.slice(folder.length + 1).replace(/\.gz$/, ""),
          (path.endsWith(".gz") ? gunzipSync(bytes) : bytes).toString()
        ]
      })
  )

describe("P10 a copy of files without a database, killed with SIGKILL at random times", () => {
  for (const way of [
    "append",
    "atomic",
    "parquet",
    "rotate",
    "partition",
    "append gzip",
    "atomic gzip",
    "rotate gzip",
    "partition gzip"
  ]) {
    // Each of them is killed at any call in Files.write.test.ts.
    it.live.skipIf(!deep && /gzip|rotate|append/.test(way))(`${way}: nothing is lost, twice, or left`, () =>
      Effect.gen(function* () {
        const folder = yield* Child.folder
        writeFileSync(`${folder}/in.txt`, textOf(lines))
        const start = Child.start([program, folder, way])
        for (let round = 0; round < (deep ? 30 : 2); round++) {
          yield* Effect.scoped(
            Effect.gen(function* () {
              const child = yield* start
              yield* Effect.exit(child.says(`did ${50 * (1 + Math.floor(Math.random() * 6))}\n`))
              if (way.startsWith("atomic")) {
                assert.include([undefined, textOf(lines)], found(folder)["out.txt"])
              }
              child.kill("SIGKILL")
              yield* child.end
            })
          )
        }
        const last = yield* Effect.scoped(Effect.flatMap(start, ({ end }) => end))
        assert.include(last.stdout, "done", last.stderr)
        if (way === "parquet") {
          const rows = yield* Pipeline.collect(
            Pipeline.from(Files.parquet(`${folder}/out.parquet`, Schema.Struct({ line: Schema.String })))
          ).pipe(Effect.provide(NodeServices.layer))
          assert.deepEqual(
            rows.map(({ line }) => line),
            lines
          )
        } else assert.deepEqual(found(folder), expected(way.split(" ")[0]!))
        assert.deepEqual(
          readdirSync(folder).filter((name) => /skein-(part|rows|new)|\.lock$|\.skein$/.test(name)),
          []
        )
      })
    )
  }
})
