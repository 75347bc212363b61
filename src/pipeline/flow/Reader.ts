/** Takes elements in as the window has room for them. */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { Arrivals } from "../fate/Block.ts"
import type { Fate } from "../fate/Fate.ts"
import { Signal } from "../fate/Signal.ts"
import type { Window } from "../fate/Window.ts"
import { Item } from "./Lane.ts"
import { Leaving } from "./Order.ts"
import type { Room } from "./Room.ts"
import type { Station } from "./Station.ts"

/** Where an element comes in. */
export interface Entrance {
  readonly station: Station
  /** The step of a stage that it begins with. */
  readonly from: number
}

/** How many elements are taken in before others have their turn: what a window holds may take as long as a commit. */
const turn = 1024

/** Stops and starts all readers of a flow. */
export class Valve {
  isShut = false
  isStopped = false
  /** Whether something was stopped before its end. */
  hasCut = false
  private readonly opened = new Signal()
  private readonly stopped = new Signal()

  shut(): void {
    this.isShut = true
  }

  open(): void {
    this.isShut = false
    this.opened.wakeAll()
  }

  wait(): Effect.Effect<void> {
    return this.opened.wait(() => !this.isShut)
  }

  /** No more parts of elements are read. */
  stop(): void {
    this.isStopped = true
    this.stopped.wakeAll()
  }

  /** Runs something until it ends, or until it is stopped: then it gives `cut`. */
  until<A, B, E, R>(work: Effect.Effect<A, E, R>, cut: B): Effect.Effect<A | B, E, R> {
    const stopped = Effect.sync(() => {
      this.hasCut = true
      return cut
    })
    return Effect.raceFirst(
      work,
      Effect.andThen(
        this.stopped.wait(() => this.isStopped),
        stopped
      )
    )
  }
}

/** What all readers of a flow share. */
export interface Hall {
  readonly fate: Fate
  readonly room: Room
  readonly valve: Valve
  /** By the name of the step, for dead letters that are run again. */
  readonly entrances: ReadonlyMap<string, Entrance>
}

export class Reader {
  private readonly hall: Hall
  private readonly window: Window
  private readonly first: Leaving
  /** Of the parts of an item: holds the window while its reader waits for room. */
  private readonly blocked: Set<unknown> | undefined
  /** Elements that were taken in since others had their turn. */
  private taken = 0

  constructor(hall: Hall, window: Window, first: Station, blocked?: Set<unknown>) {
    this.hall = hall
    this.window = window
    this.first = new Leaving(first, hall.fate)
    this.blocked = blocked
  }

  read<E, R>(arrivals: Stream.Stream<Arrivals, E, R>): Effect.Effect<void, E, R> {
    const { window } = this
    const { fate, room, valve } = this.hall
    const read = Stream.runForEach(arrivals, (some) => {
      const { length } = some.values
      let next = 0
      return Effect.whileLoop({
        while: () => next < length,
        body: () => {
          if (valve.isShut) return valve.wait()
          while (next < length && this.taken < turn && !valve.isShut) {
            const count = window.fits(some, next, Math.min(window.portion, turn - this.taken))
            if (count === 0) break
            this.enter(some, next, count)
            next += count
            this.taken += count
          }
          fate.press()
          if (this.taken >= turn) {
            this.taken = 0
            return Effect.yieldNow
          }
          if (next === length || valve.isShut) return Effect.void
          this.blocked?.add(window)
          return room.waitToRead(window)
        },
        step: () => {
          this.blocked?.delete(window)
          room.goOnReading(window)
        }
      })
    })
    return Effect.suspend(() => room.reading(window, read))
  }

  private enter(arrivals: Arrivals, from: number, count: number): void {
    const { entrances, fate } = this.hall
    const block = fate.admit(this.window, arrivals, from, count)
    const { replays } = arrivals
    const entrance = replays && entrances.get(replays.step)
    if (entrance === undefined) return this.first.pass(block, 0, count)
    const item = new Item(block.takeOne(0), fate.single(block, 0), block.pathOf(0), entrance.from, replays!.at)
    entrance.station.accept(item)
  }
}
