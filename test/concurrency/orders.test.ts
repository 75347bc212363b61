/** Small machines of ours under every order of their fibers there is, and cancelled before every step of them. */
import { describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { Joiner, Limiter, TaskGroup } from "skein"
import { Interrupt, Leaks, type Sim } from "skein/testing"
import { it } from "skein/testing/vitest"

const all = <A, E>(run: Sim.Run<A, E>) => Effect.andThen(run.exit, Leaks.check(run))

describe("every order", () => {
  /** So many tasks want one permit. */
  const crowd = (tasks: number) =>
    Effect.gen(function* () {
      const limiter = yield* Limiter.concurrency(1)
      yield* Leaks.limiter(limiter)
      const at = { work: 0, done: 0 }
      const work = Effect.gen(function* () {
        if (++at.work > 1) return yield* Effect.die("two have the permit")
        yield* Effect.yieldNow
        at.work--
        at.done++
      })
      yield* Effect.all(
        Array.from({ length: tasks }, () => limiter.withPermit(work)),
        { concurrency: "unbounded" }
      )
      if (at.done !== tasks) return yield* Effect.die(`${at.done} are done`)
    })

  it.sim("lets one after the other of two into a limiter", crowd(2), { check: all, exhaustive: true })

  it.sim("lets one after the other of three into a limiter", crowd(3), { check: all, exhaustive: { preemptions: 1 } })

  it.sim("gives back the permit of whoever is cancelled, wherever it is", crowd(2), {
    check: Leaks.check,
    exhaustive: { preemptions: 1 },
    stop: "interrupt"
  })

  it.sim(
    "has a started task say once that it is ready, and run on",
    TaskGroup.open(
      Effect.gen(function* () {
        let ended = false
        const port = yield* TaskGroup.start((ready: TaskGroup.Ready<number>) =>
          Effect.gen(function* () {
            yield* Effect.yieldNow
            yield* ready(8080)
            yield* Effect.yieldNow
            ended = true
          })
        )
        return () => (port === 8080 && ended ? Effect.void : Effect.die("not ready, or not ended"))
      })
    ).pipe(Effect.flatMap((check) => check())),
    { check: all, exhaustive: true }
  )

  it.sim(
    "cancels and waits for the second task where the first one fails",
    Effect.gen(function* () {
      const said: Array<string> = []
      const second = Effect.onExit(Effect.never, () => Effect.sync(() => void said.push("second")))
      const group = TaskGroup.open(
        Effect.gen(function* () {
          yield* TaskGroup.spawn(Effect.andThen(Effect.yieldNow, Effect.fail("first")))
          yield* TaskGroup.spawn(second)
        })
      )
      const exit = yield* Effect.exit(group)
      if (!Exit.isFailure(exit) || said.length > 1) return yield* Effect.die(`${exit}, ${said}`)
    }),
    { check: all, exhaustive: { preemptions: 1 } }
  )

  it.sim(
    "has one winner of a race of timers, and leaves nothing of the other",
    Effect.gen(function* () {
      const runner = (name: string) =>
        Effect.gen(function* () {
          let open = 0
          yield* Leaks.watch(name, () => open)
          return yield* Effect.acquireUseRelease(
            Effect.sync(() => void open++),
            () => Effect.as(Effect.sleep(1), name),
            () => Effect.sync(() => void open--)
          )
        })
      const winner = yield* Joiner.race([runner("a"), runner("b")])
      if (winner !== "a" && winner !== "b") return yield* Effect.die(winner)
    }),
    { check: all, exhaustive: { preemptions: 1 } }
  )

  it.sim(
    "gives a race up cleanly, wherever it is cancelled",
    Effect.exit(Interrupt.victim(Joiner.race([Effect.sleep(1), Effect.sleep(1)]))),
    { check: Leaks.check, exhaustive: { preemptions: 0 }, stop: "interrupt" }
  )
})
