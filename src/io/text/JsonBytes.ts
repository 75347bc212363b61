/** The text of JSON that comes as bytes. What would become U+FFFD is refused: nobody would see it in a value. */
import * as Effect from "effect/Effect"
import * as Charset from "./Charset.ts"
import * as MediaType from "./MediaType.ts"

/** Its text, where it is plainly UTF-8, as most is; else `text` says what it is. */
export const plain = (bytes: Uint8Array, contentType?: string): string | undefined => {
  if (wideCharset(bytes) !== undefined) return undefined
  const label = contentType === undefined ? undefined : MediaType.parse(contentType)?.charset
  if (label !== undefined && !Charset.isUtf8(label)) return undefined
  try {
    return Charset.strictUtf8.decode(bytes)
  } catch {
    return undefined
  }
}

/** Its text, or fails with what is wrong with it: as in "`it` is not UTF-8: …". */
export const text = (bytes: Uint8Array, contentType?: string): Effect.Effect<string, string> => {
  const wide = wideCharset(bytes)
  if (wide !== undefined) return read(bytes, wide)
  const label = contentType === undefined ? undefined : MediaType.parse(contentType)?.charset
  if (label === undefined) return Effect.suspend(() => utf8(bytes, undefined))
  return Effect.flatMap(Charset.labelled(label), (charset) =>
    charset !== undefined && Charset.isMultiByte(charset) ? read(bytes, charset) : utf8(bytes, charset)
  )
}

/** JSON is UTF-8, whatever a server says of all that it sends; but where it cannot be, what it says is tried. */
const utf8 = (bytes: Uint8Array, said: Charset.Charset | undefined): Effect.Effect<string, string> => {
  try {
    return Effect.succeed(Charset.strictUtf8.decode(bytes))
  } catch {
    if (said !== undefined && said !== "UTF-8") return read(bytes, said)
    const at = Charset.flawOfUtf8(bytes) ?? 0
    const byte = `0x${(bytes[at] ?? 0).toString(16).toUpperCase().padStart(2, "0")}`
    const more = said === undefined ? ", and nothing says what else it is" : ""
    return Effect.fail(`is not UTF-8: it has ${byte} as byte ${at}, where no character can be${more}`)
  }
}

const read = (bytes: Uint8Array, charset: Charset.Charset | "UTF-32LE" | "UTF-32BE"): Effect.Effect<string, string> => {
  if (charset === "UTF-32LE" || charset === "UTF-32BE") return utf32(bytes, charset)
  return Effect.flatMap(Charset.decoder(charset, { fatal: true }), (decoder) =>
    Effect.try({ try: () => decoder.decode(bytes), catch: () => `is not ${charset}, as which it came` })
  )
}

/** JSON begins with two characters of ASCII, so that zeros show the wide encodings, with a byte order mark or without. */
const wideCharset = (bytes: Uint8Array): Charset.Charset | undefined => {
  const a = bytes[0]
  const b = bytes[1]
  if (a === undefined || b === undefined || (a !== 0 && b !== 0 && a < 0xfe)) return undefined
  const c = bytes[2]
  const d = bytes[3]
  if ((a === 0xff && b === 0xfe && c === 0 && d === 0) || (a !== 0 && b === 0 && c === 0 && d === 0)) return "UTF-32LE"
  if (a === 0 && b === 0 && ((c === 0xfe && d === 0xff) || (c === 0 && d !== 0))) return "UTF-32BE"
  if ((a === 0xff && b === 0xfe) || (a !== 0 && a < 0xfe && b === 0)) return "UTF-16LE"
  if ((a === 0xfe && b === 0xff) || (a === 0 && b !== 0)) return "UTF-16BE"
  return undefined
}

/** No encoding of the web, but one of JSON before it was UTF-8 alone. */
const utf32 = (bytes: Uint8Array, charset: "UTF-32LE" | "UTF-32BE"): Effect.Effect<string, string> =>
  Effect.suspend(() => {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    if (bytes.length % 4 !== 0) return Effect.fail(`is not ${charset}, as its first bytes say: it is cut`)
    const pieces: Array<string> = []
    for (let at = 0; at < bytes.length; at += 4) {
      const point = view.getUint32(at, charset === "UTF-32LE")
      if (point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff)) {
        return Effect.fail(`is not ${charset}, as its first bytes say: there is no character at byte ${at}`)
      }
      if (at > 0 || point !== 0xfeff) pieces.push(String.fromCodePoint(point))
    }
    return Effect.succeed(pieces.join(""))
  })
