/**
 * Where elements come from. A source that knows the position of each element can be resumed; one that
 * does not is read once, from its beginning.
 */
/* oxlint-disable typescript/no-explicit-any -- `any` matches every source in conditional types */
import type * as Context from "effect/Context"
import * as Digest from "effect/crypto/Digest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { Checksum } from "../concurrency/base/Checksum.ts"
import { checkDuration, checkWhole } from "../concurrency/base/Options.ts"
import { Attempt } from "./context/Attempt.ts"
import { changes } from "./context/Changes.ts"
import type { NewItem } from "./context/FrontierStore.ts"
import type { Fingerprint } from "./context/Place.ts"
import { through } from "./context/Portion.ts"
import { positioned } from "./flow/Portions.ts"
import { weigh } from "./flow/Weigh.ts"
import { storeOf } from "./frontier/Adding.ts"
import { depthOf, encoder, type FrontierPosition } from "./frontier/Items.ts"
import * as Taking from "./frontier/Taking.ts"
import { FrontierError } from "./FrontierError.ts"
import { Journal } from "./Journal.ts"

export type { Fingerprint, Position } from "./context/Place.ts"
export { FrontierError, type FrontierPosition }

/** Marks a source that has no positions and so cannot be resumed. */
export interface NoPosition {
  readonly _tag: "NoPosition"
}

/** One element with what the engine has to know of it. */
export interface Element<out A, out P> {
  readonly value: A
  /** Where reading goes on once this element and all before it are settled. */
  readonly position: P
  /** Its size in memory, as near as the source can tell cheaply. */
  readonly bytes: number
}

/** What anything that `Pipeline.from` takes is read as. Only a `Source` has positions. */
interface Origin<A, E, R, P> {
  readonly element: A
  readonly error: E
  readonly services: R
  readonly position: P
}
export type OriginOf<I> = 0 extends 1 & I
  ? Origin<any, any, any, NoPosition>
  : I extends Source<infer A, infer E, infer R, infer P>
    ? Origin<A, E, R, P>
    : I extends Stream.Stream<infer A, infer E, infer R>
      ? Origin<A, E, R, NoPosition>
      : I extends Iterable<infer A> | AsyncIterable<infer A>
        ? Origin<A, never, never, NoPosition>
        : never

/** What `Pipeline.from` takes, or what the compiler says instead. An effect and a string can be iterated, but not to elements. */
export type Readable<I> = I extends string
  ? "A string is not a source: use Files.lines for a file, or an array"
  : I extends Effect.Effect<any, any, any>
    ? "An effect is not a source: yield* it first, or use Stream.fromEffect or Stream.unwrap"
    : I extends Source<any, any, any, any> | Stream.Stream<any, any, any> | Iterable<any> | AsyncIterable<any>
      ? I
      : I extends PromiseLike<any>
        ? "A promise is not a source: await it first, or use an async generator"
        : I extends (...input: any) => unknown
          ? "A function is not a source: call it, and give what it returns"
          : I extends { readonly source: unknown; readonly steps: unknown }
            ? "A pipeline is not a source: add steps to it with pipe"
            : "This is not a source: use a Source, such as Files.lines or Source.list, a Stream, or an iterable"

/** Up to where a source is settled, and what its content up to there was known by. */
export interface Settled<out P> {
  readonly position: Option.Option<P>
  readonly fingerprint: Fingerprint
}

/** The elements that one run takes from a source, and what becomes of them. */
export interface Account<out A, out E, out R, in out P> {
  /** A position is the name of an element: the same in every run that takes it, and never that of another one. */
  readonly elements: Stream.Stream<Element<A, P>, E, R>
  /**
   * Settles elements, in the transaction of the journal that makes durable what became of them, which may run again. Fails where
   * one of them is not this run's any more, so that nothing of the transaction is kept.
   */
  readonly settle: (positions: ReadonlyArray<P>) => Effect.Effect<void, E, R>
  /** Whether an error of `settle` passes by itself, as for a sink. Default: it does not. */
  readonly mayPass?: ((error: unknown) => boolean) | undefined
  /** The transaction that settled these is committed. */
  readonly settled: (positions: ReadonlyArray<P>) => void
}

