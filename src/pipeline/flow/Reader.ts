/** Takes elements in as the window has room for them. */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { Arrival, Fate } from "../fate/Fate.ts"
import { Signal } from "../fate/Signal.ts"
import type { Window } from "../fate/Window.ts"
import { Item } from "./Lane.ts"
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
  private readonly opened = new Signal()

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
  private readonly first: Station
  /** Elements that were taken in since others had their turn. */
  private taken = 0

  constructor(hall: Hall, window: Window, first: Station) {
    this.hall = hall
    this.window = window
    this.first = first
  }

  read<E, R>(arrivals: Stream.Stream<Arrival, E, R>): Effect.Effect<void, E, R> {
    const { first, window } = this
    const { fate, room, valve } = this.hall
    const { isEnd } = first
    const read = Stream.runForEachArray(arrivals, (chunk) => {
      let next = 0
      return Effect.whileLoop({
        while: () => next < chunk.length,
        body: () => {
          if (valve.isShut) return valve.wait()
          while (next < chunk.length && this.taken < turn && !window.isFull) {
            const run = isEnd ? fate.admitRun(window, chunk, next) : 0
            if (run === 0) this.enter(chunk[next]!)
            next += Math.max(1, run)
            this.taken += Math.max(1, run)
          }
          fate.press()
          if (this.taken >= turn) {
            this.taken = 0
            return Effect.yieldNow
          }
          return next === chunk.length ? Effect.void : room.waitToRead(window)
        },
        step: () => room.goOnReading(window)
      })
    })
    return Effect.suspend(() => room.reading(window, read))
  }

  private enter(arrival: Arrival): void {
    const { entrances, fate } = this.hall
    const unit = fate.admit(this.window, arrival)
    if (unit === undefined) return
    const { replays, value } = arrival
    const entrance = replays && entrances.get(replays.step)
    const station = entrance?.station ?? this.first
    station.accept(new Item(value, unit, replays?.path ?? "", entrance?.from ?? 0, replays?.at))
  }
}
