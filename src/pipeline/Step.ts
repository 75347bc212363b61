/** What happens to an element between source and sink, as data: the engine sees all of it before anything runs. */
/* oxlint-disable typescript/no-explicit-any -- `any` matches every effect in conditional types; a description has lost the types of its steps */
import type * as DateTime from "effect/DateTime"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Schema from "effect/Schema"
import type * as Stream from "effect/Stream"
import type { DeadlineExceeded } from "../concurrency/Deadline.ts"
import type { Limiter } from "../concurrency/Limiter.ts"
import type { Positions } from "./context/Attempt.ts"
import type { Journal } from "./Journal.ts"
import type { Backoff } from "./context/Backoff.ts"
import type { NoPosition, Source } from "./Source.ts"

/** What becomes of an element whose step, or the sink, failed with a typed error. */
export type OnError<A> =
  /** The error ends the run, after what is settled was committed. */
  | "fail"
  /** The element is dropped and counted. */
  | "skip"
  /** The step's input is kept, encoded by this schema, before the element settles. */
  | DeadLetterPolicy<A>

/** A schema of what the step takes, which is what is kept: not of what it gives. */
export interface SchemaOfInput<in out A> extends Schema.Codec<A, any> {}

export interface DeadLetterPolicy<in out A> {
  readonly deadLetter: SchemaOfInput<A>
  /** How many may fail in one run before the run does: a number, or a share of the elements once 100 are read. Default: any. */
  readonly maxDead?: number | `${number}%` | undefined
}

/** What becomes of an element that a step failed on. */
export type StepOnError<A> = "fail" | "skip" | StepDeadLetterPolicy<A>

export interface StepDeadLetterPolicy<in out A> extends DeadLetterPolicy<A> {
  /** Whether a defect of the step is a dead letter as well; it ends the run otherwise. Default false. */
  readonly defects?: boolean | undefined
  /**
   * Whether what follows of a key in this step is a dead letter too, once an element of it was, in this run and in later ones, until
   * a replay has settled all of them. Default false: the others of the key go on.
   */
  readonly parkKey?: boolean | undefined
}

/** What elements have in common that are worked on in order; compared as the keys of a `Map` are. */
export type Key = string | number | bigint | boolean

/** So many in a time, evenly spaced. */
export interface Rate {
  readonly limit: number
  readonly per: Duration.Input
  /** How many may start at once after a pause. Default 1. */
  readonly burst?: number | undefined
}

/** How many elements are worked on at once: found out while they are, as by `Limiter.adaptive`. */
export interface Range {
  readonly min: number
  readonly max: number
}

export interface StepOptions<in out A> {
  /** Shown in progress, dead letters and messages. Default: the kind of step and its place, as in `map-1`. */
  readonly name?: string | undefined
  /** How many elements are worked on at once; of a range, as many as is quickest. Default 1. */
  readonly concurrency?: number | Range | undefined
  /** Whether results keep the order of their inputs or come as they complete. Default "input"; a step with a `key` has none. */
  readonly order?: "input" | "completion" | undefined
  /** Keeps the order of elements with the same key, and of no others: the results of a key never wait for another one. */
  readonly key?: ((value: A) => Key) | undefined
  /** How many elements of one key are worked on at once. Default 1. */
  readonly perKey?: number | undefined
  /** Tries again after typed errors; an element that waits for its next attempt holds no worker. Default: one attempt. */
  readonly retry?: Retry | undefined
  /** Time for one attempt, and for all of them with the waits between them; what runs out of it fails with `DeadlineExceeded`. */
  readonly timeout?: StepTimeout | undefined
  /** How many attempts may begin in a time. */
  readonly rate?: Rate | Limiter | undefined
  /** How many attempts on elements of one key may begin in a time. */
  readonly ratePerKey?: Rate | undefined
  /** Default "fail". */
  readonly onError?: StepOnError<A> | undefined
  /** Makes the typed error of a promise that rejects, or of a function that throws; without it, that is a defect. */
  readonly catch?: ((reason: unknown) => unknown) | undefined
}

export interface StepTimeout {
  readonly attempt?: Duration.Input | undefined
  readonly total?: Duration.Input | undefined
}

/** `StepOptions` that change nothing. A type of their own, as from the default the compiler takes what functions are called with. */
export interface StepDefaults<in A> {
  readonly key?: ((value: A) => Key) | undefined
  readonly retry?: Retry | undefined
  readonly catch?: ((reason: unknown) => never) | undefined
}

export interface BatchOptions<in A> {
  readonly name?: string | undefined
  /** How long a batch may wait to be filled. Default: until no more elements can come. */
  readonly within?: Duration.Input | undefined
  /** A batch is sent once its elements take so much memory, whatever their number; one element may take more. */
  readonly bytes?: number | undefined
  /** A batch holds elements of one key. */
  readonly key?: ((value: A) => Key) | undefined
}

