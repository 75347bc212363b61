/** Each format, plain and compressed: read and resumed anywhere, cut while it is read, killed anywhere, damaged at any byte. */
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { Files, Pipeline, Source } from "skein"
import { Disk } from "skein/testing"
import { Host } from "../../src/pipeline/context/Host.ts"
import { alone, until } from "../support/gone.ts"

const deep = process.env["SKEIN_DEEP"] !== undefined

type Compression = "none" | "gzip" | "zstd"
type File<A> = Files.LineFile<A>

interface Kind<A> {
  readonly make: (path: string, compression: Compression) => File<A>
  readonly element: (n: number) => A
  readonly compressions: ReadonlyArray<Compression>
}

const Row = Schema.Struct({ n: Schema.Int, text: Schema.String })
const row = (n: number) => ({ n, text: `é "${n}", ${"x".repeat(n % 4)}` })
const all = ["none", "gzip", "zstd"] as const
const kind = <A>(
  make: Kind<A>["make"],
  element: (n: number) => A,
  compressions: Kind<A>["compressions"] = all
): Kind<unknown> => ({ make, element, compressions }) as unknown as Kind<unknown>

const kinds: { readonly [format: string]: Kind<unknown> } = {
  lines: kind(
    (path, compression) => Files.lines(path, { compression }),
    (n) => `${n} é ${"x".repeat(20)}`
  ),
  jsonl: kind((path, compression) => Files.jsonl(path, Row, { compression }), row),
  csv: kind((path, compression) => Files.csv(path, Row, { compression }), row),
  json: kind((path, compression) => Files.json(path, Row, { compression }), row),
  bytes: kind(
    (path, compression) => Files.bytes(path, { compression, size: 3 }),
    (n) => Uint8Array.of(0, n, 255)
  ),
  // It is compressed within.
  parquet: kind((path) => Files.parquet(path, Row, { rowGroup: 3 }), row, ["none"])
}

const path = "/out/out.data"
const count = 8

const run = (kind: Kind<unknown>, compression: Compression, upTo: number, fs: FileSystem.FileSystem, host: string) => {
  const numbers = Array.from({ length: upTo }, (_, n) => n)
  const job = Pipeline.from(Source.list(numbers, { name: "numbers" })).pipe(
    Pipeline.map((n) => Effect.succeed(kind.element(n)), { name: "element" }),
    Pipeline.to(kind.make(path, compression))
  )
  return Effect.exit(
    Pipeline.run(job, { name: "write", maxRows: 2, window: { items: 2 } }).pipe(
      Effect.provideService(FileSystem.FileSystem, fs),
      Effect.provideService(Host, alone(host))
    )
  )
}

const read = (kind: Kind<unknown>, compression: Compression, fs: FileSystem.FileSystem, after?: number) =>
  Stream.runCollect(kind.make(path, compression).read(Option.fromUndefinedOr(after))).pipe(
    Effect.provideService(FileSystem.FileSystem, fs)
  )

const valuesOf = (elements: ReadonlyArray<Source.Element<unknown, unknown>>) => elements.map(({ value }) => value)

/** A run has done it, or says in words what has to be put right; it never does something else. */
const rightOrRefused = (
  label: string,
  exit: Exit.Exit<unknown, unknown>,
  kind: Kind<unknown>,
  compression: Compression,
  disk: Disk.Disk,
  upTo: number
) =>
  Effect.gen(function* () {
    if (Exit.isFailure(exit)) {
      const error = Cause.squash(exit.cause) as { readonly _tag: string; readonly message: string }
      assert.include(["FilesError", "JournalError"], error._tag, `${label}: ${String(error)}`)
      assert.match(error.message, /Put the file back|Restore it|no journal of Skein|start over|was changed/, label)
      return "refused"
    }
    assert.deepEqual(
      valuesOf(yield* read(kind, compression, disk.fileSystem)),
      Array.from({ length: upTo }, (_, n) => kind.element(n)),
      label
    )
    return "right"
  })

