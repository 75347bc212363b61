/**
 * The entry point of a program on Node: gives it Node's services, holds the process while its fibers wait, turns signals
 * into a request to stop and then a cancel, and the end into an exit code and a message for people.
 */
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import type * as HttpClient from "effect/http/HttpClient"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Runtime from "effect/Runtime"
import { isHeard, ProgramStop, StopSignal } from "../concurrency/base/Stop.ts"
import * as Foreign from "../concurrency/base/Foreign.ts"
import * as Cancel from "../concurrency/Cancel.ts"
import type * as Offload from "../concurrency/Offload.ts"
import * as Registry from "../concurrency/Registry.ts"
import type * as Db from "../io/Db.ts"
import * as Drivers from "./Drivers.ts"
import * as ErrorLines from "./main/ErrorLines.ts"
import * as Host from "./Host.ts"
import * as Http from "./Http.ts"
import type { Provided } from "./main/Provided.ts"
import * as Running from "./main/Running.ts"
import * as Shown from "../concurrency/base/Shown.ts"
import * as Workers from "./Workers.ts"

/**
 * What a program may need without providing it: files, paths, terminal, child processes, HTTP, drivers for `Db`, and threads
 * for `Offload`.
 */
export type Services = NodeServices.NodeServices | HttpClient.HttpClient | Db.Driver | Offload.Threads

/**
 * The services of `Main.run`, for programs that are run in another way.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import * as Path from "effect/Path"
 * import { Main } from "skein/node"
 *
 * const program = Effect.map(Path.Path, (path) => path.extname("urls.txt"))
 *
 * await Effect.runPromise(Effect.provide(program, Main.layer)) // => ".txt"
 * ```
 */
export const layer: Layer.Layer<Services> = Layer.mergeAll(
  NodeServices.layer,
  Http.layer(),
  Host.layer,
  Drivers.layer,
  Workers.layer
)

export interface Options {
  /** Adds stack traces and the whole cause to the message of a failure. Default false. */
  readonly debug?: boolean | undefined
  /** What to do to get them, said after a defect. Default: to set `debug` here. */
  readonly debugHint?: string | undefined
}

/**
 * Runs a program to its end and makes its outcome that of the process: exit code 0 for success, 1 for a failure, told
 * on stderr in one line an error, 130 when it was cancelled; an error with a `Runtime.errorExitCode` brings its own. The
 * first SIGINT or SIGTERM asks what listens to `Cancel.stopRequested`, such as pipelines, to stop, or cancels where nothing does; the second cancels and
 * waits for finalizers, naming the tasks that take long; the third ends the process. Readers of the output may leave early: the program goes on.
 * Passwords in URLs and characters that a terminal would obey are not shown. With `SKEIN_INSPECT=1` in the environment, `skein ps`,
 * `skein tree` and `skein top` see what runs in it.
 *
 * @example
 * ```ts
 * import * as Console from "effect/Console"
 * import { Main } from "skein/node"
 *
 * Main.run(Console.log("hello"))
 * ```
 */
export const run = <A, E, R>(effect: Provided<A, E, R, Services>, options: Options = {}): void => {
  const stop = new StopSignal()
  const registry = Registry.make()
  const program = inspected(effect as Effect.Effect<A, E, Services>).pipe(
    Effect.provide(layer),
    Effect.provideService(ProgramStop, stop),
    Effect.provideService(Registry.Registry, registry),
    // Standard output is the program's own; what groups report, unhandled failures and slow tasks, is not part of it.
    Effect.provideService(Logger.LogToStderr, true)
  )
  Runtime.makeRunMain(({ fiber }) => {
    const output = watchOutput()
    const signals = onSignals(fiber, stop, () => Running.describe(registry, Date.now()))
    fiber.addObserver((exit) => {
      signals.release()
      const lines = describe(exit, signals.received(), options)
      if (lines.length > 0) process.stderr.write(`${Shown.text(lines.join("\n"))}\n`)
      flush(() => {
        const unwritten = output.error()
        if (unwritten !== undefined) process.stderr.write(`error: could not write the output: ${unwritten.message}\n`)
        const code = exitCode(exit) || (unwritten === undefined ? 0 : 1)
        // After a success, whatever else the process was asked to do may go on.
        if (code !== 0 || signals.received()) process.exit(code)
      })
    })
  })(program, { disableErrorReporting: true })
}

