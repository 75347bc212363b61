/**
 * A pipeline says where elements come from, what happens to them and where they go. It is a description: nothing
 * runs until `run`, `collect` or `stream`, and the engine sees all of it before that.
 */
/* oxlint-disable typescript/no-explicit-any -- `any` matches every effect in conditional types; a description has lost the types of its steps */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { type Pipeable, pipeArguments } from "effect/Pipeable"
import * as Stream from "effect/Stream"
import * as Engine from "./Engine.ts"
import { Journal, type JournalError } from "./Journal.ts"
import type { Progress, Summary } from "./Progress.ts"
import type { RunError } from "./RunError.ts"
import type { Guarantee, Sink } from "./Sink.ts"
import { type NoPosition, type Source, unpositioned } from "./Source.ts"
import type { BatchOptions, Each, ErrorAfter, Output, ServicesOf, Step, StepOptions } from "./Step.ts"

export interface Pipeline<out A, out E, out R, out P> extends Pipeable {
  readonly source: Source<unknown, unknown, unknown, any>
  readonly steps: ReadonlyArray<Step>
  readonly "~skein/Pipeline": { readonly element: A; readonly error: E; readonly services: R; readonly position: P }
}

/** A pipeline with a sink: what `run` runs. `G` is what it guarantees. */
export interface Job<out E, out R, out G extends Delivery> {
  readonly pipeline: Pipeline<unknown, E, R, unknown>
  readonly sink: Sink<any, E, R, Guarantee>
  readonly guarantee: G
}

/** How often an element reaches the sink when runs are interrupted and resumed; see `docs/pipelines.md`. */
export type Delivery = Guarantee | "at-most-once"

/** What source and sink can promise together: nothing more than the sink, and little without positions. */
export type Meet<P, G extends Guarantee> = [P] extends [NoPosition] ? "at-most-once" : G

/** The guarantees that a job with guarantee `G` satisfies: its own and all weaker ones. */
export type AtMost<G extends Delivery> = G extends "exactly-once"
  ? Delivery
  : G extends "effectively-once"
    ? Exclude<Delivery, "exactly-once">
    : G extends "at-least-once"
      ? "at-least-once" | "at-most-once"
      : "at-most-once"

/**
 * Starts a pipeline from a source, which can be resumed, or from any stream or iterable, which cannot.
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
export const from: {
  <A, E, R, P>(source: Source<A, E, R, P>): Pipeline<A, E, R, P>
  <A, E, R>(stream: Stream.Stream<A, E, R>): Pipeline<A, E, R, NoPosition>
  <A>(items: Iterable<A>): Pipeline<A, never, never, NoPosition>
} = (input: Source<any, any, any, any> | Stream.Stream<any, any, any> | Iterable<any>): any => make(sourceOf(input), [])

/**
 * Turns each element into what `f` gives for it: a value, or the value of an effect. `concurrency` (default 1) elements
 * are worked on at once; results keep the order of their inputs unless `order` is "completion". A typed error ends
 * the run unless `onError` says to skip the element or to keep it as a dead letter.
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
  <A, X, const O extends StepOptions<NoInfer<A>> = {}>(f: (value: A) => X, options?: O) =>
  <E, R, P>(self: Pipeline<A, E, R, P>): Pipeline<Output<X>, E | ErrorAfter<X, O>, R | ServicesOf<X, O>, P> =>
    each(self, "map", f, options)

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
  <A, X extends boolean | Effect.Effect<boolean, any, any>, const O extends StepOptions<NoInfer<A>> = {}>(
    f: (value: A) => X,
    options?: O
  ) =>
  <E, R, P>(self: Pipeline<A, E, R, P>): Pipeline<A, E | ErrorAfter<X, O>, R | ServicesOf<X, O>, P> =>
    each(self, "filter", f, options)

/**
 * Turns each element into any number of elements. The element settles when all it became have, and they reach the
 * sink in one write: they are held in memory until they are complete. Options as for `map`.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { Pipeline } from "skein"
 *
 * const letters = Pipeline.from(["ab", "c"]).pipe(Pipeline.flatMap((word) => word.split("")), Pipeline.collect)
 *
 * await Effect.runPromise(letters) // => ["a", "b", "c"]
 * ```
 */
export const flatMap =
  <A, X extends Iterable<any> | Effect.Effect<Iterable<any>, any, any>, const O extends StepOptions<NoInfer<A>> = {}>(
    f: (value: A) => X,
    options?: O
  ) =>
  <E, R, P>(
    self: Pipeline<A, E, R, P>
  ): Pipeline<Output<X> extends Iterable<infer B> ? B : never, E | ErrorAfter<X, O>, R | ServicesOf<X, O>, P> =>
    each(self, "flatMap", f, options)

