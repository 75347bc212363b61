/** Steps that give promises, and sources that are asynchronous iterables, with all that these can do wrong. */
import { describe, expect, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { Journal, Pipeline, Sink, Source, TaskGroup } from "skein"
import { Leaks, Sim } from "skein/testing"
import { numbers, upTo } from "../support/jobs.ts"
import * as Store from "../support/store.ts"

/** In virtual time, with promises that take real turns of the event loop. */
const exitOf = async <A, E>(effect: Effect.Effect<A, E>): Promise<Exit.Exit<A, E>> =>
  (await Effect.runPromise(Effect.tap(Sim.run(effect), Leaks.check))).exit
const valueOf = async <A, E>(effect: Effect.Effect<A, E>): Promise<A> => {
  const exit = await exitOf(effect)
  if (Exit.isFailure(exit)) throw Cause.squash(exit.cause)
  return exit.value
}
const causeOf = async <A, E>(effect: Effect.Effect<A, E>): Promise<Cause.Cause<E>> => {
  const exit = await exitOf(effect)
  if (Exit.isSuccess(exit)) throw new Error("succeeded")
  return exit.cause
}
const defectOf = (cause: Cause.Cause<unknown>) => cause.reasons.find(Cause.isDieReason)?.defect

class Refused extends Schema.TaggedError<Refused>()("Refused", { reason: Schema.String }) {
  override get message(): string {
    return this.reason
  }
}
const refused = (reason: unknown) => new Refused({ reason: String(reason) })

/** Something with a `then`, as libraries give and mistakes make. */
type Then = (resolve: (value: unknown) => void, reject: (reason: unknown) => void) => void
const word = ["th", "en"].join("")
const thenable = (run: Then) => Object.defineProperty({}, word, { value: run }) as PromiseLike<number>

/** One turn of the event loop: by then all that promises have to do is done. */
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

describe("a step that gives promises", () => {
  it.effect("P4 gives what they are fulfilled with, in the order of the input", () =>
    Effect.promise(async () => {
      const turns = async (n: number) => {
        for (let i = 0; i < 5 - n; i++) await undefined
        return n * 10
      }
      const pipeline = Pipeline.from(numbers(5)).pipe(
        Pipeline.map(turns, { concurrency: 3 }),
        Pipeline.filter(async (n) => n !== 20, { concurrency: 2 }),
        Pipeline.flatMap(async (n) => [n, n + 1]),
        Pipeline.collect
      )
      expect(await valueOf(pipeline)).toEqual([10, 11, 30, 31, 40, 41, 50, 51])
    })
  )

  it("P5 fails with what `catch` makes of the reason, and with a defect without it", async () => {
    const step = async (n: number) => (n === 2 ? Promise.reject(new Error("two")) : n)
    const job = (options: { readonly catch?: typeof refused }) =>
      Pipeline.collect(Pipeline.from(numbers(3)).pipe(Pipeline.map(step, { name: "step", ...options })))
    const typed = await causeOf(job({ catch: refused }))
    expect(Cause.squash(typed)).toEqual(refused("Error: two"))
    expect(Pipeline.failedAt(typed)).toMatchObject(Option.some({ step: "step", position: 2, input: 2 }))
    expect(String(defectOf(await causeOf(job({}))))).toContain(
      'step "step" on the element that ends at position 2 threw'
    )
  })

  it("P5 keeps as dead letters, or skips, what `catch` knows, and a function that throws as well", async () => {
    const store = Store.make<number>()
    const step = (n: number): Promise<number> => {
      if (n === 2) throw new Error("thrown")
      return n === 3 ? Promise.reject("rejected") : Promise.resolve(n)
    }
    const job = (onError: "skip" | { readonly deadLetter: typeof Schema.Number }) =>
      Pipeline.from(numbers(4)).pipe(
        Pipeline.map(step, { name: "step", catch: refused, onError }),
        Pipeline.to(store.table)
      )
    const run = (onError: Parameters<typeof job>[0]) =>
      Pipeline.run(job(onError), { name: "p", restart: true }).pipe(
        Effect.provideService(Journal.Journal, store.journal)
      )
    expect(await valueOf(run({ deadLetter: Schema.Number }))).toMatchObject({ written: 2, dead: 2 })
    expect(store.letters).toMatchObject([
      { step: "step", input: 2, cause: "Error: thrown" },
      { step: "step", input: 3, cause: "rejected" }
    ])
    expect(await valueOf(run("skip"))).toMatchObject({ written: 2, skipped: 2, dead: 0 })
  })

  it("dies with what `catch` throws, and does not hang", async () => {
    const bad = (): never => {
      throw new RangeError("in catch")
    }
    const steps: ReadonlyArray<(n: number) => Promise<number>> = [
      (n) => Promise.reject(n),
      (n) => {
        throw n
      }
    ]
    for (const step of steps) {
      for (const onError of ["fail", "skip"] as const) {
        const job = Pipeline.from(numbers(2)).pipe(Pipeline.map(step, { name: "step", catch: bad, onError }))
        const defect = defectOf(await causeOf(Pipeline.collect(job)))
        expect(String(defect)).toContain("position 1 threw: RangeError: in catch")
      }
    }
  })

  it.each([
    ["that are fulfilled twice", thenable((resolve) => (resolve(1), resolve(2))), 1],
    ["that are fulfilled and then rejected", thenable((resolve, reject) => (resolve(1), reject("no"))), 1],
    [
      "that are fulfilled and then throw",
      thenable((resolve) => {
        resolve(1)
        throw new Error("late")
      }),
      1
    ],
    ["that are fulfilled with promises", thenable((resolve) => resolve(Promise.resolve(1))), 1],
    ["that are fulfilled with thenables", thenable((resolve) => resolve(thenable((also) => also(1)))), 1],
    ["that are fulfilled later", thenable((resolve) => void Promise.resolve().then(() => resolve(1))), 1]
  ])("takes thenables %s for what they were fulfilled with first", async (_, given, value) => {
    expect(await valueOf(Pipeline.collect(Pipeline.from([0]).pipe(Pipeline.map(() => given))))).toEqual([value])
  })

  it.each([
    [
      "throw",
      () =>
        thenable(() => {
          throw new Error("no")
        })
    ],
    ["are rejected twice", () => thenable((_, reject) => (reject(new Error("no")), reject("again")))],
    [
      "are fulfilled with promises that are rejected",
      () => thenable((resolve) => resolve(Promise.reject(new Error("no"))))
    ]
  ])("takes thenables that %s for rejected", async (_, given) => {
    const job = (options: { readonly catch?: typeof refused }) =>
      Pipeline.collect(Pipeline.from([0]).pipe(Pipeline.map(given, options)))
    expect(Cause.squash(await causeOf(job({ catch: refused })))).toEqual(refused("Error: no"))
    expect(String(defectOf(await causeOf(job({}))))).toContain("threw: no")
  })

  it("dies with what the own `then` of a promise throws", async () => {
    const raise = (): never => {
      throw new RangeError("then")
    }
    const given = () => Object.defineProperty(Promise.resolve(0), word, { value: raise })
    const cause = await causeOf(Pipeline.collect(Pipeline.from([0]).pipe(Pipeline.map(given))))
    expect(String(defectOf(cause))).toContain("threw: RangeError: then")
  })

  it("P9 leaves a promise alone that never settles, when it is cancelled", async () => {
    const job = Pipeline.from(numbers(2)).pipe(Pipeline.map(() => new Promise<number>(() => {})))
    expect(await valueOf(Effect.timeoutOption(Pipeline.collect(job), "1 second"))).toEqual(Option.none())
  })

  it("has no promise that is rejected after the end for an unhandled one", async () => {
    const unhandled: Array<unknown> = []
    const listener = (reason: unknown) => void unhandled.push(reason)
    process.on("unhandledRejection", listener)
    let reject!: (reason: unknown) => void
    const never = new Promise<number>((_, no) => (reject = no))
    const job = Pipeline.from(numbers(1)).pipe(Pipeline.map(() => never, { catch: refused, onError: "skip" }))
    await valueOf(Effect.timeoutOption(Pipeline.collect(job), "1 second"))
    reject(new Error("late"))
    await turn()
    process.off("unhandledRejection", listener)
    expect(unhandled).toEqual([])
  })

  it("makes nothing of an object with a `then` that is no function", async () => {
    const given = Object.defineProperty({ n: 1 }, word, { value: 5, enumerable: true })
    expect(await valueOf(Pipeline.collect(Pipeline.from([0]).pipe(Pipeline.map(() => given))))).toEqual([given])
  })
})

describe("an asynchronous iterable as a source", () => {
  const generated = (n: number, wait: () => Promise<unknown> = () => Promise.resolve()) => {
    const seen = { given: 0, closed: 0 }
    async function* generate() {
      try {
        for (const i of upTo(n)) {
          await wait()
          seen.given = i
          yield i
        }
      } finally {
        seen.closed += 1
      }
    }
    return { seen, generate }
  }

  it("is read to its end, and closed", async () => {
    const { generate, seen } = generated(5)
    expect(await valueOf(Pipeline.collect(Pipeline.from(generate())))).toEqual(upTo(5))
    expect(seen).toEqual({ given: 5, closed: 1 })
    const iterable: AsyncIterable<number> = { [Symbol.asyncIterator]: () => generated(3).generate() }
    const pipeline = Pipeline.from(iterable)
    // An iterable may be read again, unlike a generator.
    expect(await valueOf(Pipeline.collect(pipeline))).toEqual([1, 2, 3])
    expect(await valueOf(Pipeline.collect(pipeline))).toEqual([1, 2, 3])
  })

  it("is at most once, as it has no positions", async () => {
    const job = Pipeline.from(generated(3).generate()).pipe(Pipeline.to(Sink.discard))
    expect(job.guarantee).toBe("at-most-once")
    expect(await valueOf(Pipeline.run(job, { name: "a" }).pipe(Effect.provide(Journal.memory)))).toMatchObject({
      outcome: "done",
      settled: 3,
      position: Option.none()
    })
  })

  it.each([
    ["a step fails", (n: number) => (n === 3 ? Effect.fail("three") : Effect.succeed(n))],
    ["it is cancelled", (n: number) => (n === 3 ? Effect.never : Effect.succeed(n))]
  ] as const)("P9 is closed when %s, however much there is of it", async (_, step) => {
    const { generate, seen } = generated(10_000)
    const collected = Pipeline.from(generate()).pipe(
      Pipeline.map(step as (n: number) => Effect.Effect<number, string>),
      Pipeline.collect
    )
    await exitOf(
      Effect.gen(function* () {
        const fiber = yield* Effect.forkChild(Effect.exit(collected))
        yield* Effect.sleep("1 second")
        yield* Fiber.interrupt(fiber)
      })
    )
    await turn()
    expect(seen.closed).toBe(1)
    expect(seen.given).toBeLessThan(2000)
  })

  it("P9 is closed when the stream of it is left, and when it is drained", async () => {
    const left = generated(10_000)
    const stream = Pipeline.stream(Pipeline.from(left.generate()))
    expect([...(await valueOf(Stream.runCollect(Stream.take(stream, 3))))]).toEqual([1, 2, 3])
    const drained = generated(10_000)
    const job = Pipeline.from(drained.generate()).pipe(
      Pipeline.map((n) => Effect.as(Effect.sleep(10), n)),
      Pipeline.to(Sink.discard)
    )
    const summary = await valueOf(
      Effect.gen(function* () {
        const run = yield* Pipeline.start(job, { name: "d" })
        yield* Effect.sleep(25)
        yield* run.drain
        return yield* run.await
      }).pipe(TaskGroup.open, Effect.provide(Journal.memory))
    )
    expect(summary).toMatchObject({ outcome: "drained", resumable: false })
    await turn()
    expect([left.seen.closed, drained.seen.closed]).toEqual([1, 1])
  })

  it("dies with what it throws; a stream of it has a type for that", async () => {
    const torn = async function* () {
      yield 1
      throw new RangeError("torn")
    }
    const cause = await causeOf(Pipeline.collect(Pipeline.from(torn())))
    expect(defectOf(cause)).toEqual(new RangeError("torn"))
    const typed = Pipeline.from(Stream.fromAsyncIterable(torn(), refused))
    expect(Cause.squash(await causeOf(Pipeline.collect(typed)))).toEqual(refused("RangeError: torn"))
  })

  it("may be an iterable whose generator is closed too", async () => {
    let closed = 0
    function* generate() {
      try {
        for (let i = 1; ; i++) yield i
      } finally {
        closed += 1
      }
    }
    const step = (n: number) => (n === 3 ? Effect.fail("three") : Effect.succeed(n))
    await exitOf(Pipeline.collect(Pipeline.from(generate()).pipe(Pipeline.map(step))))
    expect(closed).toBe(1)
  })
})

describe("what is no source", () => {
  it.each([
    ["null", null],
    ["undefined", undefined],
    ["string", "characters"],
    ["number", 5],
    ["object", {}],
    ["object", { read: () => Stream.empty }],
    ["function", () => [1]],
    ["object", Promise.resolve([1])],
    ["an Effect", Effect.succeed([1])]
  ])("such as %s, is refused in words", (what, input) => {
    const make = () => Pipeline.from(input as Iterable<unknown>)
    expect(make).toThrow(TypeError)
    expect(make).toThrow(
      `Pipeline.from takes a Source, a Stream, an Iterable or an AsyncIterable, not ${what}. For the lines of a file`
    )
  })

  it("is nothing that is a source by its methods, whatever its class", async () => {
    class Own {
      name = "own"
      resumable = true
      private readonly inner = Source.list([1, 2], { name: "own" })
      get size() {
        return this.inner.size
      }
      fingerprint = this.inner.fingerprint
      read = this.inner.read
    }
    expect(await valueOf(Pipeline.collect(Pipeline.from(new Own())))).toEqual([1, 2])
  })
})
