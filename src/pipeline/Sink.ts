/** Where elements go, and what is promised of them there. */
/* oxlint-disable typescript/no-explicit-any -- `any` matches every sink in conditional types */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type { Host } from "./context/Host.ts"
import type { Guarantee, Weakest } from "./Guarantee.ts"
import { ranks } from "./Guarantee.ts"
import type { Journal } from "./Journal.ts"
import type { Fingerprint } from "./Source.ts"

export type { Guarantee, Weakest } from "./Guarantee.ts"

/** What a sink is told when it is opened. */
export interface Opening {
  /** What its last committed write gave; none when nothing was committed. */
  readonly committed: Option.Option<Schema.Json>
  /** Whether the run before told that it left nothing behind but what it committed. Else there may be some of its last write. */
  readonly clean: boolean
  /** Who runs it. */
  readonly host: Host
  /** Whose it is: the same in every run of the pipeline, and in no other pipeline. */
  readonly owner: string
  /** Whether that pipeline can be found again by another process. */
  readonly durable: boolean
}

/** One opened sink, used by one run. */
export interface Writer<in A, out E, out R> {
  /**
   * Writes all elements or fails; gives the state that a next write goes on from, and a next run is opened with. `since` is the
   * state that this one goes on from: the transaction around may run again, and then what came after `since` is undone first. The
   * first call may be without elements, to learn where the sink starts.
   */
  readonly write: (elements: ReadonlyArray<A>, since: Option.Option<Schema.Json>) => Effect.Effect<Schema.Json, E, R>
  /** Writes what belongs at the end, once the source is read to its end; gives the state after it. */
  readonly finish?: ((since: Option.Option<Schema.Json>) => Effect.Effect<Schema.Json, E, R>) | undefined
  /**
   * Which of the elements a write failed for, by their index; "batch" when it was not for one of them; undefined when it is not
   * known, and halves are tried (P7). Default: not known.
   */
  readonly atFault?: ((error: unknown) => ReadonlyArray<number> | "batch" | undefined) | undefined
  /** At the end of a run that knows what its last commit kept: takes away whatever else there is. */
  readonly close?: ((committed: Option.Option<Schema.Json>) => Effect.Effect<void, E, R>) | undefined
}

export interface Sink<in A, out E, out R, out G extends Guarantee> {
  readonly name: string
  readonly guarantee: G
  /** Which one it is, under whatever name: what is committed of it is kept by this (P10). */
  readonly identity: Effect.Effect<string, E, R>
  /** Its fingerprint: what of its form must not change from run to run, field by field. */
  readonly form: Effect.Effect<Fingerprint, E, R>
  /** The files it writes to, by all of their names, so that none of them is read or written as something else (P14). Default: none. */
  readonly places?: Effect.Effect<ReadonlyArray<string>, E, R> | undefined
  /**
   * The journal that keeps its rows in the same transaction as the elements. With one, `write` runs inside
   * that journal's transaction; without, `write` must be durable when it returns.
   */
  readonly journal: Effect.Effect<Option.Option<Journal>, never, R>
  readonly open: (opening: Opening) => Effect.Effect<Writer<A, E, R>, E, R | Scope.Scope>
  /** The sinks that this one stands for, each with a state of its own. */
  readonly members?: ReadonlyArray<Sink<A, E, R, Guarantee>> | undefined
}

/** What `make` takes: all of a sink, with defaults for what most have no need to say. */
export type Parts<A, E, R, G extends Guarantee> = Pick<Sink<A, E, R, G>, "name" | "guarantee" | "open"> &
  Partial<Sink<A, E, R, G>>

/**
 * A sink of your own: a name, what it guarantees, and `open`. Without more, its identity is its name, it may take any form, is in no file,
 * and has no journal.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { Journal, Pipeline, Sink } from "skein"
 *
 * const seen: Array<number> = []
 * const memory = Sink.make({
 *   name: "memory",
 *   guarantee: "at-least-once",
 *   open: () => Effect.succeed({ write: (numbers: ReadonlyArray<number>) => Effect.sync(() => seen.push(...numbers)) })
 * })
 * const job = Pipeline.from([1, 2, 3]).pipe(Pipeline.to(memory))
 *
 * await Effect.runPromise(Pipeline.run(job, { name: "see" }).pipe(Effect.provide(Journal.memory)))
 * seen // => [1, 2, 3]
 * ```
 */
