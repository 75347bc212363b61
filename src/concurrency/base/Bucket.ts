/**
 * A bucket of tokens that fills at an even pace. It was full at `start`, and is again once all that was spent since has come back.
 * Multiplying instead of adding up intervals keeps the spacing exact however many tokens that are.
 */
export class Bucket {
  private readonly limit: number
  private readonly per: number
  private readonly burst: number
  private start = 0
  private spent = 0

  /** `limit` tokens come back in `per` milliseconds, and there are never more than `burst`. */
  constructor(limit: number, per: number, burst: number) {
    this.limit = limit
    this.per = per
    this.burst = burst
  }

  /** When it is full, if nothing is spent. */
  get full(): number {
    return this.start + (this.spent * this.per) / this.limit
  }

  /** When there are so many tokens. */
  due(tokens: number): number {
    return this.start + ((this.spent + tokens - this.burst) * this.per) / this.limit
  }

  /** Tokens that are not back yet. */
  missing(now: number): number {
    return Math.max(0, Math.ceil(((this.full - now) * this.limit) / this.per - 1e-6))
  }

  /** What comes back after it was full is lost. */
  fill(now: number): void {
    if (this.full >= now) return
    this.start = now
    this.spent = 0
  }

  /** Takes tokens, there or not; a negative number gives some back. */
  spend(tokens: number): void {
    this.spent += tokens
  }

  /** Takes the next token, and tells when it is there. */
  reserve(now: number): number {
    this.fill(now)
    this.spent += 1
    return Math.max(now, this.due(0))
  }

  /** Lets all tokens come back so much later. */
  delay(millis: number): void {
    this.start += millis
  }
}
