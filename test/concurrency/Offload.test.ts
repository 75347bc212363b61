import { describe, expect } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as TestClock from "effect/testing/TestClock"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import { Deadline, Limiter, Offload, TaskGroup } from "skein"
import { Workers } from "skein/node"
import { Interrupt, Leaks, Sim } from "skein/testing"
import { it } from "skein/testing/vitest"
import * as Child from "../support/child.ts"
import { type Log, newLog, offload, thenable, withThen } from "../support/foreign.ts"
import type { FromThread, ToThread } from "../../src/concurrency/offload/WorkerProtocol.ts"
import { serve } from "../../src/concurrency/WorkerThread.ts"
import type * as Jobs from "./offload-jobs.ts"
import type * as TransferJobs from "./transfer-jobs.ts"

const fork = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.forkChild(effect, { startImmediately: true })

const failureOf = <A, E>(exit: Exit.Exit<A, E>): unknown =>
  Exit.isFailure(exit) ? Option.getOrUndefined(Cause.findErrorOption(exit.cause)) : undefined

/** What it fails with; succeeding would be a defect. */
const errorOf = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.orDie(Effect.flip(effect))

describe("Offload.promise", () => {
  const run = <A, E>(effect: Effect.Effect<A, E>) => Effect.runSync(Effect.tap(Sim.run(effect), Leaks.check))
  const value = <A, E>(effect: Effect.Effect<A, E>): A => {
    const { exit } = run(effect)
    if (Exit.isFailure(exit)) throw Cause.squash(exit.cause)
    return exit.value
  }

  it("gives what the promise gives", () => {
    expect(value(offload(newLog(), Effect.delay(Effect.succeed(7), "1 second")))).toBe(7)
  })

  it.effect("works with real promises", () =>
    Effect.gen(function* () {
      expect(yield* Offload.promise(async () => 7)).toBe(7)
      const error = yield* Effect.flip(Offload.promise(() => Promise.reject(new RangeError("no")), { name: "real" }))
      expect(error.message).toBe('"real" failed: RangeError: no')
    })
  )

  it("fails with an OffloadError that has the rejection as its cause and the name in its message", () => {
    const cause = new TypeError("not that")
    const { exit } = run(offload(newLog(), Effect.die(cause), { name: "parse" }))
    expect(failureOf(exit)).toMatchObject({
      _tag: "OffloadError",
      job: "parse",
      message: '"parse" failed: TypeError: not that'
    })
    expect((failureOf(exit) as Offload.OffloadError).cause).toBe(cause)
  })

  it("takes a function that throws for one whose promise is rejected", () => {
    const program = Offload.promise(function broken(): Promise<void> {
      throw new Error("before it began")
    })
    expect(failureOf(run(program).exit)).toMatchObject({ message: '"broken" failed: before it began' })
  })

  describe("wait", () => {
    it("S25 aborts the signal, with the reason, and waits until the promise has settled", () => {
      const log = newLog()
      const program = Effect.gen(function* () {
        const start = yield* Clock.currentTimeMillis
        const work = offload(log, Effect.sleep("10 seconds"), { afterAbort: Effect.sleep("3 seconds") })
        const error = yield* Effect.flip(Deadline.within(work, "1 second"))
        expect(error._tag).toBe("DeadlineExceeded")
        return (yield* Clock.currentTimeMillis) - start
      })
      expect(value(program)).toBe(4000)
      expect(log).toMatchObject({ made: 1, settled: 1 })
      expect(log.aborted).toMatchObject({ name: "AbortError", message: "not done within 1s" })
    })

    it("does not make the promise when it is cancelled while it waits for the limiter", () => {
      const log = newLog()
      const program = Effect.gen(function* () {
        const limiter = yield* Limiter.concurrency(1)
        yield* fork(limiter.withPermit(Effect.never))
        const waiter = yield* fork(offload(log, Effect.void, { limiter }))
        yield* Fiber.interrupt(waiter)
      })
      value(program)
      expect(log.made).toBe(0)
    })

    for (const [answer, cause] of [
      ["its own AbortError", Object.assign(new Error("stopped"), { name: "AbortError" })],
      ["an error caused by one", new Error("wrapped", { cause: Object.assign(new Error("a"), { name: "AbortError" }) })]
    ] as const) {
      it(`${answer} is an answer to the abort, not a failure`, () => {
        const work = offload(newLog(), Effect.never, { afterAbort: Effect.die(cause) })
        const { exit } = run(
          Effect.flatMap(fork(work), (fiber) => Effect.andThen(Fiber.interrupt(fiber), Fiber.await(fiber)))
        )
        expect(Exit.isSuccess(exit) && Exit.isFailure(exit.value) && Cause.hasInterruptsOnly(exit.value.cause)).toBe(
          true
        )
      })
    }

    it("the reason of the signal is an answer to the abort too", () => {
      const work = Offload.promise(
        (signal) => new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)))
      )
      return Effect.runPromise(
        Effect.gen(function* () {
          const fiber = yield* fork(work)
          yield* Fiber.interrupt(fiber)
          const exit = yield* Fiber.await(fiber)
          expect(Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause)).toBe(true)
        })
      )
    })

    it("any other failure after the abort is kept beside the cancellation", () => {
      const work = offload(newLog(), Effect.never, {
        afterAbort: Effect.die(new Error("half done"))
      })
      const program = TaskGroup.open(Effect.flatMap(TaskGroup.spawn(work), (task) => task.cancel()))
      expect(failureOf(run(program).exit)).toMatchObject({
        _tag: "OffloadError",
        message: '"promise" failed: half done'
      })
    })

    it("cancelled at every operation, it settles before the effect ends, and all permits come back", () => {
      let log: Log
      let limiter: Limiter.Limiter
      const subject = Effect.suspend(() => {
        log = newLog()
        limiter = Effect.runSync(Limiter.concurrency(1))
        const one = (millis: number) =>
          offload(log, Effect.sleep(millis), { limiter, afterAbort: Effect.sleep(millis / 2) })
        return Effect.gen(function* () {
          const first = yield* fork(one(1000))
          const second = yield* fork(Interrupt.victim(one(2000)))
          const third = yield* fork(one(1000))
          yield* Fiber.awaitAll([first, second, third])
          expect(log.settled).toBe(log.made)
        })
      })
      const check = (run: Sim.Run<void, unknown>) => {
        expect(value(limiter.stats)).toMatchObject({ inUse: 0, waiting: 0 })
        return Effect.andThen(run.exit, Leaks.check(run))
      }
      Effect.runSync(Interrupt.everywhere(subject, { check }))
      Effect.runSync(Sim.explore(subject, { schedules: 300, check, stop: "interrupt" }))
    })
  })

  describe("abandon", () => {
    it("S25 returns at once, keeps the permit until the promise settles, and lists it as an orphan", () => {
      const log = newLog()
      const program = Effect.gen(function* () {
        const limiter = yield* Limiter.concurrency(1)
        const start = yield* Clock.currentTimeMillis
        const options = { onCancel: "abandon", name: "slow", limiter } as const
        const fiber = yield* fork(offload(log, Effect.sleep("10 seconds"), options))
        yield* Effect.sleep("1 second")
        expect(yield* TaskGroup.orphans).toEqual([])
        yield* Fiber.interrupt(fiber)
        expect(yield* Clock.currentTimeMillis).toBe(start + 1000)
        expect(log.aborted).toMatchObject({ name: "AbortError" })
        expect(yield* TaskGroup.orphans).toEqual([{ name: "slow", from: "promise", since: start + 1000 }])
        expect(yield* limiter.stats).toMatchObject({ inUse: 1 })
        yield* limiter.withPermit(Effect.void)
        expect(yield* Clock.currentTimeMillis).toBe(start + 10_000)
        expect(yield* TaskGroup.orphans).toEqual([])
      })
      value(program)
    })

    it("does not make the promise when it is cancelled while it waits for the limiter", () => {
      const log = newLog()
      const program = Effect.gen(function* () {
        const limiter = yield* Limiter.concurrency(1)
        const holder = yield* fork(limiter.withPermit(Effect.never))
        const waiter = yield* fork(offload(log, Effect.void, { limiter, onCancel: "abandon" }))
        yield* Fiber.interrupt(waiter)
        expect(yield* limiter.stats).toMatchObject({ waiting: 0 })
        yield* Fiber.interrupt(holder)
        expect(yield* TaskGroup.orphans).toEqual([])
      })
      value(program)
      expect(log.made).toBe(0)
    })

    it("reports what an orphan fails with, unless that is its answer to the abort", () => {
      const messages: Array<unknown> = []
      const logger = Logger.make(({ message, cause }) => void messages.push(message, Cause.squash(cause)))
      const abandoned = (cause: Error) =>
        Effect.gen(function* () {
          const work = offload(newLog(), Effect.delay(Effect.die(cause), "1 second"), {
            onCancel: "abandon",
            name: "x"
          })
          yield* Fiber.interrupt(yield* fork(work))
          yield* Effect.sleep("2 seconds")
        })
      value(
        Effect.provide(
          Effect.andThen(
            abandoned(Object.assign(new Error("stopped"), { name: "AbortError" })),
            abandoned(new Error("disk full"))
          ),
          Logger.layer([logger])
        )
      )
      expect(messages).toEqual([
        ['Abandoned promise "x" failed'],
        expect.objectContaining({ message: '"x" failed: disk full' })
      ])
    })

    it("cancelled at every operation, the permit is held as long as the promise runs, and then comes back", () => {
      let log: Log
      let limiter: Limiter.Limiter
      const subject = Effect.suspend(() => {
        log = newLog()
        limiter = Effect.runSync(Limiter.concurrency(2))
        let running = 0
        const counted = (millis: number) =>
          Effect.suspend(() => {
            if (++running > 2) throw new Error("more promises than permits")
            return Effect.ensuring(
              Effect.sleep(millis),
              Effect.sync(() => running--)
            )
          })
        const one = (millis: number) => offload(log, counted(millis), { limiter, onCancel: "abandon" })
        return Effect.gen(function* () {
          const first = yield* fork(one(1000))
          const second = yield* fork(Interrupt.victim(one(2000)))
          const others = yield* Effect.forEach([1, 2, 3], () => fork(one(1000)))
          yield* Fiber.awaitAll([first, second, ...others])
          yield* Effect.sleep("1 hour")
          expect(log.settled).toBe(log.made)
          expect(yield* TaskGroup.orphans).toEqual([])
        })
      })
      const check = (run: Sim.Run<void, unknown>) => {
        expect(value(limiter.stats)).toMatchObject({ inUse: 0, waiting: 0 })
        return Effect.andThen(run.exit, Leaks.check(run))
      }
      Effect.runSync(Interrupt.everywhere(subject, { check }))
      Effect.runSync(Sim.explore(subject, { schedules: 300, check, stop: "interrupt" }))
    })
  })

  describe("of what is hardly a promise", () => {
    const failed = (work: Effect.Effect<unknown, Offload.OffloadError>) => failureOf(run(work).exit)
    const of = (what: unknown) => Offload.promise(() => what as PromiseLike<unknown>, { name: "odd" })

    it.effect("S27 a thenable that resolves with a promise gives its value, as await does", () =>
      Effect.gen(function* () {
        const work = Offload.promise(() => thenable<Promise<number>>((ok) => ok?.(Promise.resolve(5)) as never))
        const value: number = yield* work
        expect(value).toBe(5)
        expect(yield* of(thenable((ok) => ok?.(thenable<number>((ok) => ok?.(6) as never)) as never))).toBe(6)
      })
    )

    it.effect("S27 a thenable that resolves with a rejected promise is an OffloadError, and nothing is unhandled", () =>
      Effect.gen(function* () {
        const error = yield* errorOf(of(thenable((ok) => ok?.(Promise.reject(new RangeError("no"))) as never)))
        expect(error).toMatchObject({ _tag: "OffloadError", message: '"odd" failed: RangeError: no' })
        yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
      })
    )

    it("S27 only the first time counts that a thenable settles, and nothing that it throws after", () => {
      const twice = thenable<number>((ok, fail) => {
        ok?.(1)
        ok?.(2)
        fail?.(new Error("late"))
        throw new Error("later")
      })
      expect(value(of(twice))).toBe(1)
      const first = thenable<number>((ok, fail) => {
        fail?.(new Error("first"))
        return ok?.(1) as never
      })
      expect(failed(of(first))).toMatchObject({ message: '"odd" failed: first' })
    })

    const fail = (): never => {
      throw new Error("by then")
    }
    const native = Promise.resolve(1)
    for (const [name, what] of [
      ["a thenable that throws", thenable<never>(fail)],
      ["a then that cannot be asked for", withThen({ get: fail })],
      ["a promise that has lost its constructor", Object.defineProperty(native, "constructor", { get: fail })],
      ["a thenable that gives one that throws", thenable<unknown>((ok) => ok?.(thenable(fail)) as never)]
    ] as const) {
      it(`S27 ${name} is rejected`, () => {
        expect(failed(of(what))).toMatchObject({ _tag: "OffloadError", message: '"odd" failed: by then' })
      })
    }

    it("S27 a thenable that resolves with itself, or with new ones for ever, is rejected", () => {
      const itself: PromiseLike<unknown> = thenable((ok) => ok?.(itself) as never)
      const endless = (): PromiseLike<unknown> => thenable((ok) => ok?.(endless()) as never)
      for (const what of [itself, endless()]) {
        expect(failed(of(what))).toMatchObject({ message: expect.stringContaining("without an end") })
      }
    })

    it("S27 what is no promise is its own value", () => {
      for (const what of [5, undefined, null, withThen({ value: 1 })]) expect(value(of(what))).toBe(what)
    })
  })

  describe("rejected with what is hardly an error", () => {
    const rejected = (cause: unknown) =>
      failureOf(run(offload(newLog(), Effect.die(cause), { name: "odd" })).exit) as Offload.OffloadError
    const odd = Object.assign(new Error("no"), { name: Symbol("Odd") })
    for (const [name, cause, said] of [
      ["undefined", undefined, "no reason given"],
      ["null", null, "no reason given"],
      ["a symbol", Symbol("why"), "Symbol(why)"],
      ["a null-prototype object", Object.assign(Object.create(null), { code: 7 }), '{"code":7}'],
      ["an error whose name is a symbol", odd, "no"],
      ["an empty error", new TypeError(""), "TypeError"]
    ] as const) {
      it(`S27 ${name}, the error is typed and its message can be read`, () => {
        const error = rejected(cause)
        expect(error).toMatchObject({ _tag: "OffloadError", message: `"odd" failed: ${said}` })
        expect(error.cause).toBe(cause)
      })
    }
  })

  describe("of which a cancelled one is rejected with a circle of causes", () => {
    const circle = (): Error => {
      const error = new Error("round")
      return Object.assign(error, { cause: error })
    }
    const endless = (): Error => Object.defineProperty(new Error("on"), "cause", { get: endless })
    /** One that is cancelled while it holds the only permit, and one that waits for it. */
    const program = (cause: Error, onCancel: "wait" | "abandon") =>
      Effect.gen(function* () {
        const limiter = yield* Limiter.concurrency(1)
        const rejected = {
          limiter,
          onCancel,
          afterAbort: Effect.andThen(Effect.sleep(100), Effect.die(cause))
        } as const
        const first = yield* fork(Interrupt.victim(offload(newLog(), Effect.sleep(1000), rejected)))
        yield* Effect.sleep(10)
        yield* Fiber.interrupt(first)
        yield* offload(newLog(), Effect.sleep(10), { limiter })
        expect(yield* TaskGroup.orphans).toEqual([])
        expect(yield* limiter.stats).toMatchObject({ inUse: 0, waiting: 0 })
        return yield* Fiber.await(first)
      }).pipe(Effect.provide(Logger.layer([])))

    for (const onCancel of ["wait", "abandon"] as const) {
      for (const [name, cause] of [
        ["itself", circle()],
        ["one without an end", endless()]
      ] as const) {
        it(`S27 "${onCancel}", and ${name}: the cancellation ends, the permit is back, nothing is an orphan`, () => {
          const exit = value(program(cause, onCancel))
          expect(Exit.isFailure(exit) && Cause.hasInterrupts(exit.cause)).toBe(true)
          // Whoever waited for it hears what it failed with.
          expect(failureOf(exit)?.constructor).toBe(onCancel === "wait" ? Offload.OffloadError : undefined)
        })
      }

      it(`S27 "${onCancel}", in any order, cancelled anywhere: the permit is back`, () => {
        const subject = program(circle(), onCancel)
        const check = (run: Sim.Run<unknown, unknown>) => Leaks.check(run)
        Effect.runSync(Sim.explore(subject, { granularity: "op", schedules: 1000, check }))
        Effect.runSync(Interrupt.everywhere(subject, { check }))
      })
    }
  })

  it("the tree says what a task waits for, until it is abandoned", () => {
    const program = TaskGroup.open(
      Effect.gen(function* () {
        const waits = Effect.map(TaskGroup.tree, ({ groups }) => groups[0]?.tasks[1]?.waitsFor)
        const save = offload(newLog(), Effect.sleep("10 seconds"), { name: "save", onCancel: "abandon" })
        yield* TaskGroup.spawn(
          Effect.andThen(Effect.ignore(Deadline.within(save, "2 seconds")), Effect.sleep("1 hour"))
        )
        yield* Effect.sleep("1 second")
        const first = yield* waits
        yield* Effect.sleep("2 seconds")
        return [first, yield* waits]
      })
    )
    expect(value(program)).toEqual(['promise "save"', null])
  })
})

