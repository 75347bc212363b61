/** What sources give: the same in portions as in elements, behind any position, however the bytes arrive; and what they give is right. */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import { Db, Files, Journal, Pipeline, Source } from "skein"
import { Drivers } from "skein/node"
import { Disk as Disks } from "skein/testing"
import { gzipSync } from "node:zlib"
import { portionsOf } from "../../src/pipeline/context/Portion.ts"
import { CsvColumns } from "../../src/io/files/format/CsvColumns.ts"
import { type Cell, quotedEmpty } from "../../src/io/files/format/CsvCutter.ts"
import { Refusal } from "../../src/io/files/Format.ts"
import { Recent } from "../../src/io/files/read/Recent.ts"
import * as Disk from "../support/disk.ts"

const deep = process.env["SKEIN_DEEP"] !== undefined
const arbitrary = { runs: deep ? 1000 : 8 }

type Any = Source.Source<unknown, unknown, any, any>
type Element = Source.Element<unknown, unknown>

/** All up to the end, or up to the error. */
const collected = <A, E, R>(stream: Stream.Stream<A, E, R>, add: (one: A) => void) =>
  Effect.map(Effect.exit(Stream.runForEach(stream, (one) => Effect.sync(() => add(one)))), (exit) =>
    Exit.isSuccess(exit) ? "" : String(Cause.squash(exit.cause))
  )

const byElements = (source: Any, after?: unknown) =>
  Effect.gen(function* () {
    const elements: Array<Element> = []
    const error = yield* collected(source.read(Option.fromUndefinedOr(after)), (one) => elements.push(one))
    return { elements, error }
  })

const byPortions = (source: Any, after?: unknown) =>
  Effect.gen(function* () {
    const elements: Array<Element> = []
    const error = yield* collected(portionsOf(source.read(Option.fromUndefinedOr(after))), (portion) => {
      assert.isAbove(portion.values.length, 0)
      assert.strictEqual(portion.bytes.length, portion.values.length)
      for (const [i, value] of portion.values.entries()) {
        elements.push({ value, position: portion.positionOf(i), bytes: portion.bytes[i]! })
      }
    })
    return { elements, error }
  })

/** Gives all elements, once they are the same both ways, and behind some of them as well. */
const same = (make: () => Any, isResumable = true) =>
  Effect.gen(function* () {
    const all = yield* byElements(make())
    assert.deepStrictEqual(yield* byPortions(make()), all)
    if (!isResumable) return all
    const { length } = all.elements
    for (const i of deep ? all.elements.keys() : new Set([0, length >> 1, length - 1])) {
      const position = all.elements[i]?.position
      if (position === undefined) continue
      const rest = { elements: all.elements.slice(i + 1), error: all.error }
      assert.deepStrictEqual(yield* byElements(make(), position), rest, `elements behind ${i}`)
      assert.deepStrictEqual(yield* byPortions(make(), position), rest, `portions behind ${i}`)
    }
    return all
  })

const Row = Schema.Struct({ a: Schema.String, n: Schema.NullOr(Schema.Finite) })

const texts = ["a", "é", "😀", "\ufeff", " ", "x".repeat(40), '"', ",", "\r", "\t"] as const
const ends = ["\n", "\n", "\r\n", "\n\n", "\n \n"] as const
const spec = Schema.Struct({
  text: Schema.Array(Schema.Literals(texts)).check(Schema.isMaxLength(4)),
  n: Schema.NullOr(Schema.Literals([0, -1.5, 2 ** 40])),
  end: Schema.Literals(ends)
})
const lines = Arbitrary.map(Arbitrary.array(Arbitrary.schema(spec), { maxLength: 6 }), (all): Lines =>
  all.map(({ text, ...others }) => ({ text: text.join(""), ...others }))
)
type Lines = ReadonlyArray<{ readonly text: string; readonly n: number | null; readonly end: string }>

