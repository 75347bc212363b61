/** Sinks of other elements, sinks of calls, and several of them beside one another. */
import { describe, expect, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { Db, Journal, Pipeline, Sink } from "skein"
import { Drivers } from "skein/node"
import { Kill, Leaks, type Sim } from "skein/testing"
import { after, causeOf, numbers, sorted, upTo, valueOf } from "../support/jobs.ts"
import * as Store from "../support/store.ts"

const kept = { deadLetter: Schema.Number }
const given = <A, E>(run: Effect.Effect<A, E, Journal.Journal>) => Effect.provide(run, Journal.memory)

/** A function that takes some time, what it was called with, and how many of its calls were under way at most. */
const calls = (millis: number, fails: (n: number, call: number) => string | undefined = () => undefined) => {
  const seen = { all: [] as Array<number>, now: 0, most: 0, cut: 0 }
  const f = (n: number): Effect.Effect<number, string> =>
    Effect.suspend(() => {
      seen.all.push(n)
      seen.most = Math.max(seen.most, ++seen.now)
      const error = fails(n, seen.all.filter((one) => one === n).length)
      return error === undefined ? after(millis, n) : Effect.delay(Effect.fail(error), millis)
    }).pipe(
      Effect.onInterrupt(() => Effect.sync(() => void (seen.cut += 1))),
      Effect.ensuring(Effect.sync(() => void (seen.now -= 1)))
    )
  return { f, seen }
}

describe("Sink.mapInput", () => {
  it("is the same sink for other elements: it goes on where that one was, and its dead letters are the elements", () => {
    const store = Store.make<string>()
    const refusing: Sink.Sink<string, string, never, "effectively-once"> = {
      ...store.file,
      open: (opening) =>
        Effect.map(store.file.open(opening), (writer) => ({
          ...writer,
          write: (rows, since) => (rows.includes("n2") ? Effect.fail("two") : writer.write(rows, since))
        }))
    }
    const plain = Pipeline.from(numbers(1)).pipe(
      Pipeline.map((n) => `n${n}`),
      Pipeline.to(store.file)
    )
    valueOf(Store.given(store)(Pipeline.run(plain, { name: "m" })))
    const sink = Sink.mapInput(refusing, (n: number) => `n${n}`)
    const guarantee: "effectively-once" = sink.guarantee
    expect(guarantee).toBe("effectively-once")
    const job = Pipeline.from(numbers(4)).pipe(Pipeline.to(sink, { onError: kept }))
    valueOf(Store.given(store)(Pipeline.run(job, { name: "m" })))
    expect(store.file.lines).toEqual(["n1", "n3", "n4"])
    expect(store.letters.map(({ input }) => input)).toEqual([2])
  })

  it("is several sinks where that one is, and takes what one of them makes of a function with the data last", () => {
    const store = Store.make<number>()
    const both = Sink.mapInput((text: string) => text.length)(Sink.all(store.table, store.elsewhere))
    const job = Pipeline.from(["a", "bb"]).pipe(Pipeline.to(both))
    valueOf(Store.given(store)(Pipeline.run(job, { name: "m" })))
    expect([store.rows, store.elsewhere.received]).toEqual([
      [1, 2],
      [1, 2]
    ])
    expect(Object.keys(store.checkpoint!.sinks).toSorted()).toEqual(["elsewhere", "table"])
  })
})

describe("Sink.forEach", () => {
  const took = <E>(
    options: Sink.ForEachOptions & { readonly batch?: undefined },
    f: (n: number) => Effect.Effect<number, E>
  ) =>
    valueOf(
      Effect.timed(
        given(Pipeline.run(Pipeline.from(numbers(10)).pipe(Pipeline.to(Sink.forEach(f, options))), { name: "f" }))
      )
    )

  it("calls its function in the order of the elements, or as many at once as it is told", () => {
    const one = calls(10)
    expect(Duration.toMillis(took({}, one.f)[0])).toBe(100)
    expect([one.seen.all, one.seen.most]).toEqual([upTo(10), 1])
    const five = calls(10)
    const [time, summary] = took({ concurrency: 5, name: "five" }, five.f)
    expect([Duration.toMillis(time), five.seen.most, sorted(five.seen.all)]).toEqual([20, 5, upTo(10)])
    expect(summary.written).toBe(10)
    expect(() => Sink.forEach(one.f, { concurrency: 0 })).toThrow("Sink.forEach: concurrency must be a whole number, 1")
  })

  it("calls it with arrays of so many, in order within each", () => {
    const seen: Array<ReadonlyArray<number>> = []
    const sink = Sink.forEach(
      (batch: ReadonlyArray<number>) =>
        Effect.delay(
          Effect.sync(() => seen.push(batch)),
          10
        ),
      {
        batch: 4,
        concurrency: 2
      }
    )
    const [time] = valueOf(
      Effect.timed(given(Pipeline.run(Pipeline.from(numbers(10)).pipe(Pipeline.to(sink)), { name: "b" })))
    )
    expect(seen).toEqual([
      [1, 2, 3, 4],
      [5, 6, 7, 8],
      [9, 10]
    ])
    expect(Duration.toMillis(time)).toBe(20)
    expect(() => Sink.forEach(() => Effect.void, { batch: 0 })).toThrow("Sink.forEach: batch must be a whole number, 1")
  })

  it("P7 only those that it fails on meet the policy, each with its own error, and no other is called again", () => {
    const { f, seen } = calls(1, (n) => (n % 4 === 0 ? `${n} is bad` : undefined))
    const store = Store.make<number>()
    const job = Pipeline.from(numbers(20)).pipe(
      Pipeline.to(Sink.forEach(f, { concurrency: 3, name: "out" }), { onError: kept })
    )
    const summary = valueOf(Store.given(store)(Pipeline.run(job, { name: "bad" })))
    expect(summary).toMatchObject({ settled: 20, written: 15, dead: 5 })
    expect(store.letters.map(({ cause, input, step }) => [step, input, cause])).toEqual(
      [4, 8, 12, 16, 20].map((n) => ["out", n, `${n} is bad`])
    )
    expect(sorted(seen.all)).toEqual(upTo(20))
  })

  it("P7 one that fails is tried again as the policy says, alone, before it is given up", () => {
    const { f, seen } = calls(1, (n, call) => (n === 3 || (n === 5 && call < 3) ? "busy" : undefined))
    const job = Pipeline.from(numbers(6)).pipe(
      Pipeline.to(Sink.forEach(f), { onError: "skip", retry: { retries: 3, backoff: { base: 1 } } })
    )
    expect(valueOf(given(Pipeline.run(job, { name: "again" })))).toMatchObject({ written: 5, skipped: 1 })
    const times = upTo(6).map((n) => seen.all.filter((one) => one === n).length)
    expect(times).toEqual([1, 1, 4, 1, 3, 1])
  })

  it("P7 the elements of an array that fails are found by halves, and those of the others are called once", () => {
    const seen: Array<ReadonlyArray<number>> = []
    const f = (batch: ReadonlyArray<number>) => {
      seen.push(batch)
      return batch.includes(6) || batch.includes(7) ? Effect.fail("no") : Effect.void
    }
    const job = Pipeline.from(numbers(12)).pipe(Pipeline.to(Sink.forEach(f, { batch: 4 }), { onError: "skip" }))
    expect(valueOf(given(Pipeline.run(job, { name: "h" })))).toMatchObject({ written: 10, skipped: 2 })
    const good = seen.filter((batch) => !batch.includes(6) && !batch.includes(7)).flat()
    expect(sorted(good)).toEqual(upTo(12).filter((n) => n !== 6 && n !== 7))
  })

  it("P5 the first failure ends the run by default, stops the calls beside it, and says of which element it was", () => {
    const { f, seen } = calls(10, (n) => (n === 2 ? "two" : undefined))
    const slow = (n: number) => (n === 2 ? f(n) : Effect.andThen(f(n), Effect.sleep(1000)))
    const job = Pipeline.from(numbers(10)).pipe(Pipeline.to(Sink.forEach(slow, { concurrency: 3, name: "out" })))
    const cause = causeOf(given(Pipeline.run(job, { name: "ends" })))
    expect(Option.getOrUndefined(Pipeline.failedAt(cause))).toMatchObject({ step: "out", position: 2, input: 2 })
    expect(seen.all).toEqual([1, 2, 3])
    expect(seen.now).toBe(0)
  })

  it("is called again for what the transaction of a database has undone, so that nothing of it is lost", async () => {
    const Row = Schema.Struct({ n: Schema.Int })
    const insert = (n: number) => Db.execute`INSERT INTO plain (n) VALUES (${n})`
    const f = (n: number) => Effect.andThen(insert(n), n % 3 === 0 ? Effect.fail("a third") : Effect.void)
    const job = Pipeline.from(numbers(7)).pipe(Pipeline.to(Sink.forEach(f), { onError: "skip" }))
    const program = Effect.gen(function* () {
      yield* Db.execute`CREATE TABLE plain (n INTEGER)`
      const summary = yield* Pipeline.run(job, { name: "undone" })
      return [summary.written, yield* Db.query(Row)`SELECT n FROM plain ORDER BY n`] as const
    }).pipe(Effect.provide(Db.sqlite(":memory:").pipe(Layer.provide(Drivers.layer))))
    const [written, rows] = await Effect.runPromise(program)
    expect(written).toBe(5)
    expect(rows.map(({ n }) => n)).toEqual([1, 2, 4, 5, 7])
  })
})

/** A sink whose writes take some time, and when the first began and the last ended. */
const timed = <A, E, R, G extends Sink.Guarantee>(sink: Sink.Sink<A, E, R, G>, millis: number) => {
  const seen = { began: Infinity, ended: 0, rows: [] as Array<A>, cut: 0 }
  const now = Effect.clockWith((clock) => clock.currentTimeMillis)
  const slow: Sink.Sink<A, E, R, G> = {
    ...sink,
    open: (opening) =>
      Effect.map(sink.open(opening), (writer) => ({
        ...writer,
        write: (rows, since) =>
          rows.length === 0
            ? writer.write(rows, since)
            : Effect.gen(function* () {
                seen.began = Math.min(seen.began, yield* now)
                yield* Effect.sleep(millis)
                const state = yield* writer.write(rows, since)
                seen.ended = yield* now
                seen.rows.push(...rows)
                return state
              }).pipe(Effect.onInterrupt(() => Effect.sync(() => void (seen.cut += 1))))
      }))
  }
  return { seen, sink: slow }
}

describe("sinks beside one another", () => {
  const named = <S extends Sink.Sink<number, never, never, Sink.Guarantee>>(sink: S, name: string): S => ({
    ...sink,
    name,
    identity: Effect.succeed(name)
  })

  it("are written at once: tables in turn in their transaction, files beside them, and then the rest, beside one another", () => {
    const [store, other] = [Store.make<number>(), Store.make<number>()]
    const table = timed(store.table, 100)
    const second = timed(named(store.table, "second"), 100)
    const file = timed(store.file, 150)
    const more = timed(named(other.file, "more"), 150)
    const one = timed(store.elsewhere, 100)
    const two = timed(named(other.elsewhere, "two"), 300)
    const sink = Sink.all(two.sink, one.sink, file.sink, table.sink, more.sink, second.sink)
    const job = Pipeline.from(numbers(3)).pipe(Pipeline.to(sink))
    valueOf(Store.given(store)(Pipeline.run(job, { name: "all" })))
    const times = [table, second, file, more, one, two].map(({ seen: { began, ended } }) => [began, ended])
    expect(times).toEqual([
      [0, 100],
      [100, 200],
      [0, 150],
      [0, 150],
      [200, 300],
      [200, 500]
    ])
    expect(sorted(store.rows)).toEqual([1, 1, 2, 2, 3, 3])
    for (const rows of [store.file.lines, other.file.lines, store.elsewhere.received, other.elsewhere.received])
      expect(rows).toEqual([1, 2, 3])
  })

  it("P7 what one refuses that can be undone reaches none that cannot, and none of what several refuse is lost", () => {
    const [store, other] = [Store.make<number>(), Store.make<number>()]
    const refusing = (sink: Sink.Sink<number, never, never, Sink.Guarantee>, bad: number) => ({
      ...sink,
      open: (opening: Sink.Opening) =>
        Effect.map(sink.open(opening), (writer): Sink.Writer<number, string, never> => ({
          ...writer,
          write: (rows, since) => (rows.includes(bad) ? Effect.fail(`no ${bad}`) : writer.write(rows, since))
        }))
    })
    const sinks = [
      refusing(store.table, 2),
      refusing(store.file, 3),
      refusing(store.elsewhere, 4),
      refusing(named(other.elsewhere, "other"), 5)
    ] as const
    const job = Pipeline.from(numbers(6)).pipe(Pipeline.to(Sink.all(...sinks), { name: "out", onError: kept }))
    expect(valueOf(Store.given(store)(Pipeline.run(job, { name: "r" })))).toMatchObject({ written: 2, dead: 4 })
    expect(store.letters.map(({ cause, input }) => [input, cause]).toSorted()).toEqual(
      [2, 3, 4, 5].map((n) => [n, `no ${n}`])
    )
    expect([store.rows, store.file.lines]).toEqual([
      [1, 6],
      [1, 6]
    ])
    // They cannot take back what they have done before another refused it, and are not given it again.
    for (const received of [store.elsewhere.received, other.elsewhere.received]) {
      expect(received.filter((n) => n === 2 || n === 3)).toEqual([])
      expect(received.filter((n) => n === 1 || n === 6)).toEqual([1, 6])
    }
  })

  it("are cancelled where one fails, and written again but for what is written and stays", () => {
    const store = Store.make<number>()
    let left = 2
    const failing: Sink.Sink<number, string, never, "at-least-once"> = {
      ...named(store.elsewhere, "failing"),
      open: () =>
        Effect.succeed({
          atFault: () => "batch" as const,
          write: (rows) =>
            rows.length > 0 && left-- > 0 ? Effect.delay(Effect.fail("busy"), 50) : Effect.succeed(null)
        })
    }
    const quick = timed(store.elsewhere, 10)
    const slow = timed(named(Store.make<number>().elsewhere, "slow"), 100)
    const job = Pipeline.from(numbers(2)).pipe(
      Pipeline.to(Sink.all(failing, quick.sink, slow.sink), { retry: { backoff: { base: 0 } } })
    )
    valueOf(given(Pipeline.run(job, { name: "again" })))
    expect(slow.seen.cut).toBe(2)
    expect([quick.seen.rows, slow.seen.rows]).toEqual([
      [1, 2],
      [1, 2]
    ])
  })

  it("P3 double nothing that can be undone, wherever they are killed", { timeout: 120_000 }, () => {
    let stores!: readonly [Store.Store<number>, Store.Store<number>]
    const run = () => {
      const [store, other] = stores
      const last = named(other.elsewhere, "last")
      const sink = Sink.all(store.table, store.file, named(other.file, "more"), store.elsewhere, last)
      return Store.given(store)(
        Pipeline.run(Pipeline.from(numbers(3)).pipe(Pipeline.to(sink)), { name: "killed", maxRows: 2 })
      )
    }
    const start = Effect.suspend(() => {
      stores = [Store.make<number>(), Store.make<number>()]
      stores[0].twice = true
      return run()
    })
    const check = (now: Sim.Run<unknown, unknown>) => {
      if (!now.stopped) Effect.runSync(Effect.andThen(now.exit, Leaks.check(now)))
      const [store, other] = stores
      store.free()
      expect(valueOf(run())).toMatchObject({ outcome: "done" })
      for (const rows of [store.rows, store.file.lines, other.file.lines]) expect(rows).toEqual(upTo(3))
      for (const { received } of [store.elsewhere, other.elsewhere]) {
        expect(sorted([...new Set(received)])).toEqual(upTo(3))
        expect(received.length).toBeLessThanOrEqual(5)
      }
    }
    Effect.runSync(Kill.everywhere(start, { at: "suspension", check }))
  })
})
