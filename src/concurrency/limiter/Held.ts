/** The permits held around a piece of code: they are in its environment, so that its hidden fibers know of them (S29). */
import * as Context from "effect/Context"
import type * as Fiber from "effect/Fiber"

export interface Held {
  /** What the permits are of. */
  readonly gate: object
  /** Who took them, as long as they are held. */
  readonly fiber: Fiber.Fiber<unknown, unknown> | undefined
  readonly places: number
  /** Code may outlive the permit it was started under. */
  readonly isInside: boolean
  /** The next one around. */
  outer: Held | undefined
}

export const Held: Context.Reference<Held | undefined> = /* @__PURE__ */ Context.Reference("skein/Limiter/Held", {
  defaultValue: (): Held | undefined => undefined
})

/** The innermost of these that is still held. Those further out that are not are let go: such chains could grow for ever. */
export const innermost = (held: Held | undefined): Held | undefined => {
  let first = held
  while (first?.isInside === false) first = first.outer
  for (let one = first; one !== undefined; one = one.outer) {
    while (one.outer?.isInside === false) one.outer = one.outer.outer
  }
  return first
}
