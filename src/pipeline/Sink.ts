/** Where elements go, and what is promised of them there. */
/* oxlint-disable typescript/no-explicit-any -- `any` matches every sink in conditional types */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type { Journal } from "./Journal.ts"

/** What a sink can promise when its source can be resumed. */
export type Guarantee = "exactly-once" | "effectively-once" | "at-least-once"

/** One opened sink, used by one run. */
export interface Writer<in A, out E, out R> {
  /**
   * Writes all elements or fails; gives what `open` must be told to undo whatever comes after this commit. The first
   * call may be without elements, to learn where the sink starts. Never called again once it or its commit has failed.
   */
  readonly write: (elements: ReadonlyArray<A>) => Effect.Effect<Schema.Json, E, R>
}

export interface Sink<in A, out E, out R, out G extends Guarantee> {
  readonly name: string
  readonly guarantee: G
  /**
   * The journal that keeps its rows in the same transaction as the elements. With one, `write` runs inside
   * that journal's transaction; without, `write` must be durable when it returns.
   */
  readonly journal: Effect.Effect<Option.Option<Journal>, never, R>
  /** Opens the sink; `committed` is what the last committed `write` gave, none when nothing was committed. */
  readonly open: (committed: Option.Option<Schema.Json>) => Effect.Effect<Writer<A, E, R>, E, R | Scope.Scope>
}

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
export const forEach = <A, X, E, R>(f: (element: A) => Effect.Effect<X, E, R>): Sink<A, E, R, "at-least-once"> => ({
  name: "forEach",
  guarantee: "at-least-once",
  journal: Effect.succeedNone,
  open: () => Effect.succeed({ write: (elements) => Effect.as(Effect.forEach(elements, f, { discard: true }), null) })
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
export const discard: Sink<unknown, never, never, "at-least-once"> = forEach(() => Effect.void)

/** The guarantee of several sinks together is that of the weakest. */
export type Weakest<G extends Guarantee> = "at-least-once" extends G
  ? "at-least-once"
  : "effectively-once" extends G
    ? "effectively-once"
    : "exactly-once"

type Any = Sink<any, any, any, Guarantee>
type InputOf<S> = S extends Sink<infer A, any, any, any> ? (_: A) => void : never

/**
 * Writes every element to all of the sinks, in one transaction where one of them has a journal of its own: sinks
 * without one (files) write first, so that what the journal commits is already durable there. Two sinks with different
 * journals are refused with a defect, as no transaction spans two databases.
 */
export const all = <const Sinks extends readonly [Any, ...Array<Any>]>(
  ...sinks: Sinks
): Sink<
  InputOf<Sinks[number]> extends (_: infer A) => void ? A : never,
  Sinks[number] extends Sink<any, infer E, any, any> ? E : never,
  Sinks[number] extends Sink<any, any, infer R, any> ? R : never,
  Weakest<Sinks[number]["guarantee"]>
> => {
  const guarantee = ranks.find((rank) => sinks.some((sink) => sink.guarantee === rank))!
  return {
    name: sinks.map((sink) => sink.name).join(" + "),
    // `ranks` runs from weakest to strongest, as `Weakest` does.
    guarantee: guarantee as Weakest<Sinks[number]["guarantee"]>,
    journal: Effect.flatMap(
      Effect.forEach(sinks, (sink) => sink.journal),
      (found) => {
        const journals = new Set(found.flatMap(Option.toArray))
        return journals.size > 1
          ? Effect.die(new Error("Sink.all: these sinks are in different databases, so that no transaction spans them"))
          : Effect.succeed(Option.fromUndefinedOr([...journals][0]))
      }
    ),
    open: (committed) =>
      Effect.gen(function* () {
        const states = Option.getOrElse(committed, () => [] as Schema.Json) as ReadonlyArray<Schema.Json>
        const order: Array<readonly [index: number, writer: Writer<any, any, any>]> = []
        for (const [index, sink] of sinks.entries()) {
          const writer = yield* sink.open(Option.fromUndefinedOr(states[index]))
          if (Option.isSome(yield* sink.journal)) order.push([index, writer])
          else order.unshift([index, writer])
        }
        return {
          write: (elements) => {
            const next: Array<Schema.Json> = []
            return Effect.as(
              Effect.forEach(
                order,
                ([index, writer]) => Effect.map(writer.write(elements), (state) => void (next[index] = state)),
                { discard: true }
              ),
              next
            )
          }
        }
      })
  }
}

const ranks = ["at-least-once", "effectively-once", "exactly-once"] as const
