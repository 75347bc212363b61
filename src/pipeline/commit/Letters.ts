/** Dead letters of a journal, a page of them after another, and whoever is to be told of them. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { BadDeadLetter } from "../RunError.ts"
import type { Journal, JournalError, JournalKey, KeptDeadLetter, Lease, LeaseLost, LetterFilter } from "../Journal.ts"

/** Letters that are in memory at once. */
const most = 250

/** Those that a filter lets through, oldest first. */
export const pages = (
  journal: Journal,
  key: JournalKey,
  { limit = Infinity, ...filter }: LetterFilter
): Stream.Stream<ReadonlyArray<KeptDeadLetter>, JournalError> => {
  interface Next {
    readonly after: number | undefined
    readonly left: number
  }
  return Stream.paginate<Next, ReadonlyArray<KeptDeadLetter>, JournalError>(
    { after: filter.after, left: limit },
    ({ after, left }) => {
      const wanted = Math.min(most, left)
      return Effect.map(journal.dead(key, { ...filter, after, limit: wanted }), (letters) => {
        const rest = left - letters.length
        const isLast = letters.length < wanted || rest <= 0
        return [
          letters.length === 0 ? [] : [letters],
          isLast ? Option.none() : Option.some({ after: letters.at(-1)!.id, left: rest })
        ]
      })
    }
  )
}

/** Tells of all that nobody was told of yet. Who is cut off in it is told again. */
export const tell = (
  journal: Journal,
  key: JournalKey,
  lease: Lease,
  onDead: (letter: KeptDeadLetter) => Effect.Effect<void>
): Effect.Effect<void, JournalError | LeaseLost> =>
  Stream.runForEach(pages(journal, key, { untold: true }), (letters) =>
    Effect.andThen(Effect.forEach(letters, onDead, { discard: true }), lease.told(letters.map(({ id }) => id)))
  )

/** Letters that a replay could not read. They stay as they are, and it says so at its end. */
export class Unread {
  private readonly ids: Array<number> = []
  private first: { readonly step: string; readonly reason: string } | undefined
  count = 0

  add({ id, step }: KeptDeadLetter, reason: string): void {
    this.first ??= { step, reason }
    if (this.count < mostNamed) this.ids.push(id)
    this.count += 1
  }

  error(pipeline: string): BadDeadLetter {
    const { step = "", reason = "" } = this.first ?? {}
    const [id, ...others] = this.ids
    const more = this.count - this.ids.length
    const further = others.length === 0 ? "" : `; nor ${others.join(", ")}${more === 0 ? "" : `, and ${more} more`}`
    return new BadDeadLetter({
      pipeline,
      step,
      tried: `run dead letter ${id} again`,
      reason: `${reason}${further}. What else was to run again did; mend the step or its schema, or take these letters out`
    })
  }
}

const mostNamed = 10
