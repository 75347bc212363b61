/**
 * A pipeline says where elements come from, what happens to them and where they go. It is a description: nothing
 * runs until `run`, `collect` or `stream`, and the engine sees all of it before that.
 */
/* oxlint-disable typescript/no-explicit-any -- `any` matches every effect in conditional types; a description has lost the types of its steps */
import * as Effect from "effect/Effect"
import { type Pipeable, pipeArguments } from "effect/Pipeable"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import { checkDuration, checkNumber, checkWhole } from "../concurrency/base/Options.ts"
import * as Offload from "../concurrency/Offload.ts"
import type { TaskGroup } from "../concurrency/TaskGroup.ts"
import { type Filter, filterOf } from "./DeadLetters.ts"
import type { Delivery, Guarantee, Meet, Satisfied } from "./Guarantee.ts"
import type { Journal, JournalError } from "./Journal.ts"
import type { Summary } from "./Progress.ts"
import * as Explain from "./explain/Explain.ts"
import type { Explanation } from "./explain/Explain.ts"
import * as Runs from "./run/Begin.ts"
import * as DryRuns from "./run/DryRun.ts"
import type { DryRun, DryRunOptions } from "./run/DryRun.ts"
import type { Run, RunOptions } from "./Run.ts"
import type { BadDeadLetter, RunError, TooManyDeadLetters, ZipUneven } from "./RunError.ts"
import type { Needs, Sink } from "./Sink.ts"
import { batchOf, eachOf } from "./flow/Described.ts"
import { meetingOf } from "./flow/Meeting.ts"
import { scanOf, windowsOf } from "./flow/Windows.ts"
import { ofIterable, unpositioned } from "./flow/Unpositioned.ts"
import type { OriginOf, Readable, Source } from "./Source.ts"
import {
  type Aggregate,
  type BatchOptions,
  type Branch,
  type Each,
  type ErrorAfter,
  type GivesBoolean,
  type GivesMany,
  type JournalFor,
  type OnError,
  type Output,
  type OutputElement,
  type Reading,
  type StepDefaults,
  type Retry,
  type StateAndOutput,
  type ScanOptions,
  type ScanOutput,
  type ServicesOf,
  type SinkStep,
  type Step,
  type StepOptions,
  stepsOf,
  type Key,
  type UniqueOptions,
  type WindowOf,
  type WindowOptions
} from "./Step.ts"

export interface Pipeline<out A, out E, out R, out P> extends Pipeable {
  readonly source: Branch["source"]
  readonly steps: ReadonlyArray<Step>
  readonly "~skein/Pipeline": { readonly element: A; readonly error: E; readonly services: R; readonly position: P }
}

/**
 * A pipeline with a sink: what `run` runs. `G` is what it guarantees; a `Journal` is in `R` where there is a place or a dead letter to
 * keep, and the sink has no home for it.
 */
export interface Job<out E, out R, out G extends Delivery> {
  readonly pipeline: Pipeline<unknown, E, R, unknown>
  readonly sink: Sink<any, E, R, Guarantee>
  readonly sinkStep: SinkStep
  readonly guarantee: G
}

/**
 * Starts a pipeline from a source, which can be resumed, or from any stream or iterable, asynchronous ones as well, which cannot.
 * What an asynchronous iterable throws is a defect; make a `Stream` of it to give it a type.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { Pipeline } from "skein"
 *
 * const squares = Pipeline.from([1, 2, 3]).pipe(Pipeline.map((n) => n * n), Pipeline.collect)
 *
 * await Effect.runPromise(squares) // => [1, 4, 9]
 * ```
 */
export const from = <I>(
  input: Readable<I>
): Pipeline<OriginOf<I>["element"], OriginOf<I>["error"], OriginOf<I>["services"], OriginOf<I>["position"]> =>
  make(sourceOf(input as Input), [])

/**
 * Turns each element into what `f` gives for it: a value, or the value of an effect or a promise. `concurrency` (default 1) elements
 * are worked on at once; results keep the order of their inputs unless `order` is "completion". A typed error ends
 * the run unless `onError` says to skip the element or to keep it as a dead letter. A promise that rejects is a defect unless
 * `catch` makes a typed error of the reason.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { Pipeline } from "skein"
 *
 * const half = (n: number) => n % 2 === 0 ? Effect.succeed(n / 2) : Effect.fail(`${n} is odd`)
 * const halves = Pipeline.from([2, 3, 4]).pipe(
 *   Pipeline.map(half, { concurrency: 2, onError: "skip" }),
 *   Pipeline.collect
 * )
 *
 * await Effect.runPromise(halves) // => [1, 2]
 * ```
 */
