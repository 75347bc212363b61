/**
 * Runs pipelines: a reader, long-lived workers for each stage, and one writer that commits what is complete. All are tasks
 * of one group, so that the first failure stops the rest and nothing outlives the run.
 */
/* oxlint-disable typescript/no-explicit-any -- a description has lost the types of its steps; `typed` takes them back */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as TaskGroup from "../concurrency/TaskGroup.ts"
import { Drain } from "./context/Drain.ts"
import { type Arrival, Flow } from "./flow/Flow.ts"
import { type Checkpoint, type Counts, Journal, type JournalError } from "./Journal.ts"
import { make as makeMeter, Meter } from "./context/Meter.ts"
import type { Delivery, RunOptions } from "./Pipeline.ts"
import type { Progress, Summary } from "./Progress.ts"
import { BadDeadLetter, changes, type RunError, SourceChanged, TooManyDeadLetters } from "./RunError.ts"
import type { Guarantee, Sink, Writer } from "./Sink.ts"
import type { Source } from "./Source.ts"
import type { DeadLetterPolicy, Each, Step } from "./Step.ts"
import type { Unit } from "./fate/Window.ts"

export interface Plan<E, R> {
  readonly source: Source<any, any, any, any>
  readonly steps: ReadonlyArray<Step>
  readonly sink: Sink<any, E, R, Guarantee>
  readonly guarantee: Delivery
  /** Where the sink has no journal of its own. */
  readonly journal: Journal
  readonly options: RunOptions<Delivery>
}

export const run = <E, R>(plan: Plan<E, R>): Effect.Effect<Summary, E | RunError | JournalError, R> =>
  typed(
    Effect.gen(function* () {
      const { options, source } = plan
      const journal = yield* journalOf(plan)
      const fingerprint = yield* source.fingerprint
      const loaded = yield* journal.load(options.name)
      const kept = source.resumable ? loaded : Option.none<Checkpoint>()
      const start = yield* resumeFrom(kept, fingerprint, plan)
      if (Option.isSome(kept) && start === undefined) yield* journal.reset(options.name)
      return yield* execute(plan, journal, {
        start: start ?? { ...nothing, fingerprint },
        arrivals: source.read(start === undefined ? Option.none() : start.position),
        resumable: source.resumable,
        size: yield* source.size,
        whenWritten: () => Effect.void,
        checkpoint: (next) => next
      })
    })
  )

export const replay = <E, R>(plan: Plan<E, R>): Effect.Effect<Summary, E | RunError | JournalError, R> =>
  typed(
    Effect.gen(function* () {
      const { name } = plan.options
      const journal = yield* journalOf(plan)
      const kept = yield* journal.load(name)
      const start = Option.isSome(kept) ? kept.value : { ...nothing, fingerprint: yield* plan.source.fingerprint }
      const arrivals: Array<Arrival> = []
      for (const letter of yield* journal.dead(name)) {
        const step = plan.steps.find((step) => step.name === letter.step)
        const bad = (reason: string) =>
          new BadDeadLetter({ pipeline: name, step: letter.step, tried: `run dead letter ${letter.id} again`, reason })
        if (step?._tag !== "Each" || typeof step.onError === "string") {
          return yield* bad(
            `the pipeline has no step of that name with dead letters any more; it has ${plan.steps
              .map((step) => step.name)
              .join(", ")}`
          )
        }
        const value = yield* Schema.decodeUnknownEffect(Schema.toCodecJson(step.onError.deadLetter))(letter.input).pipe(
          Effect.mapError((error) => bad(error.message))
        )
        arrivals.push({ value, position: letter.position, bytes: 0, replays: { letter: letter.id, step: letter.step } })
      }
      return yield* execute(plan, journal, {
        // What is ahead of the watermark is counted in elements of the source, which is not read.
        start: { ...start, position: Option.none(), ahead: [] },
        arrivals: Stream.fromArray(arrivals),
        resumable: true,
        size: Option.none(),
        whenWritten: (units) =>
          journal.markReplayed(
            name,
            gathered(units, (unit) => unit.letters)
          ),
        // The watermark is that of the source, which was not read.
        checkpoint: (next) => ({ ...start, sink: next.sink, counts: next.counts })
      })
    })
  )

interface Description {
  readonly source: Source<any, any, any, any>
  readonly steps: ReadonlyArray<Step>
}

