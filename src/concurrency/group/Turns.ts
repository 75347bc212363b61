/**
 * Turns in a group with a limit, in the order of spawning. A task gives its turn back when its group has taken notice of
 * how it ended, and not before: a failure that cancels the group lets nobody in on its way out.
 */
/* oxlint-disable typescript/no-explicit-any -- a group holds tasks of every type */
import * as Effect from "effect/Effect"
import { constVoid } from "effect/Function"
import { Gate, Pass } from "../base/Gate.ts"
import { checkWhole } from "../base/Options.ts"
import { type Node, waiting } from "../base/TaskNode.ts"
import * as Wait from "../base/Wait.ts"

export class Turns {
  private readonly gate: Gate<Turn>
  private readonly turns = new Map<Node<any, any>, Turn>()

  /** Throws on a limit that would let no task ever start. */
  constructor(limit: number) {
    checkWhole("TaskGroup: limit", limit, 1)
    this.gate = new Gate(limit)
  }

  /**
   * S29: notes that a task waits for another one while it has a turn; the function it gives takes that back. Gives none where
   * the other can never begin, as all else who have a turn wait for such as have none. A wait of something in the task
   * (`isOwn` is false) does not keep it from ending in another way.
   */
  hold(holder: Node<any, any>, other: Node<any, any>, isOwn: boolean): (() => void) | undefined {
    const turn = this.turns.get(holder)
    if (turn === undefined || !this.isQueued(other)) return constVoid
    if (this.areOthersStuck(turn)) return undefined
    if (!isOwn) return constVoid
    turn.waitsFor = other
    return () => void (turn.waitsFor = undefined)
  }

  private areOthersStuck(turn: Turn): boolean {
    for (let one = this.gate.inside.first; one !== undefined; one = one.after as Turn | undefined) {
      if (one !== turn && (one.waitsFor === undefined || !this.isQueued(one.waitsFor))) return false
    }
    return true
  }

  private isQueued(task: Node<any, any>): boolean {
    return this.turns.get(task)?.isInside === false
  }

  /** Queues the task; what it gives is the effect for when its turn has come. */
  take<A, E, R>(task: Node<A, E>, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    const turn = new Turn(1)
    this.turns.set(task, turn)
    if (!this.gate.enter(turn)) this.gate.waiting.add(turn)
    return Effect.withFiber((fiber) =>
      turn.isInside
        ? effect
        : Wait.callback("its turn in its group", (resume) => {
            if (turn.isInside) return resume(effect)
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
    this.gate.leave(turn, task.fiber!)
  }
}

class Turn extends Pass {
  waitsFor: Node<any, any> | undefined
  begin: () => void = constVoid

  override entered(): void {
    this.begin()
  }
}
