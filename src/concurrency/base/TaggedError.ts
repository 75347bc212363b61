/**
 * The base class of the errors of this floor: what `Schema.TaggedError` would make of the same fields, without Schema, which is
 * half of what a browser would load. Their schemas are `skein/schemas`.
 */
import type * as Cause from "effect/Cause"
import * as Data from "effect/Data"

export type TaggedError<Tag extends string> = new <Fields extends object>(
  fields: Fields
) => Cause.YieldableError & { readonly _tag: Tag } & Readonly<Fields>

/* @__NO_SIDE_EFFECTS__ */
export const TaggedError = <Tag extends string>(tag: Tag): TaggedError<Tag> => {
  class Tagged extends Data.Error<Record<string, unknown>> {
    constructor(fields: object) {
      // In front, where it is printed.
      super({ _tag: tag, ...fields })
    }
  }
  Tagged.prototype.name = tag
  // A class takes no type of its fields that each call of its constructor says anew.
  return Tagged as unknown as TaggedError<Tag>
}
