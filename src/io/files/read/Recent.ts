/** The bytes of a file that were read last: what they are known by needs no second look at the file, which a run takes at each commit. */

/** So many are kept: more than most runs are ahead of what they have settled. */
const most = 4 * 1024 * 1024

export class Recent {
  /** Byte `p` of the file stands at `p % most`. */
  private ring: Uint8Array | undefined
  private start = 0
  private end = 0
  private isWanted = false

  /** Begins to keep what is read: not before somebody asks for it, as many only read. */
  want(): void {
    this.isWanted = true
  }

  add(position: number, bytes: Uint8Array): void {
    if (!this.isWanted) return
    this.ring ??= new Uint8Array(most)
    if (position !== this.end) this.start = position
    this.end = position + bytes.length
    const kept = bytes.subarray(Math.max(0, bytes.length - most))
    const at = (this.end - kept.length) % most
    this.ring.set(kept.subarray(0, most - at), at)
    if (at + kept.length > most) this.ring.set(kept.subarray(most - at))
    this.start = Math.max(this.start, this.end - most)
  }

  /** Good until the next are added; undefined where not all of them are there. */
  bytes(from: number, length: number): Uint8Array | undefined {
    const { ring } = this
    if (ring === undefined || from < this.start || from + length > this.end) return undefined
    const at = from % most
    if (at + length <= most) return ring.subarray(at, at + length)
    const both = new Uint8Array(length)
    both.set(ring.subarray(at))
    both.set(ring.subarray(0, at + length - most), most - at)
    return both
  }

  /** Keeps none. */
  clear(): void {
    this.ring = undefined
    this.start = this.end = 0
  }
}
