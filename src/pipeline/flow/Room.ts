/** Who may go on while memory is short: what is read and held is bounded, and nothing waits for what waits for it (P2, P8). */
import * as Effect from "effect/Effect"
import type { Fate } from "../fate/Fate.ts"
import type { Window } from "../fate/Window.ts"
import type { Station } from "./Station.ts"
import { Side } from "./Zip.ts"

export class Room {
  private readonly fate: Fate
  private stations: ReadonlyArray<Station> = []
  /** Those that are read. */
  private readonly read = new Set<Window>()
  /** Those whose readers have an element for which there is no room. */
  private readonly waiting = new Set<Window>()
  private stuck = false

  constructor(fate: Fate) {
    this.fate = fate
  }

  /** All stations, in an order in which each sends only to later ones. */
  furnish(stations: ReadonlyArray<Station>): void {
    this.stations = stations
  }

  /**
   * Whether a station may begin another item. While what is held in memory is over its limit, it may only when all behind it
   * have come to rest, so that whatever can be finished and written is: the last that has something to do always may.
   */
  mayBegin(station: Station): boolean {
    if (!this.fate.isHeavy) return true
    if (station.working > 0 || !this.fate.isAtRest) return false
    const { stations } = this
    for (let i = stations.length - 1; stations[i] !== station; i--) if (!stations[i]!.isIdle) return false
    return true
  }

  /** Waits for something to change, unless `ready`. */
  wait(ready: () => boolean): Effect.Effect<void> {
    return this.fate.room.wait(ready)
  }

  /** The reader of a window has an element that there is no room for. */
  waitToRead(window: Window): Effect.Effect<void> {
    this.waiting.add(window)
    const room = this.wait(() => {
      // Looked at again when the wait begins: a commit may have ended since.
      this.unblock()
      return this.stuck || !window.isFull
    })
    return Effect.andThen(room, () => {
      if (!this.stuck) return Effect.void
      // One says so; the others end with it.
      this.stuck = false
      return Effect.die(new Error(tangled))
    })
  }

  /** While this runs, elements come to the window. */
  reading<A, E, R>(window: Window, read: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    this.read.add(window)
    return Effect.ensuring(
      read,
      Effect.sync(() => this.read.delete(window))
    )
  }

  goOnReading(window: Window): void {
    this.waiting.delete(window)
  }

  /** An item was worked on to its end. */
  ended(): void {
    if (this.fate.isHeavy) this.fate.room.wakeAll()
    if (this.waiting.size > 0) this.unblock()
  }

  /** Sends on partial batches when nothing else can ever fill them: a reader waits for room that only they can give. */
  unblock(): void {
    if (!this.isStill || !this.isBlocked) return
    for (const station of this.stations) station.flush()
    if (!this.isStill || this.waiting.size < this.read.size) return
    this.stuck = this.stations.some((station) => station instanceof Side && station.waiting > 0)
    if (this.stuck) this.fate.room.wakeAll()
  }

  /** Nothing is worked on but what waits for room, and nothing is to be written. */
  private get isStill(): boolean {
    return this.fate.isAtRest && this.stations.every((station) => station.isIdle || station.isBlocked === true)
  }

  private get isBlocked(): boolean {
    for (const window of this.waiting) if (window.isFull) return true
    return false
  }
}

const tangled =
  "Pipeline.zip waits for ever: elements that became several were paired across each other, so that all of them settle together, and " +
  "they are more than the window holds. Zip before the step that makes several of one, or raise window.items"
