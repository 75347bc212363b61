/** The name of a run that was given none: the same for the same file, and another for another. */
import * as Effect from "effect/Effect"
import type * as Main from "../../node/Main.ts"
import * as Name from "../usage/Name.ts"
import * as Paths from "../usage/Paths.ts"
import * as Remembered from "./Remembered.ts"

export const of = (file: string): Effect.Effect<string, never, Main.Services> =>
  Effect.gen(function* () {
    const name = yield* Name.ofFile(file)
    const before = Name.ofBase(file)
    if (name === before) return name
    // What began under its name of version 0.1 goes on under it.
    const target = yield* Remembered.target(before)
    return target !== undefined && (yield* Paths.same(target, file)) ? before : name
  })
