/**
 * A run of a job: it owns its name while it lives, tells how it stands, and can be paused, resumed and drained. One that ended,
 * however it ended, left behind what its last commit says and nothing else.
 */
/* oxlint-disable typescript/no-explicit-any -- a description has lost the types of its steps; `typed` takes them back */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as Wait from "../concurrency/base/Wait.ts"
import * as TaskGroup from "../concurrency/TaskGroup.ts"
import { Committer } from "./commit/Committer.ts"
import { type Intake, nothing, ofLetters, ofSource, unkept } from "./commit/Intake.ts"
import { Outlets } from "./commit/Outlets.ts"
import { apart, type Known, match, refuse, sourceChanges } from "./commit/Resume.ts"
import { Attempt } from "./context/Attempt.ts"
import { Drain, make as makeDrain } from "./context/Drain.ts"
import { make as makeMeter, Meter } from "./context/Meter.ts"
import { DeadLetters } from "./fate/DeadLetters.ts"
import { Fate } from "./fate/Fate.ts"
import { Flow, type StepProgress } from "./flow/Flow.ts"
import { Room } from "./flow/Room.ts"
import type { Delivery, Guarantee } from "./Guarantee.ts"
import { type Checkpoint, Journal, type JournalError, keyOf, type Lease } from "./Journal.ts"
import type { LeaseLost } from "./JournalError.ts"
import type { Progress, Summary } from "./Progress.ts"
import type { Sink } from "./Sink.ts"
import type { Source } from "./Source.ts"
import type { Each, SinkStep, Step } from "./Step.ts"

export type { StepProgress } from "./flow/Flow.ts"

/** What a run does at the moment; the last three are how it ended. */
export type State = "running" | "paused" | "draining" | "done" | "drained" | "failed"

/** A run that has begun: its lease is taken, its sinks are open. */
export interface Run<out E> {
  readonly name: string
  readonly state: Effect.Effect<State>
  readonly progress: Effect.Effect<Progress>
  /** How each step stands, from the first to the last. */
  readonly steps: Effect.Effect<ReadonlyArray<StepProgress>>
  /** Reads no more until `resume`; what is in flight is finished and committed. */
  readonly pause: Effect.Effect<void>
  readonly resume: Effect.Effect<void>
  /** Stops reading, finishes what is in flight, commits and ends (P9); past `drainWithin` it is cancelled. */
  readonly drain: Effect.Effect<void>
  /** How the run ends. Whoever waits may be cancelled without cancelling the run. */
  readonly await: Effect.Effect<Summary, E>
}

/** What runs: all of a job but its types. */
export interface Description {
  readonly source: Source<any, any, any, any>
  readonly steps: ReadonlyArray<Step>
  readonly sink: Sink<any, any, any, Guarantee>
  readonly sinkStep: SinkStep
  readonly guarantee: Delivery
}

export interface RunOptions<out G> {
  /** The key of the journal: the same name goes on where the last run stopped. One run of it at a time. */
  readonly name: string
  /** Part of the key: one of several runs that share a name, each with a source of its own. Default: the whole. */
  readonly partition?: string | undefined
  /** Which version of the pipeline this is, in your own words; kept with dead letters. */
  readonly version?: string | undefined
  /** The least the job must guarantee. What it cannot give does not compile. */
  readonly require?: G | undefined
  /** Forget what was committed, dead letters included, and start over. Default false. */
  readonly restart?: boolean | undefined
  /** What to do when what was read of the source has changed: refuse with `SourceChanged` (default) or start over. */
  readonly onChanged?: "refuse" | "restart" | undefined
  /** What to do when the last run finished: read what was added since (default) or start over. */
  readonly onFinished?: "resume" | "restart" | undefined
  /**
   * What to do when the job writes somewhere else than before: refuse with `SinkChanged` (default), or let a sink that is new
   * begin with the elements that come now, and forget one that is gone.
   */
  readonly onSinkChanged?: "refuse" | "begin" | undefined
  /** What may be open between reader and watermark. Default 1,024 elements and 64 MiB. */
  readonly window?: { readonly items?: number | undefined; readonly bytes?: number | undefined } | undefined
  /** The most elements in one write of the sink. Default 1,000; the children of one element are never split. */
  readonly maxRows?: number | undefined
  /**
   * The least time between two commits, except when the window is full. Default none: a commit takes what came while
   * the last one ran.
   */
  readonly commitEvery?: Duration.Input | undefined
  /** How long a drain may finish what is in flight before it is cancelled. Default 20 seconds. */
  readonly drainWithin?: Duration.Input | undefined
  /**
   * How long a run that is no longer heard of keeps its name from others, where nobody can find out that its process is
   * gone: on another machine, or stopped. Default 15 seconds.
   */
  readonly lease?: Duration.Input | undefined
  /** Told of the progress once an `interval` (default 1 second). */
  readonly progress?:
    | {
        readonly interval?: Duration.Input | undefined
        readonly on: (progress: Progress) => Effect.Effect<void>
      }
    | undefined
}

