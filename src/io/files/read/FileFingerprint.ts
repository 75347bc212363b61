/**
 * What the beginning of a file is known by: a SHA-256 of all of it up to 16 MiB; beyond that of blocks that lie the further
 * apart the further behind they are; and always of its last bytes. It grows with the file that is read: one for a later
 * position builds on one for an earlier one.
 */
import * as Digest from "effect/crypto/Digest"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import type * as Scope from "effect/Scope"
import type { Fingerprint } from "../../../pipeline/Source.ts"
import { builtin } from "../../codec/Builtin.ts"
import type { FilesError } from "../../FilesError.ts"
import { carriageReturn, newline } from "../format/LineCutter.ts"
import { aroundOf, openToRead, readAt, replaced, shrunk } from "../TextFile.ts"
import type { Recent } from "./Recent.ts"

const block = 64 * 1024
/** Up to here every block counts; beyond, hashing would delay the start of a run by seconds for each gigabyte. */
const all = 256
const atOnce = 1024 * 1024

/**
 * Of the first `upTo` bytes, which were read. What is not among the recent ones is read again: it fails where they are not there any
 * more, as far as that can be told, since what another content is known by must not be kept for them.
 */
export const fingerprint = (
  path: string,
  upTo: number,
  since?: Fingerprint,
  recent?: Recent
): Effect.Effect<Fingerprint, FilesError, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const known = since === undefined ? undefined : digestsIn(since)
    const isBuilt = known !== undefined && known.bytes <= upTo
    // As where many positions rest on the same bytes of a file that is compressed.
    if (isBuilt && known.bytes === upTo) return known
    let file: Reread | undefined
    const bytesAt = (from: number, length: number): Effect.Effect<Uint8Array, FilesError, Needs> => {
      const kept = recent?.bytes(from, length)
      if (kept !== undefined) return Effect.succeed(kept)
      if (file !== undefined) return file(from, length)
      return Effect.flatMap(reread(path, upTo, isBuilt ? known : undefined), (opened) => {
        file = opened
        return opened(from, length)
      })
    }
    let chain = isBuilt ? known.chain : ""
    for (let index = isBuilt ? Math.floor(known.bytes / block) : 0; (index + 1) * block <= upTo; index++) {
      if (!isSample(index)) continue
      chain = yield* sha256(chain, yield* bytesAt(index * block, block))
    }
    const length = Math.min(upTo, block)
    return { bytes: upTo, chain, last: yield* sha256("", yield* bytesAt(upTo - length, length)) }
  }).pipe(Effect.scoped)

type Digests = { readonly bytes: number; readonly chain: string; readonly last: string }

/** Not what a source keeps beside them. */
const digestsIn = ({ bytes, chain, last }: Fingerprint): Digests => ({
  bytes: Number(bytes),
  chain: String(chain),
  last: String(last)
})

type Needs = FileSystem.FileSystem | Scope.Scope
type Reread = (from: number, length: number) => Effect.Effect<Uint8Array, FilesError>

/** The bytes of the file as it is now, where the last ones of those that are known are what they were. */
const reread = (path: string, upTo: number, known: Digests | undefined): Effect.Effect<Reread, FilesError, Needs> =>
  Effect.gen(function* () {
    const { file, size } = yield* openToRead(path)
    if (size < upTo) return yield* shrunk(path, upTo, size)
    let read = new Uint8Array()
    let readFrom = 0
    const bytesAt: Reread = (from, length) => {
      const at = from - readFrom
      if (at >= 0 && at + length <= read.length) return Effect.succeed(read.subarray(at, at + length))
      // Between two commits there is little, which is read at once.
      read = new Uint8Array(known !== undefined && upTo - from <= atOnce ? upTo - from : length)
      readFrom = from
      return Effect.map(readAt(file, path, read, from), () => read.subarray(0, length))
    }
    if (known !== undefined) {
      const length = Math.min(known.bytes, block)
      const last = yield* bytesAt(known.bytes - length, length)
      if ((yield* sha256("", last)) !== known.last) return yield* replaced(path, "what was read of it was changed")
    }
    return bytesAt
  })

interface Hash {
  update(data: Uint8Array | string): Hash
  digest(encoding: "hex"): string
}

const node = builtin("node:crypto") as { readonly createHash: (algorithm: string) => Hash } | undefined

/** Of a text and what follows it. A block is hashed in less time than it takes to ask another thread to. */
const sha256 = (before: string, bytes: Uint8Array): Effect.Effect<string> => {
  if (node !== undefined) return Effect.succeed(node.createHash("sha256").update(before).update(bytes).digest("hex"))
  const all = new Uint8Array(before.length + bytes.length)
  new TextEncoder().encodeInto(before, all)
  all.set(bytes, before.length)
  return Effect.flatMap(Digest.Digest, (digest) => digest.digestHex(Digest.sha256, all)).pipe(
    Effect.provide(Digest.layerWebCrypto)
  )
}

/** Every second one beyond `all`, every fourth beyond twice that, and so on. */
const isSample = (index: number): boolean => index < all || index % 2 ** (Math.floor(Math.log2(index / all)) + 1) === 0

/** What differs from what an earlier run kept of the bytes that position `upTo` rests on. */
export const changed = (
  path: string,
  kept: Fingerprint,
  upTo: number,
  ends: string | undefined
): Effect.Effect<ReadonlyArray<string>, FilesError, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const { file, size } = yield* openToRead(path)
    const isCoded = kept["coded"] === true
    const raw = isCoded ? Number(kept["bytes"]) : upTo
    if (size < raw) return [`${raw} bytes of it were read, and it has ${size} now`]
    const now = "sha256" in kept ? yield* whole(path, Number(kept["size"])) : yield* fingerprint(path, raw)
    const same = Object.entries(now).every(([field, value]) => kept[field] === value)
    if (!same) return [`its first ${raw} bytes, which were read, are not what they were`]
    // Whether the last line goes on is seen when it is decoded.
    if (isCoded || ends === undefined || upTo === 0) return []
    const [before, next, second] = yield* aroundOf(file, path, upTo)
    const isEnd = (byte: number | undefined) => byte !== undefined && ends.includes(String.fromCharCode(byte))
    const isWhole =
      isEnd(before) || next === undefined || isEnd(next) || (next === carriageReturn && second === newline)
    return isWhole ? [] : ["its last line, which was read, goes on now"]
  }).pipe(Effect.scoped)

/** What version 0.1 kept: of the whole file as it was then, which may have grown since. */
const whole = (path: string, size: number): Effect.Effect<Fingerprint, FilesError, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const { file } = yield* openToRead(path)
    const { length, starts } = size <= all * block ? { length: size, starts: [0] } : samples(size)
    const bytes = new Uint8Array(length * starts.length)
    for (const [index, start] of starts.entries()) {
      yield* readAt(file, path, bytes.subarray(index * length, (index + 1) * length), start)
    }
    return { size, sha256: yield* sha256("", bytes) }
  }).pipe(Effect.scoped)

const samples = (size: number): { readonly length: number; readonly starts: ReadonlyArray<number> } => ({
  length: block,
  starts: Array.from({ length: 66 }, (_, index) => Math.floor(((size - block) * index) / 65))
})
