/** What is counted of tasks, by their group. */
import type * as Context from "effect/Context"
import * as Metric from "effect/Metric"
import type * as Registry from "../../concurrency/Registry.ts"
import { bounds } from "../../pipeline/context/Tally.ts"
import { endOf, type Outcome } from "./Outcome.ts"

interface Series {
  readonly started: Metric.Counter<number>
  readonly running: Metric.Gauge<number>
  readonly ended: Record<Outcome, Metric.Counter<number>>
  readonly duration: Metric.Histogram<number>
}

/** Each name of a group is a series for ever, in here and wherever they are gathered. */
const mostGroups = 200
const unnamed = /^group-\d+$/

export const counting = (context: Context.Context<never>): Registry.Listener => {
  const groups = new Map<string, Series>()
  /** Whose start was heard: others are not among those that are counted as running. */
  const alive = new Set<number>()
  const seriesOf = (group: string): Series => {
    const name = unnamed.test(group) ? "unnamed" : group
    const known = groups.get(name)
    if (known !== undefined) return known
    if (groups.size > mostGroups) return groups.get("other")!
    const made = series(groups.size === mostGroups ? "other" : name)
    groups.set(groups.size === mostGroups ? "other" : name, made)
    return made
  }
  return (event) => {
    if (event.kind === "started") {
      const { running, started } = seriesOf(event.task.group)
      started.updateUnsafe(1, context)
      running.modifyUnsafe(1, context)
      alive.add(event.task.id)
    } else if (event.kind === "exited") {
      const { duration, ended, running } = seriesOf(event.task.group)
      ended[endOf(event.exit)].updateUnsafe(1, context)
      duration.updateUnsafe(event.duration / 1000, context)
      if (alive.delete(event.task.id)) running.modifyUnsafe(-1, context)
    }
  }
}

const series = (group: string): Series => {
  const counter = (name: string, description: string, more: Readonly<Record<string, string>> = {}) =>
    Metric.counter(name, { description, attributes: { group, ...more }, incremental: true })
  const ended = (outcome: Outcome) => counter("skein_tasks_ended_total", "Tasks that ended", { outcome })
  return {
    started: counter("skein_tasks_started_total", "Tasks that began"),
    running: Metric.gauge("skein_tasks_running", { description: "Tasks that have not ended", attributes: { group } }),
    ended: { succeeded: ended("succeeded"), failed: ended("failed"), cancelled: ended("cancelled") },
    duration: Metric.histogram("skein_task_duration_seconds", {
      description: "From the start of a task to its end",
      attributes: { group, unit: "seconds" },
      boundaries: bounds.map((bound) => bound / 1000)
    })
  }
}
