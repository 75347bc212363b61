/** Bytes as they are, in blocks. */
import { Columns } from "../../../pipeline/context/Portion.ts"
import type { Cutter, Format, Start } from "../Format.ts"

export const bytesFormat = (size: number): Format<Uint8Array> => ({
  name: "bytes",
  isBinary: true,
  cut: (start) => new BlockCutter(start, size),
  print: (bytes) => bytes,
  layout: {}
})

/** Every block has `size` bytes but the last one. */
class BlockCutter implements Cutter<Uint8Array> {
  readonly problem = undefined
  ended = false
  end: number
  private readonly size: number
  private block: Uint8Array
  private filled = 0

  constructor({ at }: Start, size: number) {
    this.end = at
    this.size = size
    this.block = new Uint8Array(size)
  }

  space(): Uint8Array {
    return this.block.subarray(this.filled)
  }

  add(count: number): void {
    this.filled += count
    if (count === 0) this.ended = true
  }

  next(): Columns<Uint8Array> {
    const portion = new Columns<Uint8Array>()
    if (this.filled === 0 || (this.filled < this.size && !this.ended)) return portion
    const value = this.block.subarray(0, this.filled)
    this.end += this.filled
    this.filled = 0
    this.block = new Uint8Array(this.ended ? 0 : this.size)
    portion.add(value, this.end, value.length)
    return portion
  }
}
