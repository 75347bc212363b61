/** What the rows of a journal hold, and how. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as SchemaGetter from "effect/SchemaGetter"
import type { Checkpoint, DeadLetter, JournalKey, KeptDeadLetter } from "../../../pipeline/Journal.ts"
import { Counts, decodeCheckpoint, Fingerprint } from "../../journal/CheckpointText.ts"
import { LetterCauses } from "../../../pipeline/context/Letter.ts"

export { encodeCheckpoint } from "../../journal/CheckpointText.ts"

/** Of what this version writes; a row of a later one is refused. */
export const format = 2

/** Drivers give 64-bit integers as numbers, as text or as bigints. */
const Count = Schema.Union([Schema.Number, Schema.String, Schema.BigInt]).pipe(
  Schema.decodeTo(Schema.Int, {
    decode: SchemaGetter.transform((value: number | string | bigint) => (value === "" ? Number.NaN : Number(value))),
    encode: SchemaGetter.transform((value: number): number | string | bigint => value)
  })
)
const JsonText = Schema.fromJsonString(Schema.Json)

const Row = Schema.Struct({
  id: Schema.String,
  epoch: Count,
  revision: Count,
  holder: Schema.NullOr(Schema.String),
  label: Schema.String,
  since: Count,
  expires: Count,
  clean: Count,
  format: Count,
  checkpoint: Schema.NullOr(Schema.String),
  /** When it was read, by the clock that leases go by. */
  now: Count
})
export type Row = typeof Row.Type

export const decodeRow: (row: unknown) => Effect.Effect<Row, Schema.SchemaError> = Schema.decodeUnknownEffect(Row)

/** A text column holds no NUL on PostgreSQL, and no half of a character anywhere: two names must not become one. */
export const encodeText = (text: string): string =>
  text.replace(/[\0\u2400]|\p{Cs}/gu, (unit) => `\u2400${unit.charCodeAt(0).toString(16)};`)

export const decodeText = (text: string): string =>
  text.replace(/\u2400([0-9a-f]{1,4});/g, (_, code: string) => String.fromCharCode(Number.parseInt(code, 16)))

/** The whole is a part of its own, and no partition has its name. */
export const keyRow = ({ partition, pipeline }: JournalKey): { readonly pipeline: string; readonly part: string } => ({
  pipeline: encodeText(pipeline),
  part: partition === null ? "" : `:${encodeText(partition)}`
})

/** Fails with a text where a newer version wrote the row. */
export const checkpointOf = (row: Row): Effect.Effect<Option.Option<Checkpoint>, Schema.SchemaError | string> => {
  if (row.format > format) {
    return Effect.fail(`a newer version of Skein wrote it (format ${row.format}, this one knows ${format}). Update`)
  }
  if (row.checkpoint === null) return Effect.succeedNone
  return Effect.asSome(decodeCheckpoint(row.checkpoint))
}

const OldRow = Schema.Struct({
  pipeline: Schema.String,
  fingerprint: Schema.fromJsonString(Fingerprint),
  position: Schema.NullOr(Schema.String),
  ahead: Schema.fromJsonString(Schema.Array(Schema.Number)),
  sink: Schema.NullOr(Schema.String),
  counts: Schema.fromJsonString(Counts),
  finished: Count
})
const decodeOldRow = Schema.decodeUnknownEffect(OldRow)
const decodeJson = Schema.decodeUnknownEffect(JsonText)

/** None is NULL; the JSON value null is the text `null`. */
const decodeOption = (text: string | null): Effect.Effect<Option.Option<Schema.Json>, Schema.SchemaError> =>
  text === null ? Effect.succeedNone : Effect.asSome(decodeJson(text))

/** A checkpoint of version 0.1, which keeps the states of sinks by their place. */
export const decodeOld: (
  row: unknown
) => Effect.Effect<{ readonly pipeline: string; readonly checkpoint: Checkpoint }, Schema.SchemaError> =
  Effect.fnUntraced(function* (row) {
    const old = yield* decodeOldRow(row)
    return {
      pipeline: old.pipeline,
      checkpoint: {
        fingerprint: old.fingerprint,
        position: yield* decodeOption(old.position),
        ahead: old.ahead,
        reach: Option.none(),
        sinks: {},
        unnamed: yield* decodeOption(old.sink),
        counts: old.counts,
        finished: old.finished !== 0
      }
    }
  })

const CausesText = Schema.fromJsonString(LetterCauses)

const DeadRow = Schema.Struct({
  id: Count,
  step: Schema.String,
  input: JsonText,
  cause: Schema.String,
  attempts: Count,
  position: JsonText,
  /** Absent in what version 0.1 kept. */
  path: Schema.optionalKey(Schema.String),
  /** Absent or empty in what earlier versions kept. */
  causes: Schema.optionalKey(Schema.Union([CausesText, Schema.Literal("")])),
  version: Schema.NullOr(Schema.String),
  at: Count,
  replayed: Count
})
const decodeDeadRows = Schema.decodeUnknownEffect(Schema.Array(DeadRow))

export const decodeDead = (rows: unknown): Effect.Effect<ReadonlyArray<KeptDeadLetter>, Schema.SchemaError> =>
  Effect.map(decodeDeadRows(rows), (letters) =>
    letters.map(({ cause, causes, path = "", replayed, step, version, ...letter }) => ({
      ...letter,
      step: decodeText(step),
      cause: decodeText(cause),
      causes: causes || [],
      path,
      version: version === null ? null : decodeText(version),
      replayed: replayed !== 0
    }))
  )

export interface DeadRowText {
  readonly [column: string]: string | number | null
}

export const encodeDead = (key: JournalKey, letter: DeadLetter, untold: boolean): DeadRowText => ({
  ...keyRow(key),
  step: encodeText(letter.step),
  input: JSON.stringify(letter.input),
  cause: encodeText(letter.cause),
  causes: JSON.stringify(letter.causes),
  attempts: letter.attempts,
  position: JSON.stringify(letter.position),
  path: letter.path,
  version: letter.version === null ? null : encodeText(letter.version),
  at: letter.at,
  replayed: 0,
  untold: untold ? 1 : 0
})
