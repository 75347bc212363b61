/** What an element is called, to whoever must not do the same thing twice (P15). */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { Fetch, Journal, Pipeline, Policy, Sink, Source } from "skein"
import { Fault, Kill, Origin } from "skein/testing"
import { numbers, upTo, valueOf } from "../support/jobs.ts"
import * as Store from "../support/store.ts"

/** Keys by what asked for them: the same for the same, and no other. */
const ledger = () => {
  const keys = new Map<string, string>()
  const owners = new Map<string, string>()
  const ask = (owner: string) =>
    Effect.map(Pipeline.idempotencyKey, (key) => {
      expect([owner, keys.get(owner) ?? key]).toEqual([owner, key])
      expect([key, owners.get(key) ?? owner]).toEqual([key, owner])
      keys.set(owner, key)
      owners.set(key, owner)
      return key
    })
  return { keys, ask }
}

const kept = { deadLetter: Schema.String }

describe("P15 the idempotency key", () => {
  /** Elements, their children and the children of those; each of them fails as often as it is told. */
  const job = (
    ask: (owner: string) => Effect.Effect<string, never, Pipeline.Positions>,
    fails: (owner: string) => boolean
  ) => {
    const step = (name: string) => (value: string) =>
      Effect.gen(function* () {
        yield* ask(`${name} ${value}`)
        yield* Effect.sleep(value.length % 3)
        yield* ask(`${name} ${value}`)
        if (fails(`${name} ${value}`)) return yield* Effect.fail("bad")
        return value
      })
    const children = (name: string) => (value: string) =>
      Effect.map(step(name)(value), (value) => [`${value}a`, `${value}b`, `${value}c`])
    const options = { concurrency: 2, onError: kept } as const
    return Pipeline.from(numbers(3)).pipe(
      Pipeline.map((n) => `${n}`),
      Pipeline.map(step("first"), { ...options, name: "first" }),
      Pipeline.map(step("second"), { ...options, name: "second" }),
      Pipeline.flatMap(children("some"), { ...options, name: "some" }),
      Pipeline.flatMap(children("more"), { ...options, name: "more" }),
      Pipeline.map(step("last"), { ...options, name: "last" })
    )
  }

  it("is the same in every run and attempt, and in a replay of any of its elements", () => {
    const { ask, keys } = ledger()
    const store = Store.make<string>()
    let odd = true
    // A third of all fails, others each time.
    let turn = 0
    const retried = (owner: string) =>
      Policy.apply(
        Effect.flatMap(ask(owner), (key) => (turn++ % 3 === 0 ? Effect.fail("again") : Effect.succeed(key))),
        { backoff: { base: "1 millis" } }
      ).pipe(Effect.orDie)
    const bad = (owner: string) => odd && /[13]$|b$|1ac/.test(owner)
    const run = job(retried, bad).pipe(Pipeline.to(store.table))
    const options = { name: "keys", maxRows: 2 }
    const given = Store.given(store)
    valueOf(given(Pipeline.run(run, { ...options, restart: true })))
    const letters = store.letters.map(({ step }) => step)
    expect(new Set(letters)).toEqual(
      new Set(["first", "some", "more", "last"].filter((step) => letters.includes(step)))
    )
    expect(letters.length).toBeGreaterThan(3)
    // What failed as a child is replayed as one, and what it becomes has the same key as it would have had.
    valueOf(given(Pipeline.replay(run, options)))
    odd = false
    valueOf(given(Pipeline.replay(run, options)))
    expect(store.letters.every(({ replayed }) => replayed)).toBe(true)
    const asked = keys.size
    const all = upTo(3).flatMap((n) => "abc".split("").flatMap((a) => "abc".split("").map((b) => `${n}${a}${b}`)))
    expect(store.rows.toSorted()).toEqual(all)
    valueOf(given(Pipeline.run(run, { ...options, restart: true })))
    expect(keys.size).toBe(asked)
    expect(asked).toBe(3 + 3 + 3 + 9 + 27)
  })

  it("is the same however often the run is killed", () => {
    const { ask, keys } = ledger()
    let store!: Store.Store<string>
    const run = () =>
      Pipeline.run(job(ask, () => false).pipe(Pipeline.to(store.table)), { name: "keys", maxRows: 2 }).pipe(
        Effect.provideService(Journal.Journal, store.journal)
      )
    const start = Effect.suspend(() => {
      store = Store.make()
      return run()
    })
    const check = () => {
      store.free()
      valueOf(run())
      expect(store.rows.length).toBe(27)
    }
    Effect.runSync(Kill.everywhere(start, { check, at: "suspension" }))
    expect(keys.size).toBe(45)
  })

  it("is another for every name, partition and step, whatever is in their names", () => {
    const seen = new Map<string, string>()
    const names = ["a", "b", "a/b", "a:b", "a b", "a%2Fb", "a#b"]
    for (const name of names) {
      for (const partition of [undefined, "", ...names]) {
        for (const step of names) {
          const job = Pipeline.from(Source.list([1, 2], { name: "l" })).pipe(
            Pipeline.map((n) => Effect.map(Pipeline.idempotencyKey, (key) => [n, key] as const), { name: step }),
            Pipeline.map(([n, key]) => {
              const owner = JSON.stringify([name, partition ?? null, step, n])
              expect(seen.get(key) ?? owner).toBe(owner)
              seen.set(key, owner)
              return n
            }),
            Pipeline.to(Sink.discard)
          )
          valueOf(Pipeline.run(job, { name, partition }).pipe(Effect.provide(Journal.memory)))
        }
      }
    }
    expect(seen.size).toBe(names.length * (names.length + 2) * names.length * 2)
  })

  it("is another for every position, whatever it is made of", () => {
    const positions = [1, "1", [1], [1, 2], "1/2", { line: 1 }, "[1]", '"1"', "1:2", "1+2", null, true]
    const source: Source.Source<number, never, never, Schema.Json> = {
      name: "places",
      resumable: true,
      size: Effect.succeedNone,
      fingerprint: () => Effect.succeed({}),
      read: () => Stream.fromArray(positions.map((position, i) => ({ value: i, position, bytes: 8 })))
    }
    const keys = valueOf(
      Pipeline.from(source).pipe(
        Pipeline.flatMap((n) => [n, n]),
        Pipeline.map(() => Pipeline.idempotencyKey),
        Pipeline.collect
      )
    )
    expect(new Set(keys).size).toBe(positions.length * 2)
  })

  it("is another for every batch, also where batches cut through the children of elements", () => {
    for (const size of [1, 2, 3, 4, 7]) {
      for (const sizes of [
        [3, 4, 3, 5, 2, 6, 1, 4],
        [5, 5, 5, 5, 5],
        [1, 2, 3, 4, 5, 6, 7]
      ]) {
        const { ask, keys } = ledger()
        const pipeline = Pipeline.from(Source.list(sizes, { name: "sizes" })).pipe(
          Pipeline.flatMap((n) => upTo(n)),
          Pipeline.batch(size)
        )
        let batches = 0
        let pairs = 0
        valueOf(
          pipeline.pipe(
            Pipeline.map((all) => Effect.andThen(ask(`batch ${++batches}`), Effect.succeed(all))),
            Pipeline.batch(2),
            Pipeline.map((all) => Effect.andThen(ask(`pair ${++pairs} of ${all.length}`), Effect.succeed(all))),
            Pipeline.collect
          )
        )
        expect(keys.size).toBe(batches + pairs)
      }
    }
  })
})

