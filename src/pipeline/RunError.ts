/** What ends a run besides the errors of its own source, steps and sink. */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import type * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as ErrorText from "../concurrency/base/ErrorText.ts"
import * as Foreign from "../concurrency/base/Foreign.ts"
import type { AlreadyRunning, LeaseLost } from "./JournalError.ts"
import type { Position } from "./Source.ts"

export type RunError =
  | SourceChanged
  | SinkChanged
  | SamePlace
  | AlreadyRunning
  | LeaseLost
  | TooManyDeadLetters
  | BadDeadLetter
  | StepsChanged
  | BadState

/** What was read of the source is not there any more as it was, so that its positions mean something else. */
export class SourceChanged extends Schema.TaggedError<SourceChanged>()("SourceChanged", {
  pipeline: Schema.String,
  source: Schema.String,
  changes: Schema.Array(Schema.String)
}) {
  override get message(): string {
    return (
      `Cannot resume pipeline "${this.pipeline}": its source ${this.source} changed since the last run ` +
      `(${this.changes.join("; ")}). Put it back as it was, start over (onChanged: "restart"), or use another name`
    )
  }
}

/** The pipeline wrote somewhere else when it last ran. What is committed there says nothing of what is here. */
export class SinkChanged extends Schema.TaggedError<SinkChanged>()("SinkChanged", {
  pipeline: Schema.String,
  changes: Schema.Array(Schema.String)
}) {
  override get message(): string {
    return (
      `Cannot resume pipeline "${this.pipeline}": ${this.changes.join("; ")}. Write to where it wrote before, use another ` +
      `name, start over (restart: true), or let what is new begin with what comes now (onSinkChanged: "begin")`
    )
  }
}

/** The pipeline had other steps that keep something when it last ran. Nothing was read or written. */
export class StepsChanged extends Schema.TaggedError<StepsChanged>()("StepsChanged", {
  pipeline: Schema.String,
  changes: Schema.Array(Schema.String)
}) {
  override get message(): string {
    return (
      `Cannot resume pipeline "${this.pipeline}": ${this.changes.join("; ")}, with what it kept. Call the steps as they were called, ` +
      `use another name, start over (restart: true), or let a step that is new begin with what comes now (onStepsChanged: "begin")`
    )
  }
}

/** The state of a step could not be written or read with its schema. Where it could not be read, nothing else was. */
export class BadState extends Schema.TaggedError<BadState>()("BadState", {
  pipeline: Schema.String,
  step: Schema.String,
  tried: Schema.Literals(["keep", "go on from"]),
  reason: Schema.String
}) {
  override get message(): string {
    const help =
      this.tried === "keep"
        ? "Let the schema say what the step gives"
        : "Let the schema read what was kept, use another name, or start over (restart: true)"
    return `Pipeline "${this.pipeline}", step "${this.step}": could not ${this.tried} its state: ${this.reason}. ${help}`
  }
}

/** Two of source, sinks and journal are one file (P14). Nothing was read or written. */
export class SamePlace extends Schema.TaggedError<SamePlace>()("SamePlace", {
  pipeline: Schema.String,
  one: Schema.String,
  other: Schema.String
}) {
  override get message(): string {
    return (
      `Cannot run pipeline "${this.pipeline}": its ${this.one} and its ${this.other} are the same file, by its path or a link. ` +
      "Name another file for one of them"
    )
  }
}

/** A step failed on more elements than its budget allows, which looks more like a broken step than like bad elements. */
export class TooManyDeadLetters extends Schema.TaggedError<TooManyDeadLetters>()("TooManyDeadLetters", {
  pipeline: Schema.String,
  step: Schema.String,
  dead: Schema.Number,
  budget: Schema.String,
  last: Schema.String
}) {
  override get message(): string {
    return (
      `Pipeline "${this.pipeline}" stopped: step "${this.step}" failed on ${this.dead} elements, more than its ` +
      `budget of ${this.budget}. The last one: ${this.last}. Mend the step or raise maxDead, then run it again`
    )
  }
}

