/** `skein run`: runs the job that a file exports. */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Main from "../node/Main.ts"
import * as DefaultName from "./memory/DefaultName.ts"
import * as Remembered from "./memory/Remembered.ts"
import * as Plan from "./plan/Plan.ts"
import * as RunPlan from "./plan/RunPlan.ts"
import * as Report from "./report/Report.ts"
import * as Name from "./usage/Name.ts"
import * as Paths from "./usage/Paths.ts"

const description = `Run the job that a file exports by default, as it stands: Node takes the types out of a
  .ts file.

  The job is a pipeline that ends with \`Pipeline.to(…)\`. Beside it the file may export
    name      what it is remembered as; default the path of the file, a-x for a/x.ts
    layer     the services that the job needs, its database among them: Db.sqlite("data.db")
    options   options of \`Pipeline.run\`, like { window: { items: 100 } }
  Files, paths, HTTP and the drivers of databases are there without a layer.

  Run the same command again to go on where it stopped. Ctrl-C finishes what is in flight; a
  second one cancels. How far it is, is kept in its database; without one in .skein/NAME.db
  in this folder, which belongs to the output.

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
  name: Name.flag.pipe(
    Flag.withDescription("What this is remembered as. Default its export `name`, or path"),
    Flag.optional
  ),
  db: Paths.database.pipe(
    Flag.withDescription("Its database, where its layer has none. Default .skein/NAME.db"),
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
  readonly name: Option.Option<string>
  readonly db: Option.Option<string>
  readonly restart: boolean
}

export const run: Command.Command<"run", Input, {}, unknown, Main.Services> = Command.make(
  "run",
  config,
  (input): Effect.Effect<void, unknown, Main.Services> =>
    Effect.gen(function* () {
      const options = { file: input.file, ...(Option.isSome(input.db) && { db: input.db.value }) }
      const database = options.db === undefined ? undefined : Paths.fileOf(options.db)
      yield* Paths.check([
        { role: "the job", path: input.file },
        ...(database === undefined ? [] : [{ role: "--db", path: database }])
      ])
      const plan = yield* RunPlan.make({
        ...options,
        name: Option.getOrUndefined(input.name),
        otherwise: yield* DefaultName.of(input.file)
      })
      yield* Plan.start(plan, {
        restart: input.restart,
        report: yield* Report.make(input),
        remember: (journal) => Remembered.save(plan.name, { kind: "run", options: RunPlan.kept(options) }, journal)
      })
    })
).pipe(
  Command.withShortDescription("Run the job that a file exports"),
  Command.withDescription(description),
  Command.withExamples([
    { command: "skein run job.ts", description: "Run `export default` of job.ts" },
    {
      command: "skein run job.ts --db postgres://ada@localhost/data",
      description: "Run it into PostgreSQL, with the password in PGPASSWORD or ~/.pgpass"
    }
  ])
)