/** Accepts a run or refuses it; what it gives runs to the end of the run. */
type Begin = Effect.Effect<Begun, unknown, Scope.Scope>

interface Begun {
  readonly handle: Omit<Run<unknown>, "await">
  readonly toEnd: Effect.Effect<Summary, unknown, unknown>
}

/** Runs what `begin` accepts, in the fiber of the caller. */
export const toEnd = <E, R>(begin: Begin): Effect.Effect<Summary, E, R> =>
  typed(ofNoStep(Effect.scoped(Effect.flatMap(begin, ({ toEnd }) => toEnd))))

/** Runs what `begin` accepts for as long as the scope is open, and gives the handle of it. */
export const beside = <E, E2, R>(begin: Begin): Effect.Effect<Run<E>, E2, R | Scope.Scope> =>
  typed(
    Effect.gen(function* () {
      const outer = yield* Effect.scope
      // Its own, so that sinks and lease are given back when the run ends, and at the latest with the outer one.
      const scope = yield* Scope.fork(outer)
      const close = (exit: Exit.Exit<unknown, unknown>) => Scope.close(scope, exit)
      const { handle, toEnd } = yield* Scope.provide(begin, scope).pipe(
        Effect.onError((cause) => close(Exit.failCause(cause)))
      )
      const fiber = yield* Effect.forkIn(Effect.onExit(toEnd, close), outer, { startImmediately: true })
      return { ...handle, await: Fiber.join(fiber) as Effect.Effect<Summary, E> }
    }).pipe(ofNoStep)
  )

export const begin = (description: Description, options: RunOptions<Delivery>): Begin =>
  Effect.gen(function* () {
    const { sinks, lease } = yield* own(description, options)
    const { source } = description
    const accepted = Effect.gen(function* () {
      const kept = source.resumable ? Option.getOrUndefined(yield* lease.load) : undefined
      const restart = kept !== undefined && (yield* startsOver(source, kept, options))
      const known = yield* match(options.name, sinks, restart ? undefined : kept, options.onSinkChanged ?? "refuse")
      const start = restart || kept === undefined ? nothing : kept
      return { lease, known, restart, intake: yield* ofSource(source, start) }
    })
    return yield* open(description, options, yield* accepted)
  }) as Begin

export const beginReplay = (description: Description, options: RunOptions<Delivery>): Begin =>
  Effect.gen(function* () {
    const { sinks, journal, lease } = yield* own({ ...description, source: undefined }, options)
    const accepted = Effect.gen(function* () {
      const kept = Option.getOrUndefined(yield* lease.load)
      const known = yield* match(options.name, sinks, kept, options.onSinkChanged ?? "refuse")
      const letters = yield* journal.dead(keyOf(options.name, options.partition))
      const steps = [...description.steps.filter(isEach), description.sinkStep]
      return { lease, known, restart: false, intake: yield* ofLetters(options.name, letters, steps, kept ?? nothing) }
    })
    return yield* open(description, options, yield* accepted)
  }) as Begin

/** Runs a pipeline into `write` and keeps nothing of it but dead letters. No drain cuts it short: it ends whole, or it fails. */
export const pour = <A, E, R>(
  pipeline: Pick<Description, "source" | "steps">,
  write: (elements: ReadonlyArray<A>) => Effect.Effect<unknown>
): Effect.Effect<void, E, R> =>
  typed(
    Effect.scoped(
      Effect.gen(function* () {
        const name = "collect"
        const keepsLetters = pipeline.steps.some((step) => isEach(step) && typeof step.onError !== "string")
        const lease: Lease = keepsLetters ? burying(yield* Journal, name) : unleased
        const sink: Sink<A, never, never, "at-least-once"> = {
          name: "pour",
          guarantee: "at-least-once",
          identity: Effect.succeed("pour"),
          form: Effect.succeed({}),
          journal: Effect.succeedNone,
          open: () => Effect.succeed({ write: (elements) => Effect.as(write(elements), null) })
        }
        const { toEnd } = yield* open(
          {
            ...pipeline,
            sink,
            sinkStep: { name: "pour", onError: "fail", retry: undefined },
            guarantee: "at-most-once"
          },
          { name },
          {
            lease,
            known: [{ sink: sink as never, identity: "pour", fingerprint: {}, state: Option.some(null) }],
            restart: false,
            intake: unkept(pipeline.source)
          },
          makeDrain()
        )
        yield* toEnd
      })
    ).pipe(ofNoStep)
  )

