/** A run that was accepted: the flow, the committer, and what runs beside them, as tasks of one group. */
/* oxlint-disable typescript/no-explicit-any -- a description has lost the types of its steps */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Alarm from "../../concurrency/base/Alarm.ts"
import { unmarked } from "../../concurrency/base/Origin.ts"
import * as Wait from "../../concurrency/base/Wait.ts"
import * as Cancel from "../../concurrency/Cancel.ts"
import * as TaskGroup from "../../concurrency/TaskGroup.ts"
import { Committer, soon } from "../commit/Committer.ts"
import { type Intake, ofElement } from "../commit/Intake.ts"
import { tell } from "../commit/Letters.ts"
import { Outlets } from "../commit/Outlets.ts"
import { inputsOf, positionOf } from "../commit/Inputs.ts"
import type { Known } from "../commit/Resume.ts"
import type { StepStates } from "../commit/StepStates.ts"
import type { Work } from "../context/Attempt.ts"
import { Meter } from "../context/Meter.ts"
import { type LiveRun, type RunNow, Runs } from "../context/Runs.ts"
import { DeadLetters } from "../fate/DeadLetters.ts"
import type { Parked } from "../fate/Parked.ts"
import { Fate } from "../fate/Fate.ts"
import { Flow } from "../flow/Flow.ts"
import { Room } from "../flow/Room.ts"
import type { KeyPrefix } from "../flow/Worker.ts"
import type { Delivery, Guarantee } from "../Guarantee.ts"
import type { FrontierError } from "../FrontierError.ts"
import { type Journal, type JournalError, keyOf, type Lease } from "../Journal.ts"
import type { LeaseLost } from "../JournalError.ts"
import type { Progress, Summary } from "../Progress.ts"
import type { Run, RunOptions, State } from "../Run.ts"
import type { Sink } from "../Sink.ts"
import type { Position } from "../Source.ts"
import { type Branch, isMeeting, type SinkStep } from "../Step.ts"
import { boundsOf } from "./Bounds.ts"
import { Insight } from "./Insight.ts"

/** What runs: all of a job but its types. */
export interface Description extends Branch {
  readonly sink: Sink<any, any, any, Guarantee>
  readonly sinkStep: SinkStep
  readonly guarantee: Delivery
}

/** A run on its way. */
export interface Begun {
  readonly handle: Omit<Run<unknown>, "await">
  readonly toEnd: Effect.Effect<Summary, unknown, unknown>
}

export interface Accepted {
  /** Writes what steps have added to frontiers, in the transaction that is open. */
  readonly addWork: (work: ReadonlyArray<Work>) => Effect.Effect<void, FrontierError>
  /** None where nothing is kept. */
  readonly journal: Journal | undefined
  readonly lease: Lease
  readonly known: ReadonlyArray<Known>
  readonly intake: Intake
  readonly restart: boolean
  /** Whether it has a name, by which it can be told from others. */
  readonly isNamed: boolean
  readonly states: StepStates
  /** The files of source and journal. */
  readonly taken: ReadonlySet<string>
  /** The keys that dead letters are in the way of, by step. */
  readonly parked?: ReadonlyMap<string, Parked> | undefined
}

