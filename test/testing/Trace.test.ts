import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { Sim } from "skein/testing"

const told = <A, E>(effect: Effect.Effect<A, E>, token = "sim1:0:boundary:fifo") =>
  Effect.runSync(Sim.replay(effect, token))

/** The table of slices that are given, so that every case can be had. */
const tableOf = (slices: ReadonlyArray<Sim.Slice>, fibers: ReadonlyArray<string>): string =>
  Sim.table({ ...told(Effect.void), trace: slices, fibers })

const slice = (time: number, fiber: number, ...operations: ReadonlyArray<string>): Sim.Slice => ({
  time,
  fiber,
  operations
})

describe("table", () => {
  it("has a column a fiber, a row an operation, and the time where it has changed", () => {
    expect(
      tableOf([slice(0, 0, "reads", "writes"), slice(0, 1, "reads"), slice(5, 0, "ends")], ["main", "worker"])
    ).toBe(
      [
        "          main    worker",
        "          ------  ------",
        "    0 ms  reads",
        "          writes",
        "                  reads",
        "    5 ms  ends"
      ].join("\n")
    )
  })

  it("leaves out fibers and slices that did nothing worth telling", () => {
    expect(tableOf([slice(0, 0), slice(1, 2, "works"), slice(2, 1)], ["main", "idle", "busy"])).toBe(
      ["          busy", "          -----", "    1 ms  works"].join("\n")
    )
    expect(tableOf([slice(0, 0)], ["main"])).toBe("(nothing was done)")
  })

  it("orders its columns by who was first seen, and calls a fiber without a name by its number", () => {
    const [head] = tableOf([slice(0, 2, "a"), slice(0, 0, "b"), slice(0, 1, "c")], ["main", "worker"]).split("\n")
    expect(head?.trim().split(/ {2,}/)).toEqual(["main", "worker", "fiber 2"])
  })

  it("does not repeat the time between slices of one fiber that nobody came between", () => {
    expect(
      tableOf([slice(3, 0, "a"), slice(3, 0, "b"), slice(4, 0, "c")], ["main"])
        .split("\n")
        .slice(2)
    ).toEqual(["    3 ms  a", "          b", "    4 ms  c"])
  })

  it("cuts what is too long for its column, the narrower the more columns there are", () => {
    const long = "x".repeat(200)
    const widest = (fibers: number) => {
      const slices = Array.from({ length: fibers }, (_, fiber) => slice(0, fiber, long))
      const rows = tableOf(
        slices,
        slices.map((_, i) => `fiber ${i}`)
      ).split("\n")
      return { cell: /x+…/.exec(rows[2]!)![0].length, rows: Math.max(...rows.map((row) => row.length)) }
    }
    expect(widest(1).cell).toBe(48)
    expect(widest(3).cell).toBe(36)
    expect(widest(6).cell).toBe(18)
    expect(widest(3).rows).toBeLessThan(125)
    expect(tableOf([slice(0, 0, "x".repeat(48))], ["main"])).toContain("x".repeat(48))
    expect(tableOf([slice(0, 0, "x".repeat(49))], ["main"])).toMatch(/ x{47}…$/)
  })

  it("has one column for all fibers after the fifth, if there are more than six", () => {
    const slices = Array.from({ length: 8 }, (_, fiber) => slice(0, fiber, `work ${fiber}`))
    const rows = tableOf(slices, []).split("\n")
    expect(rows[0]?.trim().split(/ {2,}/)).toEqual([...Array.from({ length: 5 }, (_, i) => `fiber ${i}`), "others"])
    expect(rows.slice(7).map((row) => row.slice(rows[0]!.indexOf("others")))).toEqual([
      "fiber 5: work 5",
      "fiber 6: work 6",
      "fiber 7: work 7"
    ])
  })

  it("tells what is done several times in a row once, and how often; a failure needs no number", () => {
    expect(
      tableOf([slice(0, 0, "reads", "reads", "reads", "fails", "fails")], ["main"])
        .split("\n")
        .slice(2)
    ).toEqual(["    0 ms  reads × 3", "          fails"])
  })

  it("shows the last 60 slices of a long run, and says how many came before", () => {
    const many = Array.from({ length: 100 }, (_, i) => slice(i, i % 2, `step ${i}`))
    const rows = tableOf(many, ["a", "b"]).split("\n")
    expect(rows[2]?.trim()).toMatch(/^… 40 slice/)
    expect(rows.at(-1)).toContain("step 99")
    expect(rows[3]).toContain("step 40")
    const busy = tableOf([slice(0, 0, ...Array.from({ length: 100 }, (_, i) => `step ${i}`))], ["main"]).split("\n")
    expect(busy.length).toBe(62)
    expect(busy.at(-1)).toContain("step 99")
  })

  it("says all of the last rows of a run of any length", () => {
    const long = Effect.forEach(Array.from({ length: 25_000 }), (_, i) =>
      Effect.andThen(
        Effect.sync(() => i),
        Effect.yieldNow
      )
    )
    const run = told(
      Effect.andThen(
        long,
        Effect.sync(() => "the last")
      )
    )
    expect(run.trace.length).toBeGreaterThanOrEqual(10_000)
    expect(run.trace.length).toBeLessThan(20_001)
    expect(run.order.length).toBeGreaterThan(25_000)
    expect(Sim.table(run).split("\n").at(-1)).toContain('"the last"')
  })
})

describe("the trace of a replayed run", () => {
  it("has a slice for each turn, with its time and fiber", () => {
    const program = Effect.all([Effect.sleep(3), Effect.andThen(Effect.sleep(1), Effect.yieldNow)], { concurrency: 2 })
    const run = told(program)
    expect(run.trace.map(({ fiber }) => fiber)).toEqual(run.order)
    expect(run.trace.map(({ time }) => time)).toEqual([...run.trace].map(({ time }) => time).toSorted((a, b) => a - b))
    expect(run.trace.at(-1)?.time).toBe(3)
  })

  it("is empty for a run that was not replayed, which costs less", () => {
    expect(Effect.runSync(Sim.run(Effect.yieldNow)).trace).toEqual([])
  })
})

describe("the table of a run", () => {
  it("has a column for each fiber that did something, under its name, and time downwards", () => {
    const program = Effect.gen(function* () {
      const cell = { value: 0 }
      const set = (name: string, value: number) =>
        Effect.sleep(value).pipe(Effect.andThen(Effect.sync(() => void (cell.value = value))), Effect.withSpan(name))
      yield* Effect.all([set("early", 5), set("late", 9)], { concurrency: 2 })
    })
    const table = Sim.table(told(program))
    const [head = "", rule = "", ...rows] = table.split("\n")
    expect(head.trim().split(/\s+/)).toEqual(["main", "early", "late"])
    expect(rule.trim()).toMatch(/^-+ {2}-+ {2}-+$/)
    const column = (name: string) => head.indexOf(name)
    const early = rows.find((row) => row.startsWith("    5 ms")) ?? ""
    const late = rows.find((row) => row.startsWith("    9 ms")) ?? ""
    expect(early.slice(column("early"))).toMatch(/^\(?cell\.value = value/)
    expect(late.slice(column("late"))).toMatch(/^\(?cell\.value = value/)
    expect(late.slice(8, column("late")).trim()).toBe("")
  })

  it("of a run that was not replayed is empty, and says so", () => {
    expect(Sim.table(Effect.runSync(Sim.run(Effect.yieldNow)))).toBe("(nothing was done)")
  })
})
