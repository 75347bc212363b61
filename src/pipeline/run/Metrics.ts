/**
 * What runs count, as metrics of Effect (P11). Nothing is counted for them: whoever reads a metric reads the plain numbers of the runs
 * that are alive and the sum of those that have ended, so that nobody who does not look pays for it.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import type * as Scope from "effect/Scope"
import type { StepReading } from "../context/Counted.ts"
import { bounds, Latency } from "../context/Tally.ts"
import type { Counts } from "../Journal.ts"

/** A run, as it stands. */
export interface RunReading extends Counts {
  readonly retries: number
  readonly moved: number
  readonly inFlight: number
  readonly lag: number
  readonly steps: ReadonlyArray<StepReading>
}

type Attributes = Readonly<Record<string, string>>

/** How the numbers of runs become a metric. */
interface Kind<V> {
  readonly metric: (name: string, description: string, attributes: Attributes) => Metric.Metric<never, unknown>
  readonly state: (value: V) => unknown
  readonly zero: () => V
  readonly plus: (one: V, other: V) => V
  /** Whether the numbers of a run count on once it has ended. */
  readonly stays: boolean
}

const counter: Kind<number> = {
  metric: (name, description, attributes) => Metric.counter(name, { description, attributes, incremental: true }),
  state: (count) => ({ count, incremental: true }),
  zero: () => 0,
  plus: (one, other) => one + other,
  stays: true
}

const gauge: Kind<number> = {
  ...counter,
  metric: (name, description, attributes) => Metric.gauge(name, { description, attributes }),
  state: (value) => ({ value }),
  stays: false
}

const seconds = bounds.map((bound) => bound / 1000)

const histogram: Kind<Latency> = {
  metric: (name, description, attributes) =>
    Metric.histogram(name, { description, attributes: { ...attributes, unit: "seconds" }, boundaries: seconds }),
  state: ({ count, counts, max, min, sum }) => {
    let upTo = 0
    const buckets = seconds.map((bound, place) => [bound, (upTo += counts[place]!)] as const)
    return { buckets, count, min: count === 0 ? 0 : min / 1000, max: max / 1000, sum: sum / 1000 }
  },
  zero: () => new Latency(),
  plus: (one, other) => one.plus(other),
  stays: true
}

interface Numbers<Of> {
  readonly name: string
  readonly description: string
  /** Begins to publish what is read of a run or a step; gives how to end that. */
  readonly begin: (series: SeriesFor, of: () => Of) => () => void
}

/** Finds the series of a metric. */
type SeriesFor = <V>(kind: Kind<V>, name: string, description: string) => Series<V>

const numbers = <Of, V>(kind: Kind<V>, name: string, description: string, read: (of: Of) => V): Numbers<Of> => ({
  name,
  description,
  begin: (seriesFor, of) => seriesFor(kind, name, description).begin(() => read(of()))
})

const ofRun: ReadonlyArray<Numbers<RunReading>> = [
  numbers(counter, "skein_run_settled_total", "Elements whose fate is known", ({ settled }) => settled),
  numbers(counter, "skein_run_written_total", "Rows that are written", ({ written }) => written),
  numbers(counter, "skein_run_filtered_total", "Elements that a step filtered out", ({ filtered }) => filtered),
  numbers(counter, "skein_run_skipped_total", "Elements that were given up and dropped", ({ skipped }) => skipped),
  numbers(counter, "skein_run_dead_total", "Elements that were kept as dead letters", ({ dead }) => dead),
  numbers(counter, "skein_run_retries_total", "Attempts after the first", ({ retries }) => retries),
  numbers(counter, "skein_run_read_bytes_total", "Bytes of the source that are settled", ({ bytes }) => bytes),
  numbers(
    counter,
    "skein_run_moved_bytes_total",
    "Bytes that steps moved, where they count them",
    ({ moved }) => moved
  ),
  numbers(gauge, "skein_run_in_flight", "Elements that are read and not settled", ({ inFlight }) => inFlight),
  numbers(gauge, "skein_run_lag", "Elements from the watermark to the reader", ({ lag }) => lag)
]

const ofStep: ReadonlyArray<Numbers<StepReading>> = [
  numbers(counter, "skein_step_items_total", "Elements that a step began with", ({ taken }) => taken),
  numbers(counter, "skein_step_output_total", "Elements that a step gave on, or rows written", ({ given }) => given),
  numbers(counter, "skein_step_retries_total", "Attempts after the first", ({ retries }) => retries),
  numbers(counter, "skein_step_skipped_total", "Elements that it failed on and dropped", ({ skipped }) => skipped),
  numbers(counter, "skein_step_dead_total", "Elements that it failed on, kept as dead letters", ({ dead }) => dead),
  numbers(gauge, "skein_step_waiting", "Elements that wait for a worker", ({ waiting }) => waiting),
  numbers(gauge, "skein_step_working", "Elements that are worked on", ({ working }) => working),
  numbers(gauge, "skein_step_resting", "Elements that wait for their next attempt", ({ resting }) => resting),
  numbers(
    histogram,
    "skein_step_duration_seconds",
    "How long it waited for an attempt, or a commit",
    ({ latency }) => latency
  )
]

/** One metric of one step: of all runs that have it, be they in one process beside one another. */
class Series<V> {
  private readonly kind: Kind<V>
  private readonly live = new Set<() => V>()
  private ended: V

  constructor(kind: Kind<V>) {
    this.kind = kind
    this.ended = kind.zero()
  }

  get state(): unknown {
    let sum = this.ended
    for (const read of this.live) sum = this.kind.plus(sum, read())
    return this.kind.state(sum)
  }

  /** Adds the numbers of a run; gives how to end that. */
  begin(read: () => V): () => void {
    this.live.add(read)
    return () => {
      if (this.live.delete(read) && this.kind.stays) this.ended = this.kind.plus(this.ended, read())
    }
  }
}

/** Of each registry, by what tells its metrics apart. */
const known = new WeakMap<object, Map<string, Series<unknown>>>()

/** Publishes the numbers of a run as long as the scope is open; what was counted by then stays. */
export const publish = (
  attributes: Attributes,
  steps: ReadonlyArray<string>,
  read: () => RunReading
): Effect.Effect<void, never, Scope.Scope> =>
  Effect.contextWith((context: Context.Context<Scope.Scope>) =>
    Effect.asVoid(
      Effect.acquireRelease(
        Effect.sync(() => [
          ...ofRun.map(({ begin }) => begin(seriesIn(context, attributes), read)),
          ...steps.flatMap((step, place) =>
            ofStep.map(({ begin }) => begin(seriesIn(context, { ...attributes, step }), () => read().steps[place]!))
          )
        ]),
        (ends) => Effect.sync(() => ends.forEach((end) => end()))
      )
    )
  )

const seriesIn =
  (context: Context.Context<never>, attributes: Attributes): SeriesFor =>
  <V>(kind: Kind<V>, name: string, description: string) => {
    const registry = Context.get(context, Metric.MetricRegistry)
    const all = known.get(registry) ?? new Map<string, Series<unknown>>()
    known.set(registry, all)
    const labels = { ...Context.get(context, Metric.CurrentMetricAttributes), ...attributes }
    const key = JSON.stringify([name, Object.entries(labels).toSorted()])
    const series = (all.get(key) as Series<V> | undefined) ?? new Series(kind)
    all.set(key, series as Series<unknown>)
    // Again for each run: somebody may have removed it.
    Metric.registerUnsafe(kind.metric(name, description, attributes), context, {
      get: () => series.state,
      update: () => {},
      modify: () => {}
    })
    return series
  }
