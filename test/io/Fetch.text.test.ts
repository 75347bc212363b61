/** Bytes from the web as text, by the web's rules. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as HttpClient from "effect/http/HttpClient"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync, zstdCompressSync } from "node:zlib"
import { Fetch } from "skein"
import { Http } from "skein/node"
import * as Origin from "../support/origin.ts"

/** Chance that always picks the shortest wait, so that retries over a real network need no time. */
const noJitter: Random.Random = { nextIntUnsafe: () => 0, nextDoubleUnsafe: () => 0 }

const withOrigin = <A, E>(
  script: Origin.Routes | Origin.Handler,
  body: (origin: Origin.Origin) => Effect.Effect<A, E, HttpClient.HttpClient | Scope.Scope>
): Effect.Effect<A, E, Scope.Scope> =>
  Effect.flatMap(Origin.start(script), body).pipe(
    Effect.provideService(Random.Random, noJitter),
    Effect.provide(Http.layer())
  )

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text)

/** One byte for each character. */
const latin = (text: string): Uint8Array => Uint8Array.from(text, (character) => character.charCodeAt(0))

const wide = (text: string, order: "LE" | "BE", mark = true): Uint8Array => {
  const bytes = Buffer.from(mark ? `\uFEFF${text}` : text, "utf16le")
  return new Uint8Array(order === "LE" ? bytes : bytes.swap16())
}

const quatre = (text: string, order: "LE" | "BE", mark = true): Uint8Array => {
  const points = [...(mark ? `\uFEFF${text}` : text)]
  const view = new DataView(new ArrayBuffer(points.length * 4))
  points.forEach((point, at) => view.setUint32(at * 4, point.codePointAt(0)!, order === "LE"))
  return new Uint8Array(view.buffer)
}

const long = "Füße. ".repeat(20_000)

