import { describe, expect, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { Journal, Pipeline, Sink, Source, TaskGroup } from "skein"
import { Interrupt, Kill, Leaks, Sim } from "skein/testing"
import * as Store from "../support/store.ts"

/** Runs an effect in virtual time and gives its value. */
const valueOf = <A, E>(effect: Effect.Effect<A, E>): A => {
  const { exit } = Effect.runSync(Effect.tap(Sim.run(effect), Leaks.check))
  if (Exit.isFailure(exit)) throw Cause.squash(exit.cause)
  return exit.value
}
const errorOf = <A, E>(effect: Effect.Effect<A, E>): E => valueOf(Effect.flip(effect))

const numbers = (n: number) =>
  Source.list(
    Array.from({ length: n }, (_, i) => i + 1),
    { name: "numbers" }
  )

class Odd extends Schema.TaggedError<Odd>()("Odd", { message: Schema.String }) {}

/** Takes longer for some elements than for others, in virtual time. */
const uneven = (n: number) => Effect.as(Effect.sleep(n % 5 === 0 ? 50 : n % 3), n)

describe("collect", () => {
  it("P4 keeps the order of the input, whatever the concurrency", () => {
    const squares = Pipeline.from(numbers(100)).pipe(
      Pipeline.map((n) => Effect.map(uneven(n), (n) => n * n), { concurrency: 8 }),
      Pipeline.collect
    )
    expect(valueOf(squares)).toEqual(Array.from({ length: 100 }, (_, i) => (i + 1) ** 2))
  })

  it("P4 gives elements as they complete when told so", () => {
    const result = valueOf(
      Pipeline.from([50, 1, 20]).pipe(
        Pipeline.map((n) => Effect.as(Effect.sleep(n), n), { concurrency: 3, order: "completion" }),
        Pipeline.collect
      )
    )
    expect(result).toEqual([1, 20, 50])
  })

  it("works on no more than `concurrency` elements at once, and on that many", () => {
    let running = 0
    let most = 0
    const step = (n: number) =>
      Effect.gen(function* () {
        most = Math.max(most, ++running)
        yield* uneven(n)
        running -= 1
      })
    valueOf(Pipeline.from(numbers(200)).pipe(Pipeline.map(step, { concurrency: 7 }), Pipeline.collect))
    expect(most).toBe(7)
  })

  it("filters, fans out and batches", () => {
    const result = Pipeline.from(["a b", "", "c d e"]).pipe(
      Pipeline.filter((line) => line !== ""),
      Pipeline.flatMap((line) => Effect.as(Effect.sleep(5), line.split(" "))),
      Pipeline.batch(2),
      Pipeline.collect
    )
    expect(valueOf(result)).toEqual([["a", "b"], ["c", "d"], ["e"]])
  })

  it("sends a batch on when it waited long enough", () => {
    const slow = Stream.fromIterable([1, 2, 3]).pipe(Stream.tap((n) => Effect.sleep(n === 3 ? 1000 : 10)))
    const times: Array<readonly [number, ReadonlyArray<number>]> = []
    const run = Effect.runSync(
      Sim.run(
        Pipeline.from(slow).pipe(
          Pipeline.batch(10, { within: 100 }),
          Pipeline.map((batch) =>
            Effect.clockWith((clock) =>
              Effect.sync(() => {
                times.push([clock.currentTimeMillisUnsafe(), batch])
              })
            )
          ),
          Pipeline.collect
        )
      )
    )
    expect(Exit.isSuccess(run.exit)).toBe(true)
    const start = times[0]![0]
    expect(times.map(([time, batch]) => [time - start, batch])).toEqual([
      [0, [1, 2]],
      [910, [3]]
    ])
  })

  it("takes any iterable and any stream", () => {
    expect(valueOf(Pipeline.collect(Pipeline.from(new Set([1, 2]))))).toEqual([1, 2])
    expect(valueOf(Pipeline.collect(Pipeline.from(Stream.make(1, 2))))).toEqual([1, 2])
    expect(valueOf(Pipeline.collect(Pipeline.from([])))).toEqual([])
  })

  it.each([
    ["a string", "urls.txt", "not string"],
    ["nothing", null, "not null"],
    ["a promise", Promise.resolve([1]), "not object"],
    ["a function", () => [1], "not function"],
    ["an effect, though it can be iterated", Effect.succeed([1]), "not an Effect"]
  ])("refuses %s as a source, where types do not", (_, input: any, said) => {
    expect(() => Pipeline.from(input)).toThrow(said)
  })

  it("fails with the error of source or step, and stops the rest", () => {
    const log: Array<number> = []
    const step = (n: number) =>
      n === 3
        ? Effect.delay(Effect.fail("three"), 5)
        : Effect.onInterrupt(Effect.as(Effect.sleep(n * 100), n), () => Effect.sync(() => void log.push(n)))
    expect(errorOf(Pipeline.from(numbers(10)).pipe(Pipeline.map(step, { concurrency: 4 }), Pipeline.collect))).toBe(
      "three"
    )
    expect(log).toEqual([1, 2, 4])
    expect(errorOf(Pipeline.collect(Pipeline.from(Stream.fail("torn"))))).toBe("torn")
  })

  it("refuses a concurrency or batch size that makes no sense", () => {
    expect(() => Pipeline.map((n: number) => n, { concurrency: 0 })(Pipeline.from([1]))).toThrow("1 or more; got 0")
    expect(() => Pipeline.batch(1.5)(Pipeline.from([1]))).toThrow("whole number")
  })
})

describe("stream", () => {
  it("gives the elements in order, and fails as the pipeline does", () => {
    const all = Pipeline.from(numbers(2000)).pipe(Pipeline.map(uneven, { concurrency: 8 }), Pipeline.stream)
    expect(valueOf(Stream.runCollect(all))).toEqual(Array.from({ length: 2000 }, (_, i) => i + 1))
    const torn = Pipeline.from(numbers(9)).pipe(
      Pipeline.map((n) => (n === 5 ? Effect.fail("five") : Effect.succeed(n))),
      Pipeline.stream
    )
    expect(errorOf(Stream.runCollect(torn))).toBe("five")
  })

  it("stops the pipeline when nobody listens any more, and reads no more than a window ahead", () => {
    let read = 0
    const source = {
      ...numbers(100_000),
      read: () => Stream.tap(numbers(100_000).read(Option.none()), () => Effect.sync(() => void read++))
    }
    const some = Pipeline.from(source).pipe(
      Pipeline.map((n) => Effect.as(Effect.sleep(1), n), { concurrency: 4 }),
      Pipeline.stream,
      Stream.take(10),
      Stream.runCollect
    )
    const run = Effect.runSync(Effect.tap(Sim.run(some), Leaks.check))
    expect(Exit.isSuccess(run.exit) && run.exit.value).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
    expect(read).toBeLessThan(5000)
  })
})

describe("run", () => {
  it("writes every element and commits the last position as finished", () => {
    const store = Store.make<number>()
    const summary = valueOf(
      Pipeline.run(
        Pipeline.from(numbers(5000)).pipe(Pipeline.map(uneven, { concurrency: 16 }), Pipeline.to(store.table)),
        {
          name: "all",
          require: "exactly-once"
        }
      ).pipe(Effect.provide(Journal.memory))
    )
    expect(store.rows).toEqual(Array.from({ length: 5000 }, (_, i) => i + 1))
    expect(store.checkpoint).toMatchObject({ position: Option.some(5000), ahead: [], finished: true })
    expect(summary).toMatchObject({
      pipeline: "all",
      guarantee: "exactly-once",
      outcome: "done",
      resumable: false,
      resumed: false,
      settled: 5000,
      written: 5000
    })
  })

  it("P1 moves the watermark forward only, and never past an element that is not written", () => {
    const store = Store.make<number>()
    const job = Pipeline.from(numbers(500)).pipe(
      Pipeline.map(uneven, { concurrency: 8, order: "completion" }),
      Pipeline.to(store.table)
    )
    valueOf(Pipeline.run(job, { name: "w", maxRows: 7 }).pipe(Effect.provide(Journal.memory)))
    let last = 0
    for (const { checkpoint, rows } of store.commits) {
      const position = Option.getOrElse(checkpoint.position, () => 0) as number
      expect(position).toBeGreaterThanOrEqual(last)
      last = position
      const written = new Set(store.rows.slice(0, rows))
      expect(written.size).toBe(position + checkpoint.ahead.length)
      for (let n = 1; n <= position; n++) expect(written.has(n)).toBe(true)
      for (const ahead of checkpoint.ahead) expect(written.has(position + ahead)).toBe(true)
    }
    expect(store.commits.length).toBeGreaterThan(50)
  })

  it("P2 keeps no more elements open than the window holds", () => {
    const store = Store.make<number>()
    let read = 0
    let most = 0
    const source: Source.Source<number, never, never, number> = {
      ...numbers(500),
      read: (after) =>
        Stream.rechunk(
          Stream.tap(numbers(500).read(after), () => Effect.sync(() => void read++)),
          1
        )
    }
    const job = Pipeline.from(source).pipe(
      Pipeline.map(
        (n) =>
          Effect.delay(
            Effect.sync(() => {
              most = Math.max(most, read - store.rows.length)
              return n
            }),
            n === 1 ? 500 : 1
          ),
        { concurrency: 4 }
      ),
      Pipeline.to(store.table)
    )
    valueOf(Pipeline.run(job, { name: "w", window: { items: 20 } }).pipe(Effect.provide(Journal.memory)))
    expect(store.rows.length).toBe(500)
    // One more element is read than fits: it is what the reader waits with.
    expect(most).toBeLessThanOrEqual(21)
    expect(most).toBeGreaterThan(15)
  })

  it("P2 holds no more bytes than the window allows while steps make elements larger", () => {
    const store = Store.make<string>()
    let held = 0
    let most = 0
    const job = Pipeline.from(numbers(60)).pipe(
      Pipeline.map(
        (n) =>
          Effect.map(Effect.sleep(1), () => {
            most = Math.max(most, ++held)
            return "x".repeat(1000) + n
          }),
        { concurrency: 16 }
      ),
      Pipeline.to({
        ...store.table,
        open: (committed) =>
          Effect.map(store.table.open(committed), (writer) => ({
            write: (rows: ReadonlyArray<string>, since) =>
              Effect.tap(Effect.delay(writer.write(rows, since), 20), () =>
                Effect.sync(() => void (held -= rows.length))
              )
          }))
      })
    )
    valueOf(Pipeline.run(job, { name: "b", window: { bytes: 10_000 } }).pipe(Effect.provide(Journal.memory)))
    expect(store.rows.length).toBe(60)
    // What was begun before the limit was reached is finished: ten fit, and fifteen more workers were busy.
    expect(most).toBeLessThanOrEqual(10 + 16)
  })

  it("sends partial batches on when the window has no room for their rest", () => {
    const store = Store.make<ReadonlyArray<number>>()
    const job = Pipeline.from(numbers(25)).pipe(Pipeline.batch(100), Pipeline.to(store.table))
    valueOf(Pipeline.run(job, { name: "s", window: { items: 10 } }).pipe(Effect.provide(Journal.memory)))
    expect(store.rows.map((batch) => batch.length)).toEqual([10, 10, 5])
  })

  it("P15 hands steps an idempotency key that is the same for the same element in every run", () => {
    const keys: Array<Array<string>> = []
    for (let i = 0; i < 2; i++) {
      const seen: Array<string> = []
      const job = Pipeline.from(numbers(3)).pipe(
        Pipeline.flatMap((n) => [n, n]),
        Pipeline.map((n) => Effect.map(Pipeline.idempotencyKey, (key) => (seen.push(key), n)), {
          concurrency: 2
        }),
        Pipeline.to(Store.make<number>().table)
      )
      valueOf(Pipeline.run(job, { name: "keys" }).pipe(Effect.provide(Journal.memory)))
      keys.push(seen.toSorted())
    }
    expect(keys[0]).toEqual(keys[1])
    expect(new Set(keys[0]).size).toBe(6)
  })
})

describe("a step that fails", () => {
  const odd = (n: number) => (n % 2 === 1 ? Effect.succeed(n) : Effect.fail(new Odd({ message: `${n} is even` })))

  it("P5 ends the run after what is settled was committed", () => {
    const store = Store.make<number>()
    const failing = (n: number) => (n === 50 ? Effect.delay(Effect.fail("fifty"), 100) : uneven(n))
    const job = Pipeline.from(numbers(100)).pipe(Pipeline.map(failing, { concurrency: 4 }), Pipeline.to(store.table))
    expect(errorOf(Pipeline.run(job, { name: "f" }).pipe(Effect.provide(Journal.memory)))).toBe("fifty")
    expect(store.rows).toEqual(Array.from({ length: 49 }, (_, i) => i + 1))
    expect(store.checkpoint).toMatchObject({ position: Option.some(49), finished: false })
  })

  it("may skip the element, which is counted", () => {
    const store = Store.make<number>()
    const job = Pipeline.from(numbers(10)).pipe(Pipeline.map(odd, { onError: "skip" }), Pipeline.to(store.table))
    const summary = valueOf(Pipeline.run(job, { name: "s" }).pipe(Effect.provide(Journal.memory)))
    expect(store.rows).toEqual([1, 3, 5, 7, 9])
    expect(summary).toMatchObject({ settled: 10, written: 5, skipped: 5 })
  })

  it("P5 may keep the element as a dead letter, in the transaction of the sink", () => {
    const store = Store.make<number>()
    const job = Pipeline.from(numbers(4)).pipe(
      Pipeline.map(odd, { name: "only-odd", onError: { deadLetter: Schema.Number } }),
      Pipeline.to(store.table)
    )
    const summary = valueOf(Pipeline.run(job, { name: "d", version: "1.2" }).pipe(Effect.provide(Journal.memory)))
    expect(summary).toMatchObject({ settled: 4, written: 2, dead: 2 })
    expect(store.letters).toMatchObject([
      { step: "only-odd", input: 2, cause: "Odd: 2 is even", attempts: 1, position: 2, version: "1.2" },
      { step: "only-odd", input: 4, cause: "Odd: 4 is even", attempts: 1, position: 4, version: "1.2" }
    ])
  })

  it("never makes a dead letter of a defect or of a cancellation", () => {
    for (const broken of [Effect.die(new Error("bug")), Effect.interrupt]) {
      const store = Store.make<number>()
      const job = Pipeline.from(numbers(4)).pipe(
        Pipeline.map(() => Effect.as(broken, 1), { onError: { deadLetter: Schema.Number } }),
        Pipeline.to(store.table)
      )
      const { exit } = Effect.runSync(Sim.run(Pipeline.run(job, { name: "d" }).pipe(Effect.provide(Journal.memory))))
      expect(Exit.isFailure(exit)).toBe(true)
      expect(store.letters).toEqual([])
    }
  })

  it("P5 ends the run when more elements fail than its budget allows", () => {
    const store = Store.make<number>()
    const job = (maxDead: number | `${number}%`) =>
      Pipeline.run(
        Pipeline.from(numbers(1000)).pipe(
          Pipeline.map(odd, { name: "odd", onError: { deadLetter: Schema.Number, maxDead } }),
          Pipeline.to(store.table)
        ),
        { name: "budget" }
      ).pipe(Effect.provide(Journal.memory))
    const error = errorOf(job(3))
    expect(error).toBeInstanceOf(Pipeline.TooManyDeadLetters)
    expect(String(error)).toContain('step "odd" failed on 4 elements, more than its budget of 3')
    expect(errorOf(job("20%"))).toBeInstanceOf(Pipeline.TooManyDeadLetters)
    expect(valueOf(job("60%")).outcome).toBe("done")
  })
})

describe("replay", () => {
  it("runs dead letters again from their step, once, and marks them in the same commit", () => {
    const store = Store.make<string>()
    let broken = true
    const calls: Array<number> = []
    const job = Pipeline.from(numbers(6)).pipe(
      Pipeline.map((n) => n * 10),
      Pipeline.map(
        (n) => {
          calls.push(n)
          return broken && n >= 40 ? Effect.fail(new Odd({ message: "down" })) : Effect.succeed(`row ${n}`)
        },
        { name: "call", onError: { deadLetter: Schema.Number } }
      ),
      Pipeline.to(store.table)
    )
    const options = { name: "r" }
    valueOf(Pipeline.run(job, options).pipe(Effect.provide(Journal.memory)))
    expect(store.rows).toEqual(["row 10", "row 20", "row 30"])

    const still = valueOf(Pipeline.replay(job, options).pipe(Effect.provide(Journal.memory)))
    expect(still).toMatchObject({ settled: 3, written: 0, dead: 3, total: { settled: 6, dead: 3 } })
    expect(store.letters.filter((letter) => !letter.replayed).map((letter) => letter.input)).toEqual([40, 50, 60])

    broken = false
    calls.length = 0
    const summary = valueOf(Pipeline.replay(job, options).pipe(Effect.provide(Journal.memory)))
    expect(summary).toMatchObject({ settled: 3, written: 3, dead: 0, outcome: "done", total: { settled: 6, dead: 0 } })
    expect(calls).toEqual([40, 50, 60])
    expect(store.rows).toEqual(["row 10", "row 20", "row 30", "row 40", "row 50", "row 60"])
    expect(store.letters.every((letter) => letter.replayed)).toBe(true)
    expect(valueOf(Pipeline.replay(job, options).pipe(Effect.provide(Journal.memory))).settled).toBe(0)
    // The watermark of the source is untouched.
    expect(store.checkpoint).toMatchObject({ position: Option.some(6), finished: true, counts: { dead: 0 } })
  })

  it("refuses letters whose step is gone, and names the steps there are", () => {
    const store = Store.make<number>()
    const job = (name: string) =>
      Pipeline.from(numbers(1)).pipe(
        Pipeline.map(() => Effect.fail("no"), { name, onError: { deadLetter: Schema.Number } }),
        Pipeline.to(store.table)
      )
    valueOf(Pipeline.run(job("old"), { name: "r" }).pipe(Effect.provide(Journal.memory)))
    const error = errorOf(Pipeline.replay(job("new"), { name: "r" }).pipe(Effect.provide(Journal.memory)))
    expect(String(error)).toContain('step "old": could not run dead letter 1 again')
    expect(String(error)).toContain("it has new")
  })
})

describe("resume", () => {
  const job = (store: Store.Store<number>, n: number, failAt = 0) =>
    Pipeline.from(numbers(n)).pipe(
      Pipeline.map((n) => (n === failAt ? Effect.delay(Effect.fail("stop"), 60) : uneven(n)), {
        concurrency: 8,
        order: "completion"
      }),
      Pipeline.to(store.table)
    )

  it("P10 goes on behind the watermark and leaves out what was settled beyond it", () => {
    const store = Store.make<number>()
    errorOf(Pipeline.run(job(store, 100, 40), { name: "r", maxRows: 3 }).pipe(Effect.provide(Journal.memory)))
    expect(store.checkpoint!.ahead.length).toBeGreaterThan(0)
    const before = store.rows.length
    const summary = valueOf(Pipeline.run(job(store, 100), { name: "r" }).pipe(Effect.provide(Journal.memory)))
    expect(summary).toMatchObject({ resumed: true, outcome: "done", settled: 100 - before, total: { settled: 100 } })
    expect(store.rows.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 100 }, (_, i) => i + 1))
  })

  it("has nothing to do when the last run finished, unless told to start over", () => {
    const store = Store.make<number>()
    const options = { name: "r" }
    valueOf(Pipeline.run(job(store, 10), options).pipe(Effect.provide(Journal.memory)))
    expect(valueOf(Pipeline.run(job(store, 10), options).pipe(Effect.provide(Journal.memory))).settled).toBe(0)
    expect(store.rows.length).toBe(10)
    const again = Pipeline.run(job(store, 10), { ...options, onFinished: "restart" as const })
    expect(valueOf(again.pipe(Effect.provide(Journal.memory))).settled).toBe(10)
  })

  it("P10 refuses a source that changed and says what changed, unless told to start over", () => {
    const store = Store.make<number>()
    errorOf(Pipeline.run(job(store, 100, 40), { name: "r" }).pipe(Effect.provide(Journal.memory)))
    const settled = Option.getOrThrow(store.checkpoint!.position) as number
    const error = errorOf(Pipeline.run(job(store, settled - 1), { name: "r" }).pipe(Effect.provide(Journal.memory)))
    expect(error).toBeInstanceOf(Pipeline.SourceChanged)
    expect(String(error)).toContain(`count was ${settled}, is ${settled - 1}`)
    const over = Pipeline.run(job(store, settled - 1), { name: "r", onChanged: "restart" })
    expect(valueOf(over.pipe(Effect.provide(Journal.memory)))).toMatchObject({ settled: settled - 1, resumed: false })
  })
})

