/** What happens to the fibers of a run, as entries of a timeline: it shows each slice, and who woke whom for it. */
import * as Cause from "effect/Cause"
import * as Exit from "effect/Exit"
import * as Foreign from "../../concurrency/base/Foreign.ts"
import { CurrentTask, type Node } from "../../concurrency/base/TaskNode.ts"
import type { Listener } from "../../concurrency/Registry.ts"
import type { Entry, TaskEntry } from "../../inspect/context/Entry.ts"
import type { Member } from "./Member.ts"
import type { Names } from "./Trace.ts"

type Kind = TaskEntry["kind"] | "exited"

interface Happened {
  readonly nth: number
  /** Virtual milliseconds. */
  readonly time: number
  readonly kind: Kind
  /** The fiber, or the id of its task. */
  readonly of: Member | number
  readonly by?: Member | undefined
  readonly what?: string | undefined
  readonly exit?: Exit.Exit<unknown, unknown> | undefined
}

/** How many are kept at least: the last ones. */
const most = 20_000

export class Recording {
  private readonly clock: { readonly now: number }
  private happened: Array<Happened> = []
  private count = 0
  private readonly spawners = new Map<Member, Member>()
  /** At their start, as a fiber that has ended forgets its task. */
  private readonly tasks = new Map<Member, Node<unknown, unknown> | undefined>()
  /** Those that have let go, and have not gone on. */
  private readonly paused = new Map<Member, Happened>()

  constructor(clock: { readonly now: number }) {
    this.clock = clock
  }

  seen(member: Member): void {
    member.fiber.addObserver((exit) => this.add(this.made("exited", member, { exit })))
  }

  /** A slice begins, on the stack of `by` or because that asked for it. */
  begins(member: Member, by: Member | undefined): void {
    const other = by === member ? undefined : by
    if (!this.tasks.has(member)) {
      this.tasks.set(member, member.fiber.getRef(CurrentTask))
      if (other !== undefined) this.spawners.set(member, other)
      return this.add(this.made("started", member))
    }
    const paused = this.paused.get(member)
    if (paused === undefined) return
    this.paused.delete(member)
    this.add(paused)
    this.add(this.made("resumed", member, { by: other }))
  }

  /** An operation, and what it waits for, if it does. */
  does(member: Member, waitsFor: string | undefined): void {
    if (waitsFor !== undefined) this.paused.set(member, this.made("suspended", member, { what: waitsFor }))
    else if (this.paused.size > 0) this.paused.delete(member)
  }

  interrupts(member: Member): void {
    this.add(this.made("cancelling", member, { what: "interrupted by the schedule" }))
  }

  readonly hear: Listener = ({ kind, task }) => {
    if (kind === "cancelling") this.add(this.made(kind, task.id))
  }

  entries(names: Names): ReadonlyArray<Entry> {
    const { tasks } = this
    const fibers = new Map<number, Member>()
    for (const [member, task] of tasks) if (task?.fiber === member.fiber) fibers.set(task.id, member)
    const starts = new Map<Member, number>()
    const all = [...this.happened, ...this.paused.values()].toSorted((a, b) => a.nth - b.nth)
    const moments = apart(all)
    return all.flatMap((one, i): ReadonlyArray<Entry> => {
      const { by, exit, kind, what } = one
      const member = typeof one.of === "number" ? fibers.get(one.of) : one.of
      if (member === undefined) return []
      const at = moments[i]!
      const common = {
        at,
        task: member.number,
        name: names[member.number]!,
        group: tasks.get(member)?.owner.name ?? "fibers",
        parent: this.spawners.get(member)?.number ?? null
      }
      if (kind === "started") starts.set(member, at)
      if (kind === "exited") {
        const duration = rounded(at - (starts.get(member) ?? at))
        return [{ kind, ...common, duration, ...endOf(exit!) }]
      }
      const why = kind === "cancelling" ? (what ?? tasks.get(member)?.reason?.message) : what
      return [{ kind, ...common, ...(why !== undefined && { what: why }), ...(by !== undefined && { by: by.number }) }]
    })
  }

  private made(kind: Kind, of: Member | number, more: Partial<Happened> = {}): Happened {
    return { nth: this.count++, time: this.clock.now, kind, of, ...more }
  }

  private add(one: Happened): void {
    this.happened.push(one)
    if (this.happened.length === 2 * most) this.happened = this.happened.slice(most)
  }
}

/**
 * In virtual time everything between two timers is one moment. To be seen side by side what happened in it is a microsecond apart, or
 * less where the next moment comes before that.
 */
const apart = (all: ReadonlyArray<Happened>): ReadonlyArray<number> => {
  const moments: Array<number> = []
  for (let first = 0; first < all.length;) {
    const { time } = all[first]!
    let end = first + 1
    while (end < all.length && all[end]!.time === time) end++
    const room = end === all.length ? Infinity : all[end]!.time - time
    const step = Math.min(0.001, room / (end - first + 1))
    for (let i = first; i < end; i++) moments.push(rounded(time + (i - first) * step))
    first = end
  }
  return moments
}

/** To nanoseconds. */
const rounded = (millis: number): number => Math.round(millis * 1e6) / 1e6

const endOf = (exit: Exit.Exit<unknown, unknown>) =>
  Exit.isSuccess(exit)
    ? { outcome: "succeeded" as const }
    : Cause.hasInterruptsOnly(exit.cause)
      ? { outcome: "cancelled" as const }
      : { outcome: "failed" as const, error: Foreign.brief(Cause.squash(exit.cause)).replaceAll(/\s*\n\s*/g, " ") }
