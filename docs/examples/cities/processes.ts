/** The processes beside this one: the API, and the job where it is to be killed. */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as ChildProcess from "effect/process/ChildProcess"
import * as ChildProcessSpawner from "effect/process/ChildProcessSpawner"
import * as Random from "effect/Random"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { fileURLToPath } from "node:url"

const node = (script: string, args: ReadonlyArray<string>, options: ChildProcess.CommandOptions) =>
  Effect.flatMap(ChildProcessSpawner.ChildProcessSpawner, (spawner) =>
    spawner.spawn(ChildProcess.make(process.execPath, [...process.execArgv, script, ...args], options))
  )

const lines = (child: ChildProcessSpawner.ChildProcessHandle) =>
  child.stdout.pipe(Stream.decodeText(), Stream.splitLines)

const Ready = Schema.fromJsonString(Schema.Struct({ url: Schema.String }))

/** Starts the API and gives its URL. Detached, so that the Ctrl-C of a terminal does not end it before the job. */
export const server = Effect.gen(function* () {
  const script = fileURLToPath(new URL("server.ts", import.meta.url))
  const child = yield* node(script, [], {
    detached: true,
    stdin: { stream: "pipe", endOnDone: false },
    stderr: "inherit"
  })
  const [first] = yield* Stream.runCollect(Stream.take(lines(child), 1))
  return (yield* Schema.decodeUnknownEffect(Ready)(first)).url
})

const main = process.argv[1]!

class Failed extends Schema.TaggedError<Failed>()("Failed", { message: Schema.String }) {}

/**
 * Runs the job in a process of its own and kills it, with no chance to clean up, somewhere on its way. Tells whether that
 * came in time: with little left to do, the job may be done before.
 */
export const killOnTheWay = (kill: number, args: ReadonlyArray<string>) =>
  Effect.scoped(
    Effect.gen(function* () {
      const child = yield* node(main, args, { stderr: "inherit" })
      // Not before it has written something: there has to be something to lose.
      yield* lines(child).pipe(
        Stream.filter((line) => /^[1-9][\d,]* places/.test(line)),
        Stream.take(1),
        Stream.runDrain
      )
      const millis = yield* Random.nextIntBetween(20, 400)
      yield* Effect.sleep(millis)
      // What it came to says the exit code, which a process that was killed does not have.
      yield* Effect.ignore(child.kill({ killSignal: "SIGKILL" }))
      const code = yield* Effect.option(child.exitCode)
      if (Option.isNone(code)) {
        yield* Console.log(`kill ${kill}: SIGKILL ${millis} ms after its first places`)
        return true
      }
      if (code.value !== 0) return yield* new Failed({ message: `the job ended with exit code ${code.value}` })
      yield* Console.log(`kill ${kill}: too late, the job was done; it starts over`)
      return false
    })
  )

export const runToTheEnd = (args: ReadonlyArray<string>) =>
  Effect.scoped(Effect.flatMap(node(main, args, { stdout: "inherit", stderr: "inherit" }), (child) => child.exitCode))