describe("drain", () => {
  it("P9 stops reading, finishes what is in flight, commits, and says that it can be resumed", () => {
    const store = Store.make<number>()
    const job = Pipeline.from(numbers(1000)).pipe(
      Pipeline.map((n) => Effect.as(Effect.sleep(10), n), { concurrency: 4 }),
      Pipeline.batch(7),
      Pipeline.to(store.table as unknown as Sink.Sink<ReadonlyArray<number>, never, never, "exactly-once">)
    )
    const run = Pipeline.run(job, { name: "d", window: { items: 50 } }).pipe(Effect.provide(Journal.memory))
    const [first] = valueOf(TaskGroup.open(Effect.all([run, Effect.delay(TaskGroup.stop(), 255)], { concurrency: 2 })))
    expect(first).toMatchObject({ outcome: "drained", resumable: true })
    expect(first.settled).toBeGreaterThan(100)
    expect(first.settled).toBeLessThan(1000)
    const flat = () => (store.rows as unknown as Array<ReadonlyArray<number>>).flat()
    expect(flat()).toEqual(Array.from({ length: first.settled }, (_, i) => i + 1))
    const second = valueOf(run)
    expect(second).toMatchObject({ outcome: "done", resumed: true, settled: 1000 - first.settled })
    expect(flat()).toEqual(Array.from({ length: 1000 }, (_, i) => i + 1))
  })

  it("leaves to the next run what was read and not begun, and so takes no longer than what is in flight", () => {
    const store = Store.make<number>()
    const job = Pipeline.from(numbers(1000)).pipe(
      Pipeline.map((n) => Effect.as(Effect.sleep(10), n), { concurrency: 4 }),
      Pipeline.to(store.table)
    )
    const run = Pipeline.run(job, { name: "d" }).pipe(Effect.provide(Journal.memory))
    const drained = Effect.runSync(
      Sim.run(TaskGroup.open(Effect.all([run, Effect.delay(TaskGroup.stop(), 255)], { concurrency: 2 })))
    )
    expect(drained.time).toBeLessThanOrEqual(265)
    expect(Exit.isSuccess(drained.exit) && drained.exit.value[0]).toMatchObject({ outcome: "drained", settled: 104 })
    expect(valueOf(run)).toMatchObject({ outcome: "done", settled: 896 })
    expect(store.rows).toEqual(Array.from({ length: 1000 }, (_, i) => i + 1))
  })

  it("P9 cancels what is not done by its deadline", () => {
    const store = Store.make<number>()
    const job = Pipeline.from(numbers(10)).pipe(
      Pipeline.map((n) => (n === 3 ? Effect.never : Effect.succeed(n))),
      Pipeline.to(store.table)
    )
    const run = Effect.runSync(
      Sim.run(
        TaskGroup.open(
          Effect.all(
            [
              Pipeline.run(job, { name: "d", drainWithin: "5 seconds" }).pipe(Effect.provide(Journal.memory)),
              Effect.delay(TaskGroup.stop(), 1000)
            ],
            { concurrency: 2 }
          )
        )
      )
    )
    expect(run.time).toBe(6000)
    expect(Exit.isSuccess(run.exit) && run.exit.value[0]).toMatchObject({ outcome: "drained", settled: 2 })
    expect(store.rows).toEqual([1, 2])
  })
})

