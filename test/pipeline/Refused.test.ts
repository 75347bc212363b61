/** What becomes of what a step or a sink fails on: rows that a sink refuses, and how a failure is named (P5, P7). */
import { describe, expect, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { Journal, Pipeline, Sink } from "skein"
import { Leaks, Sim } from "skein/testing"
import { after, causeOf, errorOf, numbers, upTo, valueOf } from "../support/jobs.ts"
import * as Store from "../support/store.ts"

class Poison extends Schema.TaggedError<Poison>()("Poison", { rows: Schema.Array(Schema.Int) }) {
  override get message(): string {
    return "poison"
  }
}

type AnySink = Sink.Sink<number, Poison, never, Sink.Guarantee>
/** What the error of a sink says of its rows: nothing, which of them, or that it was none of them. */
type Says = "nothing" | "rows" | "batch"

/** A sink that fails on some rows, and knows of it before it has written any or after it has written all. */
const poisoned = (
  sink: Sink.Sink<number, never, never, Sink.Guarantee>,
  isPoison: (n: number) => boolean,
  says: Says,
  late = false
): AnySink & { readonly writes: Array<ReadonlyArray<number>> } => {
  const writes: Array<ReadonlyArray<number>> = []
  const atFault = (error: unknown) =>
    says === "batch" ? says : error instanceof Poison && says === "rows" ? error.rows : undefined
  return {
    ...sink,
    writes,
    open: (opening) =>
      Effect.map(sink.open(opening), (writer) => ({
        ...writer,
        ...(says === "nothing" ? {} : { atFault }),
        write: (rows: ReadonlyArray<number>, since) =>
          Effect.suspend(() => {
            if (rows.length > 0) writes.push(rows)
            const bad = rows.flatMap((n, i) => (isPoison(n) ? [i] : []))
            if (bad.length === 0) return writer.write(rows, since)
            const failed = Effect.fail(new Poison({ rows: bad }))
            return late ? Effect.andThen(writer.write(rows, since), failed) : failed
          })
      }))
  }
}

const kept = { deadLetter: Schema.Number }
const subsets = (n: number) =>
  Array.from({ length: 2 ** n }, (_, bits) => upTo(n).filter((i) => (bits & (1 << (i - 1))) !== 0))

describe("P7 rows that a sink refuses", () => {
  describe.each(["table", "file"] as const)("in a %s", (kind) => {
    it.each([
      ["nothing", false],
      ["nothing", true],
      ["rows", false],
      ["rows", true]
    ] as const)("are found, whichever they are, where its error says %s; after writing them: %s", (says, late) => {
      for (const twice of [false, true]) {
        for (const bad of subsets(6)) {
          const store = Store.make<number>()
          store.twice = twice
          const sink = poisoned(store[kind], (n) => bad.includes(n), says, late)
          const job = Pipeline.from(numbers(6)).pipe(Pipeline.to(sink, { name: "out", onError: kept }))
          const good = upTo(6).filter((n) => !bad.includes(n))
          expect(valueOf(Store.given(store)(Pipeline.run(job, { name: "r" })))).toMatchObject({
            outcome: "done",
            settled: 6,
            written: good.length,
            dead: bad.length
          })
          expect(kind === "table" ? store.rows : store.file.lines).toEqual(good)
          expect(store.letters.map(({ input, position, step }) => [step, input, position])).toEqual(
            bad.map((n) => ["out", n, n])
          )
          expect(store.checkpoint).toMatchObject({ counts: { settled: 6, dead: bad.length, written: good.length } })
        }
      }
    })
  })

  it("are few among many, and found in few writes", () => {
    const store = Store.make<number>()
    const bad = [17, 300, 301, 999]
    const sink = poisoned(store.table, (n) => bad.includes(n), "nothing")
    const job = Pipeline.from(numbers(1000)).pipe(Pipeline.to(sink, { onError: "skip" }))
    const summary = valueOf(Store.given(store)(Pipeline.run(job, { name: "r" })))
    expect(summary).toMatchObject({ outcome: "done", settled: 1000, written: 996, skipped: 4 })
    expect(store.rows).toEqual(upTo(1000).filter((n) => !bad.includes(n)))
    expect(sink.writes.length).toBeLessThan(100)
  })

  it("are in no other sink beside the one that refuses, whatever their order", () => {
    const good = upTo(8).filter((n) => n % 3 !== 0)
    for (const refusing of ["table", "file", "elsewhere"] as const) {
      for (const order of [
        ["table", "file", "elsewhere"],
        ["elsewhere", "file", "table"],
        ["file", "elsewhere", "table"]
      ] as const) {
        for (const says of ["nothing", "rows"] as const) {
          const store = Store.make<number>()
          const members = order.map((name): AnySink =>
            name === refusing ? poisoned(store[name], (n) => n % 3 === 0, says) : store[name]
          )
          const all = Sink.all(members[0]!, members[1]!, members[2]!)
          const job = Pipeline.from(numbers(8)).pipe(Pipeline.to(all, { onError: kept }))
          const summary = valueOf(Store.given(store)(Pipeline.run(job, { name: "r", maxRows: 5 })))
          expect(summary).toMatchObject({ outcome: "done", written: good.length, dead: 2 })
          expect([store.rows, store.file.lines]).toEqual([good, good])
          // What was written there cannot be taken back, but what is refused has never been there.
          expect([...new Set(store.elsewhere.received)].toSorted((a, b) => a - b)).toEqual(good)
          if (says === "rows" || refusing !== "elsewhere") expect(store.elsewhere.received).toEqual(good)
          expect(store.letters.map(({ input }) => input)).toEqual([3, 6])
        }
      }
    }
  })

  it("are replayed into the sink alone, and kept again where it refuses them again", () => {
    const store = Store.make<number>()
    const bad = new Set([2, 5])
    const steps: Array<number> = []
    const sink = poisoned(store.table, (n) => bad.has(n), "nothing")
    const job = Pipeline.from(numbers(6)).pipe(
      Pipeline.map((n) => (steps.push(n), n)),
      Pipeline.to(sink, { name: "out", onError: kept })
    )
    const options = { name: "r" }
    expect(valueOf(Store.given(store)(Pipeline.run(job, options)))).toMatchObject({ dead: 2 })
    bad.delete(5)
    expect(valueOf(Store.given(store)(Pipeline.replay(job, options)))).toMatchObject({
      settled: 2,
      written: 1,
      dead: 1,
      total: { settled: 6, written: 5, dead: 1 }
    })
    expect(store.rows).toEqual([1, 3, 4, 6, 5])
    bad.delete(2)
    expect(valueOf(Store.given(store)(Pipeline.replay(job, options)))).toMatchObject({
      settled: 1,
      total: { settled: 6, written: 6, dead: 0 }
    })
    expect(store.rows).toEqual([1, 3, 4, 6, 5, 2])
    expect(store.letters.map(({ input, replayed }) => [input, replayed])).toEqual([
      [2, true],
      [5, true],
      [2, true]
    ])
    expect(steps).toEqual(upTo(6))
  })

  it("end the run when there are more than its budget allows; what was committed stays, and nothing is lost", () => {
    const store = Store.make<number>()
    const sink = poisoned(store.table, (n) => n % 2 === 0, "rows")
    const job = (maxDead: number) =>
      Pipeline.from(numbers(12)).pipe(
        Pipeline.map((n) => after(1, n)),
        Pipeline.to(sink, { name: "out", onError: { ...kept, maxDead } })
      )
    const error = errorOf(Store.given(store)(Pipeline.run(job(3), { name: "r", commitEvery: 0 })))
    expect(error).toBeInstanceOf(Pipeline.TooManyDeadLetters)
    expect(error).toMatchObject({ step: "out", dead: 4, budget: "3", last: "poison" })
    expect(store.letters.map(({ input }) => input)).toEqual([2, 4, 6])
    expect(store.rows).toEqual([1, 3, 5, 7])
    expect(valueOf(Store.given(store)(Pipeline.run(job(99), { name: "r" })))).toMatchObject({
      outcome: "done",
      settled: 5
    })
    expect(store.rows).toEqual([1, 3, 5, 7, 9, 11])
    expect(store.letters.length).toBe(6)
  })

  it("end the run by default, whose cause says which sink, where and what; it is there for the next run", () => {
    const store = Store.make<number>()
    let broken = true
    const sink = poisoned(store.table, (n) => broken && n === 4, "rows")
    const job = Pipeline.from(numbers(6)).pipe(Pipeline.to(sink, { name: "out" }))
    const run = Store.given(store)(Pipeline.run(job, { name: "r" }))
    const cause = causeOf(run)
    expect(Cause.squash(cause)).toBeInstanceOf(Poison)
    expect(Pipeline.failedAt(cause)).toEqual(Option.some({ pipeline: "r", step: "out", position: 4, input: 4 }))
    expect([store.rows, store.letters]).toEqual([[], []])
    broken = false
    expect(valueOf(run)).toMatchObject({ outcome: "done", settled: 6 })
    expect(store.rows).toEqual(upTo(6))
  })

  it("are those of a whole element: its other children are written, and it settles with them", () => {
    const store = Store.make<number>()
    const sink = poisoned(store.table, (n) => n === 12, "nothing")
    const job = Pipeline.from(numbers(3)).pipe(
      Pipeline.flatMap((n) => [n * 10, n * 10 + 2]),
      Pipeline.to(sink, { onError: kept })
    )
    expect(valueOf(Store.given(store)(Pipeline.run(job, { name: "r" })))).toMatchObject({
      settled: 3,
      written: 5,
      dead: 1
    })
    expect(store.rows).toEqual([10, 20, 22, 30, 32])
    expect(store.letters).toMatchObject([{ input: 12, position: 1 }])
  })

  it("are found under any schedule, killed and cancelled anywhere", () => {
    let store!: Store.Store<number>
    const run = (store: Store.Store<number>) => {
      const sinks = [poisoned(store.table, (n) => n % 4 === 0, "nothing"), store.file] as const
      const job = Pipeline.from(numbers(9)).pipe(
        Pipeline.map((n) => after(n % 3, n), { concurrency: 3 }),
        Pipeline.to(Sink.all(...sinks), { onError: kept })
      )
      return Store.given(store)(Pipeline.run(job, { name: "r", maxRows: 4 }))
    }
    const start = Effect.suspend(() => run((store = Store.make())))
    const check = (played: Sim.Run<unknown, unknown>) => {
      if (!played.stopped) Effect.runSync(Effect.andThen(played.exit, Leaks.check(played)))
      store.free()
      valueOf(run(store))
      const good = upTo(9).filter((n) => n % 4 !== 0)
      expect([store.rows, store.file.lines]).toEqual([good, good])
      expect(store.letters.map(({ input }) => input)).toEqual([4, 8])
      expect(store.checkpoint).toMatchObject({ counts: { settled: 9, written: 7, dead: 2 }, finished: true })
    }
    Effect.runSync(Sim.explore(start, { check, schedules: 60, stop: "kill" }))
    Effect.runSync(Sim.explore(start, { check, schedules: 60, stop: "interrupt", seed: 1000 }))
  })
})

describe("a write that fails as a whole", () => {
  const failing = (failures: number, says: Says = "batch") => {
    const store = Store.make<number>()
    let attempts = 0
    const sink = poisoned(store.table, () => ++attempts <= failures, says)
    return { store, sink, attempts: () => sink.writes.length }
  }
  const backoff = { base: "1 second", factor: 1 } as const

  it("P6 is tried again as the policy says, and no row is at fault", () => {
    const { attempts, sink, store } = failing(3)
    const job = Pipeline.from(numbers(3)).pipe(
      Pipeline.batch(3),
      Pipeline.flatMap((all) => all),
      Pipeline.to(sink, { onError: "skip", retry: { retries: 5, backoff } })
    )
    // Each of the three rows of the one batch counts.
    const summary = valueOf(Store.given(store)(Pipeline.run(job, { name: "b" })))
    expect(summary).toMatchObject({ outcome: "done", written: 3, skipped: 0, retries: attempts() - 1 })
    expect(attempts()).toBeGreaterThan(1)
    expect(store.rows).toEqual([1, 2, 3])
  })

  it("fails the run when it still does, with its error; nothing is skipped or lost", () => {
    for (const [retry, tries] of [
      [{ retries: 2, backoff }, 3],
      [{ backoff }, 4],
      [{ retries: 9, retryWhile: () => false }, 1],
      [undefined, 1]
    ] as const) {
      const { attempts, sink, store } = failing(Infinity)
      const job = Pipeline.from(numbers(3)).pipe(Pipeline.to(sink, { onError: kept, retry }))
      expect(errorOf(Store.given(store)(Pipeline.run(job, { name: "b" })))).toBeInstanceOf(Poison)
      expect(attempts()).toBe(tries)
      expect([store.rows, store.letters]).toEqual([[], []])
      expect(store.checkpoint).toMatchObject({ position: Option.none(), counts: { settled: 0 } })
    }
  })

  it("is retried by default where a row would fail the run anyway", () => {
    const { sink, store } = failing(1, "nothing")
    const job = Pipeline.from(numbers(1)).pipe(Pipeline.to(sink, { retry: { backoff } }))
    expect(valueOf(Store.given(store)(Pipeline.run(job, { name: "b" })))).toMatchObject({ outcome: "done", retries: 1 })
    expect(store.rows).toEqual([1])
  })

  it("asks `retryWhile` with the error of the sink", () => {
    const { attempts, sink, store } = failing(Infinity)
    const asked: Array<unknown> = []
    const retryWhile = (error: unknown) => asked.push(error) < 2
    const job = Pipeline.from(numbers(2)).pipe(Pipeline.to(sink, { retry: { retryWhile, backoff } }))
    expect(errorOf(Store.given(store)(Pipeline.run(job, { name: "b" })))).toBeInstanceOf(Poison)
    expect([attempts(), ...asked.map((error) => error instanceof Poison)]).toEqual([2, true, true])
  })
})

describe("P5 a failure is named", () => {
  const fails = (step: (n: number) => unknown, kind: "map" | "flatMap" = "map") => {
    const named = { name: "bad", concurrency: 2 }
    const source = Pipeline.from(numbers(5))
    const pipeline =
      kind === "map"
        ? source.pipe(Pipeline.map(step, named))
        : source.pipe(Pipeline.flatMap(step as (n: number) => Iterable<unknown>, named))
    const job = pipeline.pipe(Pipeline.to(Sink.discard))
    return causeOf(Pipeline.run(job, { name: "named" }).pipe(Effect.provide(Journal.memory)))
  }
  const at = { pipeline: "named", step: "bad", position: 3, input: 3 }
  const oops = new RangeError("oops")
  const raise = (): never => {
    throw oops
  }

  it("with step, position and input when it is an error, which stays as it is", () => {
    const cause = fails((n) => (n === 3 ? Effect.fail("three") : n))
    expect(Cause.squash(cause)).toBe("three")
    expect(Pipeline.failedAt(cause)).toEqual(Option.some(at))
  })

  it.each([
    ["thrown", (n: number) => (n === 3 ? raise() : n), "map"],
    ["in an effect", (n: number) => (n === 3 ? Effect.delay(Effect.die(oops), 1) : n), "map"],
    ["thrown in an effect", (n: number) => (n === 3 ? Effect.sync(raise) : n), "map"],
    ["of a promise", (n: number) => (n === 3 ? Promise.reject(oops) : n), "map"],
    [
      "of a getter of a thenable",
      (n: number) => (n === 3 ? new Proxy({}, { has: (_, key) => key === "then", get: raise }) : n),
      "map"
    ],
    ["of a generator", (n: number) => generated(n), "flatMap"],
    ["of a generator that an effect gives", (n: number) => Effect.succeed(generated(n)), "flatMap"],
    ["of a generator that an effect gives later", (n: number) => after(n % 2, generated(n)), "flatMap"],
    ["of a generator that a promise gives", (n: number) => Promise.resolve(generated(n)), "flatMap"]
  ] as const)("with step and position when it is a defect, %s", async (_, step, kind) => {
    const job = Pipeline.from(numbers(5)).pipe(
      kind === "map"
        ? Pipeline.map(step as (n: number) => unknown, { name: "bad", concurrency: 2 })
        : (Pipeline.flatMap(step as (n: number) => Iterable<unknown>, { name: "bad", concurrency: 2 }) as never),
      Pipeline.to(Sink.discard)
    )
    const run = Pipeline.run(job as Pipeline.Job<never, never, "at-least-once">, { name: "named" })
    const cause = await Effect.runPromise(
      Effect.flatMap(Sim.run(Effect.provide(run, Journal.memory)), ({ exit }) => Effect.flip(Effect.sandbox(exit)))
    )
    const [reason, ...others] = cause.reasons.filter((reason) => !Cause.isInterruptReason(reason))
    expect(others).toEqual([])
    const defect = reason !== undefined && Cause.isDieReason(reason) ? reason.defect : undefined
    expect(defect).toBeInstanceOf(Pipeline.StepDefect)
    expect(defect).toMatchObject({ at, cause: oops })
    expect(String(defect)).toBe(
      'StepDefect: Pipeline "named": step "bad" on the element that ends at position 3 threw: RangeError: oops'
    )
    expect(Pipeline.failedAt(cause)).toEqual(Option.some(at))
  })

  function* generated(n: number) {
    yield n
    if (n === 3) raise()
    yield n
  }

  it("of the second of two steps that share their workers, with what that step was given", () => {
    const job = Pipeline.from(numbers(3)).pipe(
      Pipeline.map((n) => n * 10, { name: "first" }),
      Pipeline.map((n) => (n === 20 ? raise() : n), { name: "second" }),
      Pipeline.to(Sink.discard)
    )
    const cause = causeOf(Pipeline.run(job, { name: "n" }).pipe(Effect.provide(Journal.memory)))
    expect(Pipeline.failedAt(cause)).toEqual(Option.some({ pipeline: "n", step: "second", position: 2, input: 20 }))
  })

  it("with nothing where it is that of the source", () => {
    const source = { ...numbers(1), fingerprint: () => Effect.die("source") }
    const job = Pipeline.from(source).pipe(Pipeline.to(Sink.discard))
    const cause = causeOf(Pipeline.run(job, { name: "n" }).pipe(Effect.provide(Journal.memory)))
    expect(Pipeline.failedAt(cause)).toEqual(Option.none())
  })
})

describe("P10 the dead letters of a run that starts over", () => {
  it.each([
    ["restart", { restart: true }],
    ["onFinished", { onFinished: "restart" }]
  ] as const)("are gone, with %s", (_, over) => {
    const bad = new Set([2, 4])
    const step = (n: number) => (bad.has(n) ? Effect.fail("bad") : Effect.succeed(n))
    const letters = Effect.flatMap(Journal.Journal, (journal) => journal.dead(Journal.keyOf("r")))
    const inputs = Effect.map(letters, (all) => all.map(({ input }) => input))
    for (const given of [
      Effect.provide(Journal.memory),
      Effect.provideService(Journal.Journal, Store.make<number>().journal)
    ]) {
      bad.add(2)
      const job = Pipeline.from(numbers(4)).pipe(
        Pipeline.map(step, { onError: kept, name: "step" }),
        Pipeline.to(Sink.discard)
      )
      valueOf(
        Effect.gen(function* () {
          expect(yield* Pipeline.run(job, { name: "r" })).toMatchObject({ dead: 2 })
          expect(yield* inputs).toEqual([2, 4])
          bad.delete(2)
          expect(yield* Pipeline.run(job, { name: "r", ...over })).toMatchObject({
            settled: 4,
            dead: 1,
            resumed: false,
            total: { settled: 4, dead: 1 }
          })
          expect(yield* inputs).toEqual([4])
          expect(yield* Pipeline.replay(job, { name: "r" })).toMatchObject({ settled: 1, dead: 1 })
        }).pipe(given as typeof Effect.scoped) as Effect.Effect<void, unknown>
      )
    }
  })
})
