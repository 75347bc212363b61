/** How tasks come into a group. */
/* oxlint-disable typescript/no-explicit-any -- `any` matches every group */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import { constVoid } from "effect/Function"
import { reasonIn } from "../base/Reason.ts"
import { CurrentTask, type Node } from "../base/TaskNode.ts"
import * as Wait from "../base/Wait.ts"
import { TaskCancelled } from "../TaskError.ts"
import { GroupClosed, NeverReady } from "../TaskGroupError.ts"
import { CurrentGroup, type Group, type Launch } from "./Group.ts"
import { restarting, type RestartOptions } from "./Restart.ts"

export interface SpawnOptions extends Partial<RestartOptions> {
  readonly name?: string | undefined
  /**
   * A "daemon" does not keep the group open: it is cancelled when body and tasks are done. A "service" is cancelled
   * last, when tasks and daemons have cleaned up, in the reverse order of spawning. Default "task".
   */
  readonly kind?: "task" | "daemon" | "service" | undefined
}

/** What a task calls when it is ready to be used, with what its starter waits for. */
export type Ready<in V> = (value: V) => Effect.Effect<void>

/** Starts a task and waits until it says that it is ready; gives it, with what it says so with. */
export const untilReady = <A, E, R, V>(
  f: (ready: Ready<V>) => Effect.Effect<A, E, R>,
  options: SpawnOptions | undefined,
  failure: "owned" | "supervised"
): Effect.Effect<readonly [task: Node<A, E>, value: V], E, R> =>
  inGroup(options, (group, fiber) => {
    // S16: whoever comes first, `ready`, the end of the task or a cancellation, ends the wait.
    let waits = true
    let isReady = false
    let task: Node<A, E> | undefined
    let release = constVoid
    const end = () => {
      waits = false
      release()
    }
    return Effect.onInterrupt(
      Wait.callback<readonly [task: Node<A, E>, value: V], E>("a task to be ready", (resume) => {
        const ready: Ready<V> = (value) =>
          Effect.suspend(() => {
            if (isReady) return Effect.die(new Error("`ready` was called twice"))
            isReady = true
            if (!waits) return Effect.void
            end()
            task!.supervised = failure === "supervised"
            task!.observed = false
            resume(Effect.succeed([task!, value]))
            return Effect.void
          })
        const started = startIn(
          group,
          fiber,
          // A task may be ready, and fail, before `startIn` returns it.
          Effect.withFiber((own) => {
            task = own.getRef(CurrentTask)
            return f(ready)
          }),
          options,
          "observed"
        )
        task = started
        const released = waits ? group.awaits(fiber, started) : constVoid
        if (released === undefined) {
          waits = false
          return resume(Effect.andThen(started.cancel("it can never begin"), Effect.die(started.deadlock)))
        }
        release = released
        task.fiber!.addObserver((exit) => {
          if (!waits) return
          end()
          group.whenSwept(() => resume(beforeReady(started, exit)))
        })
      }),
      () => {
        if (isReady || task === undefined) return Effect.void
        end()
        return Effect.andThen(task.cancel("its start was cancelled"), Effect.flatMap(task.exit, failuresIn))
      }
    )
  })

/** What the cleanup of a cancelled task failed with. */
const failuresIn = <E>(exit: Exit.Exit<unknown, E>): Effect.Effect<void, E> => {
  const failures = Exit.isSuccess(exit) ? [] : exit.cause.reasons.filter((reason) => !Cause.isInterruptReason(reason))
  return failures.length === 0 ? Effect.void : Effect.failCause(Cause.fromReasons(failures))
}

const beforeReady = <E>(task: Node<unknown, E>, exit: Exit.Exit<unknown, E>): Effect.Effect<never, E> =>
  Exit.isSuccess(exit)
    ? Effect.die(new NeverReady({ task: task.name }))
    : Cause.hasInterruptsOnly(exit.cause)
      ? Effect.die(
          new TaskCancelled({
            task: task.name,
            reason: reasonIn(exit.cause.reasons)?.message ?? ""
          })
        )
      : Effect.failCause(exit.cause)

export const inGroup = <A, E, R>(
  options: SpawnOptions | undefined,
  use: (group: Group<any, any>, fiber: Fiber.Fiber<unknown, unknown>) => Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  Effect.withFiber((fiber) => {
    const group = Context.getUnsafe(fiber.context, CurrentGroup)
    // S11: what is refused is never started.
    return group.isOpen
      ? use(group, fiber)
      : Effect.die(new GroupClosed({ group: group.name, task: options?.name ?? "without a name", state: group.state }))
  })

export const startIn = <A, E, R>(
  group: Group<any, any>,
  fiber: Fiber.Fiber<unknown, unknown>,
  effect: Effect.Effect<A, E, R>,
  options: SpawnOptions | undefined,
  failure: "owned" | "supervised" | "observed"
): Node<A, E> => {
  // The environment the effect needs is that of the spawning fiber, as its type says.
  const needsNothing = effect as Effect.Effect<A, E>
  const launch: Launch = {
    name: options?.name,
    kind: options?.kind ?? "task",
    supervised: failure !== "owned",
    observed: failure === "observed"
  }
  const restart = options?.restart
  return group.start(
    fiber,
    restart === undefined
      ? needsNothing
      : restarting(needsNothing, { restart, maxRestarts: options?.maxRestarts }, group),
    launch
  )
}