describe("Fetch: content codings", () => {
  it.effect("are asked for, and what a server makes of that is undone", () =>
    withOrigin(
      ({ headers, path }) => {
        const isAsked = headers["accept-encoding"]?.includes(path.slice(1)) === true
        const body = path === "/gzip" ? gzipSync(long) : brotliCompressSync(long)
        return isAsked ? { body, headers: { "content-encoding": path.slice(1) } } : { status: 500 }
      },
      (origin) =>
        Effect.gen(function* () {
          for (const path of ["/gzip", "/br"]) {
            assert.isTrue((yield* Fetch.text({ retries: 0 })(origin.url + path)) === long, path)
            const read = Fetch.stream({ retries: 0 })(origin.url + path)
            assert.isTrue((yield* Stream.mkString(Stream.decodeText(read))) === long, path)
          }
        })
    )
  )

  it.effect("are asked for as policies, options and requests say, and not of ranges and events", () =>
    withOrigin({ "*": { body: "data: 1\n\n", headers: { "content-type": "text/event-stream" } } }, (origin) =>
      Effect.gen(function* () {
        const range = { range: "bytes=0-3" }
        const zstd = { "accept-encoding": "zstd" }
        yield* Fetch.text()(origin.url)
        yield* Fetch.text({ headers: zstd })(origin.url)
        yield* Fetch.text()({ url: origin.url, headers: zstd })
        yield* Fetch.text()(origin.url).pipe(Fetch.withPolicy({ headers: zstd }))
        yield* Fetch.text()({ url: origin.url, headers: range })
        yield* Fetch.text({ headers: range })(origin.url)
        yield* Fetch.text({ headers: { ...range, ...zstd } })(origin.url)
        yield* Stream.runHead(Fetch.events(origin.url).read(Option.none()))
        assert.deepEqual(
          origin.requests.map(({ headers }) => headers["accept-encoding"]),
          ["gzip, br", "zstd", "zstd", "zstd", "identity", "identity", "zstd", "identity"]
        )
      })
    )
  )

  const codings: ReadonlyArray<readonly [string, Uint8Array]> = [
    ["gzip", gzipSync(long)],
    ["x-gzip", gzipSync(long)],
    [" GZip ", gzipSync(long)],
    ["deflate", deflateSync(long)],
    ["deflate", deflateRawSync(long)],
    ["br", brotliCompressSync(long)],
    ["zstd", zstdCompressSync(long)],
    ["identity", bytesOf(long)],
    ["", bytesOf(long)],
    ["gzip, br", brotliCompressSync(gzipSync(long))],
    ["deflate,identity , gzip", gzipSync(deflateSync(long))],
    ["gzip", Buffer.concat([gzipSync(long.slice(0, 9)), gzipSync(long.slice(9))])]
  ]

  it.effect("are undone, several in a row as well, in any spelling", () =>
    withOrigin(
      ({ query }) => {
        const [coding, body] = codings[Number(query.get("case"))]!
        return { body, headers: { "content-encoding": coding, "content-type": "text/plain" } }
      },
      (origin) =>
        Effect.gen(function* () {
          for (const [at, [coding]] of codings.entries()) {
            const page = yield* Fetch.page()(`${origin.url}/?case=${at}`)
            assert.isTrue(page.text === long, `${coding}: case ${at}`)
            assert.strictEqual(page.body.length, bytesOf(long).length)
          }
        })
    )
  )

  it.effect("are undone for JSON", () =>
    withOrigin({ "/": { body: gzipSync('{"id":7}'), headers: { "content-encoding": "gzip" } } }, (origin) =>
      Effect.gen(function* () {
        assert.deepEqual(yield* Fetch.json(Schema.Struct({ id: Schema.Int }))(origin.url), { id: 7 })
      })
    )
  )

  it.effect("that nobody knows are an error in words, and so are more in a row than happen by accident", () =>
    withOrigin(
      ({ path }) => ({
        body: "x",
        headers: { "content-encoding": path === "/many" ? "gzip, gzip, gzip, gzip, gzip, gzip" : "compress" }
      }),
      (origin) =>
        Effect.gen(function* () {
          const unknown = yield* Effect.flip(Fetch.text()(origin.url))
          assert.strictEqual(unknown.reason, "Decode")
          assert.include(unknown.message, 'its body is coded as "compress", which is not known')
          const many = yield* Effect.flip(Fetch.text()(`${origin.url}/many`))
          assert.include(many.message, "its body is coded 6 times, and no more than 5 are undone")
          assert.strictEqual(origin.count(), 2)
        })
    )
  )

  it.effect("cut short are a broken connection, which is tried again, at whatever byte", () => {
    const cuts = codings.flatMap(([coding, body], at) =>
      coding.trim() === "" || coding === "identity"
        ? []
        : [1, 2, 9, Math.floor(body.length / 2), body.length - 1]
            .filter((size) => size < body.length)
            .map((size) => ({ at, body: body.subarray(0, size), coding }))
    )
    return withOrigin(
      ({ attempt, query, path }) => {
        const cut = cuts[Number(query.get("case") ?? path.slice(1))]!
        const body = attempt === 1 ? cut.body : codings[cut.at]![1]
        return { body, headers: { "content-encoding": cut.coding } }
      },
      (origin) =>
        Effect.gen(function* () {
          for (const [at, { coding, body }] of cuts.entries()) {
            const name = `${coding} cut to ${body.length}`
            const error = yield* Effect.flip(Fetch.text({ retries: 0 })(`${origin.url}/${at}`))
            assert.strictEqual(error.reason, "Connect", `${name}: ${error.message}`)
            assert.isTrue(error.retryable, name)
            assert.isTrue((yield* Fetch.text({ retries: 1 })(`${origin.url}/${at}`)) === long, name)
          }
        })
    )
  })

  it.effect("cut short are retried", () =>
    withOrigin(
      {
        "/": [
          { body: gzipSync(long).subarray(0, 50), headers: { "content-encoding": "gzip" } },
          { body: gzipSync(long), headers: { "content-encoding": "gzip" } }
        ]
      },
      (origin) =>
        Effect.gen(function* () {
          assert.isTrue((yield* Fetch.text()(origin.url)) === long)
          assert.strictEqual(origin.count(), 2)
        })
    )
  )

  it.effect("that the body is not in are an error, once", () =>
    withOrigin(
      ({ path }) => ({ body: "plain text, and no such thing", headers: { "content-encoding": path.slice(1) } }),
      (origin) =>
        Effect.gen(function* () {
          for (const coding of ["gzip", "deflate", "br", "zstd"]) {
            const error = yield* Effect.flip(Fetch.text()(`${origin.url}/${coding}`))
            assert.strictEqual(error.reason, "Decode", `${coding}: ${error.message}`)
            assert.strictEqual(origin.count(`/${coding}`), 1)
          }
        })
    )
  )

  it.effect("of no body at all are nothing", () =>
    withOrigin(
      ({ path }) => ({
        status: path === "/none" ? 204 : 200,
        headers: path === "/head" ? { "content-length": "1000" } : { "content-encoding": "gzip" }
      }),
      (origin) =>
        Effect.gen(function* () {
          assert.strictEqual((yield* Fetch.bytes()(`${origin.url}/none`)).length, 0)
          assert.strictEqual((yield* Fetch.bytes()(`${origin.url}/empty`)).length, 0)
          const head = Fetch.bytes({ method: "HEAD", maxBody: 5 })
          assert.strictEqual((yield* head(`${origin.url}/head`)).length, 0)
        })
    )
  )

  it.effect("are left alone where the body is a gzip file itself, and undone in a row before it", () => {
    const file = gzipSync("what is in the file")
    return withOrigin(
      ({ path }) => ({
        body: path === "/both" ? brotliCompressSync(file) : file,
        headers: {
          "content-encoding": path === "/both" ? "br" : "gzip",
          "content-type": path === "/x" ? "application/x-gzip; a=b" : "application/gzip"
        }
      }),
      (origin) =>
        Effect.gen(function* () {
          for (const path of ["/", "/x", "/both"]) {
            assert.deepEqual([...(yield* Fetch.bytes()(origin.url + path))], [...file], path)
          }
        })
    )
  })

  it.effect("do not hide a body beyond the limits, in bytes or in how much larger it becomes", () => {
    const member = gzipSync(new Uint8Array(16 * 1024 * 1024))
    // 10 GB, in 10 MB.
    const bomb = Buffer.concat(Array.from({ length: 640 }, () => member))
    return withOrigin({ "/": { body: bomb, headers: { "content-encoding": "gzip" } } }, (origin) =>
      Effect.gen(function* () {
        const large = yield* Effect.flip(Fetch.bytes({ maxRatio: Infinity })(origin.url))
        assert.strictEqual(large.reason, "TooLarge")
        assert.strictEqual(large.limit, 16 * 1024 * 1024)
        const before = process.memoryUsage().rss
        const dense = yield* Effect.flip(Fetch.bytes({ maxBody: Infinity })(origin.url))
        assert.strictEqual(dense.reason, "TooLarge")
        assert.strictEqual(dense.limit, 1000)
        assert.include(dense.message, "its body becomes more than 1000 times as large when it is decompressed")
        assert.isBelow(process.memoryUsage().rss - before, 200 * 1024 * 1024)
        assert.strictEqual(origin.count(), 2)
      })
    )
  })

  it.effect("that save much are no bomb below 1 MiB", () =>
    withOrigin(
      { "/": { body: gzipSync(new Uint8Array(1024 * 1024)), headers: { "content-encoding": "gzip" } } },
      (origin) =>
        Effect.gen(function* () {
          assert.strictEqual((yield* Fetch.bytes({ maxRatio: 10 })(origin.url)).length, 1024 * 1024)
        })
    )
  )
})