export interface Source<out A, out E, out R, in out P> {
  readonly name: string
  /** Whether its positions mean anything: false only for `NoPosition`. */
  readonly resumable: boolean
  /** The `bytes` of all its elements together, where that is known without reading them: the base of an ETA. */
  readonly size: Effect.Effect<Option.Option<number>, E, R>
  /**
   * What the content up to a position is known by; none means before the first element. It must not change when something is
   * added or mended behind that position. `since` is what this run was given for an earlier position, to build on.
   */
  readonly fingerprint: (upTo: Option.Option<P>, since?: Fingerprint) => Effect.Effect<Fingerprint, E, R>
  /**
   * What differs from a fingerprint that an earlier run kept, in words. With a `watermark`, `upTo` is the last of elements that are
   * settled ahead of it, known by how many elements behind it they are. Default: compares with `fingerprint(upTo)`.
   */
  readonly changed?:
    | ((
        kept: Fingerprint,
        upTo: Option.Option<P>,
        watermark?: Settled<P>
      ) => Effect.Effect<ReadonlyArray<string>, E, R>)
    | undefined
  /** The files it is in, by all of their names, so that none of them is written to (P14). Default: none. */
  readonly places?: Effect.Effect<ReadonlyArray<string>, E, R> | undefined
  /**
   * Told up to where all elements are settled, after each commit that moved that place, and again when a run goes on from it
   * (P16): for a source that keeps elements until then, as a message queue does. Default: not told.
   */
  readonly settled?: ((upTo: P) => Effect.Effect<void, E, R>) | undefined
  /**
   * For a source that keeps account of each element by itself, as a queue does: opened by a run and closed with it, it gives the
   * elements instead of `read`. No position is kept of it, and `fingerprint` is that of before the first element. Default: none.
   */
  readonly account?: Effect.Effect<Account<A, E, R, P>, E, R | Scope.Scope> | undefined
  /**
   * The elements behind `after`, or all of them. Reading again from the same position gives the same elements. `kept` is the
   * fingerprint that a run kept up to there, for a source whose positions alone do not say all that was read.
   */
  readonly read: (after: Option.Option<P>, kept?: Fingerprint) => Stream.Stream<Element<A, P>, E, R>
}

/**
 * A source of the elements of a list, in order, resumable by their index. The list may grow from run to run; where one of
 * the elements that were settled is another one now, it is refused. `name` stands in messages.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { Pipeline, Source } from "skein"
 *
 * const pages = Source.list([1, 2, 3], { name: "pages" })
 *
 * await Effect.runPromise(Pipeline.collect(Pipeline.from(pages))) // => [1, 2, 3]
 * ```
 */
export const list = <A>(
  items: ReadonlyArray<A> & ReadonlyArray<Schema.Json>,
  options: { readonly name: string }
): Source<A, never, never, number> => ({
  name: options.name,
  resumable: true,
  size: Effect.sync(() => Option.some(items.reduce((sum: number, item) => sum + weigh(item), 0))),
  fingerprint: (upTo, since) =>
    Effect.sync(() => {
      const count = Option.getOrElse(upTo, () => 0)
      const known = since !== undefined && Number(since["count"]) <= count ? since : { count: 0, checksum: undefined }
      const checksum = new Checksum(known["checksum"] as string | undefined)
      for (let i = Number(known["count"]); i < Math.min(count, items.length); i++) {
        checksum.addText(JSON.stringify(items[i])).addText("\n")
      }
      return { count: Math.min(count, items.length), checksum: checksum.text }
    }),
  changed: (kept, upTo) =>
    "sha256" in kept
      ? Effect.map(sha256(items.slice(0, Number(kept["count"]))), (sha256) => changes(kept, { ...kept, sha256 }))
      : Effect.map(list(items, options).fingerprint(upTo), (now) => changes(kept, now)),
  read: (after) =>
    positioned(
      items as ReadonlyArray<A>,
      Option.getOrElse(after, () => 0)
    )
})

