/**
 * So many at once, and the others in strict order of coming: a large request is not passed by small ones behind it.
 * Everything happens in one step, so that whoever gets in, leaves or is cancelled can be so at any operation.
 */
import type * as Fiber from "effect/Fiber"
import * as Stack from "./Stack.ts"
import { Waiter, WaitList } from "./WaitList.ts"

export class Gate<P extends Pass> {
  limit: number
  used = 0
  readonly waiting: WaitList<P> = new WaitList()
  readonly inside: WaitList<P> = new WaitList()
  private admitting = false

  constructor(limit: number) {
    this.limit = limit
  }

  /** Whether there is room for this one, and nobody waits. */
  isOpenTo(pass: P): boolean {
    return this.waiting.size === 0 && this.hasRoom(pass)
  }

  /** Lets it in if it is open. */
  enter(pass: P): boolean {
    const isOpen = this.isOpenTo(pass)
    if (isOpen) this.admit(pass)
    return isOpen
  }

  /** Takes it out, wherever it is, and lets in whom that makes room for. */
  leave(pass: P, by: Fiber.Fiber<unknown, unknown>): void {
    if (pass.isInside) {
      pass.isInside = false
      this.used -= pass.places
      this.inside.remove(pass)
      this.letIn(by)
    } else if (this.waiting.remove(pass)) this.letIn(by)
  }

  /** Lets in whom there is room for, on the stack of whoever made it: a few, and the rest from the dispatcher. */
  letIn(by: Fiber.Fiber<unknown, unknown>): void {
    if (this.admitting) return
    this.admitting = true
    for (let count = 0; ; count++) {
      const { first } = this.waiting
      if (first === undefined || !this.hasRoom(first)) break
      if (count === Stack.limit) {
        return by.currentDispatcher.scheduleTask(() => {
          this.admitting = false
          this.letIn(by)
        }, 0)
      }
      this.waiting.remove(first)
      this.admit(first)
    }
    this.admitting = false
  }

  protected hasRoom(pass: P): boolean {
    return this.used + pass.places <= this.limit
  }

  private admit(pass: P): void {
    pass.isInside = true
    this.used += pass.places
    this.inside.add(pass)
    pass.entered()
  }
}

/** Whoever is in or wants to be. */
export abstract class Pass extends Waiter {
  readonly places: number
  isInside = false

  constructor(places: number) {
    super()
    this.places = places
  }

  abstract entered(): void
}
