/**
 * Where the watermark and the dead letters of a pipeline are kept, and who may write them. The journal of a database writes
 * them in the same transaction as the rows of a sink in that database, which is what makes a pipeline exactly-once.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { AlreadyRunning, type JournalError, LeaseLost } from "./JournalError.ts"
import { Host, newId } from "./context/Host.ts"
import {
  type Adopted,
  changed,
  type DeadLetter,
  type Held,
  type KeptDeadLetter,
  type LetterChange,
  type LetterFilter,
  newcomers,
  select
} from "./context/Letter.ts"
import { SeenKeys } from "./context/SeenKeys.ts"
import * as Frontiers from "./frontier/Memory.ts"
import type { FrontierStore } from "./context/FrontierStore.ts"
import type { Fingerprint, Position } from "./context/Place.ts"

export { AlreadyRunning, JournalError, LeaseLost } from "./JournalError.ts"
export type { Adopted, DeadLetter, KeptDeadLetter, LetterCause, LetterFilter } from "./context/Letter.ts"

/** What a journal keeps apart. */
export interface JournalKey {
  readonly pipeline: string
  readonly partition: string | null
}

/** What is known for certain of a pipeline: read on start, replaced by each commit. */
export interface Checkpoint {
  /** Of the source, up to the watermark. */
  readonly fingerprint: Fingerprint
  /** The watermark: the fate of every element up to here is known. None before the first. */
  readonly position: Option.Option<Position>
  /** Elements beyond the watermark that are settled already, counted from it: 1 is the one just behind it. */
  readonly ahead: ReadonlyArray<number>
  /** Where the last of those ends, with the fingerprint of the source up to there. */
  readonly reach: Option.Option<{ readonly position: Position; readonly fingerprint: Fingerprint }>
  /** Of a pipeline with several sources, the place of each by its name; what is said above is of none of them then. */
  readonly inputs?: { readonly [source: string]: Place } | undefined
  /** How far inside of elements all is settled that are not themselves (P16). */
  readonly inside?: ReadonlyArray<Inside> | undefined
  /** The same of dead letters whose replay was begun, by their id. */
  readonly replaying?: { readonly [letter: string]: ReadonlyArray<Inside> } | undefined
  /** What each sink's last committed `write` gave, by the sink's identity. */
  readonly sinks: { readonly [identity: string]: SinkState }
  /** Of a checkpoint that version 0.1 kept: the state of a sink, or of several by their place. */
  readonly unnamed?: Option.Option<Schema.Json> | undefined
  /** The state of each step that has one, by the name of the step, as it was after the last settled element. */
  readonly steps?: { readonly [name: string]: Schema.Json } | undefined
  /** Counts over all runs since the pipeline first started. */
  readonly counts: Counts
  /** True once the source was read to its end and every element was settled. */
  readonly finished: boolean
}

/** What is settled of one of several sources, or inside of an element. The fields are those of a checkpoint; what is absent is none. */
export interface Place {
  readonly fingerprint: Fingerprint
  readonly position?: Position
  readonly ahead: ReadonlyArray<number>
  readonly reach?: { readonly position: Position; readonly fingerprint: Fingerprint }
  readonly inside?: ReadonlyArray<Inside>
}

/** How far all is settled that a step reads of one element. */
export interface Inside {
  /** The element, counted from the watermark: 1 is the one just behind it. */
  readonly index: number
  readonly step: string
  /** Which descendant of the element the step was given. */
  readonly path: string
  /** Parts up to the watermark inside of it. */
  readonly count: number
  readonly place: Place
  /** The keys that steps before had let it pass for: to others they are seen, as parts of it may be written; to it they are its own. */
  readonly seen?: ReadonlyArray<SeenBy> | undefined
}

export interface SinkState {
  readonly fingerprint: Fingerprint
  readonly state: Schema.Json
}

export interface Counts {
  /** Elements of the source whose fate is known. */
  readonly settled: number
  /** Elements given to the sink. */
  readonly written: number
  readonly filtered: number
  readonly skipped: number
  readonly dead: number
  /** Bytes of the settled elements, as their source measures them. */
  readonly bytes: number
}

/** The key of an element that a step let pass, so that it drops others of that key. */
export interface Seen {
  readonly step: string
  readonly key: string
}

/** Which descendant of an element it was that was let pass. */
export interface SeenBy extends Seen {
  readonly path: string
}

/** What one commit keeps: all of it or nothing. */
export interface Commit {
  readonly checkpoint: Checkpoint
  readonly dead: ReadonlyArray<DeadLetter>
  /** Whether somebody has to be told of them, so that they are found until that is done. Default false. */
  readonly untold?: boolean | undefined
  /** The dead letters that a replay has settled. */
  readonly replayed: ReadonlyArray<number>
  /** The keys of what became settled, and of what has parts that did. */
  readonly seen: ReadonlyArray<Seen>
  /** The pipeline starts over: dead letters and keys that were kept are forgotten, as their elements are read again. */
  readonly restart: boolean
}

