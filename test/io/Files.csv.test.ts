import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as Csv from "effect/encoding/Csv"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { readdirSync, readFileSync } from "node:fs"
import { createRequire } from "node:module"
import { dirname, join } from "node:path"
import { Files, Journal, Pipeline, Sink, Source } from "skein"
import * as Disk from "../support/disk.ts"

const deep = process.env["SKEIN_DEEP"] !== undefined

const newPath = Effect.map(
  FileSystem.FileSystem.pipe(Effect.flatMap((fs) => fs.makeTempDirectoryScoped())),
  (folder) => `${folder}/data.csv`
)

const fileOf = (content: string | Uint8Array) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const path = yield* newPath
    yield* fs.writeFile(path, typeof content === "string" ? new TextEncoder().encode(content) : content)
    return path
  })

const read = <A>(file: Files.LineFile<A>, after?: number) => Stream.runCollect(file.read(Option.fromUndefinedOr(after)))

const values = <A>(file: Files.LineFile<A>, after?: number) =>
  Effect.map(read(file, after), (elements) => elements.map((element) => element.value))

const valuesOf = <A>(content: string | Uint8Array, schema: Schema.Codec<A, unknown>, options?: Files.CsvOptions) =>
  Effect.flatMap(fileOf(content), (path) => values(Files.csv(path, schema, options)))

const readUntilError = <A>(file: Files.LineFile<A>, after?: number) =>
  Effect.gen(function* () {
    const seen: Array<A> = []
    const error = yield* file.read(Option.fromUndefinedOr(after)).pipe(
      Stream.runForEach(({ value }) => Effect.sync(() => void seen.push(value))),
      Effect.flip
    )
    return { seen, error }
  })

const write = <A>(file: Files.LineFile<A>, elements: Iterable<A>) =>
  Pipeline.run(Pipeline.from([...elements]).pipe(Pipeline.to(file)), { name: "write" }).pipe(
    Effect.provide(Journal.memory)
  )

const contentOf = (path: string) => FileSystem.FileSystem.pipe(Effect.flatMap((fs) => fs.readFileString(path)))

const texts = (...names: ReadonlyArray<string>): Schema.Codec<Record<string, string>, unknown> =>
  Schema.Struct(Object.fromEntries(names.map((name) => [name, Schema.String])))

const ab = texts("a", "b")