/** What can fail on an element: a step, or the sink. */
export interface Failing {
  readonly name: string
  readonly onError: StepOnError<any>
}

/** A step that works on one element at a time. */
export interface Each extends Failing {
  readonly _tag: "Each"
  readonly kind: "map" | "filter" | "flatMap" | "tap"
  readonly concurrency: number | Range
  readonly order: "input" | "completion"
  readonly key: ((value: any) => Key) | undefined
  readonly perKey: number
  /** None where the step is called once for an element, and waits for nothing. */
  readonly policy: StepPolicy | undefined
  readonly catch: ((reason: unknown) => unknown) | undefined
  /** Gives the new element, whether to keep it, or the elements it becomes: as it is or as an effect of it. */
  readonly f: (value: any) => unknown
}

/** How a step is called, in the order of P6. */
export interface StepPolicy {
  readonly retry: Retry | undefined
  readonly timeout: StepTimeout
  readonly rate: Rate | Limiter | undefined
  readonly ratePerKey: Rate | undefined
}

/** What becomes of what the sink fails on. */
export interface SinkStep extends Failing {
  readonly retry: Retry | undefined
}

/** How a step that failed is tried again, or a write that failed as a whole, and not for one of its rows. */
export interface Retry {
  /** Attempts after the first. Default 3. */
  readonly retries?: number | undefined
  readonly backoff?: Backoff | undefined
  /** Which errors are worth another attempt; default all but those with `retryable: false`. A commit that fails is tried again where that passes by itself. */
  readonly retryWhile?: ((error: any) => boolean) | undefined
}

/** A step that collects elements. */
export interface Batch {
  readonly _tag: "Batch"
  readonly name: string
  readonly size: number
  readonly within: Duration.Duration | undefined
  readonly bytes: number
  readonly key: ((value: any) => Key) | undefined
}

export interface UniqueOptions {
  /** What the keys are kept under; a pipeline with two such steps names them. Default "unique". */
  readonly name?: string | undefined
}

/** A step that lets pass only the first element of each key. */
export interface Unique {
  readonly _tag: "Unique"
  readonly name: string
  readonly key: (value: any) => Key
}

/** As of a step that works on one element at a time. */
export interface ScanOptions<in out A, in out S> extends Pick<StepOptions<A>, "name" | "catch" | "onError"> {
  /** How the state is kept in the checkpoint. */
  readonly state: SchemaOfState<S>
}

/** A schema of the state that a step keeps, which is JSON once it is encoded. */
export interface SchemaOfState<in out S> extends Schema.Codec<S, any> {}

/** What the function of `scan` gives: the next state, and what the element becomes. */
export type StateAndOutput<S> =
  | readonly [state: S, output: unknown]
  | Effect.Effect<readonly [state: S, output: unknown], any, any>
  | PromiseLike<readonly [state: S, output: unknown]>

/** What an element becomes in `scan`. */
export type ScanOutput<X> = Output<X> extends readonly [any, infer B] ? B : never

/** Which windows there are: so long each, by the time of their elements, or of so many elements each. */
export type WindowOf<A> =
  | {
      readonly every: Duration.Input
      /** When an element was, in milliseconds since the epoch or as a date. */
      readonly at: (value: A) => number | Date | DateTime.DateTime
      /** How much longer a window stays open for elements that come late. Default: not at all. */
      readonly late?: Duration.Input | undefined
    }
  | { readonly count: number }

export interface WindowOptions<in A, in out S> {
  /** What a window begins with. */
  readonly initial: S
  /** Takes an element into account; gives a new value, and leaves the old one as it is. */
  readonly add: (value: S, element: A) => S
  /** How the values of open windows are kept in the checkpoint. */
  readonly state: SchemaOfState<S>
  readonly name?: string | undefined
}

/** What the elements of a window came to. */
export interface Aggregate<out S> {
  /** Where it begins: milliseconds since the epoch, or how many elements came before it. */
  readonly from: number
  /** Where the next one begins. */
  readonly to: number
  /** How many elements it has. */
  readonly count: number
  readonly value: S
}

/** A step with a state, which takes one element at a time, in the order in which they come. */
export interface Scan extends Omit<Each, "_tag" | "kind" | "f"> {
  readonly _tag: "Scan"
  readonly initial: unknown
  readonly state: SchemaOfState<any>
  /** The next state, and what the element becomes: as it is, or as an effect or a promise of it. */
  readonly f: (state: any, value: any) => unknown
  /** For a step that gives a list for each element, or none for one that it drops: what it gives once there are no more. */
  readonly end: ((state: any) => readonly [state: unknown, outputs: ReadonlyArray<unknown>] | undefined) | undefined
}

