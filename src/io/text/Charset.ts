/** The encodings of the WHATWG Encoding standard. What a platform has of them differs, so all but UTF-8 are a library's. */
import type * as Encoding from "@exodus/bytes/encoding.js"
import * as Effect from "effect/Effect"

/** The name of an encoding as the standard writes it, such as "UTF-8", "windows-1252", "Shift_JIS". */
export type Charset = string

/** Text of bytes; with `stream`, what is cut at their end waits for the rest. It throws where it is `fatal`. */
export interface Decoder {
  decode(bytes?: Uint8Array, options?: { readonly stream?: boolean }): string
}

export const utf8: Decoder = new TextDecoder()
export const strictUtf8: Decoder = new TextDecoder("utf-8", { fatal: true })

let library: typeof Encoding | undefined

/** Loaded on first use: most of what is read is UTF-8, and needs none of it. */
const loaded: Effect.Effect<typeof Encoding> = Effect.suspend(() =>
  library === undefined
    ? Effect.promise(async () => (library = await import("@exodus/bytes/encoding.js")))
    : Effect.succeed(library)
)

export const isUtf8 = (label: string): boolean => /^\s*utf-?8\s*$/i.test(label)

/** What a label such as "latin1" stands for, in any case; undefined where the standard knows none. */
export const labelled = (label: string): Effect.Effect<Charset | undefined> =>
  isUtf8(label) ? Effect.succeed("UTF-8") : Effect.map(loaded, ({ labelToName }) => labelToName(label) ?? undefined)

/** A decoder of its own, which leaves out a byte order mark. With `fatal` it throws where others give U+FFFD. */
export const decoder = (charset: Charset, options: { readonly fatal?: boolean } = {}): Effect.Effect<Decoder> => {
  if (charset === "UTF-8") return Effect.sync(() => new TextDecoder("utf-8", options))
  if (charset === "replacement") return Effect.sync(() => replacement(options.fatal === true))
  return Effect.map(loaded, ({ TextDecoder }) => new TextDecoder(charset, options))
}

/** What must not be read at all, for reading it as something else has been used for attacks. */
const replacement = (isFatal: boolean): Decoder => ({
  decode: (bytes) => {
    if (bytes === undefined || bytes.length === 0) return ""
    if (isFatal) throw new TypeError("text of this encoding is not read")
    return "\uFFFD"
  }
})

/** By the mark that a text may begin with. */
export const marked = (bytes: Uint8Array): Charset | undefined => {
  const [first, second, third] = bytes
  if (first === 0xef && second === 0xbb && third === 0xbf) return "UTF-8"
  if (first === 0xff && second === 0xfe) return "UTF-16LE"
  if (first === 0xfe && second === 0xff) return "UTF-16BE"
  return undefined
}

/** Those that a text is not in by chance, as their names are never a server's default. */
export const isMultiByte = (charset: Charset): boolean => /^(utf-16|gb|big5|euc-|iso-2022|shift_jis)/i.test(charset)

/** Where the first byte is that UTF-8 has no place for; undefined where there is none. */
export const flawOfUtf8 = (bytes: Uint8Array): number | undefined => {
  let at = 0
  while (at < bytes.length) {
    const length = lengthOf(bytes, at)
    if (length === 0) return at
    at += length
  }
  return undefined
}

/** How many bytes the character at a place has, 0 where there is none. */
const lengthOf = (bytes: Uint8Array, at: number): number => {
  const lead = bytes[at]!
  if (lead < 0x80) return 1
  const length = lead < 0xc2 || lead > 0xf4 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4
  for (let next = 1; next < length; next++) {
    const byte = bytes[at + next] ?? 0
    const from = next > 1 ? 0x80 : (lowest.get(lead) ?? 0x80)
    const to = next > 1 ? 0xbf : (highest.get(lead) ?? 0xbf)
    if (byte < from || byte > to) return 0
  }
  return length
}

/** The second byte after some first ones: neither longer than need be, nor half of a character, nor beyond U+10FFFF. */
const lowest = new Map([
  [0xe0, 0xa0],
  [0xf0, 0x90]
])
const highest = new Map([
  [0xed, 0x9f],
  [0xf4, 0x8f]
])