export const map =
  <A, X, O extends StepOptions<A> = StepDefaults<A>>(f: (value: A) => X, options?: O) =>
  <E, R, P>(self: Pipeline<A, E, R, P>): Pipeline<Output<X>, E | ErrorAfter<X, O>, R | ServicesOf<X, O, P>, P> =>
    each(self, "map", f, options)

/**
 * Runs `f` for each element and goes on with the element itself: to log it, or for an effect whose result nobody needs. Options as
 * for `map`.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { Pipeline } from "skein"
 *
 * const seen: Array<string> = []
 * const words = Pipeline.from(["a", "b"]).pipe(Pipeline.tap((word) => seen.push(word)), Pipeline.collect)
 *
 * await Effect.runPromise(words) // => ["a", "b"]
 * seen // => ["a", "b"]
 * ```
 */
export const tap =
  <A, X, O extends StepOptions<A> = StepDefaults<A>>(f: (value: A) => X, options?: O) =>
  <E, R, P>(self: Pipeline<A, E, R, P>): Pipeline<A, E | ErrorAfter<X, O>, R | ServicesOf<X, O, P>, P> =>
    each(self, "tap", f, options)

/**
 * Keeps the elements for which `f` gives true, as a value or as the value of an effect. What is dropped is settled and
 * counted as filtered. Options as for `map`.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { Pipeline } from "skein"
 *
 * const even = Pipeline.from([1, 2, 3, 4]).pipe(Pipeline.filter((n) => n % 2 === 0), Pipeline.collect)
 *
 * await Effect.runPromise(even) // => [2, 4]
 * ```
 */
export const filter =
  <A, X, O extends StepOptions<A> = StepDefaults<A>>(f: (value: A) => GivesBoolean<X>, options?: O) =>
  <E, R, P>(self: Pipeline<A, E, R, P>): Pipeline<A, E | ErrorAfter<X, O>, R | ServicesOf<X, O, P>, P> =>
    each(self, "filter", f, options)

/**
 * Turns each element into any number of elements. What an iterable gives settles with the element, and reaches the sink in one write:
 * it is held in memory until all of it is complete. A `Stream` or a `Source` is read a part at a time, for what is too large for
 * that: its parts are written as they are done, no more of them open than a window holds, and a run goes on inside of it. A source
 * does so by its positions; of a stream, which has to give the same again, the parts that are settled are left out. Behind a
 * `batch`, and of an element of a queue, either is held whole. With order "input", the default, those of an element come before those
 * of later ones. Fails as the stream does; with another `onError`, what came before that stays. Options as for `map`; `retry` and `timeout` are
 * of the function, not of the reading.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import * as Stream from "effect/Stream"
 * import { Pipeline } from "skein"
 *
 * const letters = Pipeline.from(["ab", "c"]).pipe(Pipeline.flatMap((word) => word.split("")), Pipeline.collect)
 * const numbers = Pipeline.from([2, 3]).pipe(Pipeline.flatMap((n) => Stream.range(1, n)), Pipeline.collect)
 *
 * await Effect.runPromise(letters) // => ["a", "b", "c"]
 * await Effect.runPromise(numbers) // => [1, 2, 1, 2, 3]
 * ```
 */
export const flatMap =
  <A, X, O extends StepOptions<A> = StepDefaults<A>>(f: (value: A) => GivesMany<X>, options?: O) =>
  <E, R, P>(
    self: Pipeline<A, E, R, P>
  ): Pipeline<OutputElement<X>, E | ErrorAfter<Reading<X>, O>, R | ServicesOf<Reading<X>, O, P>, P> =>
    each(self, "flatMap", f, options)

/**
 * Collects elements into arrays of `size`; the last may be shorter, and so is one that waited longer than `within`, that holds
 * `bytes` or that nothing more can be added to while the window is full. With a `key` a batch holds elements of one key. The
 * members of a batch settle together.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { Pipeline } from "skein"
 *
 * const pairs = Pipeline.from([1, 2, 3]).pipe(Pipeline.batch(2), Pipeline.collect)
 *
 * await Effect.runPromise(pairs) // => [[1, 2], [3]]
 * ```
 */
