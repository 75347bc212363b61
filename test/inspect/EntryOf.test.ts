/** What a registry tells, as lines of a timeline. */
import { expect } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { Registry, TaskGroup } from "skein"
import { Sim } from "skein/testing"
import { it } from "skein/testing/vitest"
import type { Entry } from "../../src/inspect/context/Entry.ts"
import { entryOf } from "../../src/inspect/context/EntryOf.ts"

const entriesOf = (effect: Effect.Effect<unknown, unknown>): ReadonlyArray<Entry> => {
  const entries: Array<Entry> = []
  const registry = Registry.make((event) => void entries.push(entryOf(event)))
  Effect.runSync(Sim.run(Effect.provideService(effect, Registry.Registry, registry)))
  return entries
}

it("tells who began, waited and ended, when, and how long it took", () => {
  const program = TaskGroup.open(
    Effect.gen(function* () {
      const job = yield* TaskGroup.spawn(Effect.sleep(5), { name: "job" })
      yield* job.join
    }),
    { name: "main" }
  )
  const main = { task: 1, name: "main", group: "main", parent: null }
  const job = { task: 2, name: "job", group: "main", parent: 1 }
  expect(entriesOf(program)).toEqual([
    { kind: "started", at: 0, ...main },
    { kind: "spawned", at: 0, ...job },
    { kind: "started", at: 0, ...job },
    { kind: "suspended", at: 0, ...main, what: `the end of task "job"` },
    { kind: "exited", at: 5, ...job, outcome: "succeeded", duration: 5 },
    { kind: "resumed", at: 5, ...main },
    { kind: "exited", at: 5, ...main, outcome: "succeeded", duration: 5 }
  ])
})

it("tells why a task is cancelled, and a failure in one line", () => {
  const program = TaskGroup.open(
    Effect.gen(function* () {
      yield* TaskGroup.spawn(Effect.never, { name: "idle" })
      yield* TaskGroup.spawn(Effect.die(new Error("no\n  luck")), { name: "bad" })
    }),
    { name: "main" }
  )
  const told = entriesOf(program)
  expect(told.filter(({ kind }) => kind === "cancelling")).toMatchObject(
    ["idle", "main"].map((name) => ({ name, what: `task "bad" failed` }))
  )
  expect(told.filter(({ kind }) => kind === "exited")).toMatchObject([
    { name: "bad", outcome: "failed", error: "no luck" },
    { name: "idle", outcome: "cancelled" },
    { name: "main", outcome: "cancelled" }
  ])
})

it("shows no secrets, neither in names nor in failures", () => {
  const url = "https://ann:pa55@host/?token=s3cret"
  const program = TaskGroup.open(TaskGroup.spawn(Effect.die(new Error(`cannot get ${url}`)), { name: `get ${url}` }))
  const text = JSON.stringify(entriesOf(program))
  expect(text).toContain("get https://***@host")
  expect(text).not.toMatch(/pa55|s3cret/)
})

it("keeps nothing of what a task gives", () => {
  const value = { large: true }
  const program = TaskGroup.open(TaskGroup.spawn(Effect.succeed(value)))
  expect(JSON.stringify(entriesOf(program))).not.toContain("large")
})
