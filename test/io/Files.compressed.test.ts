import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { Files, Journal, Pipeline, Sink, type Source } from "skein"
import * as zlib from "node:zlib"
import * as Disk from "../support/disk.ts"

const kinds = {
  gz: { name: "gzip", compress: zlib.gzipSync },
  zst: { name: "zstd", compress: zlib.zstdCompressSync },
  br: {
    name: "brotli",
    compress: (bytes: Uint8Array) =>
      zlib.brotliCompressSync(bytes, { params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 1 } })
  }
} as const

type Bytes = Uint8Array

/** A new file of this name, in a folder of its own. */
const fileOf = (name: string, content: string | Bytes) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const path = `${yield* fs.makeTempDirectoryScoped()}/${name}`
    yield* fs.writeFile(path, typeof content === "string" ? Buffer.from(content) : content)
    return path
  })

type Lines = Source.Source<string, Files.FilesError, FileSystem.FileSystem, number>

const read = (file: Lines, after?: number) => Stream.runCollect(file.read(Option.fromUndefinedOr(after)))
const values = (file: Lines, after?: number) => Effect.map(read(file, after), (all) => all.map(({ value }) => value))
const errorOf = (file: Lines) => Effect.flip(read(file))

/** The elements before the error, and the error. */
const readUntilError = (file: Lines) =>
  Effect.gen(function* () {
    const seen: Array<string> = []
    const error = yield* file.read(Option.none()).pipe(
      Stream.runForEach(({ value }) => Effect.sync(() => void seen.push(value))),
      Effect.flip
    )
    return { seen, error }
  })

/** Lines that no compression makes small: random digits, always the same. */
const lines = (count: number) => {
  let seed = 1
  const next = () => (seed = (seed * 48271) % 2147483647)
  return Array.from({ length: count }, (_, i) => `${i} ${next()} ${next()} é`)
}
const textOf = (all: ReadonlyArray<string>) => all.map((line) => `${line}\n`).join("")