/**
 * A source that has some of the services it needs already, whatever is around the run: a table of another database than the sink's,
 * say. A layer becomes a context with `Layer.build`, whose scope keeps the database open. Throws a `TypeError` for a source that
 * settles its elements in the sink's transaction, as a queue does: that has to be of the sink's own database.
 *
 * @example
 * ```ts
 * import { Effect, Layer, Schema } from "effect"
 * import { Db, Pipeline, Source } from "skein"
 * import { Drivers } from "skein/node"
 *
 * const Order = Schema.Struct({ id: Schema.Int, cents: Schema.Int })
 *
 * const program = Effect.gen(function* () {
 *   const shop = yield* Layer.build(Db.open("shop.db"))
 *   yield* Effect.provide(Db.execute`CREATE TABLE orders (id INTEGER PRIMARY KEY, cents INTEGER NOT NULL)`, shop)
 *   yield* Effect.provide(Db.execute`INSERT INTO orders VALUES (1, 250)`, shop)
 *   const orders = Source.provide(Db.rows("orders", Order, { by: "id" }), shop)
 *   yield* Pipeline.run(Pipeline.from(orders).pipe(Pipeline.to(Db.table("copy", Order, { key: "id" }))), { name: "copy" })
 *   return yield* Db.query(Order)`SELECT * FROM copy`
 * }).pipe(Effect.provide(Db.open("copy.db")), Effect.provide(Drivers.layer), Effect.scoped)
 *
 * await Effect.runPromise(program) // => [{ id: 1, cents: 250 }]
 * ```
 */
export const provide = <A, E, R, P, S>(
  source: Source<A, E, R, P>,
  context: Context.Context<S>
): Source<A, E, Exclude<R, S>, P> => {
  if (source.account !== undefined) {
    throw new TypeError(
      `Source.provide: ${source.name} settles its elements in the transaction of the sink, so it has to be of the sink's database: provide that to the whole run`
    )
  }
  return {
    name: source.name,
    resumable: source.resumable,
    size: Effect.provideContext(source.size, context),
    fingerprint: (upTo, since) => Effect.provideContext(source.fingerprint(upTo, since), context),
    changed: source.changed && ((...given) => Effect.provideContext(source.changed!(...given), context)),
    places: source.places && Effect.provideContext(source.places, context),
    settled: source.settled && ((upTo) => Effect.provideContext(source.settled!(upTo), context)),
    read: (after, kept) => through(source.read(after, kept), (stream) => Stream.provideContext(stream, context))
  }
}

/** What version 0.1 kept of a whole list. */
const sha256 = (items: ReadonlyArray<unknown>): Effect.Effect<string> =>
  Digest.Digest.pipe(
    Effect.flatMap((digest) => digest.digestHex(Digest.sha256, new TextEncoder().encode(JSON.stringify(items)))),
    Effect.provide(Digest.layerWebCrypto)
  )

type KeyOf<I> = I extends object ? Extract<keyof I, string> : never

export interface FrontierOptions<in out A, in out I> {
  /** The field, or fields, that an item is known by, as they are in JSON. Default: all of it, for items that are a text or a number. */
  readonly key?: KeyOf<I> | ReadonlyArray<KeyOf<I>> | undefined
  /** Items with a higher one are taken first; those of one priority in the order in which they were added. Default 0. */
  readonly priority?: ((item: A) => number) | undefined
  /** How far from those that were added outside of a step items may be; others are left out and counted as filtered. Default: any. */
  readonly maxDepth?: number | undefined
  /** What must not be asked for too much at once, as the host of a URL: items of all lanes are taken in turn. Default: one lane. */
  readonly lane?: ((item: A) => string) | undefined
  /** With `lane`: the most items of one that a run holds at a time. Default 8. */
  readonly perLane?: number | undefined
  /** How long a run that is not heard of keeps what it has taken; one that lives renews it. Default 30 seconds. */
  readonly lease?: Duration.Input | undefined
  /** The most items that a run holds at a time. Default 100. */
  readonly atOnce?: number | undefined
  /**
   * Whether a run goes on when nothing is left, looking for more every `poll`. Default false: it ends once all items are done, by it
   * or by others: what they have taken may add more, or be given back.
   */
  readonly follow?: boolean | undefined
  /** How often to look for more. Default half a second. */
  readonly poll?: Duration.Input | undefined
}

