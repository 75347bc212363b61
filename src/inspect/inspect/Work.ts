/** What the fibers of a task did so far, in milliseconds. */
import type { WorkView } from "../context/Snapshot.ts"

export class Work {
  /** Whose it is: another program may watch the same tasks. */
  readonly meter: object
  /** Another one for each task that it is used for. */
  life = 0
  fibers = 0
  /** How many of them are queued. */
  queued = 0
  busy = 0
  scheduled = 0
  /** How long they have been there, all together, up to `since`. */
  private lived = 0
  private since = -1

  constructor(meter: object) {
    this.meter = meter
  }

  reset(): void {
    this.life += 1
    this.fibers = this.queued = this.busy = this.scheduled = this.lived = 0
    this.since = -1
  }

  /** One more, or one less, from a moment on. */
  change(by: 1 | -1, now: number): void {
    this.pass(now)
    this.fibers = Math.max(0, this.fibers + by)
  }

  /** One of them runs. What was there before the first did is no time of it. */
  begin(now: number): void {
    if (this.fibers === 0) this.fibers = 1
    if (this.since < 0) this.since = now
  }

  view(isRunning: boolean, now: number): WorkView {
    this.pass(now)
    const { busy, fibers, lived, queued, scheduled } = this
    return {
      fibers,
      isRunnable: isRunning || queued > 0,
      busy: rounded(busy),
      scheduled: rounded(scheduled),
      idle: rounded(Math.max(0, lived - busy - scheduled))
    }
  }

  private pass(now: number): void {
    if (this.since < 0) return
    this.lived += this.fibers * (now - this.since)
    this.since = now
  }
}

/** To microseconds. */
const rounded = (millis: number): number => Math.round(millis * 1000) / 1000
