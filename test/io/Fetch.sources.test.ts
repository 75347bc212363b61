/** Bodies as sources: read on where they broke off, in the same run or the next, and never as something that they are not. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as HttpClient from "effect/http/HttpClient"
import * as Random from "effect/Random"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { Db, Fetch, type Journal, Pipeline } from "skein"
import { Drivers, Http } from "skein/node"
import * as Shelf from "../support/shelf.ts"

/** Chance that always picks the shortest wait, so that retries over a real network need no time. */
const noJitter: Random.Random = { nextIntUnsafe: () => 0, nextDoubleUnsafe: () => 0 }

const withShelf = <A, E>(
  thing: Shelf.Thing,
  body: (shelf: Shelf.Shelf) => Effect.Effect<A, E, HttpClient.HttpClient | Scope.Scope | Journal.Journal | Db.Db>
): Effect.Effect<A, E | Db.DbError, Scope.Scope> =>
  Effect.flatMap(Shelf.start(thing), body).pipe(
    Effect.provideService(Random.Random, noJitter),
    Effect.provide([Http.layer(), Db.sqlite(":memory:").pipe(Layer.provide(Drivers.layer))])
  )

const Row = Schema.Struct({ n: Schema.Int })
const rows = (from: number, to: number): string =>
  Array.from({ length: to - from }, (_, i) => `${JSON.stringify({ n: from + i })}\n`).join("")
const numbers = (from: number, to: number): Array<number> => Array.from({ length: to - from }, (_, i) => from + i)

/** One run into a table. */
const run = (url: string, options: Fetch.LineOptions = {}) =>
  Pipeline.run(Pipeline.from(Fetch.jsonl(url, Row, options)).pipe(Pipeline.to(Db.table("rows", Row, { key: "n" }))), {
    name: "rows",
    require: "exactly-once"
  })
const kept = Effect.map(Db.query(Row)`SELECT n FROM rows ORDER BY n`, (found) => found.map(({ n }) => n))

