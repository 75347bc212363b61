/**
 * Measures what fibers do: a slice is what one of them runs until another does or the turn of the event loop ends. The clock is read
 * once for each, as it is most of what that costs.
 */
import type * as Fiber from "effect/Fiber"
import type { Entered } from "../../concurrency/base/Entries.ts"
import { CurrentTask } from "../../concurrency/base/TaskNode.ts"
import * as Time from "../../concurrency/base/Time.ts"
import type { WorkView } from "../context/Snapshot.ts"
import { Work } from "./Work.ts"

/** A slice in which the event loop did not turn for too long. */
export interface Overrun {
  /** The time of day when it ended. */
  readonly at: number
  readonly task: { readonly id: number; readonly name: string } | null
  readonly took: number
  /** How many operations its fiber made meanwhile. */
  readonly operations: number
}

export class Meter {
  /** Whose slice it is. */
  running: Fiber.Fiber<unknown, unknown> | undefined
  private task: Entered | undefined
  private work: Work | undefined
  private began = 0
  /** When what runs now was queued. */
  private queuedAt = -1
  private turns = false
  /** Of tasks that have ended, as numbers of their own are most of what a task costs here. */
  private readonly spare: Array<Work> = []
  /** The last reading of the clock. */
  private last: number
  /** In virtual time no code takes any. */
  private readonly isReal: boolean
  private readonly now: () => number
  /** From the time of `now` to that of day. */
  private readonly offset: number
  private readonly longest: number
  private readonly overran: (overrun: Overrun) => void

  constructor(clock: Time.Time, longest: number, overran: (overrun: Overrun) => void) {
    const known = Time.known(clock)
    const { performance } = globalThis
    this.isReal = known === Time.ofProcess
    this.now = this.isReal ? () => performance.now() : () => Number(known.monotonicTimeNanosUnsafe()) / 1_000_000
    this.last = this.now()
    this.offset = clock.currentTimeMillisUnsafe() - this.last
    this.longest = longest
    this.overran = overran
  }

  /** The time of day, in milliseconds with fractions, as it was read last: at the start of this slice, or since. */
  get recent(): number {
    return this.last + this.offset
  }

  get time(): number {
    return (this.last = this.now()) + this.offset
  }

  /** A fiber runs its first operation after another has run. */
  begin(fiber: Fiber.Fiber<unknown, unknown>): void {
    // One that goes on behind another which it has started does so since that one has ended.
    const isBack = this.running === undefined && fiber.currentOpCount !== 1
    const now = isBack ? this.last : (this.last = this.now())
    this.close(now)
    const task: Entered | undefined = fiber.getRef(CurrentTask)
    this.running = fiber
    this.task = task
    this.began = now
    if (task === undefined) this.work = undefined
    else {
      const work = (this.work = this.workOf(task))
      work.begin(now)
      if (this.queuedAt >= 0 && this.isReal) work.scheduled += now - this.queuedAt
    }
    this.queuedAt = -1
    if (this.turns) return
    this.turns = true
    void turned.then(this.turn)
  }

  /** What is done for a fiber that queues it, or one of its task. */
  queued(f: () => void): () => void {
    const { work } = this
    const at = (this.last = this.now())
    const life = work?.life
    if (work !== undefined) work.queued += 1
    return () => {
      if (work !== undefined && work.life === life) work.queued -= 1
      this.queuedAt = at
      f()
      this.queuedAt = -1
    }
  }

  started(task: Entered): void {
    this.workOf(task).change(1, this.last)
  }

  ended(task: Entered): void {
    const now = (this.last = this.now())
    if (this.task === task) this.close(now)
    this.workOf(task).change(-1, now)
  }

  /** The time of day when this task ended. Where its fibers are measured the clock was read then; what is kept of it is for another. */
  end(task: Entered): number {
    const { work } = task
    if (!(work instanceof Work) || work.meter !== this) return this.time
    if (this.work === work) this.close(this.last)
    task.work = undefined
    if (this.spare.length < most) this.spare.push(work)
    return this.recent
  }

  /** Gives what can be seen of tasks at this moment. */
  look(): (task: Entered) => WorkView | null {
    const now = (this.last = this.now())
    if (this.running !== undefined) this.pass(now)
    return ({ work }) => (work instanceof Work && work.meter === this ? work.view(this.work === work, now) : null)
  }

  private workOf(task: Entered): Work {
    if (task.work === undefined) {
      const work = this.spare.pop() ?? new Work(this)
      work.reset()
      task.work = work
    }
    return task.work as Work
  }

  /** At the end of a turn of the event loop. */
  private readonly turn = (): void => {
    this.turns = false
    this.close((this.last = this.now()))
  }

  private close(now: number): void {
    const { running, task } = this
    if (running === undefined) return
    const took = this.pass(now)
    this.running = this.task = this.work = undefined
    if (took < this.longest || !this.isReal) return
    const about = task === undefined ? null : { id: task.id, name: task.name }
    this.overran({ at: now + this.offset, task: about, took, operations: running.currentOpCount })
  }

  private pass(now: number): number {
    const took = now - this.began
    if (this.work !== undefined && this.isReal) this.work.busy += took
    this.began = now
    return took
  }
}

const turned = Promise.resolve()

/** How many are kept for tasks to come. */
const most = 1000
