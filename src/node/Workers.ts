/** Worker threads of Node, for `Offload.pool`. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Threads from "node:worker_threads"
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
  return { spawn: (id) => new Thread(() => new Threads.Worker(code, { name: `skein-${id}` })) }
})

type Channel = ReturnType<Offload.Threads["spawn"]>

class Thread implements Channel {
  private readonly start: () => Threads.Worker
  private worker: Threads.Worker | undefined

  constructor(start: () => Threads.Worker) {
    this.start = start
  }

  run(first: unknown, receive: (message: unknown) => void): Effect.Effect<never, unknown> {
    return Effect.acquireUseRelease(
      Effect.sync(() => (this.worker = this.start())),
      (worker) =>
        Effect.callback<never, unknown>((resume) => {
          const end = (cause: unknown) => resume(Effect.fail(cause))
          worker.on("message", receive)
          worker.on("messageerror", end)
          worker.on("error", end)
          worker.on("exit", (code) => end(new Error(`the thread exited with code ${code}`)))
          this.send(first)
        }),
      // What runs in it was cancelled and given its time before: it ends at once.
      (worker) => Effect.promise(() => worker.terminate())
    )
  }

  send(message: unknown, transfers?: ReadonlyArray<object>): void {
    this.worker!.postMessage(message, transfers as ReadonlyArray<Threads.Transferable>)
  }
}