export const collect = <A, E, R>(pipeline: Description): Effect.Effect<Array<A>, E, R> =>
  Effect.suspend(() => {
    const all: Array<A> = []
    return Effect.as(
      pour<A, E, R>(pipeline, (elements) => Effect.sync(() => elements.forEach((a) => all.push(a)))),
      all
    )
  })

export const stream = <A, E, R>(pipeline: Description): Stream.Stream<A, E, R> =>
  Stream.callback<A, E, R>(
    (queue) =>
      Effect.andThen(
        // Whoever stops listening must be able to stop a write that waits for room.
        pour<A, E, R>(pipeline, (elements) => Effect.interruptible(Queue.offerAll(queue, elements))),
        Queue.end(queue)
      ),
    { bufferSize: 16, strategy: "suspend" }
  )

/** Runs a pipeline into `write` and keeps nothing of it but dead letters. */
const pour = <A, E, R>(
  pipeline: Description,
  write: (elements: ReadonlyArray<A>) => Effect.Effect<unknown>
): Effect.Effect<void, E, R> =>
  typed(
    Effect.gen(function* () {
      const sink: Sink<A, never, never, "at-least-once"> = {
        name: "pour",
        guarantee: "at-least-once",
        journal: Effect.succeed(Option.none()),
        open: () => Effect.succeed({ write: (elements) => Effect.as(write(elements), null) })
      }
      const keepsLetters = pipeline.steps.some((step) => step._tag === "Each" && typeof step.onError !== "string")
      yield* execute(
        { ...pipeline, sink, guarantee: "at-most-once", journal: unkept, options: { name: "collect" } },
        keepsLetters ? yield* Journal : unkept,
        {
          start: nothing,
          arrivals: pipeline.source.read(Option.none()),
          resumable: false,
          size: Option.none(),
          whenWritten: () => Effect.void,
          checkpoint: (next) => next
        }
      )
    })
  )

interface Job {
  readonly start: Checkpoint
  readonly arrivals: Stream.Stream<Arrival, unknown, unknown>
  readonly resumable: boolean
  readonly size: Option.Option<number>
  /** Runs in the transaction of a commit, after the sink. */
  readonly whenWritten: (units: ReadonlyArray<Unit>) => Effect.Effect<void, JournalError>
  /** What is kept, made of where the flow stands. */
  readonly checkpoint: (next: Checkpoint) => Checkpoint
}

