/** What the Compression Streams of the web make, where there is no `node:zlib`. */
import * as Effect from "effect/Effect"
import type { Compression, Machine } from "./Machine.ts"
import { isWrapped } from "./ZlibMachine.ts"

type Streams = new (format: string) => {
  readonly readable: ReadableStream<Uint8Array>
  readonly writable: WritableStream<Uint8Array>
}

interface Host {
  readonly CompressionStream?: Streams
  readonly DecompressionStream?: Streams
}

export const make = (kind: Compression, task: "decode" | "encode", first: Uint8Array): Machine | undefined => {
  const { CompressionStream, DecompressionStream } = globalThis as Host
  const Made = task === "decode" ? DecompressionStream : CompressionStream
  if (Made === undefined) return undefined
  try {
    const streams = new Made(kind === "deflate" && task === "decode" && !isWrapped(first) ? "deflate-raw" : kind)
    return new WebMachine(streams.readable.getReader(), streams.writable.getWriter())
  } catch {
    return undefined
  }
}

/** It does not tell how much of its input it used: what follows a member of gzip is damage to it. */
class WebMachine implements Machine {
  wants = true
  ended = false
  failure: unknown = undefined
  used = 0
  private readonly reader: ReadableStreamDefaultReader<Uint8Array>
  private readonly writer: WritableStreamDefaultWriter<Uint8Array>
  private made: Uint8Array | undefined
  private isReading = false
  private isLast = false
  private wake: (() => void) | undefined

  constructor(reader: ReadableStreamDefaultReader<Uint8Array>, writer: WritableStreamDefaultWriter<Uint8Array>) {
    this.reader = reader
    this.writer = writer
    for (const { closed } of [reader, writer]) closed.catch(this.fail)
  }

  read(): Uint8Array | undefined {
    const { made } = this
    this.made = undefined
    if (made === undefined && !this.isReading && !this.ended && this.failure === undefined) {
      this.isReading = true
      this.reader.read().then(({ done, value }) => {
        this.isReading = false
        this.made = value
        this.ended = done
        this.note()
      }, this.fail)
    }
    return made
  }

  feed(bytes: Uint8Array): void {
    this.wants = false
    this.writer.write(bytes).then(() => {
      this.used += bytes.length
      this.wants = true
      this.note()
    }, this.fail)
  }

  finish(): void {
    this.isLast = true
    this.writer.close().catch(this.fail)
  }

  readonly change: Effect.Effect<void> = Effect.callback((resume) => {
    if (this.made !== undefined || this.ended || this.failure !== undefined || (this.wants && !this.isLast)) {
      return resume(Effect.void)
    }
    this.wake = () => resume(Effect.void)
    return Effect.sync(() => {
      this.wake = undefined
    })
  })

  close(): void {
    this.reader.cancel().catch(() => undefined)
    this.writer.abort().catch(() => undefined)
  }

  private readonly fail = (error: unknown): void => {
    // Streams do not tell a cut from other damage.
    this.failure ??= this.isLast ? { code: "Z_BUF_ERROR", message: String(error) } : error
    this.note()
  }

  private readonly note = (): void => {
    const { wake } = this
    this.wake = undefined
    wake?.()
  }
}
