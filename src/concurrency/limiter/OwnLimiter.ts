/** What limiters of ours have in common: their permits are taken in one step, so that several give all or nothing (S30). */
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import type { Limiter, Stats } from "./Contract.ts"

/** Takes permits for this fiber if they are there and nobody waits for them. Throws where they cannot be asked for. */
export type Take = (fiber: Fiber.Fiber<unknown, unknown>) => Taken | undefined

export interface Taken {
  /** In the step in which they were taken: as if they had not been. */
  readonly undo: () => void
  /** The effect that had them has ended. */
  readonly end: (exit: Exit.Exit<unknown, unknown>) => void
}

/** What `use` gives; it is handed what takes the permits, when the limiter is ready for that. */
export type Use<A, E, R> = (take: Take) => Effect.Effect<Option.Option<A>, E, R>

export abstract class OwnLimiter implements Limiter {
  abstract withPermits(permits: number): <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

  abstract attempt<A, E, R>(permits: number, use: Use<A, E, R>): Effect.Effect<Option.Option<A>, E, R>

  abstract get stats(): Effect.Effect<Stats>

  /** What `stats` says of it, where that is known at once. */
  abstract inUseNow(fiber: Fiber.Fiber<unknown, unknown>): number | undefined

  readonly withPermit = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> => this.withPermits(1)(effect)

  tryWithPermits(permits: number) {
    return <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<Option.Option<A>, E, R> =>
      this.attempt(permits, (take) =>
        Effect.withFiber((fiber) => {
          let taken: Taken | undefined
          return Effect.onExitPrimitive(
            Effect.suspend(() => {
              taken = take(fiber)
              return taken === undefined ? Effect.succeedNone : Effect.asSome(effect)
            }),
            (exit) => void taken?.end(exit)
          )
        })
      )
  }
}

/** As `attempt` of ours; one that is not takes its permits before all others, as it has to be told what to run. */
export const attempt = <A, E, R>(
  limiter: Limiter,
  permits: number,
  use: Use<A, E, R>
): Effect.Effect<Option.Option<A>, E, R> =>
  limiter instanceof OwnLimiter
    ? limiter.attempt(permits, use)
    : Effect.map(limiter.tryWithPermits(permits)(use(() => nothing)), Option.flatten)

/** How many of its permits are in use, where that is known at once. */
export const inUseNow = (limiter: Limiter, fiber: Fiber.Fiber<unknown, unknown>): number | undefined =>
  limiter instanceof OwnLimiter ? limiter.inUseNow(fiber) : undefined

const nothing: Taken = { undo: () => {}, end: () => {} }
