/** What the bytes of a body that were read are known by, up to any of those that are still being cut into elements. */
import { Checksum } from "../../../concurrency/base/Checksum.ts"
import { newline } from "../../files/format/LineCutter.ts"

export class Trail {
  /** Line breaks up to the last place that was asked for, of those that came by. */
  breaks = 0
  /** Behind the last byte that was read. */
  end: number
  private at: number
  private sum: Checksum
  private pieces: Array<Uint8Array> = []

  constructor(at: number, sum: string | undefined) {
    this.at = this.end = at
    this.sum = new Checksum(sum)
  }

  add(piece: Uint8Array): void {
    this.pieces.push(piece)
    this.end += piece.length
  }

  /** The checksum up to a place, which is not before the one asked for last. */
  upTo(place: number): string {
    while (this.at < place) {
      const piece = this.pieces[0]!
      const known = piece.subarray(0, place - this.at)
      this.sum.addBytes(known)
      for (let i = known.indexOf(newline); i >= 0; i = known.indexOf(newline, i + 1)) this.breaks += 1
      this.at += known.length
      if (known.length === piece.length) this.pieces.shift()
      else this.pieces[0] = piece.subarray(known.length)
    }
    return this.sum.text
  }

  /** The checksum of all that was read. */
  get whole(): string {
    const sum = new Checksum(this.sum.text)
    for (const piece of this.pieces) sum.addBytes(piece)
    return sum.text
  }
}
