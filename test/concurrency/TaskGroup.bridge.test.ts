/** S32: the way into a group, and out of it, for code that knows only promises, callbacks and signals. */
import { afterEach, beforeEach, describe, expect } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { EventEmitter, getEventListeners, once } from "node:events"
import * as Http from "node:http"
import type { AddressInfo } from "node:net"
import { Readable } from "node:stream"
import { Cancel, Deadline, Limiter, Offload, Task, TaskGroup } from "skein"
import { Leaks, Sim } from "skein/testing"
import { it } from "skein/testing/vitest"

/** One turn of the event loop: by then all that promises have to do is done. */
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** For simulations, whose promises need no event loop. */
const turns = async (): Promise<void> => {
  for (let i = 0; i < 5; i++) await undefined
}

const unhandled: Array<unknown> = []
const onUnhandled = (reason: unknown): void => void unhandled.push(reason)
beforeEach(() => void process.on("unhandledRejection", onUnhandled))
afterEach(async () => {
  await turn()
  process.off("unhandledRejection", onUnhandled)
  expect(unhandled.splice(0)).toEqual([])
})

/** What a promise is rejected with. */
const rejection = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    (value) => Promise.reject(new Error(`it gave ${String(value)}`)),
    (error: unknown) => error
  )

/** How a promise settled, in words. */
const outcome = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    (value) => `gave ${String(value)}`,
    (error: unknown) => (error instanceof Error ? `${error.name}: ${error.message}` : `failed with ${String(error)}`)
  )

const aborted = (message: string, reason: Partial<Cancel.Reason> = {}) =>
  expect.objectContaining({ name: "AbortError", message, cause: expect.objectContaining({ message, ...reason }) })

/** Waits for ever, and says how its cleanup went, which takes a while. */
const sleeper = (log: Array<string>, name = "sleeper") =>
  Effect.never.pipe(
    Cancel.cleanup((reason) =>
      Effect.andThen(
        Effect.yieldNow,
        Effect.sync(() => void log.push(`${name}: ${Option.getOrThrow(reason).kind}`))
      )
    )
  )

/** Runs `use` as the body of a group, with a bridge into it; gives how it ended, and what was logged. Throws what `use` does. */
const within = async <A>(
  use: (bridge: TaskGroup.Bridge<TaskGroup.TaskGroup<string>>) => Promise<A>,
  options: TaskGroup.OpenOptions = {}
) => {
  const logged: Array<string> = []
  const logger = Logger.make(({ message }) => void logged.push(String(message)))
  const thrown: Array<unknown> = []
  const body = Effect.flatMap(TaskGroup.bridge<TaskGroup.TaskGroup<string>>(), (bridge) =>
    Effect.promise(() =>
      use(bridge).catch((error: unknown) => {
        thrown.push(error)
        throw error
      })
    )
  )
  const exit = await Effect.runPromise(
    Effect.exit(TaskGroup.open(body, options)).pipe(Effect.provideService(Logger.CurrentLoggers, new Set([logger])))
  )
  if (thrown.length > 0) throw thrown[0]
  return { exit, logged }
}

