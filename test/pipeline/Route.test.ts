/** Elements that become rows of several sinks, in one transaction, or go to one of them. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { Db, Journal, Pipeline, Sink, Source } from "skein"
import { Drivers } from "skein/node"
import { Kill, Leaks } from "skein/testing"
import { causeOf, errorOf, exitOf, numbers, upTo, valueOf } from "../support/jobs.ts"
import * as Store from "../support/store.ts"
import * as Cause from "effect/Cause"
import * as Exit from "effect/Exit"

class Poison extends Schema.TaggedError<Poison>()("Poison", { row: Schema.Int }) {}

/** Refuses some rows, and names the first of those it is given, all of them, or none. */
const refusing = <A>(
  sink: Sink.Sink<A, never, never, Sink.Guarantee>,
  isBad: (row: A) => boolean,
  says: "first" | "all" | "nothing"
): Sink.Sink<A, Poison, never, Sink.Guarantee> & { readonly writes: Array<number> } => {
  const writes: Array<number> = []
  let bad: ReadonlyArray<number> = []
  return {
    ...sink,
    writes,
    open: (opening) =>
      Effect.map(sink.open(opening), (writer) => ({
        ...writer,
        write: (rows: ReadonlyArray<A>, since) =>
          Effect.suspend(() => {
            if (rows.length > 0) writes.push(rows.length)
            bad = rows.flatMap((row, i) => (isBad(row) ? [i] : []))
            return bad.length > 0 ? Effect.fail(new Poison({ row: bad[0]! })) : writer.write(rows, since)
          }),
        atFault: () => (says === "nothing" ? undefined : says === "first" ? bad.slice(0, 1) : bad)
      }))
  }
}

/** Each number becomes as many rows as it says in one table, and one in the file, except where it is divisible by 5. */
const spread = (n: number) => ({
  table: Array.from({ length: n % 4 }, (_, i) => n * 10 + i),
  ...(n % 5 > 0 && { file: [n] })
})
const tableOf = (all: ReadonlyArray<number>) => all.flatMap((n) => spread(n).table)
const fileOf = (all: ReadonlyArray<number>) => all.flatMap((n) => spread(n).file ?? [])