describe("Files.csv", () => {
  const spectrum = dirname(createRequire(import.meta.url).resolve("csv-spectrum"))
  const cases = readdirSync(join(spectrum, "csvs"))
  it("has all cases of csv-spectrum", () => assert.strictEqual(cases.length, 12))
  for (const name of cases) {
    it.effect(`reads ${name} of csv-spectrum`, () =>
      Effect.gen(function* () {
        const expected: ReadonlyArray<Record<string, string>> = [
          JSON.parse(readFileSync(join(spectrum, "json", name.replace(".csv", ".json")), "utf8"))
        ].flat()
        const bytes = readFileSync(join(spectrum, "csvs", name))
        // The suite's own mistake: the file has another number.
        if (name === "location_coordinates.csv") expected[0]!["Contact Phone Number"] = "2095257564"
        assert.deepStrictEqual(yield* valuesOf(bytes, texts(...Object.keys(expected[0]!))), expected)
      }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
    )
  }

  const one = [{ a: "1", b: "2" }]
  const two = [...one, { a: "3", b: "4" }]
  const reads: ReadonlyArray<readonly [what: string, content: string, records: unknown, options?: Files.CsvOptions]> = [
    ["line feeds", "a,b\n1,2\n3,4\n", two],
    ["carriage returns with line feeds", "a,b\r\n1,2\r\n3,4\r\n", two],
    ["carriage returns alone", "a,b\r1,2\r3,4\r", two],
    ["a mixture of line ends", "a,b\r1,2\n3,4\r\n", two],
    ["no end behind the last record", "a,b\n1,2\n3,4", two],
    ["a carriage return alone at the end", "a,b\n1,2\r", one],
    ["a byte order mark", "\ufeffa,b\n1,2\n", one],
    ["a byte order mark before a quoted name", '\ufeff"a",b\n1,2\n', one],
    ["blank lines", "\n\r\na,b\n\n1,2\n\r\n\n3,4\n\n", two],
    ["columns in another order", "b,a\n2,1\n4,3\n", two],
    ["columns that nobody asked for", "x,a,,b,x\n0,1,,2,0\n0,3,,4,0\n", two],
    [
      "empty fields",
      "a,b\n,\n1,\n,2\n",
      [
        { a: "", b: "" },
        { a: "1", b: "" },
        { a: "", b: "2" }
      ]
    ],
    ["empty fields in quotes", 'a,b\n"",""\n', [{ a: "", b: "" }]],
    ["white space as it is", "a,b\n 1 ,\t2\u00a0\n", [{ a: " 1 ", b: "\t2\u00a0" }]],
    ["delimiters in quotes", 'a,b\n"1,2",","\n', [{ a: "1,2", b: "," }]],
    ["doubled quotes", 'a,b\n"say ""no""",""""\n', [{ a: 'say "no"', b: '"' }]],
    ["line ends in quotes", 'a,b\n"1\n2","\r\n\r"\n', [{ a: "1\n2", b: "\r\n\r" }]],
    ["a quoted field at the end of the file", 'a,b\n1,"2"', one],
    ["a quoted field before a carriage return", 'a,b\r\n1,"2"\r\n', one],
    ["NUL", "a,b\n\0,1\0\n", [{ a: "\0", b: "1\0" }]],
    ["tabs", 'a\tb\n1\t2\n"3"\t4\n', two, { delimiter: "\t" }],
    ["semicolons", "a;b\n1;2\n", one, { delimiter: ";" }],
    ["a delimiter that is no ASCII", "a§b\n1§2\n", one, { delimiter: "§" }],
    ["another quote", "a,b\n'1','it''s'\n", [{ a: "1", b: "it's" }], { quote: "'" }],
    ["no quotes", 'a\tb\n"1\t2"\n', [{ a: '"1', b: '2"' }], { delimiter: "\t", quote: false }],
    ["quotes in a field that does not begin with one", 'a,b\n1"2",3""\n', [{ a: '1"2"', b: '3""' }]],
    ["no header", "1,2\n3,4\n", two, { header: false }],
    ["names given", "0,2,1\n0,4,3\n", two, { header: ["x", "b", "a"] }],
    ["only a header", "a,b\n", []],
    ["nothing", "", []],
    ["a header without an end", "a,b", []]
  ]
  for (const [what, content, records, options] of reads) {
    it.effect(`reads ${what}`, () =>
      Effect.gen(function* () {
        assert.deepStrictEqual(yield* valuesOf(content, ab, options), records)
      }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
    )
  }

  it.effect("takes a blank line for a record where there is one column that may be empty", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* valuesOf("a\n1\n\n2\n", texts("a")), [{ a: "1" }, { a: "" }, { a: "2" }])
      const numbers = Schema.Struct({ a: Schema.Finite })
      assert.deepStrictEqual(yield* valuesOf("a\n1\n\n2\n\n", numbers), [{ a: 1 }, { a: 2 }])
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
  )

  const Typed = Schema.Struct({ id: Schema.Finite, on: Schema.Date, ok: Schema.Boolean })
  const head = "id,on,ok\n"
  const good = "1,2020-01-01T00:00:00.000Z,true\n"
  const refusals: ReadonlyArray<readonly [what: string, rest: string, expected: object, options?: Files.CsvOptions]> = [
    ["a record that is too short", "2,x\n", { reason: "its record has 2 fields where there are 3 columns" }],
    ["a record that is too long", "2,x,y,z\n", { reason: "its record has 4 fields where there are 3 columns" }],
    ["a line of white space", "  \n", { reason: "its record has 1 field where there are 3 columns" }],
    ["a value that does not fit", "2,2020-01-01,maybe\n", { field: "ok" }],
    ["a number that is none", "1x,2020-01-01,true\n", { field: "id" }],
    ["a number that would lose digits", "9007199254740993,2020-01-01,true\n", { field: "id" }],
    ["text behind a quote", '2,"a"b,true\n', { reason: "field 2 goes on behind its closing quote" }],
    [
      "a quote that is not closed",
      '2,"a,true\n3,b,true\n',
      { reason: "a quote is opened in its record and not closed before the end of the file" }
    ],
    [
      "a record beyond the limit",
      `2,"${"x\n".repeat(60)}",true\n`,
      { reason: "its record is longer than 100 bytes, the limit of `maxLine`" },
      { maxLine: 100 }
    ]
  ]
  for (const [what, rest, expected, options] of refusals) {
    it.effect(`refuses ${what}, by its place, after all before it`, () =>
      Effect.gen(function* () {
        const file = Files.csv(yield* fileOf(`${head}${good}${rest}`), Typed, options)
        const { error, seen } = yield* readUntilError(file)
        const place = { kind: "BadLine" as const, line: 3, offset: head.length + good.length }
        assert.deepInclude(error, { ...place, ...expected })
        assert.strictEqual(seen.length, 1)
        const later = yield* readUntilError(file, head.length + good.length)
        assert.deepInclude(later.error, { ...place, ...expected })
      }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
    )
  }

  it.effect("refuses what is not UTF-8, in quotes as well", () =>
    Effect.gen(function* () {
      const bytes = new TextEncoder().encode('a,b\n1,2\n3,"x\n?"\n4,5\n')
      bytes[bytes.indexOf("?".charCodeAt(0))] = 0xff
      const { error, seen } = yield* readUntilError(Files.csv(yield* fileOf(bytes), ab))
      assert.deepInclude(error, { kind: "BadLine", line: 4, offset: 13, reason: "it is not valid UTF-8" })
      assert.deepStrictEqual(seen, one)
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
  )

  it.effect("names columns that are missing or there twice", () =>
    Effect.gen(function* () {
      const missing = yield* Effect.flip(valuesOf("a;b\n1;2\n", ab))
      assert.include(missing.message, String.raw`line 1 (byte 0): it has no column "a", "b"; its columns are "a;b"`)
      const twice = yield* Effect.flip(valuesOf("a,b,a\n1,2,3\n", ab))
      assert.include(twice.message, 'it has two columns "a"')
      const optional = Schema.Struct({ a: Schema.String, c: Schema.optionalKey(Schema.String) })
      assert.deepStrictEqual(yield* valuesOf("a,b\n1,2\n", optional), [{ a: "1" }])
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
  )

  it.effect("goes on behind any record, with the columns of its header", () =>
    Effect.gen(function* () {
      for (const end of ["\n", "\r\n", "\r"]) {
        const records = ['"1\n""2",x', "ä€😀,2", ',"é\r\n"', "plain,5", '"",""']
        const file = Files.csv(yield* fileOf(["b,a", ...records].join(end)), ab)
        const all = yield* read(file)
        assert.strictEqual(all.length, records.length)
        let before = new TextEncoder().encode(`b,a${end}`).length
        for (const [i, { bytes, position }] of all.entries()) {
          const length = new TextEncoder().encode(records[i]! + (i < records.length - 1 ? end : "")).length
          assert.deepStrictEqual([position, bytes], [before + length, length])
          before = position
          const rest = yield* values(file, position)
          assert.deepStrictEqual(
            rest,
            all.slice(i + 1).map(({ value }) => value)
          )
        }
      }
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
  )

  it.effect("takes the end of a record that was read before it had one", () =>
    Effect.gen(function* () {
      const path = yield* fileOf("a,b\n1,2")
      const fs = yield* FileSystem.FileSystem
      for (const end of ["\n", "\r\n", "\r"]) {
        yield* fs.writeFileString(path, `a,b\n1,2${end}3,4`)
        assert.deepStrictEqual(yield* values(Files.csv(path, ab), 7), two.slice(1))
      }
      yield* fs.writeFileString(path, "a,b\n1,2\r\n3,4")
      assert.deepStrictEqual(yield* values(Files.csv(path, ab), 8), two.slice(1))
      yield* fs.writeFileString(path, "a,b\n1,23\n3,4")
      const { error } = yield* readUntilError(Files.csv(path, ab), 7)
      assert.include(error.message, "that record goes on now")
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
  )

  for (const end of ["\n", "\r\n", "\r"]) {
    it.effect(
      `goes on with a file that grew, across runs, where ${JSON.stringify(end).slice(1, -1)} ends records`,
      () =>
        Effect.gen(function* () {
          const fs = yield* FileSystem.FileSystem
          const path = yield* fileOf(["a,b", "1,2", ""].join(end))
          const seen: Array<string> = []
          const run = Pipeline.from(Files.csv(path, ab)).pipe(
            Pipeline.to(Sink.forEach(({ a }: Record<string, string>) => Effect.sync(() => void seen.push(a!)))),
            (job) => Pipeline.run(job, { name: "grows" })
          )
          const add = (text: string) => fs.writeFileString(path, text, { flag: "a" })
          yield* run
          for (const more of [`3,4${end}`, "5,6", `${end}7,8`, `${end}`, `9,10${end}`]) {
            yield* add(more)
            yield* run
          }
          assert.deepStrictEqual(seen, ["1", "3", "5", "7", "9"])
          yield* add("11,1")
          yield* run
          yield* add(`2${end}`)
          assert.include((yield* Effect.flip(run)).message, "its last line, which was read, goes on now")
        }).pipe(Effect.scoped, Effect.provide([NodeServices.layer, Journal.memory]))
    )
  }

  it.effect("goes on behind records that are longer than what is converted at a time, whatever is in them", () =>
    Effect.gen(function* () {
      for (const end of ["\n", "\r\n", "\r"]) {
        const notes = Array.from({ length: 600 }, (_, i) =>
          i % 97 === 5 ? `line${end}`.repeat(9000 * (1 + (i % 3))) : i % 50 === 0 ? `"${"ü".repeat(i * 100)}"` : "plain"
        )
        const records = notes.map((note, i) => `${i},"${note.replaceAll('"', '""')}"${end}`)
        const file = Files.csv(yield* fileOf(`a,b${end}${records.join("")}`), ab)
        const all = yield* read(file)
        assert.deepStrictEqual(
          all.map(({ value }) => value),
          notes.map((b, i) => ({ a: `${i}`, b }))
        )
        let at = new TextEncoder().encode(`a,b${end}`).length
        const positions = records.map((record) => (at += new TextEncoder().encode(record).length))
        assert.deepStrictEqual(
          all.map(({ position }) => position),
          positions
        )
        for (const i of [4, 5, 101, 102]) {
          assert.strictEqual((yield* values(file, positions[i]!)).length, records.length - i - 1)
        }
      }
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
  )

  it.effect("reads the rows that another parser reads, over the borders of all blocks", () =>
    Effect.gen(function* () {
      const count = deep ? 1_000_000 : 30_000
      const row = (i: number) => {
        const note = i % 10 === 0 ? `"said ""${i}"", and\r\nleft"` : i % 7 === 0 ? "ä€😀".repeat(i % 5) : ""
        return `${i},person ${i},${note},${i / 8},${i % 2 === 0}\n`
      }
      const path = yield* fileOf("id,name,note,score,ok\n")
      const fs = yield* FileSystem.FileSystem
      for (let i = 0; i < count; i += 10_000) {
        const rows = Array.from({ length: 10_000 }, (_, j) => row(i + j)).join("")
        yield* fs.writeFileString(path, rows, { flag: "a" })
      }
      const Row = Schema.Struct({
        id: Schema.Finite,
        name: Schema.String,
        note: Schema.String,
        score: Schema.Finite,
        ok: Schema.Boolean
      })
      const sum = (stream: Stream.Stream<typeof Row.Type, unknown, FileSystem.FileSystem>) =>
        Stream.runFold(
          stream,
          () => ({ count: 0, id: 0, score: 0, ok: 0, text: 0 }),
          (all, { id, name, note, ok, score }) => {
            let text = all.text
            for (const part of [name, note]) {
              for (let i = 0; i < part.length; i++) text = (Math.imul(text, 31) + part.charCodeAt(i)) | 0
            }
            return {
              count: all.count + 1,
              id: all.id + id,
              score: all.score + score,
              ok: all.ok + Number(ok),
              text: Math.imul(text, 31) | 0
            }
          }
        )
      const ours = yield* sum(Stream.map(Files.csv(path, Row).read(Option.none()), ({ value }) => value))
      const others = yield* sum(
        fs.stream(path).pipe(Stream.pipeThroughChannel(Csv.decodeSchema(Row)({ headers: true })))
      )
      assert.deepStrictEqual(ours, others)
      assert.strictEqual(ours.count, count)
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
  )

  const wrong: ReadonlyArray<readonly [what: string, make: () => unknown, message: RegExp]> = [
    [
      "a delimiter of two characters",
      () => Files.csv("x", ab, { delimiter: "||" }),
      /delimiter has to be one character/
    ],
    ["a line break as delimiter", () => Files.csv("x", ab, { delimiter: "\n" }), /delimiter has to be one character/],
    ["a quote that is the delimiter", () => Files.csv("x", ab, { quote: "," }), /quote and delimiter are both/],
    ["another line end", () => Files.csv("x", ab, { newline: "\r" as "\n" }), /newline has to be/],
    ["a header that lacks a field", () => Files.csv("x", ab, { header: ["a", "c"] }), /has no column "b"/],
    ["a header with a name twice", () => Files.csv("x", ab, { header: ["a", "b", "a"] }), /two columns "a"/],
    ["a header of numbers", () => Files.csv("x", ab, { header: [1] as never }), /list of the names/],
    ["no limit", () => Files.csv("x", ab, { maxLine: 0 }), /maxLine must be a whole number/],
    ["a schema of no object", () => Files.csv("x", Schema.String), /has to encode to an object/],
    [
      "a field that is a list",
      () => Files.csv("x", Schema.Struct({ a: Schema.Array(Schema.String) })),
      /the field "a" is more than one cell can hold/
    ]
  ]
  for (const [what, make, message] of wrong) {
    it(`refuses ${what} at once`, () => assert.throws(make, message))
  }

  const pieces = ["a", "é", "😀", ",", ",", '"', '""', "\n", "\r\n", "\r", "\n", " ", "\ufeff", "1"] as const
  const soup = Arbitrary.map(Arbitrary.array(Arbitrary.schema(Schema.Literals(pieces)), { maxLength: 30 }), (all) =>
    all.join("")
  )

  it.effect.prop(
    "gives the same, or refuses the same, however the bytes arrive, and behind each record",
    { soup, size: Arbitrary.schema(Schema.Literals([1, 2, 3, 5, 8])) },
    ({ size, soup }) =>
      Effect.gen(function* () {
        // Widths differ: only what the records are cut to counts.
        const file = Files.csv(yield* fileOf(`a\n${soup}`), texts("a"), { delimiter: "|" })
        const whole = yield* Effect.exit(read(file))
        assert.deepStrictEqual(yield* Effect.exit(Disk.shortReads(size)(read(file))), whole)
        const elements = whole._tag === "Success" ? whole.value : []
        const middle = elements.length >> 1
        if (elements.length > 0) {
          const rest = yield* values(file, elements[middle]!.position)
          assert.deepStrictEqual(
            rest,
            elements.slice(middle + 1).map(({ value }) => value)
          )
        }
        const reference = yield* Stream.make(`a\n${soup}`).pipe(
          Stream.pipeThroughChannel(Csv.decodeString({ headers: true, delimiter: "|" })),
          Stream.runCollect,
          Effect.option
        )
        // That parser refuses a quote in a field that does not begin with one.
        if (Option.isSome(reference)) {
          assert.isTrue(whole._tag === "Success")
          assert.deepStrictEqual<unknown>(
            elements.map(({ value }) => value),
            reference.value
          )
        }
      }).pipe(Effect.scoped, Effect.provide(NodeServices.layer)),
    { arbitrary: { runs: deep ? 3000 : 50 } }
  )

  const All = Schema.Struct({
    text: Schema.String,
    number: Schema.Number,
    int: Schema.Int,
    big: Schema.BigInt,
    date: Schema.Date,
    flag: Schema.Boolean,
    bytes: Schema.Uint8Array,
    choice: Schema.Literals(["", "null", "x"]),
    nullable: Schema.NullOr(Schema.String),
    maybe: Schema.UndefinedOr(Schema.String),
    optional: Schema.optionalKey(Schema.String),
    count: Schema.NullOr(Schema.Int),
    list: Schema.fromJsonString(Schema.Array(Schema.String))
  })
  /** Without halves of characters, and zeros below zero, which numbers as text do not have. */
  const writableOf = (row: object) =>
    Object.fromEntries(
      Object.entries(row).map(([name, value]: [string, unknown]) => [
        name,
        typeof value === "string" ? value.toWellFormed() : typeof value === "number" ? value + 0 : value
      ])
    )
  const dialects = ["", "\t", ";", "\r\n", "'", "names"] as const

  it.effect.prop(
    "reads what it wrote",
    {
      rows: Arbitrary.array(Arbitrary.schema(All), { maxLength: 8 }),
      dialect: Arbitrary.schema(Schema.Literals(dialects))
    },
    ({ dialect, rows }) =>
      Effect.gen(function* () {
        const names = ["unused", ...Object.keys(All.fields).toReversed()]
        const options: Files.CsvOptions = {
          ...(dialect === "\r\n" && { newline: dialect }),
          ...(dialect === "'" && { quote: dialect }),
          ...((dialect === "\t" || dialect === ";") && { delimiter: dialect }),
          header: dialect === "names" ? names : false
        }
        const writable = rows.map((row) => writableOf(row) as typeof All.Type)
        const file = Files.csv(yield* newPath, All, options)
        yield* write(file, writable)
        const back = yield* values(file)
        assert.deepStrictEqual<unknown>(back, writable)
      }).pipe(Effect.scoped, Effect.provide(NodeServices.layer)),
    { arbitrary: { runs: deep ? 2000 : 60 } }
  )

  it.effect("quotes only what needs it, and tells apart what is absent and what is empty", () =>
    Effect.gen(function* () {
      const Row = Schema.Struct({ a: Schema.String, b: Schema.NullOr(Schema.String), c: Schema.optional(Schema.Int) })
      const path = yield* newPath
      const file = Files.csv(path, Row, { header: false })
      const rows = [
        { a: "", b: "", c: 1 },
        { a: "x y", b: null },
        { a: 'say "no"', b: "null", c: 2 },
        { a: "1,2", b: "\n" },
        { a: "\ufeff", b: "it's" }
      ]
      yield* write(file, rows)
      assert.strictEqual(yield* contentOf(path), ',"",1\nx y,,\n"say ""no""",null,2\n"1,2","\n",\n"\ufeff",it\'s,\n')
      assert.deepStrictEqual(yield* values(file), rows)
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
  )

  it.effect("writes its header once, at the start of the file, and goes on behind what was committed", () =>
    Effect.gen(function* () {
      const path = yield* newPath
      const file = Files.csv(path, ab, { newline: "\r\n" })
      for (const count of [0, 1, 3]) {
        const records = Array.from({ length: count }, (_, i) => ({ a: `${i},`, b: "x" }))
        const source = Source.list(records, { name: "records" })
        yield* Pipeline.run(Pipeline.from(source).pipe(Pipeline.to(file)), { name: "records" })
        const expected = ["a,b", ...records.map(({ a, b }) => `"${a}",${b}`), ""].join("\r\n")
        assert.strictEqual(yield* contentOf(path), expected)
        assert.deepStrictEqual(yield* values(file), records)
      }
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
  )

  it.effect("does not write below the columns of another header", () =>
    Effect.gen(function* () {
      for (const header of ["b,a\n", "a,b,c\n1,2,3\n"]) {
        const path = yield* fileOf(header)
        const error = yield* Effect.flip(write(Files.csv(path, ab), one))
        assert.include(String(error), "its columns are")
        assert.strictEqual(yield* contentOf(path), header)
      }
      const path = yield* fileOf('\ufeff"a",b\r\n1,2')
      yield* write(Files.csv(path, ab), [{ a: "3", b: "4" }])
      assert.deepStrictEqual(yield* values(Files.csv(path, ab)), two)
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
  )

  const Confused = Schema.Struct({ a: Schema.String, b: Schema.optional(Schema.NullOr(Schema.String)) })
  const unwritable: ReadonlyArray<
    readonly [what: string, row: typeof Confused.Type, field: string, Files.CsvOptions?]
  > = [
    ["text without a UTF-8 form", { a: "\ud800" }, "a"],
    ["null where it would be read as left out", { a: "", b: null }, "b"],
    ["a delimiter without quotes", { a: "1,2" }, "a", { quote: false }],
    ["an empty text without quotes", { a: "1", b: "" }, "b", { quote: false }],
    ["a field that has no column", { a: "1", b: "2" }, "b", { header: ["a"] }]
  ]
  for (const [what, row, field, options] of unwritable) {
    it.effect(`refuses to write ${what}`, () =>
      Effect.gen(function* () {
        const path = yield* newPath
        const file = Files.csv(path, Confused, { header: false, ...options })
        const error = yield* Effect.flip(write(file, [{ a: "good" }, row]))
        assert.include(String(error), `field "${field}"`)
      }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
    )
  }
})
