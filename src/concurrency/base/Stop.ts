/**
 * The wish that something ends in an orderly way. It goes down from a program to its groups and from a group to its tasks
 * and the groups in them; who does not listen is not touched by it.
 */
import * as Context from "effect/Context"
import { constVoid } from "effect/Function"
import type { Reason } from "./Reason.ts"
import { Waiter, WaitList } from "./WaitList.ts"

export class StopSignal {
  readonly above: StopSignal | undefined
  private own: Reason | undefined
  private readonly listeners = new WaitList<Listener>()
  /** Those below that somebody listens to, directly or further down; made for the first. */
  private below: Set<StopSignal> | undefined

  constructor(above?: StopSignal) {
    this.above = above
  }

  /** Why it should stop; undefined while nobody has asked for it. */
  get reason(): Reason | undefined {
    // As with cancellations, the outermost has the say.
    let reason = this.own
    for (let one = this.above; one !== undefined; one = one.above) reason = one.own ?? reason
    return reason
  }

  /** Whether anybody would hear a request now. */
  get isHeard(): boolean {
    return this.listeners.size > 0 || (this.below !== undefined && this.below.size > 0)
  }

  /** Asks once; what comes later is no news. */
  request(reason: Reason): void {
    if (this.own !== undefined) return
    this.own = reason
    const told: Array<Listener> = []
    const open: Array<StopSignal> = [this]
    for (let one = open.pop(); one !== undefined; one = open.pop()) {
      for (let listener = one.listeners.first; listener !== undefined; listener = listener.after as Listener) {
        told.push(listener)
      }
      one.below?.forEach((below) => open.push(below))
    }
    for (const listener of told) if (listener.waits) listener.hear(reason)
  }

  /** Calls `hear` at the first request, from here or above; the function it gives takes it off. */
  listen(hear: (reason: Reason) => void): () => void {
    const listener = new Listener()
    listener.hear = hear
    const wasHeard = this.isHeard
    this.listeners.add(listener)
    if (!wasHeard) upwards(this, (above, below) => above.enter(below))
    return () => {
      if (!listener.waits) return
      this.listeners.remove(listener)
      if (!this.isHeard) upwards(this, (above, below) => above.leave(below))
    }
  }

  /** Tells whether somebody listened to it, or below it, before. */
  enter(below: StopSignal): boolean {
    const wasHeard = this.isHeard
    this.below = (this.below ?? new Set()).add(below)
    return wasHeard
  }

  /** Tells whether somebody still listens to it, or below it. */
  leave(below: StopSignal): boolean {
    this.below!.delete(below)
    return this.isHeard
  }
}

/** Goes up, however far, until `isSettled` says that nothing changes from there on. */
const upwards = (from: StopSignal, isSettled: (above: StopSignal, below: StopSignal) => boolean): void => {
  for (let one = from; one.above !== undefined; one = one.above) if (isSettled(one.above, one)) return
}

class Listener extends Waiter {
  hear: (reason: Reason) => void = constVoid
}

/** That of the program: what groups outside of any task listen to. `Main.run` provides its own. */
export const ProgramStop: Context.Reference<StopSignal> = /* @__PURE__ */ Context.Reference(
  "skein/Cancel/ProgramStop",
  {
    defaultValue: (): StopSignal => new StopSignal()
  }
)
