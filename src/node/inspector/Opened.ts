/** Gives others access to this process, by its socket. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as ErrorText from "../../concurrency/base/ErrorText.ts"
import { Host } from "../../pipeline/context/Host.ts"
import * as Access from "./Access.ts"
import * as OwnProcess from "./OwnProcess.ts"
import * as Server from "./Server.ts"
import type { SocketError } from "./SocketError.ts"

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
  Layer.effectDiscard(
    Effect.catch(opened(options), (error) => Effect.logWarning(`${ErrorText.of(error)} The program goes on without.`))
  ).pipe(Layer.provideMerge(OwnProcess.layer))

/** A process has one socket; who comes by it sees the program that was opened last. */
const programs: Array<Access.Access> = []
let close: (() => void) | undefined

const opened = ({ allowControl = false }: SocketOptions): Effect.Effect<void, SocketError, Scope.Scope> =>
  Effect.gen(function* () {
    const access = yield* Access.make({ allowControl })
    yield* Effect.acquireRelease(
      Effect.sync(() => programs.push(access)),
      () =>
        Effect.sync(() => {
          programs.splice(programs.indexOf(access), 1)
          if (programs.length > 0) return
          close?.()
          close = undefined
        })
    )
    if (programs.length > 1) return
    const identity = {
      process: (yield* Host).id,
      startedAt: OwnProcess.startedAt,
      title: OwnProcess.title(process.argv)
    }
    close = yield* Effect.uninterruptible(Server.open(identity, () => programs.at(-1)!))
  })
