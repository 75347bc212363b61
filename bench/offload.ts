/** What does it cost to have something done in a worker thread, of which there are two? */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import { Worker } from "node:worker_threads"
import { Offload } from "skein"
import { Workers } from "skein/node"
import { type Goal, type Group, micros, scaled, sumBelow } from "./support/group.ts"
import type * as Jobs from "./support/offload_jobs.ts"
import { peer } from "./support/peers.ts"

const size = 2
const inFlight = 64
const fileOf = (name: string) => new URL(`./support/${name}.ts`, import.meta.url)
const module = fileOf("offload_jobs")

type Job = keyof typeof Jobs
type Call = (job: Job, i: number) => PromiseLike<number>

const scope = Scope.makeUnsafe()
const pool = await Offload.pool(Offload.define<typeof Jobs>(module), { size }).pipe(
  Scope.provide(scope),
  Effect.provide(Workers.layer),
  Effect.runPromise
)

const rawWorkers = Array.from({ length: size }, () => new Worker(fileOf("offload_raw")))
const open = new Map<number, (value: number) => void>()
for (const worker of rawWorkers) {
  worker.on("message", ([id, value]: [number, number]) => {
    open.get(id)!(value)
    open.delete(id)
  })
}
let nextId = 0
const raw: Call = (job, i) =>
  new Promise((resolve) => {
    const id = nextId++
    open.set(id, resolve)
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
    rawWorkers[id % size]!.postMessage([id, job, i])
  })

const workerpool = (await peer("workerpool"))?.default.pool(fileOf("offload_workerpool").pathname, {
  minWorkers: size,
  maxWorkers: size,
  workerType: "thread"
})
const threads = { filename: module.href, minThreads: size, maxThreads: size }
const Piscina = (await peer("piscina"))?.default
const piscina = Piscina && new Piscina(threads)
const Tinypool = (await peer("tinypool"))?.default
const tinypool = Tinypool && new Tinypool(threads)

const skein = (job: Job, n: number) => async () => {
  let [sum, next] = [0, 0]
  const loop = Effect.whileLoop({
    while: () => next < n,
    body: () => pool[job](next++),
    step: (i) => void (sum += i)
  })
  await Effect.runPromise(
    Effect.all(
      Array.from({ length: inFlight }, () => loop),
      { concurrency: "unbounded" }
    )
  )
  return sum
}

const promises = (call: Call) => (job: Job, n: number) => async () => {
  let [sum, next] = [0, 0]
  const loop = async () => {
    while (next < n) {
      const i = await call(job, next++)
      sum += i
    }
  }
  await Promise.all(Array.from({ length: inFlight }, loop))
  return sum
}

const group = (title: string, job: Job, n: number, goal: ReadonlyArray<Goal>, close?: () => unknown): Group => {
  const measured = (work: () => Promise<number>) => micros({ ops: n, checksum: sumBelow(n), work })
  const row = (name: string, call: Call | undefined) =>
    ({ name, kind: "peer", measure: call && measured(promises(call)(job, n)) }) as const
  return {
    title: `${title}, ${size} worker threads`,
    unit: "µs a job",
    better: "less",
    baseline: "raw messages",
    rows: [
      { ...row("raw messages", raw), kind: "floor" },
      { name: "Offload.pool", kind: "ours", goal, measure: measured(skein(job, n)) },
      row("piscina", piscina && ((name, i) => piscina.run(i, { name }))),
      row("workerpool", workerpool && ((name, i) => workerpool.exec(name, [i]))),
      row("tinypool", tinypool && ((name, i) => tinypool.run(i, { name })))
    ],
    ...(close && { close })
  }
}

const closeAll = async () => {
  await Effect.runPromise(Scope.close(scope, Exit.void))
  await Promise.all([
    ...rawWorkers.map((worker) => worker.terminate()),
    workerpool?.terminate(),
    piscina?.destroy(),
    tinypool?.destroy()
  ])
}

const besideRaw: Goal = { limit: 1.8, of: "raw messages" }

const groups: ReadonlyArray<Group> = [
  group("An empty job", "empty", scaled(40_000), [besideRaw, { limit: 0.35, of: "piscina" }]),
  group("A job of 50 µs", "busy", scaled(10_000), [besideRaw], closeAll)
]
export default groups