/** Nothing of the inspector is loaded unless it is asked for. */
const inspected = <A, E>(effect: Effect.Effect<A, E, Services>): Effect.Effect<A, E, Services> => {
  const { SKEIN_INSPECT: asked = "" } = process.env
  if (asked === "" || asked === "0") return effect
  return Effect.flatMap(
    Effect.promise(() => import("./inspector/Asked.ts")),
    (Asked) => Effect.provide(effect, Asked.layer(asked))
  )
}

const exitCode = (exit: Exit.Exit<unknown, unknown>): number => {
  let code = 1
  Foreign.attempt(() => Runtime.defaultTeardown(exit, (given) => void (code = given)), undefined)
  return code
}

const describe = (exit: Exit.Exit<unknown, unknown>, signalled: boolean, options: Options): ReadonlyArray<string> => {
  if (Exit.isSuccess(exit)) return []
  // Who sent a signal was told what it does.
  if (signalled && Cause.hasInterruptsOnly(exit.cause)) return []
  return ErrorLines.make(exit.cause, {
    debug: options.debug ?? false,
    hint: options.debugHint ?? "set `debug: true` in the options of Main.run to see where"
  })
}

/** npm passes on the Ctrl-C that its script got from the terminal as well: two of a kind this close are one. */
const echo = 200

/** How long a cancelled program may clean up before the tasks that hold it are named. */
const patience = 2000

const onSignals = (fiber: Fiber.Fiber<unknown, unknown>, stop: StopSignal, running: () => string) => {
  let asked = 0
  let reminder: NodeJS.Timeout | undefined
  let last = { signal: "", at: 0 }

  const tell = (text: string): void => {
    // The terminal has shown "^C" by now, maybe behind a progress line: both are cleared.
    process.stderr.write(`${process.stderr.isTTY ? "\r\u001B[K" : ""}${Shown.text(text)}\n`)
  }

  const receive = (signal: NodeJS.Signals): void => {
    const at = performance.now()
    if (last.signal === signal && at - last.at < echo) return
    last = { signal, at }
    const reason = { kind: "signal", by: signal, message: `the process was sent ${signal}` } as const
    const again = signal === "SIGINT" ? "press Ctrl-C again" : `send ${signal} again`
    if (asked === 0 && isHeard(stop)) {
      asked = 1
      tell(`stopping: finishing what is in flight; ${again} to cancel`)
      stop.request(reason)
    } else if (asked < 2) {
      asked = 2
      tell(`cancelling: cleaning up; ${again} to end at once`)
      reminder = setTimeout(() => tell(`still cleaning up: ${running()}`), patience)
      fiber.interruptUnsafe(fiber.id, Cancel.annotate(reason))
    } else {
      tell(`ended before everything was cleaned up: ${running()}`)
      process.exit(130)
    }
  }

  process.on("SIGINT", receive)
  process.on("SIGTERM", receive)
  return {
    received: () => asked > 0,
    release: () => {
      clearTimeout(reminder)
      process.off("SIGINT", receive)
      process.off("SIGTERM", receive)
    }
  }
}

/** Without listeners, a reader that leaves early, as in `skein dead NAME | head -1`, would crash the process. */
const watchOutput = () => {
  let failed: Error | undefined
  const onError = (error: NodeJS.ErrnoException): void => {
    if (error.code !== "EPIPE") failed ??= error
  }
  process.stdout.on("error", onError)
  process.stderr.on("error", onError)
  return { error: () => failed }
}

/** Output to a pipe may still be under way, and `process.exit` would cut it off; what went wrong is told after that. */
const flush = (then: () => void): void =>
  void process.stdout.write("", () => process.stderr.write("", () => setImmediate(then)))
