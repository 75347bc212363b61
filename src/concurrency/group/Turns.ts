/**
 * Turns in a group with a limit, in the order of spawning. A task gives its turn back when its group has taken notice of
 * how it ended, and not before: a failure that cancels the group lets nobody in on its way out.
 */
/* oxlint-disable typescript/no-explicit-any -- a group holds tasks of every type */
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import { constVoid } from "effect/Function"
import { isCount } from "../limiter/ConcurrencyLimiter.ts"
import { type Node, waiting } from "../base/TaskNode.ts"
import { Waiter, WaitList } from "../base/WaitList.ts"
import * as Wait from "../base/Wait.ts"

export class Turns {
  private readonly limit: number
  private readonly turns = new Map<Node<any, any>, Turn>()
  private readonly waiting = new WaitList<Turn>()
  private taken = 0
  private admitting = false

  /** Throws on a limit that would let no task ever start. */
  constructor(limit: number) {
    if (!isCount(limit) || limit === 0) {
      throw new RangeError(`TaskGroup: limit must be a whole number, 1 or more; got ${limit}`)
    }
    this.limit = limit
  }

  /** Queues the task; what it gives is the effect for when its turn has come. */
  take<A, E, R>(task: Node<A, E>, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    const turn = new Turn()
    this.turns.set(task, turn)
    if (this.taken < this.limit && this.waiting.size === 0) this.begin(turn)
    else this.waiting.add(turn)
    return Effect.withFiber((fiber) =>
      turn.hasBegun
        ? effect
        : Wait.callback("its turn in its group", (resume) => {
            const woken = waiting(fiber, () => `its turn in group "${task.owner.name}"`)
            turn.begin = () => {
              woken()
              resume(effect)
            }
            return Effect.sync(woken)
          })
    )
  }

  /** Takes the task out, and lets in the next if it had a turn. */
  leave(task: Node<any, any>): void {
    const turn = this.turns.get(task)
    if (turn === undefined) return
    this.turns.delete(task)
    if (!turn.hasBegun) return void this.waiting.remove(turn)
    this.taken -= 1
    this.admit(task.fiber!)
  }

  private begin(turn: Turn): void {
    this.taken += 1
    turn.hasBegun = true
    turn.begin()
  }

  /** A few on the stack of whoever has left, the rest from the dispatcher. */
  private admit(by: Fiber.Fiber<unknown, unknown>): void {
    if (this.admitting) return
    this.admitting = true
    for (let count = 0; this.taken < this.limit; count++) {
      const { first } = this.waiting
      if (first === undefined) break
      if (count === maxStackedTurns) {
        return by.currentDispatcher.scheduleTask(() => {
          this.admitting = false
          this.admit(by)
        }, 0)
      }
      this.waiting.remove(first)
      this.begin(first)
    }
    this.admitting = false
  }
}

class Turn extends Waiter {
  hasBegun = false
  begin: () => void = constVoid
}

const maxStackedTurns = 64