export interface LeaseOptions {
  /** How long the lease lasts unless it is renewed. */
  readonly duration: Duration.Duration
  /**
   * Whether all that is written through it is part of the journal's transactions. Then a holder that is frozen in one can be thrown
   * out of it; files it would go on writing to, once it wakes. Default true.
   */
  readonly isFenced?: boolean | undefined
}

/** The right to run a pipeline, held by one run at a time (P10). Whatever is written through it is refused once it is lost. */
export interface Lease {
  /** Of this pipeline in this journal: the same for every run of it. */
  readonly id: string
  /** Who holds it. */
  readonly host: Host
  /** Whether the journal outlives the process. */
  readonly durable: boolean
  /** Whether nothing is left behind but what is committed: no run before has opened sinks and not told how it ended. */
  readonly clean: boolean
  /** How often it has to be renewed; none where it lasts as long as the process. */
  readonly renewEvery: Option.Option<Duration.Duration>
  readonly renew: Effect.Effect<void, JournalError | LeaseLost>
  readonly load: Effect.Effect<Option.Option<Checkpoint>, JournalError | LeaseLost>
  /** Those of the keys that a commit of this pipeline has kept for that step. */
  readonly seen: (step: string, keys: ReadonlyArray<string>) => Effect.Effect<ReadonlySet<string>, JournalError>
  /**
   * Runs `work` while nobody can take the lease away, and fails before it where that has happened: what opens or closes sinks
   * goes by a checkpoint that must still be the last one. From then on there may be more than what is committed.
   */
  readonly guard: <A, E, R>(work: Effect.Effect<A, E, R>) => Effect.Effect<A, E | JournalError | LeaseLost, R>
  /**
   * Runs `write` and keeps what it gave. Where the journal is a database, all happens in one transaction of it, which may run
   * again: `write` has to allow for that. Succeeds only if it is known to be kept.
   */
  readonly commit: <E, R>(write: Effect.Effect<Commit, E, R>) => Effect.Effect<void, E | JournalError | LeaseLost, R>
  /** Takes dead letters out of the journal, and gives how many. */
  readonly purge: (filter: LetterFilter) => Effect.Effect<number, JournalError | LeaseLost>
  /** Keeps letters that come from elsewhere, but those it has already: all of them, or none where the stream fails. */
  readonly adopt: <E, R>(
    letters: Stream.Stream<DeadLetter, E, R>
  ) => Effect.Effect<Adopted, E | JournalError | LeaseLost, R>
  /** Marks dead letters that somebody was to be told of, and was. */
  readonly told: (ids: ReadonlyArray<number>) => Effect.Effect<void, JournalError | LeaseLost>
  /** Says that nothing is left behind but what is committed; the lease itself ends with its scope. */
  readonly leaveClean: Effect.Effect<void>
}

export interface Journal {
  /** The files it is in, by all of their names, so that none of them is taken for a source or sink (P14). */
  readonly places: ReadonlyArray<string>
  /** Takes the lease of a pipeline for as long as the scope is open, or fails with `AlreadyRunning`. */
  readonly lease: (
    key: JournalKey,
    options: LeaseOptions
  ) => Effect.Effect<Lease, AlreadyRunning | JournalError, Scope.Scope>
  readonly load: (key: JournalKey) => Effect.Effect<Option.Option<Checkpoint>, JournalError>
  /** The dead letters of a pipeline that a filter lets through, in the order in which they were kept; all that wait, without one. */
  readonly dead: (key: JournalKey, filter?: LetterFilter) => Effect.Effect<ReadonlyArray<KeptDeadLetter>, JournalError>
  /** Those of the keys that a commit of that pipeline has kept for a step. */
  readonly seen: (
    key: JournalKey,
    step: string,
    keys: ReadonlyArray<string>
  ) => Effect.Effect<ReadonlySet<string>, JournalError>
  /** Keeps dead letters without a commit. */
  readonly bury: (key: JournalKey, letters: ReadonlyArray<DeadLetter>) => Effect.Effect<void, JournalError>
  /** The items of the frontier of that name (P17). Default: it keeps none. */
  readonly frontier?: ((name: string) => FrontierStore) | undefined
}

/**
 * Where runs keep their place whose sinks have no journal of their own. `Journal.memory` is one, and `Db.sqlite` gives one.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { Journal } from "skein"
 *
 * const letters = Effect.flatMap(Journal.Journal, (journal) => journal.dead(Journal.keyOf("pages")))
 *
 * await Effect.runPromise(Effect.provide(letters, Journal.memory)) // => []
 * ```
 */