const cellOf = (text: string) => `"${text.replaceAll('"', '""')}"`
const contents: Record<string, (all: Lines) => string> = {
  lines: (all) => all.map(({ end, text }) => text + end).join(""),
  jsonl: (all) => all.map(({ end, n, text }) => JSON.stringify({ a: text, n }) + end).join(""),
  csv: (all) => `n,a\n${all.map(({ end, n, text }) => `${n ?? ""},${cellOf(text)}${end.replace(" ", "")}`).join("")}`,
  json: (all) => `[${all.map(({ end, n, text }) => end + JSON.stringify({ a: text, n })).join(",")}]`,
  bytes: (all) => all.map(({ text }) => text).join("")
}
const sources: Record<string, (path: string) => Any> = {
  lines: (path) => Files.lines(path),
  jsonl: (path) => Files.jsonl(path, Row),
  csv: (path) => Files.csv(path, Row),
  json: (path) => Files.json(path, Row),
  bytes: (path) => Files.bytes(path, { size: 5 })
}
const several: Record<string, (paths: ReadonlyArray<string>) => Any> = {
  lines: (paths) => Files.lines(paths),
  jsonl: (paths) => Files.jsonl(paths, Row)
}

const encode = (text: string) => new TextEncoder().encode(text)

const inMemory = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.flatMap(Disks.make(), ({ fileSystem }) => Effect.provideService(effect, FileSystem.FileSystem, fileSystem))

/** What lines are, found by their bytes alone. */
const linesIn = (content: string): ReadonlyArray<Element> => {
  const found: Array<Element> = []
  let at = 0
  for (const piece of content.split(/(?<=\n)/)) {
    if (piece === "") continue
    const bytes = encode(piece).length
    at += bytes
    const text = piece.replace(/\r?\n$/, "").replace(/\r$/, piece.endsWith("\n") ? "\r" : "")
    found.push({ value: found.length === 0 ? text.replace(/^\ufeff/, "") : text, position: at, bytes })
  }
  return found
}

