/** Where this process looks for others, and those that it starts can be found: a new folder, as long as the scope is open. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Child from "./child.ts"

export const runtimeFolder: Effect.Effect<string, never, Scope.Scope> = Effect.gen(function* () {
  const folder = yield* Child.folder
  const before = process.env["XDG_RUNTIME_DIR"]
  yield* Effect.acquireRelease(
    Effect.sync(() => void (process.env["XDG_RUNTIME_DIR"] = folder)),
    () =>
      Effect.sync(() => {
        if (before === undefined) delete process.env["XDG_RUNTIME_DIR"]
        else process.env["XDG_RUNTIME_DIR"] = before
      })
  )
  return folder
})
