/** A worker thread with nothing around it. */
import { parentPort } from "node:worker_threads"
import { busy, empty } from "./offload_jobs.ts"

const jobs = { busy, empty }
const port = parentPort!

port.on("message", ([id, job, i]: [number, keyof typeof jobs, number]) => {
  port.postMessage([id, jobs[job](i)])
})
