/** What a journal keeps of a source. */
import type * as Schema from "effect/Schema"

/** The position of an element in its source: JSON, kept in the journal, meaningful to the source alone. */
export type Position = Schema.Json

/** What identifies the content of a source, field by field, so that a change can be named. */
export type Fingerprint = { readonly [field: string]: Schema.Json }
