/** What a journal does for a frontier: it keeps items, each by a key of its own for ever, and says who has taken them. */
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type { FrontierError } from "../FrontierError.ts"
import type { Host } from "./Host.ts"

/** An item that is added. */
export interface NewItem {
  readonly key: string
  /** The item as JSON. */
  readonly item: string
  /** How many items led to it from one that was added outside of a step. */
  readonly depth: number
  /** Higher ones are taken first. */
  readonly priority: number
  /** Items of one lane are taken in turn with those of others. */
  readonly lane: string
}

/** An item that is not done. */
export interface KeptItem extends NewItem {
  /** It was added before those with a higher one. */
  readonly place: number
}

/** How many items are wanted of a lane. */
export interface Wanted {
  readonly lane: string
  readonly count: number
}

/** Who holds items. */
export interface Holder {
  readonly owner: string
  /** Whether its time is over, so that what it holds is free. */
  readonly isOver: boolean
}

/** The items of one frontier. All that changes something does so in the transaction that is open, where one is. */
export interface FrontierStore {
  /** The process that takes items of it; default the `Host` of whoever does. */
  readonly host?: Host | undefined
  /** Keeps those whose key it has never had, behind those that are there. */
  readonly add: (items: ReadonlyArray<NewItem>) => Effect.Effect<void, FrontierError>
  /** So many lanes with free items whose turn it is behind `after`: in order, and from the first again behind the last. */
  readonly lanes: (after: string | undefined, count: number) => Effect.Effect<ReadonlyArray<string>, FrontierError>
  /** Takes free items for a while, of each lane those first whose priority is highest, and which have waited longest. */
  readonly take: (
    owner: string,
    wanted: ReadonlyArray<Wanted>,
    lease: Duration.Duration
  ) => Effect.Effect<ReadonlyArray<KeptItem>, FrontierError>
  /** What is taken and not done. */
  readonly held: (owner: string) => Effect.Effect<ReadonlyArray<KeptItem>, FrontierError>
  readonly renew: (owner: string, lease: Duration.Duration) => Effect.Effect<void, FrontierError>
  /** Frees what an owner holds: all of it, or what its time is over for. */
  readonly release: (owner: string, what: "all" | "over") => Effect.Effect<void, FrontierError>
  readonly holders: Effect.Effect<ReadonlyArray<Holder>, FrontierError>
  /** Says that items are done; gives how many of them the owner still held. */
  readonly settle: (owner: string, keys: ReadonlyArray<string>) => Effect.Effect<number, FrontierError>
  /** Whether items are left that are not done. */
  readonly isLeft: Effect.Effect<boolean, FrontierError>
  /** Some of what is not done, behind an item, in the order of lanes and in each as they would be taken. */
  readonly read: (after: KeptItem | undefined) => Effect.Effect<ReadonlyArray<KeptItem>, FrontierError>
}