export const open = (
  description: Description,
  options: RunOptions<Delivery>,
  { addWork, intake, isNamed, journal, known, lease, parked = noneParked, restart, states, taken }: Accepted,
  stopRequested: Effect.Effect<unknown> = Cancel.stopRequested
): Effect.Effect<Begun, unknown, unknown> =>
  Effect.gen(function* () {
    const { name } = options
    const { guarantee, sinkStep } = description
    const { inlets, start } = intake
    const waits = inlets.some((inlet) => inlet.waits)
    const startedAt = yield* Alarm.moment
    const runs = yield* Runs
    const insight = new Insight(name, options.partition, options.trace?.every, runs)
    // What a step spawns, and what a sink or a source does, belongs to the program that runs the job and not to the engine.
    const outside = yield* TaskGroup.capture
    const outlets = yield* lease.guard(Outlets.open(known, lease, taken, sinkStep.onError === "fail"))
    const fate = new Fate({
      ...boundsOf(options, outlets.prefers),
      sources: inlets,
      eager: waits,
      counts: start.counts
    })
    const letters = new DeadLetters(name, options.version, fate)
    const room = new Room(fate)
    const flow = new Flow({
      pipeline: name,
      keys: keysOf(description, options),
      resume: (source, kept) => ofElement(name, source, kept),
      fate,
      letters,
      parked,
      room,
      // Who learns what is settled may wait for what is in a batch, and must not wait for ever.
      ...(waits ? hurried(description) : description),
      stands: states.stands,
      known: lease.seen,
      ends: intake.ends ?? true,
      replays: intake.replays === true,
      sink: sinkStep.name,
      outside,
      trace: insight.trace
    })
    insight.look({ fate, flow, letters, sink: sinkStep })
    if (isNamed) yield* insight.publish
    const committer = new Committer({
      pipeline: name,
      lease,
      fate,
      letters,
      intake,
      outlets,
      insight,
      states,
      addWork,
      sink: sinkStep,
      every: Duration.toMillis(Duration.fromInputUnsafe(options.commitEvery ?? (waits ? 0 : soon))),
      restart,
      tell: journal && options.onDead && tell(journal, keyOf(name, options.partition), lease, options.onDead)
    })
    yield* Effect.addFinalizer(() => leave(committer, outlets, lease))
    yield* committer.begin

    let state: State = "running"
    let asked: (() => void) | undefined
    const progress = Effect.map(Alarm.moment, (now): Progress => {
      const elapsed = Math.round(now - startedAt)
      const counts = insight.counts
      const done = start.counts.bytes + counts.bytes
      return {
        ...counts,
        pipeline: name,
        elapsed: Duration.millis(elapsed),
        rate: perSecond(counts.settled, elapsed),
        eta: Option.filter(
          Option.map(intake.size, (size) => Duration.millis((size - done) / (counts.bytes / elapsed))),
          (eta) => Duration.isFinite(eta) && Duration.isGreaterThanOrEqualTo(eta, Duration.zero)
        )
      }
    })
    const drainRequested = Wait.callback<void>("a request to drain", (resume) => {
      if (state === "draining") return resume(Effect.void)
      asked = () => resume(Effect.void)
    })
    const handle: Begun["handle"] = {
      name,
      state: Effect.sync(() => state),
      progress,
      steps: Effect.sync(() => insight.counts.steps),
      pause: Effect.sync(() => {
        if (state !== "running") return
        state = "paused"
        flow.pause()
      }),
      resume: Effect.sync(() => {
        if (state !== "paused") return
        state = "running"
        flow.resume()
      }),
      set: (step, { concurrency }) => flow.set(step, concurrency),
      drain: Effect.sync(() => {
        if (state !== "running" && state !== "paused") return
        state = "draining"
        asked?.()
      })
    }
    const held = new Holding(lease, options.lease, yield* Clock.Clock)
    if (isNamed) {
      const { drain, pause, resume } = handle
      const now = Effect.map(progress, (progress): RunNow => {
        return { state, steps: insight.steps, progress, commit: insight.committed, leaseUntil: held.until }
      })
      const live: LiveRun = { name, partition: options.partition, now, pause, resume, drain }
      yield* Effect.acquireRelease(
        Effect.sync(() => void runs.all.add(live)),
        () => Effect.sync(() => void runs.all.delete(live))
      )
    }

    let flowed: Exit.Exit<void, unknown> | undefined
    const isComplete = () => flow.readAll && flowed !== undefined && Exit.isSuccess(flowed)
    // Part of what a drain bounds, and of what the lease is renewed for.
    const finish = Effect.suspend(() => {
      if (!isComplete()) return Effect.void
      return fate.lag > 0
        ? Effect.die(new Error(`Pipeline "${name}" lost ${fate.lag} elements: this is a bug`))
        : committer.finish
    })

    const work = Effect.gen(function* () {
      const committing = yield* TaskGroup.supervise(
        outside(Effect.provideService(Effect.andThen(committer.run, finish), Meter, insight.tally.meter)),
        { name: "writer" }
      )
      const flowing = yield* TaskGroup.supervise(flow.process(inlets.map(({ arrivals }) => arrivals)), { name: "flow" })
      const beside = [
        yield* TaskGroup.spawn(outside(telling(options.progress, progress)), { name: "progress" }),
        yield* TaskGroup.spawn(renewing(held.renewed), { name: "lease" }),
        yield* TaskGroup.spawn(
          Effect.gen(function* () {
            yield* Effect.raceFirst(drainRequested, stopRequested)
            state = "draining"
            yield* Effect.timeoutOption(
              Effect.andThen(flow.drain, Effect.andThen(flowing.exit, committing.exit)),
              options.drainWithin ?? "20 seconds"
            )
            const late = "the drain took too long"
            // What is complete is still written, but nothing is waited for that hangs.
            if (fate.isCommitting) yield* committing.cancel(late)
            yield* flowing.cancel(late)
            yield* Effect.timeoutOption(committing.exit, "1 second")
            yield* committing.cancel(late)
          }),
          { name: "drain" }
        )
      ]
      // A commit that fails ends the flow, as nothing will ever become of what is in it.
      yield* TaskGroup.spawn(
        Effect.flatMap(committing.exit, (exit) => (Exit.isFailure(exit) ? flowing.cancel() : Effect.void)),
        { name: "watch" }
      )
      flowed = yield* flowing.exit
      fate.close()
      const committed = yield* committing.exit
      for (const task of beside) yield* task.cancel()
      return [committed, flowed] as const
    })

    const toEnd = Effect.gen(function* () {
      const [committed, flowed] = yield* TaskGroup.open(work, { name: `run ${name}` }).pipe(
        Effect.provideService(Meter, insight.meter)
      )
      for (const exit of [committed, flowed]) {
        if (Exit.isFailure(exit) && !(flow.draining && Cause.hasInterruptsOnly(exit.cause))) {
          return yield* Effect.failCause(exit.cause)
        }
      }
      const finished = isComplete() && Exit.isSuccess(committed)
      const elapsed = Math.round((yield* Alarm.moment) - startedAt)
      const now = fate.after({ units: [], rows: [], marks: [] })
      state = finished ? "done" : "drained"
      const summary: Summary = {
        ...fate.settled,
        pipeline: name,
        guarantee,
        outcome: finished ? "done" : "drained",
        resumable: intake.resumable && !finished,
        resumed: intake.resumed,
        ...insight.metered,
        seconds: elapsed / 1000,
        rate: perSecond(fate.settled.settled, elapsed),
        position: positionOf(yield* intake.keep(now.places, finished)),
        total: now.counts
      }
      return summary
    }).pipe(
      // The tasks of a run are its own business: its failure comes from whoever runs it.
      Effect.catchCause((cause) => Effect.failCause(unmarked(cause))),
      Effect.onExit((exit) =>
        Effect.sync(() => {
          if (Exit.isFailure(exit)) state = "failed"
        })
      )
    )
    return { handle, toEnd: isNamed ? insight.whole(toEnd) : toEnd }
  })

