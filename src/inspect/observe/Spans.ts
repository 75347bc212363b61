/** A span for a task. */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import type * as Tracer from "effect/Tracer"
import type * as Registry from "../../concurrency/Registry.ts"

/** What the tasks that one spawns hang under, and its own span, if it has one. */
interface Traced {
  readonly above: Tracer.AnySpan | undefined
  readonly own: Tracer.Span | undefined
}

export const tracing = (context: Context.Context<never>, tracer: Tracer.Tracer, every: number): Registry.Listener => {
  const clock = Context.get(context, Clock.Clock)
  const alive = new Map<number, Traced>()
  let seen = 0
  const begin = (task: Registry.TaskInfo): void => {
    // A group that is opened in a span of the program hangs under that: it is told of on the stack of whoever opens it.
    const spawner = task.parent === null ? undefined : alive.get(task.parent)
    const above = spawner === undefined ? Fiber.getCurrent()?.cache.span : spawner.above
    if (seen++ % every !== 0) return void alive.set(task.id, { above, own: undefined })
    const isNamed = task.name !== `task-${task.id}` && task.name !== `group-${task.id}`
    const own = tracer.span({
      // Names with numbers in them would be as many as there are tasks.
      name: isNamed ? `task ${task.name}` : task.kind === "body" ? "group" : "task",
      parent: Option.fromUndefinedOr(above),
      annotations: Context.empty(),
      links: [],
      startTime: clock.currentTimeNanosUnsafe(),
      kind: "internal",
      root: false,
      sampled: above?.sampled ?? true
    })
    own.attribute("task.id", task.id)
    own.attribute("task.name", task.name)
    own.attribute("task.kind", task.kind)
    own.attribute("task.group", task.group)
    alive.set(task.id, { above: own, own })
  }
  return (event) => {
    const { task } = event
    if (event.kind === "started") return begin(task)
    if (event.kind !== "exited") return
    alive.get(task.id)?.own?.end(clock.currentTimeNanosUnsafe(), event.exit)
    alive.delete(task.id)
  }
}
