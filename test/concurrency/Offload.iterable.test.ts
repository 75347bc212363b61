/** S32: async iterables as streams, with all that these can do wrong (S27). */
import { describe, expect } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import * as Stream from "effect/Stream"
import { EventEmitter, on } from "node:events"
import { Deadline, Offload, TaskGroup } from "skein"
import { Leaks, Sim } from "skein/testing"
import { it } from "skein/testing/vitest"

/** In virtual time, with promises that take real turns of the event loop. */
const exitOf = async <A, E>(effect: Effect.Effect<A, E>): Promise<Exit.Exit<A, E>> =>
  (await Effect.runPromise(Effect.tap(Sim.run(effect), Leaks.check))).exit
const valueOf = async <A, E>(effect: Effect.Effect<A, E>): Promise<A> => {
  const exit = await exitOf(effect)
  if (Exit.isFailure(exit)) throw Cause.squash(exit.cause)
  return exit.value
}
const errorOf = async <A, E>(effect: Effect.Effect<A, E>) => valueOf(Effect.flip(effect))

const collected = <A, E>(stream: Stream.Stream<A, E>) => Effect.map(Stream.runCollect(stream), (all) => [...all])

/** A generator that tells what happens to it; what it waits for before each element is given. */
const told = (wait: (signal: AbortSignal) => Promise<unknown> = () => Promise.resolve()) => {
  const log: Array<string> = []
  const make = async function* (signal: AbortSignal) {
    signal.addEventListener("abort", () => log.push(`aborted: ${signal.reason.name}: ${signal.reason.message}`))
    try {
      for (let i = 1; ; i++) {
        log.push(`asked for ${i}`)
        await wait(signal)
        yield i
      }
    } finally {
      await undefined
      log.push("closed")
    }
  }
  return { log, make }
}

/** Settles a turn of the event loop after the signal is aborted. */
const untilAbort = (signal: AbortSignal): Promise<never> =>
  new Promise((_, reject) => signal.addEventListener("abort", () => setImmediate(() => reject(signal.reason))))

