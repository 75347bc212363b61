/** What a platform can tell of a fiber beyond what the program says of itself: Node can, a browser cannot. */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type { Place } from "./Snapshot.ts"

export interface Depth {
  /** Where fibers wait, and what for, as far as that is known. One that is not in the answer was not looked at: a look may take so long. */
  readonly look: (
    fibers: ReadonlyArray<Fiber.Fiber<unknown, unknown>>
  ) => Effect.Effect<ReadonlyMap<Fiber.Fiber<unknown, unknown>, Seen>, NotSeen>
}

export interface Seen {
  /** Of the generators it is in, the innermost first. */
  readonly places: ReadonlyArray<Place>
  /** In words that follow "waits for". */
  readonly waitsFor: string | null
  /** The fiber that could let it go on, where there is one. */
  readonly waitsForFiber: Fiber.Fiber<unknown, unknown> | null
}

/** Why nothing can be told. */
export class NotSeen {
  readonly why: string
  constructor(why: string) {
    this.why = why
  }
}

/** None where the platform has none, or nobody asked for it. */
export const Deep: Context.Reference<Depth | undefined> = /* @__PURE__ */ Context.Reference("skein/inspect/Deep", {
  defaultValue: (): Depth | undefined => undefined
})