describe("bridge.run", () => {
  it("S32 gives what the effect gives, as a task of the group with the services of where the bridge was made", async () => {
    const User = Context.Service<string>("User")
    const who = Effect.gen(function* () {
      const task = Option.getOrThrow(yield* Task.current)
      return [yield* User, task.name, task.kind, Option.getOrThrow(task.parent).name]
    })
    const program = TaskGroup.open(
      Effect.gen(function* () {
        const bridge = yield* TaskGroup.bridge<string>()
        return yield* Effect.promise(() => bridge.run(who, { name: "asks" }))
      }),
      { name: "main" }
    )
    expect(await Effect.runPromise(Effect.provideService(program, User, "Ada"))).toEqual([
      "Ada",
      "asks",
      "task",
      "main"
    ])
  })

  it("S32 rejects with the error itself and with a defect itself, and the group goes on and reports neither", async () => {
    const error = { _tag: "Refused" }
    const defect = new RangeError("broken")
    const { exit, logged } = await within(async (bridge) => [
      (await rejection(bridge.run(Effect.fail(error)))) === error,
      (await rejection(bridge.run(Effect.delay(Effect.fail(error), 1)))) === error,
      (await rejection(bridge.run(Effect.die(defect)))) === defect,
      await rejection(bridge.run(Effect.fail(undefined)))
    ])
    expect(exit).toEqual(Exit.succeed([true, true, true, undefined]))
    expect(logged).toEqual([])
  })

  it("S32 leaves to the group what its effect spawns there", async () => {
    const { exit } = await within(async (bridge) => {
      await bridge.run(TaskGroup.spawn(Effect.delay(Effect.fail("spawned"), 1)))
      await new Promise(() => {})
    })
    expect(exit).toMatchObject({ _tag: "Failure" })
    expect(Exit.isFailure(exit) && TaskGroup.failures(exit.cause)[0]).toMatchObject({ error: "spawned" })
  })

  it("S32 keeps the group open until its task has ended", async () => {
    const log: Array<string> = []
    const { exit } = await within(async (bridge) => {
      void bridge.run(
        Effect.delay(
          Effect.sync(() => log.push("done")),
          5
        )
      )
    })
    expect(exit).toEqual(Exit.succeed(undefined))
    expect(log).toEqual(["done"])
  })

  it("S32 rejects with an AbortError that has the reason of its signal, when its cleanup has run", async () => {
    const log: Array<string> = []
    const why = new Error("the user left")
    await within(async (bridge) => {
      const controller = new AbortController()
      const running = bridge.run(sleeper(log), { signal: controller.signal })
      expect(getEventListeners(controller.signal, "abort")).toHaveLength(1)
      controller.abort(why)
      const error = await rejection(running)
      expect(error).toBeInstanceOf(DOMException)
      expect(error).toEqual(aborted("the user left", { kind: "explicit", cause: why }))
      expect(log).toEqual(["sleeper: explicit"])
      expect(getEventListeners(controller.signal, "abort")).toEqual([])
    })
  })

  it("S32 rejects with the reason of whoever cancelled: the group, a sibling, a deadline, an outer task", async () => {
    const log: Array<string> = []
    const caught: Array<unknown> = []
    const cancelledBy = async <E>(
      how: Effect.Effect<unknown, E, TaskGroup.TaskGroup<any>>,
      options: TaskGroup.OpenOptions = {}
    ) => {
      const body = Effect.flatMap(TaskGroup.bridge(), (bridge) => {
        void bridge.run(sleeper(log)).catch((error: unknown) => caught.push(error))
        return how
      })
      const opened = TaskGroup.open(body, { name: "main", ...options }) as Effect.Effect<unknown, unknown>
      await Effect.runPromise(Effect.exit(opened))
      await turn()
    }
    await cancelledBy(Effect.andThen(TaskGroup.cancel("enough"), Effect.never))
    await cancelledBy(Effect.andThen(TaskGroup.spawn(Effect.fail("x"), { name: "bad" }), Effect.never))
    await cancelledBy(Effect.never, { within: "1 millis" })
    await cancelledBy(Effect.fail("x"))
    expect(caught).toEqual([
      aborted("enough", { kind: "explicit" }),
      aborted('task "bad" failed', { kind: "sibling", by: "bad" }),
      aborted("not done within 1ms", { kind: "deadline", by: "main" }),
      aborted('the body of group "main" failed', { kind: "body" })
    ])
    expect(log).toEqual(["explicit", "sibling", "deadline", "body"].map((kind) => `sleeper: ${kind}`))
  })

  it("S32 rejects with GroupClosed and starts nothing when the group takes no more tasks", async () => {
    let ran = false
    let bridge: TaskGroup.Bridge | undefined
    await within(async (given) => void (bridge = given), { name: "main" })
    const error = await rejection(
      bridge!.run(
        Effect.sync(() => void (ran = true)),
        { name: "late" }
      )
    )
    expect(error).toBeInstanceOf(TaskGroup.GroupClosed)
    expect(error).toMatchObject({ group: "main", task: "late", state: "closed" })
    expect(ran).toBe(false)
    const controller = new AbortController()
    await rejection(bridge!.run(Effect.void, { signal: controller.signal }))
    expect(getEventListeners(controller.signal, "abort")).toEqual([])
  })

  it("S32 starts nothing when its signal is aborted already", async () => {
    let ran = false
    await within(async (bridge) => {
      const late = bridge.run(
        Effect.sync(() => void (ran = true)),
        { signal: AbortSignal.abort("too late") }
      )
      expect(await rejection(late)).toEqual(aborted("too late"))
    })
    expect(ran).toBe(false)
  })

  it("S32 takes its listener away however it ends, and may be aborted in its first step and by its own cleanup", async () => {
    await within(async (bridge) => {
      const controller = new AbortController()
      const { signal } = controller
      const abort = Effect.sync(() => controller.abort("now"))
      await bridge.run(Effect.void, { signal })
      await bridge.run(Effect.sleep(1), { signal })
      await rejection(bridge.run(Effect.fail("x"), { signal }))
      expect(getEventListeners(signal, "abort")).toEqual([])
      expect(await rejection(bridge.run(Effect.andThen(abort, Effect.never), { signal }))).toEqual(aborted("now"))
      const first = new AbortController()
      const cleanup = Effect.sync(() => first.abort("again"))
      expect(await bridge.run(Effect.ensuring(Effect.succeed(1), cleanup), { signal: first.signal })).toBe(1)
    })
  })

  it.each<[string, unknown, string]>([
    ["nothing", undefined, "This operation was aborted"],
    ["null", null, "null"],
    ["an error that says nothing", new Error(), "its signal was aborted"],
    ["a symbol", Symbol("why"), "Symbol(why)"],
    ["an object without a prototype", Object.create(null), "{}"],
    [
      "a message that throws",
      Object.defineProperty({}, "message", {
        get: () => {
          throw new Error("no")
        }
      }),
      "{}"
    ],
    ["a message that is no text", { message: Symbol("no") }, "{}"],
    [
      "a proxy that throws",
      new Proxy(
        {},
        {
          has: () => {
            throw new Error("no")
          }
        }
      ),
      "a value that cannot be shown"
    ],
    ["a time limit", AbortSignal.abort(new DOMException("too slow", "TimeoutError")).reason, "too slow"]
  ])("S27, S32 may be aborted with %s", async (_, reason, message) => {
    const log: Array<string> = []
    await within(async (bridge) => {
      const controller = new AbortController()
      const running = bridge.run(sleeper(log), { signal: controller.signal })
      controller.abort(reason)
      const error = (await rejection(running)) as DOMException & { readonly cause: Cancel.Reason }
      expect([error.name, error.message]).toEqual(["AbortError", message])
      if (reason !== undefined) expect(error.cause.cause === reason).toBe(true)
    })
    expect(log).toEqual(["sleeper: explicit"])
  })

  it("S27, S32 takes signals of another make, and rejects where it is none", async () => {
    const log: Array<string> = []
    /** As old libraries have them: without a reason, and loud. */
    const foreign = () => {
      let listener: (() => void) | undefined
      return {
        aborted: false,
        addEventListener: (_: string, f: () => void) => void (listener = f),
        removeEventListener: () => {
          throw new Error("never added")
        },
        abort: () => {
          listener!()
          listener!()
        }
      }
    }
    await within(async (bridge) => {
      const signal = foreign()
      const running = bridge.run(sleeper(log), { signal: signal as unknown as AbortSignal })
      signal.abort()
      expect(await rejection(running)).toEqual(aborted("its signal was aborted"))
      expect(await bridge.run(Effect.succeed(1), { signal: foreign() as unknown as AbortSignal })).toBe(1)
      for (const none of [{}, "signal", null, { aborted: true }]) {
        const error = await rejection(bridge.run(Effect.void, { signal: none as unknown as AbortSignal }))
        expect(error).toBeInstanceOf(TypeError)
      }
      const broken = {
        ...foreign(),
        addEventListener: () => {
          throw new RangeError("full")
        }
      }
      expect(await rejection(bridge.run(Effect.void, { signal: broken as unknown as AbortSignal }))).toEqual(
        new RangeError("full")
      )
    })
    expect(log).toEqual(["sleeper: explicit"])
  })

  it("S29, S32 waits for its turn in a group with a limit, and holds what a task holds", async () => {
    let running = 0
    let most = 0
    const job = Effect.acquireUseRelease(
      Effect.sync(() => void (most = Math.max(most, ++running))),
      () => Effect.sleep(1),
      () => Effect.sync(() => void running--)
    )
    const { exit } = await within((bridge) => Promise.all([1, 2, 3, 4, 5].map(() => bridge.run(job))), { limit: 2 })
    expect(Exit.isSuccess(exit)).toBe(true)
    expect(most).toBe(2)
    const limiter = await Effect.runPromise(Limiter.concurrency(1))
    const { exit: second } = await within((bridge) =>
      Promise.all([1, 2].map(() => bridge.run(limiter.withPermit(Effect.sleep(1)))))
    )
    expect(Exit.isSuccess(second)).toBe(true)
  })

  it("S15, S32 stands under the deadline of the group, and not under that of the code that made the bridge", async () => {
    const program = TaskGroup.open(
      Effect.gen(function* () {
        const bridge = yield* TaskGroup.bridge().pipe(Deadline.within("1 millis"))
        return yield* Effect.promise(() => bridge.run(Deadline.remaining))
      }),
      { within: "1 hour" }
    )
    const left = await Effect.runPromise(program)
    expect(Option.isSome(left)).toBe(true)
    const spent = TaskGroup.open(
      Effect.flatMap(TaskGroup.bridge().pipe(Deadline.within("1 millis")), (bridge) =>
        Effect.promise(() => bridge.run(Effect.as(Effect.sleep(5), "in time")))
      )
    )
    expect(await Effect.runPromise(spent)).toBe("in time")
  })

  it("S25, S32 passes a cancellation on to promise code and back in as one", async () => {
    const log: Array<string> = []
    const program = TaskGroup.open(
      Effect.flatMap(TaskGroup.bridge(), (bridge) =>
        Effect.andThen(
          Offload.promise((signal) => bridge.run(sleeper(log), { signal })).pipe(
            Deadline.within("5 millis", { name: "all" })
          ),
          Effect.void
        )
      )
    )
    const exit = await Effect.runPromise(Effect.exit(program))
    expect(Exit.isFailure(exit) && exit.cause.reasons).toMatchObject([{ error: { _tag: "DeadlineExceeded" } }])
    expect(log).toEqual(["sleeper: explicit"])
  })

  const ended = new Set([
    "gave 1",
    "AbortError: enough",
    'AbortError: group "main" was cancelled from outside',
    'GroupClosed: Task late was not started: its group "main" is cancelling'
  ])
  const raced = Effect.gen(function* () {
    const outcomes: Array<string> = []
    let promises = 0
    let running = 0
    const note = (promise: Promise<unknown>) => {
      promises++
      return outcome(promise).then((text) => void outcomes.push(text))
    }
    const work = Effect.acquireUseRelease(
      Effect.sync(() => void running++),
      () => Effect.as(Effect.sleep(2), 1),
      () =>
        Effect.andThen(
          Effect.yieldNow,
          Effect.sync(() => void running--)
        )
    )
    const body = Effect.gen(function* () {
      const bridge = yield* TaskGroup.bridge()
      const { signal } = new AbortController()
      const first = [note(bridge.run(work)), note(bridge.run(work, { signal }))]
      yield* TaskGroup.spawn(Effect.delay(TaskGroup.cancel("enough"), 2))
      yield* Effect.sleep(1)
      const late = note(bridge.run(work, { name: "late" }))
      yield* Effect.ensuring(
        Effect.sleep(5),
        Effect.sync(() => void note(bridge.run(work, { name: "late" })))
      )
      yield* Offload.promise(() => Promise.all([...first, late]))
    })
    yield* Effect.onExit(Effect.exit(TaskGroup.open(body, { name: "main" })), () =>
      // All tasks have ended: what is missing is what the promises do then.
      Effect.map(Effect.promise(turns), () => {
        if (running !== 0) throw new Error(`${running} still run`)
        if (outcomes.length !== promises || !outcomes.every((text) => ended.has(text))) {
          throw new Error(`${promises} promises: ${outcomes.join("; ")}`)
        }
      })
    )
  })

  it.sim("S32 ends each promise once, with value or reason, under any order", raced, {
    granularity: "op",
    schedules: 1000,
    check: (run) => Effect.andThen(Leaks.check(run), run.exit),
    timeout: 120_000
  })

  it.everywhere("S32 leaves nothing behind, wherever it is cancelled", raced, { timeout: 120_000 })
})

