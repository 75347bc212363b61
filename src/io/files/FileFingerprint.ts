/** What a file is known by: its size and a SHA-256 of its bytes, or, of a large file, of samples of them. */
import * as Digest from "effect/crypto/Digest"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import type { FilesError } from "../FilesError.ts"
import { openToRead, readAt } from "./TextFile.ts"

/** Up to here every byte counts; beyond, hashing would delay the start of a run by seconds for each gigabyte. */
const wholeUpTo = 16 * 1024 * 1024
const sample = 64 * 1024
const between = 64

export const fingerprint = (
  path: string
): Effect.Effect<{ readonly size: number; readonly sha256: string }, FilesError, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const { file, size } = yield* openToRead(path)
    const { length, starts } = size <= wholeUpTo ? { length: size, starts: [0] } : samples(size)
    const bytes = new Uint8Array(length * starts.length)
    for (const [index, start] of starts.entries()) {
      yield* readAt(file, path, bytes.subarray(index * length, (index + 1) * length), start)
    }
    const digest = yield* Digest.Digest
    return { size, sha256: yield* digest.digestHex(Digest.sha256, bytes) }
  }).pipe(Effect.scoped, Effect.provide(Digest.layerWebCrypto))

/** The head, the tail, and blocks evenly spaced between them. */
const samples = (size: number): { readonly length: number; readonly starts: ReadonlyArray<number> } => ({
  length: sample,
  starts: Array.from({ length: between + 2 }, (_, index) => Math.floor(((size - sample) * index) / (between + 1)))
})
