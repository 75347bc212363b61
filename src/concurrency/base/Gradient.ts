/**
 * A limit learned from how long calls take: Netflix's Gradient2 (github.com/Netflix/concurrency-limits), which multiplies it
 * with what a call takes without load over what it takes now, and adds room for a queue of half the square root.
 * What a call takes without load is not a long average, as there, but is measured again and again at a lower limit, as
 * Netflix's Gradient before it and Envoy's adaptive concurrency do: an average takes on the load of a service that is never
 * idle, and the limit then grows for ever.
 */
export interface Settings {
  readonly min: number
  readonly max: number
  readonly tolerance: number
  readonly backoff: number
}

export class Gradient {
  /** How many calls there may be now: less than is right while a call without load is measured. */
  limit: number
  private readonly settings: Settings
  private right: number
  private unloaded: number | undefined
  private isProbing = true
  /** Batches since the last probe. */
  private batches = 0
  /** Nothing was slow or too much yet: grows fast. */
  private isNew = true
  private lastCut = -Infinity
  private batch: Batch

  constructor(settings: Settings) {
    this.settings = settings
    this.right = this.limit = settings.min
    this.batch = this.next()
  }

  /** A call starts, the limit being reached with it or not. */
  start(now: number, isFull: boolean): Call {
    const { batch } = this
    if (isFull) batch.isFull = true
    const isMember = batch.started < batch.size
    if (isMember) batch.started += 1
    return { start: now, batch: isMember ? batch : undefined }
  }

  /** In the same step: the call did not start. */
  undo({ batch }: Call): void {
    if (batch !== undefined) batch.started -= 1
  }

  end({ batch, start }: Call, now: number, how: Outcome): void {
    if (how === "overload") return this.cut(start, now)
    if (batch !== this.batch) return
    batch.ended += 1
    if (how === "well") {
      batch.well += 1
      batch.millis += now - start
    }
    // All of a batch, quick or slow, as those that end first are quick; but some, if slow enough, may never end.
    if (batch.ended < Math.floor(batch.size * 0.9)) return
    if (batch.well > 0) this.learn(batch, batch.millis / batch.well)
    this.batch = this.next()
  }

  private learn({ isFull }: Batch, millis: number): void {
    if (this.isProbing) {
      this.unloaded = this.unloaded === undefined ? millis : (this.unloaded + millis) / 2
      this.isProbing = false
      this.batches = 0
    } else if (isFull) {
      // Of a limit that was not reached nothing is known.
      const { tolerance } = this.settings
      // What takes no time at all may take any number of times as long.
      const allowed = tolerance === Infinity ? Infinity : this.unloaded! * tolerance
      const gradient = millis <= allowed ? 1 : Math.max(0.5, allowed / millis)
      if (gradient < 0.8) this.isNew = false
      this.become(this.isNew ? this.right * 1.5 : this.right * gradient + Math.sqrt(this.right) / 2)
      this.isProbing = ++this.batches >= batchesToProbe && this.settings.tolerance < Infinity
    }
  }

  private cut(start: number, now: number): void {
    // What started before the last cut ran under the limit before it.
    if (start < this.lastCut) return
    this.lastCut = now
    this.isNew = false
    // Nothing can be held against what was never measured.
    if (this.unloaded !== undefined) this.isProbing = false
    this.become(this.right * this.settings.backoff)
    this.batch = this.next()
  }

  private become(limit: number): void {
    this.right = Math.min(this.settings.max, Math.max(this.settings.min, limit))
    if (this.right === this.settings.max) this.isNew = false
  }

  private next(): Batch {
    const limit = this.isProbing ? (this.right * 0.6) / this.settings.tolerance : this.right
    this.limit = Math.max(this.settings.min, Math.floor(limit))
    const size = this.isProbing ? Math.max(32, 3 * this.limit) : Math.max(16, this.limit)
    return { size, isFull: false, started: 0, ended: 0, well: 0, millis: 0 }
  }
}

/** How a call ended: well, by an overload, or in a way that says nothing. */
export type Outcome = "well" | "overload" | "unknown"

export interface Call {
  readonly start: number
  readonly batch: Batch | undefined
}

/** Calls that started one after the other under one limit. */
interface Batch {
  readonly size: number
  isFull: boolean
  started: number
  ended: number
  well: number
  millis: number
}

const batchesToProbe = 8
