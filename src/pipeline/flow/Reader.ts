/** Takes elements in as the window has room for them. */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { Arrival, Fate } from "../fate/Fate.ts"
import { Signal } from "../fate/Signal.ts"
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

export class Reader {
  private readonly fate: Fate
  private readonly room: Room
  private readonly first: Entrance
  /** By the name of the step, for dead letters that are run again. */
  private readonly entrances: ReadonlyMap<string, Entrance>
  private paused = false
  /** Elements that were taken in since others had their turn. */
  private taken = 0
  private readonly resumed = new Signal()

  constructor(fate: Fate, room: Room, first: Entrance, entrances: ReadonlyMap<string, Entrance>) {
    this.fate = fate
    this.room = room
    this.first = first
    this.entrances = entrances
  }

  read<E, R>(arrivals: Stream.Stream<Arrival, E, R>): Effect.Effect<void, E, R> {
    return Stream.runForEachArray(arrivals, (chunk) => {
      let next = 0
      return Effect.whileLoop({
        while: () => next < chunk.length,
        body: () => {
          if (this.paused) return this.resumed.wait(() => !this.paused)
          const { isEnd } = this.first.station
          while (next < chunk.length && this.taken < turn && !this.fate.isFull) {
            const run = isEnd ? this.fate.admitRun(chunk, next) : 0
            if (run === 0) this.enter(chunk[next]!)
            next += Math.max(1, run)
            this.taken += Math.max(1, run)
          }
          this.fate.press()
          if (this.taken >= turn) {
            this.taken = 0
            return Effect.yieldNow
          }
          return next === chunk.length ? Effect.void : this.room.waitToRead()
        },
        step: () => this.room.goOnReading()
      })
    })
  }

  pause(): void {
    this.paused = true
  }

  resume(): void {
    this.paused = false
    this.resumed.wakeAll()
  }

  private enter(arrival: Arrival): void {
    const unit = this.fate.admit(arrival)
    if (unit === undefined) return
    const { replays, value } = arrival
    const { from, station } = (replays && this.entrances.get(replays.step)) ?? this.first
    station.accept(new Item(value, unit, replays?.path ?? "", from, replays?.at))
  }
}
