/** S17, S26: the tasks of a group that have not ended, in the order of spawning. Adding and removing are O(1), amortised. */
import type { Node } from "../base/TaskNode.ts"

export class Roster {
  private slots: Array<Node<unknown, unknown> | undefined> = []
  private readers = 0
  private count = 0

  add(task: Node<unknown, unknown>): void {
    task.slot = this.slots.push(task) - 1
    this.count += 1
  }

  remove(task: Node<unknown, unknown>): void {
    this.slots[task.slot] = undefined
    this.count -= 1
    // While someone goes through them the slots stay where they are.
    if (this.readers > 0 || this.slots.length < 32 || this.count > this.slots.length / 2) return
    this.slots = this.slots.filter((task) => task !== undefined)
    this.slots.forEach((task, slot) => (task!.slot = slot))
  }

  /** Calls `f` for each task that is still there when its turn comes, but not for tasks added meanwhile. */
  forEach(f: (task: Node<unknown, unknown>) => void): void {
    this.readers += 1
    for (let slot = 0, end = this.slots.length; slot < end; slot++) {
      const task = this.slots[slot]
      if (task !== undefined) f(task)
    }
    this.readers -= 1
  }

  findLast(is: (task: Node<unknown, unknown>) => boolean): Node<unknown, unknown> | undefined {
    return this.slots.findLast((task) => task !== undefined && is(task))
  }
}
