/** A checkpoint as JSON text, as every journal that lasts keeps it. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type { Checkpoint, Inside as InsideOf } from "../../pipeline/Journal.ts"

export const Fingerprint: Schema.$Record<Schema.String, typeof Schema.Json> = Schema.Record(Schema.String, Schema.Json)

export const Counts = Schema.Struct({
  settled: Schema.Number,
  written: Schema.Number,
  filtered: Schema.Number,
  skipped: Schema.Number,
  dead: Schema.Number,
  bytes: Schema.Number
})

/** What is absent is none; the JSON value null is a value. */
const Optional = Schema.optionalKey(Schema.Json)

const inside = Schema.optionalKey(Schema.Array(Schema.suspend((): Schema.Codec<InsideOf> => Inside)))

const place = {
  fingerprint: Fingerprint,
  position: Optional,
  ahead: Schema.Array(Schema.Number),
  reach: Schema.optionalKey(Schema.Struct({ position: Schema.Json, fingerprint: Fingerprint })),
  inside
}

const Inside = Schema.Struct({
  index: Schema.Number,
  step: Schema.String,
  path: Schema.String,
  count: Schema.Number,
  place: Schema.Struct(place),
  seen: Schema.optionalKey(
    Schema.Array(Schema.Struct({ step: Schema.String, key: Schema.String, path: Schema.String }))
  )
})

const Kept = Schema.Struct({
  ...place,
  inputs: Schema.optionalKey(Schema.Record(Schema.String, Schema.Struct(place))),
  replaying: Schema.optionalKey(Schema.Record(Schema.String, Schema.Array(Inside))),
  sinks: Schema.Record(Schema.String, Schema.Struct({ fingerprint: Fingerprint, state: Schema.Json })),
  unnamed: Schema.optionalKey(Schema.Struct({ state: Optional })),
  steps: Schema.optionalKey(Schema.Record(Schema.String, Schema.Json)),
  counts: Counts,
  finished: Schema.Boolean
})
const decodeText = Schema.decodeEffect(Schema.fromJsonString(Kept))

export const decodeCheckpoint = (text: string): Effect.Effect<Checkpoint, Schema.SchemaError> =>
  Effect.map(decodeText(text), ({ position, reach, unnamed, ...kept }) => ({
    ...kept,
    position: position === undefined ? Option.none() : Option.some(position),
    reach: Option.fromUndefinedOr(reach),
    ...(unnamed !== undefined && {
      unnamed: unnamed.state === undefined ? Option.none() : Option.some(unnamed.state)
    })
  }))

/** By hand, as a schema would cost as much as the rest of a commit; `Schema.Json` is what it says. */
export const encodeCheckpoint = ({ position, reach, unnamed, ...kept }: Checkpoint): string =>
  JSON.stringify({
    ...kept,
    ...(Option.isSome(position) && { position: position.value }),
    ...(Option.isSome(reach) && { reach: reach.value }),
    ...(unnamed !== undefined && { unnamed: Option.isSome(unnamed) ? { state: unnamed.value } : {} })
  })
