/**
 * The dead letters of a pipeline, as its journal keeps them: listed, taken out, and carried from one journal to another. Running
 * them again is `Pipeline.replay`. Reading asks nothing of anybody; whoever changes them takes the lease of the pipeline, so that
 * nobody takes away what a replay is at, and two imports do not do the work of one twice (P10).
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as Duration from "effect/Duration"
import * as ErrorText from "../concurrency/base/ErrorText.ts"
import { isTooDeep } from "../concurrency/base/Nesting.ts"
import * as Shown from "../concurrency/base/Shown.ts"
import { pages } from "./commit/Letters.ts"
import { LetterCauses } from "./context/Letter.ts"
import { type Filter, filterOf } from "./context/LetterFilter.ts"
import { BadLines } from "./DeadLettersError.ts"
import {
  type Adopted,
  type AlreadyRunning,
  type DeadLetter,
  Journal,
  type JournalError,
  keyOf,
  type KeptDeadLetter,
  type Lease,
  type LeaseLost
} from "./Journal.ts"
import { renewing } from "./run/Running.ts"

export type { Filter } from "./context/LetterFilter.ts"
export { BadLines } from "./DeadLettersError.ts"
export type { Adopted, DeadLetter, KeptDeadLetter, LetterCause } from "./Journal.ts"

/** Dead letters of a pipeline, or of a partition of it. */
export interface Options extends Filter {
  readonly partition?: string | undefined
}

/**
 * The dead letters of a pipeline, oldest first: those that wait to be run again, or those that `options` let through. They are read
 * as the stream is pulled, so that any number of them fits.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import * as Schema from "effect/Schema"
 * import * as Stream from "effect/Stream"
 * import { DeadLetters, Journal, Pipeline, Sink, Source } from "skein"
 *
 * const job = Pipeline.from(Source.list([1, 2, 3], { name: "numbers" })).pipe(
 *   Pipeline.map((n) => (n === 2 ? Effect.fail("two is too much") : n), { onError: { deadLetter: Schema.Number } }),
 *   Pipeline.to(Sink.discard)
 * )
 * const program = Effect.gen(function* () {
 *   yield* Pipeline.run(job, { name: "numbers" })
 *   const letters = yield* Stream.runCollect(DeadLetters.list("numbers", { cause: "too much" }))
 *   return letters.map(({ input, step }) => [step, input])
 * })
 *
 * await Effect.runPromise(Effect.provide(program, Journal.memory)) // => [["map-1", 2]]
 * ```
 */
export const list = (name: string, options: Options = {}): Stream.Stream<KeptDeadLetter, JournalError, Journal> => {
  const filter = filterOf(options)
  return Stream.unwrap(
    Effect.map(Journal, (journal) => Stream.flattenIterable(pages(journal, named(name, options.partition), filter)))
  )
}

/**
 * Takes dead letters of a pipeline out of its journal for good, all of them or none, and gives how many; `{}` are all that wait.
 * Fails with `AlreadyRunning` while a run or a replay of that name is alive.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { DeadLetters, Journal } from "skein"
 *
 * const old = DeadLetters.purge("numbers", { until: "2026-01-01" })
 *
 * await Effect.runPromise(Effect.provide(old, Journal.memory)) // => 0
 * ```
 */
export const purge = (
  name: string,
  options: Options
): Effect.Effect<number, AlreadyRunning | LeaseLost | JournalError, Journal> =>
  Effect.suspend(() => {
    const filter = filterOf(options)
    const key = named(name, options.partition)
    return Effect.flatMap(Journal, (journal) =>
      // Where there is nothing to take out, nobody is disturbed.
      Effect.flatMap(journal.dead(key, { ...filter, limit: 1 }), (some) =>
        some.length === 0 ? Effect.succeed(0) : holding(journal, key, (lease) => lease.purge(filter))
      )
    )
  })

/**
 * Dead letters as text, one on a line, in JSON that every version from this one on can read: for a file, to look at and edit, and
 * for `import`. Inputs are in it as they are, whatever secrets they hold.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import * as Stream from "effect/Stream"
 * import { DeadLetters, Journal } from "skein"
 *
 * const text = Stream.mkString(DeadLetters.export("numbers", { step: "map-1" }))
 *
 * await Effect.runPromise(Effect.provide(text, Journal.memory)) // => ""
 * ```
 */
const exported = (name: string, options: Options = {}): Stream.Stream<string, JournalError, Journal> => {
  const head = { format, pipeline: name, partition: options.partition ?? null }
  return Stream.map(list(name, options), (letter) => `${Shown.escaped(JSON.stringify({ ...head, ...letter }))}\n`)
}

