/** A job with all that it needs to run: what `skein fetch` and `skein run` make, and `skein dead` makes again. */
import * as ByteSize from "effect/ByteSize"
import * as Cause from "effect/Cause"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import type * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as TaskGroup from "../../concurrency/TaskGroup.ts"
import * as Db from "../../io/Db.ts"
import type * as Main from "../../node/Main.ts"
import * as Journals from "../../pipeline/Journal.ts"
import { Journal, type JournalKey } from "../../pipeline/Journal.ts"
import * as Pipeline from "../../pipeline/Pipeline.ts"
import type { Summary } from "../../pipeline/Progress.ts"
import { CommandError } from "../usage/CommandError.ts"
import type { End, Report } from "../report/Report.ts"
import * as Paths from "../usage/Paths.ts"

export interface Plan {
  readonly name: string
  readonly job: Pipeline.Job<unknown, Needs, Pipeline.Delivery>
  readonly layer: Layer.Layer<Db.Db | Journal, unknown, Main.Services>
  /** The file of lines that it adds to. */
  readonly out?: string | undefined
  /** What those are that a step filtered out, where it is known. */
  readonly filtered?: string | undefined
  /** What an error means to who gave the command, where that differs. */
  readonly terms?: ((error: unknown) => CommandError | undefined) | undefined
  /** How many of the elements may fail, where the command line says so. */
  readonly maxDead?: number | `${number}%` | undefined
  /** What it is configured by. Default: the environment. */
  readonly config?: ConfigProvider.ConfigProvider | undefined
  readonly options?: Omit<Partial<Pipeline.RunOptions<Pipeline.Delivery>>, "name" | "progress"> | undefined
}

/** The services that a job may ask for. */
export type Needs = Main.Services | Db.Db | Journal

export interface StartOptions {
  readonly restart: boolean
  readonly report: Report
  /** Keeps what this run is, and the file or URL of its journal, once the engine has accepted it. */
  readonly remember: (journal: string | undefined) => Effect.Effect<void, never, Main.Services>
}

export const start = (
  plan: Plan,
  { restart, report, remember }: StartOptions
): Effect.Effect<void, unknown, Main.Services> =>
  Effect.gen(function* () {
    const journal = yield* journalOf(plan)
    const place = yield* placeOf(journal)
    const before = restart || plan.out === undefined ? 0 : yield* unknownBytes(journal, plan, plan.out)
    const run = yield* Pipeline.start(plan.job, {
      ...plan.options,
      name: plan.name,
      restart,
      progress: report.progress
    })
    yield* remember(yield* thatIs(place))
    if (before > 0) {
      yield* report.note(
        `${plan.out} has ${before} bytes already, and no run that is known here has written them: they stay, and all is ` +
          "written behind them. If they are of a run whose journal is gone, start over with --restart"
      )
    }
    const summary = yield* run.await
    const dead = yield* newest(journal, plan, summary)
    yield* report.finish(summary, dead, endOf(plan, place !== undefined))
    yield* judge(plan, summary)
  }).pipe(TaskGroup.open, retold(plan), Effect.ensuring(report.clear), provide(plan))

/** Runs dead letters of an earlier run again. */
export const replay = (
  plan: Plan,
  report: Report,
  letters: Pipeline.ReplayOptions<never>["letters"]
): Effect.Effect<void, unknown, Main.Services> =>
  Effect.gen(function* () {
    const journal = yield* journalOf(plan)
    const options = { ...plan.options, name: plan.name, progress: report.progress, letters }
    const summary = yield* Pipeline.replay(plan.job, options)
    yield* report.finish({ ...summary, resumed: false }, yield* newest(journal, plan, summary), endOf(plan, true))
    yield* judge({ ...plan, maxDead: undefined }, summary)
  }).pipe(retold(plan), Effect.ensuring(report.clear), provide(plan))

/** Shows what a run would do. */
export const dryRun = (
  plan: Plan,
  options: { readonly first: number; readonly restart: boolean },
  show: (dry: Pipeline.DryRun) => Effect.Effect<void>
): Effect.Effect<void, unknown, Main.Services> =>
  Effect.flatMap(Pipeline.dryRun(plan.job, { ...plan.options, name: plan.name, ...options }), show).pipe(
    retold(plan),
    provide(plan)
  )

/** The dead letters that a run has made. */
const newest = (journal: Journal, plan: Plan, { dead }: Summary) =>
  dead === 0
    ? Effect.succeed([])
    : Effect.map(journal.dead(keyOf(plan), { newest: true, limit: dead }), (letters) => letters.toReversed())

const endOf = ({ filtered }: Plan, isKept: boolean): End => ({ filtered: filtered ?? "filtered", isKept })

/** Where nothing came through, or too little, the exit code says so. */
const judge = (
  { maxDead, name }: Plan,
  { dead, filtered, settled, written }: Summary
): Effect.Effect<void, CommandError> => {
  const tried = settled - filtered
  if (dead > 0 && written === 0 && dead === tried) {
    return Effect.fail(
      new CommandError(
        `Nothing was written by "${name}": ${dead === 1 ? "its only item" : `all of its ${dead} items`} failed.`
      )
    )
  }
  // The engine looks at a share once there are 100.
  const most = typeof maxDead === "string" ? (tried * Number.parseFloat(maxDead)) / 100 : Infinity
  return dead > most
    ? Effect.fail(new CommandError(`${dead} of ${tried} items failed, which is more than --max-dead ${maxDead}.`))
    : Effect.void
}