for (const [format, kind] of Object.entries(kinds)) {
  for (const compression of kind.compressions) {
    const elements = Array.from({ length: count }, (_, n) => kind.element(n))
    describe(`Files: ${format}, ${compression}`, () => {
      it.effect("gives what was written, and the rest of it from each position", () =>
        Effect.gen(function* () {
          const disk = yield* Disk.make()
          assert.isTrue(Exit.isSuccess(yield* run(kind, compression, count, disk.fileSystem, "first")))
          const found = yield* read(kind, compression, disk.fileSystem)
          assert.deepEqual(valuesOf(found), elements)
          for (const [index, { position }] of found.entries()) {
            const rest = yield* read(kind, compression, disk.fileSystem, position)
            assert.deepEqual(valuesOf(rest), elements.slice(index + 1), `behind ${index}`)
          }
        })
      )

      it.effect("cut or replaced while it is read is an error", () =>
        Effect.gen(function* () {
          for (const change of ["cut", "replaced", "removed"]) {
            const disk = yield* Disk.make()
            const fs = disk.fileSystem
            yield* run(kind, compression, count, fs, "first")
            const size = (yield* fs.readFile(path)).length
            const error = yield* kind
              .make(path, compression)
              .read(Option.none())
              .pipe(
                Stream.runForEach(() =>
                  change === "cut"
                    ? fs.truncate(path, size >> 1)
                    : change === "removed"
                      ? fs.remove(path, { force: true })
                      : Effect.andThen(fs.copyFile(path, "/out/copy"), fs.rename("/out/copy", path))
                ),
                Effect.provideService(FileSystem.FileSystem, fs),
                Effect.flip
              )
            assert.deepInclude(error, { kind: change === "cut" ? "Shrunk" : "Replaced" })
          }
        })
      )

      // The rest differs in what is printed alone.
      if (!deep && compression !== "none" && (format !== "lines" || compression !== "gzip")) return

      it.effect("P10 killed at any call that changes the disk, and run again, has exactly the elements", () =>
        Effect.gen(function* () {
          for (let last = 0, isDone = false; !isDone; last += deep ? 1 : 11) {
            const disk = yield* Disk.make()
            const { calls, system } = until(disk.fileSystem, last)
            isDone = Exit.isSuccess(yield* run(kind, compression, count, system, "first"))
            yield* disk.kill
            const label = `killed at ${last}: ${calls.last}`
            const next = yield* run(kind, compression, count, disk.fileSystem, "second")
            assert.isTrue(Exit.isSuccess(next), `${label}: ${String(next)}`)
            assert.deepEqual(valuesOf(yield* read(kind, compression, disk.fileSystem)), elements, label)
            // And once more, with more.
            yield* run(kind, compression, count + 3, disk.fileSystem, "third")
            assert.strictEqual((yield* read(kind, compression, disk.fileSystem)).length, count + 3, label)
          }
        })
      )

      for (const [what, isKilled, file] of [
        ["the output of a run that was killed", true, path],
        ["the output of a run that ended", false, path],
        ["the journal of a run that was killed", true, "/out/.out.data.skein-journal"],
        ["the journal of a run that ended", false, "/out/.out.data.skein-journal"]
      ] as const) {
        // Until it is whole, its rows are in another file.
        const cut = format === "parquet" && isKilled && file === path ? "/out/.out.data.skein-rows" : file
        it.effect(`P10 ${what}, cut at any byte of its last records, is repaired or refused, and never wrong`, () =>
          Effect.gen(function* () {
            const seen = new Set<string>()
            const make = Effect.gen(function* () {
              const disk = yield* Disk.make()
              if (!isKilled) {
                yield* run(kind, compression, count, disk.fileSystem, "first")
                return disk
              }
              const { system } = until(disk.fileSystem, format === "parquet" ? 30 : 32)
              yield* run(kind, compression, count, system, "first")
              yield* disk.kill
              return disk
            })
            const size = (yield* (yield* make).fileSystem.readFile(cut)).length
            const from = Math.max(0, size - (cut === path ? 70 : 900))
            for (let length = size; length >= from; length -= deep ? 1 : cut === path ? 17 : 173) {
              const disk = yield* make
              yield* disk.fileSystem.truncate(cut, length)
              const label = `cut from ${size} to ${length}`
              const next = yield* run(kind, compression, count + 1, disk.fileSystem, "second")
              seen.add(yield* rightOrRefused(label, next, kind, compression, disk, count + 1))
            }
            assert.include([...seen], "right")
          })
        )
      }
    })
  }
}