describe("bridge.signal", () => {
  it("S32 is aborted with the reason of the group's cancellation, and once the group has nothing left to do", async () => {
    let signal: AbortSignal | undefined
    const { exit } = await within(async (bridge) => {
      signal = bridge.signal
      expect(bridge.signal).toBe(signal)
      void bridge.run(TaskGroup.spawn(Effect.delay(Effect.fail("x"), 1), { name: "bad" }))
      await once(signal, "abort")
      await new Promise(() => {})
    })
    expect(Exit.isFailure(exit)).toBe(true)
    expect(signal!.reason).toEqual(aborted('task "bad" failed', { kind: "sibling" }))

    let bridge: TaskGroup.Bridge | undefined
    await within(
      async (given) => {
        signal = given.signal
        bridge = given
      },
      { name: "main" }
    )
    expect(signal!.reason).toEqual(aborted('the tasks of group "main" are done', { kind: "shutdown" }))
    expect(bridge!.signal).toBe(signal)
  })

  it("S32 is aborted from the start where the group is over", async () => {
    let bridge: TaskGroup.Bridge | undefined
    await within(async (given) => void (bridge = given), { name: "main" })
    expect(bridge!.signal.aborted).toBe(true)
    expect(bridge!.signal.reason).toEqual(aborted('group "main" is over', { kind: "shutdown" }))
  })

  it.everywhere(
    "S32 is aborted, wherever the group is cancelled, before the group is over",
    Effect.gen(function* () {
      let signal: AbortSignal | undefined
      yield* Effect.onExit(
        TaskGroup.open(
          Effect.gen(function* () {
            const bridge = yield* TaskGroup.bridge()
            signal = bridge.signal
            yield* TaskGroup.spawn(Effect.sleep(1))
          })
        ),
        () => Effect.sync(() => expect(signal?.aborted).not.toBe(false))
      )
    })
  )
})

