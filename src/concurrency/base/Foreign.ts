/**
 * S27: values that others threw, rejected with or resolved with, looked at so that nothing breaks by it. A getter may throw, a
 * proxy may throw whatever it is asked, a chain of causes may be a circle or have no end. Threads load this too, so it
 * needs nothing of Effect.
 */
import * as Secrets from "./Secrets.ts"

/** What `look` gives, or `otherwise` where it throws. */
export const attempt = <A, B>(look: () => A, otherwise: B): A | B => {
  try {
    return look()
  } catch {
    return otherwise
  }
}

/** A property; `undefined` where there is none, or where asking for it throws. */
export const get = (value: unknown, key: string): unknown =>
  attempt(() => (value as Record<string, unknown> | null | undefined)?.[key], undefined)

export const isA = <A>(value: unknown, type: abstract new (...args: never) => A): value is A =>
  attempt(() => value instanceof type, false)

/** Also one of another realm, or without a prototype. */
export const isError = (value: unknown): value is object =>
  isA(value, Error) || attempt(() => Object.prototype.toString.call(value) === "[object Error]", false)

/** The name of an error or a function; none where it has no name that can be said. */
export const nameOf = (value: unknown): string | undefined => {
  const name = get(value, "name")
  return typeof name === "symbol" ? String(name) : typeof name === "string" && name !== "" ? name : undefined
}

/** What a value says: the message of an error, without its name; of all others the form that shows most. */
export const messageOf = (value: unknown): string => {
  if (typeof value === "string") return value
  if (typeof value === "bigint") return `${value}n`
  if (typeof value === "function") return `function ${nameOf(value) ?? ""}`.trim()
  if (typeof value !== "object" || value === null) return String(value)
  const message = get(value, "message")
  if (typeof message === "string" && message !== "") return message
  if (isError(value)) return ""
  return own(value) ?? attempt(() => json(value), undefined) ?? "a value that cannot be shown"
}

/** A value in one phrase: an error by name and message. */
export const describe = (value: unknown): string => (isError(value) ? named(value) : messageOf(value))

/** An error by name and message. */
const named = (error: object): string => {
  const name = nameOf(error) ?? "Error"
  const message = get(error, "message")
  if (typeof message !== "string" || message === "") return name
  return name === "Error" ? message : `${name}: ${message}`
}

/** A value in fewer words than `describe` has, without all that it takes: what is no error by the names of its fields alone. */
export const brief = (value: unknown): string =>
  isError(value)
    ? named(value)
    : attempt(
        () => (value === Object(value) ? `{ ${Object.keys(value as object).join(", ")} }` : String(value)),
        "a value that cannot be shown"
      )

/** A value and its causes, the outermost first: each once, and no more than `most`, as an endless chain grows by being looked at. */
export function* chain(value: unknown, most = 1000): Generator<unknown, void> {
  const seen = new Set<unknown>()
  for (let one = value; one !== undefined && !seen.has(one) && seen.size < most; one = get(one, "cause")) {
    seen.add(one)
    yield one
  }
}

/** Whether work that was told to stop failed because of that: with an error named "AbortError", or caused by one. */
export const isAbort = (error: unknown): boolean => {
  for (const one of chain(error)) if (isError(one) && nameOf(one) === "AbortError") return true
  return false
}

/**
 * Hands on what `await` would give for this value, or throw, once, whatever its `then` does. Other than `await` it gives at once
 * what is there at once.
 */
export const settle = (
  value: unknown,
  succeed: (value: unknown) => void,
  fail: (error: unknown) => void,
  depth = 0
): void => {
  if ((typeof value !== "object" || value === null) && typeof value !== "function") return succeed(value)
  let open = true
  const once = (end: (given: unknown) => void) => (given: unknown) => {
    if (!open) return
    open = false
    end(given)
  }
  try {
    // Most are promises of the platform, which keep to the rules.
    if (value instanceof Promise && value.then === Promise.prototype.then) return void value.then(succeed, fail)
    const { then } = value as { readonly then?: unknown }
    if (typeof then !== "function") return once(succeed)(value)
    if (depth === 1000) throw new TypeError("It resolves with one thenable after another, without an end")
    const follow = (given: unknown) => settle(given, succeed, fail, depth + 1)
    then.call(value, once(follow), once(fail))
  } catch (error) {
    once(fail)(error)
  }
}

/** What an object's own `toString` says. */
const own = (value: object): string | undefined => {
  const toString = get(value, "toString")
  if (
    typeof toString !== "function" ||
    toString === Object.prototype.toString ||
    toString === Array.prototype.toString
  ) {
    return undefined
  }
  const text: unknown = attempt(() => toString.call(value), undefined)
  return typeof text === "string" ? text : undefined
}

/** As JSON, each object once and 1,000 of them at most; what Effect would redact says nothing, nor does what is secret by its name. */
const json = (value: object): string | undefined => {
  const seen = new Set<unknown>()
  return JSON.stringify(value, function (this: object, key: string, inner: unknown) {
    if (key !== "" && Secrets.isSecret(key)) return Secrets.mark
    if (typeof inner === "bigint") return `${inner}n`
    if (typeof inner !== "object" || inner === null) return inner
    if (seen.has(inner) || seen.size === 1000) return undefined
    seen.add(inner)
    if (redactable in (get(this, key) as object)) return "<redacted>"
    return isError(inner) ? describe(inner) : inner
  })
}

const redactable = Symbol.for("~effect/Redactable")
