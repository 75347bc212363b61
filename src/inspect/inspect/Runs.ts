/** Runs of pipelines as a snapshot shows them. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Secrets from "../../concurrency/base/Secrets.ts"
import type { StepReading } from "../../pipeline/context/Counted.ts"
import type { LiveRun, LiveRuns } from "../../pipeline/context/Runs.ts"
import type { RunView, StepView } from "../context/Snapshot.ts"

export const runsOf = ({ all }: LiveRuns): Effect.Effect<ReadonlyArray<RunView>> =>
  Effect.forEach(Array.from(all), viewOf)

const viewOf = ({ name, now, partition }: LiveRun): Effect.Effect<RunView> =>
  Effect.map(now, ({ commit = null, leaseUntil = null, progress, state, steps }) => {
    const { dead, elapsed, eta, inFlight, lag, rate, settled, written } = progress
    return {
      name: Secrets.hidden(name),
      partition: partition === undefined ? null : Secrets.hidden(partition),
      state,
      steps: steps.map(stepOf),
      settled,
      written,
      dead,
      inFlight,
      lag,
      rate,
      elapsed: Duration.toMillis(elapsed),
      eta: Option.getOrNull(Option.map(eta, Duration.toMillis)),
      commit,
      leaseUntil
    }
  })

const stepOf = ({ latency, name, ...stands }: StepReading): StepView => ({
  ...stands,
  name: Secrets.hidden(name),
  latency: latency.count === 0 ? null : { p50: latency.quantile(0.5), p99: latency.quantile(0.99) }
})