describe("P15 a request that must not be made twice", () => {
  const post = Fetch.json(Schema.Number, {
    method: "POST",
    idempotencyKey: true,
    retries: 9
  } as const)
  const route = HttpRouter.add("POST", "/pay", HttpServerResponse.jsonUnsafe(1))
  const keysOf = Effect.map(Origin.Origin, ({ requests }) =>
    requests.map(({ headers }) => headers["idempotency-key"] ?? "none")
  )
  const flaky = Layer.provideMerge(Fault.http([{ fault: "lost", nth: 2 }]), Origin.layer(route))

  it("is sent with a key of its own for each element of a list without positions, and the same in each attempt", () => {
    const keys = valueOf(
      Effect.andThen(
        Pipeline.from(upTo(4)).pipe(
          Pipeline.map(() => post("http://bank/pay")),
          Pipeline.collect
        ),
        keysOf
      ).pipe(Effect.provide(flaky))
    )
    expect(keys.length).toBe(5)
    expect(new Set(keys).size).toBe(4)
    expect(keys).not.toContain("none")
  })

  it("is sent with the key of the element where there are positions, in every run", () => {
    const run = () =>
      valueOf(
        Effect.andThen(
          Pipeline.run(
            Pipeline.from(numbers(4)).pipe(
              Pipeline.map((n) => Effect.as(post("http://bank/pay"), n), { name: "pay", concurrency: 2 }),
              Pipeline.to(Sink.discard)
            ),
            { name: "bills", partition: "may" }
          ),
          keysOf
        ).pipe(Effect.provide(flaky), Effect.provide(Journal.memory))
      )
    const keys = run()
    expect(keys.length).toBe(5)
    expect([...new Set(keys)].toSorted()).toEqual(upTo(4).map((n) => `bills/may:pay:${n}`))
    expect(run()).toEqual(keys)
  })

  it("is sent with other keys by the sink of a run within a step than by that step", () => {
    const keys = valueOf(
      Effect.gen(function* () {
        const inner = (n: number) =>
          Pipeline.run(Pipeline.from(numbers(2)).pipe(Pipeline.to(Sink.forEach(() => post("http://bank/pay")))), {
            name: `inner ${n}`
          })
        yield* Pipeline.from(numbers(2)).pipe(
          Pipeline.map((n) => Effect.andThen(post("http://bank/pay"), inner(n)), { name: "outer" }),
          Pipeline.collect
        )
        return yield* keysOf
      }).pipe(Effect.provide(Origin.layer(route)), Effect.provide(Journal.memory))
    )
    expect(keys.length).toBe(6)
    expect(new Set(keys).size).toBe(6)
  })
})
