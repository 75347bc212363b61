import * as Cause from "effect/Cause"
import * as Console from "effect/Console"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as References from "effect/References"
import * as Tracer from "effect/Tracer"
import { describe, expect, it } from "vitest"
import * as FailureLog from "../../src/concurrency/base/FailureLog.ts"
import * as Log from "../../src/concurrency/base/Log.ts"
import { span } from "../../src/concurrency/base/Span.ts"

/** What the console and the span around it get of an effect that logs; without the times and the number of the fiber. */
const told = (log: Effect.Effect<void>): unknown => {
  const lines: Array<unknown> = []
  const line =
    (stream: string) =>
    (head: string, ...rest: ReadonlyArray<unknown>) => {
      const alike = head.replace(/^\[\d\d:\d\d:\d\d\.\d{3}\]/, "[time]").replace(/\(#\d+\)/, "(#n)")
      lines.push([stream, alike.replaceAll(/=\d+ms/g, "=ms"), ...rest])
    }
  const console: Console.Console = { ...globalThis.console, log: line("log"), error: line("error") }
  const events: Array<unknown> = []
  const program = Effect.gen(function* () {
    const span = yield* Effect.currentSpan
    yield* log
    if (!(span instanceof Tracer.NativeSpan)) return
    for (const [name, , attributes] of span.events) events.push([name, { ...attributes, "effect.fiberId": 0 }])
  })
  Effect.runSync(program.pipe(Effect.withSpan("span"), Effect.provideService(Console.Console, console)))
  return { lines, events }
}

describe("where a program has no loggers of its own, the console and the span get what Effect's default ones give", () => {
  const error = new RangeError("no", { cause: new Error("why") })
  const around: ReadonlyArray<readonly [string, (log: Effect.Effect<void>) => Effect.Effect<void>]> = [
    ["plainly", (log) => log],
    ["with annotations", Effect.annotateLogs({ page: 7 })],
    ["in spans", (log) => log.pipe(Effect.withLogSpan("inner one"), Effect.withLogSpan("outer"))],
    ["to stderr", Effect.provideService(Logger.LogToStderr, true)],
    ["when only errors are logged", Effect.provideService(References.MinimumLogLevel, "Error")],
    ["when nothing is logged", Effect.provideService(References.MinimumLogLevel, "None")]
  ]
  it.each(around)("%s", (_, around) => {
    expect(told(Log.warning("slow"))).toMatchObject({
      lines: [["log", "[time] WARN (#n):", "slow"]],
      events: [["slow", {}]]
    })
    expect(told(around(Log.warning("slow")))).toEqual(told(around(Effect.logWarning("slow"))))
    expect(told(around(Log.error("bad")))).toEqual(told(around(Effect.logError("bad"))))
    expect(told(around(FailureLog.error("bad", Cause.die(error))))).toEqual(
      told(around(Effect.logError("bad", Cause.die(error))))
    )
  })
})

describe("loggers of the program", () => {
  it("hear all of it, and one that chokes on a cause gets the words, and keeps nobody else from it", () => {
    const heard: Array<unknown> = []
    const calm = Logger.make(
      ({ cause, logLevel, message }) => void heard.push([logLevel, message, Cause.squash(cause)])
    )
    const choking = Logger.make(({ cause, message }) => {
      if (cause.reasons.length > 0) throw new Error("choked")
      heard.push(message)
    })
    const deaf = Logger.make(() => {
      throw new Error("deaf")
    })
    const error = new Error("boom")
    Effect.runSync(
      Effect.provideService(
        Effect.andThen(FailureLog.warning("failed", Cause.fail(error)), Log.thrown("threw", error)),
        Logger.CurrentLoggers,
        new Set([deaf, choking, calm])
      )
    )
    expect(heard).toEqual([["failed: boom"], ["Warn", ["failed"], error], ["threw: boom"], ["Error", ["threw"], error]])
  })
})

it("a span of time is told as Duration tells it", () => {
  const days = 86_400_000
  const odd = [0, 1, 999, 1000, 60_000, 3_600_000, days, Infinity, 0.5, 1.000001, 61_001.25, 400 * days + 1]
  const random = Array.from({ length: 500 }, () => Math.round(Math.random() ** 8 * 10 ** 12) / 1000)
  for (const millis of [...odd, ...random]) expect(span(millis)).toBe(Duration.format(Duration.millis(millis)))
})