/** Items to be done, each of them once: a source, to which its own steps may add. */
export interface Frontier<in out A> extends Source<A, FrontierError, Journal, FrontierPosition> {
  /**
   * Adds items whose key was never added. In a step of a run they are written in the commit that settles the element of the step, and
   * are dropped where the step fails; elsewhere they are written at once, in the transaction that is open where one is.
   */
  readonly add: (
    items: Iterable<A>,
    options?: { readonly priority?: number | undefined }
  ) => Effect.Effect<void, FrontierError, Journal>
  /** In a step: how many items led to its element from one that was added outside of a step; 0 for such a one. */
  readonly depth: Effect.Effect<number>
}

/**
 * A source of work that makes work (P17): items that are added by `add`, before the run or by its steps, and are each done once,
 * however often they are added. They are kept in the journal of the run, where that is in a database, and taken by any
 * number of runs, each under a name or partition of its own, in this process and others: an item is taken by one of them, done in the
 * commit of what became of it, and another's again when that run ends or is not heard of for `lease`. A run ends once all items are
 * done, those that others have taken too. Fails with a `FrontierError`, and with a journal that keeps none, as that of a file.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import * as Schema from "effect/Schema"
 * import { Journal, Pipeline, Sink, Source } from "skein"
 *
 * const pages: Record<string, ReadonlyArray<string>> = { "/": ["/a", "/b"], "/a": ["/"], "/b": ["/a", "/c"], "/c": ["/"] }
 * const links = Source.frontier("links", Schema.String)
 *
 * const job = Pipeline.from(links).pipe(
 *   Pipeline.map((url) => Effect.as(links.add(pages[url] ?? []), url), { concurrency: 4 }),
 *   Pipeline.to(Sink.discard)
 * )
 * const program = Effect.gen(function* () {
 *   yield* links.add(["/"])
 *   const { settled } = yield* Pipeline.run(job, { name: "crawl" })
 *   return settled
 * })
 *
 * await Effect.runPromise(Effect.provide(program, Journal.memory)) // => 4
 * ```
 */
export const frontier = <A, I>(
  name: string,
  schema: Schema.Codec<A, I>,
  options: FrontierOptions<A, I> = {}
): Frontier<A> => {
  if (name === "") throw new RangeError("The name of a frontier must not be empty: its items are kept by it")
  checkWhole("Source.frontier: maxDepth", options.maxDepth, 0)
  checkWhole("Source.frontier: perLane", options.perLane, 1)
  checkDuration("Source.frontier: lease", options.lease)
  checkWhole("Source.frontier: atOnce", options.atOnce, 1)
  checkDuration("Source.frontier: poll", options.poll)
  const { atOnce = 100, follow = false, key = [], lane, maxDepth = Infinity, perLane = 8, priority } = options
  const taking: Taking.Taking<A> = {
    name,
    schema,
    key: typeof key === "string" ? [key] : key,
    priority,
    lane,
    lease: Duration.fromInputUnsafe(options.lease ?? "30 seconds"),
    poll: Duration.fromInputUnsafe(options.poll ?? "500 millis"),
    atOnce,
    perLane: lane === undefined ? atOnce : perLane,
    follow
  }
  const encode = encoder(taking)
  const store = Effect.flatMap(Journal, (journal) => storeOf(journal, name))
  return {
    name: `frontier ${name}`,
    resumable: true,
    size: Effect.succeedNone,
    fingerprint: () => Effect.succeed({ frontier: name }),
    account: Effect.flatMap(store, (store) => Taking.open(store, taking)),
    read: () => Stream.unwrap(Effect.map(store, (store) => Taking.peek(store, taking))),
    depth: Effect.map(Attempt, ({ positions }) => Math.max(0, depthOf(name, positions) - 1)),
    add: (items, { priority } = {}) =>
      Effect.flatMap(Attempt, (attempt) => {
        const depth = depthOf(name, attempt.positions)
        const rows: Array<NewItem> = []
        let tooDeep = 0
        let at = 0
        for (const item of items) {
          const row = depth > maxDepth ? undefined : encode(item, at++, depth, priority)
          if (row instanceof FrontierError) return Effect.fail(row)
          if (row === undefined) tooDeep += 1
          else rows.push(row)
        }
        if (attempt.add === undefined) return Effect.flatMap(store, ({ add }) => add(rows))
        attempt.add({ frontier: name, items: rows, tooDeep })
        return Effect.void
      })
  }
}
