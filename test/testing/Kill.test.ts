import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { Kill, Leaks, Schedules, Sim } from "skein/testing"

/** Writes three times, and says what it has written when its process ends: which nobody hears. */
const writing = (written: Array<string>) =>
  Effect.suspend(() => {
    written.length = 0
    const write = (word: string) => Effect.sync(() => void written.push(word))
    return Effect.forEach(["a", "b", "c"], (word) => Effect.andThen(Effect.sleep(1), write(word)), {
      discard: true
    }).pipe(
      Effect.ensuring(write("finalizer")),
      Effect.onInterrupt(() => write("interrupted"))
    )
  })

const states = (at?: "op" | "suspension") => {
  const written: Array<string> = []
  const runs: Array<{ readonly run: Sim.Run<void, never>; readonly state: string }> = []
  const check = (run: Sim.Run<void, never>) => void runs.push({ run, state: written.join("") })
  return { ...Effect.runSync(Kill.everywhere(writing(written), { at, check })), all: runs }
}

describe("Kill.everywhere", () => {
  it.each(["op", "suspension"] as const)("at %s: ends the run in every state, and no finalizer runs", (at) => {
    const { all, places, runs } = states(at)
    const killed = all.filter(({ run }) => run.killed !== undefined)
    // The finalizer runs where everything before it has been done, and only there.
    expect(new Set(killed.map(({ state }) => state))).toEqual(
      new Set(["", "a", "ab", ...(at === "op" ? ["abc", "abcfinalizer"] : [])])
    )
    expect(places).toBe(killed.length)
    expect(runs).toBe(all.length)
    const whole = all.filter(({ run }) => run.killed === undefined)
    expect(whole.length).toBe(at === "op" ? 3 : 1)
    expect(new Set(whole.map(({ state }) => state))).toEqual(new Set(["abcfinalizer"]))
  })

  it("kills before each step once, and says where", () => {
    const { all } = states("suspension")
    const [whole, ...killed] = all.map(({ run }) => run)
    expect(killed.length).toBe(whole!.steps - 1)
    expect(killed.map((run) => run.killed)).toEqual(killed.map((_, index) => `before step ${index + 1}`))
    expect(killed.map(({ schedule }) => schedule.stop)).toEqual(
      killed.map((_, index) => ({ how: "kill", step: index + 1, fiber: 0 }))
    )
    expect(killed.every(({ exit, stopped }) => stopped && Exit.hasInterrupts(exit))).toBe(true)
  })

  it("is everybody's end: no fiber of the run goes on", async () => {
    let after = 0
    const program = Effect.gen(function* () {
      let killed = false
      const spin = Effect.forever(
        Effect.andThen(
          Effect.yieldNow,
          Effect.sync(() => void (killed && after++))
        )
      )
      yield* Effect.forkDetach(spin)
      yield* Effect.forkDetach(Effect.promise(() => Promise.resolve().then(() => void (killed = true))))
      yield* Effect.sleep(1)
    })
    await Effect.runPromise(
      Kill.everywhere(Effect.timeoutOption(program, 1), {
        at: "suspension",
        check: () => undefined,
        maxOperations: 500
      }).pipe(Effect.ignore)
    )
    const before = after
    await new Promise((resolve) => setImmediate(resolve))
    expect(after).toBe(before)
  })

  it("reports the first state that does not hold, with a token that repeats it", () => {
    const written: Array<string> = []
    const bug = Effect.runSync(
      Effect.flip(Kill.everywhere(writing(written), { check: () => written.length === 0 || written.length > 1 }))
    )
    if (bug._tag !== "BugFound") throw bug
    expect(Schedules.parse(bug.token).stop?.how).toBe("kill")
    expect(Effect.runSync(Sim.replay(writing(written), bug.token)).killed).toMatch(/^before step \d+$/)
    expect(written).toEqual(["a"])
  })

  it("leaves nothing that counts as leaked: the process is gone", () => {
    const program = Effect.andThen(Effect.forkDetach(Effect.sleep("1 hour")), Effect.sleep(1))
    const check = (run: Sim.Run<void, never>) => (run.killed === undefined ? undefined : Leaks.check(run))
    expect(Effect.runSync(Kill.everywhere(program, { check })).places).toBeGreaterThan(3)
  })

  it("finds deadlocks and livelocks of the undisturbed run", () => {
    const error = Effect.runSync(Effect.flip(Kill.everywhere(Effect.never, { check: () => undefined })))
    expect(error.message).toContain("Deadlock")
    const endless = Kill.everywhere(Effect.forever(Effect.yieldNow), { check: () => undefined, maxOperations: 100 })
    expect(Effect.runSync(Effect.flip(endless)).message).toContain("Livelock")
  })
})