describe("Offload.pool", () => {
  const jobs = Offload.define<typeof Jobs>(new URL("./offload-jobs.ts", import.meta.url))

  const newSteps = (): Jobs.Steps => new Int32Array(new SharedArrayBuffer(12))

  const turn = Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
  const until = (isTrue: () => boolean) => Effect.repeat(turn, { until: isTrue })
  const began = (steps: Jobs.Steps, count = 1) => until(() => Atomics.load(steps, 0) >= count)
  const letGo = (steps: Jobs.Steps) =>
    Effect.sync(() => {
      Atomics.store(steps, 2, 1)
      Atomics.notify(steps, 2)
    })

  const test = (
    name: string,
    options: Offload.PoolOptions,
    body: (
      pool: Offload.Jobs<typeof Jobs>
    ) => Effect.Effect<void, Offload.OffloadError | Offload.WorkerCrashed | Deadline.DeadlineExceeded>
  ) =>
    it.effect(name, () =>
      Effect.flatMap(Offload.pool(jobs, options), body).pipe(Effect.scoped, Effect.provide(Workers.layer))
    )

  test("calls functions, whether they are asynchronous or not", { size: 1 }, ({ add, addLater, give }) =>
    Effect.gen(function* () {
      expect(yield* add(1, 2)).toBe(3)
      expect(yield* addLater(1, undefined)).toBe(11)
      expect(yield* give("undefined")).toBe(undefined)
    })
  )

  test("runs as many calls at once as there are threads, and all of many", { size: 2 }, ({ add, hold }) =>
    Effect.gen(function* () {
      const steps = newSteps()
      const held = yield* Effect.forEach([1, 2, 3, 4], () => fork(hold(steps)))
      yield* began(steps, 2)
      for (let i = 0; i < 20; i++) yield* turn
      expect(Atomics.load(steps, 0)).toBe(2)
      yield* letGo(steps)
      const threads = yield* Effect.forEach(held, Fiber.join)
      expect(new Set(threads).size).toBe(2)
      const numbers = Array.from({ length: 500 }, (_, i) => i)
      const sums = yield* Effect.forEach(numbers, (i) => add(i, 1), { concurrency: "unbounded" })
      expect(sums).toEqual(numbers.map((i) => i + 1))
    })
  )

  test("one call at a time in each thread, also of asynchronous functions", { size: 1 }, ({ add, gate }) =>
    Effect.gen(function* () {
      const steps = newSteps()
      const first = yield* fork(gate(steps))
      const second = yield* fork(gate(steps))
      const third = yield* fork(add(1, 1))
      yield* began(steps)
      for (let i = 0; i < 20; i++) yield* turn
      expect(Atomics.load(steps, 0)).toBe(1)
      expect(third.pollUnsafe()).toBe(undefined)
      yield* letGo(steps)
      yield* Fiber.joinAll([first, second, third])
      expect(Atomics.load(steps, 0)).toBe(2)
    })
  )

  test("a call does not wait behind a long one while another thread has nothing to do", { size: 2 }, ({ add, hold }) =>
    Effect.gen(function* () {
      const [long, short] = [newSteps(), newSteps()]
      const one = yield* fork(hold(long))
      const two = yield* fork(hold(short))
      const behind = yield* Effect.forEach([1, 2, 3, 4], (n) => fork(add(n, n)))
      yield* began(long)
      yield* began(short)
      yield* letGo(short)
      yield* Fiber.join(two)
      expect(yield* Effect.forEach(behind, Fiber.join)).toEqual([2, 4, 6, 8])
      expect(one.pollUnsafe()).toBe(undefined)
      yield* letGo(long)
      yield* Fiber.join(one)
    })
  )

  test("a function that fails is an OffloadError, with the error as it was thrown there", { size: 1 }, (pool) =>
    Effect.gen(function* () {
      for (const job of ["fail", "failLater"] as const) {
        const error = yield* errorOf(pool[job]("too much"))
        expect(error).toMatchObject({
          _tag: "OffloadError",
          cause: {
            name: "QuotaError",
            message: "too much",
            code: "E_QUOTA",
            cause: { name: "RangeError", cause: "full" }
          }
        })
        expect(error.cause).toBeInstanceOf(Error)
        expect((error.cause as Error).stack).toMatch(/QuotaError: too much\n.*offload-jobs\.ts/)
        expect(error.message).toBe(
          `"${job}" failed: QuotaError: too much { code: "E_QUOTA" }; caused by RangeError: disk; caused by full`
        )
      }
      expect((yield* errorOf(pool.failWithText())).cause).toBe("just text")
      expect(yield* pool.add(1, 1)).toBe(2)
    })
  )

  test("what cannot be sent keeps nothing from being sent that waits with it", { size: 1 }, (pool) =>
    Effect.gen(function* () {
      const unsendable = (() => {}) as unknown as Uint8Array
      const sent = [new Uint8Array(1), unsendable, new Uint8Array(2), unsendable, new Uint8Array(3)]
      const calls = yield* Effect.all(
        sent.map((one) => Effect.exit(pool.lengthOf(one))),
        { concurrency: "unbounded" }
      )
      expect(calls.map((exit) => (Exit.isSuccess(exit) ? exit.value : "failed"))).toEqual([1, "failed", 2, "failed", 3])
    })
  )

  test("what cannot be sent is an OffloadError that says so", { size: 1 }, (pool) =>
    Effect.gen(function* () {
      const unsendable = (() => {}) as unknown as Uint8Array
      for (let i = 0; i < 20; i++) yield* errorOf(pool.lengthOf(unsendable))
      const argument = yield* errorOf(pool.lengthOf(unsendable))
      expect(argument.message).toMatch(/^"lengthOf" failed: DataCloneError: .*could not be cloned/)
      const result = yield* errorOf(pool.give("function"))
      expect(result.message).toMatch(/^"give" failed: DataCloneError: .*could not be cloned/)
      const error = yield* errorOf(pool.failWithFunction())
      expect(error.message).toBe('"failWithFunction" failed: TypeError: odd')
      expect(yield* pool.add(1, 1)).toBe(2)
    })
  )

  test(
    "S27 an error with a property that cannot be sent keeps its message, its other properties and its cause",
    { size: 1 },
    (pool) =>
      Effect.gen(function* () {
        const { cause } = yield* errorOf(pool.failWithMuch())
        expect(cause).toMatchObject({
          name: "TypeError",
          message: "odd",
          code: "E_ODD",
          at: new Date(0),
          cause: { name: "QuotaError", message: "disk", code: "E_QUOTA" }
        })
        expect(Object.keys(cause as object)).toEqual(["code", "at"])
      })
  )

  test("S27 AggregateError keeps its errors on the way", { size: 1 }, (pool) =>
    Effect.gen(function* () {
      const { cause } = yield* errorOf(pool.failWithMany())
      expect(cause).toBeInstanceOf(AggregateError)
      expect(cause).toMatchObject({
        name: "AggregateError",
        message: "all of them",
        errors: [
          { name: "QuotaError", message: "a", code: "E_QUOTA" },
          { name: "AggregateError", message: "b", errors: [{ name: "RangeError", message: "c" }] },
          "text",
          "function"
        ]
      })
    })
  )

  test(
    "S27 an error with a symbol for a name, a throwing getter, a null-prototype object: OffloadError, thread lives",
    { size: 1 },
    (pool) =>
      Effect.gen(function* () {
        const thread = yield* pool.thread()
        const messages: Record<Jobs.Odd, string> = {
          "symbol for a name": "odd",
          "getter that throws": "Error",
          "null prototype": "{}",
          "error without a prototype": "odd",
          proxy: "Error",
          "circle of causes": "odd"
        }
        for (const [what, message] of Object.entries(messages)) {
          const error = yield* errorOf(pool.failOddly(what as Jobs.Odd))
          expect(error).toMatchObject({ _tag: "OffloadError", message: `"failOddly" failed: ${message}` })
        }
        const circle = (yield* errorOf(pool.failOddly("circle of causes"))).cause as Error
        expect(circle.cause).toBe(circle)
        expect(yield* pool.thread()).toBe(thread)
      })
  )

  test(
    "S27 a thenable that throws, or cannot be asked, is an OffloadError, and one that gives a promise gives its value",
    { size: 1 },
    (pool) =>
      Effect.gen(function* () {
        const thread = yield* pool.thread()
        for (const what of ["throws", "throws when asked", "gives a rejected promise"] as const) {
          expect((yield* errorOf(pool.thenOf(what, 1))).message).toBe('"thenOf" failed: by then')
        }
        expect(yield* pool.thenOf("gives a promise", 5)).toBe(5)
        expect(yield* pool.thread()).toBe(thread)
      })
  )

  test(
    "S27 a thenable result that settles twice ends its call once, and the thread's next calls are right",
    { size: 1 },
    (pool) =>
      Effect.gen(function* () {
        const calls = Array.from({ length: 20 }, (_, i) =>
          i % 2 === 0 ? pool.thenOf(i % 4 === 0 ? "settles twice" : "settles again later", i) : pool.add(i, i)
        )
        const expected = calls.map((_, i) => (i % 2 === 0 ? i : i + i))
        expect(yield* Effect.all(calls, { concurrency: "unbounded" })).toEqual(expected)
      })
  )

  for (const message of [
    [1, ["skein/succeeded", 7, 1, "forged"]],
    [1, ["skein/succeeded", 99, undefined, "forged"]],
    [1, ["skein/failed", 7, 0, null]],
    [1, ["skein/skipped", 7, 0]]
  ]) {
    test(
      `S27 ${JSON.stringify(message)} answers no call: none of that number has the slot`,
      { size: 1 },
      ({ add, post }) =>
        Effect.gen(function* () {
          for (let i = 0; i < 10; i++) yield* add(i, i)
          const calls = Array.from({ length: 30 }, (_, i) => (i % 2 === 0 ? post(message) : add(i, i)))
          const answers = yield* Effect.all(calls, { concurrency: "unbounded" })
          expect(answers).toEqual(calls.map((_, i) => (i % 2 === 0 ? "done" : i + i)))
        })
    )
  }

  test("S27 two views of one buffer, each marked to be moved, move it once", { size: 1 }, ({ lengthsOf }) =>
    Effect.gen(function* () {
      const buffer = new ArrayBuffer(10)
      const [one, two] = [new Uint8Array(buffer, 0, 4), new Uint8Array(buffer, 4)]
      expect(yield* lengthsOf(Offload.transfer(one, [buffer]), Offload.transfer(two, [buffer, buffer]))).toEqual([4, 6])
      expect([one.length, two.length]).toEqual([0, 0])
    })
  )

  test("moves what is to be transferred", { size: 1 }, ({ lengthOf }) =>
    Effect.gen(function* () {
      const [copied, moved] = [new Uint8Array(1000), new Uint8Array(1000)]
      expect(yield* lengthOf(copied)).toBe(1000)
      expect(copied.length).toBe(1000)
      expect(yield* lengthOf(Offload.transfer(moved, [moved.buffer]))).toBe(1000)
      expect(moved.length).toBe(0)
    })
  )

  it.effect("moves a result that is to be transferred", () =>
    Effect.gen(function* () {
      const module = new URL("./transfer-jobs.ts", import.meta.url)
      const { give, kept } = yield* Offload.pool(Offload.define<typeof TransferJobs>(module), { size: 1 })
      expect(yield* give()).toEqual(new Uint8Array(10).fill(7))
      expect(yield* kept()).toBe(0)
    }).pipe(Effect.scoped, Effect.provide(Workers.layer))
  )

  for (const name of ["poll", "listen", "pollAndThrow"] as const) {
    test(`a cancelled call sees it, and the caller waits for the answer: ${name}`, { size: 1 }, (pool) =>
      Effect.gen(function* () {
        const thread = yield* pool.thread()
        const steps = newSteps()
        const call = name === "pollAndThrow" ? pool[name](steps, undefined) : pool[name](steps)
        const fiber = yield* fork(call)
        yield* began(steps)
        yield* Fiber.interrupt(fiber)
        expect(Atomics.load(steps, 1)).toBe(1)
        const exit = yield* Fiber.await(fiber)
        expect(Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause)).toBe(true)
        expect(yield* pool.thread()).toBe(thread)
      })
    )
  }

  test("what a cancelled call fails with is kept beside the cancellation", { size: 1 }, ({ failOnAbort }) =>
    Effect.gen(function* () {
      const steps = newSteps()
      const fiber = yield* fork(failOnAbort(steps))
      yield* began(steps)
      yield* Fiber.interrupt(fiber)
      const exit = yield* Fiber.await(fiber)
      expect(Exit.isFailure(exit) && Cause.hasInterrupts(exit.cause)).toBe(true)
      expect(failureOf(exit)).toMatchObject({ message: '"failOnAbort" failed: could not undo it' })
    })
  )

  test("cancelled before it starts, a call never does", { size: 1 }, ({ hold, thread }) =>
    Effect.gen(function* () {
      const [steps, never] = [newSteps(), newSteps()]
      const running = yield* fork(hold(steps))
      // Some were handed to the thread, some wait here.
      const waiting = yield* Effect.forEach(Array.from({ length: 8 }), () => fork(hold(never)))
      yield* began(steps)
      yield* Fiber.interruptAll(waiting)
      yield* letGo(steps)
      yield* Fiber.join(running)
      yield* thread()
      expect(Atomics.load(never, 0)).toBe(0)
    })
  )

  test("a thread whose call does not answer is replaced, and other calls do not notice", { size: 1 }, (pool) =>
    Effect.gen(function* () {
      const steps = newSteps()
      const before = yield* pool.thread()
      const deaf = yield* fork(pool.hold(steps))
      yield* began(steps)
      const behind = yield* Effect.forEach([1, 2, 3, 4, 5, 6], (n) => fork(pool.add(n, n)))
      const cancel = yield* fork(Fiber.interrupt(deaf))
      yield* TestClock.adjust("999 millis")
      for (let i = 0; i < 20; i++) yield* turn
      expect(cancel.pollUnsafe()).toBe(undefined)
      yield* TestClock.adjust("1 millis")
      yield* Fiber.join(cancel)
      expect(yield* Effect.forEach(behind, Fiber.join)).toEqual([2, 4, 6, 8, 10, 12])
      expect(yield* pool.thread()).not.toBe(before)
      const exit = yield* Fiber.await(deaf)
      expect(Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause)).toBe(true)
    })
  )

  for (const job of ["poll", "hold"] as const) {
    test(`a deadline ends a call: ${job}`, { size: 1, grace: 0 }, (pool) =>
      Effect.gen(function* () {
        const steps = newSteps()
        const work: Effect.Effect<unknown, Offload.OffloadError | Offload.WorkerCrashed> = pool[job](steps)
        const call = yield* fork(errorOf(Deadline.within(work, "1 minute")))
        yield* began(steps)
        yield* TestClock.adjust("1 minute")
        expect(yield* Fiber.join(call)).toMatchObject({ _tag: "DeadlineExceeded" })
        expect(yield* pool.add(1, 1)).toBe(2)
      })
    )
  }

  test("a thread that ends fails the call it ran, and only that", { size: 1, name: "jobs" }, (pool) =>
    Effect.gen(function* () {
      const steps = newSteps()
      const crashing = yield* fork(errorOf(pool.exit(steps)))
      yield* began(steps)
      const behind = yield* Effect.forEach([1, 2, 3, 4, 5, 6], (n) => fork(pool.add(n, n)))
      yield* letGo(steps)
      const error = yield* Fiber.join(crashing)
      expect(error).toMatchObject({ _tag: "WorkerCrashed", pool: "jobs", job: "exit" })
      expect(error.message).toBe('A worker of pool "jobs" ended while it ran "exit": the thread exited with code 7')
      expect(yield* Effect.forEach(behind, Fiber.join)).toEqual([2, 4, 6, 8, 10, 12])
    })
  )

  for (const message of [
    null,
    undefined,
    7,
    "text",
    {},
    [],
    [0],
    [1],
    [1, null],
    [1, []],
    [1, [2, 0, "forged"]],
    [2]
  ]) {
    const name = `${JSON.stringify(message)} that a function posts by itself is nobody's answer`
    test(name, { size: 1 }, ({ add, post, thread }) =>
      Effect.gen(function* () {
        const before = yield* thread()
        const calls = yield* Effect.all([post(message), add(1, 1), post(message), add(2, 2)], {
          concurrency: "unbounded"
        })
        expect(calls).toEqual(["done", 2, "done", 4])
        expect(yield* thread()).toBe(before)
      })
    )
  }

  test("an error that nobody caught in a thread ends it, and is told", { size: 1, name: "jobs" }, (pool) =>
    Effect.gen(function* () {
      const error = yield* errorOf(pool.throwElsewhere(undefined))
      expect(error.message).toBe('A worker of pool "jobs" ended while it ran "throwElsewhere": nobody caught this')
      expect(yield* pool.add(1, 1)).toBe(2)
    })
  )

  test("S27 so does anything else that nobody caught", { size: 1, name: "jobs" }, (pool) =>
    Effect.gen(function* () {
      const error = yield* errorOf(pool.throwElsewhere(null))
      expect(error).toMatchObject({ _tag: "WorkerCrashed", job: "throwElsewhere" })
      expect(error.message).toMatch(/^A worker of pool "jobs" ended while it ran "throwElsewhere": /)
      expect(yield* pool.add(1, 1)).toBe(2)
    })
  )

  for (const what of ["null", "undefined", "Object.create(null)"]) {
    it.effect(`S27 a module that throws ${what} cannot be loaded, and says so`, () =>
      Effect.gen(function* () {
        const module = Offload.define(new URL(`data:text/javascript,throw ${what}`))
        const error = yield* errorOf(Effect.scoped(Offload.pool(module, { size: 1, name: "jobs" })))
        const said = what.startsWith("Object") ? "{}" : "no reason given"
        expect(error.message).toBe(`A worker of pool "jobs" could not load its module: ${said}`)
      }).pipe(Effect.provide(Workers.layer))
    )
  }

  test(
    "every call holds a permit of the limiter",
    { size: 1, limiter: Effect.runSync(Limiter.concurrency(0)) },
    (pool) =>
      Effect.gen(function* () {
        const fiber = yield* fork(pool.add(1, 1))
        for (let i = 0; i < 20; i++) yield* turn
        expect(fiber.pollUnsafe()).toBe(undefined)
        yield* Fiber.interrupt(fiber)
      })
  )

  test("the tree says what a task waits for", { size: 1, name: "jobs" }, ({ hold }) =>
    Effect.gen(function* () {
      const steps = newSteps()
      const program = TaskGroup.open(
        Effect.gen(function* () {
          yield* TaskGroup.spawn(hold(steps))
          yield* began(steps)
          const { groups } = yield* TaskGroup.tree
          yield* letGo(steps)
          return groups[0]?.tasks[1]?.waitsFor
        })
      )
      expect(yield* program).toBe('"hold" in pool "jobs"')
    })
  )

  it.effect("ends its threads with its scope, and is closed for calls", () =>
    Effect.gen(function* () {
      const steps = newSteps()
      const late = yield* Effect.gen(function* () {
        const { add, hold } = yield* Offload.pool(jobs, { size: 2, name: "jobs" })
        const running = yield* Effect.forkDetach(Effect.exit(hold(steps)), { startImmediately: true })
        yield* began(steps)
        return { running, call: add(1, 1) }
      }).pipe(Effect.scoped, Effect.provide(Workers.layer))
      const message = (exit: Exit.Exit<unknown, unknown>) => Exit.isFailure(exit) && String(Cause.squash(exit.cause))
      expect(message(yield* Fiber.join(late.running))).toContain(
        '"hold" was not done: the scope of its pool "jobs" is closed'
      )
      expect(message(yield* Effect.exit(late.call))).toContain(
        '"add" was not done: the scope of its pool "jobs" is closed'
      )
    })
  )

  it.effect("does not open when its module cannot be loaded, and says why", () =>
    Effect.gen(function* () {
      const open = (url: string) => errorOf(Effect.scoped(Offload.pool(Offload.define(new URL(url)), { size: 2 })))
      const missing = yield* open(new URL("./no-such-module.ts", import.meta.url).href)
      expect(missing.message).toMatch(
        /^A worker of pool "no-such-module.ts" could not load its module: .*no-such-module/
      )
      const broken = yield* open("data:text/javascript,throw new RangeError('at the start')")
      expect(broken.message).toContain("could not load its module: RangeError: at the start")
    }).pipe(Effect.provide(Workers.layer))
  )

  it.effect("loads the .js file of a program that was built", () =>
    Effect.gen(function* () {
      const folder = yield* Child.folder
      writeFileSync(join(folder, "sums.js"), "export const add = (a, b) => a + b")
      const sums = Offload.define<{ readonly add: (a: number, b: number) => number }>(
        pathToFileURL(join(folder, "sums.ts"))
      )
      const { add } = yield* Offload.pool(sums, { size: 1 })
      expect(yield* add(1, 2)).toBe(3)
    }).pipe(Effect.scoped, Effect.provide(Workers.layer))
  )

  it.effect("a size that makes no sense is a defect", () =>
    Effect.gen(function* () {
      const exit = yield* Effect.exit(Effect.scoped(Offload.pool(jobs, { size: 0 })))
      expect(Exit.isFailure(exit) && Cause.squash(exit.cause)).toBeInstanceOf(RangeError)
    }).pipe(Effect.provide(Workers.layer))
  )
})

