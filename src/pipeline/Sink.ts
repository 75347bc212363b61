/** Where elements go, and what is promised of them there. */
/* oxlint-disable typescript/no-explicit-any -- `any` matches every sink in conditional types */
import * as Effect from "effect/Effect"
import { dual } from "effect/Function"
import * as Option from "effect/Option"
import type * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { checkWhole } from "../concurrency/base/Options.ts"
import { Calls } from "./commit/Calls.ts"
import type { Host } from "./context/Host.ts"
import type { Guarantee, Weakest } from "./Guarantee.ts"
import { ranks } from "./Guarantee.ts"
import { owned, owner, Router } from "./commit/Router.ts"
import type { Journal } from "./Journal.ts"
import type { Fingerprint, NoPosition } from "./Source.ts"

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
  /** The files of source and journal, by all of their names: a sink that learns from its elements where to write must not take one. */
  readonly taken?: ReadonlySet<string> | undefined
  /** Whether an element that it refuses ends the run, so that there is no use in trying the others. Default: it does not. */
  readonly endsRun?: boolean | undefined
}

/** What a write did that failed on some of its elements, by their index: what is in neither was not tried, or not by itself. */
export interface InPart {
  /** Those that were refused, each with what it failed with. */
  readonly refused: ReadonlyMap<number, unknown>
  /** Those that are written, and stay so. */
  readonly written: ReadonlyArray<number>
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
   * known, and halves are tried (P7). An at-least-once sink may say as well which are written: those it is not given again, as far
   * as no transaction around it was undone. Default: not known.
   */
  readonly atFault?: ((error: unknown) => ReadonlyArray<number> | InPart | "batch" | undefined) | undefined
  /**
   * Whether what a write failed with passes by itself, as a lost connection or a deadlock does, so that the write is tried again
   * without being asked for. Default: nothing does.
   */
  readonly mayPass?: ((error: unknown) => boolean) | undefined
  /** The batch that pays best: a run reads as far ahead as that needs. Default: up to 1,000. */
  readonly prefers?: { readonly rows: number } | undefined
  /** Told which state is committed now, which no write goes back from any more. Default: not told. */
  readonly settled?: ((committed: Schema.Json) => void) | undefined
  /** At the end of a run that knows what its last commit kept: takes away whatever else there is. */
  readonly close?: ((committed: Option.Option<Schema.Json>) => Effect.Effect<void, E, R>) | undefined
}

/** `J` is the journal that a run into it needs of the program: none where it has a `home`. */
export interface Sink<in A, out E, out R, out G extends Guarantee, out J = Journal> {
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
  /** Where its place is kept if it has no such journal, and the program gives none. Default: the program must give one. */
  readonly home?: Effect.Effect<Journal, E, R | J> | undefined
  readonly open: (opening: Opening) => Effect.Effect<Writer<A, E, R>, E, R | Scope.Scope>
  /** The sinks that this one stands for, each with a state of its own. */
  readonly members?: ReadonlyArray<Sink<A, E, R, Guarantee>> | undefined
  /** What it writes for these, where that is something else: for a dry run, which opens no sink. Default: these. */
  readonly preview?: ((elements: ReadonlyArray<A>) => ReadonlyArray<unknown>) | undefined
}

/**
 * What a run over positions `P` needs: `R`, and a journal of the program where there is a place to keep and `J` says that the sink
 * has none for it; no journal of the program where it has.
 */
export type Needs<R, J, P> = [Journal] extends [J] ? ([P] extends [NoPosition] ? R : R | J) : Exclude<R, Journal>

/** What `make` takes: all of a sink, with defaults for what most have no need to say. */
export type Parts<A, E, R, G extends Guarantee, J = Journal> = Pick<
  Sink<A, E, R, G, J>,
  "name" | "guarantee" | "open"
> &
  Partial<Sink<A, E, R, G, J>>

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
export const make = <A, E, R, G extends Guarantee, J = Journal>(parts: Parts<A, E, R, G, J>): Sink<A, E, R, G, J> => ({
  identity: Effect.succeed(parts.name),
  form: Effect.succeed({}),
  journal: Effect.succeedNone,
  ...parts
})

/** How `forEach` calls its function. */
export interface ForEachOptions {
  /** Default "forEach". */
  readonly name?: string | undefined
  /** How many calls are under way at once. Default 1: in the order of the elements. */
  readonly concurrency?: number | undefined
  /** The most elements that are given to one call, as an array. Default: each call is given one, as it is. */
  readonly batch?: number | undefined
}

/**
 * Calls `f` with each element, or with arrays of up to `batch` of them: one call after the other, or `concurrency` at once. What a
 * call does counts as durable when it has succeeded. The element of one that fails meets `onError`, after the `retry` of `Pipeline.to`;
 * an array that fails is tried in halves for that, until the element stands alone. After a crash, and where the transaction of a
 * journal in a database is undone, it may see elements of the last commit again.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { Journal, Pipeline, Sink } from "skein"
 *
 * const seen: Array<ReadonlyArray<number>> = []
 * const see = (numbers: ReadonlyArray<number>) => Effect.sync(() => void seen.push(numbers))
 * const job = Pipeline.from([1, 2, 3]).pipe(Pipeline.to(Sink.forEach(see, { batch: 2, concurrency: 4 })))
 *
 * await Effect.runPromise(Pipeline.run(job, { name: "see" }).pipe(Effect.provide(Journal.memory)))
 * seen // => [[1, 2], [3]]
 * ```
 */
