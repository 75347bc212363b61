/** What looks wrong in a snapshot, and what to do about it: functions of what was seen, which look at nothing themselves. */
import type { Orphan } from "../../concurrency/base/TaskInfo.ts"
import { span } from "../../concurrency/base/Span.ts"
import type { Finding, RunView, TaskView } from "../context/Snapshot.ts"
import type { Grown } from "./Growth.ts"
import type { Overrun } from "./Meter.ts"

/** From when on something is a finding; durations in milliseconds. */
export interface Limits {
  readonly orphan: number
  readonly cleanup: number
  readonly held: number
  readonly unseen: number
  readonly growing: number
  readonly queue: number
  readonly tasks: number
  readonly slowStep: number
}

export const defaults: Limits = {
  orphan: 10_000,
  cleanup: 10_000,
  held: 30_000,
  unseen: 1000,
  growing: 10_000,
  queue: 100,
  tasks: 1000,
  slowStep: 1000
}

export interface Seen {
  readonly at: number
  readonly tasks: ReadonlyArray<TaskView>
  readonly orphans: ReadonlyArray<Orphan>
  readonly runs: ReadonlyArray<RunView>
  /** Tasks of which each waits for the next, and the last for the first. */
  readonly circles: ReadonlyArray<ReadonlyArray<InCircle>>
  readonly gates: ReadonlyArray<GateView>
  readonly groups: ReadonlyArray<GroupGrown>
  readonly unseen: ReadonlyArray<UnseenView>
  readonly overruns: ReadonlyArray<Overrun>
}

export interface InCircle {
  readonly task: TaskView
  /** None where it waits for a group that it opened. */
  readonly waitsFor: string | undefined
}

/** A limiter that somebody waits for. */
export interface GateView {
  readonly limit: number
  readonly used: number
  readonly holders: ReadonlyArray<TaskView>
  readonly first: TaskView
  /** How long the first in the queue has waited; none where nobody watched. */
  readonly waited: number | undefined
  readonly queue: Grown | undefined
}

export interface GroupGrown {
  readonly name: string
  readonly tasks: Grown
}

/** A supervised task that failed. */
export interface UnseenView {
  readonly task: { readonly id: number; readonly name: string }
  readonly group: string
  /** How long ago that was; none where it was logged and forgotten. */
  readonly since: number | undefined
  /** How many more of this group were. */
  readonly more: number
}

export const findings = (seen: Seen, limits: Limits): ReadonlyArray<Finding> => [
  ...seen.circles.map(deadlock),
  ...seen.runs.flatMap((run) => leaseStalled(run, seen)),
  ...seen.overruns.flatMap((overrun) => overran(overrun, seen)),
  ...seen.gates.flatMap((gate) => permitHeld(gate, limits)),
  ...seen.tasks.flatMap((task) => cleanupStuck(task, seen, limits)),
  ...seen.groups.flatMap((group) => tasksGrow(group, seen, limits)),
  ...seen.gates.flatMap((gate) => queueGrows(gate, seen, limits)),
  ...seen.unseen.flatMap((failure) => failureUnseen(failure, limits)),
  ...seen.runs.flatMap((run) => stepSlow(run, limits)),
  ...seen.orphans.flatMap((orphan) => orphaned(orphan, seen, limits))
]

const about = (task: TaskView): Pick<Finding, "task" | "places"> => ({
  task: { id: task.id, name: task.name },
  places: task.places
})

const noTask: Pick<Finding, "task" | "places"> = { task: null, places: [] }

const lasting = (millis: number): string => span(Math.round(millis))

const deadlock = (circle: ReadonlyArray<InCircle>): Finding => {
  const [first] = circle
  const waits = circle.map(({ task, waitsFor }) => `"${task.name}" waits for ${waitsFor ?? "a group that it opened"}`)
  const isAlone = circle.filter(({ waitsFor }) => waitsFor !== undefined).length === 1
  return isAlone
    ? {
        kind: "waits-for-itself",
        ...about(circle.find(({ waitsFor }) => waitsFor !== undefined)!.task),
        message: `${waits.join(", and ")}: that is itself, and never comes`,
        advice: "Do not wait for a task from within it; hand on its handle, or what it gives, to whoever is outside"
      }
    : {
        kind: "deadlock",
        ...about(first!.task),
        message: `${waits.join(", and ")}: none of them can go on`,
        advice: "Take what several tasks need in the same order everywhere, or all at once with Limiter.all"
      }
}

const leaseStalled = ({ leaseUntil, name }: RunView, { at }: Seen): ReadonlyArray<Finding> =>
  leaseUntil === null || at <= leaseUntil
    ? []
    : [
        {
          kind: "lease-stalled",
          ...noTask,
          message: `The lease of run "${name}" ran out ${lasting(at - leaseUntil)} ago and is not renewed`,
          advice:
            "See whether its journal answers, and whether something blocks the event loop; another run may take its place"
        }
      ]

/** A fiber that is asked to yield makes some 2,000 operations before it does. */
const many = 4096
/** How long ago an overrun may be. */
const recent = 60_000

