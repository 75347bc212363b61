/** Two tasks take two locks, each in the order that the other does not. */
import * as Console from "effect/Console"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import { Limiter, TaskGroup } from "skein"
import { inspected } from "./inspected.ts"

const program = Effect.gen(function* () {
  const accounts = yield* Limiter.concurrency(1)
  const audit = yield* Limiter.concurrency(1)
  const both = [yield* Deferred.make<void>(), yield* Deferred.make<void>()] as const

  const take = (first: Limiter.Limiter, second: Limiter.Limiter, mine: number) =>
    first.withPermit(
      Effect.gen(function* () {
        yield* Deferred.succeed(both[mine]!, undefined)
        yield* Deferred.await(both[1 - mine]!)
        yield* second.withPermit(Effect.void) // here
      })
    )

  yield* TaskGroup.spawn(take(accounts, audit, 0), { name: "transfer" })
  yield* TaskGroup.spawn(take(audit, accounts, 1), { name: "report" })
  yield* Console.log("sick")
})

inspected(TaskGroup.open(program, { name: "bank" }))
