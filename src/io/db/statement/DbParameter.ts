/** What may be interpolated into a statement, and what a driver binds for it: always a parameter, never SQL. */
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

/** A value as the driver gets it, or what is wrong with it, in words that follow its name. */
export type Bind = (value: unknown) => Result.Result<Bound, string>

/** What is not the same in all databases. */
export interface Form {
  /** What is wrong with a value that others have. */
  readonly flaw: (value: string | number | bigint) => string | undefined
  readonly array: (values: ReadonlyArray<unknown>, bind: Bind) => Result.Result<Bound, string>
}

export const binder = ({ array, flaw }: Form): Bind => {
  const bind: Bind = (value) => {
    if (Redacted.isRedacted(value)) return Result.flatMap(revealed(value), bind)
    return Array.isArray(value) ? array(value, bind) : scalar(value, flaw)
  }
  return (value) =>
    unlessTooDeep(
      () => bind(value),
      () => Result.fail("is nested too deep")
    )
}

/** Each of the elements, or what is wrong with the first that is none. */
export const elements = <A>(
  values: ReadonlyArray<unknown>,
  element: (value: unknown) => Result.Result<A, string>
): Result.Result<ReadonlyArray<A>, string> => {
  const made: Array<A> = []
  // By index: what is missing in an array with holes is undefined, too.
  for (let at = 0; at < values.length; at++) {
    const one = element(values[at])
    if (Result.isFailure(one)) return Result.fail(`has an element (${at + 1}) that ${one.failure}`)
    made.push(one.success)
  }
  return Result.succeed(made)
}

/** Whether what is bound for it is JSON text. */
export const isJson = (value: unknown): boolean =>
  (Redacted.isRedacted(value) ? Redacted.value(value) : value) instanceof JsonValue

/** The texts that must not show in a message. */
export const secretsOf = (parameters: ReadonlyArray<unknown>): ReadonlyArray<string> =>
  parameters.flatMap((value) => {
    if (Array.isArray(value)) return secretsOf(value)
    if (!Redacted.isRedacted(value)) return []
    const text = String(Result.getOrElse(plain(value), () => ""))
    return text === "" ? [] : [text]
  })

const plain = binder({ flaw: () => undefined, array: elements })

const scalar = (value: unknown, flaw: Form["flaw"]): Result.Result<Bound, string> => {
  switch (typeof value) {
    case "string":
    case "number":
    case "bigint": {
      const reason = flaw(value) ?? (typeof value === "string" && !value.isWellFormed() ? JsonText.noUtf8 : undefined)
      return reason === undefined ? Result.succeed(value) : Result.fail(reason)
    }
    case "boolean":
      return Result.succeed(value)
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