export const batch =
  <A>(size: number, options?: BatchOptions<A>) =>
  <E, R, P>(self: Pipeline<A, E, R, P>): Pipeline<ReadonlyArray<A>, E, R, P> =>
    make(self.source, [...self.steps, batchOf(size, stepsOf(self).length + 1, options)])

/** Any pipeline. */
type Any = Pipeline<any, any, any, any>
type Of<T extends Any> = T["~skein/Pipeline"]

/**
 * Brings the elements of pipelines together, as they come, those of each in their order. Each has a source and steps of its own, and a
 * share of the window of the run; a run goes on where each of them was. Where one of them has no positions, the job is at-most-once.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { Pipeline } from "skein"
 *
 * const words = Pipeline.from(["one", "two"])
 * const lengths = Pipeline.from([[1, 2, 3]]).pipe(
 *   Pipeline.map((list) => list.length),
 *   Pipeline.merge(words.pipe(Pipeline.map((word) => word.length))),
 *   Pipeline.collect
 * )
 *
 * const sum = (await Effect.runPromise(lengths)).reduce((a, b) => a + b) // => 9
 * void sum
 * ```
 */
export const merge =
  <T extends Any, M extends ReadonlyArray<Any>>(that: T, ...more: M) =>
  <A, E, R, P>(
    self: Pipeline<A, E, R, P>
  ): Pipeline<
    A | Of<T | M[number]>["element"],
    E | Of<T | M[number]>["error"],
    R | Of<T | M[number]>["services"],
    P | Of<T | M[number]>["position"]
  > =>
    make(meetingOf("Merge", [self, that, ...more]), [])

/**
 * Pairs the first element of one pipeline with the first of another, and so on; a pair settles as one. Fails with `ZipUneven` where one
 * of them ends before the other. So that each run finds the same pairs, the steps of both keep their order and no dead letters.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { Pipeline } from "skein"
 *
 * const pairs = Pipeline.from(["a", "b"]).pipe(Pipeline.zip(Pipeline.from([1, 2])), Pipeline.collect)
 *
 * await Effect.runPromise(pairs) // => [["a", 1], ["b", 2]]
 * ```
 */
export const zip =
  <A2, E2, R2, P2>(that: Pipeline<A2, E2, R2, P2>) =>
  <A, E, R, P>(self: Pipeline<A, E, R, P>): Pipeline<readonly [A, A2], E | E2 | ZipUneven, R | R2, P | P2> =>
    make(meetingOf("Zip", [self, that]), [])

/**
 * Lets pass the first element of each key, and drops every other one, which is counted as filtered. The journal keeps the keys,
 * each in the commit that settles its element, so that it holds from run to run of a name, until a `restart`; a database is asked
 * for them, and any other journal has them in memory. `collect` and `stream` know those of the one run.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { Journal, Pipeline } from "skein"
 *
 * const once = Pipeline.from(["a", "b", "a"]).pipe(Pipeline.unique((word) => word), Pipeline.collect)
 *
 * await Effect.runPromise(Effect.provide(once, Journal.memory)) // => ["a", "b"]
 * ```
 */
export const unique =
  <A>(key: (value: A) => Key, options?: UniqueOptions) =>
  <E, R, P>(self: Pipeline<A, E, R, P>): Pipeline<A, E, R | Journal, P> =>
    make(self.source, [...self.steps, { _tag: "Unique", name: options?.name ?? "unique", key }])

/**
 * Takes one element after the other, in the order in which they come, with a state: `f` gives the next state and what the element
 * becomes, as they are or as an effect or a promise of both. It must leave the state that it was given as it is. The state after the
 * elements that are settled is in the checkpoint, by `state`, so that a run that is resumed goes on with it; large ones make large
 * commits. `onError` and `catch` as for `map`; an element that fails leaves the state alone.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import * as Schema from "effect/Schema"
 * import { Pipeline } from "skein"
 *
 * const sums = Pipeline.from([1, 2, 3]).pipe(
 *   Pipeline.scan(0, (sum, n) => [sum + n, sum + n], { state: Schema.Number }),
 *   Pipeline.collect
 * )
 *
 * await Effect.runPromise(sums) // => [1, 3, 6]
 * ```
 */
