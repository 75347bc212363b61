/** A promise of someone else's that takes virtual time, for runs in which nothing is asynchronous. */
import * as Cause from "effect/Cause"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { Offload } from "skein"

export interface Log {
  made: number
  /** The reason of the abort. */
  aborted: unknown
  settled: number
}

export const newLog = (): Log => ({ made: 0, aborted: undefined, settled: 0 })

export interface Options<A> extends Offload.PromiseOptions {
  /** What settles it after an abort, which is ignored otherwise. */
  readonly afterAbort?: Effect.Effect<A>
}

/** `Offload.promise` of one that settles as `work` ends; a defect of it is what it is rejected with. */
export const offload = <A>(log: Log, work: Effect.Effect<A>, options: Options<A> = {}) =>
  Effect.contextWith((context: Context.Context<never>) =>
    Offload.promise((signal) => {
      log.made += 1
      let fiber = Effect.runForkWith(context)(work)
      let settle: (exit: Exit.Exit<A>) => void = () => {}
      const follow = (one: typeof fiber) =>
        one.addObserver((exit) => {
          if (one !== fiber) return
          log.settled += 1
          settle(exit)
        })
      signal.addEventListener("abort", () => {
        log.aborted = signal.reason
        if (options.afterAbort === undefined || fiber.pollUnsafe() !== undefined) return
        const before = fiber
        fiber = Effect.runForkWith(context)(options.afterAbort)
        before.interruptUnsafe()
        follow(fiber)
      })
      const then: Promise<A>["then"] = (ok, fail) => {
        settle = (exit) => (Exit.isSuccess(exit) ? ok?.(exit.value) : fail?.(Cause.squash(exit.cause)))
        follow(fiber)
        return undefined as never
      }
      return thenable(then)
    }, options)
  )

/** A promise that is not asynchronous. */
export const thenable = <A>(then: PromiseLike<A>["then"]): PromiseLike<A> => {
  // oxlint-disable-next-line unicorn/no-thenable -- what it is for
  return { then }
}

/** What has a `then` that is a value, or that cannot be asked for. */
export const withThen = (then: PropertyDescriptor): PromiseLike<unknown> =>
  // oxlint-disable-next-line unicorn/no-thenable -- what it is for
  Object.defineProperty({}, "then", then) as PromiseLike<unknown>