describe("bridge.iterate", () => {
  const counted = (log: Array<string>, n = Infinity) =>
    Stream.iterate(1, (i) => i + 1).pipe(
      Stream.rechunk(1),
      Stream.take(n),
      Stream.tap((i) => Effect.sync(() => void log.push(`made ${i}`))),
      Stream.ensuring(
        Effect.andThen(
          Effect.yieldNow,
          Effect.sync(() => void log.push("closed"))
        )
      )
    )

  it("S32 gives the elements in order to a `for await`, each when it is asked for, and ends when it is clean", async () => {
    const log: Array<string> = []
    const { exit } = await within(async (bridge) => {
      for await (const i of bridge.iterate(counted(log, 3))) {
        log.push(`got ${i}`)
        await turn()
      }
      log.push("left")
    })
    expect(exit).toEqual(Exit.succeed(undefined))
    expect(log).toEqual(["made 1", "got 1", "made 2", "got 2", "made 3", "got 3", "closed", "left"])
  })

  it("S32 starts nothing before it is asked, and may be asked several times at once", async () => {
    const log: Array<string> = []
    await within(async (bridge) => {
      const iterable = bridge.iterate(counted(log, 3))
      const unused = iterable[Symbol.asyncIterator]()
      await turn()
      expect(log).toEqual([])
      expect(await unused.return!()).toEqual({ done: true, value: undefined })
      expect(await unused.next()).toEqual({ done: true, value: undefined })
      expect(log).toEqual([])
      const slow = iterable[Symbol.asyncIterator]()
      expect(await slow.next()).toEqual({ done: false, value: 1 })
      await turn()
      await turn()
      expect(log).toEqual(["made 1"])
      await slow.return!()
      const iterator = iterable[Symbol.asyncIterator]()
      const results = await Promise.all([1, 2, 3, 4, 5].map(() => iterator.next()))
      expect(results.map(({ done, value }) => (done === true ? "done" : value))).toEqual([1, 2, 3, "done", "done"])
      expect(await iterator.return!()).toEqual({ done: true, value: undefined })
    })
  })

  it("S32 is cancelled by leaving the loop, which waits for its cleanup", async () => {
    const log: Array<string> = []
    await within(async (bridge) => {
      for await (const i of bridge.iterate(counted(log))) if (i === 2) break
      log.push("left")
      const iterator = bridge.iterate(Stream.fromEffect(sleeper(log)))[Symbol.asyncIterator]()
      const pending = iterator.next()
      expect(await iterator.return!()).toEqual({ done: true, value: undefined })
      expect(await pending).toEqual({ done: true, value: undefined })
      expect(await iterator.return!()).toEqual({ done: true, value: undefined })
    })
    expect(log).toEqual(["made 1", "made 2", "closed", "left", "sleeper: explicit"])
  })

  it("S32 rejects once with the error itself, and is at its end after that", async () => {
    const error = new RangeError("torn")
    await within(async (bridge) => {
      const iterator = bridge.iterate(Stream.concat(Stream.make(1), Stream.fail(error)))[Symbol.asyncIterator]()
      expect(await iterator.next()).toEqual({ done: false, value: 1 })
      const [first, second] = [rejection(iterator.next()), iterator.next()]
      expect(await first).toBe(error)
      expect(await second).toEqual({ done: true, value: undefined })
      expect(await iterator.return!()).toEqual({ done: true, value: undefined })
    })
  })

  it("S32 rejects with the reason where it was cancelled, also by one that was not asked meanwhile", async () => {
    const log: Array<string> = []
    const controller = new AbortController()
    await within(async (bridge) => {
      const iterator = bridge.iterate(counted(log), { signal: controller.signal })[Symbol.asyncIterator]()
      expect(await iterator.next()).toEqual({ done: false, value: 1 })
      controller.abort("the user left")
      await turn()
      expect(log).toEqual(["made 1", "closed"])
      expect(await rejection(iterator.next())).toEqual(aborted("the user left"))
      expect(await iterator.next()).toEqual({ done: true, value: undefined })
      const late = bridge.iterate(counted(log), { signal: controller.signal })[Symbol.asyncIterator]()
      expect(await rejection(late.next())).toEqual(aborted("the user left"))
      expect(getEventListeners(controller.signal, "abort")).toEqual([])
      const wrong = bridge.iterate(counted(log), { signal: {} as AbortSignal })[Symbol.asyncIterator]()
      expect(await rejection(wrong.next())).toBeInstanceOf(TypeError)
    })
    expect(log).toEqual(["made 1", "closed"])
  })

  it("S32 ends with the group when it is abandoned, and keeps none open", async () => {
    const log: Array<string> = []
    let iterator: AsyncIterator<number> | undefined
    let bridge: TaskGroup.Bridge | undefined
    await within(
      async (given) => {
        bridge = given
        iterator = given.iterate(counted(log))[Symbol.asyncIterator]()
        await iterator.next()
      },
      { name: "main" }
    )
    expect(log).toEqual(["made 1", "closed"])
    expect(await rejection(iterator!.next())).toEqual(
      aborted('the tasks of group "main" are done', { kind: "shutdown" })
    )
    const late = bridge!.iterate(counted(log))[Symbol.asyncIterator]()
    expect(await rejection(late.next())).toBeInstanceOf(TaskGroup.GroupClosed)
  })

  it("S18, S32 tells whoever leaves of a cleanup that fails, and the log where nobody does", async () => {
    const torn = Stream.concat(Stream.make(1), Stream.never).pipe(Stream.ensuring(Effect.die(new Error("torn"))))
    const { exit, logged } = await within(async (bridge) => {
      const left = async () => {
        for await (const _ of bridge.iterate(torn)) break
      }
      expect(await rejection(left())).toEqual(new Error("torn"))
      await bridge.iterate(torn, { name: "pages" })[Symbol.asyncIterator]().next()
    })
    expect(exit).toEqual(Exit.succeed(undefined))
    expect(logged).toEqual(['Unhandled failure of supervised task "pages"'])
  })

  const read = Effect.gen(function* () {
    let open = 0
    yield* Leaks.watch("stream", () => open)
    const elements = Stream.fromIterable([1, 2, 3]).pipe(
      Stream.rechunk(2),
      Stream.tap(() => Effect.sleep(1))
    )
    const stream = Stream.unwrap(
      Effect.as(
        Effect.acquireRelease(
          Effect.sync(() => void open++),
          () =>
            Effect.andThen(
              Effect.yieldNow,
              Effect.sync(() => void open--)
            )
        ),
        elements
      )
    )
    const body = Effect.gen(function* () {
      const bridge = yield* TaskGroup.bridge()
      const all = async (): Promise<Array<number>> => {
        const got: Array<number> = []
        for await (const i of bridge.iterate(stream)) got.push(i)
        return got
      }
      const two = async (): Promise<number> => {
        let sum = 0
        for await (const i of bridge.iterate(stream)) {
          sum += i
          if (i === 2) break
        }
        // The loop has waited for it.
        return sum
      }
      /** One who asks for more than it waits for. */
      const greedy = async (): Promise<string> => {
        const iterator = bridge.iterate(stream)[Symbol.asyncIterator]()
        const asked = [iterator.next(), iterator.next(), iterator.next()]
        await asked[0]
        const left = iterator.return!()
        asked.push(left, iterator.next(), iterator.return!())
        return (await Promise.all(asked)).map(({ value }) => value ?? "-").join("")
      }
      const [first, second, third] = yield* Offload.promise(() => Promise.all([all(), two(), greedy()]))
      if (first.join() !== "1,2,3" || second !== 3 || !/^1(--|2-|23)---$/.test(third)) {
        throw new Error(`${first.join()} and ${second} and ${third}`)
      }
    })
    yield* TaskGroup.open(body)
    expect(open).toBe(0)
  })

  it.sim("S32 gives all that is asked for, under any order", read, {
    granularity: "op",
    schedules: 1000,
    timeout: 120_000
  })

  it.everywhere("S32 closes its stream, wherever it is cancelled", read, { timeout: 120_000 })
})