export const scan =
  <A, S, X extends StateAndOutput<S>, O extends ScanOptions<A, S>>(
    initial: NoInfer<S>,
    f: (state: S, value: A) => X,
    options: O & ScanOptions<A, S>
  ) =>
  <E, R, P>(self: Pipeline<A, E, R, P>): Pipeline<ScanOutput<X>, E | ErrorAfter<X, O>, R | ServicesOf<X, O, P>, P> =>
    make(self.source, [
      ...self.steps,
      scanOf({ initial, f, state: options.state, end: undefined }, { name: "scan", ...options })
    ])

/**
 * What the elements of each window come to: windows of `every` so long, by the time that `at` gives, or of so many elements, one
 * behind the other. A window by time is given when an element of a later one comes, `late` after its end where that is said; elements
 * that come even later are dropped and counted as filtered. At the end of the source the open windows are given as they are, and once
 * more, whole, when it has grown: write them by `from`, as with the `key` of a table. They are kept in the checkpoint, by `state`.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import * as Schema from "effect/Schema"
 * import { Pipeline } from "skein"
 *
 * const clicks = [{ at: 1000, n: 2 }, { at: 59_000, n: 1 }, { at: 61_000, n: 5 }]
 * const perMinute = Pipeline.from(clicks).pipe(
 *   Pipeline.window(
 *     { every: "1 minute", at: (click) => click.at },
 *     { initial: 0, add: (sum, click) => sum + click.n, state: Schema.Number }
 *   ),
 *   Pipeline.map(({ from, value }) => [from, value]),
 *   Pipeline.collect
 * )
 *
 * await Effect.runPromise(perMinute) // => [[0, 3], [60000, 5]]
 * ```
 */
export const window = <A, S>(
  of: WindowOf<A>,
  { add, initial, name = "window", state }: WindowOptions<A, S>
): (<E, R, P>(self: Pipeline<A, E, R, P>) => Pipeline<Aggregate<S>, E, R, P>) => {
  const step = scanOf(windowsOf(of, { add, initial, state }), { name })
  return (self) => make(self.source, [...self.steps, step])
}

/** What becomes of what the sink fails on, as for a step. */
export interface ToOptions<in out A> {
  /** What its dead letters are kept under. Default: the name of the sink. */
  readonly name?: string | undefined
  /** What becomes of an element that the sink refuses. Default "fail". */
  readonly onError?: OnError<A> | undefined
  /**
   * How a write that failed as a whole is tried again, and its commit, where nothing of it is kept. Default: ten times within half a
   * minute where the sink says that it passes by itself, as a deadlock or a lost connection; no other is.
   */
  readonly retry?: Retry | undefined
}

/** `ToOptions` that change nothing. */
export interface ToDefaults {
  readonly retry?: Retry | undefined
}

/**
 * A sink that takes elements of `A` because it takes `S`, or what the compiler says of one that does not: of the sink, as it would
 * say it of all of the pipe if `to` had but one type for both.
 */
type Taking<A, S, E, R, G extends Guarantee, J> = [A] extends [S]
  ? Sink<S, E, R, G, J>
  : "Map the elements to what this sink takes"

/** `A`, but not inferred from here: a sink that is made right there, as `Sink.forEach((n) => …)`, learns from it what it takes. */
type Plain<A> = [A] extends [infer B] ? B : never

/**
 * Says where the elements go. The guarantee of the job follows from source and sink. An element that the sink refuses ends the run,
 * unless `onError` says to skip it or to keep it as a dead letter: then the rest of its batch is written without it.
 *
 * @example
 * ```ts
 * import { Pipeline, Sink, Source } from "skein"
 *
 * const job = Pipeline.from(Source.list([1, 2], { name: "numbers" })).pipe(Pipeline.to(Sink.discard))
 *
 * job.guarantee // => "at-least-once"
 * ```
 */
export const to =
  <S, E2, R2, G extends Guarantee, O extends ToOptions<S> = ToDefaults, A = S, J = Journal>(
    sink: Sink<Plain<A>, E2, R2, G, J> | Taking<A, S, E2, R2, G, J>,
    options?: O
  ) =>
  <E, R, P>(self: Pipeline<A, E, R, P>): Job<E | E2, Needs<R | R2 | JournalFor<O>, J, P>, Meet<P, G>> => {
    const taken = sink as Sink<S, E2, R2, G, J>
    const name = options?.name ?? taken.name
    distinct([...stepsOf(self).map((step) => step.name), name])
    return {
      pipeline: self as Pipeline<unknown, E | E2, any, unknown>,
      sink: taken as Sink<any, E | E2, any, Guarantee>,
      sinkStep: { name, onError: options?.onError ?? "fail", retry: options?.retry },
      guarantee: (self.source.resumable ? taken.guarantee : "at-most-once") as Meet<P, G>
    }
  }

