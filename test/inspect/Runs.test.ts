/** Runs of pipelines in view: how they stand, what they committed, and what can be done to them from outside. */
import { describe, expect } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { Pipeline, Registry, TaskGroup } from "skein"
import { Inspect } from "skein/inspect"
import { it } from "skein/testing/vitest"
import { LiveRuns, Runs } from "../../src/pipeline/context/Runs.ts"
import { after, numbers, valueOf } from "../support/jobs.ts"
import * as Store from "../support/store.ts"

const alone = <A, E>(effect: Effect.Effect<A, E>) =>
  Effect.suspend(() =>
    effect.pipe(Effect.provideService(Registry.Registry, Registry.make()), Effect.provideService(Runs, new LiveRuns()))
  )

const started = Effect.suspend(() => {
  const store = Store.make<number>()
  const job = Pipeline.from(numbers(100)).pipe(
    Pipeline.map((n) => after(100, n), { name: "fetch", concurrency: 4 }),
    Pipeline.to(store.table)
  )
  return Store.given(store)(Pipeline.start(job, { name: "cities", partition: "de" }))
})

/** What is seen of a run that has been there for so long. */
const during = <A, E>(millis: number, look: Effect.Effect<A, E>) =>
  valueOf(
    alone(
      TaskGroup.open(
        Effect.gen(function* () {
          const run = yield* started
          yield* Effect.sleep(millis)
          const value = yield* look
          yield* run.drain
          yield* run.await
          return value
        })
      )
    )
  )

const view = Effect.map(Inspect.snapshot, ({ runs }) => runs[0]!)

describe("a run in a snapshot", () => {
  it("has its steps, its counts and its last commit", () => {
    const seen = during(1050, view)
    expect(seen).toMatchObject({
      name: "cities",
      partition: "de",
      state: "running",
      settled: 40,
      written: 40,
      dead: 0,
      lag: 60,
      elapsed: 1050,
      leaseUntil: null
    })
    expect(seen.steps.map(({ name }) => name)).toEqual(["fetch", "table"])
    expect(seen.steps[0]).toMatchObject({ concurrency: 4, working: 4, taken: 44, given: 40, retries: 0, dead: 0 })
    expect(seen.steps[0]!.latency).toEqual({ p50: 100, p99: 100 })
    expect(seen.commit).toMatchObject({ at: expect.any(Number), rows: 4, count: expect.any(Number) })
    expect(JSON.parse(JSON.stringify(seen))).toEqual(seen)
  })

  it("is there as long as it lives, however it ends", () => {
    const program = TaskGroup.open(
      Effect.gen(function* () {
        const run = yield* started
        yield* Effect.sleep(50)
        const names = Effect.map(Inspect.snapshot, ({ runs }) => runs.map(({ name }) => name))
        const before = yield* names
        yield* run.drain
        yield* run.await
        return [before, yield* names]
      })
    )
    expect(valueOf(alone(program))).toEqual([["cities"], []])
  })

  it("tells its commits to the history", () => {
    const program = Effect.provide(
      Effect.gen(function* () {
        yield* TaskGroup.open(Effect.flatMap(started, (run) => run.await))
        const { kept } = (yield* Inspect.snapshot).history
        const entries = yield* Stream.runCollect(Stream.take(Inspect.events, kept))
        return entries.flatMap((entry) => (entry.kind === "committed" ? [entry] : []))
      }),
      Inspect.layer()
    )
    const commits = valueOf(alone(program))
    expect(commits[0]).toMatchObject({ run: "cities", at: expect.any(Number), took: expect.any(Number) })
    expect(commits.reduce((sum, { rows }) => sum + rows, 0)).toBe(100)
  })
})

describe("control", () => {
  it("pauses, resumes and drains a run by its name and partition", () => {
    const steps = during(
      350,
      Effect.gen(function* () {
        const states: Array<string> = []
        for (const what of ["pause", "resume", "drain"] as const) {
          yield* Inspect.control({ name: "cities", partition: "de" }, what)
          states.push((yield* view).state)
        }
        return states
      })
    )
    expect(steps).toEqual(["paused", "running", "draining"])
  })

  it("says which runs there are where there is none of that name", () => {
    const error = during(350, Effect.flip(Inspect.control({ name: "cities" }, "drain")))
    expect(error.message).toBe(`No run "cities" lives in this process; these do: cities`)
  })
})
