/** What the socket gives access to. */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { orphans } from "../../concurrency/base/Orphans.ts"
import type { GroupInfo } from "../../concurrency/base/TaskInfo.ts"
import { Registry, treeOf } from "../../concurrency/Registry.ts"
import type { Entry } from "../../inspect/context/Entry.ts"
import { Process } from "../../inspect/context/Process.ts"
import type { GroupView, Snapshot } from "../../inspect/context/Snapshot.ts"
import type { Control } from "./Protocol.ts"

export interface Access {
  readonly snapshot: Effect.Effect<Snapshot>
  readonly events: Stream.Stream<Entry>
  /** Gives why it was not done; none where it is not allowed at all. */
  readonly control:
    | ((run: string, partition: string | null, what: Control) => Effect.Effect<string | undefined>)
    | undefined
}

/** To the program that asks. */
export const make = ({ allowControl }: { readonly allowControl: boolean }): Effect.Effect<Access> =>
  Effect.contextWith((context) =>
    Effect.succeed({
      snapshot: Effect.provideContext(snapshot, context),
      events: Stream.empty,
      control: allowControl ? () => Effect.succeed("there is no such run") : undefined
    })
  )

const snapshot: Effect.Effect<Snapshot> = Effect.gen(function* () {
  const look = yield* Process
  return {
    formatVersion: 1 as const,
    at: Date.now(),
    process: look?.() ?? null,
    groups: treeOf(yield* Registry).groups.map(viewOf),
    orphans: yield* orphans,
    runs: [],
    findings: [],
    history: { kept: 0, dropped: 0 },
    withoutPlaces: "nobody asked for them"
  }
})

const viewOf = (group: GroupInfo): GroupView => ({
  ...group,
  tasks: group.tasks.map((task) => ({ ...task, groups: task.groups.map(viewOf), work: null, places: [] }))
})
