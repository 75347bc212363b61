/** What a dead letter is, which of them are meant, and what one is known by (P5). */
import * as Schema from "effect/Schema"
import { Checksum } from "../../concurrency/base/Checksum.ts"
import type { Position } from "./Place.ts"

/** One of the failures that a dead letter came of. */
export interface LetterCause {
  /** 0 for what the step failed with, 1 for what caused that or what it was made of, and so on. */
  readonly depth: number
  /** Its class or tag; "" where it has none. */
  readonly name: string
  readonly message: string
  /** Where it was made: the frames alone, a line each. */
  readonly stack?: string
}

export const LetterCauses: Schema.$Array<Schema.Codec<LetterCause>> = Schema.Array(
  Schema.Struct({
    depth: Schema.Int,
    name: Schema.String,
    message: Schema.String,
    stack: Schema.optionalKey(Schema.String)
  })
)

/** The durable record of an element that failed for good. */
export interface DeadLetter {
  readonly step: string
  /** The step's input, encoded by the schema given to `onError`. */
  readonly input: Schema.Json
  /** The error, readable. */
  readonly cause: string
  /** The same, one by one: what the step failed with, and behind each what that was caused by or made of. */
  readonly causes: ReadonlyArray<LetterCause>
  readonly attempts: number
  readonly position: Position
  /** Which of the descendants of that source element it is; "" for the element itself. */
  readonly path: string
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

/** Which dead letters are meant: those that all of these let through. */
export interface LetterFilter {
  readonly ids?: ReadonlyArray<number> | undefined
  readonly step?: string | undefined
  /** A part of the text of its cause, or the whole name of one of its causes. */
  readonly cause?: string | undefined
  /** Given up at this time or later, in milliseconds since the epoch. */
  readonly since?: number | undefined
  /** Given up before this time. */
  readonly until?: number | undefined
  readonly version?: string | null | undefined
  /** Those that a replay has settled, instead of those that wait for one. Default false. */
  readonly replayed?: boolean | undefined
  /** Only those that `onDead` has still to be told of. */
  readonly untold?: boolean | undefined
  /** Only those behind this one, by their ids. */
  readonly after?: number | undefined
  /** Only those up to this one. */
  readonly upTo?: number | undefined
  /** The most of them, from the first. Default all. */
  readonly limit?: number | undefined
  /** Begins with the last one. Default false. */
  readonly newest?: boolean | undefined
}

/** What became of letters that were brought in. */
export interface Adopted {
  /** Those that are kept now and were not before. */
  readonly added: number
  /** Those that were there, waiting or settled. */
  readonly known: number
}

/** A letter in a journal that holds all of them in memory. */
export interface HeldLetter extends KeptDeadLetter {
  readonly untold?: true
}

/** All letters of a pipeline, in order of their ids. */
export interface Held {
  readonly letters: ReadonlyArray<HeldLetter>
  /** The id of the next one. */
  readonly next: number
}

/** What is done to letters at once. */
export interface LetterChange {
  /** Those before are forgotten. */
  readonly restart?: boolean | undefined
  readonly replayed?: ReadonlyArray<number> | undefined
  readonly told?: ReadonlyArray<number> | undefined
  readonly purged?: ReadonlyArray<number> | undefined
  readonly dead?: ReadonlyArray<DeadLetter> | undefined
  /** Whether somebody has to be told of `dead`. */
  readonly untold?: boolean | undefined
}

/** The letters once a change is made. */
export const changed = (
  { letters, next }: Held,
  { dead = [], purged = [], replayed = [], restart = false, told = [], untold = false }: LetterChange
): Held => {
  let all = restart ? [] : letters
  if (purged.length > 0) {
    const gone = new Set(purged)
    all = all.filter(({ id }) => !gone.has(id))
  }
  if (replayed.length + told.length > 0) {
    const settled = new Set(replayed)
    const heard = new Set(told)
    all = all.map((letter) => {
      const { untold: _, ...rest } = letter
      const known = heard.has(letter.id) ? rest : letter
      return settled.has(letter.id) ? { ...known, replayed: true } : known
    })
  }
  if (dead.length > 0) {
    const added = dead.map((letter, i): HeldLetter => ({
      ...letter,
      id: next + i,
      replayed: false,
      ...(untold && { untold })
    }))
    all = [...all, ...added]
  }
  return { letters: all, next: next + dead.length }
}

/** Those that a filter lets through, from the first on. */
export const select = (
  letters: ReadonlyArray<HeldLetter>,
  { after, cause, ids, limit, newest, replayed = false, since, step, until, untold, upTo, version }: LetterFilter = {}
): ReadonlyArray<KeptDeadLetter> => {
  const wanted = ids && new Set(ids)
  const found = letters.filter(
    (letter) =>
      letter.replayed === replayed &&
      (wanted === undefined || wanted.has(letter.id)) &&
      (step === undefined || letter.step === step) &&
      (version === undefined || letter.version === version) &&
      (since === undefined || letter.at >= since) &&
      (until === undefined || letter.at < until) &&
      (after === undefined || letter.id > after) &&
      (upTo === undefined || letter.id <= upTo) &&
      (untold !== true || letter.untold === true) &&
      (cause === undefined || letter.cause.includes(cause) || letter.causes.some(({ name }) => name === cause))
  )
  return (newest === true ? found.toReversed() : found).slice(0, limit).map(({ untold: _, ...letter }) => letter)
}

/** Those of `letters` that are not held yet. */
export const newcomers = (held: ReadonlyArray<DeadLetter>, letters: ReadonlyArray<DeadLetter>): Array<DeadLetter> => {
  const known = new Newcomers()
  known.lacking(letters)
  for (const letter of held) known.know(letter)
  return letters.filter((letter) => known.isNew(letter))
}

/** What a letter is known by, wherever it is kept: all it says, but for what is made of its cause. */
const identityOf = ({ at, attempts, cause, input, path, position, step, version }: DeadLetter): string =>
  new Checksum().addText(
    JSON.stringify([step, path, version, at, attempts, cause, position, input], (_, value: unknown) =>
      // Whoever had it in hand may have put its fields in another order.
      typeof value === "object" && value !== null && !Array.isArray(value)
        ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
        : value
    )
  ).text

/** Tells letters that are brought in from those that are there: each is added as often as it is brought more than it is there. */
export class Newcomers {
  /** How many there are of each that were not brought yet, by the time they were given up at. */
  private readonly there = new Map<number, Map<string, number>>()

  /** The times of letters that it has to know before it can tell; what it knew of other times is forgotten. */
  lacking(letters: ReadonlyArray<DeadLetter>): ReadonlyArray<number> {
    const times = new Set(letters.map(({ at }) => at))
    for (const at of this.there.keys()) if (!times.has(at)) this.there.delete(at)
    const lacking = [...times].filter((at) => !this.there.has(at))
    for (const at of lacking) this.there.set(at, new Map())
    return lacking
  }

  /** One that is there, if it is of a time that was asked for. */
  know(letter: DeadLetter): void {
    const there = this.there.get(letter.at)
    if (there === undefined) return
    const identity = identityOf(letter)
    there.set(identity, (there.get(identity) ?? 0) + 1)
  }

  isNew(letter: DeadLetter): boolean {
    const there = this.there.get(letter.at)
    const identity = identityOf(letter)
    const left = there?.get(identity) ?? 0
    if (left > 0) there?.set(identity, left - 1)
    return left === 0
  }
}
