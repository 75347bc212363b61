/** Worker threads of Node, for `Offload.pool`. */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as Worker from "effect/workers/Worker"
import { WorkerError, WorkerReceiveError, WorkerUnknownError } from "effect/workers/WorkerError"
import * as Threads from "node:worker_threads"
import * as Foreign from "../concurrency/base/Foreign.ts"
import * as Offload from "../concurrency/Offload.ts"

/**
 * Lets `Offload.pool` run its calls in worker threads of Node. They take over `process.execArgv` and the environment
 * of the process, and write to its output. `Main.run` gives it to its program.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { Offload } from "skein"
 * import { Workers } from "skein/node"
 *
 * const code = new URL("data:text/javascript,export const square = (n) => n * n")
 * const program = Offload.pool(Offload.define<{ readonly square: (n: number) => number }>(code), { size: 1 }).pipe(
 *   Effect.flatMap(({ square }) => square(12)),
 *   Effect.scoped
 * )
 *
 * await Effect.runPromise(Effect.provide(program, Workers.layer)) // => 144
 * ```
 */
export const layer: Layer.Layer<Offload.Threads> = Layer.sync(Offload.Threads)(() => {
  const code = new URL(import.meta.url.endsWith(".ts") ? "./WorkerMain.ts" : "./WorkerMain.js", import.meta.url)
  const spawner = Worker.Spawner.of((id) => new Threads.Worker(code, { name: `skein-${id}` }))
  return { spawn: (id) => Effect.provideService(platform.spawn(id), Worker.Spawner, spawner) }
})

const platform = Worker.makePlatform<Threads.Worker>()({
  // What runs in it was cancelled and given its time before: the thread ends at once.
  setup: ({ scope, worker }) =>
    Effect.as(
      Scope.addFinalizer(
        scope,
        Effect.promise(() => worker.terminate())
      ),
      worker
    ),
  listen: ({ deferred, emit, port }) =>
    Effect.sync(() => {
      const end = (reason: WorkerError["reason"]) =>
        Deferred.doneUnsafe(deferred, Effect.fail(new WorkerError({ reason })))
      // What a function posts by itself comes the same way, and is nobody's: the pool drops what is not its own.
      port.on("message", (message) => {
        if (Array.isArray(message)) emit(message)
      })
      port.on("messageerror", (cause) => end(new WorkerReceiveError({ message: "a message could not be read", cause })))
      port.on("error", (cause: unknown) => end(unknown(cause)))
      port.on("exit", (code) => end(unknown(new Error(`the thread exited with code ${code}`))))
    })
})

const unknown = (cause: unknown) => new WorkerUnknownError({ message: Foreign.describe(cause), cause })