export { Attempt, idempotencyKey, type Positions } from "./context/Attempt.ts"
export type { AtMost, Delivery, Meet } from "./Guarantee.ts"
export type { Aggregate, Key } from "./Step.ts"
export { AlreadyRunning, LeaseLost } from "./JournalError.ts"
export type { Explanation } from "./explain/Explain.ts"
export type { Progress, Summary } from "./Progress.ts"
export type { DryRun, DryRunOptions, WouldDrop, WouldSkip, WouldWrite } from "./run/DryRun.ts"
export type { Run, RunOptions, State, StepLatency, StepProgress } from "./Run.ts"
export {
  BadDeadLetter,
  BadState,
  type FailedAt,
  failedAt,
  type RunError,
  SamePlace,
  SinkChanged,
  SourceChanged,
  StepDefect,
  StepsChanged,
  TooManyDeadLetters,
  ZipUneven
} from "./RunError.ts"

/**
 * Runs a job: reads from where the last run of that `name` stopped, and commits as it goes. Ends when the source is read
 * to its end and the fate of every element is durable, or when a drain was asked for; the summary says which. Fails with
 * `AlreadyRunning` while another run of that name is alive, and with `SourceChanged` or `SinkChanged` where the checkpoint
 * of the last run says nothing of what is here; nothing is read or written then.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { Journal, Pipeline, Sink, Source } from "skein"
 *
 * const job = Pipeline.from(Source.list([1, 2, 3], { name: "numbers" })).pipe(Pipeline.to(Sink.discard))
 * const { outcome, written } = await Effect.runPromise(
 *   Pipeline.run(job, { name: "numbers" }).pipe(Effect.provide(Journal.memory))
 * )
 *
 * const got = [outcome, written] // => ["done", 3]
 * void got
 * ```
 */
export const run = <E, R, G extends Delivery, Q extends Delivery = never>(
  job: Job<E, R, G>,
  options: RunOptions<Satisfied<Q, G>>
): Effect.Effect<Summary, E | RunError | JournalError, R> =>
  Effect.suspend(() => Runs.toEnd(Runs.begin(describe(job), checked(options))))

/**
 * As `run`, but gives a handle as soon as the run is accepted: it goes on beside, as a task of the group around that is named
 * "pipeline" and its name, tells its state and progress, and can be paused, resumed and drained. Its failure comes out of `await`; one
 * that nobody looks at is logged, as that of any supervised task.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { Journal, Pipeline, Sink, Source, TaskGroup } from "skein"
 *
 * const job = Pipeline.from(Source.list([1, 2, 3], { name: "numbers" })).pipe(
 *   Pipeline.map((n) => Effect.delay(Effect.succeed(n), "5 millis")),
 *   Pipeline.to(Sink.discard)
 * )
 * const program = Effect.gen(function* () {
 *   const run = yield* Pipeline.start(job, { name: "numbers" })
 *   yield* run.drain
 *   return (yield* run.await).outcome
 * })
 *
 * await Effect.runPromise(TaskGroup.open(program).pipe(Effect.provide(Journal.memory))) // => "drained"
 * ```
 */
export const start = <E, R, G extends Delivery, Q extends Delivery = never>(
  job: Job<E, R, G>,
  options: RunOptions<Satisfied<Q, G>>
): Effect.Effect<Run<E | RunError | JournalError>, E | RunError | JournalError, R | TaskGroup<never>> =>
  Effect.suspend(() => Runs.beside(options.name, Runs.begin(describe(job), checked(options))))