describe("Fetch: text", () => {
  interface Case {
    readonly name: string
    readonly body: Uint8Array
    readonly type?: string
    readonly text: string | undefined
    readonly nosniff?: boolean
  }
  const meta = (charset: string) => `<html><head><meta charset=${charset}></head><p>`
  /** "Привет" in windows-1251. */
  const hello = latin("\u00cf\u00f0\u00e8\u00e2\u00e5\u00f2")
  const join = (...parts: ReadonlyArray<Uint8Array>): Uint8Array => new Uint8Array(Buffer.concat(parts))
  const png = latin("\u0089PNG\r\n\u001a\n\0\0\0\rIHDR")

  const cases: ReadonlyArray<Case> = [
    { name: "UTF-16LE by its mark", body: wide("Füße 漢", "LE"), type: "text/plain", text: "Füße 漢" },
    { name: "UTF-16BE by its mark", body: wide("Füße 漢", "BE"), type: "text/html", text: "Füße 漢" },
    { name: "UTF-8 by its mark", body: bytesOf("\uFEFFFüße"), type: "text/plain", text: "Füße" },
    {
      name: "a mark before the charset of the type",
      body: bytesOf("\uFEFFFüße"),
      type: "text/plain; charset=windows-1251",
      text: "Füße"
    },
    { name: "a mark where no type is said", body: wide("<p>Füße", "LE"), text: "<p>Füße" },
    {
      name: "windows-1251 by its meta",
      body: join(bytesOf(meta("windows-1251")), hello),
      type: "text/html",
      text: `${meta("windows-1251")}Привет`
    },
    {
      name: "windows-1251 by its meta, without a type",
      body: join(bytesOf(meta("windows-1251")), hello),
      text: `${meta("windows-1251")}Привет`
    },
    {
      name: "windows-1251 by http-equiv",
      body: join(bytesOf(`<meta http-equiv=Content-Type content="text/html; charset=windows-1251">`), hello),
      type: "text/html",
      text: `<meta http-equiv=Content-Type content="text/html; charset=windows-1251">Привет`
    },
    {
      name: "the charset of the type before the meta",
      body: join(bytesOf(meta("utf-8")), hello),
      type: `text/html;charset="windows-1251"`,
      text: `${meta("utf-8")}Привет`
    },
    {
      name: "a meta that says UTF-16, which it cannot be",
      body: bytesOf(`${meta("utf-16")}Füße`),
      type: "text/html",
      text: `${meta("utf-16")}Füße`
    },
    {
      name: "a meta beyond the first 1024 bytes is not looked for",
      body: join(bytesOf(" ".repeat(1100) + meta("windows-1251")), bytesOf("é")),
      type: "text/html",
      text: `${" ".repeat(1100)}${meta("windows-1251")}é`
    },
    {
      name: "an XML declaration",
      body: join(bytesOf(`<?xml version="1.0" encoding="windows-1251"?><a>`), hello),
      type: "application/atom+xml",
      text: `<?xml version="1.0" encoding="windows-1251"?><a>Привет`
    },
    { name: "svg", body: bytesOf("<svg>é</svg>"), type: "image/svg+xml", text: "<svg>é</svg>" },
    { name: "+json", body: bytesOf("{}"), type: "application/problem+json", text: "{}" },
    { name: "jsonl", body: bytesOf("{}\n"), type: "application/x-ndjson", text: "{}\n" },
    { name: "javascript", body: bytesOf("1"), type: "application/javascript", text: "1" },
    { name: "yaml", body: bytesOf("a: 1"), type: "application/yaml", text: "a: 1" },
    { name: "toml", body: bytesOf("a=1"), type: "application/toml", text: "a=1" },
    { name: "graphql", body: bytesOf("{a}"), type: "application/graphql", text: "{a}" },
    { name: "Latin-1 by its label", body: latin("José"), type: "text/plain; charset=latin1", text: "José" },
    {
      name: "what Latin-1 means on the web",
      body: latin("\u0093x\u0094"),
      type: "text/plain;charset=ISO-8859-1",
      text: "“x”"
    },
    { name: "Shift_JIS", body: latin("\u0083e\u0083X\u0083g"), type: "text/plain; charset=sjis", text: "テスト" },
    {
      name: "EUC-KR",
      body: latin("\u00c7\u00d1\u00b1\u00db"),
      type: "text/plain; charset=ks_c_5601-1987",
      text: "한글"
    },
    { name: "GBK", body: latin("\u00c1\u00aa\u00cd\u00a8"), type: "text/plain; charset=gb2312", text: "联通" },
    { name: "Big5", body: latin("\u00a4\u00a4\u00a4\u00e5"), type: "text/plain; charset=big5", text: "中文" },
    { name: "a label that nobody knows", body: bytesOf("für"), type: "text/plain; charset=klingon", text: "für" },
    {
      name: "an encoding that is not read",
      body: bytesOf("<script>"),
      type: "text/html; charset=hz-gb-2312",
      text: "\uFFFD"
    },
    {
      name: "UTF-8 that says so, with a damaged place",
      body: latin("a\u00ffb"),
      type: "text/plain; charset=utf-8",
      text: "a\uFFFDb"
    },
    {
      name: "what can only be Latin-1",
      body: latin("Jos\u00e9, fa\u00e7ade"),
      type: "text/plain; x=y",
      text: "José, façade"
    },
    {
      name: "UTF-8 that does not say so, with a damaged place",
      body: join(bytesOf("Füße, Füße "), latin("\u00ff")),
      type: "text/html",
      text: "Füße, Füße \uFFFD"
    },
    {
      name: "the last of several types",
      body: latin("José"),
      type: "text/html, text/plain; charset=latin1",
      text: "José"
    },
    {
      name: "the charset of one that is said again without it",
      body: latin("José, façade"),
      type: "text/plain; charset=koi8-r, text/plain",
      text: "JosИ, faГade"
    },
    {
      name: "a quoted charset with a comma about it",
      body: latin("José"),
      type: `text/plain; a=","; charset='latin1'`,
      text: "José"
    },
    { name: "no type, text", body: bytesOf("hello, é"), text: "hello, é" },
    { name: "no type, JSON", body: bytesOf('{"a":1}'), text: '{"a":1}' },
    { name: "no type, nothing", body: new Uint8Array(), text: "" },
    { name: "no type, an image", body: png, text: undefined },
    { name: "no type, some bytes", body: Uint8Array.from([1, 2, 3]), text: undefined },
    { name: "no type that anybody knows", body: bytesOf("hello"), type: "unknown/unknown", text: "hello" },
    { name: "not a type", body: bytesOf("hello"), type: "text", text: "hello" },
    {
      name: "an image that is called text by a server that knows no better",
      body: png,
      type: "text/plain",
      text: undefined
    },
    {
      name: "an image that is called text with a charset of its own",
      body: png,
      type: "text/plain; charset=utf-8",
      text: new TextDecoder().decode(png)
    },
    { name: "text that is called an image", body: bytesOf("hello"), type: "image/png", text: undefined }
  ]

  it.effect.each(cases)("$name", ({ body, type, text }) =>
    withOrigin({ "/": { body, ...(type !== undefined && { headers: { "content-type": type } }) } }, (origin) =>
      Effect.gen(function* () {
        const page = yield* Fetch.page()(origin.url)
        assert.strictEqual(page.text, text)
        if (text !== undefined) assert.strictEqual(yield* Fetch.text()(origin.url), text)
      })
    )
  )

  it.effect("of no type is found out, as HTML only where that may be", () =>
    withOrigin(
      ({ path }) => ({
        body: "<!DOCTYPE html><p>",
        headers: path === "/nosniff" ? { "x-content-type-options": "nosniff" } : {}
      }),
      (origin) =>
        Effect.gen(function* () {
          assert.strictEqual((yield* Fetch.page()(origin.url)).contentType, "text/html")
          assert.strictEqual((yield* Fetch.page()(`${origin.url}/nosniff`)).contentType, "text/plain")
        })
    )
  )
})

