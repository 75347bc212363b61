/** Accepts a run or refuses it, and says whose fiber it runs in. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TaskGroup from "../../concurrency/TaskGroup.ts"
import { nothing, ofLetters, ofSources, unkept } from "../commit/Intake.ts"
import { pages, Unread } from "../commit/Letters.ts"
import { inOrder, parkedBy, parks } from "../commit/Parking.ts"
import { apart, type Known, match, refusal } from "../commit/Resume.ts"
import { StepStates } from "../commit/StepStates.ts"
import { Attempt, type Work } from "../context/Attempt.ts"
import { Host, newId } from "../context/Host.ts"
import { SeenKeys } from "../context/SeenKeys.ts"
import type { Parked } from "../fate/Parked.ts"
import { write as writeWork } from "../frontier/Adding.ts"
import type { FrontierError } from "../FrontierError.ts"
import type { Delivery } from "../Guarantee.ts"
import {
  type Checkpoint,
  type DeadLetter,
  Journal,
  type JournalError,
  keyOf,
  type Lease,
  type LetterFilter
} from "../Journal.ts"
import type { Summary } from "../Progress.ts"
import type { Run, RunOptions } from "../Run.ts"
import type { Sink } from "../Sink.ts"
import { type Branch, sourcesOf, stepsOf } from "../Step.ts"
import { journalOf, keepsLetters } from "./Place.ts"
import { type Begun, type Description, open } from "./Running.ts"

export type { Description } from "./Running.ts"
/** Accepts a run or refuses it; what it gives runs to the end of the run. */
type Begin = Effect.Effect<Begun, unknown, Scope.Scope>

/** Runs what `begin` accepts, in the fiber of the caller. */
export const toEnd = <E, R>(begin: Begin): Effect.Effect<Summary, E, R> =>
  typed(ofNoStep(Effect.scoped(Effect.flatMap(begin, ({ toEnd }) => toEnd))))

/** Runs what `begin` accepts as a task of the group around, which whoever has the handle looks after. */
export const beside = <E, R>(name: string, begin: Begin): Effect.Effect<Run<E>, E, R | TaskGroup.TaskGroup<never>> =>
  typed(
    Effect.map(
      TaskGroup.superviseStart(
        (ready: TaskGroup.Ready<Begun["handle"]>) =>
          Effect.flatMap(begin, ({ handle, toEnd }) => Effect.andThen(ready(handle), toEnd)).pipe(
            Effect.scoped,
            ofNoStep
          ),
        { name: `pipeline ${name}` }
      ),
      ([task, handle]): Run<E> => ({ ...handle, await: task.join as Effect.Effect<Summary, E> })
    )
  )

export const begin = (description: Description, options: RunOptions<Delivery>): Begin =>
  Effect.gen(function* () {
    const { sinks, journal, lease, taken } = yield* own(description, options, sourcesOf(description))
    const accepted = Effect.gen(function* () {
      const { known, parked, restart, start, states } = yield* accept(description, sinks, options, journal, lease.load)
      // What keeps account does so where the run keeps its place.
      const intake = yield* keptBy(journal, ofSources(description, start))
      return { addWork: adding(journal), journal, lease, known, restart, isNamed: true, states, taken, parked, intake }
    })
    return keptIn(journal, yield* open(description, options, yield* accepted))
  }) as Begin

export const beginReplay = (description: Description, options: RunOptions<Delivery>, filter: LetterFilter): Begin =>
  Effect.gen(function* () {
    const { sinks, journal, lease, taken } = yield* own(description, options, [])
    const unread = new Unread()
    const accepted = Effect.gen(function* () {
      const kept = Option.getOrUndefined(yield* lease.load)
      const known = yield* match(options.name, sinks, kept, options.onSinkChanged ?? "refuse")
      const steps = stepsOf(description)
      const states = yield* StepStates.open(options.name, steps, kept, options.onStepsChanged ?? "refuse")
      const { letters, parked } = yield* lettersOf(description, options, journal, filter)
      return {
        addWork: adding(journal),
        journal,
        lease,
        known,
        restart: false,
        isNamed: true,
        states,
        taken,
        parked,
        intake: ofLetters(letters, description, description.sinkStep, kept ?? nothing, unread)
      }
    })
    const { handle, toEnd } = keptIn(journal, yield* open(description, options, yield* accepted))
    return {
      handle,
      toEnd: Effect.flatMap(toEnd, (summary) =>
        summary.outcome === "drained" || unread.count === 0
          ? Effect.succeed(summary)
          : Effect.fail(unread.error(options.name))
      )
    }
  }) as Begin

