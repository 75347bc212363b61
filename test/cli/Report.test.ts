import { describe, expect, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Sink from "effect/Sink"
import * as Stdio from "effect/Stdio"
import * as TestConsole from "effect/testing/TestConsole"
import * as Report from "../../src/cli/report/Report.ts"
import type { KeptDeadLetter } from "../../src/pipeline/Journal.ts"
import type { Progress, Summary } from "../../src/pipeline/Progress.ts"

const counts = { settled: 1234, written: 1200, filtered: 0, skipped: 0, dead: 4, bytes: 5000 }

const progress: Progress = {
  ...counts,
  pipeline: "pages",
  retries: 21,
  moved: 3 * 1024 * 1024,
  inFlight: 64,
  lag: 100,
  steps: [],
  elapsed: Duration.seconds(8),
  rate: 154.25,
  eta: Option.some(Duration.seconds(75.2))
}

const summary: Summary = {
  ...counts,
  pipeline: "pages",
  guarantee: "exactly-once",
  outcome: "done",
  resumable: false,
  resumed: false,
  retries: 21,
  moved: 3 * 1024 * 1024,
  seconds: 8.04,
  rate: 153.5,
  position: Option.some(77),
  total: counts
}

const letter = (id: number): KeptDeadLetter => ({
  id,
  step: "fetch",
  input: `http://127.0.0.1/${id}`,
  cause: `answered ${500 + id}`,
  causes: [],
  attempts: 5,
  path: "",
  version: null,
  position: id,
  at: 0,
  replayed: false
})

const options: Report.Options = { json: false, quiet: false, progressInterval: Option.none() }

/** What one progress event and the end of a run print, and how often progress is told. */
const told = (
  given: Partial<Report.Options> & {
    readonly terminal?: boolean
    readonly summary?: Partial<Summary>
    readonly dead?: ReadonlyArray<KeptDeadLetter>
  }
) =>
  Effect.gen(function* () {
    const drawn: Array<string> = []
    const stdio = Stdio.layerTest({
      stderrIsTerminal: Effect.succeed(given.terminal ?? false),
      stderr: () => Sink.forEach((text) => Effect.sync(() => void drawn.push(String(text))))
    })
    const report = yield* Effect.provide(Report.make({ ...options, ...given }), stdio)
    yield* report.progress.on(progress)
    const after = yield* TestConsole.logLines
    yield* report.finish({ ...summary, ...given.summary }, given.dead ?? [1, 2, 3, 4, 5].map(letter))
    const out = (yield* TestConsole.logLines).slice(after.length).map(String)
    return { before: after.map(String), out, err: (yield* TestConsole.errorLines).map(String), drawn, report }
  })

const line = "pages: 1,234 done, 154/s, ETA 1m 16s, 64 in flight, 21 retries, 4 dead, 3 MiB"
const end = "pages: done: 1,234 items in 8 s (154/s), 1,200 written, 4 dead, 21 retries, 3 MiB"

describe("a report", () => {
  it.effect("is lines, where nobody looks at a terminal, every 5 seconds", () =>
    Effect.gen(function* () {
      const { out, err, drawn, report } = yield* told({})
      expect(err[0]).toBe(line)
      expect(out).toEqual([end])
      expect(drawn).toEqual([])
      expect(report.progress.interval).toBe("5 seconds")
    })
  )

  it.effect("shows the first dead letters, and how to see the rest", () =>
    Effect.gen(function* () {
      expect((yield* told({})).err.slice(1)).toEqual([
        "dead: answered 501",
        "dead: answered 502",
        "dead: answered 503",
        "and 2 more dead; list them with `skein dead pages`"
      ])
    })
  )

  it.effect("shows of a cause neither passwords nor what a terminal would obey", () =>
    Effect.gen(function* () {
      const cause = "http://ada:pw@127.0.0.1/\u001B[2J: answered\nerror: \u202Enothing"
      const { err } = yield* told({ dead: [{ ...letter(1), cause }] })
      expect(err.slice(1, 2)).toEqual(["dead: http://***@127.0.0.1/\\u001B[2J: answered\n  error: \\u202Enothing"])
      const { before, out } = yield* told({
        json: true,
        summary: { pipeline: "\u009B", position: Option.some("http://a:b@c") }
      })
      expect(before.join()).toContain('"pipeline":"pages"')
      expect(out.join()).toContain('"pipeline":"\\u009B"')
      expect(out.join()).toContain('"http://***@c"')
    })
  )

  it.effect("is one line on a terminal, drawn over itself and taken away at the end", () =>
    Effect.gen(function* () {
      const { drawn, out } = yield* told({ terminal: true })
      expect(drawn).toEqual([`\r\u001B[K${line}`.slice(0, 83), "\r\u001B[K"])
      expect(out).toEqual([end])
    })
  )

  it.effect("says how to go on after a drain, and what all runs did after a resume", () =>
    Effect.gen(function* () {
      const { out } = yield* told({ summary: { outcome: "drained", resumable: true, resumed: true } })
      expect(out).toEqual([
        end.replace("done", "stopped"),
        "over all runs: 1,234 items, 1,200 written, 4 dead",
        "resumable: run the same command again to go on"
      ])
    })
  )

  it.effect("is an object a line for programs", () =>
    Effect.gen(function* () {
      const { before, out, err } = yield* told({ json: true })
      expect(before.map((text) => JSON.parse(text))).toMatchObject([
        { event: "progress", pipeline: "pages", settled: 1234, inFlight: 64, rate: 154.25, seconds: 8, eta: 75.2 }
      ])
      expect(out.map((text) => JSON.parse(text))).toMatchObject([
        { event: "summary", outcome: "done", resumable: false, written: 1200, dead: 4, position: 77, total: counts }
      ])
      expect(err).toEqual([])
    })
  )

  it.effect("is nothing when quiet", () =>
    Effect.gen(function* () {
      const { before, out, err, drawn } = yield* told({ quiet: true, terminal: true })
      expect([...before, ...out, ...err, ...drawn]).toEqual([])
    })
  )

  it.effect("comes as often as asked", () =>
    Effect.gen(function* () {
      const { report } = yield* told({ progressInterval: Option.some(Duration.seconds(30)) })
      expect(report.progress.interval).toEqual(Duration.seconds(30))
    })
  )
})