describe("Fetch: the bytes of JSON", () => {
  const Name = Schema.Struct({ name: Schema.String })
  const json = `{"name":"José"}`
  const cases: ReadonlyArray<{ readonly name: string; readonly body: Uint8Array; readonly type?: string }> = [
    { name: "UTF-8", body: bytesOf(json) },
    { name: "UTF-8 with a mark", body: bytesOf(`\uFEFF${json}`) },
    { name: "ISO-8859-1 that says so", body: latin(json), type: "application/json; charset=ISO-8859-1" },
    { name: "UTF-8 that says it is ISO-8859-1", body: bytesOf(json), type: "application/json;charset=iso-8859-1" },
    { name: "UTF-8 of a label that nobody knows", body: bytesOf(json), type: "application/json;charset=utf8mb4" },
    { name: "UTF-16LE with a mark", body: wide(json, "LE") },
    { name: "UTF-16BE with a mark", body: wide(json, "BE") },
    { name: "UTF-16LE", body: wide(json, "LE", false) },
    { name: "UTF-16BE", body: wide(json, "BE", false), type: "application/json;charset=utf-16be" },
    { name: "UTF-32LE with a mark", body: quatre(json, "LE") },
    { name: "UTF-32BE with a mark", body: quatre(json, "BE") },
    { name: "UTF-32LE", body: quatre(json, "LE", false) },
    { name: "UTF-32BE", body: quatre(json, "BE", false) }
  ]

  it.effect.each(cases)("are read as $name", ({ body, type = "application/json" }) =>
    withOrigin({ "/": { body, headers: { "content-type": type } } }, (origin) =>
      Effect.gen(function* () {
        assert.deepEqual(yield* Fetch.json(Name)(origin.url), { name: "José" })
      })
    )
  )

  it.effect("are trusted where they say that they are an encoding of several bytes", () =>
    withOrigin(
      {
        "/": {
          // In UTF-8, the first two of these four bytes would be a character as well.
          body: latin(`{"name":"\u00c4\u00a3\u00c4\u00a3"}`),
          headers: { "content-type": "application/json; charset=gbk" }
        }
      },
      (origin) =>
        Effect.gen(function* () {
          assert.deepEqual(yield* Fetch.json(Name)(origin.url), { name: "模模" })
        })
    )
  )

  it.effect("are refused where they are nothing that can be read, at which byte, and never half read", () =>
    withOrigin(
      {
        "/bare": { body: latin(json), headers: { "content-type": "application/json" } },
        "/said": { body: latin(json), headers: { "content-type": "application/json; charset=utf-8" } },
        "/gbk": {
          body: latin(`{"name":"\u00ff\u00ff"}`),
          headers: { "content-type": "application/json; charset=gbk" }
        },
        "/wide": { body: quatre(json, "LE").subarray(0, -1), headers: { "content-type": "application/json" } },
        "/half": { body: wide(`{"name":"\uD800"}`, "LE"), headers: { "content-type": "application/json" } }
      },
      (origin) =>
        Effect.gen(function* () {
          const messages: Array<string> = []
          for (const path of ["/bare", "/said", "/gbk", "/wide", "/half"]) {
            const error = yield* Effect.flip(Fetch.json(Name)(origin.url + path))
            assert.strictEqual(error.reason, "Decode", path)
            messages.push(error.detail)
          }
          assert.deepEqual(messages, [
            "its body (application/json) is not UTF-8: it has 0xE9 as byte 12, where no character can be, and nothing says what else it is",
            "its body (application/json; charset=utf-8) is not UTF-8: it has 0xE9 as byte 12, where no character can be",
            "its body (application/json; charset=gbk) is not GBK, as which it came",
            "its body (application/json) is not UTF-32LE, as its first bytes say: it is cut",
            "its body (application/json) is not UTF-16LE, as which it came"
          ])
        })
    )
  )
})