describe("Offload.iterable", () => {
  it("S32 asks for an element when one is wanted, and calls `return` when the stream ends early", async () => {
    const { log, make } = told()
    const stream = Offload.iterable(make).pipe(
      Stream.tap((i) => Effect.sync(() => void log.push(`got ${i}`))),
      Stream.take(2)
    )
    expect(await valueOf(collected(stream))).toEqual([1, 2])
    expect(log).toEqual([
      "asked for 1",
      "got 1",
      "asked for 2",
      "got 2",
      "aborted: AbortError: its stream has ended early",
      "closed"
    ])
  })

  it("S32 ends with the iterable, and neither aborts nor calls `return` then", async () => {
    const log: Array<string> = []
    const make = (signal: AbortSignal): AsyncIterable<number> => {
      let n = 0
      signal.addEventListener("abort", () => log.push("aborted"))
      return {
        [Symbol.asyncIterator]: () => ({
          next: async () => (n++ < 3 ? { value: n } : { done: true, value: undefined }),
          return: async () => {
            log.push("return")
            return { done: true, value: undefined }
          }
        })
      } as AsyncIterable<number>
    }
    const stream = Offload.iterable(make)
    expect(await valueOf(collected(stream))).toEqual([1, 2, 3])
    // Each run reads one of its own.
    expect(await valueOf(collected(stream))).toEqual([1, 2, 3])
    expect(log).toEqual([])
  })

  it("S32 makes nothing before it is read", async () => {
    let made = 0
    const stream = Offload.iterable(() => {
      made++
      return told().make(new AbortController().signal)
    })
    await valueOf(Effect.scoped(Effect.asVoid(Stream.toPull(stream))))
    expect(made).toBe(0)
  })

  const boom = new RangeError("boom")
  const throws = () => {
    throw boom
  }
  const iterator = (parts: object): AsyncIterable<number> =>
    ({ [Symbol.asyncIterator]: () => ({ return: () => expect.fail("it has ended by itself"), ...parts }) }) as never
  const word = ["th", "en"].join("")

  it.each<[string, (signal: AbortSignal) => AsyncIterable<number>, unknown]>([
    ["that cannot be made", throws, boom],
    ["that is none", () => ({}) as never, expect.any(TypeError)],
    ["whose iterator cannot be made", () => ({ [Symbol.asyncIterator]: throws }), boom],
    ["whose iterator is none", () => ({ [Symbol.asyncIterator]: () => null as never }), expect.any(TypeError)],
    ["whose `next` is none", () => iterator({}), expect.any(TypeError)],
    ["whose `next` throws", () => iterator({ next: throws }), boom],
    ["whose `next` rejects", () => iterator({ next: () => Promise.reject(boom) }), boom],
    ["whose `next` gives undefined", () => iterator({ next: async () => undefined }), expect.any(TypeError)],
    ["whose `next` gives a number", () => iterator({ next: async () => 5 }), expect.any(TypeError)],
    [
      "whose `done` throws",
      () => iterator({ next: async () => Object.defineProperty({}, "done", { get: throws }) }),
      boom
    ],
    [
      "whose `value` throws",
      () => iterator({ next: async () => Object.defineProperty({}, "value", { get: throws }) }),
      boom
    ],
    ["whose promise throws", () => iterator({ next: () => Object.defineProperty({}, word, { value: throws }) }), boom]
  ])("S27, S32 fails with an OffloadError for one %s", async (_, make, cause) => {
    const error = await errorOf(collected(Offload.iterable(make, { name: "pages" })))
    expect(error).toBeInstanceOf(Offload.OffloadError)
    expect(error).toMatchObject({ job: "pages", cause })
  })

  it("S27, S32 dies with a `return` that fails, unless that is its answer to the abort", async () => {
    const of = (end: () => Promise<never>): Stream.Stream<number, Offload.OffloadError> =>
      Offload.iterable(() => iterator({ next: async () => ({ value: 1 }), return: end }), { name: "pages" }).pipe(
        Stream.take(1)
      )
    for (const end of [throws, () => Promise.reject(boom)]) {
      const exit = await exitOf(collected(of(end)))
      expect(Exit.isFailure(exit) && exit.cause.reasons).toMatchObject([{ _tag: "Die", defect: { cause: boom } }])
    }
    expect(await valueOf(collected(of(() => Promise.reject(new DOMException("x", "AbortError")))))).toEqual([1])
    const without = Offload.iterable(() => iterator({ next: async () => ({ value: 1 }), return: undefined }))
    expect(await valueOf(collected(Stream.take(without, 1)))).toEqual([1])
  })

  it("S25, S32 is told of a cancellation, with the reason, and waited for", async () => {
    const { log, make } = told(untilAbort)
    const reading = Stream.runDrain(Offload.iterable(make)).pipe(Deadline.within("1 second", { name: "read" }))
    const end = Effect.sync(() => void log.push("ended"))
    expect(await errorOf(Effect.ensuring(reading, end))).toMatchObject({ _tag: "DeadlineExceeded" })
    expect(log).toEqual(["asked for 1", "aborted: AbortError: not done within 1s", "closed", "ended"])
  })

  it("S32 wakes one that knows no signal by its `return`", async () => {
    const emitter = new EventEmitter()
    const events = Offload.iterable(() => on(emitter, "event")).pipe(Stream.map(([n]) => n))
    const two = Effect.gen(function* () {
      const fiber = yield* Effect.forkChild(collected(Stream.take(events, 2)), { startImmediately: true })
      emitter.emit("event", 1)
      emitter.emit("event", 2)
      return yield* Fiber.join(fiber)
    })
    expect(await valueOf(two)).toEqual([1, 2])
    expect(await valueOf(Stream.runDrain(events).pipe(Deadline.moveOn("1 second")))).toMatchObject({ _tag: "None" })
    expect(emitter.listenerCount("event")).toBe(0)
  })

  it('S25, S32 with "abandon" leaves a `next` that is pending, and lists it until it settles', async () => {
    let settle: () => void = () => {}
    const { log, make } = told(() => new Promise<void>((resolve) => (settle = resolve)))
    const reading = Stream.runDrain(Offload.iterable(make, { name: "deaf", onCancel: "abandon" }))
    const program = Effect.gen(function* () {
      yield* reading.pipe(Deadline.moveOn("1 second"))
      const before = (yield* TaskGroup.orphans).map(({ name }) => name)
      settle()
      yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
      return [before, (yield* TaskGroup.orphans).map(({ name }) => name)]
    })
    expect(await valueOf(program)).toEqual([["deaf"], []])
    // The generator has heard of `return` all the same.
    expect(log.slice(-1)).toEqual(["closed"])
  })

  it("S13, S32 one that never closes is named, and its task by the group", async () => {
    const logged: Array<string> = []
    const logger = Logger.make(({ message }) => void logged.push(String(message)))
    const deaf = iterator({ next: async () => ({ value: 1 }), return: () => new Promise(() => {}) })
    const reading = Stream.runDrain(
      Stream.take(
        Offload.iterable(() => deaf, { name: "deaf" }),
        1
      )
    )
    let waiting: ReadonlyArray<unknown> = []
    const program = TaskGroup.open(
      Effect.gen(function* () {
        yield* TaskGroup.spawn(reading, { name: "reader" })
        yield* Effect.sleep("1 second")
        const { groups } = yield* TaskGroup.tree
        waiting = groups.flatMap(({ tasks }) => tasks.map(({ waitsFor }) => waitsFor))
      }),
      { name: "main", cleanup: "1 second", abandon: true, within: "2 seconds" }
    ).pipe(Effect.flip, Effect.provideService(Logger.CurrentLoggers, new Set([logger])))
    expect((await Effect.runPromise(Sim.run(program))).exit).toMatchObject({ value: { _tag: "DeadlineExceeded" } })
    expect(waiting).toContain('promise "deaf"')
    expect(logged).toEqual([
      'Group "main" waits for cancelled tasks to clean up: "reader" for 1s. It stops waiting and leaves them as orphans'
    ])
  })

  const through = Effect.gen(function* () {
    let open = 0
    yield* Leaks.watch("generator", () => open)
    const generate = async function* (signal: AbortSignal) {
      open++
      try {
        for (let i = 1; i <= 3 && !signal.aborted; i++) {
          await undefined
          yield i
        }
      } finally {
        await undefined
        open--
      }
    }
    const body = Effect.gen(function* () {
      const bridge = yield* TaskGroup.bridge()
      // In, out and in again.
      const stream = Offload.iterable(() => bridge.iterate(Offload.iterable(generate)))
      const all = yield* TaskGroup.spawn(collected(stream))
      const two = yield* TaskGroup.spawn(collected(Stream.take(stream, 2)))
      return [...(yield* all.join), ...(yield* two.join)].join()
    })
    expect(yield* TaskGroup.open(body)).toBe("1,2,3,1,2")
  })

  it.sim("S32 goes out and in again under any order", through, { granularity: "op", schedules: 1000, timeout: 120_000 })

  it.everywhere("S32 closes its generators, wherever it is cancelled", through, { timeout: 120_000 })
})