export const make = <A, E, R, G extends Guarantee>(parts: Parts<A, E, R, G>): Sink<A, E, R, G> => ({
  identity: Effect.succeed(parts.name),
  form: Effect.succeed({}),
  journal: Effect.succeedNone,
  ...parts
})

/**
 * Calls `f` with each element, in their order. What it does counts as durable when it has succeeded; after a crash it may
 * see elements of the last window again.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { Journal, Pipeline, Sink } from "skein"
 *
 * const seen: Array<number> = []
 * const job = Pipeline.from([1, 2, 3]).pipe(
 *   Pipeline.to(Sink.forEach((n: number) => Effect.sync(() => void seen.push(n))))
 * )
 *
 * await Effect.runPromise(Pipeline.run(job, { name: "see" }).pipe(Effect.provide(Journal.memory)))
 * seen // => [1, 2, 3]
 * ```
 */
export const forEach = <A, X, E, R>(f: (element: A) => Effect.Effect<X, E, R>): Sink<A, E, R, "at-least-once"> =>
  make({
    name: "forEach",
    guarantee: "at-least-once",
    open: () =>
      Effect.succeed({
        write: (elements: ReadonlyArray<A>) => Effect.as(Effect.forEach(elements, f, { discard: true }), null)
      })
  })

/**
 * Takes everything and keeps nothing: for pipelines whose steps do the work, and for trying one out.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { Journal, Pipeline, Sink } from "skein"
 *
 * const job = Pipeline.from([1, 2, 3]).pipe(Pipeline.to(Sink.discard))
 * const run = Pipeline.run(job, { name: "try" }).pipe(Effect.provide(Journal.memory))
 *
 * await Effect.runPromise(Effect.map(run, (summary) => summary.written)) // => 3
 * ```
 */
export const discard: Sink<unknown, never, never, "at-least-once"> = make({
  name: "discard",
  guarantee: "at-least-once",
  open: () => Effect.succeed({ write: () => Effect.succeed(null) })
})

type Any = Sink<any, any, any, Guarantee>
type InputOf<S> = S extends Sink<infer A, any, any, any> ? (_: A) => void : never

/**
 * Writes every element to all of the sinks, in one transaction where one of them has a journal of its own; each keeps a
 * state of its own, whatever their order. Two sinks with different journals are refused with a defect, as no transaction
 * spans two databases.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { Journal, Pipeline, Sink } from "skein"
 *
 * let sum = 0
 * const seen: Array<number> = []
 * const both = Sink.all(
 *   Sink.forEach((n: number) => Effect.sync(() => void seen.push(n))),
 *   Sink.make({
 *     name: "sum",
 *     guarantee: "at-least-once",
 *     open: () => Effect.succeed({ write: (all: ReadonlyArray<number>) => Effect.sync(() => (sum += all.length)) })
 *   })
 * )
 *
 * await Effect.runPromise(
 *   Pipeline.run(Pipeline.from([4, 5]).pipe(Pipeline.to(both)), { name: "both" }).pipe(Effect.provide(Journal.memory))
 * )
 * const got = [sum, seen.length] // => [2, 2]
 * void got
 * ```
 */
export const all = <const Sinks extends readonly [Any, ...Array<Any>]>(
  ...sinks: Sinks
): Sink<
  InputOf<Sinks[number]> extends (_: infer A) => void ? A : never,
  Sinks[number] extends Sink<any, infer E, any, any> ? E : never,
  Sinks[number] extends Sink<any, any, infer R, any> ? R : never,
  Weakest<Sinks[number]["guarantee"]>
> => {
  const members = sinks.flatMap((sink): ReadonlyArray<Any> => sink.members ?? [sink])
  const guarantee = ranks.find((rank) => members.some((sink) => sink.guarantee === rank))!
  const name = members.map((sink) => sink.name).join(" + ")
  return make({
    name,
    // `ranks` runs from weakest to strongest, as `Weakest` does.
    guarantee: guarantee as Weakest<Sinks[number]["guarantee"]>,
    journal: Effect.flatMap(
      Effect.forEach(members, (sink) => sink.journal),
      (found) => {
        const journals = new Set(found.flatMap(Option.toArray))
        return journals.size > 1
          ? Effect.die(new Error("Sink.all: these sinks are in different databases, so that no transaction spans them"))
          : Effect.succeed(Option.fromUndefinedOr([...journals][0]))
      }
    ),
    members,
    open: () => Effect.die(new Error(`${name}: each of its members is opened by itself`))
  })
}
