/** S25, promises as effects: what `Offload.promise` does when it is cancelled. */
import * as Cause from "effect/Cause"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { constVoid } from "effect/Function"
import * as Option from "effect/Option"
import type { Limiter } from "../limiter/Contract.ts"
import * as Foreign from "../base/Foreign.ts"
import { offloadError, OffloadError } from "../OffloadError.ts"
import * as FailureLog from "../base/FailureLog.ts"
import * as Orphans from "../base/Orphans.ts"
import { reasonOf } from "../base/Reason.ts"
import { waiting } from "../base/TaskNode.ts"
import * as Wait from "../base/Wait.ts"

/** Waits for the promise, whatever happens. */
export const awaited = <A>(work: Work<A>, limiter: Limiter | undefined): Effect.Effect<A, OffloadError> =>
  limited(
    limiter,
    Effect.onExit(work.run, (exit) => (isCancelled(exit) ? work.stop(exit.cause) : Effect.void))
  )

/**
 * Waits for the promise in a fiber of its own, so that it can be left alone with its permit. Before the promise is made,
 * a cancellation still ends that fiber.
 */
export const abandonable = <A>(work: Work<A>, limiter: Limiter | undefined): Effect.Effect<A, OffloadError> =>
  Effect.withFiber((parent) => {
    let fiber: Fiber.Fiber<A, OffloadError> | undefined
    return Effect.onExit(
      Wait.callback<A, OffloadError>("a promise", (resume) => {
        fiber = Effect.runForkWith(parent.context)(limited(limiter, work.run))
        fiber.addObserver(resume)
      }),
      (exit) => {
        if (fiber === undefined || !isCancelled(exit)) return Effect.void
        if (work.hasStarted) return work.leave(exit.cause)
        fiber.interruptUnsafe()
        return Effect.asVoid(Fiber.await(fiber))
      }
    )
  })

const limited = <A, E>(limiter: Limiter | undefined, effect: Effect.Effect<A, E>): Effect.Effect<A, E> =>
  limiter === undefined ? effect : limiter.withPermit(effect)

const isCancelled = <A, E>(exit: Exit.Exit<A, E>): exit is Exit.Failure<A, E> =>
  Exit.isFailure(exit) && Cause.hasInterrupts(exit.cause)

/** One promise, from before it is made until it has settled. */
export class Work<A> {
  hasStarted = false
  private readonly name: string
  private readonly make: (signal: AbortSignal) => unknown
  private readonly controller = new AbortController()
  private exit: Exit.Exit<A, OffloadError> | undefined
  private woken: () => void = constVoid
  private settled: (exit: Exit.Exit<A, OffloadError>) => void = constVoid

  constructor(name: string, make: (signal: AbortSignal) => unknown) {
    this.name = name
    this.make = make
  }

  readonly run: Effect.Effect<A, OffloadError> = Effect.withFiber((fiber) =>
    Wait.callback("a promise", (resume) => {
      this.hasStarted = true
      this.woken = waiting(fiber, () => `promise "${this.name}"`)
      const settle = (exit: Exit.Exit<A, OffloadError>) => {
        this.woken()
        this.exit = exit
        this.settled(exit)
        resume(exit)
      }
      const reject = (cause: unknown) => settle(Exit.fail(offloadError(this.name, cause)))
      let made: unknown
      try {
        made = this.make(this.controller.signal)
      } catch (cause) {
        return reject(cause)
      }
      // Who makes it says what it gives.
      Foreign.settle(made, (value) => settle(Exit.succeed(value as A)), reject)
    })
  )

  /** Aborts the signal and waits for the promise; what it fails with is kept, unless that is its answer to this. */
  stop(why: Cause.Cause<unknown>): Effect.Effect<void, OffloadError> {
    return Wait.callback("a promise", (resume) => {
      if (!this.hasStarted) return resume(Effect.void)
      const end = (exit: Exit.Exit<A, OffloadError>) => resume(hasFailed(exit) ? Effect.asVoid(exit) : Effect.void)
      if (this.exit !== undefined) return end(this.exit)
      this.settled = end
      this.abort(why)
    })
  }

  /** Aborts the signal and waits no longer; what the promise fails with is told to whoever reads the log. */
  leave(why: Cause.Cause<unknown>): Effect.Effect<void> {
    return Effect.contextWith((context: Context.Context<never>) =>
      Effect.map(Orphans.abandon(this.name, "promise"), (ended) => {
        const end = (exit: Exit.Exit<A, OffloadError>) => {
          ended()
          if (!hasFailed(exit)) return
          Effect.runForkWith(context)(FailureLog.warning(`Abandoned promise "${this.name}" failed`, exit.cause))
        }
        if (this.exit !== undefined) return end(this.exit)
        this.settled = end
        this.woken()
        this.woken = constVoid
        this.abort(why)
      })
    )
  }

  private abort(why: Cause.Cause<unknown>): void {
    const message = Option.match(reasonOf(why), { onNone: () => "cancelled", onSome: (reason) => reason.message })
    this.controller.abort(new DOMException(message, "AbortError"))
  }
}

/** By itself: not because it was aborted. */
const hasFailed = <A>(exit: Exit.Exit<A, OffloadError>): exit is Exit.Failure<A, OffloadError> => {
  if (Exit.isSuccess(exit)) return false
  const error = Cause.squash(exit.cause)
  return !(Foreign.isA(error, OffloadError) && Foreign.isAbort(error.cause))
}
