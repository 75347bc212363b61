/** Turns in a group with a limit, under every order. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { TaskGroup } from "skein"
import { Interrupt, Leaks, Sim } from "skein/testing"

describe("a group with a limit", { timeout: 300_000 }, () => {
  const program = Effect.gen(function* () {
    let running = 0
    let done = 0
    const work = Effect.suspend(() => {
      if (++running > 2) return Effect.die(new Error(`${running} at once`))
      return Effect.ensuring(
        Effect.yieldNow,
        Effect.sync(() => void (running--, done++))
      )
    })
    yield* TaskGroup.open(
      Effect.gen(function* () {
        for (let i = 0; i < 5; i++) yield* TaskGroup.spawn(work)
      }),
      { limit: 2 }
    )
    return done
  })

  it("loses no turn that comes between asking for it and waiting, and lets in no more than its limit", () => {
    Effect.runSync(
      Sim.explore(program, {
        granularity: "op",
        schedules: 1000,
        check: (run) =>
          Effect.andThen(
            Effect.map(run.exit, (done) => expect(done).toBe(5)),
            Leaks.check(run)
          )
      })
    )
    Effect.runSync(Interrupt.everywhere(program, { target: "any", check: Leaks.check }))
  })
})