describe("progress", () => {
  it("P11 is told once an interval, with rate and ETA", () => {
    const store = Store.make<number>()
    const seen: Array<Pipeline.Progress> = []
    const job = Pipeline.from(numbers(100)).pipe(
      Pipeline.map((n) => Effect.as(Effect.sleep(100), n)),
      Pipeline.to(store.table)
    )
    const run = Pipeline.run(job, {
      name: "p",
      progress: { interval: "3 seconds", on: (progress) => Effect.sync(() => void seen.push(progress)) }
    })
    valueOf(run.pipe(Effect.provide(Journal.memory)))
    expect(seen.length).toBe(3)
    expect(seen[1]).toMatchObject({ pipeline: "p", settled: 59 })
    expect(seen[1]!.rate).toBeCloseTo(9.83)
    expect(Duration.toSeconds(Option.getOrThrow(seen[1]!.eta))).toBeCloseTo(4.17)
  })
})

describe("the journal", () => {
  it("of the sink is used before that of the environment", () => {
    const [inside, outside] = [Store.make<number>(), Store.make<number>()]
    const job = Pipeline.from(numbers(3)).pipe(Pipeline.to(inside.table))
    valueOf(Pipeline.run(job, { name: "j" }).pipe(Effect.provideService(Journal.Journal, outside.journal)))
    expect(inside.checkpoint?.finished).toBe(true)
    expect(outside.checkpoint).toBeUndefined()
  })

  it("of two sinks must be the same", () => {
    const [one, other] = [Store.make<number>(), Store.make<number>()]
    const job = Pipeline.from(numbers(3)).pipe(Pipeline.to(Sink.all(one.table, other.table)))
    const { exit } = Effect.runSync(Sim.run(Pipeline.run(job, { name: "j" }).pipe(Effect.provide(Journal.memory))))
    expect(Exit.isFailure(exit) && String(Cause.squash(exit.cause))).toContain("different databases")
    expect([...one.rows, ...other.rows]).toEqual([])
  })
})

