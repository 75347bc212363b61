/** The groups of a snapshot as a tree of labels, in which tasks that are alike are one branch with their count. */
import type { GroupView, TaskView } from "../../inspect/context/Snapshot.ts"
import * as Counts from "./Counts.ts"
import * as Words from "./Words.ts"

export interface Branch {
  readonly label: string
  readonly branches: ReadonlyArray<Branch>
  /** How many tasks stand here, those in its branches too. */
  readonly tasks: number
}

/** So many at least become one branch. */
const alike = 3

export const ofGroups = (groups: ReadonlyArray<GroupView>, now: number, depth: number): ReadonlyArray<Branch> =>
  groups.map((group) => ofGroup(group, now, depth))

const ofGroup = (group: GroupView, now: number, depth: number): Branch => {
  const body = group.tasks.find(({ kind }) => kind === "body")
  const tasks = group.tasks.filter((task) => task !== body)
  const count = Counts.of([group])
  const { omitted = 0 } = group
  const label = [
    `${Words.text(group.name)}${group.state === "open" ? "" : ` (${group.state})`}`,
    ...(body === undefined ? [] : [waiting(body, body.waitsFor), ...places(body)]),
    ...(omitted > 0 ? [`… ${Words.count(omitted, "task")} too deep to be told`] : [])
  ]
  if (depth === 0) return { label: joined([...label, left(count)]), branches: [], tasks: count }
  return {
    label: joined(label),
    branches: [...ofGroups(body?.groups ?? [], now, depth - 1), ...folded(tasks, now, depth - 1)],
    tasks: count
  }
}

const folded = (tasks: ReadonlyArray<TaskView>, now: number, depth: number): ReadonlyArray<Branch> =>
  [...Map.groupBy(tasks, (task) => shapeOf(task, depth)).values()]
    .flatMap(byPlace)
    .flatMap((some) =>
      some.length < alike ? some.map((task) => ofTask(task, now, depth)) : [ofMany(some, now, depth)]
    )

/** Of very many tasks only some are told where they wait: the others are taken to be where all of these are. */
const byPlace = (tasks: ReadonlyArray<TaskView>): ReadonlyArray<ReadonlyArray<TaskView>> => {
  const all = Map.groupBy(tasks, ({ places: [at] }) => (at === undefined ? "" : Words.place(at)))
  if (all.size !== 2 || !all.has("")) return [...all.values()]
  return [tasks.toSorted((a, b) => b.places.length - a.places.length)]
}

const ofTask = (task: TaskView, now: number, depth: number): Branch => {
  const tasks = 1 + Counts.of(task.groups)
  const label = [
    Words.text(task.name),
    `${stateOf(task)}${Words.time(now - task.since)}`,
    waiting(task, task.waitsFor),
    ...places(task),
    ...(depth === 0 && task.groups.length > 0 ? [left(tasks - 1)] : [])
  ]
  return { label: joined(label), branches: depth === 0 ? [] : ofGroups(task.groups, now, depth - 1), tasks }
}

const ofMany = (some: ReadonlyArray<TaskView>, now: number, depth: number): Branch => {
  const [first] = some as readonly [TaskView, ...ReadonlyArray<TaskView>]
  const since = some.map((task) => task.since)
  const [oldest, newest] = [smallest(since), -smallest(since.map((at) => -at))]
  const name = common(some.map((task) => Words.text(task.name)))
  const times = [Words.time(now - newest), Words.time(now - oldest)]
  const label = [
    `${Words.number(some.length)} × ${name}`,
    `${stateOf(first)}${times[0] === times[1] ? times[0] : times.join(" to ")}`,
    waiting(first, common(some.map((task) => task.waitsFor ?? ""))),
    ...places(first)
  ]
  const tasks = some.reduce((sum, task) => sum + 1 + Counts.of(task.groups), 0)
  const inner = depth === 0 ? [] : ofGroups(first.groups, now, depth - 1)
  const branches = inner.length === 0 ? [] : [{ label: `in ${Words.text(first.name)}`, branches: inner, tasks: 0 }]
  return { label: joined(label), branches, tasks }
}

/** Tasks of one shape differ in numbers alone. */
const shapeOf = (task: TaskView, depth: number): string => {
  const { groups, kind, name, state, waitsFor } = task
  const inner = depth <= 0 ? `${groups.length}` : groups.map((group) => shapeOfGroup(group, depth - 1))
  return JSON.stringify([kind, state, pattern(name), pattern(waitsFor ?? ""), inner])
}

const shapeOfGroup = (group: GroupView, depth: number): string => {
  const shapes = new Set(group.tasks.map((task) => shapeOf(task, depth - 1)))
  return JSON.stringify([pattern(group.name), group.state, [...shapes]])
}

/** Numbers, and what is made of the digits of one, like the id of a request. */
const pattern = (text: string): string => text.replaceAll(/\b[\da-f]{8,}\b|\d+/gi, "*")

const common = (texts: ReadonlyArray<string>): string => {
  const [first = ""] = texts
  return texts.every((text) => text === first) ? first : pattern(first)
}

const smallest = (numbers: ReadonlyArray<number>): number => numbers.reduce((a, b) => Math.min(a, b), Infinity)

const stateOf = ({ kind, state }: TaskView): string =>
  [...(kind === "task" || kind === "body" ? [] : [kind]), ...(state === "running" ? [] : [state]), ""].join(" ")

const waiting = ({ work }: TaskView, what: string | null): string =>
  what === null || what === "" ? (work?.isRunnable === true ? "runs" : "") : `waits for ${Words.text(what)}`

const places = (task: TaskView): ReadonlyArray<string> => task.places.slice(0, 1).map((at) => `at ${Words.place(at)}`)

const left = (tasks: number): string => (tasks === 0 ? "" : `… ${Words.count(tasks, "task")} in it`)

const joined = (parts: ReadonlyArray<string>): string => parts.filter((part) => part !== "").join("  ")
