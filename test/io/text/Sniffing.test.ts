/** What bytes are taken for whose type nobody says. */
import { assert, it } from "@effect/vitest"
import * as Sniffing from "../../../src/io/text/Sniffing.ts"

const latin = (text: string): Uint8Array => Uint8Array.from(text, (character) => character.charCodeAt(0))

const cases: ReadonlyArray<readonly [type: string, ...starts: ReadonlyArray<string>]> = [
  [
    "text/html",
    ...["!DOCTYPE HTML", "html", "HEAD", "script", "iframe", "h1", "div", "font", "table", "a", "style", "title"].map(
      (name) => `<${name}>`
    ),
    ...["b", "body", "br", "p", "!--"].map((name) => `\t\n\f\r <${name} `)
  ],
  ["text/xml", "<?xml version", "  <?xml"],
  ["application/pdf", "%PDF-1.7"],
  ["application/postscript", "%!PS-Adobe-3.0"],
  ["text/plain", "þÿ\0a", "ÿþa\0", "ï»¿\u0001", "hello", "", " ", "<abc>", "<HTMLX>", "<p", "{}", "\u001b[0m", "é"],
  ["image/x-icon", "\0\0\u0001\0", "\0\0\u0002\0"],
  ["image/bmp", "BM6"],
  ["image/gif", "GIF87a", "GIF89a"],
  ["image/webp", "RIFF\u0001\u0002\u0003\u0004WEBPVP8"],
  ["image/png", "\u0089PNG\r\n\u001a\n"],
  ["image/jpeg", "ÿØÿà"],
  ["audio/aiff", "FORM\0\0\0\0AIFF"],
  ["audio/mpeg", "ID3\u0003"],
  ["application/ogg", "OggS\0"],
  ["audio/midi", "MThd\0\0\0\u0006"],
  ["video/avi", "RIFF\0\0\0\0AVI "],
  ["audio/wave", "RIFF\0\0\0\0WAVE"],
  ["video/mp4", "\0\0\0\u0018ftypmp42\0\0\0\0isom", "\0\0\0\u0018ftypisom\0\0\0\0avc1mp41"],
  ["video/webm", "\u001aEß£\u0001\0\0\0\0\0\0\u001fB\u0086B\u0082\u0084webm"],
  ["application/x-gzip", "\u001f\u008b\b\0"],
  ["application/zip", "PK\u0003\u0004"],
  ["application/x-rar-compressed", "Rar \u001a\u0007\0"],
  [
    "application/octet-stream",
    "\0",
    "a\u0001",
    "\u000b",
    "\u001c",
    "\0\0\0\u0018ftypavif\0\0\0\0mif1miaf",
    "\u001aEß£\u0001\0\0\0\0\0\0\u001fB\u0086B\u0082\u0088matroska"
  ]
]

it.each(cases)("%s is known by its first bytes", (type, ...starts) => {
  for (const start of starts) assert.strictEqual(Sniffing.typeOf(latin(start), true), type, JSON.stringify(start))
})

it("HTML and XML are no more than text where they must not be found", () => {
  for (const start of ["<html>", "<?xml "]) assert.strictEqual(Sniffing.typeOf(latin(start), false), "text/plain")
})

it("no more than the first 1445 bytes count", () => {
  assert.strictEqual(Sniffing.typeOf(latin(`${"a".repeat(1444)}\0`), true), "application/octet-stream")
  assert.strictEqual(Sniffing.typeOf(latin(`${"a".repeat(1445)}\0`), true), "text/plain")
})

it("what servers call text that know no better is told by its bytes", () => {
  const words = ["", "; charset=ISO-8859-1", "; charset=iso-8859-1", "; charset=UTF-8"]
  for (const more of words) assert.isTrue(Sniffing.isUnsure(`text/plain${more}`))
  for (const more of [";charset=UTF-8", "; charset=utf-8", "; a=b"])
    assert.isFalse(Sniffing.isUnsure(`text/plain${more}`))
  assert.isTrue(Sniffing.isBinaryAfterAll(latin("\u0089PNG\r\n\u001a\n\0")))
  assert.isFalse(Sniffing.isBinaryAfterAll(latin("ÿþa\0")))
  assert.isFalse(Sniffing.isBinaryAfterAll(latin("<html>")))
})
