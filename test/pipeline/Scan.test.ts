/** Steps with a state, which is kept in the checkpoint: what they give is what one run gives that nothing disturbs. */
import { describe, expect, it } from "@effect/vitest"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { Journal, Pipeline, Sink, Source, TaskGroup } from "skein"
import { Leaks, Sim } from "skein/testing"
import { after, causeOf, errorOf, numbers, upTo, valueOf } from "../support/jobs.ts"
import * as Store from "../support/store.ts"

/** Runs until it is done, past every fault. */
const finish = <A>(store: Store.Store<A>, run: Effect.Effect<Pipeline.Summary, unknown>): void => {
  store.free()
  const { exit } = Effect.runSync(Effect.tap(Sim.run(run), Leaks.check))
  if (Exit.isFailure(exit)) throw new Error(String(exit.cause))
  expect(exit.value.outcome).toBe("done")
}

const sum = Pipeline.scan(0, (sum: number, n: number) => [sum + n, sum + n], { state: Schema.Number, name: "sum" })
const sums = (list: ReadonlyArray<number>) => {
  let sum = 0
  return list.map((n) => (sum += n))
}

describe("scan", () => {
  it.each([
    ["values", (sum: number, n: number) => [sum + n, sum + n]],
    ["effects", (sum: number, n: number) => after(n % 3, [sum + n, sum + n])],
    [
      "now these, now those",
      (sum: number, n: number) => (n % 2 === 0 ? [sum + n, sum + n] : after(1, [sum + n, sum + n]))
    ]
  ] as const)("takes one element after the other with its state, where it gives %s", (_, f) => {
    const pipeline = Pipeline.from(upTo(300)).pipe(
      Pipeline.map((n) => after(n % 5, n), { concurrency: 4 }),
      Pipeline.scan(0, f as unknown as (sum: number, n: number) => readonly [number, number], { state: Schema.Number }),
      Pipeline.map((n) => after(n % 3, n), { concurrency: 4 }),
      Pipeline.collect
    )
    expect(valueOf(pipeline)).toEqual(sums(upTo(300)))
  })

  it("takes promises", async () => {
    const pipeline = Pipeline.from([1, 2, 3]).pipe(
      Pipeline.scan(0, async (sum, n) => [sum + n, sum + n], { state: Schema.Number }),
      Pipeline.collect
    )
    expect(await Effect.runPromise(pipeline)).toEqual([1, 3, 6])
  })

  it("goes on with its state in the next run, and anew after a restart", () => {
    const store = Store.make<number>()
    const run = (count: number, restart = false) =>
      valueOf(
        Store.given(store)(
          Pipeline.run(Pipeline.from(numbers(count)).pipe(sum, Pipeline.to(store.table)), { name: "sums", restart })
        )
      )
    run(3)
    expect(store.checkpoint?.steps).toEqual({ sum: { state: 6, position: 3 } })
    run(5)
    expect(store.rows).toEqual(sums(upTo(5)))
    run(5, true)
    expect(store.rows).toEqual([...sums(upTo(5)), ...sums(upTo(5))])
  })

  it("leaves its state alone where an element fails that is skipped or kept", () => {
    const store = Store.make<number>()
    let mended = false
    const add = (sum: number, n: number) =>
      n % 2 === 0 && !mended ? Effect.fail("even") : Effect.succeed([sum + n, sum + n] as const)
    const job = Pipeline.from(numbers(5)).pipe(
      Pipeline.scan(0, add, { state: Schema.Number, onError: { deadLetter: Schema.Number } }),
      Pipeline.to(store.table)
    )
    const given = Store.given(store)
    expect(valueOf(given(Pipeline.run(job, { name: "odd" })))).toMatchObject({ written: 3, dead: 2 })
    expect(store.rows).toEqual([1, 4, 9])
    mended = true
    valueOf(given(Pipeline.replay(job, { name: "odd" })))
    expect(store.rows).toEqual([1, 4, 9, 11, 15])
    expect(store.checkpoint?.steps).toEqual({ scan: { state: 15, position: 4 } })
  })

  it("ends the run by an error of its own, and by what is no state", () => {
    const run = (f: (sum: number, n: number) => never) =>
      causeOf(
        Pipeline.run(
          Pipeline.from(numbers(3)).pipe(Pipeline.scan(0, f, { state: Schema.Number }), Pipeline.to(Sink.discard)),
          { name: "bad" }
        ).pipe(Effect.provide(Journal.memory))
      )
    const typed = run(((sum: number, n: number) => (n === 2 ? Effect.fail("two") : [sum, n])) as never)
    expect(Pipeline.failedAt(typed)).toMatchObject({ value: { step: "scan", position: 2, input: 2 } })
    expect(String(run(((_: number, n: number) => n) as never))).toMatch(/Step "scan" has to give \[state, output\]/)
    expect(String(run((() => Effect.succeed(1)) as never))).toMatch(/Step "scan" has to give \[state, output\]/)
  })

  it("is refused with a state that its schema does not read, and fails by one that it does not write", () => {
    const store = Store.make<number>()
    const run = (state: Schema.Codec<any, any>, count: number, f = (sum: any, n: number) => [sum + n, n] as const) =>
      Store.given(store)(
        Pipeline.run(Pipeline.from(numbers(count)).pipe(Pipeline.scan(0, f, { state }), Pipeline.to(store.table)), {
          name: "sums"
        })
      )
    valueOf(run(Schema.Number, 2))
    const unread = errorOf(run(Schema.String, 4))
    expect(unread).toBeInstanceOf(Pipeline.BadState)
    expect((unread as Error).message).toMatch(/step "scan": could not go on from its state: .*restart: true/s)
    const unkept = errorOf(run(Schema.Number, 4, (_, n) => ["no number", n]))
    expect((unkept as Error).message).toMatch(/step "scan": could not keep its state: .*Let the schema say/s)
    expect(store.rows).toEqual([1, 2])
    valueOf(run(Schema.Number, 4))
    expect(store.rows).toEqual([1, 2, 3, 4])
  })

  it("keeps a state that is no JSON by its schema", () => {
    const store = Store.make<number>()
    const days = Schema.Struct({ first: Schema.Date, seen: Schema.ReadonlySet(Schema.Number) })
    const job = (count: number) =>
      Pipeline.from(numbers(count)).pipe(
        Pipeline.scan(
          { first: new Date(0), seen: new Set<number>() },
          ({ first, seen }, n) => [{ first, seen: new Set([...seen, n]) }, seen.size + first.getTime()],
          { state: days }
        ),
        Pipeline.to(store.table)
      )
    const given = Store.given(store)
    valueOf(given(Pipeline.run(job(2), { name: "days" })))
    JSON.stringify(store.checkpoint)
    valueOf(given(Pipeline.run(job(4), { name: "days" })))
    expect(store.rows).toEqual([0, 1, 2, 3])
  })

  it.each([
    ["in order", "input", 1, 1],
    ["as they complete before and behind it", "completion", 1, 1],
    ["in batches before and behind it", "completion", 3, 3],
    ["in batches behind it of what is far apart", "input", 1, 2]
  ] as const)("P2 kill anywhere: elements %s are each in its state once", (name, order, size, behind) => {
    const count = 12
    let store!: Store.Store<readonly [n: number, sum: number]>
    const run = () =>
      Store.given(store)(
        Pipeline.run(
          Pipeline.from(numbers(count)).pipe(
            Pipeline.filter((n) => n % 5 !== 0),
            Pipeline.map((n) => after(n % 3, n), { concurrency: 3, order }),
            Pipeline.batch(size),
            Pipeline.flatMap((all) => all),
            Pipeline.scan(0, (sum, n) => [sum + n, [n, sum + n] as const], { state: Schema.Number }),
            Pipeline.map(([n, sum]) => after((n * 7) % 4, [n, sum] as const), { concurrency: 3, order: "completion" }),
            Pipeline.batch(behind),
            Pipeline.flatMap((all) => all),
            Pipeline.to(store.table)
          ),
          { name: "sums", window: { items: 5 }, maxRows: 2, commitEvery: 1 }
        )
      )
    const start = Effect.suspend(() => {
      store = Store.make()
      return run()
    })
    const elements = upTo(count).filter((n) => n % 5 !== 0)
    const check = () => {
      finish(store, run())
      const ordered = store.rows.toSorted(([, a], [, b]) => a - b)
      if (name === "in order") expect(ordered.map(([n]) => n)).toEqual(elements)
      else expect(ordered.map(([n]) => n).toSorted((a, b) => a - b)).toEqual(elements)
      expect(ordered.map(([, sum]) => sum)).toEqual(sums(ordered.map(([n]) => n)))
      expect(store.checkpoint?.counts).toMatchObject({ settled: count, written: elements.length })
    }
    Effect.runSync(Sim.explore(start, { schedules: 40, check, stop: "kill" }))
  })

  it("P2 kill anywhere: what has nothing to write does not settle before what went through it before", () => {
    let store!: Store.Store<number>
    const run = () =>
      Store.given(store)(
        Pipeline.run(
          Pipeline.from(numbers(12)).pipe(
            sum,
            Pipeline.filter((sum) => sum % 3 !== 0),
            Pipeline.to(store.table)
          ),
          { name: "sums", maxRows: 1 }
        )
      )
    const start = Effect.suspend(() => {
      store = Store.make()
      return run()
    })
    const check = () => {
      finish(store, run())
      expect(store.rows).toEqual(sums(upTo(12)).filter((sum) => sum % 3 !== 0))
    }
    Effect.runSync(Sim.explore(start, { schedules: 40, check, stop: "kill" }))
  })

  it("P2 kill anywhere: two of them, in orders of their own, agree with what is written", () => {
    const count = 8
    let store!: Store.Store<{ readonly n: number; readonly one: number; readonly two: number }>
    interface Sums {
      readonly n: number
      readonly one: number
      readonly two: number
    }
    const add = (name: "one" | "two") =>
      Pipeline.scan(0, (sum, value: Sums) => [sum + value.n, { ...value, [name]: sum + value.n }], {
        state: Schema.Number,
        name
      })
    const run = () =>
      Store.given(store)(
        Pipeline.run(
          Pipeline.from(numbers(count)).pipe(
            Pipeline.map((n): Sums => ({ n, one: 0, two: 0 })),
            add("one"),
            Pipeline.map((value) => after((value.n * 5) % 7, value), { concurrency: 4, order: "completion" }),
            add("two"),
            Pipeline.map((value) => after((value.n * 3) % 5, value), { concurrency: 4, order: "completion" }),
            Pipeline.to(store.table)
          ),
          { name: "sums", maxRows: 1 }
        )
      )
    const start = Effect.suspend(() => {
      store = Store.make()
      return run()
    })
    const check = () => {
      finish(store, run())
      for (const name of ["one", "two"] as const) {
        const ordered = store.rows.toSorted((a, b) => a[name] - b[name])
        expect(ordered.map((row) => row[name])).toEqual(sums(ordered.map(({ n }) => n)))
        expect(ordered).toHaveLength(count)
      }
    }
    Effect.runSync(Sim.explore(start, { schedules: 60, check, stop: "kill" }))
  })

  it("P16 kill anywhere: an element is written with one state, though its parts are many and others may come before it in the next run", () => {
    let store!: Store.Store<string>
    let runs = 0
    const slow = (n: number) => n % 3 === runs % 3
    const count = Pipeline.scan(0, (count: number, n: number) => [count + 1, `${n} is ${count + 1}`], {
      state: Schema.Number,
      name: "count"
    })
    const partsOf = (text: string) =>
      Stream.fromIterable(["a", "b", "c"]).pipe(
        Stream.rechunk(1),
        Stream.mapEffect((part) => after(1, `${part} of ${text}`))
      )
    const run = (all: Pipeline.Pipeline<number, never, never, number>) =>
      Effect.suspend(() => {
        runs += 1
        const job = all.pipe(
          count,
          Pipeline.flatMap(partsOf, { concurrency: 3, order: "completion" }),
          Pipeline.to(store.table)
        )
        return Store.given(store)(Pipeline.run(job, { name: "work", maxRows: 1, commitEvery: 0 }))
      })
    const slowly = Pipeline.map((n: number) => after(slow(n) ? 5 : 0, n), { concurrency: 3, order: "completion" })
    const [one, two] = [upTo(3), [4, 5, 6]].map((list, i) => Pipeline.from(Source.list(list, { name: `list ${i}` })))
    const orders: ReadonlyArray<Pipeline.Pipeline<number, never, never, number>> = [
      Pipeline.from(Source.list(upTo(6), { name: "list" })).pipe(slowly),
      one!.pipe(
        Pipeline.map((n) => after(slow(n) ? 5 : 0, n)),
        Pipeline.merge(two!)
      )
    ]
    for (const all of orders) {
      const start = Effect.suspend(() => {
        store = Store.make<string>()
        runs = 0
        return run(all)
      })
      const check = () => {
        finish(store, run(all))
        const states = new Set(store.rows.map((row) => row.slice("a of ".length)))
        expect(Array.from(states, (text) => text.at(-1)).toSorted()).toEqual(["1", "2", "3", "4", "5", "6"])
        expect(store.rows).toHaveLength(18)
      }
      Effect.runSync(Sim.explore(start, { schedules: 60, check, stop: "kill" }))
    }
  })

  it("P9 is drained at any moment, and goes on as if it had not been", () => {
    const store = Store.make<number>()
    const job = Pipeline.from(numbers(20)).pipe(
      Pipeline.map((n) => after(5, n)),
      sum,
      Pipeline.map((n) => after(n % 4, n), { concurrency: 3, order: "completion" }),
      Pipeline.to(store.table)
    )
    const given = Store.given(store)
    const drained = (millis: number) =>
      TaskGroup.open(
        Effect.all([given(Pipeline.run(job, { name: "sums" })), Effect.delay(TaskGroup.stop(), millis)], {
          concurrency: 2
        })
      )
    for (const millis of [1, 13, 28]) expect(valueOf(drained(millis))[0].outcome).toBe("drained")
    expect(valueOf(given(Pipeline.run(job, { name: "sums" }))).outcome).toBe("done")
    expect(store.rows.toSorted((a, b) => a - b)).toEqual(sums(upTo(20)))
  })
})

