/** The watchdog's half in the thread of the program: it tells that the loop turns, and who is at work. */
import * as Fiber from "effect/Fiber"
import { url as inspectorUrl } from "node:inspector"
import { isMainThread, Worker } from "node:worker_threads"
import { CurrentTask } from "../../concurrency/base/TaskNode.ts"
import * as Beat from "./Beat.ts"

export interface Watchdog {
  readonly stop: () => Promise<unknown>
}

/** Throws where there can be none; `failed` is told when it ends by itself. */
export const start = (
  threshold: number,
  heard: (blockage: Beat.Blockage) => void,
  failed: (error: unknown) => void
): Watchdog => {
  if (!isMainThread) throw new Error("only the main thread of a process can be watched")
  const setup = Beat.setupFor(threshold)
  const { interval, shared } = setup
  Object.assign(globalThis, { [Symbol.for(Beat.slot)]: atWork })
  let last = performance.now()
  const beat = () => {
    const now = performance.now()
    // At most so long: it was to turn only after the interval.
    const stood = now - last - interval
    last = now
    if (stood >= threshold) Atomics.store(shared, Beat.stood, stood)
    Atomics.store(shared, Beat.debugged, inspectorUrl() === undefined ? 0 : 1)
    Atomics.store(shared, Beat.at, now)
  }
  beat()
  const code = new URL(import.meta.url.endsWith(".ts") ? "./WatchdogMain.ts" : "./WatchdogMain.js", import.meta.url)
  const worker = new Worker(code, { name: "skein-watchdog", workerData: setup, execArgv: [] })
  worker.on("message", heard)
  worker.on("error", failed)
  worker.unref()
  const beating = setInterval(beat, interval)
  beating.unref()
  return {
    stop: () => {
      clearInterval(beating)
      return worker.terminate()
    }
  }
}

const atWork = (): Beat.AtWork => {
  const fiber = Fiber.getCurrent()
  const task = fiber?.getRef(CurrentTask)
  return { fiber: fiber?.id ?? null, task: task?.id ?? null, name: task?.name ?? null }
}
