/** What becomes of an element that its step, or the sink, failed on (P5). */
/* oxlint-disable typescript/no-explicit-any -- a description has lost the types of its steps */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as ErrorText from "../../concurrency/base/ErrorText.ts"
import { isTooDeep, unlessTooDeep } from "../../concurrency/base/Nesting.ts"
import type { DeadLetter } from "../Journal.ts"
import { BadDeadLetter, TooManyDeadLetters } from "../RunError.ts"
import type { Position } from "../Source.ts"
import type { DeadLetterPolicy, Failing } from "../Step.ts"
import type { Fate } from "./Fate.ts"
import type { Unit } from "./Unit.ts"

/** An element that failed, and where it stood. */
export interface Failed {
  readonly input: unknown
  readonly position: Position
  /** Which of its parent's children it is. */
  readonly path: string
  readonly error: unknown
  readonly attempts: number
}

export class DeadLetters {
  private readonly pipeline: string
  private readonly version: string | null
  private readonly fate: Fate
  private readonly counts = new Map<Failing, number>()
  private readonly skips = new Map<Failing, number>()

  constructor(pipeline: string, version: string | undefined, fate: Fate) {
    this.pipeline = pipeline
    this.version = version ?? null
    this.fate = fate
  }

  /** How many elements of these steps were given up so far, in this run. */
  countsOf(steps: ReadonlyArray<Failing>): { readonly skipped: number; readonly dead: number } {
    let [skipped, dead] = [0, 0]
    for (const step of steps) {
      skipped += this.skips.get(step) ?? 0
      dead += this.counts.get(step) ?? 0
    }
    return { skipped, dead }
  }

  /** Decides the fate of an element that a step failed on; fails where that ends the run. */
  failed(step: Failing, unit: Unit, failed: Failed): Effect.Effect<void, TooManyDeadLetters | BadDeadLetter, unknown> {
    return Effect.map(this.letter(step, failed), (letter) =>
      letter === undefined ? this.fate.skip(unit) : this.fate.bury(unit, letter)
    )
  }

  /** The letter to keep, as the policy of the step says; none where the element is only counted. */
  letter(
    step: Failing,
    failed: Failed
  ): Effect.Effect<DeadLetter | undefined, TooManyDeadLetters | BadDeadLetter, unknown> {
    const { name, onError } = step
    if (typeof onError === "string") {
      this.skips.set(step, (this.skips.get(step) ?? 0) + 1)
      return Effect.undefined
    }
    const dead = (this.counts.get(step) ?? 0) + 1
    this.counts.set(step, dead)
    const cause = ErrorText.of(failed.error)
    if (isOverBudget(onError.maxDead, dead, this.fate.read)) {
      return Effect.fail(
        new TooManyDeadLetters({ pipeline: this.pipeline, step: name, dead, budget: `${onError.maxDead}`, last: cause })
      )
    }
    return Effect.gen({ self: this }, function* () {
      return {
        step: name,
        input: yield* this.encoded(name, onError, failed.input),
        cause,
        attempts: failed.attempts,
        position: failed.position,
        path: failed.path,
        version: this.version,
        at: yield* Clock.currentTimeMillis
      }
    })
  }

  private encoded(
    step: string,
    policy: DeadLetterPolicy<any>,
    input: unknown
  ): Effect.Effect<Schema.Json, BadDeadLetter, unknown> {
    const bad = (reason: string) =>
      new BadDeadLetter({ pipeline: this.pipeline, step, tried: "keep the input of a failed step", reason })
    const tooDeep = bad("it is nested deeper than it can be written")
    return Effect.suspend(() => Schema.encodeUnknownEffect(Schema.toCodecJson(policy.deadLetter))(input)).pipe(
      Effect.mapError((error) => bad(error.message)),
      Effect.flatMap((encoded) =>
        unlessTooDeep(
          () => (JSON.stringify(encoded), Effect.succeed(encoded)),
          () => Effect.fail(tooDeep)
        )
      ),
      Effect.catchDefect((defect) => (isTooDeep(defect) ? Effect.fail(tooDeep) : Effect.die(defect)))
    )
  }
}

const isOverBudget = (budget: DeadLetterPolicy<any>["maxDead"], dead: number, read: number): boolean =>
  budget === undefined
    ? false
    : typeof budget === "number"
      ? dead > budget
      : read >= 100 && dead > (read * Number.parseFloat(budget)) / 100