describe("Fetch.lines, jsonl and csv", () => {
  it.effect("give what is in the body", () =>
    withShelf({ body: "﻿one\r\n\ntwo" }, (shelf) =>
      Effect.gen(function* () {
        const collect = <A>(source: Fetch.BodySource<A>) => Pipeline.collect(Pipeline.from(source))
        assert.deepEqual(yield* collect(Fetch.lines(shelf.url)), ["one", "", "two"])
        assert.deepEqual(yield* collect(Fetch.lines(shelf.url, { skipBlank: true })), ["one", "two"])
        shelf.thing.body = '{"n":1}\n\n{"n":2}\n'
        assert.deepEqual(yield* collect(Fetch.jsonl(shelf.url, Row)), [{ n: 1 }, { n: 2 }])
        shelf.thing.body = "x;n\n'a;b';7\n"
        assert.deepEqual(yield* collect(Fetch.csv(shelf.url, Row, { delimiter: ";", quote: "'" })), [{ n: 7 }])
        shelf.thing.gzip = true
        assert.deepEqual(yield* collect(Fetch.csv(shelf.url, Row, { delimiter: ";", quote: "'" })), [{ n: 7 }])
        assert.strictEqual(shelf.requests[0]?.headers["accept-encoding"], "identity")
      })
    )
  )

  it.effect("say which part of the body is not as it should be", () =>
    withShelf({ body: '{"n":1}\n{"n":2}\n{"n":"x"}\n' }, (shelf) =>
      Effect.gen(function* () {
        const read = Effect.flip(Pipeline.collect(Pipeline.from(Fetch.jsonl(shelf.url, Row))))
        const bad = yield* read
        assert.strictEqual(bad.reason, "Decode")
        assert.include(bad.message, shelf.url)
        assert.include(bad.message, 'line 3 (byte 16) cannot be read: field "n"')
        shelf.thing.body = new Uint8Array([0x7b, 0xff, 0x0a])
        assert.include((yield* read).message, "line 1 (byte 0) cannot be read: it is not valid UTF-8")
        shelf.thing.body = rows(0, 3)
        shelf.thing.headers = { "content-type": "text/plain; charset=utf-16le" }
        assert.include((yield* read).message, "its content type says charset=utf-16le")
      })
    )
  )

  it.effect("go on in the middle of a broken body, with a range where the server can", () =>
    withShelf({ body: rows(0, 1000), etag: '"1"', cuts: [1000, 500, 0, 0] }, (shelf) =>
      Effect.gen(function* () {
        yield* run(shelf.url)
        assert.deepEqual(yield* kept, numbers(0, 1000))
        assert.strictEqual(shelf.asked[0], "")
        assert.isTrue(shelf.asked.slice(1).every((range) => /^bytes=[1-9]\d*-$/.test(range)))
        assert.strictEqual(shelf.requests[1]?.headers["if-range"], '"1"')
      })
    )
  )

  it.effect("go on in the middle of a broken body by reading again, where it cannot", () =>
    withShelf({ body: rows(0, 1000), cuts: [1000, 2000] }, (shelf) =>
      Effect.gen(function* () {
        yield* run(shelf.url)
        assert.deepEqual(yield* kept, numbers(0, 1000))
        assert.deepEqual(shelf.asked, ["", "", ""])
      })
    )
  )

  it.effect("fail where a body breaks off and does not go on", () =>
    withShelf({ body: rows(0, 1000), etag: '"1"', cuts: Array.from({ length: 50 }, () => 0) }, (shelf) =>
      Effect.gen(function* () {
        shelf.thing.cuts![0] = 1000
        const error = yield* Effect.flip(run(shelf.url, { retries: 2 }))
        assert.strictEqual((error as Fetch.FetchError).reason, "Connect")
        // The break itself is the first of the attempts that give nothing.
        assert.strictEqual(shelf.asked.length, 3)
      })
    )
  )

  it.effect("fail where it becomes another body on the way", () =>
    withShelf({ body: rows(0, 1000), etag: '"1"', cuts: [1000] }, (shelf) =>
      Effect.gen(function* () {
        shelf.thing.answer = () => {
          if (shelf.asked.length === 2) {
            shelf.thing.body = rows(5000, 6000)
            shelf.thing.etag = '"2"'
          }
          return false
        }
        const error = yield* Effect.flip(run(shelf.url))
        assert.strictEqual((error as Fetch.FetchError).reason, "Changed")
        assert.include((error as Fetch.FetchError).message, "which were read, are not what they were")
      })
    )
  )

  it.effect("take no wrong range for the right one", () =>
    withShelf({ body: rows(0, 1000), etag: '"1"', cuts: [1000] }, (shelf) =>
      Effect.gen(function* () {
        const wrong: ReadonlyArray<Record<string, string>> = [
          { "content-range": "bytes 0-8889/8890" },
          { "content-range": "bytes 1000-1010/8890" },
          { "content-range": "lines 1-2/3" },
          { "content-type": "multipart/byteranges; boundary=x", "content-range": "bytes 1000-8889/8890" },
          { etag: '"2"', "content-range": "bytes 1000-8889/8890" },
          { "content-encoding": "gzip", "content-range": "bytes 1000-8889/8890" }
        ]
        for (const headers of wrong) {
          shelf.asked.length = 0
          shelf.thing.cuts = [1000]
          shelf.thing.answer = (request, response) => {
            if (request.headers.range === undefined) return false
            response.writeHead(206, headers).end('{"n":666}\n')
            return true
          }
          const all = yield* Pipeline.collect(Pipeline.from(Fetch.jsonl(shelf.url, Row)))
          assert.deepEqual(
            all.map(({ n }) => n),
            numbers(0, 1000),
            JSON.stringify(headers)
          )
          assert.deepEqual([shelf.asked.length, shelf.asked[2]], [3, ""])
        }
      })
    )
  )
})

