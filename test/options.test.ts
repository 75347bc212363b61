/** Numbers that no type can refuse: each would otherwise mean "for ever", "no limit" or "at once", far from where it was given. */
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import { Db, DeadLetters, Fetch, Files, Journal, Limiter, Pipeline, Policy, Sink, Source, TaskGroup } from "skein"
import { Drivers, Http } from "skein/node"

/** The defect of an effect, or what was thrown instead of one. */
const refusalOf = (make: () => unknown): Effect.Effect<unknown> =>
  Effect.suspend(() => {
    const made = make()
    return Effect.isEffect(made) ? (made as Effect.Effect<unknown>) : Effect.void
  }).pipe(
    Effect.exit,
    Effect.map((exit) => (Exit.isFailure(exit) ? Cause.squash(exit.cause) : "nothing was refused"))
  )

const limits = { retries: -1, maxBody: 1.5, redirects: Infinity, timeout: NaN, total: -5 } as const
const expected = {
  retries: "retries must be a whole number, 0 or more, or Infinity; got -1",
  maxBody: "maxBody must be a whole number, 0 or more, or Infinity; got 1.5",
  redirects: "redirects must be a whole number, 0 or more; got Infinity",
  timeout: 'timeout must be a duration, zero or more, as "10 seconds"; got NaN',
  total: 'total must be a duration, zero or more, as "10 seconds"; got -5'
} as const

const fails = Effect.fail("busy")
const spawned = (options: TaskGroup.SpawnOptions) => () => TaskGroup.open(TaskGroup.spawn(Effect.void, options))

