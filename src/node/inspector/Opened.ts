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

export const layer = (allowControl: boolean): Layer.Layer<never> =>
  Layer.effectDiscard(
    Effect.catch(opened(allowControl), (error) =>
      Effect.logWarning(`${ErrorText.of(error)} The program goes on without.`)
    )
  ).pipe(Layer.provideMerge(OwnProcess.layer))

/** A process has one socket; who comes by it sees the program that was opened last. */
const programs: Array<Access.Access> = []
let close: (() => void) | undefined

const opened = (allowControl: boolean): Effect.Effect<void, SocketError, Scope.Scope> =>
  Effect.gen(function* () {
    const access = yield* Access.make(allowControl)
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