it.layer(NodeServices.layer)("Files, compressed", (it) => {
  for (const [extension, { compress, name }] of Object.entries(kinds)) {
    describe(name, () => {
      it.effect("is read as its plain text would be, with the same positions, and resumed at each of them", () =>
        Effect.gen(function* () {
          const all = ["", "one", "zwei ü", "", "three"]
          const text = `${all.join("\n")}\r\nlast`
          const plain = yield* read(Files.lines(yield* fileOf("a.txt", text)))
          const file = Files.lines(yield* fileOf(`a.txt.${extension}`, compress(Buffer.from(text))))
          assert.deepEqual(yield* read(file), plain)
          for (const [index, { position }] of plain.entries()) {
            assert.deepEqual(yield* read(file, position), plain.slice(index + 1))
          }
          const upper = yield* fileOf(`B.${extension.toUpperCase()}`, compress(Buffer.from(text)))
          assert.deepEqual(yield* read(Files.lines(upper)), plain)
        })
      )

      it.effect("is known by the option where its name does not say it", () =>
        Effect.gen(function* () {
          const path = yield* fileOf("data", compress(Buffer.from("a\nb\n")))
          assert.deepEqual(yield* values(Files.lines(path, { compression: name })), ["a", "b"])
          const plain = yield* fileOf(`plain.${extension}`, "a\nb\n")
          assert.deepEqual(yield* values(Files.lines(plain, { compression: "none" })), ["a", "b"])
        })
      )

      it.effect("gives the lines before the place where it was cut, and says where that is", () =>
        Effect.gen(function* () {
          const all = lines(40_000)
          const bytes = compress(Buffer.from(textOf(all)))
          const path = yield* fileOf(`cut.${extension}`, bytes.subarray(0, bytes.length - 1000))
          const { error, seen } = yield* readUntilError(Files.lines(path))
          assert.deepEqual(seen, all.slice(0, seen.length))
          assert.isAbove(seen.length, 20_000)
          assert.isBelow(seen.length, all.length)
          assert.strictEqual(error.kind, "Damaged")
          assert.strictEqual(
            error.message,
            `Could not read ${JSON.stringify(path)}: it ends in the middle of its data (byte ${bytes.length - 1000} of the ${name} data). ` +
              "Wait until all of it is there, or get it again, then run again: what was read of it stays."
          )
        })
      )

      it.effect("is refused where it is something else", () =>
        Effect.gen(function* () {
          const error = yield* errorOf(Files.lines(yield* fileOf(`no.${extension}`, "plain text, and much of it\n")))
          assert.strictEqual(error.kind, "Damaged")
          assert.include(error.message, `or is no ${name}`)
        })
      )

      it.effect("of no bytes at all has no lines", () =>
        Effect.gen(function* () {
          assert.deepEqual(yield* values(Files.lines(yield* fileOf(`none.${extension}`, ""))), [])
        })
      )

      it.effect("fails when it is cut or replaced while it is read", () =>
        Effect.gen(function* () {
          const bytes = compress(Buffer.from(textOf(lines(40_000))))
          const fs = yield* FileSystem.FileSystem
          const changes = {
            Shrunk: (path: string) => fs.truncate(path, 300_000),
            Replaced: (path: string) =>
              Effect.andThen(fs.writeFile(`${path}.new`, bytes), fs.rename(`${path}.new`, path))
          }
          for (const [kind, change] of Object.entries(changes)) {
            const path = yield* fileOf(`c.${extension}`, bytes)
            let reads = 0
            const changing = Disk.changed((file) => ({
              read: (buffer, options) =>
                Effect.andThen(
                  Effect.suspend(() => (reads++ === 1 ? Effect.orDie(change(path)) : Effect.void)),
                  file.read(buffer, options)
                )
            }))
            assert.strictEqual((yield* changing(errorOf(Files.lines(path)))).kind, kind)
          }
        })
      )

      it.effect("P10 is known by what its positions rest on: that it is there unchanged, and no more", () =>
        Effect.gen(function* () {
          const fs = yield* FileSystem.FileSystem
          const bytes = compress(Buffer.from(textOf(lines(30_000))))
          const path = yield* fileOf(`p10.${extension}`, bytes)
          const file = Files.lines(path)
          const elements = yield* read(file)
          const { position } = elements[100]!
          const kept = yield* file.fingerprint(Option.some(position))
          assert.isBelow(Number(kept["bytes"]), bytes.length)
          // Another object, which has read nothing.
          assert.deepEqual(yield* Files.lines(path).fingerprint(Option.some(position)), kept)
          const changedWith = (content: Bytes) =>
            Effect.andThen(fs.writeFile(path, content), Files.lines(path).changed!(kept, Option.some(position)))
          const with1 = (at: number) => Uint8Array.from(bytes, (byte, index) => (index === at ? byte ^ 1 : byte))
          assert.deepEqual(yield* changedWith(bytes), [])
          assert.lengthOf(yield* changedWith(with1(500)), 1)
          assert.deepEqual(yield* changedWith(with1(bytes.length - 10)), [])
          assert.lengthOf(yield* changedWith(bytes.subarray(0, 1000)), 1)
          const since = yield* Effect.andThen(
            fs.writeFile(path, bytes),
            file.fingerprint(Option.some(elements[25_000]!.position), kept)
          )
          assert.isAbove(Number(since["bytes"]), Number(kept["bytes"]))
          assert.deepEqual(yield* Files.lines(path).fingerprint(Option.some(elements[25_000]!.position)), since)
        })
      )
    })
  }

  for (const [extension, { compress, name }] of Object.entries({ gz: kinds.gz, zst: kinds.zst })) {
    it.effect(`goes on with a ${name} file that grew by members, across runs, to each line once`, () =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const path = yield* fileOf(`log.${extension}`, compress(Buffer.from("a\nb\n")))
        const seen: Array<string> = []
        const run = Pipeline.from(Files.lines(path)).pipe(
          Pipeline.to(Sink.forEach((line: string) => Effect.sync(() => void seen.push(line)))),
          (job) => Pipeline.run(job, { name: "log" })
        )
        yield* Effect.gen(function* () {
          yield* run
          yield* fs.writeFile(path, compress(Buffer.from("c\nd")), { flag: "a" })
          yield* run
          assert.deepEqual(seen, ["a", "b", "c", "d"])
          yield* fs.writeFile(path, compress(Buffer.from("\ne\n")), { flag: "a" })
          yield* run
          assert.deepEqual(seen, ["a", "b", "c", "d", "e"])
          yield* fs.writeFile(path, compress(Buffer.from("x\ny\nz\n")))
          assert.strictEqual((yield* Effect.flip(run))._tag, "SourceChanged")
        }).pipe(Effect.provide(Journal.memory))
      })
    )
  }

  it.effect("refuses a last line that was read and goes on", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const path = yield* fileOf("log.gz", zlib.gzipSync("a\nb"))
      yield* fs.writeFile(path, zlib.gzipSync("c\n"), { flag: "a" })
      const error = yield* Effect.flip(read(Files.lines(path), 3))
      assert.include(error.message, "that line goes on now")
    })
  )

  it.effect("names line, byte and field of what is wrong in it", () =>
    Effect.gen(function* () {
      const path = yield* fileOf("a.jsonl.gz", zlib.gzipSync('{"a":1}\n\n{"a":"x"}\n'))
      const file = Files.jsonl(path, Schema.Struct({ a: Schema.Finite }))
      const error = yield* Effect.flip(Stream.runDrain(file.read(Option.none())))
      assert.include(error, { kind: "BadLine", line: 3, offset: 9, field: "a" })
      assert.deepEqual(yield* file.size, Option.none())
    })
  )

  it.effect("says of compressed bytes under another name what they are, and not that they are bad UTF-8", () =>
    Effect.gen(function* () {
      for (const { compress, name } of [kinds.gz, kinds.zst]) {
        const error = yield* errorOf(Files.lines(yield* fileOf("list.txt", compress(Buffer.from("a\n")))))
        assert.strictEqual(error.kind, "BadText")
        assert.include(
          error.message,
          `it is compressed with ${name}, and its name does not say so. Give \`compression: "${name}"\``
        )
        assert.notInclude(error.message, "iconv")
      }
    })
  )

  it.effect("reads encodings by their mark or by the option, with positions in UTF-8", () =>
    Effect.gen(function* () {
      const text = "één\nzwei\n日本\n"
      const expected = ["één", "zwei", "日本"]
      const utf16 = (bigEndian: boolean, content: string) => {
        const bytes = Buffer.from(content, "utf16le")
        return Uint8Array.from(bigEndian ? bytes.swap16() : bytes)
      }
      for (const bytes of [utf16(false, `\ufeff${text}`), utf16(true, `\ufeff${text}`)]) {
        for (const path of [yield* fileOf("a.txt", bytes), yield* fileOf("a.txt.gz", zlib.gzipSync(bytes))]) {
          const file = Files.lines(path)
          const elements = yield* read(file)
          assert.deepEqual(
            elements.map(({ position, value }) => [value, position]),
            [
              ["één", 6],
              ["zwei", 11],
              ["日本", 18]
            ]
          )
          assert.deepEqual(yield* values(file, 6), expected.slice(1))
          assert.deepEqual(
            yield* Files.lines(path).changed!(yield* file.fingerprint(Option.some(11)), Option.some(11)),
            []
          )
        }
      }
      const le = yield* fileOf("b.txt", utf16(false, text))
      assert.deepEqual(yield* values(Files.lines(le, { encoding: "utf-16le" })), expected)
      const latin = yield* fileOf("c.txt", Uint8Array.from(Buffer.from("één\n\u00a4\n", "latin1")))
      assert.deepEqual(yield* values(Files.lines(latin, { encoding: "latin1" })), ["één", "\u00a4"])
      assert.include((yield* errorOf(Files.lines(latin))).message, "line 1 (byte 0): it is not valid UTF-8")
      const sjis = yield* fileOf("d.txt", Uint8Array.of(0x93, 0xfa, 0x96, 0x7b, 10))
      assert.deepEqual(yield* values(Files.lines(sjis, { encoding: "Shift_JIS" })), ["日本"])
    })
  )

  it.effect("refuses text that is in no encoding, in words", () =>
    Effect.gen(function* () {
      const unmarked = yield* fileOf("a.txt", Uint8Array.from(Buffer.from("plain text\n", "utf16le")))
      const looks = yield* errorOf(Files.lines(unmarked))
      assert.strictEqual(looks.kind, "BadText")
      assert.include(looks.message, 'it looks like UTF-16LE without a byte order mark. Give `encoding: "utf-16le"`')
      const half = yield* fileOf("b.txt", Uint8Array.of(0xff, 0xfe, 0x61, 0, 10, 0, 0x00, 0xd8, 0x61, 0, 10, 0))
      assert.include(
        (yield* errorOf(Files.lines(half))).message,
        "it is not UTF-16LE all through: there is no character between byte"
      )
      const unknown = yield* errorOf(Files.lines(unmarked, { encoding: "klingon" }))
      assert.include(unknown.message, '"klingon" is no encoding')
      const wide = yield* errorOf(Files.lines(yield* fileOf("c.txt", Uint8Array.of(0xff, 0xfe, 0, 0, 0x61, 0, 0, 0))))
      assert.include(wide.message, "it is UTF-32")
    })
  )

  it.effect("leaves out lines of any white space there is", () =>
    Effect.gen(function* () {
      const blanks = [
        "",
        " ",
        "\t",
        "\u0085",
        "\u00a0",
        "\u1680",
        "\u2003",
        "\u2028",
        "\u202f",
        "\u205f",
        "\u3000",
        " \u00a0\u3000"
      ]
      const kept = ["\ufeffx", "\u200b", "\u00a0x", "\u3000日本"]
      const path = yield* fileOf("a.txt", textOf(["first", ...blanks, ...kept]))
      assert.deepEqual(yield* values(Files.lines(path, { skipBlank: true })), ["first", ...kept])
    })
  )
})
