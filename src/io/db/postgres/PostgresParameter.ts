/** Parameters of statements in PostgreSQL, which has arrays. */
import * as DbParameter from "../statement/DbParameter.ts"

export const postgresParameter: DbParameter.Bind = DbParameter.binder({
  flaw: (value) =>
    typeof value === "string" && value.includes("\0")
      ? "has a NUL character in it, which text in PostgreSQL cannot have"
      : undefined,
  // The driver knows what an array of PostgreSQL looks like.
  array: DbParameter.elements
})
