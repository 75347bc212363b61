/** How many bytes of a file had been fed to a decoder when it had given so many: what a position in what it gives rests on. */

/** Beyond so many, neighbours are joined: what is known of a position may then rest on more bytes than it needs. */
const most = 4096

export class Marks {
  /** In pairs: up to so many decoded bytes need so many raw ones. Both rise. */
  private ends: Array<number> = []
  private raws: Array<number> = []

  note(decoded: number, raw: number): void {
    const last = this.raws.length - 1
    if (last >= 0 && decoded <= this.ends[last]!) return
    if (last >= 0 && this.raws[last] === raw) {
      this.ends[last] = decoded
      return
    }
    if (this.raws.length === most) {
      this.ends = this.ends.filter((_, index) => index % 2 === 1)
      this.raws = this.raws.filter((_, index) => index % 2 === 1)
    }
    this.ends.push(decoded)
    this.raws.push(raw)
  }

  /** Undefined where nobody has read as far. */
  rawOf(decoded: number): number | undefined {
    let low = 0
    let high = this.ends.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.ends[middle]! < decoded) low = middle + 1
      else high = middle
    }
    return this.raws[low]
  }
}
