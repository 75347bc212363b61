/** The ring of events: what it keeps, counts and gives. */
import { expect, it } from "@effect/vitest"
import { History, kinds } from "../../src/inspect/inspect/History.ts"

const job = { id: 7, givenName: "job", kind: "task" as const, spawner: undefined, owner: { name: "main" } }

const filled = (capacity: number, many: number): History => {
  const history = new History(capacity)
  for (let i = 1; i <= many; i++) history.add(0, i, { ...job, id: i })
  return history
}

it("keeps the last, and counts those that it dropped", () => {
  const history = filled(3, 5)
  expect([history.kept, history.dropped]).toEqual([3, 2])
  expect(history.from(0).map(({ at }) => at)).toEqual([3, 4, 5])
  expect(history.from(3, 1).map(({ at }) => at)).toEqual([4])
  expect(history.from(9)).toEqual([])
})

it("gives each kind as an entry, also such as are no task's", () => {
  const history = new History(20)
  for (const kind of kinds.keys()) history.add(kind, 1, job, kind === 6 ? "no luck" : undefined, 5)
  history.note({ kind: "blocked", at: 2, task: 7, name: "job", took: 200, stack: [] })
  const of = { at: 1, task: 7, name: "job", group: "main", parent: null }
  expect(history.from(0)).toEqual([
    ...["spawned", "started", "suspended", "resumed", "cancelling"].map((kind) => ({ kind, ...of })),
    { kind: "exited", ...of, outcome: "succeeded", duration: 5 },
    { kind: "exited", ...of, outcome: "failed", duration: 5, error: "no luck" },
    { kind: "exited", ...of, outcome: "cancelled", duration: 5 },
    { kind: "blocked", at: 2, task: 7, name: "job", took: 200, stack: [] }
  ])
})

it("may keep nothing, and counts nothing then", () => {
  expect([filled(0, 5).kept, filled(0, 5).dropped, filled(0, 5).from(0)]).toEqual([0, 0, []])
})
