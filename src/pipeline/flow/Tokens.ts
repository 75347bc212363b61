/** The rate of a step: a token an attempt, of one bucket for all keys or of one for each. */
import * as Duration from "effect/Duration"
import { Bucket } from "../../concurrency/base/Bucket.ts"
import type { Rate } from "../Step.ts"

export class Tokens {
  private readonly rate: Rate
  /** Of the keys that have spent some; those at the front were looked at longest ago. */
  private readonly buckets = new Map<unknown, Bucket>()

  constructor(rate: Rate) {
    this.rate = rate
  }

  /** Takes the next token of this key, and tells when it is there. */
  reserve(key: unknown, now: number): number {
    let bucket = this.buckets.get(key)
    if (bucket === undefined) {
      this.drop(now)
      const { burst = 1, limit, per } = this.rate
      this.buckets.set(key, (bucket = new Bucket(limit, Duration.toMillis(per), burst)))
    }
    return bucket.reserve(now)
  }

  /** Forgets buckets that are full: more than one for each that is new, so that they cannot pile up. */
  private drop(now: number): void {
    let looks = 2
    for (const [key, bucket] of this.buckets) {
      if (looks-- === 0) return
      this.buckets.delete(key)
      if (bucket.full > now) this.buckets.set(key, bucket)
    }
  }
}