describe("a run that is killed at any step and started again", { timeout: 120_000 }, () => {
  // There are as many moments as elements, and each costs a run of all of them: several commits are enough.
  const last = process.env["SKEIN_DEEP"] === undefined ? 8 : 12
  // Killed: nothing of the process is left but what the store holds.
  const life = (guarantee: "table" | "file" | "elsewhere" | "both") => {
    const store = Store.make<number>()
    const steps = Pipeline.from(numbers(last)).pipe(
      Pipeline.map((n) => Effect.as(Effect.sleep(n % 3), n), { concurrency: 3, order: "completion" }),
      Pipeline.flatMap((n) => (n % 4 === 0 ? [] : [n, n + 100])),
      Pipeline.filter((n) => n !== 107)
    )
    const sinks = {
      table: store.table,
      file: store.file,
      elsewhere: store.elsewhere,
      both: Sink.all(store.table, store.file)
    }
    const job = steps.pipe(Pipeline.to(sinks[guarantee] as Sink.Sink<number, never, never, "at-least-once">))
    const run = Pipeline.run(job, { name: "k", maxRows: 3, window: { items: 6 } }).pipe(
      Effect.provideService(Journal.Journal, store.journal)
    )
    return { store, run }
  }
  const expected = Array.from({ length: last }, (_, i) => i + 1)
    .filter((n) => n % 4 !== 0)
    .flatMap((n) => [n, n + 100])
    .filter((n) => n !== 107)
    .toSorted((a, b) => a - b)
  const sorted = (ns: ReadonlyArray<number>) => ns.toSorted((a, b) => a - b)

  const finish = ({ run, store }: ReturnType<typeof life>) => {
    valueOf(run)
    expect(store.checkpoint).toMatchObject({ position: Option.some(last), finished: true })
  }

  it("P3 writes each row once where table and watermark are one transaction", () => {
    let now = life("table")
    const check = (run: Sim.Run<unknown, unknown>) => {
      Effect.runSync(Leaks.check(run))
      finish(now)
      expect(sorted(now.store.rows)).toEqual(expected)
    }
    const start = Effect.suspend(() => (now = life("table")).run)
    Effect.runSync(Kill.everywhere(start, { check: (run) => (now.store.free(), check(run)) }))
    Effect.runSync(Interrupt.everywhere(start, { check }))
    Effect.runSync(Sim.explore(start, { schedules: 200, check, stop: "interrupt" }))
  })

  it("writes each line once into a file that is cut back, behind what was there before", () => {
    let now = life("file")
    const check = (run: Sim.Run<unknown, unknown>) => {
      Effect.runSync(Leaks.check(run))
      finish(now)
      expect(now.store.file.lines[0]).toBe(0)
      expect(sorted(now.store.file.lines.slice(1))).toEqual(expected)
    }
    const start = Effect.suspend(() => {
      now = life("file")
      now.store.file.lines.push(0)
      return now.run
    })
    Effect.runSync(Kill.everywhere(start, { check: (run) => (now.store.free(), check(run)) }))
    Effect.runSync(Interrupt.everywhere(start, { check }))
  })

  it("writes each row and line once into table and file together", () => {
    let now = life("both")
    const check = (run: Sim.Run<unknown, unknown>) => {
      Effect.runSync(Leaks.check(run))
      finish(now)
      expect(sorted(now.store.rows)).toEqual(expected)
      expect(sorted(now.store.file.lines)).toEqual(expected)
    }
    const start = Effect.suspend(() => (now = life("both")).run)
    Effect.runSync(Kill.everywhere(start, { check: (run) => (now.store.free(), check(run)) }))
    Effect.runSync(Interrupt.everywhere(start, { check }))
  })

  it("loses nothing elsewhere, and doubles no more than the window", () => {
    let now = life("elsewhere")
    const check = (run: Sim.Run<unknown, unknown>) => {
      Effect.runSync(Leaks.check(run))
      finish(now)
      expect(sorted([...new Set(now.store.elsewhere.received)])).toEqual(expected)
      expect(now.store.elsewhere.received.length).toBeLessThanOrEqual(expected.length + 6 * 2)
    }
    const start = Effect.suspend(() => (now = life("elsewhere")).run)
    Effect.runSync(Kill.everywhere(start, { check: (run) => (now.store.free(), check(run)) }))
    Effect.runSync(Interrupt.everywhere(start, { check }))
  })
})

