/** What is added to frontiers: at once, or with the element whose step has added it. */
import * as Effect from "effect/Effect"
import type { FrontierStore } from "../context/FrontierStore.ts"
import type { Work } from "../context/Attempt.ts"
import { FrontierError } from "../FrontierError.ts"
import type { Journal } from "../Journal.ts"

export const storeOf = (journal: Journal, name: string): Effect.Effect<FrontierStore, FrontierError> =>
  journal.frontier === undefined ? Effect.fail(keepsNone(name)) : Effect.succeed(journal.frontier(name))

const keepsNone = (frontier: string): FrontierError =>
  new FrontierError({
    frontier,
    tried: "open it",
    reason:
      "the journal of this run keeps no frontiers, as that of a file. Let the program provide one of a database, with Db.open or Db.sqlite, or Journal.memory in tests"
  })

/** Where what is added goes. */
export interface Added {
  readonly frontier?: ((name: string) => Pick<FrontierStore, "add">) | undefined
}

/** Writes what steps have added, in the transaction that is open. */
export const write = (journal: Added | undefined, work: ReadonlyArray<Work>): Effect.Effect<void, FrontierError> => {
  const byName = new Map<string, Array<Work["items"]>>()
  for (const { frontier, items } of work) {
    const all = byName.get(frontier)
    if (all === undefined) byName.set(frontier, [items])
    else all.push(items)
  }
  return Effect.forEach(
    // Everybody in the same order, so that no two wait for each other.
    [...byName].toSorted(([a], [b]) => (a < b ? -1 : 1)),
    ([name, items]) =>
      journal?.frontier === undefined ? Effect.fail(keepsNone(name)) : journal.frontier(name).add(items.flat()),
    { discard: true }
  )
}

/** Whether what a frontier failed with passes by itself. */
export const mayPass = (error: unknown): boolean => error instanceof FrontierError && error.mayPass === true
