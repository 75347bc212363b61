import { expect, it } from "@effect/vitest"
import { Timeline } from "skein/inspect"
import { everything, many } from "./entries.ts"

interface Event {
  readonly ph: string
  readonly ts: number
  readonly name: string
  readonly cat: string
  readonly id: string
  readonly bind_id?: string
  readonly flow_in?: boolean
  readonly flow_out?: boolean
  readonly args?: Record<string, unknown>
}
const eventsOf = (entries: ReadonlyArray<Timeline.Entry>): ReadonlyArray<Event> =>
  JSON.parse(Timeline.perfetto(entries)).traceEvents

it.each([
  ["every kind of entry", everything],
  ["many tasks", many(200, 5)],
  ["a history without beginning and end", everything.slice(5, 9)],
  ["nothing", []]
])("of %s, events are in order, and those of an id stand into one another", (_, entries) => {
  const events = eventsOf(entries)
  expect(events.map(({ ts }) => ts)).toEqual(events.map(({ ts }) => ts).toSorted((a, b) => a - b))
  const open = new Map<string, Array<string>>()
  for (const { cat, id, name, ph } of events) {
    const stack = open.get(`${cat} ${id}`) ?? []
    open.set(`${cat} ${id}`, stack)
    if (ph === "b") stack.push(name)
    if (ph === "e") expect(stack.pop()).toBe(name)
  }
  expect([...open.values()].flat()).toEqual([])
})

it("has arrows from spawner to spawned and from waker to woken, each with its two ends", () => {
  const events = eventsOf(everything)
  const bound = events.filter((event) => event.bind_id !== undefined)
  const ends = (out: boolean) =>
    new Map(bound.filter((event) => event.flow_out === out || event.flow_in === !out).map((e) => [e.bind_id, e]))
  const [starts, stops] = [ends(true), ends(false)]
  expect(bound).toHaveLength(6)
  expect(starts.size).toBe(3)
  expect([...starts.keys()].toSorted()).toEqual([...stops.keys()].toSorted())
  expect([...starts].map(([id, from]) => [from.id, stops.get(id)!.id, from.ts, stops.get(id)!.ts])).toEqual([
    ["0x1", "0x2", 250, 250],
    ["0x1", "0x3", 1000, 1000],
    ["0x3", "0x2", 5000, 5000]
  ])
})

it("tells how a task ended, what it waited for, commits, and an event loop that did not turn", () => {
  const events = eventsOf(everything)
  const job = events.find(({ id, ph }) => id === "0x2" && ph === "b")
  expect(job?.args).toMatchObject({ task: 2, group: "main", outcome: "failed" })
  const names = events.map(({ name, ph, ts }) => `${ph} ${ts} ${name}`)
  expect(names).toContain("b 2000 waits for a permit of limiter db")
  expect(names).toContain("e 5000 waits for a permit of limiter db")
  expect(names).toContain("n 15000 is cancelled")
  expect(events.filter(({ cat }) => cat === "blocked").map(({ ph, ts }) => [ph, ts])).toEqual([
    ["b", 7000],
    ["e", 12_000],
    ["b", 12_000],
    ["e", 13_000]
  ])
  expect(events.filter(({ cat }) => cat === "committed")).toHaveLength(2)
})