/** Runs a pipeline into `write` and keeps nothing of it but dead letters. No drain cuts it short: it ends whole, or it fails. */
export const pour = <A, E, R>(
  pipeline: Branch,
  write: (elements: ReadonlyArray<A>) => Effect.Effect<unknown>
): Effect.Effect<void, E, R> =>
  typed(
    Effect.scoped(
      Effect.gen(function* () {
        const name = "collect"
        const lease: Lease = stepsOf(pipeline).some(keepsLetters) ? burying(yield* Journal, name) : unleased()
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
            addWork: adding(undefined),
            journal: undefined,
            lease,
            known: [{ sink: sink as never, identity: "pour", fingerprint: {}, state: Option.some(null) }],
            restart: false,
            isNamed: false,
            states: yield* StepStates.open(name, stepsOf(pipeline), undefined, "begin"),
            taken: new Set(),
            intake: unkept(pipeline)
          },
          Effect.never
        )
        yield* toEnd
      })
    ).pipe(ofNoStep)
  )

/** What source and sinks do is no attempt of a step, though a step may run the pipeline (P15). */
export const ofNoStep = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.suspend(() => Effect.provideService(effect, Attempt, { key: undefined, count: 1 }))

/** Makes sure that nothing is in two roles, and takes the lease. */
const own = (description: Description, options: RunOptions<Delivery>, sources: ReturnType<typeof sourcesOf>) =>
  Effect.gen(function* () {
    const { lease: duration = "15 seconds", name, partition } = options
    const { sink } = description
    const sinks = sink.members ?? [sink]
    const journal = yield* journalOf(description)
    const taken = yield* apart(name, sources, sinks, journal)
    const lease: Lease =
      journal === undefined
        ? { ...unleased(), id: yield* newId, host: yield* Host }
        : yield* journal.lease(keyOf(name, partition), {
            duration: Duration.fromInputUnsafe(duration),
            isFenced: sinks.every(({ guarantee }) => guarantee === "exactly-once")
          })
    // A job without a place may add work to frontiers where the program says.
    return { sinks, journal: journal ?? Option.getOrUndefined(yield* Effect.serviceOption(Journal)), lease, taken }
  })

/** Those that are there now: what fails again is a new letter, and none of these. What is left out stays in the way of its key. */
const lettersOf = (
  description: Description,
  { name, partition }: RunOptions<Delivery>,
  journal: Journal | undefined,
  filter: LetterFilter
) =>
  Effect.gen(function* () {
    const nobody: ReadonlyMap<string, Parked> = new Map()
    const key = keyOf(name, partition)
    const [last] = journal === undefined ? [] : yield* journal.dead(key, { newest: true, limit: 1 })
    if (journal === undefined || last === undefined) return { letters: Stream.empty, parked: nobody }
    const letters = pages(journal, key, { ...filter, upTo: last.id })
    const steps = stepsOf(description)
    if (!steps.some(parks)) return { letters, parked: nobody }
    const chosen = (yield* Stream.runCollect(letters)).flat()
    const ids = new Set(chosen.map(({ id }) => id))
    const others = (yield* journal.dead(key, { upTo: last.id })).filter(({ id }) => !ids.has(id))
    return { letters: Stream.succeed(inOrder(chosen)), parked: yield* parkedBy(name, others, steps) }
  })

