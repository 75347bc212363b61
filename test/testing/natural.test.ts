/** The natural order is that of Effect itself: random programs say the same in a simulation as without one. */
import { expect, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as Schema from "effect/Schema"
import * as Semaphore from "effect/Semaphore"
import { Sim } from "skein/testing"
import { saying } from "../support/simulated.ts"

/** Mostly what does not wait for ever. */
const does = ["yields", "yields", "forks", "starts", "locks", "completes", "offers", "takes", "awaits"] as const

interface Step {
  readonly does: (typeof does)[number]
  readonly which: number
}

const below = (limit: number) =>
  Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: limit - 1 })))

const step = Arbitrary.map(Arbitrary.all([below(does.length), below(3)]), ([i, which]): Step => ({
  does: does[i]!,
  which
}))

/** Each fiber runs a list of steps; the first is the root, and each forks only those after it. */
const talk = (fibers: ReadonlyArray<ReadonlyArray<Step>>) =>
  saying((say) =>
    Effect.gen(function* () {
      const deferreds = [0, 1, 2].map(() => Deferred.makeUnsafe<void>())
      const semaphore = yield* Semaphore.make(1)
      const queues = [
        yield* Queue.bounded<number>(1),
        yield* Queue.bounded<number>(2),
        yield* Queue.unbounded<number>()
      ]
      const run = (fiber: number): Effect.Effect<void> =>
        Effect.forEach(
          fibers[fiber] ?? [],
          ({ does, which }, i) => {
            const fork = (startImmediately: boolean) =>
              Effect.asVoid(Effect.forkDetach(run(fiber + 1 + which), { startImmediately }))
            const act: Record<Step["does"], Effect.Effect<unknown>> = {
              yields: Effect.yieldNow,
              forks: fork(false),
              starts: fork(true),
              awaits: Deferred.await(deferreds[which]!),
              completes: Deferred.succeed(deferreds[which]!, undefined),
              locks: semaphore.withPermit(Effect.yieldNow),
              offers: Queue.offer(queues[which]!, i),
              takes: Queue.take(queues[which]!)
            }
            return Effect.andThen(say(`${fiber} ${does}`), act[does])
          },
          { discard: true }
        )
      yield* Effect.forkDetach(run(0))
      // Enough turns for all; whatever waits for ever is left behind.
      yield* Effect.repeat(Effect.yieldNow, { times: 100 })
    })
  )

it("is that of Effect, for any program without timers", async () => {
  const fibers = Arbitrary.array(Arbitrary.array(step, { minLength: 3, maxLength: 8 }), { minLength: 4, maxLength: 8 })
  const said: Array<string> = []
  const same = (program: ReadonlyArray<ReadonlyArray<Step>>) =>
    Effect.gen(function* () {
      const natural = yield* Effect.promise(() => Effect.runPromise(talk(program)))
      said.push(natural)
      return (yield* Sim.autoAdvance(talk(program))) === natural
    })
  const runs = process.env["SKEIN_DEEP"] ? 2000 : 200
  const result = await Effect.runPromise(
    Arbitrary.checkEffect(fibers, same, { runs, concurrency: 20, seed: 1, size: 20 })
  )
  expect(Arbitrary.formatCheckFailure(result)).toBe(undefined)
  // Programs in which fibers hardly take turns would prove nothing.
  const turns = said.map((words) => words.replaceAll(/\d \w+/g, (word) => word[0]!).split(" "))
  const lively = turns.filter((fibers) => fibers.filter((fiber, i) => fiber !== fibers[i - 1]).length > 10)
  expect(lively.length).toBeGreaterThan(runs / 20)
})