/** What source and sinks do is no attempt of a step, though a step may run the pipeline (P15). */
const ofNoStep = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.suspend(() => Effect.provideService(effect, Attempt, { key: undefined, count: 1 }))

const isEach = (step: Step): step is Each => step._tag === "Each"

/** Makes sure that nothing is in two roles, and takes the lease. */
const own = (
  { sink, source }: Omit<Description, "source"> & { readonly source: Description["source"] | undefined },
  options: RunOptions<Delivery>
) =>
  Effect.gen(function* () {
    const { lease: duration = "15 seconds", name, partition } = options
    const sinks = sink.members ?? [sink]
    const journal = Option.getOrElse(yield* sink.journal, () => undefined) ?? (yield* Journal)
    yield* apart(name, source, sinks, journal)
    const lease = yield* journal.lease(keyOf(name, partition), { duration: Duration.fromInputUnsafe(duration) })
    return { sinks, journal, lease }
  })

const startsOver = (
  source: Description["source"],
  kept: Checkpoint,
  { name, onChanged, onFinished, restart }: RunOptions<Delivery>
): Effect.Effect<boolean, unknown, unknown> =>
  Effect.gen(function* () {
    if (restart === true || (kept.finished && onFinished === "restart")) return true
    const changed = yield* sourceChanges(source, kept)
    if (changed.length > 0 && onChanged !== "restart") return yield* refuse(name, source, changed)
    return changed.length > 0
  })

interface Accepted {
  readonly lease: Lease
  readonly known: ReadonlyArray<Known>
  readonly intake: Intake
  readonly restart: boolean
}

