/** A look into a program while it runs: for others, by its socket; where its fibers wait; and who blocks its event loop. */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import { millisOf } from "../concurrency/base/Lasting.ts"
import * as Log from "../concurrency/base/Log.ts"
import * as Options from "../concurrency/base/Options.ts"
import { span } from "../concurrency/base/Span.ts"
import { Deep, NotSeen } from "../inspect/context/Deep.ts"
import type { BlockedEntry } from "../inspect/context/Entry.ts"
import type { Blockage } from "./inspector/Beat.ts"
import * as Sight from "./inspector/Sight.ts"
import * as Watchdog from "./inspector/Watchdog.ts"

export type { BlockedEntry } from "../inspect/context/Entry.ts"

/**
 * Lets the inspector tell file, line and column of each `yield*` that a task waits at. Nothing is done for it until somebody looks:
 * the first look takes some 100 ms, as V8 has to tell which scripts there are, and then each `yield*` 0.3 ms. The program stands still
 * meanwhile, so a look takes 500 fibers at most, and a quarter of a second.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { TaskGroup } from "skein"
 * import { Inspector, Main } from "skein/node"
 *
 * const program = TaskGroup.open(TaskGroup.spawn(Effect.sleep("10 millis"), { name: "nap" }))
 *
 * Main.run(Effect.provide(program, Inspector.deep))
 * ```
 */
export const deep: Layer.Layer<never> = Layer.effect(
  Deep,
  Effect.gen(function* () {
    let sight: Sight.Sight | NotSeen | undefined
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        if (sight instanceof Sight.Sight) sight.close()
        sight = new NotSeen("it is closed")
      })
    )
    return {
      look: (fibers) =>
        Effect.suspend(() => {
          sight ??= Sight.open()
          if (sight instanceof NotSeen) return Effect.fail(sight)
          return Effect.succeed(sight.look(fibers))
        })
    }
  })
)

export interface SocketOptions {
  /** Whether runs may be paused, resumed and drained from outside. Default false. */
  readonly allowControl?: boolean | undefined
}

/**
 * Opens a socket for `skein ps`, `skein tree` and `skein top`: in a folder that nobody but this user can open, for as long as the
 * program runs. It tells what `Inspect.snapshot` and `Inspect.events` would where it is built, so other layers of the inspector are
 * provided to it. Where it cannot be opened that is logged, and the program goes on.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import * as Layer from "effect/Layer"
 * import { TaskGroup } from "skein"
 * import { Inspector, Main } from "skein/node"
 *
 * const program = TaskGroup.open(TaskGroup.spawn(Effect.sleep("10 millis"), { name: "nap" }))
 *
 * Main.run(Effect.provide(program, Layer.provideMerge(Inspector.socket(), Inspector.deep)))
 * ```
 */
export const socket = (options: SocketOptions = {}): Layer.Layer<never> =>
  // Servers and clients of sockets are loaded only where one is opened.
  Layer.unwrap(
    Effect.map(
      Effect.promise(() => import("./inspector/Opened.ts")),
      (Opened) => Opened.layer(options.allowControl ?? false)
    )
  )

export interface WatchdogOptions {
  /** How long the event loop may stand. Default 100 millis. */
  readonly threshold?: Duration.Input | undefined
  /** Told of each blockage when it is over. */
  readonly on?: ((entry: BlockedEntry) => void) | undefined
}

/**
 * Reports code that blocks the event loop, so that nothing else of the program runs. A thread of its own watches, and while the loop
 * still stands it writes to the standard error which task is at work, and at which line. When the loop turns again, the log says it with how
 * long it took, `on` is told the whole stack, and the metrics `skein_event_loop_blocked_total` and `skein_event_loop_blocked_duration` count it.
 *
 * To see the stack the program is halted for some 50 ms, at most ten times in a row and six times a minute; never
 * while Node's inspector is open, as for a debugger. A blockage is seen for sure from 1.4 times the threshold on.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { TaskGroup } from "skein"
 * import { Inspector, Main } from "skein/node"
 *
 * const parse = Effect.sync(() => JSON.parse("{}"))
 * const program = TaskGroup.open(TaskGroup.spawn(parse, { name: "parse" }))
 *
 * Main.run(Effect.provide(program, Inspector.watchdog({ threshold: "200 millis" })))
 * ```
 */
export const watchdog = (options: WatchdogOptions = {}): Layer.Layer<never> => {
  Options.checkDuration("threshold", options.threshold)
  const threshold = Math.max(1, millisOf(options.threshold ?? 100))
  return Layer.effectDiscard(
    Effect.contextWith((context) => {
      const run = Effect.runForkWith(context)
      const heard = (blockage: Blockage) => run(report(blockage, options.on))
      const failed = (error: unknown) => run(Log.thrown("The watchdog cannot watch the event loop", error))
      return Effect.acquireRelease(
        Effect.sync(() => {
          try {
            return Watchdog.start(threshold, heard, failed)
          } catch (error) {
            failed(error)
            return undefined
          }
        }),
        (watchdog) => Effect.promise(async () => watchdog?.stop())
      )
    })
  )
}

const blocked: Metric.Counter<number> = Metric.counter("skein_event_loop_blocked_total", {
  description: "How often the event loop was blocked",
  incremental: true
})

const duration: Metric.Histogram<number> = Metric.histogram("skein_event_loop_blocked_duration", {
  description: "How long the event loop was blocked",
  attributes: { unit: "seconds" },
  boundaries: [0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60]
})

const report = ({ at, culprit, took }: Blockage, on: WatchdogOptions["on"]): Effect.Effect<void> =>
  Effect.gen(function* () {
    yield* Metric.update(blocked, 1)
    yield* Metric.update(duration, took / 1000)
    yield* Log.warning(`The event loop was blocked for ${span(took)}${culprit.words}`)
    const { name, stack, task } = culprit
    yield* Effect.catchDefect(
      Effect.sync(() => on?.({ kind: "blocked", at, task, name, took, stack })),
      (thrown) => Log.thrown("What listens to the watchdog has thrown", thrown)
    )
  })
