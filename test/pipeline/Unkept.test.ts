/** Jobs that have nothing to keep: no place to go on from, and no dead letters. */
import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { Journal, Pipeline, Sink } from "skein"
import { after, valueOf } from "../support/jobs.ts"

const slow = Pipeline.from([1, 2, 3]).pipe(
  Pipeline.map((n) => after(10, n)),
  Pipeline.to(Sink.discard)
)

it("P10 a job that has nothing to keep runs without a journal, any number of it at once", () => {
  const both = Effect.all(
    [1, 2].map(() => Pipeline.run(slow, { name: "same" })),
    { concurrency: 2 }
  )
  expect(valueOf(both).map(({ outcome, resumable, written }) => [outcome, resumable, written])).toEqual([
    ["done", false, 3],
    ["done", false, 3]
  ])
})

it("P10 takes nothing of a journal that the program has for others", () => {
  const program = Effect.gen(function* () {
    yield* Effect.all(
      [1, 2].map(() => Pipeline.run(slow, { name: "same" })),
      { concurrency: 2 }
    )
    const journal = yield* Journal.Journal
    return yield* journal.load(Journal.keyOf("same"))
  })
  expect(valueOf(Effect.provide(program, Journal.memory))).toEqual(Option.none())
})

it("P10 one that keeps dead letters is one at a time, and finds them again", () => {
  const job = Pipeline.from([1, 2]).pipe(
    Pipeline.map((n) => after(10, n)),
    Pipeline.map(() => Effect.fail("no"), { onError: { deadLetter: Schema.Number } }),
    Pipeline.to(Sink.discard)
  )
  const program = Effect.gen(function* () {
    const run = Pipeline.run(job, { name: "dead" })
    const [one, other] = yield* Effect.all([Effect.result(run), Effect.result(run)], { concurrency: 2 })
    const journal = yield* Journal.Journal
    return [one._tag, other._tag, (yield* journal.dead(Journal.keyOf("dead"))).length]
  })
  expect(valueOf(Effect.provide(program, Journal.memory))).toEqual(["Success", "Failure", 2])
})

it("a sink is told of an owner that is another one in each run, and of nothing that is kept", () => {
  const opened: Array<Sink.Opening> = []
  const sink = Sink.make({
    name: "seen",
    guarantee: "at-least-once",
    open: (opening) => Effect.sync(() => (opened.push(opening), { write: () => Effect.succeed(null) }))
  })
  const run = Pipeline.run(Pipeline.from([1]).pipe(Pipeline.to(sink)), { name: "same" })
  valueOf(Effect.andThen(run, run))
  expect(opened.map(({ clean, committed, durable }) => [clean, durable, Option.isNone(committed)])).toEqual([
    [true, false, true],
    [true, false, true]
  ])
  expect(new Set(opened.map(({ owner }) => owner)).size).toBe(2)
  expect(opened.map(({ owner }) => owner)).not.toContain("")
})
