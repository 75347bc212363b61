/** What work costs: time by the clock, and CPU time of all threads and of the processes that were started for it. */
import { readdirSync, readFileSync } from "node:fs"

/** Milliseconds. */
export interface Cost {
  readonly wall: number
  readonly cpu: number
}

/** Gives what it has cost since. */
export const begin = (): (() => Cost) => {
  const before = children()
  const cpu = process.cpuUsage()
  const from = performance.now()
  return () => {
    const wall = performance.now() - from
    const { system, user } = process.cpuUsage(cpu)
    return { wall, cpu: (user + system) / 1000 + children() - before }
  }
}

const apart = new Set<string>()

/** The time of this child is not counted: it is the other side, and does the same for all. */
export const leaveOut = (pid: number | undefined): void => void apart.add(`${pid}`)

/** What Linux counts time in; the same on every machine that Node runs on. */
const tick = 10

/** Milliseconds of CPU time of all that this process has started, at any depth; 0 where the system does not tell. */
const children = (): number => {
  for (let attempt = 0; attempt < 5; attempt++) {
    try {
      return below("self")
    } catch {
      // One of them has ended meanwhile.
    }
  }
  return 0
}

const below = (pid: string): number => {
  const reaped = sum(timesOf(pid).slice(2))
  const living = readdirSync(`/proc/${pid}/task`)
    .flatMap((task) => readFileSync(`/proc/${pid}/task/${task}/children`, "utf8").split(" "))
    .filter((child) => child !== "" && !apart.has(child))
    .reduce((total, child) => total + sum(timesOf(child).slice(0, 2)) + below(child), 0)
  if (sum(timesOf(pid).slice(2)) !== reaped) throw new Error("a child was among the living, or is now among the others")
  return reaped + living
}

/** In user and kernel, its own and those of the children that it has waited for. */
const timesOf = (pid: string): ReadonlyArray<number> => {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8")
  // After the name of the program, in which there may be anything.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
  return fields.slice(11, 15).map((ticks) => Number(ticks) * tick)
}

const sum = (numbers: ReadonlyArray<number>): number => numbers.reduce((total, one) => total + one, 0)
