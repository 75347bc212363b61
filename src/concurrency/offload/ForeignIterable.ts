/** S32, async iterables as streams: read as `for await` does, and left as S25 says. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { constVoid } from "effect/Function"
import * as Option from "effect/Option"
import type * as Pull from "effect/Pull"
import { offloadError, type OffloadError } from "../OffloadError.ts"
import * as Foreign from "../base/Foreign.ts"
import { type Reason, reasonOf } from "../base/Reason.ts"
import { abortError } from "../base/Rejection.ts"
import { Work } from "./ForeignPromise.ts"

/** One reading of an iterable, from before it is made until it is closed. */
export class Reading<A> {
  private readonly name: string
  private readonly make: (signal: AbortSignal) => AsyncIterable<A>
  private readonly leaves: boolean
  private readonly controller = new AbortController()
  private iterator: AsyncIterator<A> | undefined
  private hasEnded = false
  private hasLeft = false
  private returned: Promise<unknown> | undefined

  /** `leaves`: when it is cancelled, a `next` that is pending is not waited for. */
  constructor(name: string, make: (signal: AbortSignal) => AsyncIterable<A>, leaves: boolean) {
    this.name = name
    this.make = make
    this.leaves = leaves
  }

  readonly pull: Pull.Pull<readonly [A], OffloadError> = Effect.suspend(() => {
    const next = new Work<unknown>(this.name, () => {
      this.iterator ??= this.make(this.controller.signal)[Symbol.asyncIterator]()
      return this.iterator.next()
    })
    return Effect.flatMap(
      Effect.onExit(next.run, (exit) => {
        if (Exit.isSuccess(exit)) return Effect.void
        if (!Cause.hasInterrupts(exit.cause)) {
          this.hasEnded = true
          return Effect.void
        }
        this.stop(Option.getOrElse(reasonOf(exit.cause), () => cancelled))
        if (!this.leaves || !next.hasStarted) return next.stop(exit.cause)
        this.hasLeft = true
        return next.leave(exit.cause)
      }),
      (result) => this.taken(result)
    )
  })

  /** What the iterator still has to clean up; it is told even where nobody waits for it. */
  readonly close: Effect.Effect<void> = Effect.suspend(() => {
    if (this.iterator === undefined || this.hasEnded) return Effect.void
    const returned = this.stop(early)
    if (this.hasLeft) return Effect.void
    return Effect.catchIf(
      new Work<unknown>(this.name, () => returned).run,
      (error) => Foreign.isAbort(error.cause),
      () => Effect.void
    ).pipe(Effect.orDie, Effect.asVoid)
  })

  /** A source may be woken by its signal, or, where it has none, by `return`. */
  private stop(reason: Reason): Promise<unknown> {
    this.controller.abort(abortError(reason))
    if (this.returned === undefined) {
      this.returned = (async () => this.iterator?.return?.())()
      this.returned.catch(constVoid)
    }
    return this.returned
  }

  private taken(result: unknown): Effect.Effect<readonly [A], OffloadError | Cause.Done<void>> {
    try {
      if (typeof result !== "object" || result === null) throw new TypeError("`next` gave something that is no object")
      const { done, value } = result as IteratorResult<A>
      this.hasEnded = Boolean(done)
      return this.hasEnded ? Cause.done() : Effect.succeed([value])
    } catch (cause) {
      this.hasEnded = true
      return Effect.fail(offloadError(this.name, cause))
    }
  }
}

const cancelled: Reason = { kind: "explicit", by: "its stream", message: "cancelled" }
const early: Reason = { kind: "explicit", by: "its stream", message: "its stream has ended early" }
