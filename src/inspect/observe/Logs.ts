/** Lines of the log. */
import * as Cause from "effect/Cause"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as LogLevel from "effect/LogLevel"
import * as ErrorText from "../../concurrency/base/ErrorText.ts"
import { span } from "../../concurrency/base/Span.ts"
import type * as Registry from "../../concurrency/Registry.ts"
import { endOf } from "./Outcome.ts"

export interface Levels {
  readonly started?: LogLevel.LogLevel | undefined
  readonly succeeded?: LogLevel.LogLevel | undefined
  readonly failed?: LogLevel.LogLevel | undefined
  readonly cancelled?: LogLevel.LogLevel | undefined
}

/** None where nothing would be logged. */
export const logging = (
  context: Context.Context<never>,
  least: LogLevel.LogLevel,
  { cancelled = "Debug", failed = "Debug", started = "Debug", succeeded = "Debug" }: Levels
): ReadonlyArray<Registry.Listener> => {
  const levels = { cancelled, failed, started, succeeded }
  const isLogged = (level: LogLevel.LogLevel): boolean =>
    level !== "None" && level !== "All" && !LogLevel.isGreaterThan(least, level)
  if (!Object.values(levels).some(isLogged)) return []

  const log = ({ group, id, name, parent }: Registry.TaskInfo, level: LogLevel.LogLevel, what: string): void => {
    if (!isLogged(level)) return
    const line = Effect.logWithLevel(level as LogLevel.Severity)(`task "${name}" of group "${group}" ${what}`)
    const about = { "task.id": id, ...(parent !== null && { "task.parent": parent }) }
    // A logger that throws is no reason to hear nothing more.
    Effect.runSyncExitWith(context)(Effect.annotateLogs(line, about))
  }
  return [
    (event) => {
      if (event.kind === "started") return log(event.task, levels.started, "started")
      if (event.kind !== "exited") return
      const outcome = endOf(event.exit)
      if (!isLogged(levels[outcome])) return
      const { exit } = event
      const why = outcome === "failed" && exit._tag === "Failure" ? `: ${ErrorText.of(Cause.squash(exit.cause))}` : ""
      log(event.task, levels[outcome], `${outcome} after ${span(event.duration)}${why}`)
    }
  ]
}
