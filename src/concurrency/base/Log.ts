/**
 * What this floor says to whoever reads the log. The loggers of a program are looked up by their key, as Effect does with its
 * tracer, so that those of Effect, with all that formats for them, are in no bundle for that: where a program has none of its own,
 * the console and the span around the code get what Effect's would give them.
 */
import * as Cause from "effect/Cause"
import * as Console from "effect/Console"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { Logger, Options } from "effect/Logger"
import type { LogLevel } from "effect/LogLevel"
import * as References from "effect/References"
import * as Foreign from "./Foreign.ts"
import * as Time from "./Time.ts"

/** What a line is about, for loggers, for the console, and for loggers that choke on it. */
export interface Subject {
  readonly cause: Cause.Cause<unknown>
  readonly pretty: string
  readonly words: () => string
}

export const warning = (message: string): Effect.Effect<void> => line("Warn", message)

export const error = (message: string): Effect.Effect<void> => line("Error", message)

/** S27: that something of the program has thrown where nothing can fail. */
export const thrown = (message: string, error: unknown): Effect.Effect<void> => {
  const words = () => Foreign.brief(error)
  const stack = Foreign.get(error, "stack")
  return line("Error", message, {
    cause: Cause.die(error),
    pretty: typeof stack === "string" ? stack : words(),
    words
  })
}

/** S27: a logger that chokes on what it is about gets the words alone, and one that chokes on those breaks nothing either. */
export const line = (logLevel: "Warn" | "Error", message: string, about?: Subject): Effect.Effect<void> =>
  Effect.withFiber((fiber) => {
    if (levels.indexOf(fiber.cache.minimumLogLevel) > levels.indexOf(logLevel)) return Effect.void
    // @effect-diagnostics-next-line globalDate:off -- what loggers take
    const date = new Date(Time.of(fiber).currentTimeMillisUnsafe())
    const of = { date, fiber, logLevel }
    const loggers = Context.getOrUndefined(fiber.context, CurrentLoggers) ?? [undefined]
    for (const logger of loggers) {
      const cause = about?.cause ?? Cause.empty
      try {
        if (logger === undefined) byDefault({ ...of, cause, message }, about?.pretty)
        else logger.log({ ...of, cause, message: [message] })
      } catch {
        const words = about && [`${message}: ${about.words()}`]
        if (words !== undefined)
          Foreign.attempt(() => logger?.log({ ...of, cause: Cause.empty, message: words }), undefined)
      }
    }
    return Effect.void
  })

const levels: ReadonlyArray<LogLevel> = ["All", "Trace", "Debug", "Info", "Warn", "Error", "Fatal", "None"]

// By their names alone: what they are by default comes with all of it.
const CurrentLoggers: Context.Service<
  "loggers",
  ReadonlySet<Logger<unknown, unknown>>
> = /* @__PURE__ */ Context.Service("effect/Logger/CurrentLoggers")
const LogToStderr: Context.Service<"stderr", boolean> = /* @__PURE__ */ Context.Service("effect/Logger/LogToStderr")

/** As `Logger.defaultLogger` and `Logger.tracerLogger` have it. */
const byDefault = ({ date, fiber, logLevel, message }: Options<string>, pretty: string | undefined): void => {
  const level = logLevel.toUpperCase()
  const annotations = fiber.getRef(References.CurrentLogAnnotations)
  const spans = fiber
    .getRef(References.CurrentLogSpans)
    .map(([label, since]) => ` ${label.replace(/[\s="]/g, "_")}=${date.getTime() - since}ms`)
  const time = `${date.toTimeString().slice(0, 8)}.${String(date.getMilliseconds()).padStart(3, "0")}`
  const parts: Array<unknown> = [`[${time}] ${level} (#${fiber.id})${spans.join("")}:`, message]
  if (pretty !== undefined) parts.push(pretty)
  if (Object.keys(annotations).length > 0) parts.push(annotations)
  const console = fiber.getRef(Console.Console)
  const toStderr = Context.getOrUndefined(fiber.context, LogToStderr) === true
  console[toStderr ? "error" : "log"](...parts)
  const { span } = fiber.cache
  if (span === undefined || span._tag === "ExternalSpan" || span.status._tag === "Ended") return
  // That of the process is no finer than a millisecond.
  const at = Time.of(fiber).currentTimeNanosUnsafe()
  const { startTime } = span.status
  span.event(message, at < startTime ? startTime : at, {
    ...annotations,
    "effect.fiberId": fiber.id,
    "effect.logLevel": level,
    ...(pretty !== undefined && { "effect.cause": pretty })
  })
}
