/** Tells logs, metrics and traces of what tasks do, for whatever gathers those: the program itself says nothing of it. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Tracer from "effect/Tracer"
import { checkWhole } from "../concurrency/base/Options.ts"
import * as Registry from "../concurrency/Registry.ts"
import { type Levels, logging } from "./observe/Logs.ts"
import { counting } from "./observe/Metrics.ts"
import { tracing } from "./observe/Spans.ts"

export type { Levels } from "./observe/Logs.ts"

export interface Options {
  /**
   * A line for each task that begins, and for each that ends, with how long it took; what failed, with its error. Default: at `Debug`, as a
   * failure is told of by whoever it goes to, and one that nobody looks at is logged as a warning anyway. `"None"` logs none of them.
   */
  readonly logs?: boolean | Levels | undefined
  /**
   * How many tasks began and how many ended how (`skein_tasks_started_total`, `skein_tasks_ended_total`), how many there are
   * (`skein_tasks_running`), and how long they took (`skein_task_duration_seconds`), by group. Groups without a name are counted together,
   * and so are all behind the first 200. Default: true.
   */
  readonly metrics?: boolean | undefined
  /**
   * A span for each task, or for one in `every`, below that of the task that spawned it, or of the nearest above that has one. A task
   * that was cancelled is no error. Default: one for each, where there is a tracer.
   */
  readonly spans?: boolean | { readonly every: number } | undefined
}

/**
 * Observes the tasks of the registry around it as long as it is there, with the loggers, the metrics and the tracer around it.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import * as PrometheusMetrics from "effect/observability/PrometheusMetrics"
 * import { TaskGroup } from "skein"
 * import { Observe } from "skein/inspect"
 *
 * const program = Effect.gen(function* () {
 *   yield* TaskGroup.open(TaskGroup.spawn(Effect.void, { name: "job" }), { name: "jobs" })
 *   return yield* PrometheusMetrics.format()
 * })
 *
 * const text = await Effect.runPromise(Effect.provide(program, Observe.layer()))
 *
 * text.includes('skein_tasks_ended_total{group="jobs",outcome="succeeded"} 2') // => true
 * ```
 */
export const layer = (options: Options = {}): Layer.Layer<never> => {
  const { logs = true, metrics = true, spans = true } = options
  const every = typeof spans === "object" ? spans.every : 1
  checkWhole("every", every, 1)
  return Layer.effectDiscard(
    Effect.withFiber((fiber) => {
      const context = Context.omit(Tracer.ParentSpan)(fiber.context as Context.Context<Tracer.ParentSpan>)
      const { tracer } = fiber.cache
      const registry = fiber.getRef(Registry.Registry)
      const listeners = [
        ...(logs === false ? [] : logging(context, fiber.cache.minimumLogLevel, logs === true ? {} : logs)),
        ...(metrics ? [counting(context)] : []),
        ...(spans === false || tracer === undefined ? [] : [tracing(context, tracer, every)])
      ]
      return Effect.acquireRelease(
        Effect.sync(() => listeners.map((listener) => registry.listen(listener))),
        (stops) => Effect.sync(() => stops.forEach((stop) => stop()))
      )
    })
  )
}