describe("Source.list", () => {
  const ids = (list: ReadonlyArray<number>) => Source.list(list, { name: "ids" })
  const run = (list: ReadonlyArray<number>, store: Store.Store<number>) =>
    Pipeline.run(Pipeline.from(ids(list)).pipe(Pipeline.to(store.table)), { name: "l" }).pipe(
      Effect.provide(Journal.memory)
    )

  it("goes on where elements were added", () => {
    const store = Store.make<number>()
    valueOf(run([1, 2, 3], store))
    expect(valueOf(run([1, 2, 3, 4], store))).toMatchObject({ written: 1, outcome: "done" })
    expect(store.rows).toEqual([1, 2, 3, 4])
  })

  it.each([[[1, 5, 3]], [[1, 2]], [[2, 1, 3]], [[12, 3]]])("refuses %j where 1, 2, 3 were settled", (list) => {
    const store = Store.make<number>()
    valueOf(run([1, 2, 3], store))
    const error = errorOf(run(list, store))
    expect(error).toBeInstanceOf(Pipeline.SourceChanged)
    expect(store.rows).toEqual([1, 2, 3])
  })

  it.effect("takes what version 0.1 kept of a list, which may have grown since", () =>
    Effect.gen(function* () {
      const bytes = new TextEncoder().encode("[1,2,3]")
      const sha256 = Buffer.from(yield* Effect.promise(() => crypto.subtle.digest("SHA-256", bytes))).toString("hex")
      const kept = { list: "ids", count: 3, sha256 }
      expect(yield* ids([1, 2, 3, 4]).changed!(kept, Option.some(2))).toEqual([])
      expect(yield* ids([1, 2, 4]).changed!(kept, Option.some(2))).not.toEqual([])
    })
  )
})
