/** A file of what an address gives: whole or not at all, gone on with where an earlier try has left off. */
import * as Digest from "effect/crypto/Digest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Hex from "effect/encoding/Hex"
import type * as HttpClient from "effect/http/HttpClient"
import * as Option from "effect/Option"
import { newId, Host } from "../../../pipeline/context/Host.ts"
import * as Deadline from "../../../concurrency/Deadline.ts"
import { FetchError } from "../../FetchError.ts"
import { type FilesError, fromPlatform } from "../../FilesError.ts"
import { builtin } from "../../codec/Builtin.ts"
import { take } from "../../files/write/FileLock.ts"
import { hidden } from "../../../concurrency/base/Secrets.ts"
import { realPath } from "../../files/FilePlace.ts"
import { notAFile } from "../../files/TextFile.ts"
import * as BodyDigest from "../body/BodyDigest.ts"
import type { Options } from "../call/FetchCall.ts"
import * as Policy from "../policy/FetchPolicy.ts"
import * as PartFile from "./PartFile.ts"
import { isIdentity } from "./Range.ts"
import { Reading } from "./Reading.ts"
import { type Opened, Rest } from "./Rest.ts"
import { shown } from "../call/ShownUrl.ts"

/** How far a download is. */
export interface Progress {
  readonly bytes: number
  /** Undefined where the server does not say it. */
  readonly total: number | undefined
}

export interface DownloadOptions extends Omit<Options, "accept" | "method" | "idempotencyKey"> {
  /** What the file has to be: "sha256-", "sha384-" or "sha512-" with the digest in Base64 or hexadecimal digits. */
  readonly digest?: string | undefined
  /** Told after each piece that is written. */
  readonly onProgress?: ((progress: Progress) => Effect.Effect<void>) | undefined
}

/** What has become of a download. */
export interface Downloaded {
  /** Where it came from in the end, after redirects, without secrets. */
  readonly url: string
  /** The size of the file. */
  readonly bytes: number
  /** How many of them an earlier download had left. */
  readonly resumed: number
}

/** The digest of an option, or what is wrong with it. */
export const digestOf = (text: string | undefined): BodyDigest.Expected | undefined => {
  if (text === undefined) return undefined
  const expected = typeof text === "string" ? BodyDigest.parse(text) : undefined
  if (expected !== undefined) return expected
  throw new TypeError(
    'Fetch.download: digest must be "sha256-", "sha384-" or "sha512-" and as many bytes in Base64 or hexadecimal digits'
  )
}

export const download = (
  url: string | URL,
  file: string,
  options: DownloadOptions,
  digest: BodyDigest.Expected | undefined
): Effect.Effect<Downloaded, FetchError | FilesError, HttpClient.HttpClient | FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const path = yield* realPath(file)
    const there = yield* Effect.option(fs.stat(path))
    if (Option.isSome(there) && there.value.type !== "File") return yield* notAFile("download to", file, there.value)
    const opening = { committed: Option.none(), clean: true, durable: false, owner: yield* newId, host: yield* Host }
    yield* Effect.acquireRelease(take(path, opening), (lock) => lock.release)
    const part = yield* PartFile.open(path, hidden(`${url}`, options.secretParameters))
    const received = Effect.onExit(receive(url, part, options, digest), (exit) =>
      exit._tag === "Success" ? Effect.void : part.validator === undefined ? part.remove : Effect.ignore(part.keep)
    )
    const { total } = Policy.merged(yield* Policy.Current, options)
    return yield* total === undefined ? received : within(received, url, part, total, options.secretParameters)
  }).pipe(Effect.scoped)

