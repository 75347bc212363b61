/** What a layer of the inspector keeps of a program. */
import * as Cause from "effect/Cause"
import type * as Exit from "effect/Exit"
import type { Entered, Watcher } from "../../concurrency/base/Entries.ts"
import * as Secrets from "../../concurrency/base/Secrets.ts"
import { waitsOf } from "./Waits.ts"
import type { Change } from "../../concurrency/base/TaskInfo.ts"
import type { Time } from "../../concurrency/base/Time.ts"
import type { LastCommit } from "../../pipeline/context/Runs.ts"
import { errorOf } from "../context/EntryOf.ts"
import type { Limits } from "./Findings.ts"
import { Growth } from "./Growth.ts"
import { History, kinds } from "./History.ts"
import { Meter, type Overrun } from "./Meter.ts"

const place = Object.fromEntries(kinds.map((kind, place) => [kind, place])) as Record<(typeof kinds)[number], number>

export interface WatchOptions {
  readonly history: number
  /** Milliseconds. */
  readonly blocked: number
  readonly limits: Limits
}

export class Watch {
  readonly history: History
  readonly limits: Limits
  readonly meter: Meter
  /** The last ones. */
  readonly overruns: Array<Overrun> = []
  readonly growth: Growth = new Growth()

  constructor({ blocked, history, limits }: WatchOptions, clock: Time) {
    this.limits = limits
    this.history = new History(history)
    this.meter = new Meter(clock, blocked, (overrun) => this.overran(overrun))
  }

  readonly hear: Watcher = (kind, task, exit) => {
    if (exit !== undefined) return this.ended(task, exit)
    const { meter } = this
    // Where a task begins the clock was read by its slice, or for the task.
    const at = kind === "spawned" || kind === "started" ? Math.max(meter.recent, task.startedAt) : meter.time
    if (kind === "suspended") for (const wait of waitsOf(task)) wait.since ??= at
    const more = kind === "suspended" ? task.info.waitsFor : kind === "cancelling" ? task.reason?.message : undefined
    this.history.add(place[kind as Change["kind"]], at, task, more ?? undefined)
  }

  readonly committed = (run: string, { at, rows, took }: LastCommit): void =>
    this.history.note({ kind: "committed", at, run: Secrets.hidden(run), rows, took })

  private ended(task: Entered, exit: Exit.Exit<unknown, unknown>): void {
    const isFailure = exit._tag === "Failure" && !Cause.hasInterruptsOnly(exit.cause)
    const kind = isFailure ? place.failed : exit._tag === "Success" ? place.succeeded : place.cancelled
    const at = this.meter.end(task)
    this.history.add(kind, at, task, isFailure ? errorOf(exit) : undefined, Math.max(0, at - task.startedAt))
  }

  private overran(overrun: Overrun): void {
    if (this.overruns.push(overrun) > most) this.overruns.shift()
    const { at, task, took } = overrun
    this.history.note({ kind: "blocked", at, task: task?.id ?? null, name: task?.name ?? null, took, stack: [] })
  }
}

const most = 32
