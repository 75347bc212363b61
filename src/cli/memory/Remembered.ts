/** Remembers by name what was run in this folder, so that `skein dead NAME` finds its journal and its job again. */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Schema from "effect/Schema"
import * as Files from "../../io/Files.ts"
import type * as Main from "../../node/Main.ts"
import { CommandError } from "../usage/CommandError.ts"
import * as FetchPlan from "../plan/FetchPlan.ts"
import * as JournalFolder from "./JournalFolder.ts"
import type { Plan } from "../plan/Plan.ts"
import * as RunPlan from "../plan/RunPlan.ts"

export type Entry =
  | { readonly kind: "fetch"; readonly options: FetchPlan.Options }
  | { readonly kind: "run"; readonly options: RunPlan.Options }

const Entry = Schema.Union([
  Schema.Struct({ kind: Schema.Literal("fetch"), options: FetchPlan.Options }),
  Schema.Struct({ kind: Schema.Literal("run"), options: RunPlan.Options })
])
const EntryText = Schema.fromJsonString(Entry)

export const save = (name: string, entry: Entry): Effect.Effect<void, unknown, Main.Services> =>
  Effect.gen(function* () {
    const file = yield* JournalFolder.path(`${name}.json`)
    yield* Files.writeAtomic(file, `${yield* Schema.encodeEffect(EntryText)(entry)}\n`)
  })

/** What ran last under this name, as it can be run again. */
export const load = (name: string): Effect.Effect<Plan, unknown, Main.Services> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const file = yield* Files.within(JournalFolder.name, `${name}.json`)
    if (!(yield* fs.exists(file))) {
      return yield* Effect.fail(new CommandError(`Nothing named "${name}" was run in this folder${yield* known}`))
    }
    const entry = yield* Effect.mapError(
      Schema.decodeEffect(EntryText)(yield* fs.readFileString(file)),
      () =>
        new CommandError(`Could not read ${file}: it is not what skein wrote there. Run "${name}" again to renew it.`)
    )
    return entry.kind === "fetch"
      ? FetchPlan.make(name, entry.options)
      : yield* RunPlan.make({ ...entry.options, name })
  })

const known: Effect.Effect<string, never, FileSystem.FileSystem> = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const files = yield* Effect.orElseSucceed(fs.readDirectory(JournalFolder.name), () => [])
  const names = files.filter((file) => file.endsWith(".json")).map((file) => file.slice(0, -".json".length))
  if (names.length === 0) return ": run `skein fetch` or `skein run` first, or change to the folder where you did."
  return `. What was: ${names.sort().join(", ")}.`
})