/** A dead letter could not be written or read with the schema of its step, or its step is gone. */
export class BadDeadLetter extends Schema.TaggedError<BadDeadLetter>()("BadDeadLetter", {
  pipeline: Schema.String,
  step: Schema.String,
  tried: Schema.String,
  reason: Schema.String
}) {
  override get message(): string {
    return `Pipeline "${this.pipeline}", step "${this.step}": could not ${this.tried}: ${this.reason}`
  }
}

/** One of two pipelines that are zipped came to its end before the other. The pairs until then are written. */
export class ZipUneven extends Schema.TaggedError<ZipUneven>()("ZipUneven", {
  pipeline: Schema.String,
  pairs: Schema.Number,
  /** The sources of the one that ended, and of the other. */
  ended: Schema.String,
  longer: Schema.String,
  /** Elements of the longer one that had come and found no partner. */
  left: Schema.Number
}) {
  override get message(): string {
    return (
      `Pipeline "${this.pipeline}": zip has no partner for at least ${this.left} elements of ${this.longer}: ${this.ended} ended ` +
      `after ${this.pairs} pairs in this run. Give both as many elements, or use merge`
    )
  }
}

/** Where a step was when it ended the run. */
export interface FailedAt {
  readonly pipeline: string
  readonly step: string
  readonly position: Position
  /** What the step was given. */
  readonly input: unknown
}

/** A defect of a step, or of what it called: a mistake in the program, named with the element that brought it to light. */
export class StepDefect extends Error {
  override readonly name = "StepDefect"
  readonly [ErrorText.worded] = true
  readonly at: FailedAt

  constructor(defect: unknown, at: FailedAt) {
    super(`Pipeline "${at.pipeline}": ${placeOf(at)} threw: ${ErrorText.of(defect)}`, { cause: defect })
    this.at = at
  }
}

const At: Context.Service<FailedAt, FailedAt> = Context.Service("skein/FailedAt")

/** The cause with where it happened: defects are wrapped, errors stay as they are and carry it along. */
export const explained = <E>(cause: Cause.Cause<E>, at: FailedAt): Cause.Cause<E> => {
  const named = Cause.fromReasons(
    cause.reasons.map((reason): Cause.Reason<E> =>
      Cause.isDieReason(reason) && !Foreign.isA(reason.defect, StepDefect)
        ? Cause.makeDieReason(new StepDefect(reason.defect, at)).annotate(Cause.reasonAnnotations(reason))
        : reason
    )
  )
  return cause.reasons.every(Cause.isInterruptReason) ? cause : Cause.annotate(named, Context.make(At, at))
}

/**
 * Which step ended a run, on which element: for a cause that came out of `Pipeline.run` because a step failed. None for any other
 * cause, such as that of a source or a sink.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import * as Option from "effect/Option"
 * import { Journal, Pipeline, Sink, Source } from "skein"
 *
 * const odd = (n: number) => (n % 2 === 1 ? Effect.succeed(n) : Effect.fail(`${n} is even`))
 * const job = Pipeline.from(Source.list([1, 2], { name: "numbers" })).pipe(
 *   Pipeline.map(odd, { name: "odd" }),
 *   Pipeline.to(Sink.discard)
 * )
 * const cause = Pipeline.run(job, { name: "odd numbers" }).pipe(Effect.sandbox, Effect.flip, Effect.provide(Journal.memory))
 *
 * const at = Option.getOrThrow(Pipeline.failedAt(await Effect.runPromise(cause)))
 * const where = [at.step, at.position, at.input] // => ["odd", 2, 2]
 * void where
 * ```
 */
export const failedAt = (cause: Cause.Cause<unknown>): Option.Option<FailedAt> =>
  Context.getOption(Cause.annotations(cause), At)

/** As it stands in messages. */
export const placeOf = ({ position, step }: FailedAt): string =>
  `step "${step}" on the element that ends at position ${JSON.stringify(position)}`