/** Time for the whole of it, of which what has come is kept. */
const within = <A, E, R>(
  received: Effect.Effect<A, E, R>,
  url: string | URL,
  part: PartFile.PartFile,
  total: Duration.Input,
  secret: ReadonlyArray<string> | undefined
): Effect.Effect<A, E | FetchError, R> =>
  Effect.catchIf(Deadline.within(received, total), isOver, () =>
    Effect.fail(
      new FetchError({
        reason: "Timeout",
        method: "GET",
        url: shown(`${url}`, secret),
        detail: `${part.size} bytes came within ${Duration.format(Duration.fromInputUnsafe(total))}, and not all`,
        retryable: true,
        attempt: 1,
        elapsed: Duration.toMillis(total)
      })
    )
  )

const isOver = (error: unknown): error is Deadline.DeadlineExceeded => error instanceof Deadline.DeadlineExceeded

const receive = (
  url: string | URL,
  part: PartFile.PartFile,
  { onProgress, ...options }: DownloadOptions,
  digest: BodyDigest.Expected | undefined
): Effect.Effect<Downloaded, FetchError | FilesError, HttpClient.HttpClient | FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const each = { ...options, total: Infinity }
    const reading = new Reading(new Rest(url, each), each, part.size, part.validator)
    let resumed = part.size
    let by: Opened | undefined
    const pieces = Effect.gen(function* () {
      for (;;) {
        const piece = yield* reading.next
        // Behind what there is, or all of it anew.
        if (reading.opened !== by && reading.opened !== undefined) {
          by = reading.opened
          if (by.at === 0) {
            resumed = 0
            yield* part.restart(by.validator)
          }
        }
        if (piece === undefined) return
        yield* part.add(piece.bytes)
        if (onProgress !== undefined) yield* onProgress({ bytes: part.size, total: by?.total })
      }
    })
    yield* Effect.ensuring(pieces, reading.close)
    // The end has come, so there was an answer.
    yield* verify(part, by!, digest)
    yield* part.finish
    const { outgoing } = by!.answer
    return { url: hidden(outgoing.url.href, outgoing.secret), bytes: part.size, resumed }
  })

/** Fails unless the part is what it has to be by option and by headers; then nobody goes on with it. */
const verify = (
  part: PartFile.PartFile,
  { answer, at }: Opened,
  digest: BodyDigest.Expected | undefined
): Effect.Effect<void, FetchError | FilesError, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const { headers } = answer.response
    const said = isIdentity(headers) ? BodyDigest.ofHeaders(headers, at === 0) : []
    for (const expected of digest === undefined ? said : [digest, ...said]) {
      const found = yield* digestOfFile(part.path, expected.algorithm)
      if (Hex.encode(found) === Hex.encode(expected.digest)) continue
      yield* part.restart(undefined)
      const detail = `its ${expected.algorithm} is ${Hex.encode(found)}, and by ${expected.by} it has to be ${Hex.encode(expected.digest)}`
      return yield* answer.error("Decode", detail)
    }
  })

interface Hash {
  readonly update: (bytes: Uint8Array) => void
  readonly digest: () => Uint8Array
}
interface NodeCrypto {
  readonly createHash: (algorithm: string) => Hash
}

const algorithms = { sha256: Digest.sha256, sha384: Digest.sha384, sha512: Digest.sha512 }

const blockSize = 1024 * 1024

/** Block by block where the platform can; WebCrypto knows only whole ones. */
const digestOfFile = (
  path: string,
  algorithm: BodyDigest.Algorithm
): Effect.Effect<Uint8Array, FilesError, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const crypto = builtin("node:crypto") as NodeCrypto | undefined
    if (crypto === undefined) {
      const digest = yield* Digest.Digest
      return yield* digest.digest(algorithms[algorithm], yield* fs.readFile(path))
    }
    const hash = crypto.createHash(algorithm)
    const file = yield* fs.open(path, { flag: "r" })
    const block = new Uint8Array(blockSize)
    for (let count = yield* file.read(block); count > 0; count = yield* file.read(block)) {
      hash.update(block.subarray(0, count))
    }
    return new Uint8Array(hash.digest())
  }).pipe(Effect.scoped, Effect.mapError(fromPlatform("read", path)), Effect.provide(Digest.layerWebCrypto))