export const forEach: {
  <A, X, E, R>(
    f: (elements: ReadonlyArray<A>) => Effect.Effect<X, E, R>,
    options: ForEachOptions & { readonly batch: number }
  ): Sink<A, E, R, "at-least-once">
  <A, X, E, R>(
    f: (element: A) => Effect.Effect<X, E, R>,
    options?: ForEachOptions & { readonly batch?: undefined }
  ): Sink<A, E, R, "at-least-once">
} = <A, X, E, R>(
  f: ((element: A) => Effect.Effect<X, E, R>) | ((elements: ReadonlyArray<A>) => Effect.Effect<X, E, R>),
  { batch, concurrency = 1, name = "forEach" }: ForEachOptions = {}
): Sink<A, E, R, "at-least-once"> => {
  checkWhole("Sink.forEach: concurrency", concurrency, 1, "unlimited")
  checkWhole("Sink.forEach: batch", batch, 1)
  const call =
    batch === undefined
      ? ([element]: ReadonlyArray<A>) => (f as (element: A) => Effect.Effect<X, E, R>)(element!)
      : (f as (elements: ReadonlyArray<A>) => Effect.Effect<X, E, R>)
  return make({
    name,
    guarantee: "at-least-once",
    open: ({ endsRun = false }) => Effect.sync(() => new Calls({ call, size: batch ?? 1, concurrency, stops: endsRun }))
  })
}

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

/**
 * The sink for elements that `f` makes what it takes: the same sink to whatever is kept of it, with the same guarantee. `f` must give
 * the same whenever it is asked of the same element. For effects there is `Pipeline.map`.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { Journal, Pipeline, Sink } from "skein"
 *
 * const seen: Array<string> = []
 * const texts = Sink.forEach((text: string) => Effect.sync(() => void seen.push(text)))
 * const job = Pipeline.from([1, 2]).pipe(Pipeline.to(Sink.mapInput(texts, (n: number) => `number ${n}`)))
 *
 * await Effect.runPromise(Pipeline.run(job, { name: "see" }).pipe(Effect.provide(Journal.memory)))
 * seen // => ["number 1", "number 2"]
 * ```
 */
export const mapInput: {
  <A, B>(f: (element: B) => A): <E, R, G extends Guarantee, J>(self: Sink<A, E, R, G, J>) => Sink<B, E, R, G, J>
  <A, E, R, G extends Guarantee, J, B>(self: Sink<A, E, R, G, J>, f: (element: B) => A): Sink<B, E, R, G, J>
} = dual(
  2,
  <A, E, R, G extends Guarantee, J, B>(self: Sink<A, E, R, G, J>, f: (element: B) => A): Sink<B, E, R, G, J> => ({
    ...self,
    open: (opening) =>
      Effect.map(self.open(opening), (writer): Writer<B, E, R> => ({
        ...writer,
        write: (elements, since) => Effect.suspend(() => writer.write(elements.map(f), since))
      })),
    preview: (elements) => {
      const given = elements.map(f)
      return self.preview?.(given) ?? given
    },
    members: self.members?.map((member) => mapInput(member, f))
  })
)

type Any = Sink<any, any, any, Guarantee>
type InputOf<S> = S extends Sink<infer A, any, any, any> ? (_: A) => void : never
type ErrorOf<S> = S extends Sink<any, infer E, any, any> ? E : never
type ServicesOf<S> = S extends Sink<any, any, infer R, any> ? R : never

/** The journal that the program must give: none where one of the sinks has a home. */
type JournalOf<S> = [HomeOf<S>] extends [never] ? Journal : never
type HomeOf<S> = S extends { readonly home?: Effect.Effect<any, any, infer R> | undefined }
  ? [Journal] extends [R]
    ? never
    : S
  : never

interface Named {
  readonly [name: string]: Any
}
/** What goes to each sink of `route`. */
export type Routed<Sinks extends Named> = {
  readonly [Name in keyof Sinks]?:
    | ReadonlyArray<Sinks[Name] extends Sink<infer A, any, any, any> ? A : never>
    | undefined
}

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
  ErrorOf<Sinks[number]>,
  ServicesOf<Sinks[number]>,
  Weakest<Sinks[number]["guarantee"]>,
  JournalOf<Sinks[number]>
> => together("Sink.all", sinks.flatMap(membersOf))

