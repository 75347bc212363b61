/** A hash of 53 bits over small whole numbers: of a million lists, two have the same once in 18,000 times. */
export class Fingerprint {
  private high = 0x811c9dc5
  private low = 0x9747b28c

  add(value: number): void {
    this.high = Math.imul(this.high ^ value, 0x01000193)
    this.low = Math.imul(((this.low << 5) | (this.low >>> 27)) ^ value, 0x9e3779b1)
  }

  get value(): number {
    return (this.high >>> 0) * 2 ** 21 + (this.low >>> 11)
  }
}