describe("Task.toPromise", () => {
  it("S32 gives the value, the error itself, or an AbortError with the reason", async () => {
    const error = { _tag: "Refused" }
    const log: Array<string> = []
    const program = TaskGroup.open(
      Effect.gen(function* () {
        const good = yield* TaskGroup.spawn(Effect.as(Effect.sleep(1), 1))
        const bad = yield* TaskGroup.supervise(Effect.delay(Effect.fail(error), 1))
        const never = yield* TaskGroup.spawn(sleeper(log))
        const promises = [good, bad, never].map((task) => Task.toPromise(task as Task.Task<number, unknown>))
        const rejected = promises.slice(1).map(rejection)
        yield* never.cancel("enough")
        const all = yield* Effect.promise(() => Promise.all([promises[0], ...rejected]))
        // One that has ended tells as well.
        return [...all, yield* Effect.promise(() => rejection(Task.toPromise(never)))]
      })
    )
    const [value, refused, cancelled, again] = await Effect.runPromise(program)
    expect(value).toBe(1)
    expect(refused).toBe(error)
    expect(cancelled).toEqual(aborted("enough", { kind: "explicit" }))
    expect(again).toEqual(cancelled)
  })

  it("S18, S32 takes a supervised failure over; one that the group owns stays the group's", async () => {
    const logged: Array<string> = []
    const logger = Logger.make(({ message }) => void logged.push(String(message)))
    const caught: Array<unknown> = []
    const program = TaskGroup.open(
      Effect.gen(function* () {
        const held = yield* TaskGroup.supervise(Effect.fail("held"))
        void Task.toPromise(held).catch((error) => caught.push(error))
        const owned = yield* TaskGroup.spawn(Effect.delay(Effect.fail("owned"), 1))
        void Task.toPromise(owned).catch((error) => caught.push(error))
        return yield* Effect.never
      })
    ).pipe(Effect.flip, Effect.provideService(Logger.CurrentLoggers, new Set([logger])))
    expect(await Effect.runPromise(program)).toBe("owned")
    await turn()
    expect(caught).toEqual(["held", "owned"])
    expect(logged).toEqual([])
  })
})

