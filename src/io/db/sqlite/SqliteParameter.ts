/** Parameters of statements in SQLite, to which an array is JSON. */
import * as Result from "effect/Result"
import * as DbParameter from "../statement/DbParameter.ts"

const jsonArray = (values: ReadonlyArray<unknown>, bind: DbParameter.Bind): Result.Result<string, string> => {
  const part = (value: unknown) =>
    Array.isArray(value)
      ? jsonArray(value, bind)
      : Result.flatMap(bind(value), (bound) => jsonElement(bound, DbParameter.isJson(value)))
  return Result.map(DbParameter.elements(values, part), (parts) => `[${parts.join(",")}]`)
}

const jsonElement = (bound: DbParameter.Bound, isJson: boolean): Result.Result<string, string> => {
  if (bound instanceof Uint8Array) return Result.fail("is bytes, which have no JSON form")
  if (typeof bound === "number" && !Number.isFinite(bound)) return Result.fail(`is ${bound}, which has no JSON form`)
  return Result.succeed(isJson || typeof bound === "bigint" ? String(bound) : JSON.stringify(bound))
}

export const sqliteParameter: DbParameter.Bind = DbParameter.binder({
  flaw: (value) => {
    // SQLite keeps it as NULL, which nobody would see.
    if (typeof value === "number" && Number.isNaN(value)) return "is NaN, which SQLite does not have"
    return typeof value === "bigint" && BigInt.asIntN(64, value) !== value
      ? "is an integer of more than 64 bits, which SQLite does not have"
      : undefined
  },
  array: jsonArray
})
