/** A step that finds out by itself how many elements to work on at once. */
import { describe, expect, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import { Pipeline, TaskGroup } from "skein"
import { numbers, valueOf } from "../support/jobs.ts"
import * as Store from "../support/store.ts"

/** Slower than 50 milliseconds as soon as more than `knee` calls are in it; getting there takes up to so many more. */
const service = (knee: number, jitter: readonly [number, number]) => {
  let inside = 0
  return (n: number) =>
    Effect.flatMap(Random.nextIntBetween(...jitter), (way) =>
      Effect.suspend(() => {
        inside += 1
        return Effect.ensuring(
          Effect.as(Effect.sleep(50 * Math.max(1, inside / knee) ** 1.5), n),
          Effect.sync(() => void inside--)
        )
      }).pipe(Effect.delay(way))
    )
}

/** Elements a second, of the last 3,000 of so many. */
const rateOf = (
  elements: number,
  work: (n: number) => Effect.Effect<number>,
  concurrency: number | { min: number; max: number }
): number =>
  valueOf(
    Effect.gen(function* () {
      let begin = 0
      let seen = 0
      yield* Pipeline.from(numbers(elements)).pipe(
        Pipeline.map(work, { concurrency, order: "completion" }),
        Pipeline.tap(() =>
          ++seen === elements - 3000 ? Effect.map(Clock.currentTimeMillis, (now) => (begin = now)) : undefined
        ),
        Pipeline.collect
      )
      return 3_000_000 / ((yield* Clock.currentTimeMillis) - begin)
    })
  )

describe("a step with a range of workers", () => {
  it.each([
    ["of 20, exactly", 20, [0, 0], [16, 20, 24]],
    ["of 20, with 20 to 100 ms of jitter", 20, [20, 100], [32, 40, 48]],
    ["of 8, with 20 to 100 ms of jitter", 8, [20, 100], [12, 16, 20]]
  ] as const)("comes within a fifth of the best number in a service with a knee %s", (_, knee, jitter, fixed) => {
    const best = Math.max(...fixed.map((n) => rateOf(3001, service(knee, jitter), n)))
    const rate = rateOf(5000, service(knee, jitter), { min: 1, max: 64 })
    expect(rate / best).toBeGreaterThan(0.8)
    expect(rate / best).toBeLessThan(1.2)
  })

  it("lets fewer work after attempts that ran out of time, or are worth another, and not after bad elements", () => {
    const most = (
      fails: (n: number) => Effect.Effect<unknown, string>,
      options: {
        readonly retry?: { retries?: number; backoff?: { base: number }; retryWhile?: () => boolean }
        readonly timeout?: { attempt: number }
      }
    ) =>
      valueOf(
        Effect.gen(function* () {
          const job = Pipeline.from(numbers(400)).pipe(
            Pipeline.map((n) => Effect.andThen(Effect.sleep(10), n > 200 ? fails(n) : Effect.void), {
              ...options,
              concurrency: { min: 2, max: 8 },
              onError: "skip",
              name: "work"
            }),
            Pipeline.to(Store.make<unknown>().elsewhere)
          )
          const run = yield* Pipeline.start(job, { name: "adaptive", window: { items: 16 } })
          const seen: Array<number> = []
          while ((yield* run.state) === "running") {
            yield* Effect.sleep(20)
            seen.push((yield* run.steps)[0]!.concurrency)
          }
          yield* run.await
          return [Math.max(...seen), seen.at(-1)]
        }).pipe(TaskGroup.open, Store.given(Store.make()))
      )
    const busy = () => Effect.fail("busy")
    expect(most(busy, {})).toEqual([8, 8])
    expect(most(busy, { retry: { retries: 2, backoff: { base: 10 } } })).toEqual([8, 2])
    expect(most(() => Effect.sleep(1000), { timeout: { attempt: 100 } })).toEqual([8, 2])
    expect(most(busy, { retry: { retryWhile: () => false } })).toEqual([8, 8])
  })
})
