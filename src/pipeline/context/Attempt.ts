/** What a step may know of the element it works on. */
import * as Context from "effect/Context"

export interface Attempt {
  /** The same for every attempt on the same element, in this run and the next: for effects that must not be doubled. */
  readonly idempotencyKey: string | undefined
  /** How many times the step was tried on this element so far; policies count it up. */
  count: number
}

export const Attempt: Context.Reference<Attempt> = Context.Reference("skein/Attempt", {
  defaultValue: (): Attempt => ({ idempotencyKey: undefined, count: 1 })
})
