/**
 * The type of a `Schema.TaggedError` base class, spelled out as `isolatedDeclarations` wants it:
 *
 * `const Base: TypedError<MyError, "MyError", { readonly url: Schema.String }> = Schema.TaggedError<MyError>()("MyError", { url: Schema.String })`
 */
import type * as Cause from "effect/Cause"
import type * as Schema from "effect/Schema"

export type TypedError<Self, Tag extends string, Fields extends Schema.Struct.Fields> = Schema.Class<
  Self,
  Schema.TaggedStruct<Tag, Fields>,
  Cause.YieldableError
>