const open = (
  { guarantee, sinkStep, source, steps }: Description,
  options: RunOptions<Delivery>,
  { intake, known, lease, restart }: Accepted,
  given?: Drain
): Effect.Effect<Begun, unknown, unknown> =>
  Effect.gen(function* () {
    const { name } = options
    const { start } = intake
    const startedAt = yield* Clock.currentTimeMillis
    const meter = makeMeter()
    const drain = given ?? (yield* Drain)
    // What a step spawns, and what a sink or a source does, belongs to the program that runs the job and not to the engine.
    const outside = yield* TaskGroup.capture
    const fate = new Fate({
      window: { items: options.window?.items ?? 1024, bytes: options.window?.bytes ?? 64 * 1024 * 1024 },
      maxRows: options.maxRows ?? 1000,
      resume: { ...intake.resume, counts: start.counts }
    })
    const letters = new DeadLetters(name, options.version, fate)
    const room = new Room(fate)
    const keys = source.resumable ? keysOf(options) : undefined
    const flow = new Flow({ pipeline: name, keys, fate, letters, room, steps, sink: sinkStep.name, outside })
    const outlets = yield* lease.guard(Outlets.open(known, lease))
    const committer = new Committer({
      pipeline: name,
      lease,
      fate,
      letters,
      intake,
      outlets,
      sink: sinkStep,
      every: Duration.fromInputUnsafe(options.commitEvery ?? 0),
      restart
    })
    yield* Effect.addFinalizer(() => leave(committer, outlets, lease))
    yield* committer.begin

    let state: State = "running"
    let asked: (() => void) | undefined
    const progress = Effect.map(Clock.currentTimeMillis, (now): Progress => {
      const elapsed = now - startedAt
      const { known } = fate
      const done = start.counts.bytes + known.bytes
      return {
        ...known,
        pipeline: name,
        retries: meter.retries,
        moved: meter.bytes,
        inFlight: fate.inFlight,
        lag: fate.lag,
        elapsed: Duration.millis(elapsed),
        rate: perSecond(known.settled, elapsed),
        eta: Option.filter(
          Option.map(intake.size, (size) => Duration.millis((size - done) / (known.bytes / elapsed))),
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
      steps: Effect.sync(() => flow.steps),
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
      drain: Effect.sync(() => {
        if (state !== "running" && state !== "paused") return
        state = "draining"
        asked?.()
      })
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
      const committing = yield* TaskGroup.supervise(outside(Effect.andThen(committer.run, finish)), { name: "writer" })
      const flowing = yield* TaskGroup.supervise(flow.process(intake.arrivals), { name: "flow" })
      const beside = [
        yield* TaskGroup.spawn(outside(telling(options.progress, progress)), { name: "progress" }),
        yield* TaskGroup.spawn(renewing(lease), { name: "lease" }),
        yield* TaskGroup.spawn(
          Effect.gen(function* () {
            yield* Effect.raceFirst(drainRequested, drain.requested)
            state = "draining"
            yield* Effect.timeoutOption(
              Effect.andThen(flow.drain, Effect.andThen(flowing.exit, committing.exit)),
              options.drainWithin ?? "20 seconds"
            )
            const late = "the drain took too long"
            // What is complete is still written, but nothing is waited for that hangs.
            if (!fate.isAtRest) yield* committing.cancel(late)
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
        Effect.provideService(Meter, meter),
        (running) => listening(drain, running)
      )
      for (const exit of [committed, flowed]) {
        if (Exit.isFailure(exit) && !(flow.draining && Cause.hasInterruptsOnly(exit.cause))) {
          return yield* Effect.failCause(exit.cause)
        }
      }
      const finished = isComplete() && Exit.isSuccess(committed)
      const elapsed = (yield* Clock.currentTimeMillis) - startedAt
      const now = fate.after({ units: [], rows: [] })
      state = finished ? "done" : "drained"
      const summary: Summary = {
        ...fate.settled,
        pipeline: name,
        guarantee,
        outcome: finished ? "done" : "drained",
        resumable: intake.resumable && !finished,
        resumed: Option.isSome(start.position) || start.ahead.length > 0,
        retries: meter.retries,
        moved: meter.bytes,
        seconds: elapsed / 1000,
        rate: perSecond(fate.settled.settled, elapsed),
        position: (yield* intake.keep(now, finished)).position,
        total: now.counts
      }
      return summary
    }).pipe(
      Effect.onExit((exit) =>
        Effect.sync(() => {
          if (Exit.isFailure(exit)) state = "failed"
        })
      )
    )
    return { handle, toEnd }
  })

/**
 * Leaves nothing behind but what is committed, where that is known; the next run finds out otherwise. Who has lost the lease knows
 * of old what is committed, and would take away what the other run has written since.
 */
const leave = (committer: Committer, outlets: Outlets, lease: Lease): Effect.Effect<void, never, unknown> =>
  Effect.ignore(lease.guard(Effect.andThen(committer.settleDoubt, Effect.andThen(outlets.close, lease.leaveClean))))

/** Runs an effect while it counts as one that answers a request. */
const listening = <A, E, R>(drain: Drain, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.acquireUseRelease(
    Effect.sync(() => void (drain.listeners += 1)),
    () => effect,
    () => Effect.sync(() => void (drain.listeners -= 1))
  )

const telling = (options: RunOptions<Delivery>["progress"], progress: Effect.Effect<Progress>): Effect.Effect<void> =>
  options === undefined
    ? Effect.void
    : Effect.forever(
        Effect.andThen(Effect.sleep(options.interval ?? Duration.seconds(1)), Effect.flatMap(progress, options.on))
      )

const renewing = ({ renew, renewEvery }: Lease): Effect.Effect<void, JournalError | LeaseLost> =>
  Option.isNone(renewEvery) ? Effect.void : Effect.forever(Effect.andThen(Effect.sleep(renewEvery.value), renew))

const keysOf = ({ name, partition }: RunOptions<Delivery>): string =>
  [name, ...(partition === undefined ? [] : [partition])].map(encodeURIComponent).join("/")

const perSecond = (count: number, millis: number): number => (millis === 0 ? 0 : (count / millis) * 1000)

/** Keeps nothing, for nobody. */
const unleased: Lease = {
  id: "",
  host: { id: "", label: "", runs: () => undefined },
  durable: false,
  clean: true,
  renewEvery: Option.none(),
  renew: Effect.void,
  load: Effect.succeedNone,
  guard: (work) => work,
  commit: (write) => Effect.asVoid(write),
  leaveClean: Effect.void
}

/** Keeps dead letters and nothing else. */
const burying = (journal: Journal, name: string): Lease => ({
  ...unleased,
  commit: (write) =>
    Effect.flatMap(write, ({ dead }) => (dead.length === 0 ? Effect.void : journal.bury(keyOf(name), dead)))
})

/** The steps of a description have lost their types; what the pipeline's own type says of them is taken back here. */
const typed = <A, E, R>(effect: Effect.Effect<A, unknown, unknown>): Effect.Effect<A, E, R> =>
  effect as Effect.Effect<A, E, R>
