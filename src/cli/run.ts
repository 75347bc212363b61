/** `skein run`: runs the job that a file exports. */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Main from "../node/Main.ts"
import * as Pipeline from "../pipeline/Pipeline.ts"
import * as Settings from "./load/Settings.ts"
import * as DefaultName from "./memory/DefaultName.ts"
import * as Remembered from "./memory/Remembered.ts"
import * as Plan from "./plan/Plan.ts"
import * as RunPlan from "./plan/RunPlan.ts"
import * as Preview from "./report/Preview.ts"
import * as Report from "./report/Report.ts"
import * as Name from "./usage/Name.ts"
import * as Paths from "./usage/Paths.ts"
import * as Units from "./usage/Units.ts"

const description = `Run the job that a file exports by default, as it stands: Node takes the types out of a
  .ts file. What it imports is looked for by the \`paths\` of its tsconfig.json as well.

  The job is a pipeline that ends with \`Pipeline.to(…)\`, or a function that gives one for the
  arguments behind the file, or an effect of one. Beside it the file may export
    name      what it is remembered as; default the path of the file, a-x for a/x.ts
    args      a Schema of its arguments, which are a list of texts
    layer     the services that the job needs, its database among them: Db.sqlite("data.db")
    options   options of \`Pipeline.run\`, like { window: { items: 100 } }
  Files, paths, HTTP and the drivers of databases are there without a layer.

  Function, layer and steps read their configuration with \`Config\`: from --set, then from the
  file of --env-file, then from the environment. --set api.token=x is Config.String("token")
  nested in "api". \`skein dead NAME --replay\` runs it with the same arguments and settings; what
  may be secret in them, by its name or as a password in a URL, is not remembered.

  Run the same command again to go on where it stopped. Ctrl-C finishes what is in flight; a
  second one cancels. How far it is, is kept in its database; without one in
  .skein/NAME.journal in this folder, which belongs to the output.

  Exit codes: 0 done, or stopped by a signal and resumable; 1 failed, or all is dead; 2 wrong
  usage; 130 cancelled.`

const config = {
  file: Argument.String("file").pipe(
    Argument.filter(
      (file) => file !== "",
      () => Paths.whenEmpty
    ),
    Argument.withDescription("A module of TypeScript or JavaScript")
  ),
  args: Argument.String("args").pipe(
    Argument.withDescription("What its function is called with; those that begin with - behind --"),
    Argument.variadic()
  ),
  set: Paths.text("set").pipe(
    Flag.withMetavar("<key=value>"),
    Flag.filter(Settings.isSetting, () => "a key and a value, as in api.token=x"),
    Flag.withDescription("Configuration of the job; give it again for more"),
    Flag.between(0, 1000)
  ),
  envFile: Paths.file("env-file").pipe(
    Flag.withDescription("More configuration, from lines of KEY=value"),
    Flag.optional
  ),
  explain: Flag.Boolean("explain").pipe(
    Flag.withDescription("Say what the job does, and run nothing"),
    Flag.withDefault(false)
  ),
  dryRun: Units.count("dry-run", 1).pipe(
    Flag.withOptionalValue("10"),
    Flag.withDescription("Show what would become of the next 10 elements, or of --dry-run=50, and write nothing"),
    Flag.optional
  ),
  name: Name.flag.pipe(
    Flag.withDescription("What this is remembered as. Default its export `name`, or path"),
    Flag.optional
  ),
  db: Paths.database.pipe(
    Flag.withDescription("Its database, where its layer has none. Default its journal is .skein/NAME.journal"),
    Flag.optional
  ),
  restart: Flag.Boolean("restart").pipe(
    Flag.withDescription("Start over: rows without a key and lines are added again"),
    Flag.withDefault(false)
  ),
  ...Report.flags
}

interface Input extends Report.Options {
  readonly file: string
  readonly args: ReadonlyArray<string>
  readonly set: ReadonlyArray<string>
  readonly envFile: Option.Option<string>
  readonly explain: boolean
  readonly dryRun: Option.Option<number>
  readonly name: Option.Option<string>
  readonly db: Option.Option<string>
  readonly restart: boolean
}

export const run: Command.Command<"run", Input, {}, unknown, Main.Services> = Command.make(
  "run",
  config,
  (input): Effect.Effect<void, unknown, Main.Services> =>
    Effect.gen(function* () {
      const { dryRun, explain, restart } = input
      const options = optionsOf(input)
      const database = options.db === undefined ? undefined : Paths.fileOf(options.db)
      yield* Paths.check([
        { role: "the job", path: input.file },
        ...(database === undefined ? [] : [{ role: "--db", path: database }]),
        ...(options.envFile === undefined ? [] : [{ role: "--env-file", path: options.envFile }])
      ])
      const plan = yield* RunPlan.make({
        ...options,
        name: Option.getOrUndefined(input.name),
        otherwise: yield* DefaultName.of(input.file),
        dry: Option.isSome(dryRun)
      })
      if (explain) return yield* Preview.explanation(Pipeline.explain(plan.job, plan.options), input)
      if (Option.isSome(dryRun)) {
        return yield* Plan.dryRun(plan, { first: dryRun.value, restart }, (dry) => Preview.dryRun(dry, input))
      }
      const report = yield* Report.make(input)
      yield* Plan.start(plan, {
        restart,
        report,
        remember: (journal) => Remembered.save(plan.name, { kind: "run", options: RunPlan.kept(options) }, journal)
      })
      for (const key of plan.unasked()) yield* report.note(`--set ${key} was not asked for by the job`)
    })
).pipe(
  Command.withShortDescription("Run the job that a file exports"),
  Command.withDescription(description),
  Command.withExamples([
    { command: "skein run job.ts", description: "Run `export default` of job.ts" },
    { command: "skein run job.ts in.csv --set limit=5 --dry-run", description: "Show what it would write of in.csv" },
    {
      command: "skein run job.ts --db postgres://ada@localhost/data",
      description: "Run it into PostgreSQL, with the password in PGPASSWORD or ~/.pgpass"
    }
  ])
)

const optionsOf = ({ args, db, envFile, file, set }: Input): RunPlan.Options => ({
  file,
  ...(Option.isSome(db) && { db: db.value }),
  ...(args.length > 0 && { args }),
  ...(set.length > 0 && { set }),
  ...(Option.isSome(envFile) && { envFile: envFile.value })
})
