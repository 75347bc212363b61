/** S27: whatever others throw, reject with or give, every path that looks at it ends, in words, and nothing breaks by it. */
import { describe, expect, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { Offload, TaskGroup } from "skein"
import { Sim } from "skein/testing"
import * as Foreign from "../../src/concurrency/base/Foreign.ts"
import * as Protocol from "../../src/concurrency/offload/WorkerProtocol.ts"
import { serve } from "../../src/concurrency/WorkerThread.ts"
import * as ErrorLines from "../../src/node/main/ErrorLines.ts"
import { thenable } from "../support/foreign.ts"
import * as Hostile from "../support/hostile.ts"

const runs = process.env["SKEIN_DEEP"] === undefined ? 150 : 10_000
const choices = Arbitrary.array(Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1000 }))), {
  minLength: 1,
  maxLength: 40
})
const options = { arbitrary: { runs }, timeout: 600_000 }

const property = (name: string, holds: (value: unknown) => void) =>
  it.prop(name, { choices }, ({ choices }) => holds(Hostile.make(choices)), options)

const failureOf = (exit: Exit.Exit<unknown, unknown>): unknown =>
  Exit.isFailure(exit) ? Option.getOrUndefined(Cause.findErrorOption(exit.cause)) : undefined

describe("S27 a hostile value", () => {
  property("has a name, a message and an answer to whether it is an abort", (value) => {
    expect(typeof Foreign.describe(value)).toBe("string")
    expect(typeof Foreign.isAbort(value)).toBe("boolean")
    expect([...Foreign.chain(value)].length).toBeLessThanOrEqual(1000)
  })

  property("that a promise is rejected with is the cause of an OffloadError, whose message can be read", (value) => {
    const work = Offload.promise(() => thenable((_, fail) => fail?.(value) as never), { name: "odd" })
    const error = failureOf(Effect.runSyncExit(work)) as Offload.OffloadError
    expect(error._tag).toBe("OffloadError")
    expect(error.cause === value).toBe(true)
    expect(error.message).toMatch(/^"odd" failed: /)
  })

  property("that a cancelled promise is rejected with ends its cancellation", (value) => {
    for (const onCancel of ["wait", "abandon"] as const) {
      const program = Effect.gen(function* () {
        const work = Offload.promise(
          (signal) => thenable<never>((_, fail) => signal.addEventListener("abort", () => fail?.(value)) as never),
          { onCancel }
        )
        const fiber = yield* Effect.forkChild(work, { startImmediately: true })
        yield* Fiber.interrupt(fiber)
        expect(yield* TaskGroup.orphans).toEqual([])
        return yield* Fiber.await(fiber)
      })
      const { exit } = Effect.runSync(Sim.run(Effect.provide(program, Logger.layer([]))))
      const ended = Exit.isSuccess(exit) ? exit.value : exit
      expect(Exit.isFailure(ended) && Cause.hasInterrupts(ended.cause)).toBe(true)
      expect(failureOf(ended) !== undefined).toBe(onCancel === "wait" && !Foreign.isAbort(value))
    }
  })

  property("that ends a call in a thread ends only that, and what comes back can be looked at", (value) => {
    const sent: Array<Protocol.FromThread> = []
    const functions = {
      throws: () => {
        throw value
      },
      gives: () => value,
      rejects: () => thenable((_, fail) => fail?.(value) as never),
      resolves: () => thenable((ok) => ok?.(value) as never),
      settlesTwice: () =>
        thenable((ok, fail) => {
          ok?.(value)
          fail?.(value)
          throw value
        }),
      next: () => "next"
    }
    const receive = serve({
      import: () => thenable<object>((ok) => ok?.(functions) as never),
      send: (message) => void sent.push(structuredClone(message))
    })
    receive([Protocol.load, "", new SharedArrayBuffer(32)])
    const names = Object.keys(functions)
    names.forEach((name, i) => receive([Protocol.call, i, i + 1, name, []]))
    // One answer for each call, in order.
    expect(sent.slice(1).map(([, slot, id]) => [slot, id])).toEqual(names.map((_, i) => [i, i + 1]))
    expect(sent.at(-1)).toEqual([Protocol.succeeded, names.length - 1, names.length, "next"])
    for (const message of sent) {
      if (message[0] !== Protocol.failed) continue
      const error = new Offload.OffloadError({ job: "odd", cause: Protocol.decode(message[3]) })
      expect(error.message).toMatch(/^"odd" failed: /)
    }
  })

  property("that a program fails with is told in a line at least", (value) => {
    for (const cause of [Cause.fail(value), Cause.die(value)]) {
      for (const debug of [false, true]) {
        const [first, ...rest] = ErrorLines.make(cause, { debug, hint: "look" })
        expect(first).toMatch(/^error: /)
        for (const line of rest) expect(typeof line).toBe("string")
      }
    }
  })

  const isLogged = (value: unknown): void => {
    const logged: Array<unknown> = []
    const careful = Logger.map(Logger.formatLogFmt, (line) => void logged.push(line))
    const careless = Logger.make(({ cause, message }) => void logged.push(`${message} ${Cause.squash(cause)}`))
    for (const logger of [careful, careless]) {
      const group = TaskGroup.open(Effect.as(TaskGroup.supervise(Effect.fail(value), { name: "odd" }), "kept"))
      expect(Effect.runSync(Effect.provide(group, Logger.layer([logger])))).toBe("kept")
      expect(String(logged.pop())).toContain("odd")
    }
  }

  property("that a supervised task fails with is logged, and the group keeps its value", isLogged)

  it("that can be printed a few times only is logged as well", () => {
    for (let times = 0; times < 8; times++) {
      let looks = 0
      const again = () => {
        throw new Error("looked at again")
      }
      isLogged({ toString: () => (++looks > times ? { toString: again } : "odd") })
    }
  })
})
