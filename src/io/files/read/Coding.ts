/** In which form the bytes of a place are, and how they become plain ones in UTF-8. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { type Compression, Damage, decoded, type Pull } from "../../codec/Compression.ts"
import { FilesError } from "../../FilesError.ts"
import * as Charset from "../../text/Charset.ts"

export interface CodingOptions {
  /** How the file is compressed. Default: as its name says, by `.gz`, `.zst` or `.br`. */
  readonly compression?: "gzip" | "zstd" | "brotli" | "none" | undefined
  /**
   * As a source: the encoding of its text, by a label of the WHATWG Encoding standard, such as "latin1" or "shift_jis". Default:
   * UTF-8, or UTF-16 where it begins with that byte order mark.
   */
  readonly encoding?: string | undefined
}

const extensions = [
  [".gz", "gzip"],
  [".zst", "zstd"],
  [".br", "brotli"]
] as const

/** What the name of a file says, or the option. */
export const compressionOf = (name: string, { compression }: CodingOptions): Compression | undefined => {
  if (compression !== undefined) return compression === "none" ? undefined : compression
  const small = name.toLowerCase()
  return extensions.find(([extension]) => small.endsWith(extension))?.[1]
}

/** How many of the first bytes tell in which encoding a text is. */
export const headSize = 64

/** What the first bytes say, where nobody says it: the encoding by their mark, or what must not be read as text in silence. */
const sniffed = (name: string, head: Uint8Array, isSaid: boolean): Charset.Charset | undefined | FilesError => {
  const [a, b, c, d] = head
  if (!isSaid && a === 0x1f && b === 0x8b) return notPlain(name, "gzip")
  if (!isSaid && a === 0x28 && b === 0xb5 && c === 0x2f && d === 0xfd) return notPlain(name, "zstd")
  if (a === 0xff && b === 0xfe && c === 0 && d === 0) return wrongText(name, "it is UTF-32", "Convert it to UTF-8.")
  const mark = Charset.marked(head)
  if (mark !== undefined) return mark === "UTF-8" ? undefined : mark
  const wide = wideOf(head)
  return wide === undefined
    ? undefined
    : wrongText(
        name,
        `it looks like ${wide} without a byte order mark`,
        `Give \`encoding: "${wide.toLowerCase()}"\` if that is so, or "utf-8" if it is not.`
      )
}

/** Of text that is ASCII for the most part, every second byte is NUL. */
const wideOf = (head: Uint8Array): "UTF-16LE" | "UTF-16BE" | undefined => {
  const pairs = head.length >> 1
  let first = 0
  let second = 0
  for (let at = 0; at < pairs * 2; at += 2) {
    if (head[at] === 0) first += 1
    if (head[at + 1] === 0) second += 1
  }
  if (pairs < 2) return undefined
  if (second > pairs * 0.7 && first === 0) return "UTF-16LE"
  return first > pairs * 0.7 && second === 0 ? "UTF-16BE" : undefined
}

const wrongText = (path: string, reason: string, fix: string): FilesError =>
  new FilesError({ kind: "BadText", tried: "read", path, reason, fix })

const notPlain = (path: string, kind: "gzip" | "zstd"): FilesError =>
  wrongText(
    path,
    `it is compressed with ${kind}, and its name does not say so`,
    `Give \`compression: "${kind}"\`, or "none" if these bytes are to be read as they are.`
  )

/**
 * The encoding that the bytes have to be decoded from; undefined where they are UTF-8 already. `isSaid` is whether somebody said
 * how they are compressed.
 */
export const charsetOf = (
  name: string,
  head: Uint8Array,
  encoding: string | undefined,
  isSaid: boolean
): Effect.Effect<Charset.Charset | undefined, FilesError> => {
  if (encoding === undefined) {
    return Effect.suspend(() => {
      const found = sniffed(name, head, isSaid)
      return found instanceof FilesError ? Effect.fail(found) : Effect.succeed(found)
    })
  }
  return Effect.flatMap(Charset.labelled(encoding), (charset) =>
    charset === undefined
      ? Effect.fail(
          wrongText(
            name,
            `${JSON.stringify(encoding)} is no encoding`,
            "Take a label of the WHATWG Encoding standard, such as latin1."
          )
        )
      : Effect.succeed(charset === "UTF-8" ? undefined : charset)
  )
}

/** The plain bytes of compressed ones, with damage as an error of the place. */
export const undone = (
  name: string,
  compression: Compression,
  next: Pull<FilesError>
): Effect.Effect<Pull<FilesError>, never, Scope.Scope> =>
  Effect.map(
    decoded(compression, next),
    Effect.mapError((error) => (error instanceof Damage ? damaged(name, error) : error))
  )

const damaged = (path: string, { at, detail, kind, reason }: Damage): FilesError =>
  new FilesError({
    kind: "Damaged",
    tried: "read",
    path,
    reason: reason === "unsupported" ? detail : `${detail} (byte ${at} of the ${kind} data)`,
    fix:
      reason === "unsupported"
        ? "Use another platform or another form."
        : reason === "cut"
          ? "Wait until all of it is there, or get it again, then run again: what was read of it stays."
          : "Get it again from where it came."
  })

/** UTF-8 of another encoding. What is not of that encoding is an error, not U+FFFD. */
export const transcoded = (
  name: string,
  charset: Charset.Charset,
  next: Pull<FilesError>
): Effect.Effect<Pull<FilesError>, FilesError> =>
  Effect.map(Charset.decoder(charset, { fatal: true }), (decoder): Pull<FilesError> => {
    const encoder = new TextEncoder()
    let taken = 0
    let isEnded = false
    const wrong = (to: number): FilesError =>
      wrongText(
        name,
        `it is not ${charset} all through: there is no character between byte ${taken} and byte ${to}`,
        "Give the `encoding` it is in, or correct it there."
      )
    const pull: Pull<FilesError> = Effect.flatMap(next, (bytes): Pull<FilesError> => {
      if (isEnded) return Effect.undefined
      try {
        const text = bytes === undefined ? decoder.decode() : decoder.decode(bytes, { stream: true })
        taken += bytes?.length ?? 0
        isEnded = bytes === undefined
        if (text !== "") return Effect.succeed(encoder.encode(text))
        return isEnded ? Effect.undefined : pull
      } catch {
        return Effect.fail(wrong(taken + (bytes?.length ?? 0)))
      }
    })
    return pull
  })
