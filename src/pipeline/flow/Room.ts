/** Who may go on while memory is short: what is read and held is bounded, and nothing waits for what waits for it (P2, P8). */
import type * as Effect from "effect/Effect"
import type { Fate } from "../fate/Fate.ts"
import type { Station } from "./Station.ts"

export class Room {
  private readonly fate: Fate
  private stations: ReadonlyArray<Station> = []
  private readerWaits = false

  constructor(fate: Fate) {
    this.fate = fate
  }

  furnish(stations: ReadonlyArray<Station>): void {
    this.stations = stations
  }

  /**
   * Whether a station may begin another item. While what is held in memory is over its limit, it may only when all behind it
   * have come to rest, so that whatever can be finished and written is.
   */
  mayBegin(station: Station, index: number): boolean {
    if (!this.fate.isHeavy) return true
    return station.working === 0 && this.fate.isAtRest && this.stations.every((later, i) => i <= index || later.isIdle)
  }

  /** Waits for something to change, unless `ready`. */
  wait(ready: () => boolean): Effect.Effect<void> {
    return this.fate.room.wait(ready)
  }

  /** The reader has an element that the window has no room for. */
  waitToRead(): Effect.Effect<void> {
    this.readerWaits = true
    return this.wait(() => {
      // Looked at again when the wait begins: a commit may have ended since.
      this.unblock()
      return !this.fate.isFull
    })
  }

  goOnReading(): void {
    this.readerWaits = false
  }

  /** An item was worked on to its end. */
  ended(): void {
    if (this.fate.isHeavy) this.fate.room.wakeAll()
    if (this.readerWaits) this.unblock()
  }

  /** Sends on partial batches when nothing else can ever fill them: the reader waits for room that only they can give. */
  private unblock(): void {
    if (!this.readerWaits || !this.fate.isFull || !this.fate.isAtRest) return
    if (!this.stations.every((station) => station.isIdle)) return
    for (const station of this.stations) station.flush()
  }
}
