/** What can be seen of a program while it runs, with the layer and without it. */
import { describe, expect } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { Offload, Registry, TaskGroup } from "skein"
import { Inspect } from "skein/inspect"
import { Sim } from "skein/testing"
import { it } from "skein/testing/vitest"
import { Deep, NotSeen } from "../../src/inspect/context/Deep.ts"

/** Under a registry of its own, in virtual time. */
const valueOf = <A, E>(effect: Effect.Effect<A, E>): A => {
  const own = Effect.suspend(() => Effect.provideService(effect, Registry.Registry, Registry.make()))
  const { exit } = Effect.runSync(Sim.run(own))
  if (Exit.isSuccess(exit)) return exit.value
  throw new Error(String(exit))
}

describe("a snapshot", () => {
  const program = TaskGroup.open(
    Effect.gen(function* () {
      yield* Effect.sleep(5)
      const open = TaskGroup.open(TaskGroup.spawn(Effect.never, { name: "leaf" }), { name: "inner" })
      yield* TaskGroup.spawn(open, { name: "outer", kind: "daemon" })
      yield* Effect.sleep(5)
      return JSON.parse(JSON.stringify(yield* Inspect.snapshot)) as Inspect.Snapshot
    }),
    { name: "main" }
  )

  it("shows groups and tasks at their moment, as JSON, also without the layer", () => {
    const { groups, ...rest } = valueOf(program)
    expect(rest).toEqual({
      formatVersion: 1,
      at: 10,
      process: null,
      orphans: [],
      runs: [],
      findings: [],
      history: { kept: 0, dropped: 0 },
      withoutPlaces: "nobody asked for them, or this platform cannot tell"
    })
    const outer = groups[0]!.tasks[1]!
    expect(outer).toMatchObject({
      id: 2,
      name: "outer",
      kind: "daemon",
      parent: 1,
      group: "main",
      since: 5,
      work: null
    })
    expect(outer.groups[0]!.tasks.map(({ name }) => name)).toEqual(["inner", "leaf"])
  })

  it("lists orphans, and hides secrets in names", () => {
    const program = TaskGroup.open(
      Effect.gen(function* () {
        const never = Offload.promise(() => new Promise<void>(() => {}), { name: "upload", onCancel: "abandon" })
        yield* Fiber.interrupt(yield* Effect.forkChild(never, { startImmediately: true }))
        yield* TaskGroup.spawn(Effect.never, { name: "get http://ann:pa55@host/", kind: "daemon" })
        return yield* Inspect.snapshot
      })
    )
    const own = Effect.provideService(program, Registry.Registry, Registry.make())
    return Effect.runPromise(own).then((snapshot) => {
      expect(snapshot.orphans).toMatchObject([{ name: "upload", from: "promise" }])
      expect(snapshot.groups[0]!.tasks[1]!.name).toBe("get http://***@host/")
    })
  })

  it("has places and waits of fibers where the platform can tell, and says why not where it cannot", () => {
    const place = { file: "a.ts", line: 3, column: 7 }
    const look = (fibers: ReadonlyArray<Fiber.Fiber<unknown, unknown>>) =>
      Effect.succeed(
        new Map(fibers.map((fiber) => [fiber, { places: [place], waitsFor: "a timer", waitsForFiber: null }]))
      )
    const seen = valueOf(Effect.provideService(program, Deep, { look })).groups[0]!.tasks[1]!
    expect([seen.places, seen.waitsFor]).toEqual([[place], "a timer"])
    const blind = { look: () => Effect.fail(new NotSeen("no inspector here")) }
    expect(valueOf(Effect.provideService(program, Deep, blind)).withoutPlaces).toBe("no inspector here")
  })

  it("can be written as JSON at any depth", () => {
    const nested = (depth: number): Effect.Effect<string> =>
      depth === 0
        ? Effect.map(Inspect.snapshot, (snapshot) => JSON.stringify(snapshot))
        : TaskGroup.open(Effect.suspend(() => nested(depth - 1)))
    const own = Effect.provideService(nested(3000), Registry.Registry, Registry.make())
    return Effect.runPromise(own).then((text) => expect(text).toContain(`"omitted":`))
  })
})

describe("events", () => {
  const job = TaskGroup.open(TaskGroup.spawn(Effect.sleep(1), { name: "job" }), { name: "main" })
  const words = (entries: ReadonlyArray<Inspect.Entry>) =>
    entries.map((entry) =>
      entry.kind === "lost" ? `lost ${entry.count}` : `${entry.kind} ${"name" in entry && entry.name}`
    )

  it("begin with what the history holds, go on with what comes, and end with the layer", () => {
    const program = Effect.gen(function* () {
      const reader = yield* Effect.gen(function* () {
        yield* job
        const reader = yield* Effect.forkDetach(Stream.runCollect(Inspect.events))
        yield* Effect.sleep(1)
        yield* TaskGroup.open(Effect.void, { name: "later" })
        return reader
      }).pipe(Effect.provide(Inspect.layer()))
      return yield* Fiber.join(reader)
    })
    expect(words(valueOf(program))).toEqual([
      "started main",
      "spawned job",
      "started job",
      "exited main",
      "exited job",
      "started later",
      "exited later"
    ])
  })

  it("begin now without the layer, and leave nothing behind", () => {
    const program = Effect.gen(function* () {
      const registry = (yield* Registry.Registry)["~skein/Registry"]
      yield* job
      const reader = yield* Effect.forkChild(Stream.runCollect(Stream.take(Inspect.events, 2)))
      yield* Effect.sleep(1)
      yield* TaskGroup.open(Effect.void, { name: "later" })
      return [words(yield* Fiber.join(reader)), registry.watchers.length] as const
    })
    expect(valueOf(program)).toEqual([["started later", "exited later"], 0])
  })

  it("tell a slow reader how many it lost, and keep nobody waiting", () => {
    const program = Effect.gen(function* () {
      const slow = Stream.tap(Inspect.events, () => Effect.sleep(100))
      const reader = yield* Effect.forkChild(Stream.runCollect(Stream.take(slow, 5)))
      yield* Effect.sleep(1)
      for (let i = 0; i < 10; i++) yield* TaskGroup.open(Effect.void, { name: `group ${i}` })
      const { history } = yield* Inspect.snapshot
      return [words(yield* Fiber.join(reader)), history] as const
    }).pipe(Effect.provide(Inspect.layer({ history: 4 })))
    const [told, history] = valueOf(program)
    expect(history).toEqual({ kept: 4, dropped: 16 })
    expect(told.slice(-5)).toEqual(
      ["lost 16", "started group 8", "exited group 8", "started group 9", "exited group 9"].slice(0, 5)
    )
  })
})

it("waiting tells what a task waits for, until it waits no longer", () => {
  const program = TaskGroup.open(
    Effect.gen(function* () {
      const waitsFor = Effect.map(TaskGroup.tree, (tree) => tree.groups[0]!.tasks[1]!.waitsFor)
      const job = Effect.andThen(Inspect.waiting("the bank")(Effect.sleep(5)), Effect.sleep(5))
      yield* TaskGroup.spawn(job, { name: "payment" })
      const before = yield* waitsFor
      yield* Effect.sleep(7)
      return [before, yield* waitsFor]
    })
  )
  expect(valueOf(program)).toEqual(["the bank", null])
})

it("the layer says what is wrong with its options", () => {
  const exit = Effect.runSyncExit(Effect.provide(Effect.void, Inspect.layer({ history: -1 })))
  expect(String(exit)).toContain("Inspect: history")
})
