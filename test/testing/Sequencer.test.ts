import { describe, expect, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { Sequencer, Sim } from "skein/testing"

const defectOf = <A, E>(exit: Exit.Exit<A, E>): unknown => (Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined)

const inSteps = Effect.gen(function* () {
  const sequencer = yield* Sequencer.make
  const said: Array<string> = []
  const step = (number: number) =>
    sequencer.step(number)(
      Effect.gen(function* () {
        said.push(`${number} begins`)
        yield* Effect.sleep(10 - number)
        said.push(`${number} ends`)
        return number
      })
    )
  const all = yield* Effect.all([step(3), step(1), Effect.andThen(step(0), step(2))], { concurrency: "unbounded" })
  return { all, said }
})

describe("Sequencer", () => {
  it("runs its steps in the order of their numbers, one after the other, under every schedule", () => {
    const said = [0, 1, 2, 3].flatMap((number) => [`${number} begins`, `${number} ends`])
    const check = ({ exit }: Sim.Run<unknown, never>) => expect(exit).toEqual(Exit.succeed({ all: [3, 1, 2], said }))
    expect(Effect.runSync(Sim.explore(inSteps, { check })).schedules).toBe(200)
  })

  it.live("works outside of simulations", () =>
    Effect.map(inSteps, ({ all }) => {
      expect(all).toEqual([3, 1, 2])
    })
  )

  it("goes on after a step that fails or is interrupted, and gives what it gives", () => {
    const program = Effect.gen(function* () {
      const sequencer = yield* Sequencer.make
      const victim = yield* Effect.forkChild(sequencer.step(1)(Effect.never))
      const third = yield* Effect.forkChild(sequencer.step(2)(Effect.succeed("third")))
      const first = yield* Effect.exit(sequencer.step(0)(Effect.fail("first")))
      yield* Sim.waitAllBlocked
      yield* Fiber.interrupt(victim)
      return [first, yield* Fiber.join(third)] as const
    })
    expect(Effect.runSync(Sim.autoAdvance(program))).toEqual([Exit.fail("first"), "third"])
  })

  it("dies where there is such a step already, and says so", () => {
    const program = Effect.gen(function* () {
      const sequencer = yield* Sequencer.make
      yield* sequencer.step(0)(Effect.void)
      return yield* Effect.exit(sequencer.step(0)(Effect.void))
    })
    const error = defectOf(Effect.runSync(program))
    expect(error).toBeInstanceOf(Sequencer.SequenceBroken)
    expect(error).toMatchObject({
      step: 0,
      message: "Step 0 of the sequence cannot run: there is one already"
    })
  })

  it("dies where the step before was cancelled before its turn, and so does every later one", () => {
    const program = Effect.gen(function* () {
      const sequencer = yield* Sequencer.make
      const cancelled = yield* Effect.forkChild(sequencer.step(1)(Effect.void))
      const later = yield* Effect.forkChild(Effect.exit(sequencer.step(2)(Effect.void)))
      const last = yield* Effect.forkChild(Effect.exit(sequencer.step(3)(Effect.void)))
      yield* Sim.waitAllBlocked
      yield* Fiber.interrupt(cancelled)
      return [yield* Fiber.join(later), yield* Fiber.join(last)] as const
    })
    const [later, last] = Effect.runSync(Sim.autoAdvance(program)).map(defectOf)
    expect(later).toMatchObject({
      step: 2,
      message: "Step 2 of the sequence cannot run: step 1 was cancelled before its turn"
    })
    expect(last).toBeInstanceOf(Sequencer.SequenceBroken)
  })

  it("is one for each program that makes it", () => {
    const program = Effect.flatMap(Sequencer.make, (sequencer) => sequencer.step(0)(Effect.succeed("once")))
    expect(Effect.runSync(Effect.all([program, program]))).toEqual(["once", "once"])
  })

  it("waits for ever for a step that never comes, which a simulation tells", () => {
    const program = Effect.flatMap(Sequencer.make, (sequencer) => sequencer.step(1)(Effect.void))
    expect(Effect.runSync(Effect.flip(Sim.run(program))).message).toContain("main waits for a Deferred")
  })
})