describe("TaskGroup.runPromise", () => {
  it("S32 gives the value of the group, or rejects with what it fails with, as it is", async () => {
    const error = { _tag: "Refused" }
    expect(await TaskGroup.runPromise(Effect.succeed(1))).toBe(1)
    expect(await rejection(TaskGroup.runPromise(TaskGroup.spawn(Effect.fail(error))))).toBe(error)
    expect(await rejection(TaskGroup.runPromise(Effect.never, { within: "1 millis", name: "slow" }))).toMatchObject({
      _tag: "DeadlineExceeded",
      deadline: "slow"
    })
    expect(await rejection(TaskGroup.runPromise(Effect.interrupt))).toMatchObject({ name: "AbortError" })
  })

  it("S32 rejects with an AbortError that has the reason of its signal, when everything has cleaned up", async () => {
    const log: Array<string> = []
    const controller = new AbortController()
    const running = TaskGroup.runPromise(Effect.andThen(TaskGroup.spawn(sleeper(log, "task")), sleeper(log, "body")), {
      signal: controller.signal,
      name: "main"
    })
    controller.abort(new Error("the user left"))
    expect(await rejection(running)).toEqual(aborted("the user left", { kind: "explicit" }))
    expect(log.toSorted()).toEqual(["body: explicit", "task: explicit"])
    expect(getEventListeners(controller.signal, "abort")).toEqual([])
    let ran = false
    const late = TaskGroup.runPromise(
      Effect.sync(() => void (ran = true)),
      { signal: controller.signal }
    )
    expect(await rejection(late)).toEqual(aborted("the user left"))
    expect(ran).toBe(false)
  })
})