/**
 * Runs the dead letters of a job again, oldest first, all or those that `letters` lets through, each from the step it failed in, into
 * the same sink. What settles is marked as replayed in the same commit; what fails again is kept as a new dead letter. One that cannot
 * be read any more stays, and the replay fails with `BadDeadLetter` once all others ran. No run of that name may be alive meanwhile.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import * as Schema from "effect/Schema"
 * import { Journal, Pipeline, Sink, Source } from "skein"
 *
 * let broken = true
 * const work = (n: number) => (broken ? Effect.fail("broken") : Effect.succeed(n))
 * const job = Pipeline.from(Source.list([1, 2], { name: "numbers" })).pipe(
 *   Pipeline.map(work, { onError: { deadLetter: Schema.Number } }),
 *   Pipeline.to(Sink.discard)
 * )
 * const program = Effect.gen(function* () {
 *   const { dead } = yield* Pipeline.run(job, { name: "numbers" })
 *   broken = false
 *   const { written } = yield* Pipeline.replay(job, { name: "numbers" })
 *   return [dead, written]
 * })
 *
 * await Effect.runPromise(Effect.provide(program, Journal.memory)) // => [2, 2]
 * ```
 */
export const replay = <E, R, G extends Delivery, Q extends Delivery = never>(
  job: Job<E, R, G>,
  options: ReplayOptions<Satisfied<Q, G>>
): Effect.Effect<Summary, E | RunError | JournalError, R> =>
  Effect.suspend(() => Runs.toEnd(Runs.beginReplay(describe(job), checked(options), filterOf(options.letters ?? {}))))

export interface ReplayOptions<out G> extends RunOptions<G> {
  /** Which dead letters run again; the others stay as they are. Default all that wait. */
  readonly letters?: Omit<Filter, "replayed"> | undefined
}

/**
 * Runs the first elements that a run would read now, `first` of them (default 10), and gives what would become of them: what each sink
 * would be given, and what would be filtered, skipped or kept as a dead letter, with its cause. Nothing is written: no sink is
 * opened, nothing is committed, settled or kept, and another run may be alive. Source and steps run for real, with all that steps
 * do to others. Fails as the run would, but for what only the sink knows.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { Pipeline, Sink } from "skein"
 *
 * const job = Pipeline.from([1, 2, 3, 4]).pipe(
 *   Pipeline.filter((n) => n % 2 === 0),
 *   Pipeline.to(Sink.discard)
 * )
 * const dry = Pipeline.dryRun(job, { name: "even", first: 3 })
 *
 * const { ended, filtered, written } = await Effect.runPromise(dry)
 * written // => [{ sink: "discard", elements: [2] }]
 * filtered // => [{ step: "filter-1", input: 1 }, { step: "filter-1", input: 3 }]
 * ended // => false
 * ```
 */
export const dryRun = <E, R, G extends Delivery, Q extends Delivery = never>(
  job: Job<E, R, G>,
  options: DryRunOptions<Satisfied<Q, G>>
): Effect.Effect<DryRun, E | RunError | JournalError, R> =>
  Effect.suspend(() => {
    checkWhole("first", options.first, 1)
    return DryRuns.dryRun(describe(job), { ...checked(options), first: options.first })
  })

/**
 * What a job does, before it runs: its source, the steps and which of them share their workers, their order and policies, what is
 * held at most, the sinks, where its place is kept, and what it guarantees and why not more. As text, and as a flowchart of Mermaid.
 * Nothing is opened or read for it. `options` are those of the run.
 *
 * @example
 * ```ts
 * import { Pipeline, Sink } from "skein"
 *
 * const job = Pipeline.from([1, 2]).pipe(Pipeline.map((n) => n * 2, { concurrency: 4 }), Pipeline.to(Sink.discard))
 *
 * Pipeline.explain(job).text.includes("at-most-once") // => true
 * ```
 */
export const explain = <E, R, G extends Delivery>(
  job: Job<E, R, G>,
  options: Partial<RunOptions<unknown>> = {}
): Explanation => Explain.explain(describe(job), options)

/** What keeping dead letters can fail with where no run does it: a pipeline whose steps do needs a journal, so that it is in `R`. */
export type DeadLetterError<R = Journal> = [Journal] extends [R]
  ? TooManyDeadLetters | BadDeadLetter | JournalError
  : never

/**
 * Runs a pipeline and gives all its elements: for small results, tests and examples. Keeps no checkpoint, and ends whole or fails:
 * no drain cuts it short.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { Pipeline } from "skein"
 *
 * await Effect.runPromise(Pipeline.collect(Pipeline.from([1, 2, 3]))) // => [1, 2, 3]
 * ```
 */
export const collect = <A, E, R, P>(self: Pipeline<A, E, R, P>): Effect.Effect<Array<A>, E | DeadLetterError<R>, R> =>
  Effect.suspend(() => {
    const all: Array<A> = []
    return Effect.as(
      Runs.pour<A, E, R>(self, (elements) => Effect.sync(() => elements.forEach((a) => all.push(a)))),
      all
    )
  })

