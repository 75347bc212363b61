/** This process among those of its machine: what leases and locks are held by. */
import * as Layer from "effect/Layer"
import { readFileSync, readlinkSync } from "node:fs"
import { hostname } from "node:os"
import { Host } from "../pipeline/context/Host.ts"

/**
 * Lets runs find out whether the process that holds a lease is gone, so that a killed run is taken over at once. Part of
 * `Main.layer` and `Drivers.layer`.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { Journal, Pipeline, Sink } from "skein"
 * import { Host } from "skein/node"
 *
 * const job = Pipeline.from([1, 2]).pipe(Pipeline.to(Sink.discard))
 * const run = Pipeline.run(job, { name: "numbers" }).pipe(Effect.provide([Journal.memory, Host.layer]))
 *
 * await Effect.runPromise(Effect.map(run, (summary) => summary.written)) // => 2
 * ```
 */
export const layer: Layer.Layer<never> = Layer.sync(Host, () => {
  const [machine, own] = [machineId(), processId(process.pid)]
  return {
    id: `${machine} ${own}`,
    label: `process ${process.pid} on ${hostname()}`,
    runs: (id) => {
      const [where, who] = id.split(" ")
      if (where !== machine || who === undefined) return undefined
      return isThere(Number(who.split("@")[0])) && processId(Number(who.split("@")[0])) === who
    }
  }
})

/** Numbers of processes mean something only on one machine, since its start, and in one container. */
const machineId = (): string =>
  [
    hostname(),
    tryRead(() => readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim()),
    tryRead(() => readlinkSync("/proc/self/ns/pid"))
  ]
    .filter((part) => part !== "")
    .join("/")
    .replaceAll(" ", "_")

/** With the time of its start, where that can be known: numbers are given again. */
const processId = (pid: number): string => {
  // Behind the name of the program, which may hold anything, the time is the 20th field.
  const stat = tryRead(() => readFileSync(`/proc/${pid}/stat`, "utf8"))
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
  // A zombie holds nothing any more.
  return fields[0] === "Z" || fields[0] === "X" ? `${pid}@ended` : `${pid}@${fields[19] ?? ""}`
}

const tryRead = (read: () => string): string => {
  try {
    return read()
  } catch {
    return ""
  }
}

const isThere = (pid: number): boolean => {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    // It may belong to somebody else.
    return error instanceof Error && "code" in error && error.code === "EPERM"
  }
}
