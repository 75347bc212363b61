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
  readonly listeners: WaitList<Listener> = new WaitList()
  /** Those below that somebody listens to, directly or further down; made for the first. */
  below: Set<StopSignal> | undefined

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
}

/** Whether anybody would hear a request now. */
export const isHeard = ({ below, listeners }: StopSignal): boolean =>
  listeners.size > 0 || (below !== undefined && below.size > 0)

/** Calls `hear` at the first request, from this signal or above; the function it gives takes it off. */
export const listen = (signal: StopSignal, hear: (reason: Reason) => void): (() => void) => {
  const listener = new Listener()
  listener.hear = hear
  const wasHeard = isHeard(signal)
  signal.listeners.add(listener)
  if (!wasHeard) upwards(signal, enter)
  return () => {
    if (!listener.waits) return
    signal.listeners.remove(listener)
    if (!isHeard(signal)) upwards(signal, leave)
  }
}

/** Tells whether somebody listened to it, or below it, before. */
const enter = (above: StopSignal, below: StopSignal): boolean => {
  const wasHeard = isHeard(above)
  above.below = (above.below ?? new Set()).add(below)
  return wasHeard
}

/** Tells whether somebody still listens to it, or below it. */
const leave = (above: StopSignal, below: StopSignal): boolean => {
  above.below!.delete(below)
  return isHeard(above)
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
