/** S32: a stream as an async iterator. One fiber pulls it, when there is somebody who asks. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Pull from "effect/Pull"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Reason } from "../base/Reason.ts"
import * as Rejection from "../base/Rejection.ts"
import { CurrentTask, type Node } from "../base/TaskNode.ts"
import * as Wait from "../base/Wait.ts"

/** Runs what pulls the stream, in a task of its own. */
type Begin<E, R> = (pulling: Effect.Effect<void, E, R>, end: Rejection.End<void, E>) => Rejection.Stop

/** Who waits for an element, or for the end. */
interface Reader<A> {
  readonly resolve: (result: IteratorResult<A, undefined>) => void
  readonly reject: (error: unknown) => void
}

export class Iteration<A, E, R> implements AsyncIterator<A, undefined> {
  private readonly begin: () => Rejection.Stop
  private stop: Rejection.Stop | undefined
  private task: Node<unknown, unknown> | undefined
  private chunk: ReadonlyArray<A> = []
  private given = 0
  private readonly readers: Array<Reader<A>> = []
  private readonly leavers: Array<Reader<A>> = []
  /** Wakes the fiber that pulls. */
  private ask: (() => void) | undefined
  private hasEnded = false
  /** What it failed with, until somebody is told. */
  private failure: Cause.Cause<E> | undefined

  constructor(stream: Stream.Stream<A, E, R>, begin: Begin<E, Exclude<R, Scope.Scope>>) {
    this.begin = () => begin(this.pulling(stream), (exit) => this.end(exit))
  }

  next(): Promise<IteratorResult<A, undefined>> {
    return new Promise((resolve, reject) => {
      if (this.stop === undefined && !this.hasEnded) this.stop = this.begin()
      this.readers.push({ resolve, reject })
      this.serve()
    })
  }

  /** Ends the stream, and settles when it has cleaned up. */
  return(): Promise<IteratorResult<A, undefined>> {
    return new Promise((resolve, reject) => {
      this.leavers.push({ resolve, reject })
      this.chunk = []
      if (this.stop === undefined) this.hasEnded = true
      else this.stop(left)
      this.serve()
    })
  }

  private pulling(stream: Stream.Stream<A, E, R>): Effect.Effect<void, E, Exclude<R, Scope.Scope>> {
    return Effect.withFiber((fiber) => {
      this.task = fiber.getRef(CurrentTask)
      const step = (pull: Pull.Pull<ReadonlyArray<A>, E>) =>
        Effect.andThen(
          this.demand,
          Effect.map(pull, (chunk) => this.give(chunk))
        )
      return Effect.scoped(
        Effect.flatMap(Stream.toPull(stream), (pull) => Effect.forever(step(pull), { disableYield: true }))
      ).pipe(Pull.catchDone(() => Effect.void))
    })
  }

  private readonly demand: Effect.Effect<void> = Wait.callback("somebody to ask its iterator", (resume) => {
    if (this.readers.length > 0) return resume(Effect.void)
    this.ask = () => {
      this.ask = undefined
      resume(Effect.void)
    }
    return Effect.sync(() => void (this.ask = undefined))
  })

  private give(chunk: ReadonlyArray<A>): void {
    this.chunk = chunk
    this.given = 0
    this.serve()
  }

  private end(exit: Exit.Exit<void, E>): void {
    this.hasEnded = true
    this.chunk = []
    if (Exit.isFailure(exit)) this.failure = exit.cause
    this.serve()
  }

  private serve(): void {
    if (this.hasEnded) {
      for (const leaver of this.leavers.splice(0)) this.conclude(leaver, "left")
      for (const reader of this.readers.splice(0)) this.conclude(reader, "read")
      return
    }
    while (this.readers.length > 0 && this.given < this.chunk.length) {
      this.readers.shift()!.resolve({ done: false, value: this.chunk[this.given++]! })
    }
    if (this.readers.length > 0) this.ask?.()
  }

  /** The first who hears of the end hears of the failure; that it was cancelled is no news to one who left. */
  private conclude(one: Reader<A>, how: "left" | "read"): void {
    const { failure } = this
    this.failure = undefined
    if (failure === undefined || (how === "left" && Cause.hasInterruptsOnly(failure))) {
      return one.resolve({ done: true, value: undefined })
    }
    this.task?.notice()
    one.reject(Rejection.rejectionOf(failure))
  }
}

const left: Reason = { kind: "explicit", by: "its iterator", message: "its reader has left" }