const noneParked: ReadonlyMap<string, Parked> = new Map()

/**
 * Leaves nothing behind but what is committed, where that is known; the next run finds out otherwise. Who has lost the lease knows
 * of old what is committed, and would take away what the other run has written since.
 */
const leave = (committer: Committer, outlets: Outlets, lease: Lease): Effect.Effect<void, never, unknown> =>
  Effect.ignore(lease.guard(Effect.andThen(committer.settleDoubt, Effect.andThen(outlets.close, lease.leaveClean))))

const telling = (options: RunOptions<Delivery>["progress"], progress: Effect.Effect<Progress>): Effect.Effect<void> =>
  options === undefined
    ? Effect.void
    : Effect.forever(
        Effect.andThen(Effect.sleep(options.interval ?? Duration.seconds(1)), Effect.flatMap(progress, options.on))
      )

/** Knows until when the lease of a run holds. */
class Holding {
  until: number | undefined
  /** The lease, of which it is seen when it is renewed. */
  readonly renewed: Lease

  constructor(lease: Lease, duration: Duration.Input = "15 seconds", clock: Clock.Clock) {
    const millis = Duration.toMillis(Duration.fromInputUnsafe(duration))
    const renewed = () => void (this.until = clock.currentTimeMillisUnsafe() + millis)
    if (Option.isSome(lease.renewEvery)) renewed()
    this.renewed = { ...lease, renew: Effect.tap(lease.renew, () => Effect.sync(renewed)) }
  }
}

/** Renews a lease as often as it needs that. */
export const renewing = ({ renew, renewEvery }: Lease): Effect.Effect<void, JournalError | LeaseLost> =>
  Option.isNone(renewEvery) ? Effect.void : Effect.forever(Effect.andThen(Effect.sleep(renewEvery.value), renew))

/** Whoever takes an element from an account, it is the same one. */
const keysOf = (branch: Branch, { name, partition }: RunOptions<Delivery>): KeyPrefix => {
  const inputs = inputsOf(branch)
  const run = (partition === undefined ? [name] : [name, partition]).map(encodeURIComponent).join("/")
  const prefixes = inputs.map(({ source }) =>
    source.resumable ? (source.account === undefined ? run : encodeURIComponent(source.name)) : undefined
  )
  if (inputs.length === 1) return () => prefixes[0]
  const byName = new Map(inputs.map(({ name }, i) => [name, prefixes[i]]))
  return (element) => byName.get(Object.keys(element as Record<string, Position>)[0])
}

const hurried = (branch: Branch): Branch => ({
  source: isMeeting(branch.source) ? { ...branch.source, inputs: branch.source.inputs.map(hurried) } : branch.source,
  steps: branch.steps.map((step) =>
    step._tag === "Batch" && step.within === undefined ? { ...step, within: Duration.seconds(1) } : step
  )
})

const perSecond = (count: number, millis: number): number => (millis === 0 ? 0 : (count / millis) * 1000)
