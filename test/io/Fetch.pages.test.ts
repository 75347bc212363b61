/** Pages that lead to each other, four ways, as a source that goes on where it was. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as HttpClient from "effect/http/HttpClient"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { Db, Fetch, Journal, Pipeline } from "skein"
import { Drivers, Http } from "skein/node"
import { find } from "../../src/io/fetch/source/Link.ts"
import * as Origin from "../support/origin.ts"

const noJitter: Random.Random = { nextIntUnsafe: () => 0, nextDoubleUnsafe: () => 0 }

const withOrigin = <A, E>(
  script: Origin.Routes | Origin.Handler,
  body: (origin: Origin.Origin) => Effect.Effect<A, E, HttpClient.HttpClient | Scope.Scope | Journal.Journal | Db.Db>
): Effect.Effect<A, E | Db.DbError, Scope.Scope> =>
  Effect.flatMap(Origin.start(script), body).pipe(
    Effect.provideService(Random.Random, noJitter),
    Effect.provide([Http.layer(), Db.sqlite(":memory:").pipe(Layer.provide(Drivers.layer))])
  )

const Item = Schema.Struct({ n: Schema.Int })
const Items = Schema.Struct({ items: Schema.Array(Item), next: Schema.optionalKey(Schema.NullOr(Schema.String)) })
const all = Array.from({ length: 23 }, (_, n) => ({ n }))

const numbers = (url: string, next: Fetch.Next<typeof Items.Type>, options: Fetch.SourceOptions = {}) =>
  Fetch.pages(url, { schema: Items, items: (page) => page.items, next, ...options })

const read = (...input: Parameters<typeof numbers>) =>
  Effect.map(Pipeline.collect(Pipeline.from(numbers(...input))), (found) => found.map(({ n }) => n))

const whole = all.map(({ n }) => n)

describe("Fetch.pages", () => {
  it.effect("follows numbers, offsets, cursors, links and whatever a function says", () =>
    withOrigin(
      (request) => {
        const { path, query } = request
        const slice = (from: number) => ({ items: all.slice(from, from + 5) })
        switch (path) {
          case "/numbers":
            return { body: slice((Number(query.get("page") ?? 1) - 1) * 5) }
          case "/zero":
            return { body: slice(Number(query.get("page")) * 5) }
          case "/offsets":
            return { body: slice(Number(query.get("start"))) }
          case "/cursors": {
            const from = Number(query.get("after") ?? 0)
            return { body: { ...slice(from), next: from + 5 < all.length ? `${from + 5}` : null } }
          }
          default: {
            const from = Number(query.get("from"))
            const link = `</first>; rel=first, <?from=${from + 5}>; title="a, b; rel=\\"x\\""; rel="prev next"`
            return { body: slice(from), ...(from + 5 < all.length && { headers: { link } }) }
          }
        }
      },
      (origin) =>
        Effect.gen(function* () {
          const { url } = origin
          assert.deepEqual(yield* read(`${url}/numbers?size=5`, { number: "page" }), whole)
          assert.strictEqual(origin.requests[1]?.query.toString(), "size=5&page=2")
          assert.deepEqual(yield* read(`${url}/zero?page=0`, { number: "page", from: 0 }), whole)
          assert.deepEqual(yield* read(`${url}/offsets`, { offset: "start" }), whole)
          assert.deepEqual(yield* read(`${url}/cursors`, { cursor: "after", of: (page) => page.next }), whole)
          assert.deepEqual(yield* read(`${url}/links?from=0`, "link"), whole)
          const next: Fetch.Next<typeof Items.Type> = (page, here) =>
            page.items.length < 5 ? undefined : `/links?from=${Number(here.url.searchParams.get("from")) + here.items}`
          assert.deepEqual(yield* read(`${url}/links`, next), whole)
        })
    )
  )

  it("refuses at once what is no way to the next page", () => {
    assert.throws(() => numbers("x", "header" as never), TypeError, 'next must be "link", { number }')
  })

  it.effect("goes through empty pages by cursor, and ends at one by number", () =>
    withOrigin(
      {
        "/": [
          { body: { items: [{ n: 1 }], next: "a" } },
          { body: { items: [], next: "b" } },
          { body: { items: [{ n: 2 }] } },
          { body: { items: [] } }
        ]
      },
      (origin) =>
        Effect.gen(function* () {
          assert.deepEqual(yield* read(origin.url, { cursor: "c", of: (page) => page.next }), [1, 2])
          assert.deepEqual(yield* read(origin.url, { number: "page" }), [])
          assert.strictEqual(origin.count(), 4)
        })
    )
  )

  it.effect("notices pages that lead in a circle, after what is on them", () =>
    withOrigin(
      (request) => ({ body: { items: [{ n: 1 }], next: request.query.get("c") === "b" ? "a" : "b" } }),
      (origin) =>
        Effect.gen(function* () {
          const seen: Array<number> = []
          const source = numbers(origin.url, { cursor: "c", of: (page) => page.next })
          const job = Pipeline.from(source).pipe(Pipeline.map(({ n }) => Effect.sync(() => seen.push(n))))
          const error = yield* Effect.flip(Pipeline.collect(job))
          assert.include(error.message, "c=b was read before, and would be again for ever")
          assert.isTrue(origin.count() <= 3)
        })
    )
  )

  it.effect("says where a page leads nowhere", () =>
    withOrigin({ "/": { body: { items: [], next: "http://[" } } }, (origin) =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(read(origin.url, (page) => page.next ?? undefined))
        assert.include(error.message, 'its next page "http://[" is not a URL')
        const other = yield* Effect.flip(read(origin.url, () => "ftp://host/"))
        assert.strictEqual(other.reason, "Url")
      })
    )
  )

  it.effect("tells another origin no credentials, and its own all of them", () =>
    Effect.scoped(
      Effect.flatMap(Origin.start({ "/": { body: { items: [{ n: 9 }] } } }), (other) =>
        withOrigin(
          (request) => ({
            body: { items: [{ n: 1 }], next: request.query.get("p") === "2" ? `${other.url}/` : "/?p=2" }
          }),
          (origin) =>
            Effect.gen(function* () {
              const headers = { authorization: "Bearer secret", cookie: "a=b", "x-plain": "1" }
              const next: Fetch.Next<typeof Items.Type> = (page) => page.next ?? undefined
              assert.deepEqual(yield* read(origin.url, next, { headers }), [1, 1, 9])
              assert.deepEqual(
                origin.requests.map((request) => request.headers.authorization),
                ["Bearer secret", "Bearer secret"]
              )
              const [foreign] = other.requests
              assert.deepEqual(
                [foreign?.headers.authorization, foreign?.headers.cookie, foreign?.headers["x-plain"]],
                [undefined, undefined, "1"]
              )
              yield* read(origin.url.replace("//", "//me:pass@"), next)
              assert.deepEqual(
                origin.requests.slice(2).map((request) => request.headers.authorization),
                [`Basic ${btoa("me:pass")}`, `Basic ${btoa("me:pass")}`]
              )
              assert.isUndefined(other.requests[1]?.headers.authorization)
            })
        )
      )
    )
  )
})

describe("P16 Fetch.pages: the next run", () => {
  const paged =
    (items: () => ReadonlyArray<{ readonly n: number | string }>): Origin.Handler =>
    ({ query }) => {
      const page = Number(query.get("page") ?? 1)
      return { body: { items: items().slice((page - 1) * 5, page * 5) } }
    }
  const run = (url: string) =>
    Pipeline.run(
      Pipeline.from(numbers(url, { number: "page" })).pipe(Pipeline.to(Db.table("items", Item, { key: "n" }))),
      { name: "items", require: "exactly-once" }
    )
  const kept = Effect.map(Db.query(Item)`SELECT n FROM items ORDER BY n`, (found) => found.map(({ n }) => n))

  it.effect("goes on in the page it was in, and reads no page before it", () => {
    let items: ReadonlyArray<{ readonly n: number | string }> = all.slice(0, 12)
    return withOrigin(
      paged(() => items),
      (origin) =>
        Effect.gen(function* () {
          yield* run(origin.url)
          assert.deepEqual(yield* kept, whole.slice(0, 12))
          items = all
          const before = origin.count()
          yield* run(origin.url)
          assert.deepEqual(yield* kept, whole)
          const pages = new Set(origin.requests.slice(before).map(({ query }) => query.get("page")))
          assert.deepEqual([...pages].sort(), ["3", "4", "5", "6"])
        })
    )
  })

  it.effect("refuses a page whose settled items are others now", () => {
    let items: ReadonlyArray<{ readonly n: number | string }> = all.slice(0, 12)
    return withOrigin(
      paged(() => items),
      (origin) =>
        Effect.gen(function* () {
          yield* run(origin.url)
          for (const changed of [[{ n: -1 }, ...all], all.slice(0, 11)]) {
            items = changed
            const error = yield* Effect.flip(run(origin.url))
            assert.strictEqual(error._tag, "SourceChanged")
            assert.include(error.message, "page=3")
          }
          assert.deepEqual(yield* kept, whole.slice(0, 12))
        })
    )
  })

  it.effect("keeps no secret of an address, and asks with it again", () => {
    let bad = true
    return withOrigin(
      ({ query }) => {
        const page = Number(query.get("page") ?? 1)
        if (query.get("api_key") !== "hunter2") return { status: 401 }
        return { body: { items: bad && page === 3 ? [{ n: "x" }] : all.slice((page - 1) * 5, page * 5) } }
      },
      (origin) =>
        Effect.gen(function* () {
          const url = `${origin.url}/?api_key=hunter2`
          yield* Effect.flip(run(url))
          assert.deepEqual(yield* kept, whole.slice(0, 10))
          const journal = yield* Journal.Journal
          assert.notInclude(JSON.stringify(yield* journal.load(Journal.keyOf("items"))), "hunter2")
          bad = false
          yield* run(url)
          assert.deepEqual(yield* kept, whole)
        })
    )
  })
})

describe("the header Link", () => {
  it("is read as RFC 8288 has it", () => {
    const cases: ReadonlyArray<readonly [string | undefined, string | undefined]> = [
      [undefined, undefined],
      ["", undefined],
      ["<a>; rel=next", "a"],
      ['<a>; rel="next"', "a"],
      ["<a>;REL=NEXT", "a"],
      ['<a>; rel="first", <b>; rel="last next"', "b"],
      ['<a,b;c>; rel="next"', "a,b;c"],
      ['<a>; title="x, <b>; rel=next"; rel=prev, <c>; rel=next', "c"],
      [String.raw`<a>; title="\", <b>; rel=next"; rel=next`, "a"],
      ["<a>; rel=prev; rel=next", undefined],
      ['<a>; anchor="#foo"; rel=next', undefined],
      ["garbage, <a>; rel=next", "a"],
      ["<a> ; foo ; bar= ; rel = next", "a"],
      ["<a>; rel=nextish", undefined],
      ["<a; rel=next", undefined]
    ]
    for (const [header, expected] of cases) assert.strictEqual(find(header, "next"), expected, header)
  })
})
