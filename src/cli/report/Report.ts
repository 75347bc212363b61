/** Tells how a run goes and how it ended: to people, or as lines of JSON to programs. */
import * as ByteSize from "effect/ByteSize"
import * as Flag from "effect/cli/Flag"
import * as Console from "effect/Console"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import * as Shown from "../../concurrency/base/Shown.ts"
import type { KeptDeadLetter } from "../../pipeline/Journal.ts"
import type { RunOptions } from "../../pipeline/Pipeline.ts"
import type { Progress, Summary } from "../../pipeline/Progress.ts"
import * as Units from "../usage/Units.ts"

export interface Report {
  readonly progress: NonNullable<RunOptions<never>["progress"]>
  /** The end of a run, and the dead letters that it made. */
  readonly finish: (summary: Summary, dead: ReadonlyArray<KeptDeadLetter>, end?: End) => Effect.Effect<void>
  /** Something to know before the run, that stops nothing. */
  readonly note: (text: string) => Effect.Effect<void>
  /** Takes the progress line off the terminal; whatever is printed next starts on a line of its own. */
  readonly clear: Effect.Effect<void>
}

export interface End {
  /** What those are that were filtered out. */
  readonly filtered: string
  /** Whether dead letters can be listed later. */
  readonly isKept: boolean
}

export interface Options {
  readonly json: boolean
  readonly quiet: boolean
  readonly progressInterval: Option.Option<Duration.Duration>
}

export const flags: { readonly [K in keyof Options]: Flag.Flag<Options[K]> } = {
  json: Flag.Boolean("json").pipe(
    Flag.withDescription("Print progress and summary as lines of JSON"),
    Flag.withDefault(false)
  ),
  quiet: Flag.Boolean("quiet").pipe(Flag.withDescription("Print nothing but errors"), Flag.withDefault(false)),
  progressInterval: Units.duration("progress-interval").pipe(
    Flag.withDescription("Default 500ms on a terminal, 1s with --json, else 5s"),
    Flag.optional
  )
}

/** Progress goes to standard error, the summary to standard output: as lines, or redrawn in place on a terminal. */
export const make = (
  options: Options,
  /** Where standard output is taken by what is written, everything goes to standard error. */
  say: typeof Console.log = Console.log
): Effect.Effect<Report, never, Stdio.Stdio> =>
  Effect.gen(function* () {
    const stdio = yield* Stdio.Stdio
    const every = (interval: Duration.Input, on: Report["progress"]["on"]): Report["progress"] => ({
      interval: Option.getOrElse(options.progressInterval, () => interval),
      on
    })
    if (options.json) {
      return {
        progress: every("1 second", (progress) => say(Shown.json(jsonOf(progress)))),
        finish: (summary, _dead, end = anyEnd) => say(Shown.json(jsonOfSummary(summary, end))),
        note,
        clear: Effect.void
      }
    }
    if (options.quiet) {
      const nothing = () => Effect.void
      return { progress: every("1 hour", nothing), finish: nothing, note: nothing, clear: Effect.void }
    }
    if (!(yield* stdio.stderrIsTerminal)) {
      const progress = every("5 seconds", (progress) => Console.error(line(progress)))
      return { progress, finish: finish(say), note, clear: Effect.void }
    }
    const draw = (text: string) => Effect.ignore(Stream.run(Stream.succeed(startOfLine + text), stdio.stderr()))
    const clear = draw("")
    return {
      progress: every("500 millis", (progress) => draw(fitted(line(progress)))),
      finish: (summary, dead, end) => Effect.andThen(clear, finish(say)(summary, dead, end)),
      note,
      clear
    }
  })

const note = (text: string): Effect.Effect<void> => Console.error(`note: ${Shown.text(text)}`)

const finish =
  (say: typeof Console.log): Report["finish"] =>
  (summary, dead, end = anyEnd) =>
    Effect.gen(function* () {
      for (const text of summaryLines(summary, end)) yield* say(text)
      const shown = end.isKept ? dead.slice(0, shownDead) : dead
      for (const letter of shown) yield* Console.error(`dead: ${Shown.indented("  ", letter.cause)}`)
      if (dead.length === 0 || !end.isKept) return
      const rest = dead.length > shownDead ? `and ${number(dead.length - shownDead)} more dead; ` : ""
      yield* Console.error(`${rest}list them with \`skein dead ${Shown.text(summary.pipeline)}\``)
    })

const anyEnd: End = { filtered: "filtered", isKept: true }
const shownDead = 3
const startOfLine = "\r\u001B[K"

/** A line that the terminal would wrap could not be taken back. */
const fitted = (text: string): string => text.slice(0, Math.max(20, (process.stderr.columns || 80) - 1))

const line = (progress: Progress): string =>
  [
    `${Shown.text(progress.pipeline)}: ${number(progress.settled)} done`,
    perSecond(progress.rate),
    ...Option.toArray(Option.map(progress.eta, (eta) => `ETA ${seconds(Math.ceil(Duration.toSeconds(eta)))}`)),
    `${number(progress.inFlight)} in flight`,
    ...some(progress.retries, "retries"),
    ...some(progress.dead, "dead"),
    bytes(progress.moved || progress.bytes)
  ].join(", ")

const summaryLines = (summary: Summary, { filtered }: End): ReadonlyArray<string> => {
  const { total } = summary
  const how = summary.outcome === "done" ? "done" : "stopped"
  const counts = [
    `${items(summary.settled)} in ${seconds(summary.seconds)} (${perSecond(summary.rate)})`,
    `${number(summary.written)} written`,
    ...named(summary.filtered, filtered),
    ...some(summary.skipped, "skipped"),
    `${number(summary.dead)} dead`,
    `${number(summary.retries)} retries`,
    bytes(summary.moved || summary.bytes)
  ]
  return [
    `${Shown.text(summary.pipeline)}: ${how}: ${counts.join(", ")}`,
    ...(summary.resumed
      ? [
          `over all runs: ${[
            items(total.settled),
            `${number(total.written)} written`,
            ...named(total.filtered, filtered),
            `${number(total.dead)} dead`
          ].join(", ")}`
        ]
      : []),
    ...(summary.outcome === "drained" && summary.resumable ? ["resumable: run the same command again to go on"] : [])
  ]
}

const jsonOf = ({ elapsed, eta, ...progress }: Progress): object => ({
  event: "progress",
  ...progress,
  seconds: Duration.toSeconds(elapsed),
  eta: Option.getOrNull(Option.map(eta, Duration.toSeconds))
})

const jsonOfSummary = ({ position, ...summary }: Summary, { filtered }: End): object => ({
  event: "summary",
  ...summary,
  ...(filtered !== anyEnd.filtered && { [filtered]: summary.filtered }),
  position: Option.getOrNull(position)
})

const some = (count: number, what: string): ReadonlyArray<string> => (count > 0 ? [`${number(count)} ${what}`] : [])

/** One of them is one `duplicate`. */
const named = (count: number, what: string): ReadonlyArray<string> =>
  some(count, count === 1 ? what.replace(/s$/, "") : what)

const items = (count: number): string => `${number(count)} ${count === 1 ? "item" : "items"}`

const number = (n: number): string => n.toLocaleString("en", { maximumFractionDigits: n < 10 ? 1 : 0 })

const perSecond = (rate: number): string => `${number(rate)}/s`

const seconds = (n: number): string => (n < 60 ? `${number(n)} s` : Duration.format(Duration.seconds(Math.round(n))))

const bytes = (n: number): string => ByteSize.format(ByteSize.bytes(Math.round(n)), { precision: 1 })
