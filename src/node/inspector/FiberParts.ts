/**
 * What a suspended fiber has on its stack. Effect tells none of it, so this looks into its fibers and its operations, here and
 * nowhere else of this floor: whether they are what it takes them for is looked at once, before anyone relies on it.
 */
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"

type AnyFiber = Fiber.Fiber<unknown, unknown>

/** An operation that waits for the end of another one. */
interface Frame {
  readonly "~effect/Effect/identifier"?: string
  /** Of a generator. */
  readonly iterator?: object
  readonly "~effect/Effect/args"?: unknown
}

interface Inside {
  readonly _stack: ReadonlyArray<Frame>
  readonly _yielded: unknown
  readonly _observers: ReadonlyArray<object> | undefined
}

const insideOf = (fiber: AnyFiber): Inside => fiber as unknown as Inside

/** The generators it is in, the innermost first. */
export const generatorsOf = (fiber: AnyFiber): ReadonlyArray<object> => {
  const generators: Array<object> = []
  for (const frame of insideOf(fiber)._stack) {
    if (frame["~effect/Effect/identifier"] === "Iterator" && frame.iterator !== undefined)
      generators.push(frame.iterator)
  }
  return generators.toReversed()
}

/** What is called when it is interrupted where it waits, a closure over what it waits for; none where nothing is. */
export const finalizerOf = (fiber: AnyFiber): object | undefined => {
  const { _stack, _yielded } = insideOf(fiber)
  const last = _stack.at(-1)
  const isWaiting = typeof _yielded === "function" && last?.["~effect/Effect/identifier"] === "AsyncFinalizer"
  return isWaiting ? functionIn(last) : undefined
}

/** The variables of such a closure that tell. */
export interface Waiting {
  /** What the wait gave to cancel it. */
  readonly onCancel?: unknown
  readonly controller?: unknown
}

/** The function an operation was made of. */
export const functionIn = (operation: unknown): object | undefined => {
  const args = (operation as Frame | null | undefined)?.["~effect/Effect/args"]
  return typeof args === "function" ? args : undefined
}

/** Who is called when it ends. */
export const observersOf = (fiber: AnyFiber): ReadonlyArray<object> => insideOf(fiber)._observers ?? []

/** Whether a fiber that waits in two generators shows both. */
export const isRight = (): boolean => {
  const made: Array<object> = []
  const inner = Effect.suspend(() => noting(made, Effect.never))
  const outer = Effect.suspend(() => noting(made, inner))
  const fiber = Effect.runFork(outer)
  try {
    const seen = generatorsOf(fiber)
    return seen.length === 2 && seen[0] === made[1] && seen[1] === made[0]
  } catch {
    return false
  } finally {
    fiber.interruptUnsafe()
  }
}

/** As `Effect.gen`, which keeps its generator for itself. */
const noting = (made: Array<object>, effect: Effect.Effect<void>): Effect.Effect<void> =>
  Effect.gen({ self: undefined }, () => {
    const generator = (function* () {
      yield* effect
    })()
    made.push(generator)
    return generator
  })