/**
 * Writes what becomes of each element to several sinks, in one transaction where they are tables of one database: `rows` gives for
 * an element what goes to each of them, by its name: one thing, many or nothing. So one element can be rows of two tables, and
 * elements can go to one table or the other. Where a sink refuses one of its rows, none of the element's are written, and the
 * element is what a dead letter keeps. `rows` must give the same whenever it is asked of the same element.
 *
 * @example
 * ```ts
 * import { Effect, Layer, Schema } from "effect"
 * import { Db, Pipeline, Sink } from "skein"
 * import { Drivers } from "skein/node"
 *
 * const Order = Schema.Struct({ id: Schema.Int, customer: Schema.String })
 * const Line = Schema.Struct({ order: Schema.Int, item: Schema.String })
 * const sink = Sink.route(
 *   { orders: Db.table("orders", Order, { key: "id" }), lines: Db.table("lines", Line) },
 *   (order: { readonly id: number; readonly customer: string; readonly items: ReadonlyArray<string> }) => ({
 *     orders: [{ id: order.id, customer: order.customer }],
 *     lines: order.items.map((item) => ({ order: order.id, item }))
 *   })
 * )
 * const job = Pipeline.from([{ id: 1, customer: "Ada", items: ["tea", "jam"] }]).pipe(Pipeline.to(sink))
 * const program = Effect.gen(function* () {
 *   yield* Pipeline.run(job, { name: "orders" })
 *   return yield* Db.query(Line)`SELECT * FROM lines`
 * }).pipe(Effect.provide(Db.sqlite(":memory:").pipe(Layer.provide(Drivers.layer))))
 *
 * await Effect.runPromise(program) // => [{ order: 1, item: "tea" }, { order: 1, item: "jam" }]
 * ```
 */
export const route = <A, const Sinks extends Named>(
  sinks: Sinks,
  rows: (element: A) => Routed<Sinks>
): Sink<
  A,
  ErrorOf<Sinks[keyof Sinks]>,
  ServicesOf<Sinks[keyof Sinks]>,
  Weakest<Sinks[keyof Sinks]["guarantee"]>,
  JournalOf<Sinks[keyof Sinks]>
> => {
  const router = new Router<A>(Object.keys(sinks), rows)
  return together(
    "Sink.route",
    Object.entries(sinks).flatMap(([name, sink]) => membersOf(sink).map((member) => routed(member, name, router)))
  )
}

/** The sink that writes its share of what elements become; what it refuses are elements. */
const routed = <A>(sink: Any, name: string, router: Router<A>): Any => ({
  ...sink,
  preview: (elements) => {
    const { rows } = router.share(elements, name)
    return sink.preview?.(rows) ?? rows
  },
  open: (opening) =>
    Effect.map(sink.open(opening), (writer): Writer<A, any, any> => {
      const isUndone = sink.guarantee !== "at-least-once"
      let ends: ReadonlyArray<number> = []
      return {
        ...writer,
        write: (elements, since) =>
          Effect.suspend(() => {
            const { ends: last, rows } = router.share(elements, name)
            ends = last
            if (rows.length === 0 && Option.isSome(since)) return Effect.succeed(since.value)
            const written = writer.write(rows, since)
            // Nobody cuts the rows of one element into halves.
            return isUndone && elements.length === 1 && rows.length > 1
              ? Effect.catchIf(
                  written,
                  (error) => writer.atFault !== undefined && writer.atFault(error) === undefined,
                  () => oneByOne(writer, rows, since)
                )
              : written
          }),
        atFault:
          writer.atFault &&
          ((error) => {
            const fault = writer.atFault!(error)
            if (fault === undefined || fault === "batch") return fault
            if ("written" in fault) return owned(ends, fault)
            return [...new Set(fault.map((row) => owner(ends, row)))]
          })
      }
    })
})

/** Fails as the row does that is refused. */
const oneByOne = (
  writer: Writer<any, any, any>,
  rows: ReadonlyArray<unknown>,
  since: Option.Option<Schema.Json>
): Effect.Effect<Schema.Json, any, any> =>
  Effect.map(
    Effect.reduce(
      rows,
      () => since,
      (state, row) => Effect.asSome(writer.write([row], state))
    ),
    Option.getOrThrow
  )

const membersOf = (sink: Any): ReadonlyArray<Any> => sink.members ?? [sink]

const together = <A, E, R, G extends Guarantee, J>(by: string, members: ReadonlyArray<Any>): Sink<A, E, R, G, J> => {
  if (members.length === 0) throw new TypeError(`${by} needs a sink`)
  const guarantee = ranks.find((rank) => members.some((sink) => sink.guarantee === rank))!
  const name = members.map((sink) => sink.name).join(" + ")
  return make<A, E, R, G, J>({
    name,
    // `ranks` runs from weakest to strongest, as `Weakest` does.
    guarantee: guarantee as G,
    journal: Effect.flatMap(
      Effect.forEach(members, (sink) => sink.journal),
      (found) => {
        const journals = new Set(found.flatMap(Option.toArray))
        return journals.size > 1
          ? Effect.die(new Error(`${by}: these sinks are in different databases, so that no transaction spans them`))
          : Effect.succeed(Option.fromUndefinedOr([...journals][0]))
      }
    ),
    home: members.find((sink) => sink.home !== undefined)?.home,
    members,
    open: () => Effect.die(new Error(`${name}: each of its members is opened by itself`))
  })
}
