/**
 * What the lines of a journal file say. Each has a checksum of itself and of all before it, so that one that was torn, changed, left
 * out or moved is told from what was written.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { Checksum } from "../../../concurrency/base/Checksum.ts"
import { changed, type Held, type LetterChange, LetterCauses } from "../../../pipeline/context/Letter.ts"
import { SeenKeys } from "../../../pipeline/context/SeenKeys.ts"
import type { Checkpoint, JournalKey } from "../../../pipeline/Journal.ts"
import { encodeCheckpoint } from "../../journal/CheckpointText.ts"

/** Of what this version writes; a file of a later one is refused. */
export const format = 1

const letterFields = {
  step: Schema.String,
  input: Schema.Json,
  cause: Schema.String,
  causes: LetterCauses,
  attempts: Schema.Int,
  position: Schema.Json,
  path: Schema.String,
  version: Schema.NullOr(Schema.String),
  at: Schema.Number
}
const Kept = Schema.Struct({
  id: Schema.Int,
  ...letterFields,
  replayed: Schema.Boolean,
  untold: Schema.optionalKey(Schema.Literal(true))
})

const Record = Schema.Struct({
  /** Of the first line. */
  format: Schema.optionalKey(Schema.Int),
  key: Schema.optionalKey(Schema.Tuple([Schema.String, Schema.NullOr(Schema.String)])),
  id: Schema.optionalKey(Schema.String),
  clean: Schema.optionalKey(Schema.Boolean),
  checkpoint: Schema.optionalKey(Schema.Json),
  restart: Schema.optionalKey(Schema.Literal(true)),
  replayed: Schema.optionalKey(Schema.Array(Schema.Int)),
  told: Schema.optionalKey(Schema.Array(Schema.Int)),
  purged: Schema.optionalKey(Schema.Array(Schema.Int)),
  untold: Schema.optionalKey(Schema.Boolean),
  dead: Schema.optionalKey(Schema.Array(Schema.Struct(letterFields))),
  /** Keys, by the steps that saw them first. */
  seen: Schema.optionalKey(Schema.Record(Schema.String, Schema.Array(Schema.String))),
  /** Instead of all letters before. */
  letters: Schema.optionalKey(Schema.Array(Kept)),
  next: Schema.optionalKey(Schema.Int)
})
type Record = typeof Record.Type
const decodeRecord = Schema.decodeUnknownEffect(Schema.fromJsonString(Record))

/** What is known of a pipeline. */
export interface Known extends Held {
  readonly id: string
  readonly clean: boolean
  readonly checkpoint: Schema.Json | undefined
  /** Grows with the lines that are read: of so many keys no copy is made for each. */
  readonly seen: SeenKeys | undefined
}

export const unknown: Known = { id: "", clean: true, checkpoint: undefined, letters: [], next: 1, seen: undefined }

/** All that a journal file says, and what its next line goes on from. */
export interface Content {
  readonly known: ReadonlyMap<string, Known>
  readonly sum: string | undefined
  /** How many bytes the lines have that are whole. */
  readonly length: number
}

export const empty: Content = { known: new Map(), sum: undefined, length: 0 }

export const textOf = ({ partition, pipeline }: JournalKey): string => JSON.stringify([pipeline, partition])

/** What a line changes. */
export interface Change extends LetterChange {
  readonly id?: string
  readonly clean?: boolean
  readonly checkpoint?: Checkpoint
  readonly seen?: Record["seen"]
}

/** The text of what a line says, without its checksum. */
export const bodyOf = (key: JournalKey, { checkpoint, ...change }: Change): string => {
  const rest = JSON.stringify(change).slice(1, -1)
  const kept = checkpoint === undefined ? "" : `,"checkpoint":${encodeCheckpoint(checkpoint)}`
  return `{"key":${textOf(key)}${kept}${rest === "" ? "" : `,${rest}`}}`
}

const wholeOf = (key: string, { letters, seen, ...known }: Known): string =>
  `{"key":${key},${JSON.stringify({ ...known, letters, ...(seen !== undefined && { seen: seen.all }) }).slice(1)}`

/** The text of a file that says nothing but this. */
export const linesOf = (known: ReadonlyMap<string, Known>): { readonly text: string; readonly sum: string } => {
  let { line, sum } = lineOf(undefined, `{"format":${format}}`)
  let text = line
  for (const [key, one] of known) {
    ;({ line, sum } = lineOf(sum, wholeOf(key, one)))
    text += line
  }
  return { text, sum }
}

export const lineOf = (since: string | undefined, body: string): { readonly line: string; readonly sum: string } => {
  const sum = new Checksum(since).addText(body).text
  return { line: `${body.slice(0, -1)},"sum":"${sum}"}\n`, sum }
}

/** Takes a line into account. */
export const applied = (was: Known, record: Omit<Record, "format" | "key">): Known => {
  const { checkpoint, clean, id, letters = was.letters, next = was.next, seen, ...change } = record
  return {
    id: id ?? was.id,
    clean: clean ?? was.clean,
    checkpoint: checkpoint === undefined ? was.checkpoint : checkpoint,
    ...changed({ letters, next }, change),
    seen: together(change.restart === true ? undefined : was.seen, seen)
  }
}

const together = (was: SeenKeys | undefined, seen: Record["seen"]): SeenKeys | undefined => {
  if (seen === undefined) return was
  const keys = was ?? new SeenKeys()
  for (const [step, some] of Object.entries(seen)) keys.add(step, some)
  return keys
}

/** Reads a file. A last line that was torn does not count; fails with a text where another one is not what was written. */
export const contentOf = (bytes: Uint8Array): Effect.Effect<Content, string> =>
  Effect.gen(function* () {
    if (bytes.length === 0) return empty
    const known = new Map<string, Known>()
    let sum: string | undefined
    let number = 0
    for (let start = 0; start < bytes.length;) {
      const end = bytes.indexOf(10, start)
      const line = end < 0 ? "" : new TextDecoder().decode(bytes.subarray(start, end))
      const found = /^(\{.*),"sum":"([0-9a-f]{16})"\}$/s.exec(line)
      const body = `${found?.[1]}}`
      number += 1
      if (found === null || new Checksum(sum).addText(body).text !== found[2]) {
        const isLast = end < 0 || end === bytes.length - 1
        if (isLast && number > 1) return { known, sum, length: start }
        return yield* Effect.fail(
          number === 1
            ? "it is no journal of Skein"
            : `its line ${number} is not what Skein wrote; was it changed by hand? Restore it, or delete it to start over`
        )
      }
      const {
        format: made,
        key,
        ...record
      } = yield* Effect.mapError(decodeRecord(body), (error) =>
        number === 1
          ? "it is no journal of Skein"
          : `its line ${number} says what this version does not know: ${error.message}`
      )
      if (made !== undefined && made > format) {
        return yield* Effect.fail(
          `a newer version of Skein wrote it (format ${made}, this one knows ${format}). Update`
        )
      }
      if (key !== undefined) {
        const name = JSON.stringify(key)
        known.set(name, applied(known.get(name) ?? unknown, record))
      }
      sum = found[2]
      start = end + 1
    }
    return { known, sum, length: bytes.length }
  })
