/** The keys of steps that dead letters of earlier runs are in the way of. */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { Parked } from "../fate/Parked.ts"
import type { KeptDeadLetter } from "../Journal.ts"
import { BadDeadLetter } from "../RunError.ts"
import type { Each, Step } from "../Step.ts"

export const parks = (step: Step): step is Each =>
  step._tag === "Each" && typeof step.onError === "object" && step.onError.parkKey === true

/** What these letters park, by the name of the step. */
export const parkedBy = (
  pipeline: string,
  letters: ReadonlyArray<KeptDeadLetter>,
  steps: ReadonlyArray<Step>
): Effect.Effect<ReadonlyMap<string, Parked>, BadDeadLetter, unknown> =>
  Effect.gen(function* () {
    const parked = new Map<string, Parked>()
    for (const step of steps.filter(parks)) {
      const { key, name, onError } = step
      const keys = new Parked()
      parked.set(name, keys)
      if (typeof onError === "string") continue
      const decode = Schema.decodeUnknownEffect(Schema.toCodecJson(onError.deadLetter))
      for (const letter of letters) {
        if (letter.step !== name) continue
        const tried = `find the key that dead letter ${letter.id} parks`
        const input = yield* Effect.mapError(
          decode(letter.input),
          (error) => new BadDeadLetter({ pipeline, step: name, tried, reason: error.message })
        )
        keys.park(key!(input), letter.at, letter.position)
      }
    }
    return parked
  })

/** In the order in which they failed first: of those that failed again and were kept anew as well. */
export const inOrder = (letters: ReadonlyArray<KeptDeadLetter>): ReadonlyArray<KeptDeadLetter> =>
  letters.toSorted((one, other) => one.at - other.at || one.id - other.id)