const execute = (plan: Plan<any, any>, journal: Journal, job: Job): Effect.Effect<Summary, unknown, unknown> =>
  Effect.scoped(
    Effect.gen(function* () {
      const { options } = plan
      const { start } = job
      const startedAt = yield* Clock.currentTimeMillis
      const meter = makeMeter()
      const counts: Tally = { ...none }
      const drain = yield* Drain
      const buried = new Map<Each, number>()
      let state = start.sink
      let replayed = 0
      // What is replayed settled before, as a dead letter.
      const overall = (): Counts => {
        const both = sum(start.counts, counts)
        return { ...both, settled: both.settled - replayed, dead: both.dead - replayed }
      }

      const flow = new Flow({
        pipeline: options.name,
        steps: plan.steps,
        window: { items: options.window?.items ?? 1024, bytes: options.window?.bytes ?? 64 * 1024 * 1024 },
        maxRows: options.maxRows ?? 1000,
        resume: start,
        failed: (step, input, unit, error, attempts) => {
          if (typeof step.onError === "string") return Effect.sync(() => void (unit.root.skipped += 1))
          const { maxDead } = step.onError
          const cause = inWords(error)
          const dead = (buried.get(step) ?? 0) + 1
          buried.set(step, dead)
          return isOverBudget(maxDead, dead, flow.window.read)
            ? new TooManyDeadLetters({
                pipeline: options.name,
                step: step.name,
                dead,
                budget: `${maxDead}`,
                last: cause
              })
            : bury(options, step, step.onError, input, unit, cause, attempts)
        }
      })
      const writer: Writer<unknown, unknown, unknown> = yield* plan.sink.open(start.sink)

      const standing = (finished: boolean): Checkpoint =>
        job.checkpoint({
          fingerprint: start.fingerprint,
          ...(job.resumable ? flow.window.snapshot() : { position: Option.none(), ahead: [] }),
          sink: state,
          counts: overall(),
          finished
        })

      const commit = (units: ReadonlyArray<Unit>, finished: boolean) =>
        Effect.suspend(() => {
          const rows = gathered(units, (unit) => unit.outputs)
          return Effect.map(
            Effect.andThen(
              rows.length === 0 && Option.isSome(state)
                ? Effect.void
                : Effect.map(writer.write(rows), (next) => void (state = Option.some(next))),
              job.whenWritten(units)
            ),
            () => {
              for (const unit of units) {
                flow.window.settle(unit)
                replayed += unit.letters.length
                tally(counts, unit)
              }
              return { checkpoint: standing(finished), dead: gathered(units, (unit) => unit.dead) }
            }
          )
        }).pipe((write) => journal.commit(options.name, write), Effect.uninterruptible)

      // A sink that appends must be known to start here, or what a killed run left would pass for what was there before.
      if (Option.isNone(state)) yield* commit([], false)

      const writing = flow.write((units) => commit(units, false), Duration.fromInputUnsafe(options.commitEvery ?? 0))

      const progress = Effect.map(Clock.currentTimeMillis, (now): Progress => {
        const elapsed = now - startedAt
        const known = { ...counts }
        for (const unit of flow.quiet) tally(known, unit)
        const done = start.counts.bytes + known.bytes
        return {
          ...known,
          pipeline: options.name,
          retries: meter.retries,
          moved: meter.bytes,
          inFlight: flow.window.open - (known.settled - counts.settled),
          lag: flow.window.size,
          elapsed: Duration.millis(elapsed),
          rate: perSecond(known.settled, elapsed),
          eta: Option.filter(
            Option.map(job.size, (size) => Duration.millis((size - done) / (known.bytes / elapsed))),
            (eta) => Duration.isFinite(eta) && Duration.isGreaterThanOrEqualTo(eta, Duration.zero)
          )
        }
      })
      const telling =
        options.progress === undefined
          ? Effect.void
          : Effect.forever(
              Effect.andThen(
                Effect.sleep(options.progress.interval ?? Duration.seconds(1)),
                Effect.flatMap(progress, options.progress.on)
              )
            )

      const exit = yield* TaskGroup.open(
        Effect.gen(function* () {
          const writerTask = yield* TaskGroup.spawn(writing, { name: "writer" })
          const work = yield* TaskGroup.supervise(flow.process(job.arrivals), { name: "flow" })
          const beside = [
            yield* TaskGroup.spawn(telling, { name: "progress" }),
            yield* TaskGroup.spawn(
              Effect.andThen(
                drain.requested,
                Effect.andThen(
                  Effect.timeoutOption(Effect.andThen(flow.drain, work.exit), options.drainWithin ?? "20 seconds"),
                  work.cancel("the drain took too long")
                )
              ),
              { name: "drain" }
            )
          ]
          const exit = yield* work.exit
          flow.close()
          yield* writerTask.join
          for (const task of beside) yield* task.cancel()
          return exit
        }),
        { name: `run ${options.name}` }
      ).pipe(
        Effect.provideService(Meter, meter),
        Effect.ensuring(Effect.sync(() => void (drain.listeners -= 1))),
        (running) =>
          Effect.andThen(
            Effect.sync(() => void (drain.listeners += 1)),
            running
          )
      )

      const finished = flow.readAll && Exit.isSuccess(exit)
      if (finished && flow.window.size > 0) {
        return yield* Effect.die(
          new Error(`Pipeline "${options.name}" lost ${flow.window.open} elements: this is a bug`)
        )
      }
      if (finished) yield* commit([], true)
      if (Exit.isFailure(exit) && !(flow.draining && Cause.hasInterruptsOnly(exit.cause))) {
        return yield* Effect.failCause(exit.cause)
      }

      const elapsed = (yield* Clock.currentTimeMillis) - startedAt
      const now = standing(finished)
      const summary: Summary = {
        ...counts,
        pipeline: options.name,
        guarantee: plan.guarantee,
        outcome: finished ? "done" : "drained",
        resumable: job.resumable && !finished,
        resumed: Option.isSome(start.position) || start.ahead.length > 0,
        retries: meter.retries,
        moved: meter.bytes,
        seconds: elapsed / 1000,
        rate: perSecond(counts.settled, elapsed),
        position: now.position,
        total: now.counts
      }
      return summary
    })
  )