describe("options that make no sense are refused at once, with name, value and what is allowed", () => {
  const cases: ReadonlyArray<readonly [string, () => unknown]> = [
    ...Object.entries(expected).flatMap(([name, message]) => {
      const options = { [name]: limits[name as keyof typeof limits] }
      return [
        [`Fetch.layer: ${message}`, () => Fetch.layer(options)],
        [`Fetch: ${message}`, () => Fetch.text(options)],
        [`Fetch: ${message}`, () => Fetch.json(Schema.Json, options)]
      ] as const
    }),
    ["limit must be a whole number, 1 or more; got NaN", () => DeadLetters.list("x", { limit: NaN })],
    [
      "The id of a dead letter must be a whole number, 1 or more; got 0.5",
      () => DeadLetters.export("x", { ids: [0.5] })
    ],
    [
      'since must be a time, as "2026-01-31" or a Date; got yesterday',
      () => Effect.provide(DeadLetters.purge("x", { since: "yesterday" }), Journal.memory)
    ],
    [
      'until must be a time, as "2026-01-31" or a Date; got NaN',
      () => Pipeline.replay(Pipeline.from([1]).pipe(Pipeline.to(Sink.discard)), { name: "x", letters: { until: NaN } })
    ],
    [
      "The name of a pipeline must not be empty: the journal keeps its letters by it",
      () => Effect.provide(DeadLetters.import("", ""), Journal.memory)
    ],
    ["Fetch: maxBody must be a whole number, 0 or more, or Infinity; got NaN", () => Fetch.bytes({ maxBody: NaN })],
    ["Fetch: retries must be a whole number, 0 or more, or Infinity; got NaN", () => Fetch.page({ retries: NaN })],
    [
      "Fetch: maxLine must be a whole number, 1 or more, or Infinity; got NaN",
      () => Fetch.lines("x", { maxLine: NaN })
    ],
    ...(
      [
        ["maxDepth must be a whole number, 0 or more; got -1", { maxDepth: -1 }],
        ["perLane must be a whole number, 1 or more; got 0", { perLane: 0 }],
        ["atOnce must be a whole number, 1 or more; got NaN", { atOnce: NaN }],
        ['lease must be a duration, zero or more, as "10 seconds"; got NaN', { lease: NaN }],
        ['poll must be a duration, zero or more, as "10 seconds"; got -1', { poll: -1 }]
      ] as const
    ).map(
      ([message, options]) =>
        [`Source.frontier: ${message}`, () => Source.frontier("links", Schema.String, options)] as const
    ),
    ["The name of a frontier must not be empty: its items are kept by it", () => Source.frontier("", Schema.String)],
    [
      "Fetch: retries must be a whole number, 0 or more, or Infinity; got NaN",
      () => Fetch.csv("x", Schema.Struct({ a: Schema.String }), { retries: NaN })
    ],
    [
      "Fetch.download: maxBody must be a whole number, 0 or more, or Infinity; got NaN",
      () => Fetch.download("x", "y", { maxBody: NaN })
    ],
    [
      'Fetch.events: idle must be a duration, zero or more, as "10 seconds"; got NaN',
      () => Fetch.events("x", { idle: NaN })
    ],
    [
      "Fetch.events: maxEvent must be a whole number, 1 or more, or Infinity; got 0",
      () => Fetch.events("x", { maxEvent: 0 })
    ],
    [
      'Fetch: timeout must be a duration, zero or more, as "10 seconds"; got NaN',
      () => Fetch.events("x", { timeout: NaN })
    ],
    ["Fetch.layer: perHost must be a whole number, 1 or more; got 0", () => Fetch.layer({ perHost: 0 })],
    [
      "Policy: retries must be a whole number, 0 or more, or Infinity; got NaN",
      () => Policy.apply(fails, { retries: NaN, backoff: { base: 0 } })
    ],
    [
      "Policy: backoff.factor must be a number, 0 or more; got NaN",
      () => Policy.apply(fails, { backoff: { factor: NaN } })
    ],
    [
      'Policy: backoff.cap must be a duration, zero or more, as "10 seconds"; got "soon"',
      () => Policy.apply(fails, { backoff: { cap: "soon" as never } })
    ],
    [
      'Policy: total must be a duration, zero or more, as "10 seconds"; got NaN',
      () => Policy.apply(fails, { total: NaN })
    ],
    [
      "Files: maxLine must be a whole number, 1 or more, or Infinity; got NaN",
      () => Files.lines("x", { maxLine: NaN })
    ],
    [
      "Files: maxLine must be a whole number, 1 or more, or Infinity; got 0",
      () => Files.jsonl("x", Schema.Json, { maxLine: 0 })
    ],
    ["Http.layer: connections must be a whole number, 1 or more; got NaN", () => Http.layer({ connections: NaN })],
    [
      'Sqlite.open: lockTimeout must be a duration, zero or more, as "10 seconds"; got NaN',
      () => Effect.scoped(Layer.build(Db.sqlite(":memory:", { lockTimeout: NaN }).pipe(Layer.provide(Drivers.layer))))
    ],
    [
      "TaskGroup: maxFailures must be a whole number, 1 or more, or Infinity; got NaN",
      () => TaskGroup.open(Effect.void, { maxFailures: NaN })
    ],
    [
      "TaskGroup: maxRestarts.times must be a whole number, 0 or more, or Infinity; got NaN",
      spawned({ restart: Schedule.forever, maxRestarts: { times: NaN, per: "1 second" } })
    ],
    ["TaskGroup: limit must be a whole number, 1 or more; got NaN", () => TaskGroup.open(Effect.void, { limit: NaN })],
    ["Limiter: limit must be a whole number, 0 or more; got NaN", () => Limiter.concurrency(NaN)],
    ["Limiter.rate: ", () => Limiter.rate({ limit: NaN, per: "1 second" })],
    ["Limiter.rate: ", () => Limiter.rate({ limit: 1, per: "1 second", burst: Infinity })],
    [
      "The concurrency of a pipeline needs whole numbers with 1 ≤ min ≤ max; got min 4, max 2",
      () => Pipeline.map(() => 1, { concurrency: { min: 4, max: 2 } })(Pipeline.from([1]))
    ],
    [
      "rate must be so many in a time, both positive and finite; got limit NaN, per 1s",
      () => Pipeline.map(() => 1, { rate: { limit: NaN, per: "1 second" } })(Pipeline.from([1]))
    ],
    [
      "retry.retries must be a whole number, 0 or more, or Infinity; got NaN",
      () => Pipeline.map(() => 1, { retry: { retries: NaN } })(Pipeline.from([1]))
    ],
    [
      'timeout.attempt must be a duration, zero or more, as "10 seconds"; got -5',
      () => Pipeline.map(() => 1, { timeout: { attempt: -5 } })(Pipeline.from([1]))
    ],
    ["bytes must be a number, 1 or more; got NaN", () => Pipeline.batch(1, { bytes: NaN })(Pipeline.from([1]))],
    [
      "The window count of a pipeline must be a whole number, 1 or more; got NaN",
      () => Pipeline.window({ count: NaN }, { initial: 0, add: (n) => n, state: Schema.Number })
    ],
    [
      'every must be a duration, zero or more, as "10 seconds"; got NaN',
      () => Pipeline.window({ every: NaN, at: () => 0 }, { initial: 0, add: (n) => n, state: Schema.Number })
    ],
    ["The batch size of a pipeline must be a whole number", () => Pipeline.batch(NaN)(Pipeline.from([1]))]
  ]
  it.effect.each(cases)("%s", ([message, make]) =>
    Effect.map(refusalOf(make), (error) => {
      assert.instanceOf(error, RangeError)
      assert.include(error.message, message)
    })
  )

  it("and those that make sense are taken", () => {
    const made = [
      Fetch.layer({ retries: 0, maxBody: Infinity, redirects: 0, timeout: "1 second", total: Infinity, perHost: 1 }),
      Fetch.text({ retries: Infinity, timeout: undefined }),
      Policy.apply(fails, { retries: Infinity, backoff: { base: 0, factor: 1, cap: Infinity }, total: 0 }),
      Files.lines("x", { maxLine: Infinity }),
      Http.layer({ connections: 1 })
    ]
    assert.strictEqual(made.length, 5)
  })
})
