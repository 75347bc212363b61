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

export class Reader {
  private readonly fate: Fate
  private readonly room: Room
  private readonly first: Entrance
  /** By the name of the step, for dead letters that are run again. */
  private readonly entrances: ReadonlyMap<string, Entrance>
  private paused = false
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
          while (next < chunk.length && !this.fate.isFull) this.enter(chunk[next++]!)
          this.fate.press()
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
    station.accept(new Item(value, unit, replays?.path ?? "", from))
  }
}
