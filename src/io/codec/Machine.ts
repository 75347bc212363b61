/** What compresses and undoes, whoever makes it. */
import type * as Effect from "effect/Effect"

/** "deflate" is what HTTP calls so: with the wrapper of zlib, or raw, as some servers send it. */
export type Compression = "gzip" | "deflate" | "brotli" | "zstd"

/** What takes bytes and gives others, by itself: it is fed when it `wants`, and waited for when it has nothing to give. */
export interface Machine {
  /** What it has made; undefined when it has nothing now. */
  read(): Uint8Array | undefined
  readonly wants: boolean
  feed(bytes: Uint8Array): void
  /** Nothing follows. */
  finish(): void
  /** It has reached the end of what it can read, and everything was given. */
  readonly ended: boolean
  /** What it met that it cannot read. */
  readonly failure: unknown
  /** How many of the bytes it was fed it has used. */
  readonly used: number
  /** Until one of these changes. */
  readonly change: Effect.Effect<void>
  close(): void
}