export const Journal: Context.Service<Journal, Journal> = Context.Service("skein/Journal")

/**
 * The key of a pipeline, whole or a partition of it.
 *
 * @example
 * ```ts
 * import { Journal } from "skein"
 *
 * const key = Journal.keyOf("pages", "a-m") // => { pipeline: "pages", partition: "a-m" }
 * void key
 * ```
 */
export const keyOf = (pipeline: string, partition?: string | undefined): JournalKey => ({
  pipeline,
  partition: partition ?? null
})

/**
 * A journal that is gone with the process: for jobs whose source cannot be resumed anyway, and for tests.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import * as Option from "effect/Option"
 * import { Journal } from "skein"
 *
 * const never = Journal.keyOf("never ran")
 * const program = Effect.flatMap(Journal.Journal, (journal) => journal.load(never))
 *
 * Option.isNone(await Effect.runPromise(program.pipe(Effect.provide(Journal.memory)))) // => true
 * ```
 */
export const memory: Layer.Layer<Journal> = Layer.effect(
  Journal,
  Effect.map(newId, (process) => inMemory(process))
)

const inMemory = (process: string): Journal => {
  interface Kept {
    readonly id: string
    checkpoint: Option.Option<Checkpoint>
    dead: Held
    readonly seen: SeenKeys
    clean: boolean
    held: { readonly by: Host; readonly since: number } | undefined
  }
  const all = new Map<string, Kept>()
  let ids = 0
  const of = ({ partition, pipeline }: JournalKey): Kept => {
    const key = JSON.stringify([pipeline, partition])
    const kept = all.get(key) ?? {
      id: `${process}/${++ids}`,
      checkpoint: Option.none(),
      dead: { letters: [], next: 1 },
      seen: new SeenKeys(),
      clean: true,
      held: undefined
    }
    all.set(key, kept)
    return kept
  }
  return {
    places: [],
    lease: (key) => {
      const kept = of(key)
      return Effect.acquireRelease(
        Effect.flatMap(Effect.all([Clock.currentTimeMillis, Host]), ([now, host]) => {
          // A process that was played in a test may be gone.
          if (kept.held !== undefined && host.runs(kept.held.by.id) !== false) {
            const { pipeline } = key
            const { since } = kept.held
            return Effect.fail(new AlreadyRunning({ pipeline, holder: "this process", since, until: now }))
          }
          const { clean } = kept
          const held = { by: host, since: now }
          kept.held = held
          const lost = Effect.suspend(() =>
            kept.held === held
              ? Effect.void
              : Effect.fail(new LeaseLost({ pipeline: key.pipeline, holder: "this process" }))
          )
          const change = (letters: LetterChange): void => {
            kept.dead = changed(kept.dead, letters)
          }
          const lease: Lease & { end: () => void } = {
            id: kept.id,
            host,
            durable: false,
            clean,
            renewEvery: Option.none(),
            renew: lost,
            load: Effect.sync(() => kept.checkpoint),
            seen: (step, keys) => Effect.sync(() => kept.seen.among(step, keys)),
            guard: (work) =>
              Effect.andThen(
                Effect.map(lost, () => void (kept.clean = false)),
                work
              ),
            commit: (write) =>
              Frontiers.commit(write, ({ checkpoint, seen, ...letters }) =>
                Effect.map(lost, () => {
                  change(letters)
                  if (letters.restart) kept.seen.clear()
                  for (const { key, step } of seen) kept.seen.add(step, [key])
                  kept.checkpoint = Option.some(checkpoint)
                })
              ),
            purge: (filter) =>
              Effect.map(lost, () => {
                const purged = select(kept.dead.letters, filter).map(({ id }) => id)
                change({ purged })
                return purged.length
              }),
            adopt: (letters) =>
              Effect.flatMap(Stream.runCollect(letters), (brought) =>
                Effect.map(lost, () => {
                  const dead = newcomers(kept.dead.letters, brought)
                  change({ dead })
                  return { added: dead.length, known: brought.length - dead.length }
                })
              ),
            told: (told) => Effect.map(lost, () => change({ told })),
            leaveClean: Effect.sync(() => void (kept.clean = true)),
            end: () => {
              if (kept.held === held) kept.held = undefined
            }
          }
          return Effect.succeed(lease)
        }),
        (lease) => Effect.sync(lease.end)
      )
    },
    load: (key) => Effect.sync(() => of(key).checkpoint),
    dead: (key, filter) => Effect.sync(() => select(of(key).dead.letters, filter)),
    seen: (key, step, keys) => Effect.sync(() => of(key).seen.among(step, keys)),
    bury: (key, dead) =>
      Effect.sync(() => {
        const kept = of(key)
        kept.dead = changed(kept.dead, { dead })
      }),
    frontier: Frontiers.make()
  }
}