interface Click {
  readonly at: number
  readonly n: number
}
const clicks = (list: ReadonlyArray<readonly [at: number, n: number]>): Source.Source<Click, never, never, number> =>
  Source.list(
    list.map(([at, n]) => ({ at, n })),
    { name: "clicks" }
  )
const adding = { initial: 0, add: (sum: number, { n }: Click) => sum + n, state: Schema.Number }
const total = Pipeline.window({ every: 10, at: ({ at }: Click) => at }, adding)
type Total = Pipeline.Aggregate<number>
const short = ({ count, from, to, value }: Total) => [from, to, count, value]

describe("window", () => {
  it("gives what the elements of each come to, by time, once a later one has begun, and what is left at the end", () => {
    const list = [
      [0, 1],
      [9, 2],
      [10, 3],
      [35, 4],
      [31, 5]
    ] as const
    const all = Pipeline.from(clicks(list)).pipe(total, Pipeline.map(short), Pipeline.collect)
    expect(valueOf(all)).toEqual([
      [0, 10, 2, 3],
      [10, 20, 1, 3],
      [30, 40, 2, 9]
    ])
  })

  it("takes times as dates, and those before 1970", () => {
    const run = (at: (click: Click) => Date | DateTime.DateTime) =>
      valueOf(
        Pipeline.from(
          clicks([
            [-1, 1],
            [0, 2],
            [11, 3]
          ])
        ).pipe(Pipeline.window({ every: "10 millis", at }, adding), Pipeline.map(short), Pipeline.collect)
      )
    const expected = [
      [-10, 0, 1, 1],
      [0, 10, 1, 2],
      [10, 20, 1, 3]
    ]
    expect(run(({ at }) => new Date(at))).toEqual(expected)
    expect(run(({ at }) => DateTime.makeUnsafe(at))).toEqual(expected)
  })

  it("gives each so many elements, the last one fewer", () => {
    const all = Pipeline.from(numbers(7)).pipe(
      Pipeline.window({ count: 3 }, { initial: 0, add: (sum, n) => sum + n, state: Schema.Number }),
      Pipeline.map(short),
      Pipeline.collect
    )
    expect(valueOf(all)).toEqual([
      [0, 3, 3, 6],
      [3, 6, 3, 15],
      [6, 9, 1, 7]
    ])
  })

  it("drops what comes when its window is closed, and waits as long as late says", () => {
    const list = [
      [5, 1],
      [12, 1],
      [8, 1],
      [19, 1],
      [9, 1],
      [25, 1],
      [9, 1]
    ] as const
    const run = (late: number) => {
      const store = Store.make<ReadonlyArray<number>>()
      const job = Pipeline.from(clicks(list)).pipe(
        Pipeline.window({ every: 10, at: ({ at }) => at, late }, adding),
        Pipeline.map(short),
        Pipeline.to(store.table)
      )
      const { filtered } = valueOf(Store.given(store)(Pipeline.run(job, { name: "late" })))
      return [filtered, store.rows]
    }
    expect(run(0)).toEqual([
      3,
      [
        [0, 10, 1, 1],
        [10, 20, 2, 2],
        [20, 30, 1, 1]
      ]
    ])
    expect(run(9)).toEqual([
      2,
      [
        [0, 10, 2, 2],
        [10, 20, 2, 2],
        [20, 30, 1, 1]
      ]
    ])
    expect(run(10)).toEqual([
      1,
      [
        [0, 10, 3, 3],
        [10, 20, 2, 2],
        [20, 30, 1, 1]
      ]
    ])
    expect(run(1000)).toEqual([
      0,
      [
        [0, 10, 4, 4],
        [10, 20, 2, 2],
        [20, 30, 1, 1]
      ]
    ])
  })

  it("settles elements as they come, however many a window has", () => {
    const store = Store.make<Total>()
    const job = Pipeline.from(clicks(upTo(500).map((n) => [n / 100, 1] as const))).pipe(total, Pipeline.to(store.table))
    const summary = valueOf(Store.given(store)(Pipeline.run(job, { name: "many", window: { items: 10 } })))
    expect(summary).toMatchObject({ settled: 500, written: 1 })
    expect(store.commits.length).toBeGreaterThan(20)
    expect(store.rows.map(short)).toEqual([[0, 10, 500, 500]])
  })

  it("gives a window whole once more where a finished source has grown, and nothing where it has not", () => {
    const store = Store.make<Total>()
    const run = (list: ReadonlyArray<readonly [number, number]>) =>
      valueOf(
        Store.given(store)(
          Pipeline.run(Pipeline.from(clicks(list)).pipe(total, Pipeline.to(store.table)), { name: "grows" })
        )
      )
    const first = [
      [1, 1],
      [2, 2]
    ] as const
    run(first)
    run(first)
    expect(store.rows.splice(0).map(short)).toEqual([[0, 10, 2, 3]])
    run([...first, [3, 3]])
    expect(store.rows.splice(0).map(short)).toEqual([[0, 10, 3, 6]])
    run([...first, [3, 3], [4, 4], [10, 1]])
    expect(store.rows.map(short)).toEqual([
      [0, 10, 4, 10],
      [10, 20, 1, 1]
    ])
  })

  it("gives nothing of an empty source", () => {
    expect(valueOf(Pipeline.from(clicks([])).pipe(total, Pipeline.collect))).toEqual([])
  })

  it("P9 gives no window that is open when it is drained, and the next run goes on with it", () => {
    const store = Store.make<Total>()
    const job = Pipeline.from(clicks(upTo(10).map((n) => [n * 2, 1] as const))).pipe(
      Pipeline.map((click) => after(5, click)),
      total,
      Pipeline.to(store.table)
    )
    const given = Store.given(store)
    const drained = valueOf(
      TaskGroup.open(
        Effect.all([given(Pipeline.run(job, { name: "clicks" })), Effect.delay(TaskGroup.stop(), 18)], {
          concurrency: 2
        })
      )
    )
    expect(drained[0].outcome).toBe("drained")
    expect(store.rows).toEqual([])
    expect(store.checkpoint?.counts.settled).toBeGreaterThan(1)
    valueOf(given(Pipeline.run(job, { name: "clicks" })))
    expect(store.rows.map(short)).toEqual([
      [0, 10, 4, 4],
      [10, 20, 5, 5],
      [20, 30, 1, 1]
    ])
  })

  it("P1 kill anywhere: each window comes to the sink once, with each of its elements once", () => {
    const list = upTo(14).map((n) => [n * 2 + (n % 3), n] as const)
    let store!: Store.Store<Total>
    const run = () =>
      Store.given(store)(
        Pipeline.run(
          Pipeline.from(clicks(list)).pipe(
            Pipeline.map((click) => after(click.n % 3, click), { concurrency: 3 }),
            total,
            Pipeline.map((one) => after(one.count % 3, one), { concurrency: 2 }),
            Pipeline.to(store.table)
          ),
          { name: "clicks", window: { items: 4 }, maxRows: 1 }
        )
      )
    const start = Effect.suspend(() => {
      store = Store.make()
      return run()
    })
    const windows = new Map<number, number>()
    for (const [at, n] of list) windows.set(Math.floor(at / 10), (windows.get(Math.floor(at / 10)) ?? 0) + n)
    const check = () => {
      finish(store, run())
      expect(store.rows.map(({ from, value }) => [from / 10, value])).toEqual([...windows])
    }
    Effect.runSync(Sim.explore(start, { schedules: 60, check, stop: "kill" }))
  })

  it("P5 takes a dead letter from before it into the window that is open, and what came of it when the source ended is given again", () => {
    const store = Store.make<Total>()
    let mended = false
    const job = Pipeline.from(
      clicks([
        [1, 1],
        [2, 2],
        [3, 3]
      ])
    ).pipe(
      Pipeline.map((click) => (click.n === 2 && !mended ? Effect.fail("two") : Effect.succeed(click)), {
        onError: { deadLetter: Schema.Struct({ at: Schema.Number, n: Schema.Number }) }
      }),
      total,
      Pipeline.to(store.table)
    )
    const given = Store.given(store)
    valueOf(given(Pipeline.run(job, { name: "clicks" })))
    mended = true
    valueOf(given(Pipeline.replay(job, { name: "clicks" })))
    expect(store.rows.map(short)).toEqual([
      [0, 10, 2, 4],
      [0, 10, 3, 6]
    ])
  })

  it("P15 gives what it becomes keys of their own", () => {
    const store = Store.make<string>()
    const job = Pipeline.from(
      clicks([
        [1, 1],
        [12, 2],
        [43, 3]
      ])
    ).pipe(
      total,
      Pipeline.map(({ from }) => Effect.map(Pipeline.idempotencyKey, (key) => `${from} ${key}`), { name: "key" }),
      Pipeline.to(store.table)
    )
    valueOf(Store.given(store)(Pipeline.run(job, { name: "clicks" })))
    expect(store.rows).toEqual(["0 clicks:key:2/0", "10 clicks:key:3/0", "40 clicks:key:3/end/0"])
  })

  it("is refused at once with options that make no windows", () => {
    const make = (of: unknown) => () =>
      Pipeline.window(of as { readonly count: number }, { ...adding, add: (sum) => sum })
    expect(make({ count: 0 })).toThrow(/window count of a pipeline must be a whole number, 1 or more; got 0/)
    expect(make({ every: 0, at: () => 0 })).toThrow(/every must be a duration, more than zero and finite/)
    expect(make({ every: "10 seconds", at: () => 0, late: Number.NaN })).toThrow(
      /late must be a duration, zero or more/
    )
    expect(make({ every: "10 seconds", at: () => 0, count: 3 })).toThrow(/`count`, or `every` and `at`, not both/)
    const timeless = Pipeline.from(clicks([[1, 1]])).pipe(
      Pipeline.window({ every: 1, at: () => new Date(Number.NaN) }, adding),
      Pipeline.collect
    )
    expect(String(causeOf(timeless))).toMatch(/the time of an element is NaN/)
  })
})