describe("Portions and elements", () => {
  for (const [format, source] of Object.entries(sources)) {
    it.effect.prop(
      `of ${format} are the same, behind any position, however the bytes arrive`,
      {
        lines,
        size: Arbitrary.schema(Schema.Literals([1, 2, 3, 7, 1000])),
        isMarked: Arbitrary.schema(Schema.Boolean)
      },
      ({ isMarked, lines, size }) =>
        Effect.gen(function* () {
          const fs = yield* FileSystem.FileSystem
          const folder = ""
          const content = (isMarked && format !== "bytes" ? "\ufeff" : "") + contents[format]!(lines)
          yield* fs.writeFile(`${folder}/file`, encode(content))
          yield* fs.writeFile(`${folder}/file.gz`, gzipSync(content))
          const whole = yield* same(() => source(`${folder}/file`))
          if (format === "lines") assert.deepStrictEqual(whole.elements, linesIn(content))
          if (format === "jsonl" || format === "csv" || format === "json") {
            assert.strictEqual(whole.error, "")
            assert.deepStrictEqual<unknown>(
              whole.elements.map(({ value }) => value),
              lines.map(({ n, text }) => ({ a: text, n }))
            )
          }
          assert.deepStrictEqual(yield* Disk.shortReads(size)(same(() => source(`${folder}/file`), deep)), whole)
          assert.deepStrictEqual(yield* same(() => source(`${folder}/file.gz`), deep), whole)
          const many = several[format]
          if (many === undefined) return
          yield* fs.writeFile(`${folder}/other`, encode(contents[format]!(lines.toReversed())))
          yield* same(() => many([`${folder}/file`, `${folder}/other`]))
        }).pipe(inMemory),
      { arbitrary, timeout: 120_000 }
    )
  }

  it.effect.prop(
    "of broken lines are the same, and end in the same error",
    {
      pieces: Arbitrary.array(
        Arbitrary.schema(Schema.Literals(['{"a":"b","n":1}', "{", "\n", "\n", '"', ",", "1", "é"])),
        { maxLength: 8 }
      )
    },
    ({ pieces }) =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const path = "/file"
        yield* fs.writeFile(path, encode(pieces.join("")))
        for (const source of Object.values(sources)) yield* same(() => source(path))
      }).pipe(inMemory),
    { arbitrary, timeout: 120_000 }
  )

  it.effect("of lines longer than a block, with characters over its border", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const long = "é😀".repeat(200_000)
      const content = `\ufeff${long}\r\n${"x".repeat(1024 * 1024 - 1)}é\n\n${long}`
      yield* fs.writeFile("/file", encode(content))
      const { elements } = yield* same(() => Files.lines("/file"))
      assert.deepStrictEqual(elements, linesIn(content))
    }).pipe(inMemory)
  )

  it.effect("of what the program is given to read, of a file that is followed, of lists and of Parquet", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const folder = yield* fs.makeTempDirectoryScoped()
      const rows = Array.from({ length: 1100 }, (_, n) => ({ a: `é ${n}`, n }))
      const content = encode(rows.map((row) => `${JSON.stringify(row)}\n`).join(""))
      const given = Stdio.layerTest({ stdin: Stream.make(content.slice(0, 99), content.slice(99)) })
      const stdin = yield* Effect.provide(
        same(() => Files.jsonl(Files.stdin, Row), false),
        given
      )
      assert.strictEqual(stdin.elements.length, rows.length)

      yield* fs.writeFile(`${folder}/file`, content)
      const followed = Files.jsonl(`${folder}/file`, Row, { follow: true })
      const taken = { ...followed, read: () => Stream.take(followed.read(Option.none()), rows.length) }
      const first = yield* byElements(taken)
      const portions = yield* Stream.runCollect(
        Stream.takeUntil(portionsOf(followed.read(Option.none())), ({ positionOf, values }) => {
          const { at } = positionOf(values.length - 1)
          return at === content.length
        })
      )
      assert.deepStrictEqual(
        portions.flatMap((one) =>
          one.values.map((value, i) => ({ value, position: one.positionOf(i), bytes: one.bytes[i]! }))
        ),
        first.elements as never
      )

      const list = yield* same(() => Source.list(rows, { name: "rows" }), false)
      const middle = yield* byPortions(Source.list(rows, { name: "rows" }), 1020)
      assert.deepStrictEqual(middle.elements, list.elements.slice(1020))
      for (const [i, { position }] of list.elements.entries()) assert.strictEqual(position, i + 1)

      const parquet = Files.parquet(`${folder}/rows.parquet`, Row, { rowGroup: 500 })
      const write = Pipeline.from(rows).pipe(Pipeline.to(parquet))
      yield* Effect.provide(Pipeline.run(write, { name: "write" }), Journal.memory)
      const { elements } = yield* same(() => Files.parquet(`${folder}/rows.parquet`, Row))
      assert.deepStrictEqual<unknown>(
        elements.map(({ value }) => value),
        rows
      )
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
  )

  it.effect("of the rows of a table", () =>
    Effect.gen(function* () {
      yield* Db.execute`CREATE TABLE rows (a TEXT NOT NULL, n INTEGER PRIMARY KEY)`
      yield* Db.execute`INSERT INTO rows WITH RECURSIVE up(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM up WHERE n < 300) SELECT 'é' || n, n FROM up`
      const make = () => Db.rows("rows", Schema.Struct({ a: Schema.String, n: Schema.Int }), { by: "n" })
      const { elements } = yield* same(make, false)
      assert.strictEqual(elements.length, 300)
      const rest = yield* byPortions(make(), elements[99]!.position)
      assert.deepStrictEqual(rest.elements, elements.slice(100))
    }).pipe(Effect.provide(Db.open(":memory:")), Effect.provide(Drivers.layer))
  )
})

