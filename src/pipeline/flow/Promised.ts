/** What the function of a step gives, where it is no plain value. */
import * as Effect from "effect/Effect"
import { constVoid } from "effect/Function"
import * as Wait from "../../concurrency/base/Wait.ts"
import type { Each } from "../Step.ts"

export const isEffect = (given: object): given is Effect.Effect<unknown, unknown, unknown> =>
  // As `Effect.isEffect`, which costs as much as the rest of a step.
  Effect.TypeId in given

export const isPromise = (given: object): given is PromiseLike<unknown> =>
  "then" in given && typeof given.then === "function"

/** Whether it is one of the language's own, which settles once and calls back later. */
export const isOwn = (given: PromiseLike<unknown>): boolean =>
  given instanceof Promise && given.constructor === Promise && given.then === ownThen

const ownThen = Promise.prototype.then

/** What has to be waited for: an effect, or a promise as one. None for a value. */
export const effectOf = (step: Each, given: unknown): Effect.Effect<unknown, unknown, unknown> | undefined => {
  if (typeof given !== "object" || given === null) return undefined
  if (isEffect(given)) return given
  return isPromise(given) ? promised(step, given) : undefined
}

export const promised = (step: Each, promise: PromiseLike<unknown>): Effect.Effect<unknown, unknown> => {
  const given = Promise.resolve(promise)
  // Heard now: whoever waits for it may come when the process has ended for want of anybody.
  given.catch(constVoid)
  return Wait.callback("a promise that its step gave", (resume) => {
    given.then(
      (value) => resume(Effect.succeed(value)),
      (reason) => resume(broken(step, reason))
    )
  })
}

/** An effect, so that a `catch` that throws is a defect of the step. */
export const broken = ({ catch: make }: Each, reason: unknown): Effect.Effect<never, unknown> =>
  make === undefined ? Effect.die(reason) : Effect.suspend(() => Effect.fail(make(reason)))
