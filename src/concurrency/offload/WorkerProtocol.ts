/**
 * What a pool and its worker threads say to one another. A call has a slot until it is answered, and a number, so that nothing
 * else can pass for its answer; beside the messages
 * each slot is a word of shared memory, so that a thread which is busy can see that its call was cancelled, and a call
 * that was not started yet can be taken back.
 */

import * as Foreign from "../base/Foreign.ts"

export const sent = 0
export const started = 1
export const cancelled = 2

export type ToThread =
  | readonly [kind: typeof load, module: string, slots: SharedArrayBuffer]
  | Call
  | readonly [kind: typeof calls, calls: ReadonlyArray<Call>]
  | readonly [kind: typeof cancel, slot: number]

export type Call = readonly [kind: typeof call, slot: number, id: number, name: string, args: ReadonlyArray<unknown>]

export const load = 0
export const call = 1
export const cancel = 2
export const calls = 3

export type FromThread =
  | readonly [kind: typeof loaded, functions: ReadonlyArray<string>]
  | readonly [kind: typeof unloadable, error: Thrown]
  | readonly [kind: typeof succeeded, slot: number, id: number, value: unknown]
  | readonly [kind: typeof failed, slot: number, id: number, error: Thrown]
  /** The call was taken back before it started. */
  | readonly [kind: typeof skipped, slot: number, id: number]

// Names that nobody else uses: what runs in the thread may post messages of its own the same way.
export const loaded = "skein/loaded"
export const unloadable = "skein/unloadable"
export const succeeded = "skein/succeeded"
export const failed = "skein/failed"
export const skipped = "skein/skipped"

const kinds: ReadonlySet<unknown> = new Set([loaded, unloadable, succeeded, failed, skipped])

export const isFromThread = (message: unknown): message is FromThread => Array.isArray(message) && kinds.has(message[0])

/** What was thrown, so that it can be sent: by itself an error loses its name on the way, and one that is odd cannot be sent. */
export type Thrown =
  | { readonly value: unknown }
  | {
      readonly name: string
      readonly message: string
      readonly stack: string | undefined
      readonly cause: Thrown | undefined
      /** Of an `AggregateError`, or one like it. */
      readonly errors: ReadonlyArray<Thrown> | undefined
      /** Such as `code`. */
      readonly fields: Readonly<Record<string, unknown>>
    }

/** How many errors in one another are sent. */
const most = 1000

/** Each thing that `copy` cannot copy is left out, and an object that is met again is the same one again. */
export const encode = (thrown: unknown, copy: (value: unknown) => unknown = (value) => value): Thrown => {
  const known = new Map<unknown, Thrown>()
  const encoded = (one: unknown): Thrown => {
    if (!Foreign.isError(one)) {
      return Foreign.attempt(() => ({ value: copy(one) }), undefined) ?? { value: Foreign.describe(one) }
    }
    const before = known.get(one)
    if (before !== undefined) return before
    if (known.size === most) return { value: Foreign.describe(one) }
    const stack = Foreign.get(one, "stack")
    const said: Mutable<Exclude<Thrown, { readonly value: unknown }>> = {
      name: Foreign.nameOf(one) ?? "Error",
      message: Foreign.messageOf(one),
      stack: typeof stack === "string" ? stack : undefined,
      cause: undefined,
      errors: undefined,
      fields: fieldsOf(one, copy)
    }
    known.set(one, said)
    const cause = Foreign.get(one, "cause")
    const errors = Foreign.get(one, "errors")
    const length = Foreign.attempt(() => (Array.isArray(errors) ? Math.min(errors.length, most) : undefined), undefined)
    if (cause !== undefined) said.cause = encoded(cause)
    if (length !== undefined) said.errors = Array.from({ length }, (_, i) => encoded(Foreign.get(errors, String(i))))
    return said
  }
  return encoded(thrown)
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] }

/** What an error has besides what every error has. */
const fieldsOf = (error: object, copy: (value: unknown) => unknown): Record<string, unknown> => {
  const fields: Record<string, unknown> = Object.create(null)
  for (const key of Foreign.attempt(() => Object.keys(error), [])) {
    if (!common.has(key))
      Foreign.attempt(() => (fields[key] = copy((error as Record<string, unknown>)[key])), undefined)
  }
  return fields
}

const common: ReadonlySet<string> = new Set(["name", "message", "stack", "cause", "errors"])

export const decode = (thrown: Thrown): unknown => {
  const known = new Map<Thrown, unknown>()
  const decoded = (one: Thrown): unknown => {
    if ("value" in one) return one.value
    const before = known.get(one)
    if (before !== undefined) return before
    const { cause, errors, fields, message, name, stack } = one
    const error = errors === undefined ? new Error(message) : new AggregateError([], message)
    known.set(one, error)
    const set = (key: string, value: unknown, enumerable: boolean) =>
      Object.defineProperty(error, key, { value, enumerable, configurable: true, writable: true })
    for (const [key, value] of Object.entries(fields)) set(key, value, true)
    set("name", name, false)
    set("stack", stack, false)
    if (cause !== undefined) set("cause", decoded(cause), false)
    if (errors !== undefined) set("errors", errors.map(decoded), false)
    return error
  }
  // What runs in a thread may send anything.
  return Foreign.attempt(() => decoded(thrown), thrown)
}