/**
 * Collects elements into arrays of `size`; the last may be shorter, and so is one that waited longer than `within`
 * or that nothing more can be added to while the window is full. The members of a batch settle together.
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
  (size: number, options?: BatchOptions) =>
  <A, E, R, P>(self: Pipeline<A, E, R, P>): Pipeline<ReadonlyArray<A>, E, R, P> =>
    make(self.source, [
      ...self.steps,
      {
        _tag: "Batch",
        name: options?.name ?? `batch-${self.steps.length + 1}`,
        size: positive("batch size", size),
        within: options?.within === undefined ? undefined : Duration.fromInputUnsafe(options.within)
      }
    ])

/** Says where the elements go. The guarantee of the job follows from source and sink. */
export const to =
  <A, E2, R2, G extends Guarantee>(sink: Sink<A, E2, R2, G>) =>
  <E, R, P>(self: Pipeline<A, E, R, P>): Job<E | E2, R | R2, Meet<P, G>> => ({
    pipeline: self as Pipeline<unknown, E | E2, R | R2, unknown>,
    sink: sink as Sink<any, E | E2, R | R2, Guarantee>,
    guarantee: (self.source.resumable ? sink.guarantee : "at-most-once") as Meet<P, G>
  })

export { Attempt } from "./context/Attempt.ts"
export type { Progress, Summary } from "./Progress.ts"
export { BadDeadLetter, type RunError, SourceChanged, TooManyDeadLetters } from "./RunError.ts"

export interface RunOptions<out G extends Delivery> {
  /** The key of the journal: the same name goes on where the last run stopped. */
  readonly name: string
  /** Which version of the pipeline this is, in your own words; kept with dead letters. */
  readonly version?: string | undefined
  /** The least the job must guarantee. What it cannot give does not compile. */
  readonly require?: G | undefined
  /** What to do when the source is not what it was: refuse with `SourceChanged` (default) or start over. */
  readonly onChanged?: "refuse" | "restart" | undefined
  /** What to do when the last run finished: read what was added since (default) or start over. */
  readonly onFinished?: "resume" | "restart" | undefined
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
  /** Told of the progress once an `interval` (default 1 second). */
  readonly progress?:
    | {
        readonly interval?: Duration.Input | undefined
        readonly on: (progress: Progress) => Effect.Effect<void>
      }
    | undefined
}

/**
 * Runs a job: reads from where the last run of that `name` stopped, and commits as it goes. Ends when the source is read
 * to its end and the fate of every element is durable, or when a drain was asked for; the summary says which.
 */
export const run = <E, R, G extends Delivery>(
  job: Job<E, R, G>,
  options: RunOptions<NoInfer<AtMost<G>>>
): Effect.Effect<Summary, E | RunError | JournalError, R | Journal> =>
  Effect.flatMap(Journal, (journal) => Engine.run<E, R>({ ...describe(job), journal, options: checked(options) }))

/**
 * Runs the dead letters of a job again, each from the step it failed in, into the same sink. What settles is marked as
 * replayed in the same commit; what fails again is kept as a new dead letter.
 */
export const replay = <E, R, G extends Delivery>(
  job: Job<E, R, G>,
  options: RunOptions<NoInfer<AtMost<G>>>
): Effect.Effect<Summary, E | RunError | JournalError, R | Journal> =>
  Effect.flatMap(Journal, (journal) => Engine.replay<E, R>({ ...describe(job), journal, options: checked(options) }))

/** Runs a pipeline and gives all its elements: for small results, tests and examples. Keeps no checkpoint. */
export const collect = <A, E, R, P>(self: Pipeline<A, E, R, P>): Effect.Effect<Array<A>, E, R> =>
  Engine.collect<A, E, R>(self)

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
export const stream = <A, E, R, P>(self: Pipeline<A, E, R, P>): Stream.Stream<A, E, R> => Engine.stream<A, E, R>(self)

const make = (source: Source<any, any, any, any>, steps: ReadonlyArray<Step>): Pipeline<any, any, any, any> => {
  const last = steps.at(-1)?.name
  if (steps.slice(0, -1).some((step) => step.name === last)) {
    throw new RangeError(
      `A pipeline cannot have two steps with the name "${last}": dead letters go back to one of them`
    )
  }
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

const sourceOf = (
  input: Source<any, any, any, any> | Stream.Stream<any, any, any> | Iterable<any>
): Source<any, any, any, any> =>
  Stream.isStream(input)
    ? unpositioned(input)
    : Symbol.iterator in input
      ? unpositioned(Stream.fromIterable(input))
      : (input as Source<any, any, any, any>)

const each = (
  self: Pipeline<any, any, any, any>,
  kind: Each["kind"],
  f: (value: any) => unknown,
  options: StepOptions<any> | undefined
): Pipeline<any, any, any, any> =>
  make(self.source, [
    ...self.steps,
    {
      _tag: "Each",
      kind,
      name: options?.name ?? `${kind}-${self.steps.length + 1}`,
      concurrency: positive("concurrency", options?.concurrency ?? 1),
      order: options?.order ?? "input",
      onError: options?.onError ?? "fail",
      f
    }
  ])

const positive = (what: string, n: number): number => {
  if (Number.isInteger(n) && n >= 1) return n
  throw new RangeError(`The ${what} of a pipeline must be a whole number of at least 1, not ${n}`)
}

const checked = (options: RunOptions<Delivery>): RunOptions<Delivery> => {
  positive("window", options.window?.items ?? 1)
  positive("maxRows", options.maxRows ?? 1)
  return options
}

const describe = <E, R, G extends Delivery>(job: Job<E, R, G>) => ({
  source: job.pipeline.source,
  steps: job.pipeline.steps,
  sink: job.sink,
  guarantee: job.guarantee
})
