/** A place that items come to and are sent on from. */
import type * as Effect from "effect/Effect"
import { Tally } from "../context/Tally.ts"
import type { Block } from "../fate/Block.ts"
import type { Fate } from "../fate/Fate.ts"
import type { Range } from "../Step.ts"
import type { Item } from "./Lane.ts"

export interface Station {
  /** Nothing is worked on here, and nothing waits for that. */
  readonly isIdle: boolean
  /** Whether all that is worked on here waits for room. */
  readonly isBlocked?: boolean
  /** Items that wait here. */
  readonly waiting: number
  /** Items that were begun and are not at their end. */
  readonly working: number
  /** Those of them that hold no worker. */
  readonly resting: number
  /** Items that may hold one at once. */
  readonly concurrency: number
  /** Of each of its steps. */
  readonly tallies: ReadonlyArray<Tally>
  /** Items that one of its steps works on; none where it has no workers. */
  readonly workingAt?: (step: number) => number
  readonly accept: (item: Item) => void
  /** Takes elements of a range, some of which may not be in it any more. Default: an item is made of each. */
  readonly take?: ((block: Block, from: number, to: number) => void) | undefined
  /** Sends on what only waits for more. */
  readonly flush: () => void
  /** No more items will come. */
  readonly close: () => void
  /** Forgets what nobody has begun; tells whether there was any. Default: all is begun that comes. */
  readonly dropWaiting?: () => boolean
  /** From now on so many may be worked on at once; gives what has to run for that. Default: it is always the same. */
  readonly set?: (concurrency: number | Range) => ReadonlyArray<Effect.Effect<void, unknown, unknown>>
  /** Gives what is left, once all that came has gone on and there is no more in the source. Default: nothing is. */
  readonly finish?: () => void
  /** What has to run for the station to work; ends after `close`. */
  readonly crew: () => ReadonlyArray<Effect.Effect<void, unknown, unknown>>
}

/** Behind the last step: what comes here is written. */
export class Exit implements Station {
  readonly isIdle = true
  readonly waiting = 0
  readonly working = 0
  readonly resting = 0
  readonly concurrency = 1
  readonly tallies: readonly [Tally] = [new Tally()]
  private readonly fate: Fate

  constructor(fate: Fate) {
    this.fate = fate
  }

  accept(item: Item): void {
    this.fate.output(item.unit, item.value)
  }

  take(block: Block, from: number, to: number): void {
    this.fate.write(block, from, to)
  }

  flush(): void {}

  close(): void {}

  crew(): ReadonlyArray<never> {
    return []
  }
}
