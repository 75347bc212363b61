/** What a layer of the inspector keeps: the history of what happened to tasks. */
import * as Cause from "effect/Cause"
import type * as Exit from "effect/Exit"
import type { Entered, Watcher } from "../../concurrency/base/Entries.ts"
import type { Change } from "../../concurrency/base/TaskInfo.ts"
import * as Time from "../../concurrency/base/Time.ts"
import { errorOf } from "../context/EntryOf.ts"
import { History, kinds } from "./History.ts"

const place = Object.fromEntries(kinds.map((kind, place) => [kind, place])) as Record<(typeof kinds)[number], number>

/** Milliseconds of a clock that only goes forward. */
const monotonic = (given: Time.Time): (() => number) => {
  const clock = Time.known(given)
  const { performance } = globalThis
  return clock === Time.ofProcess ? () => performance.now() : () => Number(clock.monotonicTimeNanosUnsafe()) / 1_000_000
}

export class Watch {
  readonly history: History
  private readonly now: () => number
  /** From the time of `now` to that of day. */
  private readonly offset: number

  constructor(capacity: number, clock: Time.Time) {
    this.history = new History(capacity)
    this.now = monotonic(clock)
    this.offset = clock.currentTimeMillisUnsafe() - this.now()
  }

  /** The time of day, in milliseconds with fractions. */
  get time(): number {
    return this.now() + this.offset
  }

  readonly hear: Watcher = (kind, task, exit) => {
    const at = this.time
    if (exit !== undefined) return this.ended(task, exit, at)
    const { id, name, owner, reason, spawner } = task
    const more = kind === "suspended" ? task.info.waitsFor : kind === "cancelling" ? reason?.message : undefined
    this.history.add(place[kind as Change["kind"]], at, id, spawner?.id ?? 0, name, owner.name, more ?? undefined)
  }

  private ended({ id, name, owner, spawner, startedAt }: Entered, exit: Exit.Exit<unknown, unknown>, at: number): void {
    const isFailure = exit._tag === "Failure" && !Cause.hasInterruptsOnly(exit.cause)
    const kind = isFailure ? place.failed : exit._tag === "Success" ? place.succeeded : place.cancelled
    const error = isFailure ? errorOf(exit) : undefined
    this.history.add(kind, at, id, spawner?.id ?? 0, name, owner.name, error, Math.max(0, at - startedAt))
  }
}
