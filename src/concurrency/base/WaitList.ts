/** Those who wait, first come first served. Joining and leaving are O(1), from the middle too (S26). */
export class WaitList<W extends Waiter> {
  first: W | undefined
  size = 0
  private last: W | undefined

  add(waiter: W): void {
    waiter.waits = true
    waiter.before = this.last
    if (this.last === undefined) this.first = waiter
    else this.last.after = waiter
    this.last = waiter
    this.size += 1
  }

  /** Takes out a waiter, if it still waits, and tells whether it was the first. */
  remove(waiter: W): boolean {
    if (!waiter.waits) return false
    const before = waiter.before as W | undefined
    const after = waiter.after as W | undefined
    if (before === undefined) this.first = after
    else before.after = after
    if (after === undefined) this.last = before
    else after.before = before
    waiter.waits = false
    waiter.before = waiter.after = undefined
    this.size -= 1
    return before === undefined
  }
}

/** A place in a list; a waiter is in one list at a time. */
export class Waiter {
  waits = false
  before: Waiter | undefined
  after: Waiter | undefined
}
