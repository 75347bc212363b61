/** The type of bytes whose type nobody says, by the MIME Sniffing standard (§7.1); §7.2 for what old servers call text. */

/** No more than these first bytes tell. */
const head = 1445

/** `isScriptable` is whether it may be found to be HTML or XML; `X-Content-Type-Options: nosniff` says no. */
export const typeOf = (bytes: Uint8Array, isScriptable: boolean): string => {
  const start = bytes.subarray(0, head)
  const found = isScriptable ? (markup(start) ?? signed(start)) : signed(start)
  return found ?? (isBinary(start) ? "application/octet-stream" : "text/plain")
}

/** What servers said that had no better idea: under these very words, anything may come. */
export const isUnsure = (contentType: string): boolean =>
  /^text\/plain(; charset=(ISO-8859-1|iso-8859-1|UTF-8))?$/.test(contentType)

/** Whether bytes that are called text so are none. */
export const isBinaryAfterAll = (bytes: Uint8Array): boolean => {
  const start = bytes.subarray(0, head)
  return !marks.some((mark) => matches(start, mark)) && isBinary(start)
}

/** Control characters that no text has. */
const isBinary = (bytes: Uint8Array): boolean =>
  bytes.some(
    (byte) => byte <= 0x08 || byte === 0x0b || (byte >= 0x0e && byte <= 0x1a) || (byte >= 0x1c && byte <= 0x1f)
  )

/** A pattern in Latin-1, in which "?" stands for any byte. */
interface Signature {
  readonly pattern: string
  readonly type: string
}

const marks: ReadonlyArray<Signature> = ["þÿ", "ÿþ", "ï»¿"].map((pattern) => ({ pattern, type: "text/plain" }))

const signatures: ReadonlyArray<Signature> = [
  { pattern: "%PDF-", type: "application/pdf" },
  { pattern: "%!PS-Adobe-", type: "application/postscript" },
  ...marks,
  { pattern: "\0\0\u0001\0", type: "image/x-icon" },
  { pattern: "\0\0\u0002\0", type: "image/x-icon" },
  { pattern: "BM", type: "image/bmp" },
  { pattern: "GIF87a", type: "image/gif" },
  { pattern: "GIF89a", type: "image/gif" },
  { pattern: "RIFF????WEBPVP", type: "image/webp" },
  { pattern: "\u0089PNG\r\n\u001a\n", type: "image/png" },
  { pattern: "ÿØÿ", type: "image/jpeg" },
  { pattern: "FORM????AIFF", type: "audio/aiff" },
  { pattern: "ID3", type: "audio/mpeg" },
  { pattern: "OggS\0", type: "application/ogg" },
  { pattern: "MThd\0\0\0\u0006", type: "audio/midi" },
  { pattern: "RIFF????AVI ", type: "video/avi" },
  { pattern: "RIFF????WAVE", type: "audio/wave" },
  { pattern: "\u001f\u008b\u0008", type: "application/x-gzip" },
  { pattern: "PK\u0003\u0004", type: "application/zip" },
  { pattern: "Rar \u001a\u0007\0", type: "application/x-rar-compressed" }
]

const signed = (bytes: Uint8Array): string | undefined =>
  signatures.find((signature) => matches(bytes, signature))?.type ?? filmed(bytes)

/** Files that name themselves a little further on. */
const filmed = (bytes: Uint8Array): string | undefined => {
  const text = latin(bytes.subarray(0, 256))
  // The first box is of kind `ftyp`, and one of the brands that it lists, from byte 8 on, is some mp4.
  const end = ((bytes[2] ?? 0) << 8) | (bytes[3] ?? 0)
  if (text.startsWith("ftyp", 4) && /^ftyp(mp4|.{8}(.{4})*mp4)/s.test(text.slice(4, end))) return "video/mp4"
  if (text.startsWith("\u001aEß£") && text.slice(0, 64).includes("webm")) return "video/webm"
  return undefined
}

const latin = (bytes: Uint8Array): string => String.fromCharCode(...bytes)

const matches = (bytes: Uint8Array, { pattern }: Signature): boolean => {
  for (let at = 0; at < pattern.length; at++) {
    if (pattern[at] !== "?" && bytes[at] !== pattern.charCodeAt(at)) return false
  }
  return true
}

const markup = (bytes: Uint8Array): string | undefined => {
  const start = bytes.findIndex((byte) => !isSpace(byte))
  // The longest of them has 14 characters and one that ends it.
  const text = start < 0 ? "" : latin(bytes.subarray(start, start + 16))
  if (text.startsWith("<?xml")) return "text/xml"
  return tag.test(text) ? "text/html" : undefined
}

const tag = /^<(!DOCTYPE HTML|HTML|HEAD|SCRIPT|IFRAME|H1|DIV|FONT|TABLE|A|STYLE|TITLE|B|BODY|BR|P|!--)[ >]/i

const isSpace = (byte: number): boolean =>
  byte === 0x20 || byte === 0x09 || byte === 0x0a || byte === 0x0c || byte === 0x0d
