/**
 * What a pool and its worker threads say to one another. A call has a slot until it is answered; beside the messages
 * each slot is a word of shared memory, so that a thread which is busy can see that its call was cancelled, and a call
 * that was not started yet can be taken back.
 */

export const sent = 0
export const started = 1
export const cancelled = 2

export type ToThread =
  | readonly [kind: typeof load, module: string, slots: SharedArrayBuffer]
  | Call
  | readonly [kind: typeof cancel, slot: number]

export type Call = readonly [kind: typeof call, slot: number, name: string, args: ReadonlyArray<unknown>]

export const load = 0
export const call = 1
export const cancel = 2

export type FromThread =
  | readonly [kind: typeof loaded, functions: ReadonlyArray<string>]
  | readonly [kind: typeof unloadable, error: Thrown]
  | readonly [kind: typeof succeeded, slot: number, value: unknown]
  | readonly [kind: typeof failed, slot: number, error: Thrown]
  /** The call was taken back before it started. */
  | readonly [kind: typeof skipped, slot: number]

// Names that nobody else uses: what runs in the thread may post messages of its own the same way.
export const loaded = "skein/loaded"
export const unloadable = "skein/unloadable"
export const succeeded = "skein/succeeded"
export const failed = "skein/failed"
export const skipped = "skein/skipped"

const kinds: ReadonlySet<unknown> = new Set([loaded, unloadable, succeeded, failed, skipped])

export const isFromThread = (message: unknown): message is FromThread => Array.isArray(message) && kinds.has(message[0])

/** What was thrown, so that it can be sent: by itself an error loses its name on the way. */
export type Thrown =
  | { readonly value: unknown }
  | {
      readonly name: string
      readonly message: string
      readonly stack: string | undefined
      readonly cause: Thrown | undefined
      /** Such as `code`. */
      readonly fields: object
    }

export const encode = (error: unknown, depth = 0): Thrown =>
  error instanceof Error
    ? {
        name: error.name,
        message: error.message,
        stack: error.stack,
        cause: error.cause === undefined || depth > 8 ? undefined : encode(error.cause, depth + 1),
        fields: { ...error }
      }
    : { value: error }

/** As much of it as can be sent whatever it is. */
export const simplify = (thrown: Thrown): Thrown =>
  "value" in thrown ? { value: String(thrown.value) } : { ...thrown, cause: undefined, fields: {} }

export const decode = (thrown: Thrown): unknown => {
  if ("value" in thrown) return thrown.value
  const { cause, fields, message, name, stack } = thrown
  const error = new Error(message, cause && { cause: decode(cause) })
  const hidden = (value: unknown) => ({ value, configurable: true, writable: true })
  return Object.defineProperties(Object.assign(error, fields), { name: hidden(name), stack: hidden(stack) })
}