const counted = (items: number): string => `${items} ${items === 1 ? "item" : "items"}`

const keyOf = ({ name, options }: Plan): JournalKey => Journals.keyOf(name, options?.partition)

/** What is in a file that a run begins with, which has no checkpoint. */
const unknownBytes = (journal: Journal, plan: Plan, file: string): Effect.Effect<number, unknown, Main.Services> =>
  Effect.gen(function* () {
    if (Option.isSome(yield* journal.load(keyOf(plan)))) return 0
    const fs = yield* FileSystem.FileSystem
    return Option.match(yield* Effect.option(fs.stat(file)), {
      onNone: () => 0,
      onSome: ({ size }) => ByteSize.toNumberUnsafe(size)
    })
  })

const journalOf = (plan: Plan): Effect.Effect<Journal, never, Needs> =>
  Effect.flatMap(
    plan.job.sink.journal,
    Option.match({ onNone: () => Journal, onSome: (journal) => Effect.succeed(journal) })
  )

/** Where a journal is, if it is one that stays: a database, or a file. */
const placeOf = (journal: Journal): Effect.Effect<string | undefined> =>
  Effect.map(Effect.serviceOption(Db.Db), (db) => {
    if (Option.isNone(db) || db.value.journal !== journal) return journal.places[0]
    return db.value.durable ? db.value.name : undefined
  })

/** A job that has nothing to keep has made no journal. */
const thatIs = (place: string | undefined): Effect.Effect<string | undefined, never, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const file = place === undefined ? undefined : Paths.fileOf(place)
    const fs = yield* FileSystem.FileSystem
    return file === undefined || (yield* Effect.orElseSucceed(fs.exists(file), () => false)) ? place : undefined
  })

const provide =
  (plan: Plan) =>
  <A, E>(effect: Effect.Effect<A, E, Needs>): Effect.Effect<A, unknown, Main.Services> => {
    const provided = named(Effect.provide(effect, plan.layer), (service) =>
      service === Db.Db.key
        ? `The job "${plan.name}" needs a database, which nothing provides. Name it with --db, or export a \`layer\` with it ` +
          'beside the job, like Db.sqlite("data.db").'
        : `The job "${plan.name}" needs the service ${service}, which nothing provides. ` +
          "Export a `layer` with it beside the job, or provide it to the effect that needs it."
    )
    return plan.config === undefined
      ? provided
      : Effect.provideService(provided, ConfigProvider.ConfigProvider, plan.config)
  }

/** The effect, whose defect is told in words where a service is missing. */
export const named = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  words: (service: string) => string
): Effect.Effect<A, E | CommandError, R> =>
  Effect.catchCause(effect, (cause): Effect.Effect<never, E | CommandError> => {
    const missing = missingService(cause)
    return missing === undefined ? Effect.failCause(cause) : Effect.fail(new CommandError(words(missing)))
  })

/** The types of a file that is imported at run time were checked by nobody. */
const missingService = (cause: Cause.Cause<unknown>): string | undefined => {
  for (const reason of cause.reasons) {
    const thrown = Cause.isDieReason(reason) ? reason.defect : undefined
    const defect = thrown instanceof Pipeline.StepDefect ? thrown.cause : thrown
    const message = defect instanceof Error ? defect.message : ""
    const [, key] = /^Service not found: (\S+)/.exec(message) ?? []
    if (key !== undefined) return key
  }
  return undefined
}

/** Without the step that it was in: the words are those of the command. */
const retold =
  (plan: Plan) =>
  <A, R>(effect: Effect.Effect<A, unknown, R>): Effect.Effect<A, unknown, R> =>
    Effect.catchIf(
      effect,
      (error) => inCommandsTerms(plan)(error) !== undefined,
      (error) => Effect.fail(inCommandsTerms(plan)(error))
    )

/** What a run was refused or stopped for, with what there is on a command line to do about it. */
const inCommandsTerms =
  (plan: Plan) =>
  (error: unknown): CommandError | undefined => {
    if (error instanceof Pipeline.SourceChanged) {
      return refused(
        error.pipeline,
        `its source ${error.source} changed since the last run (${error.changes.join("; ")})`
      )
    }
    if (error instanceof Pipeline.SinkChanged) return refused(error.pipeline, error.changes.join("; "))
    if (error instanceof Pipeline.TooManyDeadLetters && plan.maxDead !== undefined) {
      return new CommandError(
        `Stopped "${error.pipeline}": ${counted(error.dead)} failed, more than --max-dead ${error.budget}. The last one: ` +
          `${error.last}. Mend what is wrong or raise it, and run the same command again to go on.`
      )
    }
    return plan.terms?.(error)
  }

const refused = (pipeline: string, why: string): CommandError =>
  new CommandError(
    `Could not go on with "${pipeline}": ${why}. ` +
      "Put it back as it was, start over with --restart, or keep this apart with another --name."
  )
