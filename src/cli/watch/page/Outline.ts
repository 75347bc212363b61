/** The await tree as rows, in which tasks that are alike are one row until it is opened. */
import type { GroupView, Orphan, Snapshot, TaskView } from "./Seen.ts"
import type { Words } from "./Words.ts"

export interface Row {
  /** The same for the same thing in the next snapshot. */
  readonly key: string
  readonly kind: "group" | "task" | "fold" | "orphan"
  readonly depth: number
  /** From 1, among those beside it. */
  readonly position: number
  readonly siblings: number
  readonly name: string
  readonly state: string
  /** Milliseconds; of a fold, of the oldest. */
  readonly age: number
  readonly waits: string
  /** The task, the body of the group, or the first of the fold. */
  readonly task: TaskView | undefined
  readonly group: GroupView | undefined
  /** Of a fold. */
  readonly tasks: number
  readonly hasMore: boolean
  readonly isOpen: boolean
}

export interface Asked {
  /** Keys of rows that are not as they are at first: folds closed, all else open. */
  readonly turned: ReadonlySet<string>
  readonly search: string
  readonly folds: boolean
}

/** The rows, and how many tasks there are. */
export interface Outline {
  readonly rows: ReadonlyArray<Row>
  readonly tasks: number
  /** Those that the search found. */
  readonly found: number
}

export const outline = (words: Words): ((snapshot: Snapshot, asked: Asked) => Outline) => {
  const alike = 3
  const pattern = (text: string): string => text.replaceAll(/\b[\da-f]{8,}\b|\d+/gi, "*")
  const common = (texts: ReadonlyArray<string>): string => {
    const [first = ""] = texts
    return texts.every((text) => text === first) ? first : pattern(first)
  }
  const shapeOf = ({ groups, kind, name, places, state, waitsFor }: TaskView): string => {
    const [at] = places
    const place = at === undefined ? "" : `${at.file}:${at.line}`
    return [kind, state, pattern(name), pattern(waitsFor ?? ""), place, groups.length].join("\n")
  }

  return ({ at, groups, orphans }, { folds, search, turned }) => {
    const rows: Array<Row> = []
    let [tasks, found] = [0, 0]
    const wanted = search.trim().toLowerCase()
    const isFolding = folds && wanted === ""
    const isWanted = (name: string, task: TaskView | undefined): boolean => {
      if (wanted === "") return true
      const text = [name, task?.waitsFor ?? "", task?.state ?? "", ...(task?.places ?? []).map(words.wholePlace)]
      return text.join("\n").toLowerCase().includes(wanted)
    }
    /** Puts a row with those below it, where the search wants one of them. */
    const put = (row: Omit<Row, "isOpen">, isOpen: boolean, all: boolean, below: (all: boolean) => void): void => {
      const isHit = isWanted(row.name, row.task)
      const index = rows.length
      const foundBefore = found
      const open = isOpen || wanted !== ""
      rows.push({ ...row, isOpen: open && row.hasMore })
      tasks += row.kind === "task" ? 1 : 0
      found += row.kind === "task" && (isHit || all) ? 1 : 0
      const firstBelow = rows.length
      below(all || (isHit && wanted !== ""))
      // What is closed was walked for its tasks, which count.
      if (!open) rows.length = firstBelow
      if (!isHit && !all && found === foundBefore && rows.length === firstBelow) rows.length = index
    }
    const putGroup = (
      group: GroupView,
      key: string,
      depth: number,
      position: number,
      siblings: number,
      all: boolean
    ) => {
      const body = group.tasks.find(({ kind }) => kind === "body")
      const others = group.tasks.filter((task) => task !== body)
      const row = {
        key,
        kind: "group" as const,
        depth,
        position,
        siblings,
        name: words.text(group.name),
        state: group.state,
        age: body === undefined ? NaN : at - body.since,
        waits: body === undefined ? "" : words.waits(body),
        task: body,
        group,
        tasks: 0,
        hasMore: others.length > 0 || (body?.groups.length ?? 0) > 0
      }
      put(row, !turned.has(key), all, (all) => {
        tasks += group.omitted ?? 0
        const inner = body?.groups ?? []
        const branches = isFolding ? [...Map.groupBy(others, shapeOf)] : others.map((task) => ["", [task]] as const)
        const flat = branches.flatMap(([shape, some]): ReadonlyArray<readonly [string, ReadonlyArray<TaskView>]> =>
          some.length < alike ? some.map((task) => ["", [task]]) : [[shape, some]]
        )
        const size = inner.length + flat.length
        putGroups(inner, key, depth + 1, size, all)
        for (const [i, [shape, some]] of flat.entries()) {
          const place = inner.length + i + 1
          if (some.length === 1) putTask(some[0]!, depth + 1, place, size, all)
          else putFold(some, `${key}\n${shape}`, depth + 1, place, size, all)
        }
      })
    }
    const putGroups = (inner: ReadonlyArray<GroupView>, key: string, depth: number, siblings: number, all: boolean) => {
      const named = new Map<string, number>()
      for (const [i, group] of inner.entries()) {
        const nth = (named.get(group.name) ?? 0) + 1
        named.set(group.name, nth)
        putGroup(group, `${key}\n${group.name}\n${nth}`, depth, i + 1, siblings, all)
      }
    }
    const putTask = (task: TaskView, depth: number, position: number, siblings: number, all: boolean) => {
      const key = `task ${task.id}`
      const row = {
        key,
        kind: "task" as const,
        depth,
        position,
        siblings,
        name: words.text(task.name),
        state: words.state(task),
        age: at - task.since,
        waits: words.waits(task),
        task,
        group: undefined,
        tasks: 1,
        hasMore: task.groups.length > 0
      }
      put(row, !turned.has(key), all, (all) => putGroups(task.groups, key, depth + 1, task.groups.length, all))
    }
    const putFold = (
      some: ReadonlyArray<TaskView>,
      key: string,
      depth: number,
      position: number,
      siblings: number,
      all: boolean
    ) => {
      const [first] = some as readonly [TaskView, ...ReadonlyArray<TaskView>]
      const row = {
        key,
        kind: "fold" as const,
        depth,
        position,
        siblings,
        name: `${words.number(some.length)} × ${words.text(common(some.map((task) => task.name)))}`,
        state: words.state(first),
        age: at - some.reduce((oldest, task) => Math.min(oldest, task.since), Infinity),
        waits:
          first.waitsFor === null ? words.waits(first) : words.text(common(some.map((task) => task.waitsFor ?? ""))),
        task: first,
        group: undefined,
        tasks: some.length,
        hasMore: true
      }
      put(row, turned.has(key), all, (all) => {
        for (const [i, task] of some.entries()) putTask(task, depth + 1, i + 1, some.length, all)
      })
    }
    const putOrphan = ({ from, name, since }: Orphan, i: number) => {
      const row = {
        key: `orphan ${i} ${name}`,
        kind: "orphan" as const,
        depth: 0,
        position: groups.length + i + 1,
        siblings: groups.length + orphans.length,
        name: words.text(name),
        state: "orphan",
        age: at - since,
        waits: `nobody: a ${from} gave it up`,
        task: undefined,
        group: undefined,
        tasks: 0,
        hasMore: false
      }
      put(row, false, false, () => {})
    }
    putGroups(groups, "", 0, groups.length + orphans.length, false)
    for (const [i, orphan] of orphans.entries()) putOrphan(orphan, i)
    return { rows, tasks, found }
  }
}