describe("Sink.route", () => {
  it("gives each sink what an element becomes for it, in order: many rows, one or none", () => {
    const store = Store.make<number>()
    const job = Pipeline.from(numbers(40)).pipe(
      Pipeline.to(Sink.route({ table: store.table, file: store.file }, (n: number) => spread(n)))
    )
    expect(valueOf(Store.given(store)(Pipeline.run(job, { name: "r", maxRows: 7 })))).toMatchObject({
      settled: 40,
      written: 40
    })
    expect(store.rows).toEqual(tableOf(upTo(40)))
    expect(store.file.lines).toEqual(fileOf(upTo(40)))
    expect(job.guarantee).toBe("effectively-once")
  })

  it("sends each element to one of several, in the words of its sink", () => {
    const [even, odd] = [Store.make<number>(), Store.make<string>()]
    const sink = Sink.route({ even: even.elsewhere, odd: odd.elsewhere }, (n: number) =>
      n % 2 === 0 ? { even: [n] } : { odd: [`${n}`] }
    )
    const job = Pipeline.from(numbers(5)).pipe(Pipeline.to(sink))
    valueOf(Effect.provide(Pipeline.run(job, { name: "r" }), Journal.memory))
    expect([even.elsewhere.received, odd.elsewhere.received]).toEqual([
      [2, 4],
      ["1", "3", "5"]
    ])
  })

  it("is one of several sinks, and holds several, each of which is told apart", () => {
    const store = Store.make<number>()
    const inner = Sink.route({ both: Sink.all(store.table, store.file) }, (n: number) => ({ both: [n, -n] }))
    const job = Pipeline.from(numbers(3)).pipe(Pipeline.to(Sink.all(inner, store.elsewhere)))
    valueOf(Store.given(store)(Pipeline.run(job, { name: "r" })))
    expect(store.rows).toEqual([1, -1, 2, -2, 3, -3])
    expect(store.file.lines).toEqual(store.rows)
    expect(store.elsewhere.received).toEqual([1, 2, 3])
    expect(Object.keys(store.checkpoint!.sinks).toSorted()).toEqual(["elsewhere", "file", "table"])
  })

  it("has a sink that is named twice twice", () => {
    const store = Store.make<number>()
    const sink = Sink.route({ a: store.table, b: store.table }, (n: number) => ({ a: [n], b: [n * 100] }))
    valueOf(Store.given(store)(Pipeline.run(Pipeline.from(numbers(2)).pipe(Pipeline.to(sink)), { name: "r" })))
    expect(store.rows).toEqual([1, 2, 100, 200])
    expect(Object.keys(store.checkpoint!.sinks)).toEqual(["table", "table #2"])
  })

  it("refuses a name that it has no sink for, rather than lose what goes there, and to have none at all", () => {
    const store = Store.make<number>()
    const rows = (n: number) => ({ [n === 2 ? "tabel" : "table"]: [n] })
    const job = Pipeline.from(numbers(3)).pipe(Pipeline.to(Sink.route({ table: store.table }, rows)))
    const cause = causeOf(Store.given(store)(Pipeline.run(job, { name: "r" })))
    expect(String(Cause.squash(cause))).toContain('Sink.route has no sink "tabel"')
    expect(store.rows).toEqual([])
    expect(() => Sink.route({}, () => ({}))).toThrow("Sink.route needs a sink")
  })

  describe("P7 an element one of whose rows is refused", () => {
    const kept = { deadLetter: Schema.Number }

    it.each(["first", "all", "nothing"] as const)("is in none of them, and kept as it was; it names %s", (says) => {
      for (const where of ["table", "file", "both"] as const) {
        const store = Store.make<number>()
        // The second row of 2, 6, 10 … and the line of 3, 13, 23 ….
        const badRow = (row: number) => where !== "file" && row % 40 === 21
        const badLine = (line: number) => where !== "table" && line % 10 === 3
        const isBad = (n: number) => spread(n).table.some(badRow) || (spread(n).file ?? []).some(badLine)
        const sink = Sink.route(
          { file: refusing(store.file, badLine, says), table: refusing(store.table, badRow, says) },
          (n: number) => spread(n)
        )
        const job = Pipeline.from(numbers(40)).pipe(Pipeline.to(sink, { name: "out", onError: kept }))
        const good = upTo(40).filter((n) => !isBad(n))
        expect(good.length).toBeLessThan(40)
        const summary = valueOf(Store.given(store)(Pipeline.run(job, { name: "r", maxRows: 25 })))
        expect(summary).toMatchObject({ settled: 40, written: good.length, dead: 40 - good.length })
        expect(store.rows).toEqual(tableOf(good))
        expect(store.file.lines).toEqual(fileOf(good))
        expect(store.letters.map(({ input }) => input as number).toSorted((a, b) => a - b)).toEqual(
          upTo(40).filter(isBad)
        )
        expect(store.letters.every(({ input, position, step }) => step === "out" && input === position)).toBe(true)
      }
    })

    it("ends the run by default, which says where it stood", () => {
      const store = Store.make<number>()
      const sink = Sink.route({ table: refusing(store.table, (row) => row === 71, "first") }, (n: number) => ({
        table: spread(n).table
      }))
      const cause = causeOf(
        Store.given(store)(Pipeline.run(Pipeline.from(numbers(9)).pipe(Pipeline.to(sink)), { name: "r" }))
      )
      expect(Pipeline.failedAt(cause)).toEqual(Option.some({ pipeline: "r", step: "table", position: 7, input: 7 }))
    })
  })

  it("is exact wherever it is killed", { timeout: 120_000 }, () => {
    let store!: Store.Store<number>
    const start = Effect.suspend(() => {
      store = Store.make<number>()
      store.twice = true
      return run()
    })
    const run = () =>
      Store.given(store)(
        Pipeline.run(
          Pipeline.from(numbers(9)).pipe(
            Pipeline.to(
              Sink.route({ table: refusing(store.table, (row) => row === 31, "nothing"), file: store.file }, spread),
              { onError: "skip" }
            )
          ),
          { name: "r", maxRows: 4, window: { items: 5 } }
        )
      )
    Effect.runSync(
      Kill.everywhere(start, {
        at: "suspension",
        check: (now) => {
          if (!now.stopped) Effect.runSync(Effect.andThen(now.exit, Leaks.check(now)))
          store.free()
          expect(valueOf(run())).toMatchObject({ outcome: "done" })
          const good = upTo(9).filter((n) => n !== 3)
          expect([store.rows, store.file.lines]).toEqual([tableOf(good), fileOf(good)])
        }
      })
    )
  })
})

