/** What is told of a run while it lives and at its end: counts, metrics and spans (P11). */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Alarm from "../../concurrency/base/Alarm.ts"
import { reading, type StepReading, told } from "../context/Counted.ts"
import { make as makeMeter, type Meter } from "../context/Meter.ts"
import type { LastCommit, LiveRuns } from "../context/Runs.ts"
import { Tally } from "../context/Tally.ts"
import type { DeadLetters } from "../fate/DeadLetters.ts"
import type { Batch, Fate, Standing } from "../fate/Fate.ts"
import type { Unit } from "../fate/Unit.ts"
import type { Flow } from "../flow/Flow.ts"
import type { Trace } from "../flow/Observer.ts"
import type { Progress, Summary } from "../Progress.ts"
import type { Failing } from "../Step.ts"
import { publish, type RunReading } from "./Metrics.ts"

/** What it looks at. */
interface Watched {
  readonly fate: Fate
  readonly flow: Flow
  readonly letters: DeadLetters
  readonly sink: Failing
}

export class Insight {
  /** Of what no step counts. */
  readonly meter: Meter = makeMeter()
  /** Of the sink. */
  readonly tally: Tally = new Tally()
  readonly trace: Trace | undefined
  private readonly owner: Readonly<Record<string, string>>
  /** The last commit. */
  committed: LastCommit | undefined
  private readonly runs: LiveRuns
  /** Rows of the commit that is under way. */
  private committing = 0
  private watched!: Watched

  constructor(pipeline: string, partition: string | undefined, every: number | undefined, runs: LiveRuns) {
    this.runs = runs
    this.owner = partition === undefined ? { pipeline } : { pipeline, partition }
    this.trace = every === undefined ? undefined : sampled(this.owner, every)
  }

  look(watched: Watched): void {
    this.watched = watched
  }

  /** Publishes the metrics of the run as long as the scope is open. */
  get publish(): Effect.Effect<void, never, Scope.Scope> {
    const steps = this.steps.map(({ name }) => name)
    return publish(this.owner, steps, () => this.run)
  }

  /** The counts of this run, and of what of it is in flight. */
  get counts(): Omit<Progress, "pipeline" | "elapsed" | "rate" | "eta"> {
    const { steps, ...counts } = this.run
    return { ...counts, steps: steps.map(told) }
  }

  private get run(): RunReading {
    const { fate } = this.watched
    return { ...fate.known, ...this.metered, inFlight: fate.inFlight, lag: fate.lag, steps: this.steps }
  }

  /** What steps and sink count of themselves. */
  get metered(): { readonly retries: number; readonly moved: number } {
    const meters = [this.meter, this.tally.meter, ...this.watched.flow.meters]
    return {
      retries: meters.reduce((all, { retries }) => all + retries, 0),
      moved: meters.reduce((all, { bytes }) => all + bytes, 0)
    }
  }

  get steps(): ReadonlyArray<StepReading> {
    const { fate, flow, letters, sink } = this.watched
    this.tally.given = fate.settled.written
    const stands = { name: sink.name, concurrency: 1, waiting: fate.waiting, working: this.committing, resting: 0 }
    return [...flow.steps, reading(stands, this.tally, letters.of([sink.name]))]
  }

  /** A commit: timed, counted, and a span. */
  commit<E, R>(
    { rows, units }: Batch,
    { places }: Pick<Standing, "places">,
    attempts: () => number,
    commit: Effect.Effect<void, E, R>
  ): Effect.Effect<void, E, R> {
    const timed = Effect.flatMap(Clock.Clock, (clock) => {
      const began = Alarm.now(clock)
      this.committing = rows.length
      return Effect.onExit(commit, (exit) =>
        Effect.sync(() => {
          this.committing = 0
          this.tally.taken += rows.length
          if (!Exit.isSuccess(exit)) return
          const took = Alarm.now(clock) - began
          this.tally.latency.add(took, 1)
          const count = (this.committed?.count ?? 0) + 1
          this.committed = { at: clock.currentTimeMillisUnsafe(), rows: rows.length, took, count }
          this.runs.committed(this.owner["pipeline"]!, this.committed)
        })
      )
    })
    const attributes = () => ({
      ...this.owner,
      rows: rows.length,
      elements: units.reduce((all, { count }) => all + count, 0),
      ...shown(
        places.length === 1
          ? places[0]!.position
          : Option.some(places.map(({ position }) => Option.getOrNull(position)))
      )
    })
    return traced(timed, "commit", attributes, () => ({ attempts: attempts() }))
  }

  /** A run from here to its end: a span. */
  whole<E, R>(run: Effect.Effect<Summary, E, R>): Effect.Effect<Summary, E, R> {
    return traced(
      run,
      `pipeline ${this.owner["pipeline"]}`,
      () => this.owner,
      ({ dead, filtered, guarantee, outcome, position, retries, settled, skipped, written }) => ({
        guarantee,
        outcome,
        settled,
        written,
        filtered,
        skipped,
        dead,
        retries,
        ...shown(position)
      })
    )
  }
}

/** Makes a span of each attempt of a step with one element in `every`, of those that a step waits for; the others have none inside. */
const sampled = (owner: Readonly<Record<string, string>>, every: number): Trace => {
  const chosen = new WeakMap<Unit, boolean>()
  let seen = 0
  return (effect, { attempt, path, step, unit }) => {
    let isChosen = chosen.get(unit)
    if (isChosen === undefined) chosen.set(unit, (isChosen = seen++ % every === 0))
    if (!isChosen) return Effect.withTracerEnabled(effect, false)
    const position = JSON.stringify(unit.position)
    return traced(effect, `step ${step.name}`, () => ({ ...owner, step: step.name, position, path, attempt }))
  }
}

const shown = (position: Option.Option<unknown>): { readonly watermark?: string } =>
  Option.isNone(position) ? {} : { watermark: JSON.stringify(position.value) }

/** A span, where somebody gathers them; nothing else otherwise. */
const traced = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  name: string,
  attributes: () => Record<string, unknown>,
  atEnd?: (value: A) => Record<string, unknown>
): Effect.Effect<A, E, R> =>
  Effect.withFiber((fiber) => {
    if (fiber.cache.tracer === undefined) return effect
    const told = atEnd === undefined ? effect : Effect.tap(effect, (value) => Effect.annotateCurrentSpan(atEnd(value)))
    return Effect.withSpan(told, name, { attributes: attributes(), captureStackTrace: false })
  })