/**
 * Keeps dead letters that `export` wrote, here or elsewhere: all of them, or none where a line is none or the text breaks off. What
 * is there already, to run again or run again since, is not added, so that importing twice does no harm. Gives how many were
 * added and how many were known. Fails with `AlreadyRunning` while a run of that name is alive.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { DeadLetters, Journal } from "skein"
 *
 * const line = JSON.stringify({
 *   format: 1, step: "map-1", input: 2, cause: "two is too much", causes: [],
 *   attempts: 1, position: 2, path: "", version: null, at: 1767225600000
 * })
 * const twice = Effect.all([DeadLetters.import("numbers", line), DeadLetters.import("numbers", line)])
 * const [first, second] = await Effect.runPromise(Effect.provide(twice, Journal.memory))
 *
 * const added = [first.added, second.added] // => [1, 0]
 * void added
 * ```
 */
const imported: {
  (name: string, text: string, options?: Of): Effect.Effect<Adopted, ImportError, Journal>
  <E, R>(
    name: string,
    text: Stream.Stream<string, E, R>,
    options?: Of
  ): Effect.Effect<Adopted, E | ImportError, R | Journal>
} = <E, R>(name: string, text: string | Stream.Stream<string, E, R>, options: Of = {}) =>
  Effect.suspend(() => {
    const key = named(name, options.partition)
    let settled = 0
    const lines = Stream.splitLines(typeof text === "string" ? Stream.succeed(text) : text)
    const letters = lettersOf(name, lines, () => void (settled += 1))
    return Effect.flatMap(Journal, (journal) =>
      Effect.map(
        holding(journal, key, (lease) => lease.adopt(letters)),
        ({ added, known }) => ({ added, known: known + settled })
      )
    )
  })

interface Of {
  readonly partition?: string | undefined
}

type ImportError = BadLines | AlreadyRunning | LeaseLost | JournalError

export { exported as export, imported as import }

const named = (name: string, partition: string | undefined) => {
  if (name === "") throw new RangeError("The name of a pipeline must not be empty: the journal keeps its letters by it")
  return keyOf(name, partition)
}

/** Holds the lease of a pipeline, as a run does. */
const holding = <A, E, R>(
  journal: Journal,
  key: ReturnType<typeof keyOf>,
  use: (lease: Lease) => Effect.Effect<A, E, R>
): Effect.Effect<A, E | AlreadyRunning | LeaseLost | JournalError, R> =>
  Effect.scoped(
    Effect.flatMap(journal.lease(key, { duration: Duration.seconds(15) }), (lease) =>
      Effect.raceFirst(use(lease), Effect.andThen(renewing(lease), Effect.never))
    )
  )

/** Of the lines that this version writes; later ones may only have more fields. */
const format = 1

const Count = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))
const Line = Schema.Struct({
  format: Schema.Literal(format),
  step: Schema.String,
  input: Schema.Json,
  cause: Schema.String,
  causes: LetterCauses,
  attempts: Count,
  position: Schema.Json,
  path: Schema.String,
  version: Schema.NullOr(Schema.String),
  at: Count,
  replayed: Schema.optionalKey(Schema.Boolean)
})
const decodeLine = Schema.decodeUnknownSync(Line)

/** The lines that are named of those that are bad. */
const mostNamed = 10

const lettersOf = <E, R>(
  pipeline: string,
  lines: Stream.Stream<string, E, R>,
  onSettled: () => void
): Stream.Stream<DeadLetter, E | BadLines, R> =>
  Stream.suspend(() => {
    const bad: Array<{ readonly line: number; readonly reason: string }> = []
    let line = 0
    let count = 0
    const read = (text: string): ReadonlyArray<DeadLetter> => {
      line += 1
      if (text.trim() === "") return []
      try {
        const { format: _, replayed, ...letter } = decode(text)
        if (replayed !== true) return [letter]
        onSettled()
      } catch (error) {
        count += 1
        if (bad.length < mostNamed) bad.push({ line, reason: reasonOf(error) })
      }
      return []
    }
    return Stream.concat(
      Stream.flattenIterable(Stream.map(lines, read)),
      Stream.suspend(() => (count === 0 ? Stream.empty : Stream.fail(new BadLines({ pipeline, lines: bad, count }))))
    )
  })

const decode = (text: string): typeof Line.Type => {
  const value: unknown = JSON.parse(text.startsWith(mark) ? text.slice(1) : text)
  const made = (value as { readonly format?: unknown } | null)?.format
  if (typeof made === "number" && made > format) {
    throw new Error(`a newer version of Skein wrote it (format ${made}, this one knows ${format}). Update`)
  }
  return decodeLine(value)
}

/** With which a file may begin. */
const mark = "\uFEFF"

const reasonOf = (error: unknown): string =>
  isTooDeep(error) ? "it is nested deeper than it can be read" : ErrorText.of(error, 300).replaceAll(/\s*\n\s*/g, " ")