describe("code that knows only callbacks", () => {
  it("S32 an event emitter runs its handlers in the group, and ends with it", async () => {
    const emitter = new EventEmitter()
    const log: Array<string> = []
    const handle = (n: number) =>
      Effect.delay(
        Effect.sync(() => void log.push(`handled ${n}`)),
        1
      )
    const job = (n: number) => (n === 0 ? Effect.andThen(Effect.sleep(5), TaskGroup.cancel("that was all")) : handle(n))
    const listening = Effect.gen(function* () {
      const bridge = yield* TaskGroup.bridge<TaskGroup.TaskGroup<TaskGroup.GroupCancelled>>()
      const onJob = (n: number): void => void bridge.run(job(n)).catch(() => {})
      emitter.on("job", onJob)
      return yield* Effect.ensuring(
        Effect.never,
        Effect.sync(() => void emitter.off("job", onJob))
      )
    })
    const running = Effect.runPromise(Effect.flip(TaskGroup.open(listening)))
    for (const n of [1, 2, 0]) emitter.emit("job", n)
    expect((await running)._tag).toBe("GroupCancelled")
    expect(log).toEqual(["handled 1", "handled 2"])
    expect(emitter.listenerCount("job")).toBe(0)
  })

  it("S32 a library that takes functions with a callback gets them from the group", async () => {
    type Callback = (error: unknown, value?: number) => void
    /** As `async.map` does. */
    const map = (items: ReadonlyArray<number>, f: (item: number, done: Callback) => void): Promise<Array<number>> =>
      new Promise((resolve, reject) => {
        const values: Array<number> = []
        for (const item of items) {
          f(item, (error, value) => {
            if (error !== null) reject(error)
            else if (values.push(value!) === items.length) resolve(values)
          })
        }
      })
    const log: Array<string> = []
    const double = (n: number) =>
      n === 0 ? Effect.fail("nothing to double") : n > 9 ? sleeper(log) : Effect.delay(Effect.succeed(n * 2), n)
    const { exit } = await within(async (bridge) => {
      const controller = new AbortController()
      const f = (n: number, done: Callback) =>
        void bridge.run(double(n), { signal: controller.signal }).then((value) => done(null, value), done)
      const all = [await map([1, 2, 3], f), await rejection(map([10, 0], f))]
      controller.abort()
      return all
    })
    expect(exit).toEqual(Exit.succeed([[2, 4, 6], "nothing to double"]))
    expect(log).toEqual(["sleeper: explicit"])
  })

  it("S32 a node stream reads from the group, and closes what it reads when it is destroyed", async () => {
    const log: Array<string> = []
    await within(async (bridge) => {
      const lines = Stream.make("a", "b").pipe(
        Stream.concat(Stream.never),
        Stream.ensuring(Effect.sync(() => void log.push("closed")))
      )
      const readable = Readable.from(bridge.iterate(lines))
      for await (const line of readable) {
        log.push(String(line))
        if (line === "b") break
      }
      expect(readable.destroyed).toBe(true)
    })
    expect(log).toEqual(["a", "b", "closed"])
  })

  it("S32 a node:http handler: a client that hangs up cancels its request, a server that closes cancels all", async () => {
    const log: Array<string> = []
    const handled = (url: string) =>
      url === "/fast"
        ? Effect.succeed("fast")
        : Effect.andThen(
            Effect.sync(() => log.push(`begun ${url}`)),
            sleeper(log, url)
          )
    const entered = new EventEmitter()
    const serve = Effect.gen(function* () {
      const bridge = yield* TaskGroup.bridge()
      const server = Http.createServer((request, response) => {
        const controller = new AbortController()
        response.once("close", () => controller.abort("the client hung up"))
        const answer = bridge.run(handled(request.url!), { signal: controller.signal, name: request.url })
        entered.emit("request")
        answer.then(
          (text) => response.end(text),
          (error: Error) => {
            log.push(`${request.url}: ${error.message}`)
            response.writeHead(503).end()
          }
        )
      })
      yield* Effect.acquireRelease(
        Effect.promise(async () => {
          server.listen(0, "127.0.0.1")
          await once(server, "listening")
        }),
        () => Effect.sync(() => server.closeAllConnections()).pipe(Effect.andThen(Effect.sync(() => server.close())))
      )
      return (server.address() as AddressInfo).port
    })
    let resolvePort: (port: number) => void = () => {}
    const listening = new Promise<number>((resolve) => (resolvePort = resolve))
    const controller = new AbortController()
    const running = TaskGroup.runPromise(
      Effect.scoped(
        Effect.gen(function* () {
          resolvePort(yield* serve)
          return yield* Effect.never
        })
      ),
      { signal: controller.signal, name: "server" }
    )
    const at = `http://127.0.0.1:${await listening}`
    expect(await (await fetch(`${at}/fast`)).text()).toBe("fast")

    const client = new AbortController()
    const slow = rejection(fetch(`${at}/slow`, { signal: client.signal }))
    await once(entered, "request")
    client.abort()
    await slow
    while (!log.includes("/slow: the client hung up")) await turn()

    const others = ["/one", "/two"].map((url) => outcome(fetch(at + url).then((response) => response.status)))
    while (log.filter((line) => line.startsWith("begun")).length < 3) await turn()
    controller.abort("the server closes")
    expect(await rejection(running)).toEqual(aborted("the server closes"))
    await Promise.all(others)
    expect(log.filter((line) => /^.(one|two): explicit/.test(line)).toSorted()).toEqual([
      "/one: explicit",
      "/two: explicit"
    ])
    expect(log.slice(0, 3)).toEqual(["begun /slow", "/slow: explicit", "/slow: the client hung up"])
    expect(log.filter((line) => line.endsWith("the server closes"))).toHaveLength(2)
  })
})

