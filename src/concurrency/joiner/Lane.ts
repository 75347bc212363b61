/**
 * Tasks one after another in one fiber, as a fiber for each costs as much as all else that a task is. One that succeeds is
 * followed by the next; one that ends otherwise, or has something waiting for the end of its fiber, ends it.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import { constVoid } from "effect/Function"
import { isAlone } from "../base/Interruption.ts"
import type { Node } from "../base/TaskNode.ts"
import type { Group } from "../group/Group.ts"

/** What the lanes of a joiner have in common. */
export interface Road<A, E> {
  readonly group: Group<unknown, unknown>
  readonly spawner: Pick<Fiber.Fiber<unknown, unknown>, "context">
  readonly nameOf: (index: number) => string | number
  /** Whether a task may follow another one. */
  readonly isLong: boolean
  /** Told of each task that ends, before the group is. It may call `run` of the lane that is free. */
  readonly ended: (task: Node<A, E>, index: number, exit: Exit.Exit<A, E>, free?: Lane<A, E>) => void
}

export class Lane<A, E> {
  private readonly road: Road<A, E>
  private effect: Effect.Effect<A, E> | undefined
  private index = 0
  private task: Node<A, E> | undefined
  private fiber: Fiber.Fiber<A, E> | undefined
  /** How the last task that got to its end in here has ended, and whether all but the group know of it. */
  private last: Exit.Exit<A> | undefined
  private isTold = false

  constructor(road: Road<A, E>) {
    this.road = road
  }

  run(effect: Effect.Effect<A, E>, index: number): void {
    const { fiber } = this
    const { group, isLong, nameOf, spawner } = this.road
    this.effect = effect
    this.index = index
    const name = nameOf(index)
    if (fiber !== undefined) return void (this.task = group.follow(spawner, fiber, name))
    const all = isLong ? Effect.flatMap(Effect.whileLoop(this), () => this.last!) : effect
    // What is not told at once how it ends has become the first of many.
    const task = group.start(spawner, all, {
      name,
      kind: "task",
      supervised: true,
      observed: true,
      onEnd: (first, exit) => this.close(this.task ?? first, exit)
    })
    this.task = task
    this.fiber = task.fiber
  }

  while(): boolean {
    return this.effect !== undefined
  }

  body(): Effect.Effect<A, E> {
    return this.effect!
  }

  step(value: A): void {
    const { fiber, index, road, task } = this
    const exit = Exit.succeed(value)
    this.last = exit
    this.effect = undefined
    if (task === undefined || !isAlone(fiber!)) return
    task.fiber = ended(exit)
    this.isTold = true
    road.ended(task, index, exit, this)
    // Without a next one the fiber ends first: this may be all that its group waits for.
    if (this.while()) this.tell(task, exit)
  }

  private close(task: Node<A, E>, exit: Exit.Exit<A, E>): void {
    if (!this.isTold) this.road.ended(task, this.index, exit)
    this.tell(task, exit)
  }

  private tell(task: Node<A, E>, exit: Exit.Exit<A, E>): void {
    this.isTold = false
    this.road.group.ended(task, exit)
  }
}

/** What is left of a fiber that has ended, for its task. */
const ended = <A, E>(exit: Exit.Exit<A, E>): Fiber.Fiber<A, E> => new Ended(exit) as Used<A, E> as Fiber.Fiber<A, E>

type Used<A, E> = Pick<Fiber.Fiber<A, E>, "pollUnsafe" | "addObserver">

class Ended<A, E> implements Used<A, E> {
  private readonly exit: Exit.Exit<A, E>

  constructor(exit: Exit.Exit<A, E>) {
    this.exit = exit
  }

  pollUnsafe(): Exit.Exit<A, E> {
    return this.exit
  }

  addObserver(hear: (exit: Exit.Exit<A, E>) => void): () => void {
    hear(this.exit)
    return constVoid
  }
}