/** Keeps the input of a step that failed for good with its unit, to be written when that is. */
const bury = (
  { name: pipeline, version }: RunOptions<Delivery>,
  step: Each,
  policy: DeadLetterPolicy<any>,
  input: unknown,
  unit: Unit,
  cause: string,
  attempts: number
): Effect.Effect<void, BadDeadLetter, unknown> =>
  Effect.gen(function* () {
    const encoded = yield* Schema.encodeEffect(Schema.toCodecJson(policy.deadLetter))(input).pipe(
      Effect.mapError(
        (error) =>
          new BadDeadLetter({
            pipeline,
            step: step.name,
            tried: "keep the input of a failed step",
            reason: error.message
          })
      )
    )
    unit.root.bury({
      step: step.name,
      input: encoded,
      cause,
      attempts,
      position: unit.position,
      version: version ?? null,
      at: yield* Clock.currentTimeMillis
    })
  })

const isOverBudget = (budget: DeadLetterPolicy<any>["maxDead"], dead: number, read: number): boolean =>
  budget === undefined
    ? false
    : typeof budget === "number"
      ? dead > budget
      : read >= 100 && dead > (read * Number.parseFloat(budget)) / 100

const inWords = (error: unknown): string => (error instanceof Error ? error.message || error.name : String(error))

const journalOf = (plan: Plan<any, any>): Effect.Effect<Journal, never, any> =>
  Effect.map(
    plan.sink.journal,
    Option.getOrElse(() => plan.journal)
  )

/** The checkpoint to go on from; undefined to start at the beginning. */
const resumeFrom = (
  kept: Option.Option<Checkpoint>,
  fingerprint: Checkpoint["fingerprint"],
  { options, source }: Plan<any, any>
): Effect.Effect<Checkpoint | undefined, SourceChanged> => {
  if (Option.isNone(kept)) return Effect.undefined
  const changed = changes(kept.value.fingerprint, fingerprint)
  if (changed.length > 0 && options.onChanged !== "restart") {
    return Effect.fail(new SourceChanged({ pipeline: options.name, source: source.name, changes: changed }))
  }
  const restart = changed.length > 0 || (kept.value.finished && options.onFinished === "restart")
  return Effect.succeed(restart ? undefined : kept.value)
}

const none: Counts = { settled: 0, written: 0, filtered: 0, skipped: 0, dead: 0, bytes: 0 }

const nothing: Checkpoint = {
  fingerprint: {},
  position: Option.none(),
  ahead: [],
  sink: Option.none(),
  counts: none,
  finished: false
}

/** `flatMap`, which costs as much as all the rest of a commit. */
const gathered = <A>(units: ReadonlyArray<Unit>, of: (unit: Unit) => ReadonlyArray<A>): ReadonlyArray<A> => {
  const all: Array<A> = []
  for (const unit of units) for (const one of of(unit)) all.push(one)
  return all
}

type Tally = { -readonly [K in keyof Counts]: number }

const tally = (counts: Tally, unit: Unit): void => {
  counts.settled += unit.count
  counts.written += unit.outputs.length
  counts.filtered += unit.filtered
  counts.skipped += unit.skipped
  counts.dead += unit.dead.length
  counts.bytes += unit.read
}

const sum = (a: Counts, b: Counts): Counts => ({
  settled: a.settled + b.settled,
  written: a.written + b.written,
  filtered: a.filtered + b.filtered,
  skipped: a.skipped + b.skipped,
  dead: a.dead + b.dead,
  bytes: a.bytes + b.bytes
})

const perSecond = (count: number, millis: number): number => (millis === 0 ? 0 : (count / millis) * 1000)

/** Keeps nothing. */
const unkept: Journal = {
  load: () => Effect.succeedNone,
  reset: () => Effect.void,
  commit: (_, write) => Effect.asVoid(write),
  dead: () => Effect.succeed([]),
  markReplayed: () => Effect.void
}

/** The steps of a description have lost their types; what the pipeline's own type says of them is taken back here. */
const typed = <A, E, R>(effect: Effect.Effect<A, unknown, unknown>): Effect.Effect<A, E, R> =>
  effect as Effect.Effect<A, E, R>
