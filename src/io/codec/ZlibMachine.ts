/** What `node:zlib` makes, on a thread of its own. */
import * as Effect from "effect/Effect"
import type { Compression, Machine } from "./Machine.ts"

interface Transform {
  on(event: "readable" | "end" | "error", listener: (error?: unknown) => void): unknown
  read(): Uint8Array | null
  write(bytes: Uint8Array, done: () => void): boolean
  end(): void
  destroy(): void
  readonly bytesWritten: number
}

type Make = (options: typeof sizes & { readonly params?: Readonly<Record<number, number>> }) => Transform

export interface Zlib {
  readonly createGunzip: Make
  readonly createGzip: Make
  readonly createInflate: Make
  readonly createInflateRaw: Make
  readonly createDeflate: Make
  readonly createBrotliDecompress: Make
  readonly createBrotliCompress: Make
  readonly createZstdDecompress?: Make
  readonly createZstdCompress?: Make
}

/** Brotli takes the slowest of its ways by default, which compresses a megabyte a second. Key 1 is the quality, up to 11. */
const quick = { 1: 5 }

const sizes = { chunkSize: 256 * 1024, highWaterMark: 512 * 1024 }

export const make = (
  zlib: Zlib,
  kind: Compression,
  task: "decode" | "encode",
  first: Uint8Array
): Machine | undefined => {
  const made = makerOf(zlib, kind, task, first)
  if (made === undefined) return undefined
  return new ZlibMachine(made(kind === "brotli" && task === "encode" ? { ...sizes, params: quick } : sizes))
}

const makerOf = (zlib: Zlib, kind: Compression, task: "decode" | "encode", first: Uint8Array): Make | undefined => {
  switch (kind) {
    case "gzip":
      return task === "decode" ? zlib.createGunzip : zlib.createGzip
    case "deflate":
      if (task === "encode") return zlib.createDeflate
      return isWrapped(first) ? zlib.createInflate : zlib.createInflateRaw
    case "brotli":
      return task === "decode" ? zlib.createBrotliDecompress : zlib.createBrotliCompress
    case "zstd":
      return task === "decode" ? zlib.createZstdDecompress : zlib.createZstdCompress
  }
}

/** By what zlib puts at the start; raw deflate cannot begin so in practice. */
export const isWrapped = (first: Uint8Array): boolean =>
  (first[0]! & 0x0f) === 8 && (first.length < 2 || (first[0]! * 256 + first[1]!) % 31 === 0)

class ZlibMachine implements Machine {
  wants = true
  ended = false
  failure: unknown = undefined
  private readonly stream: Transform
  private wake: (() => void) | undefined
  private changed = false
  private written: number | undefined

  constructor(stream: Transform) {
    this.stream = stream
    stream.on("readable", this.note)
    stream.on("end", () => {
      this.ended = true
      this.note()
    })
    stream.on("error", (error) => {
      this.failure = error ?? new Error("it stopped")
      this.note()
    })
  }

  read(): Uint8Array | undefined {
    this.changed = false
    return this.stream.read() ?? undefined
  }

  feed(bytes: Uint8Array): void {
    this.wants = false
    this.stream.write(bytes, () => {
      this.wants = true
      this.note()
    })
  }

  finish(): void {
    this.stream.end()
  }

  get used(): number {
    return this.written ?? this.stream.bytesWritten
  }

  readonly change: Effect.Effect<void> = Effect.callback((resume) => {
    if (this.changed) return resume(Effect.void)
    this.wake = () => resume(Effect.void)
    return Effect.sync(() => {
      this.wake = undefined
    })
  })

  close(): void {
    this.written = this.stream.bytesWritten
    this.stream.destroy()
  }

  private readonly note = (): void => {
    this.changed = true
    const { wake } = this
    this.wake = undefined
    wake?.()
  }
}
