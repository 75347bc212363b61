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
import type { InTheWay } from "./Parked.ts"
import type { Unit } from "./Unit.ts"

/** An element that failed, and where it stood. */
export interface Failed {
  readonly input: unknown
  readonly position: Position
  /** Which of its parent's children it is. */
  readonly path: string
  readonly error: unknown
  readonly attempts: number
  /** When it was given up; now, if that is left out. */
  readonly at?: number | undefined
}

interface GivenUp {
  skipped: number
  dead: number
}

const nothing: Readonly<GivenUp> = { skipped: 0, dead: 0 }

export class DeadLetters {
  private readonly pipeline: string
  private readonly version: string | null
  private readonly fate: Fate
  private readonly counts = new Map<Failing, number>()
  /** What was given up so far, by the name of the step. */
  private readonly given = new Map<string, GivenUp>()

  constructor(pipeline: string, version: string | undefined, fate: Fate) {
    this.pipeline = pipeline
    this.version = version ?? null
    this.fate = fate
  }

  /** What of these steps was given up so far. */
  of(steps: ReadonlyArray<string>): Readonly<GivenUp> {
    const all = { skipped: 0, dead: 0 }
    for (const step of steps) {
      const { dead, skipped } = this.given.get(step) ?? nothing
      all.skipped += skipped
      all.dead += dead
    }
    return all
  }

  private count(step: string, what: keyof GivenUp): void {
    const given = this.given.get(step) ?? { ...nothing }
    this.given.set(step, given)
    given[what] += 1
  }

  /** Decides the fate of an element that a step failed on; fails where that ends the run. Gives the letter, if one is kept. */
  failed(
    step: Failing,
    unit: Unit,
    failed: Failed
  ): Effect.Effect<DeadLetter | undefined, TooManyDeadLetters | BadDeadLetter, unknown> {
    return Effect.map(this.letter(step, failed), (letter) => {
      if (letter === undefined) this.fate.skip(unit)
      else this.fate.bury(unit, letter)
      return letter
    })
  }

  /** Keeps an element that was not begun, as its key is parked. */
  parked(
    { name, onError }: Failing,
    unit: Unit,
    first: InTheWay,
    failed: Omit<Failed, "error" | "attempts">
  ): Effect.Effect<void, BadDeadLetter, unknown> {
    return Effect.flatMap(Clock.currentTimeMillis, (now) => {
      const at = failed.at ?? Math.max(now, first.last + 1)
      first.last = Math.max(first.last, at)
      // Whoever runs them again must find the first, too.
      if (first.unit !== undefined) this.fate.tie(first.unit, unit)
      const where = JSON.stringify(first.position)
      const cause = `Not tried: an element of the same key failed before it, the one that ends at position ${where}. Replay both`
      return Effect.map(
        this.written(name, onError as DeadLetterPolicy<any>, { ...failed, error: cause, attempts: 0, at }),
        (letter) => this.fate.bury(unit, letter)
      )
    })
  }

  /** The letter to keep, as the policy of the step says; none where the element is only counted. */
  letter(
    step: Failing,
    failed: Failed
  ): Effect.Effect<DeadLetter | undefined, TooManyDeadLetters | BadDeadLetter, unknown> {
    const { name, onError } = step
    if (typeof onError === "string") {
      this.count(name, "skipped")
      return Effect.undefined
    }
    const dead = (this.counts.get(step) ?? 0) + 1
    this.counts.set(step, dead)
    if (isOverBudget(onError.maxDead, dead, this.fate.read)) {
      const last = ErrorText.of(failed.error)
      return Effect.fail(
        new TooManyDeadLetters({ pipeline: this.pipeline, step: name, dead, budget: `${onError.maxDead}`, last })
      )
    }
    return this.written(name, onError, failed)
  }

  private written(
    step: string,
    policy: DeadLetterPolicy<any>,
    { at, attempts, error, input, path, position }: Failed
  ): Effect.Effect<DeadLetter, BadDeadLetter, unknown> {
    return Effect.gen({ self: this }, function* () {
      this.count(step, "dead")
      return {
        step,
        input: yield* this.encoded(step, policy, input),
        cause: ErrorText.of(error),
        causes: ErrorText.links(error),
        attempts,
        position,
        path,
        version: this.version,
        at: at ?? (yield* Clock.currentTimeMillis)
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
