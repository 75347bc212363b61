/** What a job is given on the command line, and what it makes of it: a job, a function of its arguments, or an effect of one. */
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import * as ErrorText from "../../concurrency/base/ErrorText.ts"
import * as Secrets from "../../concurrency/base/Secrets.ts"
import type * as Pipeline from "../../pipeline/Pipeline.ts"
import type { Needs } from "../plan/Plan.ts"
import { CommandError } from "../usage/CommandError.ts"
import type { Exports } from "./JobFile.ts"

export type Job = Pipeline.Job<unknown, Needs, Pipeline.Delivery>

/** The job of a module for these arguments, decoded by its export `args` where it has one. */
export const jobOf = (
  file: string,
  { args: schema, default: exported }: Exports,
  args: ReadonlyArray<string>
): Effect.Effect<Job, unknown, Needs> =>
  Effect.gen(function* () {
    const wrong = (what: string, fix: string) => new CommandError(`Could not run ${file}: ${what}. ${fix}`)
    if (exported === undefined) {
      return yield* Effect.fail(
        wrong("it has no default export", "Export the job: `export default Pipeline.from(…).pipe(…)`.")
      )
    }
    if (schema !== undefined && !Schema.isSchema(schema)) {
      return yield* Effect.fail(wrong("its export `args` is not a Schema", "Export one of a list of texts, or none."))
    }
    if (typeof exported !== "function" && args.length > 0) {
      return yield* Effect.fail(
        new CommandError(
          `Could not run ${file} with ${args.length === 1 ? "an argument" : "arguments"}: its job takes none. Export a function of them, as in ` +
            "`export default ([from]) => …`, or leave them out.",
          { exitCode: 2 }
        )
      )
    }
    const given = schema === undefined ? args : yield* decoded(file, schema as Schema.Codec<unknown>, args)
    const made = typeof exported === "function" ? yield* called(file, exported as Make, given) : exported
    const job = Effect.isEffect(made) ? yield* made as Effect.Effect<unknown, unknown, Needs> : made
    if (isJob(job)) return job
    const what =
      typeof exported === "function" ? "its default export, called with its arguments, gives" : "its default export is"
    return yield* Effect.fail(
      Predicate.hasProperty(job, "steps")
        ? wrong(`${what} a pipeline without a sink`, "End it with `Pipeline.to(…)`.")
        : wrong(
            `${what} ${typeof exported === "function" ? "no" : "not a"} job`,
            "A job is a pipeline that ends with `Pipeline.to(…)`."
          )
    )
  })

type Make = (args: unknown) => unknown

const isJob = (value: unknown): value is Job =>
  Predicate.hasProperty(value, "pipeline") &&
  Predicate.hasProperty(value, "sink") &&
  Predicate.hasProperty(value, "guarantee")

const called = (file: string, make: Make, given: unknown): Effect.Effect<unknown, CommandError> =>
  Effect.tryPromise({
    try: async () => make(given),
    catch: (error) =>
      new CommandError(`Could not run ${file}: its function failed: ${ErrorText.of(error)}`, { cause: error })
  })

const decoded = (file: string, schema: Schema.Codec<unknown>, args: ReadonlyArray<string>) =>
  Effect.mapError(Schema.decodeUnknownEffect(schema)(args), (error) => {
    const { issues } = SchemaIssue.makeFormatterStandardSchemaV1()(error.issue)
    const said = issues.map(({ message, path = [] }) => {
      const [at] = path.map((part) => (typeof part === "object" ? part.key : part))
      if (typeof at !== "number") return message
      return at < args.length ? `argument ${at + 1} is wrong: ${message}` : `argument ${at + 1} is missing`
    })
    return new CommandError(`Could not run ${file}: ${[...new Set(said)].join("; ")}. Arguments follow the file.`, {
      exitCode: 2
    })
  })

/** As they are remembered: without what is secret in them. */
export const kept = (args: ReadonlyArray<string>): ReadonlyArray<string> => args.map((arg) => Secrets.hidden(arg))

/** Fails where one of them was not remembered. */
export const whole = (args: ReadonlyArray<string>): Effect.Effect<ReadonlyArray<string>, CommandError> => {
  const at = args.findIndex(Secrets.isHidden)
  return at === -1
    ? Effect.succeed(args)
    : Effect.fail(
        new CommandError(
          `Its argument ${at + 1} had something secret in it, which is not remembered. Give secrets by the environment, with Config.Redacted, and run the job once more.`
        )
      )
}