describe("P10 Fetch.jsonl: the next run", () => {
  it.effect("asks for what was added, and for that alone where it can", () =>
    withShelf({ body: rows(0, 100), etag: '"1"' }, (shelf) =>
      Effect.gen(function* () {
        yield* run(shelf.url)
        // A server that gives a new ETag with each line: what was read is known by its checksum.
        shelf.thing.body = rows(0, 150)
        shelf.thing.etag = '"2"'
        yield* run(shelf.url)
        assert.deepEqual(yield* kept, numbers(0, 150))
        shelf.asked.length = 0
        yield* run(shelf.url)
        assert.deepEqual([...new Set(shelf.asked)], [`bytes=${rows(0, 150).length}-`])
        assert.deepEqual(yield* kept, numbers(0, 150))
      })
    )
  )

  for (const how of ["with validators", "without validators"] as const) {
    it.effect(`goes on behind the last settled line, ${how}`, () =>
      withShelf({ body: rows(0, 100) + "broken\n" + rows(100, 200) }, (shelf) =>
        Effect.gen(function* () {
          if (how === "with validators") shelf.thing.modified = new Date("2020-01-01T00:00:00Z")
          assert.strictEqual(((yield* Effect.flip(run(shelf.url))) as Fetch.FetchError).reason, "Decode")
          assert.deepEqual(yield* kept, numbers(0, 100))
          // The line is corrected, and so there is a new version.
          shelf.thing.body = rows(0, 200)
          if (how === "with validators") shelf.thing.modified = new Date("2020-01-02T00:00:00Z")
          yield* run(shelf.url)
          assert.deepEqual(yield* kept, numbers(0, 200))
        })
      )
    )

    it.effect(`refuses a body that is another one now, ${how}`, () =>
      withShelf({ body: rows(0, 100) + "broken\n" }, (shelf) =>
        Effect.gen(function* () {
          const version = (etag: string) => (how === "with validators" ? etag : undefined)
          shelf.thing.etag = version('"1"')
          yield* Effect.flip(run(shelf.url))
          const others = [rows(1, 200), rows(0, 50), "", rows(0, 100).replace('{"n":7}', '{"n":8}') + rows(100, 200)]
          for (const [index, body] of others.entries()) {
            shelf.thing.body = body
            shelf.thing.etag = version(`"other ${index}"`)
            const error = yield* Effect.flip(run(shelf.url))
            assert.strictEqual(error._tag, "SourceChanged", `${index}`)
          }
        })
      )
    )
  }

  it.effect("refuses a last line that goes on, and takes the line end that was missing", () =>
    withShelf({ body: '{"n":1}\n{"n":2}' }, (shelf) =>
      Effect.gen(function* () {
        yield* run(shelf.url)
        shelf.thing.body = '{"n":1}\n{"n":2}34\n'
        const error = yield* Effect.flip(run(shelf.url))
        assert.include(error.message, "its last line, which was read, goes on now")
        shelf.thing.body = '{"n":1}\n{"n":2}\r\n{"n":3}\n'
        yield* run(shelf.url)
        assert.deepEqual(yield* kept, [1, 2, 3])
      })
    )
  )

  it.effect("reads the header of a CSV again where it goes on behind it", () =>
    withShelf({ body: `a,n\n${"x,1\n".repeat(10)}x,bad\n`, etag: '"1"' }, (shelf) =>
      Effect.gen(function* () {
        const job = Pipeline.from(Fetch.csv(shelf.url, Row)).pipe(Pipeline.to(Db.table("rows", Row)))
        yield* Effect.flip(Pipeline.run(job, { name: "csv" }))
        shelf.thing.body = `a,n\n${"x,1\n".repeat(10)}x,2\nx,3\n`
        shelf.thing.etag = '"2"'
        yield* Pipeline.run(job, { name: "csv" })
        assert.deepEqual((yield* kept).slice(-3), [1, 2, 3])
      })
    )
  )

  it.effect("needs one connection at a time", () =>
    withShelf({ body: rows(0, 100), etag: '"1"' }, (shelf) =>
      Effect.gen(function* () {
        yield* run(shelf.url)
        shelf.thing.body = rows(0, 120)
        shelf.thing.etag = '"2"'
        yield* run(shelf.url)
        shelf.thing.answer = (request, response) => {
          if (request.headers.range === undefined) return false
          response.writeHead(206, { "content-range": "bytes 3-9/10" }).end("1234567")
          return true
        }
        yield* run(shelf.url)
        assert.deepEqual(yield* kept, numbers(0, 120))
      }).pipe(Fetch.withPolicy({ concurrency: 1 }))
    )
  )

  it.effect("shows no secrets of its address, and keeps none", () =>
    withShelf({ body: "x\n" }, (shelf) =>
      Effect.gen(function* () {
        const url = shelf.url.replace("127", "user:hunter2@127") + "?token=hunter2"
        assert.notInclude(Fetch.lines(url).name, "hunter2")
        const elements = yield* Stream.runCollect(Fetch.lines(url).read(yield* Effect.succeedNone))
        assert.notInclude(JSON.stringify(elements), "hunter2")
        assert.strictEqual(shelf.requests[0]?.headers.authorization, `Basic ${btoa("user:hunter2")}`)
      })
    )
  )
})