/**
 * Runs a pipeline as a stream: the way back to plain Effect. Elements come as the stream is pulled, a window ahead of it,
 * and leaving the stream stops the pipeline. Keeps no checkpoint.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import * as Stream from "effect/Stream"
 * import { Pipeline } from "skein"
 *
 * const squares = Pipeline.from([1, 2, 3]).pipe(Pipeline.map((n) => n * n), Pipeline.stream)
 *
 * await Effect.runPromise(Stream.runCollect(Stream.take(squares, 2))) // => [1, 4]
 * ```
 */
export const stream = <A, E, R, P>(self: Pipeline<A, E, R, P>): Stream.Stream<A, E | DeadLetterError<R>, R> =>
  Stream.callback<A, E, R>(
    (queue) =>
      Effect.andThen(
        Runs.pour<A, E, R>(self, (elements) => Queue.offerAll(queue, elements)),
        Queue.end(queue)
      ),
    { bufferSize: 16, strategy: "suspend" }
  )

const make = (source: Branch["source"], steps: ReadonlyArray<Step>): Pipeline<any, any, any, any> => {
  distinct(stepsOf({ source, steps }).map((step) => step.name))
  return {
    source,
    steps,
    // A phantom: only its type is ever used.
    "~skein/Pipeline": undefined as never,
    pipe() {
      return pipeArguments(this, arguments)
    }
  }
}

const distinct = (names: ReadonlyArray<string>): void => {
  const twice = names.find((name, place) => names.indexOf(name) < place)
  if (twice === undefined) return
  throw new RangeError(
    `A pipeline cannot have two steps with the name "${twice}", the sink included: dead letters go back to one of them`
  )
}

type Input = Source<any, any, any, any> | Stream.Stream<any, any, any> | Iterable<any> | AsyncIterable<any>

const sourceOf = (input: Input): Source<any, any, any, any> => {
  if ((typeof input !== "object" && typeof input !== "function") || input === null) throw noSource(input)
  if (Stream.isStream(input)) return unpositioned(input)
  // Effects are iterable, for generators to yield.
  if (Effect.isEffect(input)) throw noSource(input)
  if (Symbol.iterator in input) return unpositioned(ofIterable(input))
  if (Symbol.asyncIterator in input) {
    // Nobody can tell it to stop, so nobody waits for what it may be waiting for.
    const elements = Offload.iterable(() => input, { name: "source", onCancel: "abandon" })
    return unpositioned(Stream.orDie(Stream.mapError(elements, (error) => error.cause)))
  }
  if ("read" in input && "fingerprint" in input) return input
  throw noSource(input)
}

const noSource = (input: unknown): TypeError =>
  new TypeError(
    `Pipeline.from takes a Source, a Stream, an Iterable or an AsyncIterable, not ${kindOf(input)}. ` +
      "For the lines of a file use Files.lines, for the characters of a string an array of them"
  )

const kindOf = (input: unknown): string =>
  input === null ? "null" : Effect.isEffect(input) ? "an Effect" : typeof input

const each = (
  self: Pipeline<any, any, any, any>,
  kind: Each["kind"],
  f: (value: any) => unknown,
  options: StepOptions<any> | undefined
): Pipeline<any, any, any, any> =>
  make(self.source, [...self.steps, eachOf(kind, f, stepsOf(self).length + 1, options)])

const checked = (options: RunOptions<unknown>): RunOptions<Delivery> => {
  if (options.name === "")
    throw new RangeError("The name of a run must not be empty: the journal keeps its place by it")
  checkWhole("window.items", options.window?.items, 1)
  checkNumber("window.bytes", options.window?.bytes, 1)
  checkWhole("maxRows", options.maxRows, 1)
  checkDuration("commitEvery", options.commitEvery)
  checkDuration("drainWithin", options.drainWithin)
  checkDuration("lease", options.lease)
  checkDuration("progress.interval", options.progress?.interval)
  checkWhole("trace.every", options.trace?.every, 1)
  return options as RunOptions<Delivery>
}

const describe = <E, R, G extends Delivery>(job: Job<E, R, G>): Runs.Description => ({
  source: job.pipeline.source,
  steps: job.pipeline.steps,
  sink: job.sink,
  sinkStep: job.sinkStep,
  guarantee: job.guarantee
})
