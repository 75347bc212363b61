/** What a fiber can ask of the run that it is part of; nothing outside of simulations. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"

/** Makes a fiber the victim of interruptions. */
export const Victim: Context.Reference<((fiber: Fiber.Fiber<unknown, unknown>) => void) | undefined> =
  Context.Reference("skein/testing/Victim", {
    defaultValue: (): ((fiber: Fiber.Fiber<unknown, unknown>) => void) | undefined => undefined
  })

/** Says in words what has not been given back; nothing if all has. */
export type Probe = () => string | undefined

/** What the end of the run asks. */
export const Probes: Context.Reference<Array<Probe> | undefined> = Context.Reference("skein/testing/Probes", {
  defaultValue: (): Array<Probe> | undefined => undefined
})

/** Called when nothing can run, before time goes on. */
export const Idle: Context.Reference<Array<() => void> | undefined> = Context.Reference("skein/testing/Idle", {
  defaultValue: (): Array<() => void> | undefined => undefined
})

/** Writes what a fiber does into the trace of the run. */
export const Notes: Context.Reference<((fiber: Fiber.Fiber<unknown, unknown>, text: string) => void) | undefined> =
  Context.Reference("skein/testing/Notes", {
    defaultValue: (): ((fiber: Fiber.Fiber<unknown, unknown>, text: string) => void) | undefined => undefined
  })

export const note = (text: string): Effect.Effect<void> =>
  Effect.withFiber((fiber) => {
    fiber.getRef(Notes)?.(fiber, text)
    return Effect.void
  })
