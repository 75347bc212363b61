import { expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Ref from "effect/Ref"
import { Limiter, TaskGroup } from "skein"
import { Timeline } from "skein/inspect"
import { Sim } from "skein/testing"

const words = (timeline: ReadonlyArray<Timeline.Entry>): ReadonlyArray<string> =>
  timeline.map((entry) => {
    if (entry.kind === "committed" || entry.kind === "blocked" || entry.kind === "lost") return entry.kind
    if (entry.kind === "exited") return `${entry.name} ${entry.outcome}`
    const by = timeline.find((other) => "task" in other && other.task === entry.by)
    const more = [entry.what, by !== undefined && "name" in by ? `by ${by.name}` : undefined]
    return [entry.name, entry.kind, ...more.filter((text) => text !== undefined)].join(" ")
  })

const likes = Effect.gen(function* () {
  const likes = yield* Ref.make(0)
  const add = Effect.flatMap(Ref.get(likes), (seen) => Ref.set(likes, seen + 1))
  yield* TaskGroup.open(Effect.all([TaskGroup.spawn(add, { name: "ann" }), TaskGroup.spawn(add, { name: "bob" })]), {
    name: "readers"
  })
  if ((yield* Ref.get(likes)) !== 2) return yield* Effect.fail("lost a like")
})

it.effect("a failing schedule has a timeline, that shows who was between whom", () =>
  Effect.gen(function* () {
    const bug = yield* Effect.flip(Sim.explore(likes))
    if (bug._tag !== "BugFound") return expect.fail(bug.message)
    const told = words(bug.timeline)
    const between = ["ann suspended its turn", "bob started", "bob succeeded", "ann resumed", "ann succeeded"]
    expect(told.filter((text) => between.includes(text))).toEqual(between)
    expect(told.at(-1)).toBe("main failed")
    expect(told).toContain("main resumed by ann")
    const ann = bug.timeline.find((entry) => "task" in entry && entry.name === "ann")
    expect(ann).toMatchObject({ group: "readers", parent: 1, task: 2 })
    // It is a timeline like any other.
    expect(yield* Timeline.decode(Timeline.encode(bug.timeline))).toEqual(bug.timeline)
    expect(Timeline.html(bug.timeline)).toContain('"name":"ann"')
  })
)

it.effect("what happens in one moment is told apart, and no later than the next", () =>
  Effect.gen(function* () {
    const sleepers = Effect.all([Effect.sleep(1), Effect.sleep(1.001), Effect.sleep(1.002)], { concurrency: 3 })
    const { token } = yield* Sim.run(sleepers)
    const { time, timeline } = yield* Sim.replay(sleepers, token)
    const moments = timeline.map(({ at }) => at)
    expect(moments).toEqual(moments.toSorted((a, b) => a - b))
    expect(new Set(moments).size).toBe(moments.length)
    const [first, second, third] = timeline.flatMap(({ at, kind }) => (kind === "resumed" && at >= 1 ? [at] : []))
    expect(first).toBe(1)
    expect(second).toBeCloseTo(1.001, 9)
    expect(third).toBeCloseTo(1.002, 9)
    expect(moments.at(-1)! - time).toBeLessThan(0.02)
  })
)

it.effect("a deadlock's shows who waits at its end, and for what", () =>
  Effect.gen(function* () {
    const program = Effect.gen(function* () {
      const [a, b] = [yield* Limiter.concurrency(1), yield* Limiter.concurrency(1)]
      const both = (first: Limiter.Limiter, second: Limiter.Limiter) =>
        first.withPermit(Effect.andThen(Effect.sleep(1), second.withPermit(Effect.void)))
      yield* TaskGroup.open(
        Effect.all([TaskGroup.spawn(both(a, b), { name: "left" }), TaskGroup.spawn(both(b, a), { name: "right" })])
      )
    })
    const deadlock = yield* Effect.flip(Sim.run(program))
    const told = words(deadlock.timeline)
    for (const name of ["left", "right"]) {
      expect(told.findLast((text) => text.startsWith(name))).toBe(`${name} suspended permits of a limiter`)
    }
    expect(told.join()).not.toMatch(/left (succeeded|failed|cancelled)/)
  })
)

it.effect("a cancellation is told with its reason, and so is an interruption by the schedule", () =>
  Effect.gen(function* () {
    const program = TaskGroup.open(
      Effect.andThen(
        TaskGroup.spawn(Effect.never, { name: "job" }),
        Effect.flatMap(Effect.sleep(5), () => Effect.fail("no"))
      ),
      { name: "main" }
    )
    const { token } = yield* Sim.run(program)
    const { timeline } = yield* Sim.replay(program, token)
    const told = words(timeline)
    const [cancelling] = told.filter((text) => text.startsWith("job cancelling"))
    expect(cancelling).toMatch(/^job cancelling .*main/)
    expect(told.indexOf(cancelling!)).toBeLessThan(told.indexOf("job cancelled"))
    const stopped = yield* Sim.replay(Effect.never, "sim1:0:boundary:fifo:interrupt@1/0")
    expect(words(stopped.timeline)).toContain("main cancelling interrupted by the schedule")
  })
)

it.effect("fibers that are no tasks are told of as well, and who woke them", () =>
  Effect.gen(function* () {
    const program = Effect.gen(function* () {
      const gate = yield* Deferred.make<void>()
      const waiter = yield* Effect.forkChild(Deferred.await(gate).pipe(Effect.withSpan("waiter")))
      yield* Effect.sleep(1)
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.join(waiter)
    })
    const { timeline } = yield* Sim.replay(program, (yield* Sim.run(program)).token)
    const told = words(timeline)
    expect(told).toContain("waiter suspended a Deferred")
    expect(told).toContain("waiter resumed by main")
    expect(timeline.every((entry) => "group" in entry && entry.group === "fibers")).toBe(true)
  })
)

it.effect("a run that was not replayed has none", () =>
  Effect.map(Sim.run(likes), ({ timeline }) => expect(timeline).toEqual([]))
)
