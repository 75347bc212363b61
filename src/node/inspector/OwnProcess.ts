/** What Node tells of the process itself. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { basename } from "node:path"
import { performance, type EventLoopUtilization } from "node:perf_hooks"
import * as Secrets from "../../concurrency/base/Secrets.ts"
import * as Shown from "../../concurrency/base/Shown.ts"
import { Process } from "../../inspect/context/Process.ts"

/** Lets the inspector tell title, memory and load of this process. */
export const layer: Layer.Layer<never> = Layer.effect(
  Process,
  Effect.acquireRelease(
    Effect.sync(() => measured()),
    ({ stop }) => Effect.sync(stop)
  ).pipe(
    Effect.map(({ busy }) => () => {
      const { heapUsed, rss } = process.memoryUsage()
      return {
        pid: process.pid,
        title: title(process.argv),
        startedAt,
        memory: { resident: rss / 1e6, heap: heapUsed / 1e6 },
        busy: busy()
      }
    })
  )
)

/** Milliseconds since the epoch. */
export const startedAt: number = Math.round(performance.timeOrigin)

/** The command line, without the path of Node and without what may be secret by the name in front of it. */
export const title = (argv: ReadonlyArray<string>): string => {
  const [, program = "node", ...rest] = argv
  const args = rest.map((arg, i) => {
    const [, flag = "", value] = /^([^=]*?)(=.*)?$/s.exec(arg) ?? []
    if (isSecret(flag) && value !== undefined) return `${flag}=${Secrets.mark}`
    return isSecret(rest[i - 1] ?? "") && !arg.startsWith("-") ? Secrets.mark : arg
  })
  const text = Shown.text([basename(program), ...args].join(" ")).replaceAll(/\s+/g, " ")
  return text.length > longest ? `${text.slice(0, longest)}…` : text
}

const longest = 200

/** `--token`, or `api.token` of `--set api.token=x`. */
const isSecret = (name: string): boolean => name.split(/[.:]/).some((part) => Secrets.isSecret(part.replace(/^-+/, "")))

/** How busy the event loop was since a second ago, or since up to two. */
const measured = () => {
  let [before, last]: [EventLoopUtilization, EventLoopUtilization] = [
    performance.eventLoopUtilization(),
    performance.eventLoopUtilization()
  ]
  const timer = setInterval(() => {
    before = last
    last = performance.eventLoopUtilization()
  }, 1000).unref()
  return {
    busy: () => performance.eventLoopUtilization(performance.eventLoopUtilization(), before).utilization,
    stop: () => clearInterval(timer)
  }
}