describe("Sink.route into tables", () => {
  const Order = Schema.Struct({ id: Schema.Int, customer: Schema.String })
  const Line = Schema.Struct({ order: Schema.Int, no: Schema.Int, item: Schema.String })
  const Input = Schema.Struct({ id: Schema.Int, customer: Schema.String, items: Schema.Array(Schema.String) })
  const inputs = (count: number): ReadonlyArray<typeof Input.Type> =>
    Array.from({ length: count }, (_, i) => ({
      id: i + 1,
      customer: `customer ${i % 7}`,
      items: Array.from({ length: i % 4 }, (_, no) => (i % 50 === 13 && no === 0 ? "\ud800" : `item ${no}`))
    }))
  const sink = Sink.route(
    { orders: Db.table("orders", Order, { key: "id" }), lines: Db.table("lines", Line, { key: ["order", "no"] }) },
    ({ customer, id, items }: typeof Input.Type) => ({
      orders: [{ id, customer }],
      lines: items.map((item, no) => ({ order: id, no, item }))
    })
  )

  it("is exactly-once: a line that is refused takes its order along, named by its key", async () => {
    const orders = inputs(3000)
    const job = Pipeline.from(Source.list(orders, { name: "orders" })).pipe(
      Pipeline.to(sink, { name: "out", onError: { deadLetter: Input } })
    )
    expect(job.guarantee satisfies "exactly-once").toBe("exactly-once")
    const Bare = Schema.Struct({ order: Schema.Int })
    const program = Effect.gen(function* () {
      const summary = yield* Pipeline.run(job, { name: "orders", require: "exactly-once" })
      const letters = yield* Effect.flatMap(Journal.Journal, (journal) => journal.dead(Journal.keyOf("orders")))
      return {
        summary,
        letters,
        ids: (yield* Db.query(Order)`SELECT * FROM orders ORDER BY id`).map(({ id }) => id),
        lines: (yield* Db.query(Bare)`SELECT "order" FROM lines ORDER BY "order"`).map(({ order }) => order)
      }
    }).pipe(Effect.provide(Db.sqlite(":memory:").pipe(Layer.provide(Drivers.layer))))
    const { ids, letters, lines, summary } = await Effect.runPromise(program)
    const good = orders.filter(({ items }) => items[0] !== "\ud800")
    expect(summary).toMatchObject({ outcome: "done", written: good.length, dead: orders.length - good.length })
    expect(ids).toEqual(good.map(({ id }) => id))
    expect(lines).toEqual(good.flatMap(({ id, items }) => items.map(() => id)))
    expect(letters[0]).toMatchObject({ input: { id: 14, items: ["\ud800"] } })
    expect(letters[0]!.cause).toContain('table "lines"')
    expect(letters[0]!.cause).toContain('{"order":14,"no":0}')
    expect(letters[0]!.cause).toContain('"item"')
  })

  it("refuses tables of two databases", () => {
    const [one, two] = [Store.make<number>(), Store.make<number>()]
    const other = { ...two.table, name: "other", identity: Effect.succeed("other") }
    const job = Pipeline.from(numbers(1)).pipe(
      Pipeline.to(Sink.route({ one: one.table, other }, (n: number) => ({ one: [n], other: [n] })))
    )
    const exit = exitOf(Store.given(one)(Pipeline.run(job, { name: "r" })))
    expect(Exit.isFailure(exit) && String(Cause.squash(exit.cause))).toContain(
      "Sink.route: these sinks are in different"
    )
  })
})

describe("rows that a sink names one at a time", () => {
  const bads = (n: number) => upTo(n).filter((i) => i % 10 === 0)

  it("are found in as many writes as there are of them, not in a transaction for each", () => {
    for (const kind of ["table", "file"] as const) {
      const store = Store.make<number>()
      const sink = refusing(store[kind], (n) => n % 10 === 0, "first")
      const job = Pipeline.from(numbers(1000)).pipe(Pipeline.to(sink, { onError: "skip" }))
      expect(valueOf(Store.given(store)(Pipeline.run(job, { name: "r" })))).toMatchObject({
        written: 900,
        skipped: 100
      })
      expect(kind === "table" ? store.rows : store.file.lines).toEqual(upTo(1000).filter((n) => n % 10 !== 0))
      // One that fails and one of what is before it for each of them, and all of the rest at the end.
      expect(sink.writes.length).toBe(2 * bads(1000).length + 1)
      expect(store.commits.length).toBe(3)
    }
  })

  it("are written once each where nothing is undone", () => {
    const store = Store.make<number>()
    const sink = refusing(store.elsewhere, (n) => n % 10 === 0, "first")
    const job = Pipeline.from(numbers(100)).pipe(Pipeline.to(sink, { onError: "skip" }))
    valueOf(Store.given(store)(Pipeline.run(job, { name: "r" })))
    expect(store.elsewhere.received).toEqual(upTo(100).filter((n) => n % 10 !== 0))
  })

  it("end the run at the first of them where nothing is done about it", () => {
    const store = Store.make<number>()
    const sink = refusing(store.table, (n) => n % 10 === 0, "first")
    const job = Pipeline.from(numbers(100)).pipe(Pipeline.to(sink))
    expect(errorOf(Store.given(store)(Pipeline.run(job, { name: "r" })))).toEqual(new Poison({ row: 9 }))
    expect(sink.writes).toEqual([100])
  })
})
