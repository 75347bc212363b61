/** By which rule bytes from the web become text: their mark, what was said of them, what they say themselves. */
import * as Effect from "effect/Effect"
import type { Headers } from "effect/http/Headers"
import * as Charset from "./Charset.ts"
import * as MediaType from "./MediaType.ts"
import * as Sniffing from "./Sniffing.ts"

/**
 * The text of a body, in the order of the standards: a byte order mark, the charset of its type, what HTML or XML says of
 * itself; else UTF-8, or windows-1252 where most of it could not be that. What fits nowhere is U+FFFD.
 */
export const text = (bytes: Uint8Array, headers: Headers): Effect.Effect<string> =>
  Effect.map(reader(bytes, typeOf(bytes, headers)), (read) => read())

export interface Read {
  /** As it was found to be. */
  readonly contentType: string
  /** Undefined where that is no text. */
  readonly text: (() => string) | undefined
}

/** What a body is, with its text for who may not need it. */
export const read = (bytes: Uint8Array, headers: Headers): Effect.Effect<Read> => {
  const contentType = typeOf(bytes, headers)
  return MediaType.isText(MediaType.parse(contentType)?.essence ?? "")
    ? Effect.map(reader(bytes, contentType), (text) => ({ contentType, text }))
    : Effect.succeed({ contentType, text: undefined })
}

/** How a body begins, in few words of it, to show what came; undefined where it is no text. */
export const start = (bytes: Uint8Array, headers: Headers, length: number): string | undefined => {
  const type = MediaType.parse(typeOf(bytes, headers))
  if (type === undefined || !MediaType.isText(type.essence)) return undefined
  return rough(type.charset ?? "utf-8")
    .decode(bytes.subarray(0, length))
    .replace(/\uFFFD$/, "")
}

/** What the platform has for an encoding, which will do to show. */
const rough = (label: string): Charset.Decoder => {
  try {
    return new TextDecoder(label)
  } catch {
    return Charset.utf8
  }
}

/**
 * The type of a body: what its header says, else what its first bytes look like, as browsers find it. A header that says
 * `text/plain` in the words of a server that knows no better is believed only of what may be text.
 */
const typeOf = (bytes: Uint8Array, headers: Headers): string => {
  const header = headers["content-type"]
  const said = MediaType.parse(header)
  if (header === undefined || said === undefined || unknown.has(said.essence)) {
    return Sniffing.typeOf(bytes, !/^\s*nosniff\b/i.test(headers["x-content-type-options"] ?? ""))
  }
  return Sniffing.isUnsure(header) && Sniffing.isBinaryAfterAll(bytes) ? "application/octet-stream" : header
}

const unknown: ReadonlySet<string> = new Set(["unknown/unknown", "application/unknown"])

const reader = (bytes: Uint8Array, contentType: string): Effect.Effect<() => string> => {
  const type = MediaType.parse(contentType)
  return Effect.flatMap(charsetOf(bytes, type), (charset) => {
    if (charset === undefined) return guessed(bytes)
    if (charset === "UTF-8") return Effect.succeed(() => Charset.utf8.decode(bytes))
    return Effect.map(Charset.decoder(charset), (decoder) => () => decoder.decode(bytes))
  })
}

const charsetOf = (
  bytes: Uint8Array,
  type: MediaType.MediaType | undefined
): Effect.Effect<Charset.Charset | undefined> => {
  const mark = Charset.marked(bytes)
  if (mark !== undefined) return Effect.succeed(mark)
  const said = type?.charset === undefined ? Effect.undefined : Charset.labelled(type.charset)
  const isXml = type !== undefined && MediaType.isXml(type.essence)
  if (!isXml && (type === undefined || !MediaType.isHtml(type.essence))) return said
  return Effect.flatMap(said, (charset) => (charset === undefined ? ownWord(bytes, isXml) : Effect.succeed(charset)))
}

type Sniffer = (bytes: Uint8Array, options: { readonly xml: boolean; readonly defaultEncoding: string }) => string
let sniffer: Sniffer | undefined

const ownWord = (bytes: Uint8Array, xml: boolean): Effect.Effect<Charset.Charset | undefined> => {
  if (sniffer === undefined) {
    return Effect.andThen(
      loaded,
      Effect.suspend(() => ownWord(bytes, xml))
    )
  }
  return Effect.succeed(sniffer(bytes, { xml, defaultEncoding: nothing }) || undefined)
}

const loaded: Effect.Effect<Sniffer> = Effect.promise(async () => {
  // @ts-expect-error The package has no types.
  const module = (await import("html-encoding-sniffer")) as { readonly default: Sniffer }
  return (sniffer = module.default)
})

/** Not the name of an encoding. */
const nothing = ""

const guessed = (bytes: Uint8Array): Effect.Effect<() => string> =>
  Effect.suspend(() => {
    const text = Charset.utf8.decode(bytes)
    if (!text.includes("\uFFFD") || isMostlyUtf8(text)) return Effect.succeed(() => text)
    return Effect.map(Charset.decoder("windows-1252"), (decoder) => () => decoder.decode(bytes))
  })

/** A page of UTF-8 with a damaged place in it stays one: more of its characters beyond ASCII fit than do not. */
const isMostlyUtf8 = (text: string): boolean => {
  let balance = 0
  for (const character of text) {
    if (character === "\uFFFD") balance--
    else if (character > "\u007F") balance++
  }
  return balance > 0
}
