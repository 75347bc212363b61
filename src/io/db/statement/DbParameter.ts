/** What may be interpolated into a statement, and the form in which each database takes it: always a parameter, never SQL. */
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import { isTooDeep, unlessTooDeep } from "../../../concurrency/base/Nesting.ts"
import * as JsonText from "../../../concurrency/base/JsonText.ts"

/**
 * What a statement takes as a parameter. An array is an array of PostgreSQL, as in `= ANY(${ids})`, and JSON text in SQLite,
 * as in `IN (SELECT value FROM json_each(${ids}))`. A date is its ISO text, in UTC. A redacted value is passed on, and hidden
 * in messages.
 */
export type Parameter =
  | string
  | number
  | bigint
  | boolean
  | null
  | Uint8Array
  | Date
  | Json
  | ReadonlyArray<Parameter>
  | Redacted.Redacted<string | number | bigint | boolean | null | Uint8Array | Date | Json>

/** A value that a statement gets as JSON. */
export interface Json {
  readonly [TypeId]: typeof TypeId
}

const TypeId = "~skein/Db/Json"

/** Known by its class: an object that came from outside cannot pass for one. */
class JsonValue implements Json {
  readonly [TypeId] = TypeId
  readonly #value: unknown

  constructor(value: unknown) {
    this.#value = value
  }

  /** The text, or what is wrong with the value. */
  get text(): Result.Result<string, string> {
    try {
      // Undefined for a function, a symbol and undefined itself, whatever its type says.
      const known: unknown = typeof this.#value === "object" ? "" : JSON.stringify(this.#value)
      return known === undefined ? Result.fail("has no JSON form") : JsonText.print(this.#value)
    } catch (error) {
      if (isTooDeep(error)) return Result.fail(JsonText.tooDeep)
      return Result.fail(`has no JSON form: ${error instanceof Error ? error.message : String(error)}`)
    }
  }
}

export const json = (value: unknown): Json => new JsonValue(value)

/** What a driver binds. */
export type Bound = string | number | bigint | boolean | Uint8Array | Date | null | ReadonlyArray<Bound>

export type Dialect = "pg" | "sqlite"

/** A parameter as the driver gets it, or what is wrong with it, in words that follow its name. */
export const bind = (value: unknown, dialect: Dialect): Result.Result<Bound, string> =>
  unlessTooDeep(
    () => bindValue(value, dialect),
    () => Result.fail("is nested too deep")
  )

const bindValue = (value: unknown, dialect: Dialect): Result.Result<Bound, string> => {
  if (Redacted.isRedacted(value)) return Result.flatMap(revealed(value), (value) => bindValue(value, dialect))
  if (Array.isArray(value)) return dialect === "pg" ? arrayOf(value) : jsonArray(value)
  return scalar(value, dialect)
}

/** The texts that must not show in a message. */
export const secretsOf = (parameters: ReadonlyArray<unknown>): ReadonlyArray<string> =>
  parameters.flatMap((value) => {
    if (Array.isArray(value)) return secretsOf(value)
    if (!Redacted.isRedacted(value)) return []
    const text = String(Result.getOrElse(bind(value, "pg"), () => ""))
    return text === "" ? [] : [text]
  })

const scalar = (value: unknown, dialect: Dialect): Result.Result<Bound, string> => {
  switch (typeof value) {
    case "string":
      return dialect === "pg" && value.includes("\0") ? Result.fail(nul) : wellFormed(value)
    case "boolean":
      return Result.succeed(value)
    case "number":
      // SQLite keeps it as NULL, which nobody would see.
      return dialect === "sqlite" && Number.isNaN(value)
        ? Result.fail("is NaN, which SQLite does not have")
        : Result.succeed(value)
    case "bigint":
      return dialect === "sqlite" && BigInt.asIntN(64, value) !== value
        ? Result.fail("is an integer of more than 64 bits, which SQLite does not have")
        : Result.succeed(value)
    case "undefined":
      return Result.fail("is undefined. Write null for no value")
    default:
      return object(value)
  }
}

const object = (value: unknown): Result.Result<Bound, string> => {
  if (value === null || value instanceof Uint8Array) return Result.succeed(value)
  if (value instanceof JsonValue) return value.text
  if (value instanceof Date) {
    return Number.isNaN(value.getTime()) ? Result.fail("is an invalid date") : Result.succeed(value)
  }
  return Result.fail(typeof value === "object" ? noObject : `is a ${typeof value}`)
}

const noObject = "is an object. Give it as Db.json(…)"

/** One that only looks redacted, as what came from outside may, has no value. */
const revealed = (value: Redacted.Redacted<unknown>): Result.Result<unknown, string> =>
  Result.try({ try: () => Redacted.value(value), catch: () => noObject })

const wellFormed = (text: string): Result.Result<string, string> =>
  text.isWellFormed() ? Result.succeed(text) : Result.fail(JsonText.noUtf8)

const nul = "has a NUL character in it, which text in PostgreSQL cannot have"

/** As it is, for the driver: it knows what an array of PostgreSQL looks like. */
const arrayOf = (values: ReadonlyArray<unknown>): Result.Result<Bound, string> => {
  const bound: Array<Bound> = []
  // By index: what is missing in an array with holes is undefined, too.
  for (let at = 0; at < values.length; at++) {
    const element = bindValue(values[at], "pg")
    if (Result.isFailure(element)) return Result.fail(inArray(at, element.failure))
    bound.push(element.success)
  }
  return Result.succeed(bound)
}

const jsonArray = (values: ReadonlyArray<unknown>): Result.Result<string, string> => {
  const parts: Array<string> = []
  for (let at = 0; at < values.length; at++) {
    const value = values[at]
    const part = Array.isArray(value)
      ? jsonArray(value)
      : Result.flatMap(bindValue(value, "sqlite"), (bound) => jsonElement(bound, value))
    if (Result.isFailure(part)) return Result.fail(inArray(at, part.failure))
    parts.push(part.success)
  }
  return Result.succeed(`[${parts.join(",")}]`)
}

const jsonElement = (bound: Bound, value: unknown): Result.Result<string, string> => {
  if (bound instanceof Uint8Array) return Result.fail("is bytes, which have no JSON form")
  if (typeof bound === "number" && !Number.isFinite(bound)) return Result.fail(`is ${bound}, which has no JSON form`)
  const isJson = (Redacted.isRedacted(value) ? Redacted.value(value) : value) instanceof JsonValue
  return Result.succeed(isJson || typeof bound === "bigint" ? String(bound) : JSON.stringify(bound))
}

const inArray = (at: number, reason: string): string => `has an element (${at + 1}) that ${reason}`
