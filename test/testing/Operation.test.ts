import { describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Pool from "effect/Pool"
import * as PubSub from "effect/PubSub"
import * as Queue from "effect/Queue"
import * as Ref from "effect/Ref"
import * as Semaphore from "effect/Semaphore"
import * as TxQueue from "effect/TxQueue"
import * as TxRef from "effect/TxRef"
import { globSync, readFileSync } from "node:fs"
import { join, resolve } from "node:path"
import { Cancel, Deadline, Limiter, Offload, Pipeline, TaskGroup } from "skein"
import { Sim } from "skein/testing"

const src = resolve(import.meta.dirname, "../../src")

/** Who waits for what when nothing can go on. */
const waitingIn = async <A, E>(effect: Effect.Effect<A, E>): Promise<Record<string, string>> => {
  const deadlock = await Effect.runPromise(Effect.flip(Sim.run(effect)))
  if (deadlock._tag !== "Deadlock") throw deadlock
  return Object.fromEntries(deadlock.waiting.map(({ name, waitsFor }) => [name, waitsFor]))
}

// Effect does not tell what a fiber waits for, so `Operation.ts` looks at its primitives. When an update of Effect
// makes one of these fail, that file is where its new shape has to be told.
describe("a fiber that waits for ever is said to wait for", () => {
  it.each<[string, Effect.Effect<unknown, unknown>]>([
    ["nothing that ever comes (Effect.never)", Effect.never],
    ["a Deferred", Effect.flatMap(Deferred.make<void>(), Deferred.await)],
    ["permits of a Semaphore", Effect.flatMap(Semaphore.make(0), (semaphore) => semaphore.take(1))],
    ["permits of a Semaphore", Effect.flatMap(Semaphore.make(0), (semaphore) => semaphore.withPermit(Effect.void))],
    ["a Latch", Effect.flatMap(Latch.make(), Latch.await)],
    ["a Latch", Effect.flatMap(Latch.make(), (latch) => latch.whenOpen(Effect.void))],
    ["a message in a Queue", Effect.flatMap(Queue.unbounded<number>(), Queue.take)],
    ["a message in a Queue", Effect.flatMap(Queue.bounded<number>(2), Queue.takeAll)],
    ["a message in a Queue", Effect.flatMap(Queue.unbounded<number>(), Queue.peek)],
    [
      "room in a Queue",
      Effect.flatMap(Queue.bounded<number>(1), (queue) => Effect.replicateEffect(Queue.offer(queue, 1), 2))
    ],
    ["room in a Queue", Effect.flatMap(Queue.bounded<number>(1), (queue) => Queue.offerAll(queue, [1, 2, 3]))],
    ["the end of a Queue", Effect.flatMap(Queue.unbounded<number>(), Queue.await)],
    [
      "a message of a PubSub",
      Effect.scoped(Effect.flatMap(Effect.flatMap(PubSub.unbounded<number>(), PubSub.subscribe), PubSub.take))
    ],
    [
      "room in a PubSub",
      Effect.scoped(
        Effect.flatMap(PubSub.bounded<number>(1), (pubsub) =>
          Effect.andThen(PubSub.subscribe(pubsub), Effect.replicateEffect(PubSub.publish(pubsub, 1), 2))
        )
      )
    ],
    [
      "an item of a Pool",
      Effect.scoped(
        Effect.flatMap(Pool.make({ acquire: Effect.succeed("connection"), size: 1 }), (pool) =>
          Effect.replicateEffect(Pool.get(pool), 2)
        )
      )
    ],
    [
      "a change of what its transaction has read",
      Effect.flatMap(TxRef.make(0), (ref) => Effect.tx(Effect.andThen(TxRef.get(ref), Effect.txRetry)))
    ],
    ["a change of what its transaction has read", Effect.flatMap(TxQueue.unbounded<number>(), TxQueue.take)],
    ["the first of a race", Effect.race(Effect.never, Effect.never)],
    ["the first of a race", Effect.raceFirst(Effect.never, Effect.never)],
    ["the first of a race", Effect.raceAll([Effect.never, Effect.never])],
    ["effects that run concurrently", Effect.all([Effect.never, Effect.never], { concurrency: 2 })],
    ["effects that run concurrently", Effect.forEach([1, 2], () => Effect.never, { concurrency: "unbounded" })],
    ["effects that run concurrently", Effect.forEach([1, 2, 3], () => Effect.never, { concurrency: 2, discard: true })],
    ["effects that run concurrently", Effect.zip(Effect.never, Effect.never, { concurrent: true })],
    ["a fiber", Effect.flatMap(Effect.forkChild(Effect.never), Fiber.join)],
    ["a fiber", Effect.flatMap(Effect.forkChild(Effect.never), Fiber.await)],
    ["a fiber", Effect.flatMap(Effect.replicateEffect(Effect.forkChild(Effect.never), 2), Fiber.awaitAll)],
    ["a fiber", Effect.flatMap(Effect.replicateEffect(Effect.forkChild(Effect.never), 2), Fiber.joinAll)],
    [
      "a fiber",
      Effect.flatMap(
        Effect.forkChild(Effect.uninterruptible(Effect.never), { startImmediately: true }),
        Fiber.interrupt
      )
    ],
    ["a promise", Effect.promise(() => new Promise(() => {}))],
    ["a promise", Effect.tryPromise(() => new Promise(() => {}))],
    ["a promise", Effect.promise((_signal) => new Promise(() => {}))],
    ["a real timer", Effect.callback<void>((resume) => void setTimeout(resume, 60_000, Effect.void).unref())],
    ["something outside", Effect.callback<void>((resume) => void [resume])]
  ])("%s (%#)", async (what, effect) => {
    expect((await waitingIn(effect))["main"]).toBe(what)
  })

  it.each<[string, Effect.Effect<unknown, unknown>, Record<string, string>]>([
    [
      "the tasks of its group",
      TaskGroup.open(TaskGroup.spawn(Effect.never, { name: "task" }), { name: "group" }),
      { main: "the tasks of its group", task: "nothing that ever comes (Effect.never)" }
    ],
    [
      "the body of its group",
      TaskGroup.open(Effect.never, { name: "group" }),
      { main: "the tasks of its group", group: "nothing that ever comes (Effect.never)" }
    ],
    [
      "another task, by its name",
      TaskGroup.open(
        Effect.gen(function* () {
          const slow = yield* TaskGroup.spawn(Effect.never, { name: "slow" })
          yield* TaskGroup.spawn(slow.join, { name: "joining" })
          yield* TaskGroup.spawn(slow.exit, { name: "awaiting" })
        }),
        { name: "group" }
      ),
      { joining: 'the end of task "slow"', awaiting: 'the end of task "slow"' }
    ],
    [
      "the cleanup of a task",
      TaskGroup.open(
        Effect.gen(function* () {
          const stubborn = yield* TaskGroup.spawn(Effect.uninterruptible(Effect.never), { name: "stubborn" })
          yield* TaskGroup.spawn(Effect.andThen(Effect.yieldNow, stubborn.cancel()), { name: "canceller" })
        }),
        { name: "group", cleanup: "Infinity" }
      ),
      { canceller: 'the cleanup of task "stubborn"' }
    ],
    [
      "permits of a limiter",
      Effect.flatMap(Limiter.concurrency(1), (limiter) =>
        TaskGroup.open(
          Effect.gen(function* () {
            yield* TaskGroup.spawn(limiter.withPermit(Effect.never), { name: "holder" })
            yield* TaskGroup.spawn(limiter.withPermit(Effect.void), { name: "waiter" })
          })
        )
      ),
      { holder: "nothing that ever comes (Effect.never)", waiter: "1 of 1 permits" }
    ],
    [
      "permits of limiters, outside of any task",
      Effect.flatMap(Limiter.concurrency(1), (limiter) =>
        Effect.andThen(
          Effect.forkChild(limiter.withPermit(Effect.never), { startImmediately: true }),
          limiter.withPermit(Effect.void)
        )
      ),
      { main: "permits of a limiter" }
    ],
    [
      "a task that is to say that it is ready",
      TaskGroup.open(
        TaskGroup.start(() => Effect.never),
        { name: "group" }
      ),
      { group: "a task to be ready" }
    ],
    ["a promise, outside of any task", Offload.promise(() => new Promise(() => {})), { main: "a promise" }],
    [
      "what a deadline bounds",
      Effect.flatMap(Effect.exit(Deadline.within(1)(Cancel.shield(Effect.never))), () => Effect.never),
      { main: "what its deadline bounds" }
    ]
  ])("%s", async (_, effect, waiting) => {
    expect(await waitingIn(effect)).toMatchObject(waiting)
  })

  it("its turn in the pipeline, for who has nothing to do there", async () => {
    const stuck = Pipeline.from([1, 2]).pipe(Pipeline.map(() => Effect.never))
    expect(Object.values(await waitingIn(Pipeline.collect(stuck)))).toContain("its turn in the pipeline")
  })

  it("something that it tells itself, wherever it waits in our own code", () => {
    const callers = globSync("{concurrency,pipeline}/**/*.ts", { cwd: src }).filter((name) =>
      /^(?!\s*(?:\*|\/[/*])).*\bEffect\.(?:callback|promise|tryPromise)\b/m.test(
        readFileSync(resolve(src, name), "utf8")
      )
    )
    // Without words it would be told as "something outside".
    expect(callers).toEqual([join("concurrency", "base", "Wait.ts")])
  })

  it("in the names that people gave: of tasks, spans and Effect.fn, and the second of a name gets a 2", async () => {
    const named = Effect.fn("named")(function* () {
      return yield* Effect.never
    })
    const program = Effect.gen(function* () {
      yield* Effect.forkChild(named())
      yield* Effect.forkChild(named())
      yield* Effect.forkChild(Effect.withSpan(Effect.never, "span"))
      yield* Effect.forkChild(Effect.never)
      yield* TaskGroup.open(
        Effect.andThen(TaskGroup.spawn(Effect.never, { name: "task" }), TaskGroup.spawn(named(), { name: "other" })),
        { name: "group" }
      )
    }).pipe(Effect.withSpan("outer"))
    const names = Object.keys(await waitingIn(program))
    expect(names.toSorted()).toEqual([
      expect.stringMatching(/^fiber \d$/),
      "named",
      "named 2",
      "other",
      "outer",
      "span",
      "task"
    ])
  })
})

describe("what an operation does is told in a table", () => {
  const told = <A, E>(effect: Effect.Effect<A, E>) =>
    Effect.runSync(Sim.replay(effect, "sim1:0:boundary:fifo")).trace.flatMap(({ fiber, operations }) =>
      operations.map((operation) => `${fiber}: ${operation}`)
    )

  it("as the source of a sync, without its frame", () => {
    let count = 0
    expect(told(Effect.sync(() => count++))).toEqual(["0: count++"])
    expect(
      told(
        Effect.sync(() => {
          return count + 1
        })
      )
    ).toEqual(["0: count + 1"])
    expect(
      told(
        Effect.sync(function () {
          count = 5
        })
      )
    ).toEqual(["0: count = 5"])
    expect(told(Effect.flatMap(Ref.make(1), Ref.get))[1]).toBe("0: self.ref.current")
  })

  it("without the comments of its author", () => {
    // Vitest leaves out comments, so these come from elsewhere.
    const sync = (source: string) => told(Effect.sync(new Function(`return ${source}`)() as () => unknown))
    expect(sync("() => {\n  // why\n  return 1 + 1 // what\n}")).toEqual(["0: 1 + 1"])
    expect(sync("(/* none */) => /* why */ 1 + 1")).toEqual(["0: 1 + 1"])
    expect(sync("function () { /* why\n */ this.x = 1; }.bind({})")).toEqual(["0: [native code]"])
    expect(sync("() => { // nothing\n}")).toEqual([])
    expect(sync('() => "http://a" + `/*b*/` // c')).toEqual(['0: "http://a" + `/*b*/`'])
    expect(sync(String.raw`() => /https?:\/\//.test("a")`)).toEqual([String.raw`0: /https?:\/\//.test("a")`])
  })

  it("as a fork, a yield, a failure, a wait; and as nothing where it only leads on to others", () => {
    expect(told(Effect.flatMap(Effect.forkChild(Effect.void), Fiber.join))).toEqual([
      "0: forks a fiber",
      "0: waits for a fiber"
    ])
    expect(told(Effect.yieldNow)).toEqual(["0: yields"])
    expect(told(Effect.fail("no"))).toEqual(["0: fails"])
    expect(told(Effect.flatMap(Effect.succeed(1), () => Effect.void))).toEqual([])
  })

  it("but not the yield that makes room, which is the schedule's doing", () => {
    const program = Effect.andThen(
      Effect.sync(() => 1),
      Effect.sync(() => 2)
    )
    const preempted = Effect.runSync(Sim.replay(program, "sim1:0:op:1.1.1"))
    expect(preempted.order.length).toBeGreaterThan(1)
    expect(preempted.trace.flatMap(({ operations }) => operations)).toEqual(["1", "2"])
  })
})