describe("Cells of plain fields", () => {
  const Plain = Schema.Struct({
    text: Schema.String,
    word: Schema.NullOr(Schema.String.check(Schema.isMinLength(2))),
    number: Schema.Number,
    finite: Schema.UndefinedOr(Schema.Finite),
    int: Schema.optionalKey(Schema.Int),
    flag: Schema.Boolean
  })
  const cells = [
    "",
    quotedEmpty,
    "a",
    "ab",
    "1",
    "-0",
    "1.50",
    "1e3",
    " 1",
    "+1",
    "NaN",
    "Infinity",
    "12345678901234567",
    "0x1",
    ".5",
    "true",
    "false",
    "TRUE",
    "\ud800"
  ] as const
  const names = Object.keys(Plain.fields)
  const pick = Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: cells.length - 1 })))
  const shown = (result: unknown) => (result instanceof Refusal ? { ...result } : result)

  it("are, each in turn among others that fit, what they are by the schema's own strings", () => {
    const fits: ReadonlyArray<Cell> = ["a", "ab", "1", "1", "1", "true"]
    const quick = new CsvColumns(Plain).decoder(names)
    const general = new CsvColumns(Schema.toEncoded(Plain).pipe(Schema.decodeTo(Plain)) as never).decoder(names)
    if (quick instanceof Refusal || general instanceof Refusal) throw new Error("columns")
    for (const [at] of names.entries()) {
      for (const cell of cells) {
        const record = fits.with(at, cell)
        assert.deepStrictEqual(shown(quick(record)), shown(general(record)), `${names[at]} ${String(cell)}`)
      }
    }
  })

  it.prop(
    "are what they are by the schema's own strings, or refused in the same words",
    { picks: Arbitrary.array(pick, { minLength: names.length, maxLength: names.length }) },
    ({ picks }) => {
      const record: ReadonlyArray<Cell> = picks.map((at) => cells[at]!)
      const quick = new CsvColumns(Plain).decoder(names)
      const general = new CsvColumns(Schema.toEncoded(Plain).pipe(Schema.decodeTo(Plain)) as never).decoder(names)
      if (quick instanceof Refusal || general instanceof Refusal) throw new Error("columns")
      assert.deepStrictEqual(shown(quick(record)), shown(general(record)))
    },
    { arbitrary: { runs: deep ? 100_000 : 200 } }
  )
})

describe("The bytes that were read last", () => {
  it("are those of the file, or not there", () => {
    const content = new Uint8Array(new Uint32Array(11 * 256 * 1024).map((_, i) => Math.imul(i, 0x9e3779b1)).buffer)
    const recent = new Recent()
    recent.add(0, content.subarray(0, 10))
    assert.isUndefined(recent.bytes(0, 10))
    recent.want()
    let end = 5
    for (const length of [1000, 1, 3 * 1024 * 1024, 1024 * 1024, 777_777, 5 * 1024 * 1024 + 3, 65_536]) {
      recent.add(end, content.subarray(end, end + length))
      end += length
      for (const back of [1, 65_536, 1_000_000, 4 * 1024 * 1024]) {
        const from = end - back
        const found = recent.bytes(from, Math.min(back, 65_536))
        if (from < 5) assert.isUndefined(found)
        else
          assert.deepStrictEqual(
            Buffer.from(found!),
            Buffer.from(content.subarray(from, from + Math.min(back, 65_536)))
          )
      }
      assert.isUndefined(recent.bytes(end - 1, 2))
      assert.isUndefined(recent.bytes(end - 4 * 1024 * 1024 - 1, 1))
    }
    recent.add(3, content.subarray(3, 9))
    assert.isUndefined(recent.bytes(2, 3))
    assert.deepStrictEqual([...recent.bytes(3, 6)!], [...content.subarray(3, 9)])
  })
})
