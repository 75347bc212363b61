import { describe, expect, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { TaskGroup } from "skein"
import { Interrupt, Leaks, Sim } from "skein/testing"

const exitOf = <A, E>(effect: Effect.Effect<A, E>) => Effect.runSync(Effect.tap(Sim.run(effect), Leaks.check)).exit
const valueOf = <A, E>(effect: Effect.Effect<A, E>): A => {
  const exit = exitOf(effect)
  if (Exit.isFailure(exit)) throw Cause.squash(exit.cause)
  return exit.value
}

const groupName = Effect.map(TaskGroup.current(), ({ name }) => name)

describe("TaskGroup.capture", () => {
  it("runs effects in the group that it was called in, from whatever group, and leaves that as it was", () => {
    const names = valueOf(
      TaskGroup.open(
        Effect.gen(function* () {
          const here = yield* TaskGroup.capture
          const inner = Effect.gen(function* () {
            const before = yield* groupName
            const within = yield* here(groupName)
            return [before, within, yield* groupName]
          })
          return yield* TaskGroup.open(TaskGroup.open(inner, { name: "c" }), { name: "b" })
        }),
        { name: "a" }
      )
    )
    expect(names).toEqual(["c", "a", "c"])
  })

  it("has tasks outlive the group that they are spawned from, and the group that was captured wait for them", () => {
    const order: Array<string> = []
    const say = (word: string) => Effect.sync(() => void order.push(word))
    const program = TaskGroup.open(
      Effect.gen(function* () {
        const here = yield* TaskGroup.capture
        yield* TaskGroup.open(
          Effect.gen(function* () {
            yield* here(TaskGroup.spawn(Effect.delay(say("task of the outer one"), 20)))
            yield* TaskGroup.spawn(Effect.delay(say("task of the inner one"), 10))
          })
        )
        yield* say("the inner one has ended")
      })
    )
    valueOf(Effect.andThen(program, say("the outer one has ended")))
    expect(order).toEqual([
      "task of the inner one",
      "the inner one has ended",
      "task of the outer one",
      "the outer one has ended"
    ])
  })

  it("has the group that was captured own what fails, and cancel the others", () => {
    let inner: Exit.Exit<unknown, unknown> | undefined
    const program = TaskGroup.open(
      Effect.gen(function* () {
        const here = yield* TaskGroup.capture
        const work = Effect.andThen(here(TaskGroup.spawn(Effect.fail("broken"))), Effect.never)
        return yield* Effect.onExit(TaskGroup.open(work), (exit) => Effect.sync(() => void (inner = exit)))
      })
    )
    expect(valueOf(Effect.flip(program))).toBe("broken")
    expect(inner !== undefined && Exit.hasInterrupts(inner)).toBe(true)
  })

  it("runs effects in no group where there is none", () => {
    const program = Effect.gen(function* () {
      const here = yield* TaskGroup.capture
      const spawning = TaskGroup.spawn(Effect.void) as Effect.Effect<unknown>
      return yield* TaskGroup.open(here(spawning))
    })
    expect(Exit.isFailure(exitOf(program))).toBe(true)
  })

  it("is for as long as the group is open: later it takes no more tasks", () => {
    const program = Effect.gen(function* () {
      const here = yield* TaskGroup.open(TaskGroup.capture)
      return yield* TaskGroup.open(here(TaskGroup.spawn(Effect.void)))
    })
    const exit = exitOf(program as Effect.Effect<unknown>)
    expect(Exit.isFailure(exit) && Cause.squash(exit.cause)).toBeInstanceOf(TaskGroup.GroupClosed)
  })

  it("leaves nothing behind wherever it is interrupted", () => {
    const program = TaskGroup.open(
      Effect.gen(function* () {
        const here = yield* TaskGroup.capture
        const spawning = (millis: number) => here(TaskGroup.spawn(Effect.sleep(millis)))
        yield* TaskGroup.open(Effect.andThen(spawning(20), Effect.andThen(Effect.sleep(5), spawning(5))))
      })
    )
    Effect.runSync(Interrupt.everywhere(program))
    Effect.runSync(Leaks.none(program))
  })
})