/** Of a fiber of no task nobody could tell which: it may be the look at the program itself, or what loads its modules. */
const overran = ({ at, operations, task, took }: Overrun, seen: Seen): ReadonlyArray<Finding> => {
  if (task === null || seen.at - at > recent) return []
  const who = `"${task.name}"`
  const places = seen.tasks.find(({ id }) => id === task.id)?.places ?? []
  return operations > many
    ? [
        {
          kind: "never-yields",
          task,
          message: `${who} ran ${operations} operations in ${lasting(took)} and let nobody else run`,
          advice: "Put Effect.yieldNow into its loop, and leave MaxOpsBeforeYield and the scheduler as they are",
          places
        }
      ]
    : [
        {
          kind: "blocks-the-loop",
          task,
          message: `${who} kept the event loop from turning for ${lasting(took)}`,
          advice:
            "Move the computation to a worker with Offload.pool, or cut it into parts with Effect.yieldNow between them",
          places
        }
      ]
}

/** The first in the queue gets in where anybody leaves, so all who hold permits have held them for as long as it waits. */
const permitHeld = ({ first, holders, limit, used, waited }: GateView, limits: Limits): ReadonlyArray<Finding> => {
  const [holder, ...more] = holders
  if (holder === undefined || waited === undefined || waited < limits.held) return []
  const others = more.length === 0 ? "" : ` and ${more.length} more`
  return [
    {
      kind: "permit-held",
      ...about(holder),
      message: `"${holder.name}"${others} held ${used} of ${limit} permits for ${lasting(waited)}, and "${first.name}" waits`,
      advice: "Hold a permit only around the call that needs it, and bound that with a Deadline"
    }
  ]
}

const cleanupStuck = (task: TaskView, { at }: Seen, { cleanup }: Limits): ReadonlyArray<Finding> =>
  task.state !== "cancelling" || at - task.since < cleanup
    ? []
    : [
        {
          kind: "cleanup-stuck",
          ...about(task),
          message: `"${task.name}" was cancelled ${lasting(at - task.since)} ago and still cleans up`,
          advice: `Bound what its finalizers wait for, or open group "${task.group}" with abandon`
        }
      ]

const tasksGrow = ({ name, tasks }: GroupGrown, { at }: Seen, limits: Limits): ReadonlyArray<Finding> =>
  at - tasks.since < limits.growing || tasks.to - tasks.from < limits.tasks
    ? []
    : [
        {
          kind: "tasks-grow",
          ...noTask,
          message: `Group "${name}" grew from ${tasks.from} to ${tasks.to} tasks in ${lasting(at - tasks.since)}: more begin than end`,
          advice: "Give the group a limit, or wait for tasks before you spawn more"
        }
      ]

const queueGrows = ({ first, holders, queue }: GateView, { at }: Seen, limits: Limits): ReadonlyArray<Finding> =>
  queue === undefined || at - queue.since < limits.growing || queue.to - queue.from < limits.queue
    ? []
    : [
        {
          kind: "queue-grows",
          ...about(first),
          message: `${queue.to} wait for a limiter, "${first.name}" first, where ${queue.from} did ${lasting(at - queue.since)} ago`,
          advice: `Make what holds its permits faster${holders[0] === undefined ? "" : `, "${holders[0].name}" among it`}, raise the limit, or refuse work early`
        }
      ]

const failureUnseen = ({ group, more, since, task }: UnseenView, { unseen }: Limits): ReadonlyArray<Finding> =>
  since !== undefined && since < unseen
    ? []
    : [
        {
          kind: "failure-unseen",
          task,
          message: `Supervised task "${task.name}" of group "${group}"${more === 0 ? "" : ` and ${more} more`} failed, and nobody looked`,
          advice: "Join the task or look at its exit, or spawn it instead of supervising it",
          places: []
        }
      ]

/** Elements wait in front of steps that share their workers: the slowest of those is what holds them up. */
const stepSlow = ({ name, steps }: RunView, { slowStep }: Limits): ReadonlyArray<Finding> =>
  steps.flatMap(({ concurrency, waiting }, i): ReadonlyArray<Finding> => {
    if (waiting < concurrency) return []
    const next = steps.findIndex((step, j) => j > i && step.waiting > 0)
    const shared = steps.slice(i, next < 0 ? steps.length : next)
    if (shared.reduce((sum, { working }) => sum + working, 0) < concurrency) return []
    const slowest = shared.reduce((a, b) => ((b.latency?.p50 ?? 0) > (a.latency?.p50 ?? 0) ? b : a))
    const { latency } = slowest
    if (latency === null || latency.p50 < slowStep) return []
    return [
      {
        kind: "step-slow",
        ...noTask,
        message: `Step "${slowest.name}" of run "${name}" takes ${lasting(latency.p50)} an element, ${lasting(latency.p99)} at worst, and ${waiting} wait for it`,
        advice: "Raise its concurrency, give what it calls a deadline, or have it take batches"
      }
    ]
  })

const orphaned = ({ from, name, since }: Orphan, { at }: Seen, { orphan }: Limits): ReadonlyArray<Finding> =>
  at - since < orphan
    ? []
    : [
        {
          kind: "orphan",
          ...noTask,
          message: `"${name}" was given up by a ${from} ${lasting(at - since)} ago and still runs`,
          advice: "Have it obey its AbortSignal, or wait for it"
        }
      ]
