/** Bytes in network order, written one after the other into a buffer that grows. */
import * as JsonText from "../../../concurrency/base/JsonText.ts"

const encoder = new TextEncoder()

/** Up to here a loop over the characters is faster than a call of the encoder. */
const short = 48

export class Bytes {
  private bytes: Uint8Array
  private view: DataView
  /** How many have been written. */
  length = 0

  constructor(size: number) {
    this.bytes = new Uint8Array(size)
    this.view = new DataView(this.bytes.buffer)
  }

  /** What has been written, until more is. */
  written(from = 0): Uint8Array {
    return this.bytes.subarray(from, this.length)
  }

  int16(value: number): void {
    const at = this.take(2)
    this.view.setInt16(at, value)
  }

  int32(value: number): void {
    const at = this.take(4)
    this.view.setInt32(at, value)
  }

  /** 64 bits of two halves. */
  int64(high: number, low: number): void {
    const at = this.take(8)
    this.view.setInt32(at, high)
    this.view.setInt32(at + 4, low)
  }

  /** The length of a value and the value, of four bytes. */
  sizedInt32(value: number): void {
    const at = this.take(8)
    this.view.setInt32(at, 4)
    this.view.setInt32(at + 4, value)
  }

  /** The length of a value and the value, of 64 bits: an integer of at most 53. */
  sizedInteger(value: number): void {
    const at = this.take(12)
    this.view.setInt32(at, 8)
    this.view.setInt32(at + 4, Math.floor(value / 0x1_0000_0000))
    this.view.setInt32(at + 8, value)
  }

  sizedBigint(value: bigint): void {
    const at = this.take(12)
    this.view.setInt32(at, 8)
    this.view.setBigInt64(at + 4, value)
  }

  sizedFloat64(value: number): void {
    const at = this.take(12)
    this.view.setInt32(at, 8)
    this.view.setFloat64(at + 4, value)
  }

  sizedFloat32(value: number): void {
    const at = this.take(8)
    this.view.setInt32(at, 4)
    this.view.setFloat32(at + 4, value)
  }

  sizedByte(value: number): void {
    const at = this.take(5)
    this.view.setInt32(at, 1)
    this.bytes[at + 4] = value
  }

  sizedBytes(value: Uint8Array): void {
    const at = this.take(4 + value.length)
    this.view.setInt32(at, value.length)
    this.bytes.set(value, at + 4)
  }

  bytesOf(value: Uint8Array): void {
    const at = this.take(value.length)
    this.bytes.set(value, at)
  }

  byte(value: number): void {
    const at = this.take(1)
    this.bytes[at] = value
  }

  /** Corrects the 32 bits at a place. */
  patch(at: number, value: number): void {
    this.view.setInt32(at, value)
  }

  /** The length of a text and the text, as UTF-8; or what is wrong with it, and then what was written is of no use. */
  sizedText(value: string): string | undefined {
    const { length } = value
    if (length > short) return this.sizedLongText(value)
    let at = this.take(4 + length * 3)
    const { bytes } = this
    const start = at
    at += 4
    for (let i = 0; i < length; i++) {
      const code = value.charCodeAt(i)
      if (code < 0x80) {
        if (code === 0) return noNul
        bytes[at++] = code
      } else if (code < 0x800) {
        bytes[at++] = 0xc0 | (code >> 6)
        bytes[at++] = 0x80 | (code & 0x3f)
      } else if ((code & 0xf800) !== 0xd800) {
        bytes[at++] = 0xe0 | (code >> 12)
        bytes[at++] = 0x80 | ((code >> 6) & 0x3f)
        bytes[at++] = 0x80 | (code & 0x3f)
      } else {
        const low = i + 1 < length ? value.charCodeAt(i + 1) : 0
        if (code > 0xdbff || (low & 0xfc00) !== 0xdc00) return JsonText.noUtf8
        const point = 0x10000 + ((code & 0x3ff) << 10) + (low & 0x3ff)
        bytes[at++] = 0xf0 | (point >> 18)
        bytes[at++] = 0x80 | ((point >> 12) & 0x3f)
        bytes[at++] = 0x80 | ((point >> 6) & 0x3f)
        bytes[at++] = 0x80 | (point & 0x3f)
        i++
      }
    }
    this.view.setInt32(start, at - start - 4)
    this.length = at
    return undefined
  }

  private sizedLongText(value: string): string | undefined {
    if (value.includes("\0")) return noNul
    if (!value.isWellFormed()) return JsonText.noUtf8
    // Most texts have few characters of more than one byte: room for three each is made only where they need it.
    const start = this.take(4 + value.length)
    let { read, written } = encoder.encodeInto(value, this.bytes.subarray(start + 4))
    if (read < value.length) {
      this.length = start
      this.take(4 + value.length * 3)
      ;({ read, written } = encoder.encodeInto(value, this.bytes.subarray(start + 4)))
    }
    this.view.setInt32(start, written)
    this.length = start + 4 + written
    return undefined
  }

  /** Makes room for so many more, and gives where they start. */
  private take(count: number): number {
    const at = this.length
    const end = at + count
    if (end > this.bytes.length) this.grow(end)
    this.length = end
    return at
  }

  private grow(end: number): void {
    const bytes = new Uint8Array(Math.max(end, this.bytes.length * 2))
    bytes.set(this.bytes.subarray(0, this.length))
    this.bytes = bytes
    this.view = new DataView(bytes.buffer)
  }
}

/** What is wrong with a text that has such a character, in words that follow the name of its field. */
export const noNul = "has the character NUL in it, which PostgreSQL keeps in no text"