describe("Offload.pool, cancelled at every operation", () => {
  /** Takes virtual time; stops when it is told to, unless it is deaf. */
  type Take = (millis: number, deaf: boolean, moved: ArrayBuffer | undefined) => number
  interface Counts {
    begun: number
    ended: number
    threads: number
  }

  /** The other side of a pool in virtual time: what a real thread runs, with a message a step in each direction. */
  const virtualThreads = (counts: Counts): Offload.Threads => ({
    spawn: () => {
      let context = Context.empty()
      let isAlive = false
      const running = new Set<Fiber.Fiber<unknown, unknown>>()
      const fork = (effect: Effect.Effect<void>): Fiber.Fiber<void> => {
        const fiber = Effect.runForkWith(context)(effect)
        running.add(fiber)
        fiber.addObserver(() => running.delete(fiber))
        return fiber
      }
      const channel = <M>() => {
        const queue: Array<M> = []
        let listener: ((message: M) => void) | undefined
        const deliver: Effect.Effect<void> = Effect.suspend(() => {
          if (!isAlive || queue.length === 0) return Effect.void
          listener!(queue.shift()!)
          return Effect.andThen(Effect.yieldNow, deliver)
        })
        const start = () => void (isAlive && queue.length === 1 && fork(Effect.andThen(Effect.yieldNow, deliver)))
        return {
          send: (message: M) => {
            queue.push(message)
            start()
          },
          listen: (to: (message: M) => void) => {
            listener = to
            if (queue.length > 0) fork(Effect.andThen(Effect.yieldNow, deliver))
          }
        }
      }
      const toThread = channel<ToThread>()
      const fromThread = channel<FromThread>()
      const take = (millis: number, deaf: boolean, _moved: ArrayBuffer | undefined, signal: AbortSignal) => {
        counts.begun += 1
        const fiber = fork(Effect.sleep(millis))
        if (!deaf) signal.addEventListener("abort", () => fiber.interruptUnsafe())
        return thenable<number>((ok, fail) => {
          fiber.addObserver((exit) => {
            counts.ended += 1
            if (!isAlive) return
            if (Exit.isSuccess(exit)) ok?.(millis)
            else fail?.(new DOMException("stopped", "AbortError"))
          })
          return undefined as never
        })
      }
      return {
        send: (message, transfer = []) => toThread.send(structuredClone(message, { transfer: [...(transfer as [])] })),
        run: (first, receive) =>
          Effect.acquireUseRelease(
            Effect.contextWith((own: Context.Context<never>) => {
              context = own
              counts.threads += 1
              isAlive = true
              return Effect.void
            }),
            () =>
              Effect.callback<never>(() => {
                fromThread.listen(receive)
                toThread.send(first)
                const module = thenable<object>((ok) => ok?.({ take }) as never)
                toThread.listen(serve({ import: () => module, send: (message) => fromThread.send(message) }))
              }),
            () =>
              Effect.suspend(() => {
                counts.threads -= 1
                isAlive = false
                return Fiber.interruptAll(running)
              })
          )
      }
    }
  })

  const moved = () => {
    const buffer = new ArrayBuffer(8)
    return Offload.transfer(buffer, [buffer])
  }

  let counts: Counts
  let limiter: Limiter.Limiter
  const subject = (deaf: boolean, options: { readonly size: number; readonly limit: number }) =>
    Effect.suspend(() => {
      counts = { begun: 0, ended: 0, threads: 0 }
      limiter = Effect.runSync(Limiter.concurrency(options.limit))
      return Effect.gen(function* () {
        const jobs = Offload.define<{ readonly take: Take }>(new URL("virtual:jobs"))
        const { take } = yield* Offload.pool(jobs, { size: options.size, limiter, grace: "1 second" })
        const first = yield* Effect.forEach([1, 2, 3], (n) => fork(take(n * 100, false, moved())))
        const one = yield* fork(Interrupt.victim(take(5000, deaf, undefined)))
        const rest = yield* Effect.forEach([1, 2, 3, 4, 5, 6], (n) =>
          fork(take(0, false, n % 2 === 0 ? moved() : undefined))
        )
        yield* Fiber.await(one)
        const others = yield* Effect.forEach([...first, ...rest], Fiber.await)
        return others.every(Exit.isSuccess)
      }).pipe(Effect.scoped, Effect.provideService(Offload.Threads, virtualThreads(counts)))
    })
  const check = (run: Sim.Run<boolean, unknown>) => {
    expect(run.exit).toEqual(Exit.succeed(true))
    expect(counts).toMatchObject({ ended: counts.begun, threads: 0 })
    expect(Effect.runSync(limiter.stats)).toMatchObject({ inUse: 0, waiting: 0 })
    return Leaks.check(run)
  }

  it.sim(
    "what is moved to a thread stays there: calls that are moved on instead are others",
    () => {
      counts = { begun: 0, ended: 0, threads: 0 }
      return Effect.gen(function* () {
        const jobs = Offload.define<{ readonly take: Take }>(new URL("virtual:jobs"))
        const { take } = yield* Offload.pool(jobs, { size: 2 })
        const calls = Array.from({ length: 20 }, (_, n) =>
          Effect.suspend(() => take(0, false, n % 2 === 0 ? moved() : undefined))
        )
        yield* Effect.all([...calls, ...calls], { concurrency: 3, discard: true })
      }).pipe(Effect.scoped, Effect.provideService(Offload.Threads, virtualThreads(counts)))
    },
    { schedules: 300, check: (run) => Effect.andThen(run.exit, Leaks.check(run)) }
  )

  it("S26 no call waits behind a slow one as long as others are served, also where those that come after it never end", () => {
    const counts: Counts = { begun: 0, ended: 0, threads: 0 }
    const program = Effect.gen(function* () {
      const jobs = Offload.define<{ readonly take: Take }>(new URL("virtual:jobs"))
      const { take } = yield* Offload.pool(jobs, { size: 2 })
      const slow = yield* fork(take(1_000_000, false, undefined))
      const behind = yield* Effect.forEach(Array.from({ length: 150 }), () => fork(take(1, false, undefined)))
      const more = yield* Effect.forEach([1, 2, 3], () => fork(Effect.forever(take(1, false, undefined))))
      yield* Effect.forEach(behind, Fiber.await)
      const took = yield* Clock.currentTimeMillis
      yield* Effect.forEach([slow, ...more], Fiber.interrupt)
      return took
    }).pipe(Effect.scoped, Effect.provideService(Offload.Threads, virtualThreads(counts)))
    const { exit } = Effect.runSync(Effect.tap(Sim.run(program), Leaks.check))
    expect(Exit.isSuccess(exit) ? exit.value < 1000 : exit).toBe(true)
  })

  it("S15 a thread that does not answer is ended when its grace is over, or a deadline around it passes before that", () => {
    const endsAfter = (outer: number) => {
      const counts: Counts = { begun: 0, ended: 0, threads: 0 }
      const program = Effect.gen(function* () {
        const jobs = Offload.define<{ readonly take: Take }>(new URL("virtual:jobs"))
        const { take } = yield* Offload.pool(jobs, { size: 1, grace: "1 second" })
        const begun = yield* Clock.currentTimeMillis
        const call = take(60_000, true, undefined).pipe(Deadline.within("2 seconds"), Deadline.within(outer))
        yield* Effect.exit(call)
        return (yield* Clock.currentTimeMillis) - begun
      }).pipe(Effect.scoped, Effect.provideService(Offload.Threads, virtualThreads(counts)))
      const { exit } = Effect.runSync(Effect.tap(Sim.run(program), Leaks.check))
      return Exit.isSuccess(exit) ? exit.value : exit
    }
    expect([5000, 3000, 2500, 2000, 1000].map(endsAfter)).toEqual([3000, 3000, 2500, 3000, 2000])
  })

  for (const deaf of [false, true]) {
    for (const options of [
      { size: 1, limit: 100 },
      { size: 2, limit: 100 },
      { size: 2, limit: 3 }
    ]) {
      it(`a call that is ${deaf ? "deaf" : "cancelled"}, ${JSON.stringify(options)}: all others get their answers`, () => {
        Effect.runSync(Interrupt.everywhere(subject(deaf, options), { check }))
        Effect.runSync(Sim.explore(subject(deaf, options), { schedules: 100, check, stop: "interrupt" }))
      })
    }
  }
})
