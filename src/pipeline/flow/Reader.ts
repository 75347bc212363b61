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

/** Of the parts of an item. */
interface Within {
  readonly path: string
  /** Holds the window while its reader waits for room. */
  readonly blocked: Set<unknown>
}

export class Reader {
  private readonly hall: Hall
  private readonly window: Window
  private readonly first: Station
  /** Elements that were taken in since others had their turn. */
  private taken = 0

  private readonly within: Within | undefined

  constructor(hall: Hall, window: Window, first: Station, within?: Within) {
    this.hall = hall
    this.window = window
    this.first = first
    this.within = within
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
          if (next === chunk.length) return Effect.void
          this.within?.blocked.add(window)
          return room.waitToRead(window)
        },
        step: () => {
          this.within?.blocked.delete(window)
          room.goOnReading(window)
        }
      })
    })
    return Effect.suspend(() => room.reading(window, read))
  }

  private enter(arrival: Arrival): void {
    const { entrances, fate } = this.hall
    const own = this.within === undefined ? undefined : `${this.within.path}/${this.window.place}`
    const unit = fate.admit(this.window, arrival)
    if (unit === undefined) return
    const { replays, value } = arrival
    const entrance = replays && entrances.get(replays.step)
    const station = entrance?.station ?? this.first
    station.accept(new Item(value, unit, own ?? replays?.path ?? "", entrance?.from ?? 0, replays?.at))
  }
}