export type Step = Each | Batch | Unique | Scan

/** A source, or pipelines that meet, and the steps behind it. */
export interface Branch {
  readonly source: Source<any, any, any, any> | Meeting
  readonly steps: ReadonlyArray<Step>
}

/** Where pipelines flow into one. */
export interface Meeting {
  readonly _tag: "Merge" | "Zip"
  /** Whether all of their sources are. */
  readonly resumable: boolean
  readonly inputs: ReadonlyArray<Branch>
}

export const isMeeting = (source: Branch["source"]): source is Meeting => "inputs" in source

/** All sources, in their order. */
export const sourcesOf = ({ source }: Branch): ReadonlyArray<Source<any, any, any, any>> =>
  isMeeting(source) ? source.inputs.flatMap(sourcesOf) : [source]

/** All steps, from the first to the last: those of branches before those behind them. */
export const stepsOf = ({ source, steps }: Branch): ReadonlyArray<Step> =>
  isMeeting(source) ? [...source.inputs.flatMap(stepsOf), ...steps] : steps

/** What a step's function gives, taken apart. Properties of it are plain unions, which editors show without the name of a helper. */
interface Given<A, E, R> {
  readonly value: A
  readonly error: E
  readonly services: R
}
type GivenBy<X> = 0 extends 1 & X
  ? Given<any, never, never>
  : X extends Effect.Effect<infer A, infer E, infer R>
    ? Given<A, E, R>
    : Given<Awaited<X>, never, never>

/** What a step's function gives: as it is, or as the value of an effect or a promise. */
export type Output<X> = GivenBy<X>["value"]

/** The elements of what the function of `flatMap` gives. */
export type OutputElement<X> = 0 extends 1 & Output<X> ? any : PartOf<Output<X>>

type PartOf<A> =
  A extends Iterable<infer B>
    ? B
    : A extends Stream.Stream<infer B, any, any>
      ? B
      : A extends Source<infer B, any, any, any>
        ? B
        : never

/** What the function of `flatMap` gives, and what it is to read that: an effect with its errors and services. */
export type Reading<X> = X | (0 extends 1 & Output<X> ? never : ReadingOf<Output<X>>)

type ReadingOf<A> =
  A extends Stream.Stream<any, infer E, infer R>
    ? Effect.Effect<never, E, R>
    : A extends Source<any, infer E, infer R, any>
      ? Effect.Effect<never, E, R>
      : never

/** What the function of `filter` gives, or what the compiler says instead. */
export type GivesBoolean<X> = [Output<X>] extends [boolean]
  ? X
  : "Pipeline.filter keeps what is true: give a boolean, or an effect or a promise of one"

/** What the function of `flatMap` gives, or what the compiler says instead. An effect can be iterated, but not to elements. */
export type GivesMany<X> = [Output<X>] extends [
  Iterable<any> | Stream.Stream<any, any, any> | Source<any, any, any, any>
]
  ? X
  : "Pipeline.flatMap needs many: give an iterable, a Stream or a Source, or an effect or a promise of one; Pipeline.map takes any value"

/** The errors of a step's function that its policy leaves in the type: all of them where it may be "fail". */
export type ErrorAfter<X, O> = O extends { readonly onError: "skip" | { readonly deadLetter: unknown } }
  ? never
  : GivenBy<X>["error"] | CaughtBy<O> | LateBy<O>

/** The services of a step's function over positions `P`, and the journal where its policy keeps dead letters. */
export type ServicesOf<X, O, P> = (NeededAt<P, GivenBy<X>["services"]> | NeededFor<O>)["services"]

/** The journal, where a policy keeps dead letters or may do so. */
export type JournalFor<O> = NeededFor<O>["services"]

type NeededFor<O> = [Extract<PolicyOf<O>, { readonly deadLetter: unknown }>] extends [never] ? never : Needed<Journal>

type PolicyOf<O> = O extends { readonly onError?: infer Policy } ? Policy : undefined

type CaughtBy<O> = O extends { readonly catch?: infer F } ? (F extends (reason: any) => infer E ? E : never) : never

type LateBy<O> = O extends { readonly timeout?: infer T } ? Late<NonNullable<T>> : never

type Late<T> = [T[keyof T & ("attempt" | "total")]] extends [undefined] ? never : DeadlineExceeded

interface Needed<R> {
  readonly services: R
}
/** A source with positions gives what an idempotency key is made of. */
type NeededAt<P, R> = R extends Positions ? ([Extract<P, NoPosition>] extends [never] ? never : Needed<R>) : Needed<R>
