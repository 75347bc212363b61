/** The job of `skein run`: what a file exports by default. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import * as Db from "../../io/Db.ts"
import type * as Main from "../../node/Main.ts"
import * as ErrorText from "../../concurrency/base/ErrorText.ts"
import * as Secrets from "../../concurrency/base/Secrets.ts"
import { Journal } from "../../pipeline/Journal.ts"
import type * as Pipeline from "../../pipeline/Pipeline.ts"
import { CommandError } from "../usage/CommandError.ts"
import * as JournalFolder from "../memory/JournalFolder.ts"
import * as Name from "../usage/Name.ts"
import type { Needs, Plan } from "./Plan.ts"

/** What a run was asked to do, as it is remembered. */
export interface Options {
  readonly file: string
  readonly db?: string
}

export const Options: Schema.Codec<Options> = Schema.Struct({
  file: Schema.String,
  db: Schema.optionalKey(Schema.String)
})

export const kept = ({ db, file }: Options): Options => ({
  file,
  ...(db !== undefined && { db: Secrets.withoutPassword(db) })
})

/**
 * Imports the file. Its default export is the job; beside it, it may export `name`, `options` for `Pipeline.run`, and a
 * `layer` with the services of the job, its `Db` among them unless `--db` names it.
 */
export const make = (
  options: Options & {
    readonly name?: string | undefined
    /** Its name where neither this nor the file gives one. */
    readonly otherwise: string
  }
): Effect.Effect<Plan, unknown, Main.Services> =>
  Effect.gen(function* () {
    const { file } = options
    const module = yield* load(file)
    const wrong = (what: string, fix: string) => Effect.fail(new CommandError(`Could not run ${file}: ${what}. ${fix}`))

    const job = module["default"]
    if (job === undefined) {
      return yield* wrong("it has no default export", "Export the job: `export default Pipeline.from(…).pipe(…)`.")
    }
    if (!isJob(job)) {
      return Predicate.hasProperty(job, "steps")
        ? yield* wrong("its default export is a pipeline without a sink", "End it with `Pipeline.to(…)`.")
        : yield* wrong("its default export is not a job", "A job is a pipeline that ends with `Pipeline.to(…)`.")
    }
    const { layer = Layer.empty, name, options: runOptions } = module
    if (!Layer.isLayer(layer)) return yield* wrong("its export `layer` is not a Layer", "Export one, or none.")
    if (name !== undefined && typeof name !== "string")
      return yield* wrong("its export `name` is not a string", "Export one, or none.")
    if (runOptions !== undefined && !Predicate.isObject(runOptions)) {
      return yield* wrong("its export `options` is not an object", "Export options of `Pipeline.run`, or none.")
    }
    const named = yield* Name.check(options.name ?? name ?? options.otherwise)
    return {
      name: named,
      job,
      options: runOptions,
      // Nobody has checked the types of an imported file: a service that is missing is told when it is asked for.
      layer: withDatabase(layer as Layer.Layer<never, unknown, Main.Services | Db.Db | Journal>, named, options)
    }
  })

type Job = Pipeline.Job<unknown, Needs, Pipeline.Delivery>

const isJob = (value: unknown): value is Job =>
  Predicate.hasProperty(value, "pipeline") &&
  Predicate.hasProperty(value, "sink") &&
  Predicate.hasProperty(value, "guarantee")

const load = (file: string): Effect.Effect<{ readonly [name: string]: unknown }, unknown, Main.Services> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const whole = path.resolve(file)
    if (!(yield* fs.exists(whole))) {
      const fix = "Check the path, which starts at the folder that the command is run in."
      return yield* Effect.fail(new CommandError(`Could not run ${file}: there is no such file. ${fix}`))
    }
    const { href } = yield* path.toFileUrl(whole)
    return yield* Effect.tryPromise({
      try: () => import(href) as Promise<{ readonly [name: string]: unknown }>,
      catch: (error) => {
        const reason = ErrorText.of(error)
        return new CommandError(`Could not run ${file}: importing it failed: ${reason}`, { cause: error })
      }
    })
  })

const withDatabase = (
  layer: Layer.Layer<never, unknown, Main.Services | Db.Db | Journal>,
  name: string,
  { db, file }: Options
): Layer.Layer<Db.Db | Journal, unknown, Main.Services> =>
  Layer.effectContext(
    Effect.gen(function* () {
      const context: Context.Context<Main.Services> = yield* Effect.context<Main.Services>()
      const given = db === undefined ? undefined : yield* Layer.build(Db.open(db))
      // Without a database here, a layer that asks for one fails with the name of the service.
      const around = Context.merge(context, given ?? Context.empty()) as Context.Context<Needs>
      const own: Context.Context<never> = yield* Effect.provideContext(Layer.build(layer), around)
      const bringsDatabase = Option.isSome(Context.getOption(own, Journal))
      if (bringsDatabase && given !== undefined) {
        const message = `Could not run ${file} with --db: its \`layer\` has a database already. Leave out one of the two.`
        return yield* Effect.fail(new CommandError(message, { exitCode: 2 }))
      }
      if (bringsDatabase) return own as Context.Context<Db.Db | Journal>
      return Context.merge(given ?? (yield* Layer.build(JournalFolder.database(name, "--db"))), own)
    })
  )
