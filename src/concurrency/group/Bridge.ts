/** S32: the way into a group for code that knows only promises and callbacks. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { constVoid } from "effect/Function"
import * as Option from "effect/Option"
import type * as Stream from "effect/Stream"
import { type Reason, reasonOf } from "../base/Reason.ts"
import * as Rejection from "../base/Rejection.ts"
import { cancellation } from "../base/TaskNode.ts"
import { GroupClosed } from "../TaskGroupError.ts"
import { supervising } from "./Unhandled.ts"
import { CurrentGroup, type Group, type Launch, type TaskGroup } from "./Group.ts"
import { Iteration } from "./Iteration.ts"

export interface RunOptions {
  /** Cancels the task when it is aborted; one that is aborted already starts nothing. */
  readonly signal?: AbortSignal | undefined
  /** Shown in messages and in the tree of tasks. */
  readonly name?: string | undefined
}

/** The way into a group from callbacks and promise code; `R` is what effects may need there. */
export interface Bridge<in R = never> {
  /**
   * Runs the effect as a task of the group. The promise rejects with what the effect fails with, as it is; with an
   * `AbortError`, once its cleanup has run, where it was cancelled: by its signal or with the group; and with
   * `GroupClosed`, and starts nothing, when the group takes no more tasks. The failure belongs to whoever holds the
   * promise: the group goes on.
   */
  readonly run: <A, E, R1 extends R>(effect: Effect.Effect<A, E, R1>, options?: RunOptions) => Promise<A>
  /**
   * Runs the stream in the group for a `for await`, which gets its elements as it asks for them: what the stream gives at once
   * waits, and nothing is read ahead. Leaving the loop early cancels the stream and waits for its cleanup. Rejects as `run`
   * does. An iterator keeps no group open: what was not read by then is cancelled with it.
   */
  readonly iterate: <A, E, R1 extends R>(stream: Stream.Stream<A, E, R1>, options?: RunOptions) => AsyncIterable<A>
  /** Aborted with an `AbortError` when the group is cancelled, or has nothing left to wait for. */
  readonly signal: AbortSignal
}

/**
 * The way into the innermost group for code that knows only promises and callbacks: event emitters, request handlers,
 * libraries. Effects run there with the services of here. Name those that they need, as in `TaskGroup.bridge<Database>()`, and
 * `TaskGroup<HttpError>` for what tasks that they spawn into the group may let fail.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { Offload, TaskGroup } from "skein"
 *
 * const double = (n: number) => Effect.delay(Effect.succeed(n * 2), "1 millis")
 *
 * const program = TaskGroup.open(Effect.gen(function*() {
 *   const bridge = yield* TaskGroup.bridge()
 *   // Somebody else's code, that wants a function which gives a promise.
 *   const library = (f: (n: number) => Promise<number>) => Promise.all([f(1), f(2)])
 *   return yield* Offload.promise(() => library((n) => bridge.run(double(n))))
 * }))
 *
 * await Effect.runPromise(program) // => [2, 4]
 * ```
 */
export const bridge = <R = never>(): Effect.Effect<Bridge<R | TaskGroup<never>>, never, R | TaskGroup<never>> =>
  Effect.contextWith((context: Context.Context<R | TaskGroup<never>>) =>
    Effect.succeed(new Way<R | TaskGroup<never>>(context))
  )

class Way<R> implements Bridge<R> {
  /** Of where the bridge was made: its tasks run in it, as if they were spawned there. */
  readonly context: Context.Context<never>
  private readonly group: Group<unknown, unknown>
  private controller: AbortController | undefined

  constructor(context: Context.Context<R | TaskGroup<never>>) {
    this.context = context as Context.Context<never>
    this.group = supervising(Context.getUnsafe(context, CurrentGroup))
  }

  readonly run = <A, E, R1 extends R>(effect: Effect.Effect<A, E, R1>, options: RunOptions = {}): Promise<A> => {
    const { name, signal } = options
    return Rejection.promise<A, E>((end) =>
      Rejection.under(signal, end, (end) => this.start(effect, { kind: "task", name, observed: true }, end))
    )
  }

  readonly iterate = <A, E, R1 extends R>(
    stream: Stream.Stream<A, E, R1>,
    options: RunOptions = {}
  ): AsyncIterable<A> => ({
    [Symbol.asyncIterator]: () =>
      new Iteration(stream, (pulling, end) =>
        Rejection.under(options.signal, end, (end) =>
          this.start(pulling, { kind: "daemon", name: options.name ?? "iterator" }, end)
        )
      )
  })

  get signal(): AbortSignal {
    if (this.controller === undefined) {
      const controller = new AbortController()
      this.controller = controller
      // What is cancelled with the group knows why.
      this.start(Effect.never, { kind: "daemon", name: "signal" }, (exit) => {
        const reason = Exit.isFailure(exit) ? reasonOf(exit.cause) : Option.none()
        controller.abort(Rejection.abortError(Option.getOrElse(reason, () => this.over)))
      })
    }
    return this.controller.signal
  }

  private start<A, E, R1 extends R>(
    effect: Effect.Effect<A, E, R1>,
    launch: Pick<Launch, "kind" | "observed"> & { readonly name: string | undefined },
    end: Rejection.End<A, E>
  ): Rejection.Stop {
    const { group } = this
    if (!group.isOpen) {
      end(Exit.die(new GroupClosed({ group: group.name, task: launch.name ?? "without a name", state: group.state })))
      return constVoid
    }
    const task = group.start(this, effect as Effect.Effect<A, E>, {
      ...launch,
      supervised: true,
      onEnd: (task, exit) => {
        end(exit)
        group.ended(task, exit)
      }
    })
    return (reason) => {
      task.interrupt(cancellation(reason, group.clock))
      if (task.fiber?.pollUnsafe() === undefined) group.watchCleanup()
    }
  }

  private get over(): Reason {
    return { kind: "shutdown", by: this.group.name, message: `group "${this.group.name}" is over` }
  }
}
