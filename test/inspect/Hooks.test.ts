/** What the layer puts around the scheduler and the fiber metrics: what fibers do is measured, and both hear all that they would. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { FiberRuntimeMetrics } from "effect/Metric"
import { MixedScheduler, Scheduler } from "effect/Scheduler"
import * as Stream from "effect/Stream"
import { Registry, TaskGroup } from "skein"
import { Inspect } from "skein/inspect"

const run = <A, E>(effect: Effect.Effect<A, E>) =>
  Effect.runPromise(Effect.provideService(effect, Registry.Registry, Registry.make()))

const tasksOf = ({ groups }: Inspect.Snapshot): Readonly<Record<string, Inspect.TaskView>> =>
  Object.fromEntries(groups[0]!.tasks.map((task) => [task.name, task]))

/** Runs no shorter than that, however busy the machine is. */
const burn = (millis: number) =>
  Effect.sync(() => {
    const end = performance.now() + millis
    while (performance.now() < end);
  })

const watched = <A, E, R>(effect: Effect.Effect<A, E, R>, options?: Inspect.LayerOptions) =>
  Effect.provide(effect, Inspect.layer(options))

describe("work", () => {
  it("counts the fibers of a task, and how long they ran and waited", async () => {
    const program = Effect.gen(function* () {
      const job = Effect.gen(function* () {
        yield* Effect.forkChild(Effect.never)
        yield* burn(20)
        yield* Effect.sleep(20)
        return yield* Effect.never
      })
      yield* TaskGroup.spawn(job, { name: "job", kind: "daemon" })
      yield* TaskGroup.spawn(Effect.forever(Effect.yieldNow), { name: "busy", kind: "daemon" })
      yield* Effect.sleep(60)
      return tasksOf(yield* Inspect.snapshot)
    })
    const { busy, group, job } = await run(watched(TaskGroup.open(program, { name: "group" })))
    expect([job!.work!.fibers, busy!.work!.fibers, group!.work!.fibers]).toEqual([2, 1, 1])
    expect([job!.work!.isRunnable, busy!.work!.isRunnable, group!.work!.isRunnable]).toEqual([false, true, true])
    expect(job!.work!.busy).toBeGreaterThanOrEqual(19)
    expect(job!.work!.idle).toBeGreaterThanOrEqual(38)
    expect(busy!.work!.idle).toBeLessThan(busy!.work!.busy + busy!.work!.scheduled)
    expect(busy!.work!.scheduled).toBeGreaterThan(0)
  })

  it("is no work of a task what others do meanwhile, nor what the process sleeps", async () => {
    const program = Effect.gen(function* () {
      yield* TaskGroup.spawn(Effect.sleep("1 hour"), { name: "idle", kind: "daemon" })
      yield* burn(30)
      yield* Effect.sleep(30)
      return tasksOf(yield* Inspect.snapshot)
    })
    const { idle } = await run(watched(TaskGroup.open(program)))
    expect(idle!.work!.idle).toBeGreaterThanOrEqual(58)
  })

  it("has a blocked event loop as an event, with the task that held it", async () => {
    const program = Effect.gen(function* () {
      yield* TaskGroup.spawn(Effect.andThen(Effect.yieldNow, burn(30)), { name: "hog" })
      yield* Effect.sleep(1)
      yield* TaskGroup.open(Effect.void)
    })
    const blocked = Effect.gen(function* () {
      yield* TaskGroup.open(program)
      const { kept } = (yield* Inspect.snapshot).history
      const entries = yield* Stream.runCollect(Stream.take(Inspect.events, kept))
      return entries.flatMap((entry) => (entry.kind === "blocked" ? [entry.name] : []))
    })
    expect(await run(watched(blocked, { blocked: "1 hour" }))).toEqual([])
    expect(await run(watched(blocked, { blocked: 20 }))).toContain("hog")
  })
})

describe("what is there already", () => {
  it("is asked by each fiber, and each is queued with it", async () => {
    class Own extends MixedScheduler {
      asked = 0
      queued = 0
      override shouldYield(fiber: Parameters<MixedScheduler["shouldYield"]>[0]): boolean {
        this.asked += 1
        return super.shouldYield(fiber)
      }
      override makeDispatcher() {
        const dispatcher = super.makeDispatcher()
        const scheduleTask = dispatcher.scheduleTask.bind(dispatcher)
        dispatcher.scheduleTask = (task, priority) => {
          this.queued += 1
          scheduleTask(task, priority)
        }
        return dispatcher
      }
    }
    const program = TaskGroup.open(TaskGroup.spawn(Effect.andThen(Effect.yieldNow, Effect.yieldNow)))
    const counted = async (effect: Effect.Effect<unknown>) => {
      const own = new Own()
      await run(Effect.provideService(effect, Scheduler, own))
      return [own.asked, own.queued] as const
    }
    const [asked, queued] = await counted(program)
    const [askedToo, queuedToo] = await counted(watched(program))
    expect(askedToo).toBeGreaterThanOrEqual(asked)
    expect([queued, queuedToo]).toEqual([2, 2])
  })

  it("decides when a fiber yields", async () => {
    class Strict extends MixedScheduler {
      override shouldYield(fiber: Parameters<MixedScheduler["shouldYield"]>[0]): boolean {
        return fiber.currentOpCount >= 3
      }
    }
    const turns: Array<string> = []
    const job = (name: string) =>
      Effect.forEach([1, 2, 3, 4], () => Effect.sync(() => void turns.push(name)), { discard: true })
    const program = TaskGroup.open(Effect.andThen(TaskGroup.spawn(job("a")), TaskGroup.spawn(job("b"))))
    await run(Effect.provideService(watched(program), Scheduler, new Strict()))
    const alternations = turns.filter((name, i) => i > 0 && name !== turns[i - 1])
    expect(alternations.length).toBeGreaterThan(1)
  })

  it("counts each fiber that begins and ends", async () => {
    const counted = async (wrap: (effect: Effect.Effect<void>) => Effect.Effect<void>) => {
      const heard: Array<string> = []
      const metrics = {
        recordFiberStart: () => void heard.push("start"),
        recordFiberEnd: (_: unknown, exit: Exit.Exit<unknown, unknown>) =>
          void heard.push(Exit.isSuccess(exit) ? "success" : "failure")
      }
      const bad = Effect.exit(TaskGroup.open(TaskGroup.spawn(Effect.die("bad"))))
      const program = Effect.asVoid(Effect.andThen(bad, TaskGroup.open(TaskGroup.spawn(Effect.yieldNow))))
      await run(Effect.provideService(wrap(program), FiberRuntimeMetrics, metrics))
      return heard
    }
    const without = await counted((effect) => effect)
    expect(without.filter((word) => word === "start").length).toBe(4)
    expect(await counted((effect) => watched(effect))).toEqual(without)
  })

  it("is the layer around another one", async () => {
    const program = Effect.gen(function* () {
      yield* watched(TaskGroup.open(Effect.void))
      return (yield* Inspect.snapshot).history
    })
    expect(await run(watched(program))).toEqual({ kept: 2, dropped: 0 })
  })
})
