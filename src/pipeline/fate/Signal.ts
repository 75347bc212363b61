/** Lets fibers wait for something to change. */
import * as Effect from "effect/Effect"
import * as Wait from "../../concurrency/base/Wait.ts"
import { Waiter, WaitList } from "../../concurrency/base/WaitList.ts"

/**
 * Whoever changes it wakes those who wait. They go on from the scheduler and never on the stack of who wakes them, which
 * may be in the middle of sending on what it has.
 */
export class Signal {
  private readonly waiting = new WaitList<Sleeper>()

  /** Waits for the next wake, unless `ready` says that there is no need to. */
  wait(ready: () => boolean): Effect.Effect<void> {
    return Wait.callback<void>("its turn in the pipeline", (resume) => {
      if (ready()) return resume(Effect.void)
      const sleeper = new Sleeper(() => resume(Effect.yieldNow))
      this.waiting.add(sleeper)
      return Effect.sync(() => void this.waiting.remove(sleeper))
    })
  }

  wakeOne(): void {
    const { first } = this.waiting
    if (first === undefined) return
    this.waiting.remove(first)
    first.wake()
  }

  /** Those who wait now: some wait again as soon as they are woken. */
  wakeAll(): void {
    for (let count = this.waiting.size; count > 0; count--) this.wakeOne()
  }
}

class Sleeper extends Waiter {
  readonly wake: () => void

  constructor(wake: () => void) {
    super()
    this.wake = wake
  }
}
