/** The job of `skein run`: what a file exports by default, for the arguments that it is given. */
import * as ConfigProvider from "effect/ConfigProvider"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import * as Db from "../../io/Db.ts"
import type * as Main from "../../node/Main.ts"
import * as Secrets from "../../concurrency/base/Secrets.ts"
import { Journal } from "../../pipeline/Journal.ts"
import * as Arguments from "../load/Arguments.ts"
import * as JobFile from "../load/JobFile.ts"
import * as Settings from "../load/Settings.ts"
import { CommandError } from "../usage/CommandError.ts"
import * as JournalFolder from "../memory/JournalFolder.ts"
import * as Name from "../usage/Name.ts"
import * as Paths from "../usage/Paths.ts"
import { named, type Needs, type Plan } from "./Plan.ts"

/** What a run was asked to do, as it is remembered. */
export interface Options extends Settings.Settings {
  readonly file: string
  readonly db?: string
  readonly args?: ReadonlyArray<string>
}

export const Options: Schema.Codec<Options> = Schema.Struct({
  file: Schema.String,
  db: Schema.optionalKey(Schema.String),
  args: Schema.optionalKey(Schema.Array(Schema.String)),
  set: Schema.optionalKey(Schema.Array(Schema.String)),
  envFile: Schema.optionalKey(Schema.String)
})

export const kept = ({ args = [], db, envFile, file, set }: Options): Options => ({
  file,
  ...(db !== undefined && { db: Secrets.withoutPassword(db) }),
  ...(args.length > 0 && { args: Arguments.kept(args) }),
  ...Settings.kept({ ...(set !== undefined && { set }), ...(envFile !== undefined && { envFile }) })
})

export interface RunPlan extends Plan {
  readonly unasked: () => ReadonlyArray<string>
}

interface MakeOptions extends Options {
  readonly name?: string | undefined
  /** Its name where neither this nor the file gives one. */
  readonly otherwise: string
  /** Whether nothing may be made or changed by what the command itself opens. Default false. */
  readonly dry?: boolean | undefined
}

/**
 * Imports the file. Its default export is the job, or a function of the arguments that gives one, or an effect of one; beside it, it
 * may export `name`, `args`, `options` for `Pipeline.run`, and a `layer` with the services of the job, its `Db` among them unless
 * `--db` names it.
 */
export const make = (options: MakeOptions): Effect.Effect<RunPlan, unknown, Main.Services> =>
  Effect.gen(function* () {
    const { file } = options
    const { provider, unasked, wrong: badConfig } = yield* Settings.make(options)
    const module = yield* JobFile.load(file)
    const wrong = (what: string, fix: string) => Effect.fail(new CommandError(`Could not run ${file}: ${what}. ${fix}`))
    const { layer = Layer.empty, name, options: runOptions } = module
    if (!Layer.isLayer(layer)) return yield* wrong("its export `layer` is not a Layer", "Export one, or none.")
    if (name !== undefined && typeof name !== "string")
      return yield* wrong("its export `name` is not a string", "Export one, or none.")
    if (runOptions !== undefined && !Predicate.isObject(runOptions)) {
      return yield* wrong("its export `options` is not an object", "Export options of `Pipeline.run`, or none.")
    }
    const named = yield* Name.check(options.name ?? name ?? options.otherwise)
    const configured = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
      Effect.provideService(effect, ConfigProvider.ConfigProvider, provider).pipe(
        Effect.mapError((error) => badConfig(file, error) ?? error)
      )
    const args = yield* Arguments.whole(options.args ?? [])
    const job = yield* needing(file, configured(Arguments.jobOf(file, module, args)))
    return {
      name: named,
      job,
      config: provider,
      options: runOptions,
      terms: (error) => badConfig(file, error),
      unasked,
      // Nobody has checked the types of an imported file: a service that is missing is told when it is asked for.
      layer: withDatabase(
        layer as Layer.Layer<never, unknown, Main.Services | Db.Db | Journal>,
        named,
        options,
        configured
      )
    }
  })

/** What makes a job may need what the command itself has, and no more. */
const needing = <A>(file: string, effect: Effect.Effect<A, unknown, Needs>): Effect.Effect<A, unknown, Main.Services> =>
  named(
    effect as Effect.Effect<A, unknown, Main.Services>,
    (service) =>
      `Could not run ${file}: what makes its job needs the service ${service}, which is not there before the job is. Let a step ask for it.`
  )

type Configured = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, unknown, R>

const withDatabase = (
  layer: Layer.Layer<never, unknown, Main.Services | Db.Db | Journal>,
  name: string,
  { db, dry = false, file }: MakeOptions,
  configured: Configured
): Layer.Layer<Db.Db | Journal, unknown, Main.Services> =>
  Layer.effectContext(
    Effect.gen(function* () {
      const context: Context.Context<Main.Services> = yield* Effect.context<Main.Services>()
      const given = db === undefined ? undefined : yield* Layer.build(yield* opened(db, dry))
      // Without a database here, a layer that asks for one fails with the name of the service.
      const around = Context.merge(context, given ?? Context.empty()) as Context.Context<Needs>
      const own: Context.Context<never> = yield* configured(Effect.provideContext(Layer.build(layer), around))
      const bringsDatabase = Option.isSome(Context.getOption(own, Journal))
      if (bringsDatabase && given !== undefined) {
        const message = `Could not run ${file} with --db: its \`layer\` has a database already. Leave out one of the two.`
        return yield* Effect.fail(new CommandError(message, { exitCode: 2 }))
      }
      if (bringsDatabase) return own as Context.Context<Db.Db | Journal>
      return Context.merge(
        given ?? (yield* Layer.build(yield* JournalFolder.journal(name, "--db"))),
        own
      ) as Context.Context<Db.Db | Journal>
    })
  )

/** Whoever only looks makes no database: what is not there has nothing in it. */
const opened = (
  db: string,
  dry: boolean
): Effect.Effect<Layer.Layer<Db.Db | Journal, unknown, Main.Services>, unknown, Main.Services> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const file = Paths.fileOf(db)
    return Db.open(dry && file !== undefined && !(yield* fs.exists(file)) ? ":memory:" : db)
  })
