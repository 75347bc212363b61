import { describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Semaphore from "effect/Semaphore"
import { everywhere, once, seeded, victim } from "./sweep.ts"

describe("sweep", () => {
  it("moves time by itself: 450 virtual seconds of sleeps end at once", () => {
    const run = once(Effect.forEach([100, 200, 150], (seconds) => Effect.sleep(`${seconds} seconds`)))
    expect(Exit.isSuccess(run.exit)).toBe(true)
    expect(run).toMatchObject({ time: 450_000, timers: 0, fibers: 0, interrupted: false })
  })

  it("interrupts before every operation, so a cleanup that is registered one operation late is found", () => {
    let open = 0
    const acquire = Effect.sync(() => void open++)
    const release = Effect.sync(() => void open--)
    const work = Effect.sleep("1 second")
    const leaks = (effect: Effect.Effect<void>) => () =>
      everywhere(
        () => ((open = 0), effect),
        () => expect(open).toBe(0)
      )
    expect(
      leaks(
        Effect.acquireUseRelease(
          acquire,
          () => work,
          () => release
        )
      )
    ).not.toThrow()
    expect(leaks(Effect.andThen(acquire, Effect.ensuring(work, release)))).toThrow(/interrupted before step/)
  })

  it("interrupts only the victim where one is marked", () => {
    let interruptions = 0
    everywhere(
      Effect.gen(function* () {
        const fiber = yield* Effect.forkChild(
          victim(Effect.andThen(Effect.sleep("1 second"), Effect.sleep("1 second")))
        )
        return yield* Fiber.await(fiber)
      }),
      (run) => {
        expect(Exit.isSuccess(run.exit)).toBe(true)
        if (Exit.isSuccess(run.exit) && Exit.isFailure(run.exit.value)) interruptions++
      }
    )
    expect(interruptions).toBeGreaterThan(5)
  })

  it("reports what is left: fibers and timers", () => {
    const run = once(Effect.forkDetach(Effect.sleep("1 hour"), { startImmediately: true }))
    expect(run).toMatchObject({ timers: 1, fibers: 1 })
  })

  it("says that an effect hangs, and that it never comes to rest", () => {
    expect(() => once(Effect.flatMap(Deferred.make<void>(), Deferred.await))).toThrow(/hangs/)
    expect(() => once(Effect.forever(Effect.yieldNow))).toThrow(/does not end/)
  })

  const race = Effect.gen(function* () {
    const order: Array<string> = []
    const say = (name: string) =>
      Effect.andThen(
        Effect.yieldNow,
        Effect.sync(() => order.push(name))
      )
    yield* Effect.all([say("a"), say("b"), say("c")], { concurrency: "unbounded" })
    return order.join("")
  })

  it("takes fibers in every order, and the same order for the same seed", () => {
    const orders = (seeds: ReadonlyArray<number>) => {
      const seen: Array<string> = []
      seeded(race, (run) => seen.push(Exit.isSuccess(run.exit) ? run.exit.value : "failed"), { seeds })
      return seen
    }
    const seeds = Array.from({ length: 100 }, (_, i) => i)
    expect(new Set(orders(seeds))).toEqual(new Set(["abc", "acb", "bac", "bca", "cab", "cba"]))
    expect(orders(seeds)).toEqual(orders(seeds))
  })

  it("finds an update that is lost when a fiber is preempted between reading and writing", () => {
    const add = (lock: Semaphore.Semaphore, cell: { n: number }) =>
      Semaphore.withPermit(lock)(
        Effect.flatMap(
          Effect.sync(() => cell.n),
          (n) => Effect.sync(() => void (cell.n = n + 1))
        )
      )
    const adding = (permits: number) =>
      Effect.gen(function* () {
        const lock = yield* Semaphore.make(permits)
        const cell = { n: 0 }
        yield* Effect.all([add(lock, cell), add(lock, cell)], { concurrency: "unbounded" })
        return cell.n
      })
    const loses = (permits: number) => () =>
      seeded(adding(permits), (run) => expect(run.exit).toEqual(Exit.succeed(2)), { seeds: 100 })
    expect(loses(2)).toThrow(/seed/)
    expect(loses(1)).not.toThrow()
  })
})
