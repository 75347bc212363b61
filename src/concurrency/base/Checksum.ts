/**
 * A running checksum of 64 bits, to tell by accident or edit changed content from unchanged: cheap enough for every element,
 * and no defence against somebody who wants two contents to have the same.
 */
export class Checksum {
  private a: number
  private b: number

  /** Goes on from what `text` gave, or starts anew. */
  constructor(since?: string) {
    this.a = since === undefined ? 0x811c9dc5 : Number.parseInt(since.slice(0, 8), 16)
    this.b = since === undefined ? 0x41c6ce57 : Number.parseInt(since.slice(8), 16)
  }

  addText(text: string): this {
    for (let i = 0; i < text.length; i++) this.add(text.charCodeAt(i))
    return this
  }

  addBytes(bytes: Uint8Array): this {
    for (let i = 0; i < bytes.length; i++) this.add(bytes[i]!)
    return this
  }

  get text(): string {
    return hex(this.a) + hex(this.b)
  }

  private add(unit: number): void {
    this.a = Math.imul(this.a ^ unit, 0x01000193)
    this.b = Math.imul(this.b ^ unit, 0x5f356495) ^ (this.a >>> 15)
  }
}

const hex = (n: number): string => (n >>> 0).toString(16).padStart(8, "0")
