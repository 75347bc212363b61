/** Pieces of what is told about a process, each on one line and without what a terminal would obey. */
import * as Shown from "../../concurrency/base/Shown.ts"
import type { Place, RunView, StepView } from "../../inspect/context/Snapshot.ts"

export const text = (text: string): string => Shown.text(text).replaceAll(/\s+/g, " ").trim()

export const number = (n: number): string => n.toLocaleString("en", { maximumFractionDigits: 0 })

/** `1 task`, `2 tasks`. */
export const count = (n: number, one: string): string => `${number(n)} ${one}${n === 1 ? "" : "s"}`

/** How long, from milliseconds: never longer than 9 characters. */
export const time = (ms: number): string => {
  const seconds = Math.max(0, ms) / 1000
  if (seconds < 0.1) return `${Math.round(seconds * 1000)} ms`
  if (seconds < 10) return `${seconds.toFixed(1)} s`
  if (seconds < 60) return `${Math.floor(seconds)} s`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 60) return `${minutes}m ${Math.floor(seconds % 60)}s`
  const hours = Math.floor(minutes / 60)
  return hours < 24 ? `${hours}h ${minutes % 60}m` : `${Math.floor(hours / 24)}d ${hours % 24}h`
}

export const place = ({ column, file, line }: Place): string => `${text(relative(file))}:${line}:${column}`

/** As seen from the folder that the command runs in. */
const relative = (file: string): string => {
  const here = `${process.cwd()}/`
  return file.startsWith(here) ? file.slice(here.length) : file
}

export const percent = (part: number): string => `${Math.round(part * 100)} %`

export const megabytes = (n: number): string => `${number(n)} MB`

export const run = (run: RunView, now: number): string => {
  const { commit, dead, eta, inFlight, lag, leaseUntil, partition, rate, settled } = run
  return [
    `${text(run.name)}${partition === null ? "" : ` / ${text(partition)}`}: ${run.state}, ${number(settled)} done`,
    `${number(rate)}/s`,
    ...(eta === null ? [] : [`ETA ${time(eta)}`]),
    `${number(inFlight)} in flight`,
    `lag ${number(lag)}`,
    ...(dead === 0 ? [] : [`${number(dead)} dead`]),
    ...(commit === null
      ? ["no commit yet"]
      : [`last commit ${time(now - commit.at)} ago: ${count(commit.rows, "row")} in ${time(commit.took)}`]),
    ...(leaseUntil === null ? [] : [leaseUntil < now ? "its lease ran out" : `lease for ${time(leaseUntil - now)}`])
  ].join(", ")
}

export const step = (step: StepView): string => {
  const { concurrency, dead, given, latency, retries, skipped, taken, waiting, working } = step
  return [
    `${text(step.name)}: ${number(working)} of ${number(concurrency)} working`,
    ...(waiting === 0 ? [] : [`${number(waiting)} waiting`]),
    `${number(taken)} taken`,
    `${number(given)} given`,
    ...(latency === null ? [] : [`p50 ${time(latency.p50)}`, `p99 ${time(latency.p99)}`]),
    ...(retries === 0 ? [] : [count(retries, "retry").replace(/retrys$/, "retries")]),
    ...(skipped === 0 ? [] : [`${number(skipped)} skipped`]),
    ...(dead === 0 ? [] : [`${number(dead)} dead`])
  ].join(", ")
}
