/**
 * Where the watermark and the dead letters of a pipeline are kept. The journal of a database writes them in the
 * same transaction as the rows of a sink in that database, which is what makes a pipeline exactly-once.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type { TypedError } from "../concurrency/base/TypedError.ts"
import type { Fingerprint, Position } from "./Source.ts"

/** What is known for certain of a pipeline: read on start, replaced by each commit. */
export interface Checkpoint {
  readonly fingerprint: Fingerprint
  /** The watermark: the fate of every element up to here is known. None before the first. */
  readonly position: Option.Option<Position>
  /** Elements beyond the watermark that are settled already, counted from it: 1 is the one just behind it. */
  readonly ahead: ReadonlyArray<number>
  /** What the sink's last committed `write` gave. */
  readonly sink: Option.Option<Schema.Json>
  /** Counts over all runs since the pipeline first started. */
  readonly counts: Counts
  /** True once the source was read to its end and every element was settled. */
  readonly finished: boolean
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

/** The durable record of an element that failed for good. */
export interface DeadLetter {
  readonly step: string
  /** The step's input, encoded by the schema given to `onError`. */
  readonly input: Schema.Json
  /** The error, readable. */
  readonly cause: string
  readonly attempts: number
  readonly position: Position
  /** The `version` its run was given, to tell what was mended since. */
  readonly version: string | null
  /** When it was given up, in milliseconds since the epoch. */
  readonly at: number
}

/** A dead letter as it is kept. */
export interface KeptDeadLetter extends DeadLetter {
  readonly id: number
  /** True once a replay has settled it. */
  readonly replayed: boolean
}

const JournalErrorBase: TypedError<
  JournalError,
  "JournalError",
  {
    readonly pipeline: Schema.String
    readonly tried: Schema.String
    readonly reason: Schema.String
  }
> = Schema.TaggedError<JournalError>()("JournalError", {
  pipeline: Schema.String,
  tried: Schema.String,
  reason: Schema.String
})

/** The journal could not be read or written. What was not committed is read again by the next run. */
export class JournalError extends JournalErrorBase {
  override get message(): string {
    return `Journal of pipeline "${this.pipeline}": could not ${this.tried}: ${this.reason}`
  }
}

export interface Journal {
  readonly load: (pipeline: string) => Effect.Effect<Option.Option<Checkpoint>, JournalError>
  /** Forgets the checkpoint (not the dead letters), so that the next run starts at the beginning. */
  readonly reset: (pipeline: string) => Effect.Effect<void, JournalError>
  /**
   * Runs `write`, then keeps the checkpoint made of what it gave, and the dead letters: all of it or nothing.
   * Where the journal is a database, all happens in one transaction of it.
   */
  readonly commit: <E, R>(
    pipeline: string,
    write: Effect.Effect<{ readonly checkpoint: Checkpoint; readonly dead: ReadonlyArray<DeadLetter> }, E, R>
  ) => Effect.Effect<void, E | JournalError, R>
  /** The dead letters of a pipeline that no replay has settled yet, oldest first. */
  readonly dead: (pipeline: string) => Effect.Effect<ReadonlyArray<KeptDeadLetter>, JournalError>
  /** Marks dead letters as settled by a replay; call it inside the `write` of a commit to make it part of that. */
  readonly markReplayed: (pipeline: string, ids: ReadonlyArray<number>) => Effect.Effect<void, JournalError>
}

export const Journal: Context.Service<Journal, Journal> = Context.Service("skein/Journal")

/**
 * A journal that is gone with the process: for jobs whose source cannot be resumed anyway, and for tests.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import * as Option from "effect/Option"
 * import { Journal } from "skein"
 *
 * const program = Effect.flatMap(Journal.Journal, (journal) => journal.load("never ran"))
 *
 * Option.isNone(await Effect.runPromise(program.pipe(Effect.provide(Journal.memory)))) // => true
 * ```
 */
export const memory: Layer.Layer<Journal> = Layer.sync(Journal, () => {
  const checkpoints = new Map<string, Checkpoint>()
  const letters = new Map<string, ReadonlyArray<KeptDeadLetter>>()
  const lettersOf = (pipeline: string) => letters.get(pipeline) ?? []
  return {
    load: (pipeline) => Effect.sync(() => Option.fromUndefinedOr(checkpoints.get(pipeline))),
    reset: (pipeline) => Effect.sync(() => void checkpoints.delete(pipeline)),
    commit: (pipeline, write) =>
      Effect.map(write, ({ checkpoint, dead }) => {
        checkpoints.set(pipeline, checkpoint)
        const before = lettersOf(pipeline)
        letters.set(pipeline, [
          ...before,
          ...dead.map((letter, i) => ({ ...letter, id: before.length + i + 1, replayed: false }))
        ])
      }),
    dead: (pipeline) => Effect.sync(() => lettersOf(pipeline).filter((letter) => !letter.replayed)),
    markReplayed: (pipeline, ids) =>
      Effect.sync(() => {
        letters.set(
          pipeline,
          lettersOf(pipeline).map((letter) => ({ ...letter, replayed: letter.replayed || ids.includes(letter.id) }))
        )
      })
  }
})