it("S26, S32 puts one listener on a signal, however many it cancels", async () => {
  const controller = new AbortController()
  const { signal } = controller
  await within(async (bridge) => {
    const running = Array.from({ length: 1000 }, () => rejection(bridge.run(Effect.never, { signal })))
    await Promise.all(Array.from({ length: 1000 }, () => bridge.run(Effect.sleep(1), { signal })))
    expect(getEventListeners(signal, "abort")).toHaveLength(1)
    controller.abort("all")
    expect(await Promise.all(running)).toEqual(running.map(() => aborted("all")))
    expect(getEventListeners(signal, "abort")).toEqual([])
  })
})

it("S26, S32 a group that lives long keeps nothing of what ran through its bridge", async () => {
  const run = Effect.gen(function* () {
    const bridge = yield* TaskGroup.bridge()
    yield* Offload.promise(async () => {
      for (let i = 0; i < 100; i++) {
        await bridge.run(Effect.void)
        await rejection(bridge.run(Effect.fail(i)))
      }
    })
    return (yield* TaskGroup.tree).groups.flatMap(({ tasks }) => tasks.map(({ name }) => name))
  })
  const played = await Effect.runPromise(Effect.tap(Sim.run(TaskGroup.open(run, { name: "main" })), Leaks.check))
  expect(played.exit).toEqual(Exit.succeed(["main"]))
})
