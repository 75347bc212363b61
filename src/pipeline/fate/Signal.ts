/** Lets fibers wait for something to change. */
import * as Effect from "effect/Effect"
import * as Wait from "../../concurrency/base/Wait.ts"

/**
 * Whoever changes it wakes those who wait. They go on from the scheduler and never on the stack of who wakes them, which
 * may be in the middle of sending on what it has.
 */
export class Signal {
  private waiting: Array<() => void> = []

  /** Waits for the next wake, unless `ready` says that there is no need to. */
  wait(ready: () => boolean): Effect.Effect<void> {
    return Wait.callback<void>("its turn in the pipeline", (resume) => {
      if (ready()) return resume(Effect.void)
      const wake = () => resume(Effect.yieldNow)
      this.waiting.push(wake)
      return Effect.sync(() => {
        const index = this.waiting.indexOf(wake)
        if (index >= 0) this.waiting.splice(index, 1)
      })
    })
  }

  wakeOne(): void {
    if (this.waiting.length > 0) this.waiting.shift()!()
  }

  wakeAll(): void {
    if (this.waiting.length === 0) return
    for (const wake of this.waiting.splice(0)) wake()
  }
}