/** A step may ask for the journal where the program gives none. */
export const keptIn = (journal: Journal | undefined, { handle, toEnd }: Begun): Begun => ({
  handle,
  toEnd: Effect.flatMap(Effect.serviceOption(Journal), (given) =>
    Option.isSome(given) ? toEnd : keptBy(journal, toEnd)
  )
})

/** What steps add to frontiers is kept in the journal of the run; where it has none, in that of the program. */
const adding =
  (journal: Journal | undefined) =>
  (work: ReadonlyArray<Work>): Effect.Effect<void, FrontierError> =>
    Effect.flatMap(Effect.serviceOption(Journal), (given) => writeWork(journal ?? Option.getOrUndefined(given), work))

const keptBy = <A, E, R>(journal: Journal | undefined, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  // Where there is none, nobody who asks for it is there.
  journal === undefined ? effect : (Effect.provideService(effect, Journal, journal) as Effect.Effect<A, E, R>)

interface Start {
  readonly start: Checkpoint
  readonly known: ReadonlyArray<Known>
  readonly restart: boolean
  readonly states: StepStates
  readonly parked: ReadonlyMap<string, Parked>
}

/** Where a run goes on, and with what; fails where what is kept says nothing of what is here. */
export const accept = (
  description: Description,
  sinks: Parameters<typeof match>[1],
  options: RunOptions<Delivery>,
  journal: Journal | undefined,
  load: Effect.Effect<Option.Option<Checkpoint>, unknown, unknown>
): Effect.Effect<Start, unknown, unknown> =>
  Effect.gen(function* () {
    const steps = stepsOf(description)
    const kept = description.source.resumable ? Option.getOrUndefined(yield* load) : undefined
    const restart = kept === undefined ? options.restart === true : yield* startsOver(description, kept, options)
    const before = restart ? undefined : kept
    const known = yield* match(options.name, sinks, before, options.onSinkChanged ?? "refuse")
    const states = yield* StepStates.open(options.name, steps, before, options.onStepsChanged ?? "refuse")
    const parking = journal !== undefined && !restart && steps.some(parks)
    const letters = parking ? yield* journal.dead(keyOf(options.name, options.partition)) : []
    const parked = yield* parkedBy(options.name, letters, steps)
    return { known, parked, restart, states, start: before ?? nothing }
  })

const startsOver = (
  branch: Branch,
  kept: Checkpoint,
  { name, onChanged, onFinished, restart }: RunOptions<Delivery>
): Effect.Effect<boolean, unknown, unknown> =>
  Effect.gen(function* () {
    if (restart === true || (kept.finished && onFinished === "restart")) return true
    const changed = yield* refusal(name, branch, kept)
    if (changed !== undefined && onChanged !== "restart") return yield* changed
    return changed !== undefined
  })

/** Keeps nothing, for nobody, but for as long as it runs. */
export const unleased = (
  bury: (dead: ReadonlyArray<DeadLetter>) => Effect.Effect<void, JournalError> = () => Effect.void
): Lease => {
  const all = new SeenKeys()
  return {
    id: "",
    host: { id: "", label: "", runs: () => undefined },
    durable: false,
    clean: true,
    renewEvery: Option.none(),
    renew: Effect.void,
    load: Effect.succeedNone,
    seen: (step, keys) => Effect.sync(() => all.among(step, keys)),
    guard: (work) => work,
    commit: (write) =>
      Effect.flatMap(write, ({ dead, seen }) => {
        for (const { key, step } of seen) all.add(step, [key])
        return dead.length === 0 ? Effect.void : bury(dead)
      }),
    purge: () => Effect.succeed(0),
    adopt: () => Effect.succeed({ added: 0, known: 0 }),
    told: () => Effect.void,
    leaveClean: Effect.void
  }
}

/** Keeps dead letters and nothing else. */
const burying = (journal: Journal, name: string): Lease => unleased((dead) => journal.bury(keyOf(name), dead))

/** The steps of a description have lost their types; what the pipeline's own type says of them is taken back here. */
export const typed = <A, E, R>(effect: Effect.Effect<A, unknown, unknown>): Effect.Effect<A, E, R> =>
  effect as Effect.Effect<A, E, R>
