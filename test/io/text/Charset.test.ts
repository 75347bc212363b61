/** The Encoding standard's labels, and something of each encoding. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Charset from "../../../src/io/text/Charset.ts"

const labels = `
UTF-8: unicode-1-1-utf-8 unicode11utf8 unicode20utf8 utf-8 utf8 x-unicode20utf8
IBM866: 866 cp866 csibm866 ibm866
ISO-8859-2: csisolatin2 iso-8859-2 iso-ir-101 iso8859-2 iso88592 iso_8859-2 iso_8859-2:1987 l2 latin2
ISO-8859-3: csisolatin3 iso-8859-3 iso-ir-109 iso8859-3 iso88593 iso_8859-3 iso_8859-3:1988 l3 latin3
ISO-8859-4: csisolatin4 iso-8859-4 iso-ir-110 iso8859-4 iso88594 iso_8859-4 iso_8859-4:1988 l4 latin4
ISO-8859-5: csisolatincyrillic cyrillic iso-8859-5 iso-ir-144 iso8859-5 iso88595 iso_8859-5 iso_8859-5:1988
ISO-8859-6: arabic asmo-708 csiso88596e csiso88596i csisolatinarabic ecma-114 iso-8859-6 iso-8859-6-e iso-8859-6-i iso-ir-127 iso8859-6 iso88596 iso_8859-6 iso_8859-6:1987
ISO-8859-7: csisolatingreek ecma-118 elot_928 greek greek8 iso-8859-7 iso-ir-126 iso8859-7 iso88597 iso_8859-7 iso_8859-7:1987 sun_eu_greek
ISO-8859-8: csiso88598e csisolatinhebrew hebrew iso-8859-8 iso-8859-8-e iso-ir-138 iso8859-8 iso88598 iso_8859-8 iso_8859-8:1988 visual
ISO-8859-8-I: csiso88598i iso-8859-8-i logical
ISO-8859-10: csisolatin6 iso-8859-10 iso-ir-157 iso8859-10 iso885910 l6 latin6
ISO-8859-13: iso-8859-13 iso8859-13 iso885913
ISO-8859-14: iso-8859-14 iso8859-14 iso885914
ISO-8859-15: csisolatin9 iso-8859-15 iso8859-15 iso885915 iso_8859-15 l9
ISO-8859-16: iso-8859-16
KOI8-R: cskoi8r koi koi8 koi8-r koi8_r
KOI8-U: koi8-ru koi8-u
macintosh: csmacintosh mac macintosh x-mac-roman
windows-874: dos-874 iso-8859-11 iso8859-11 iso885911 tis-620 windows-874
windows-1250: cp1250 windows-1250 x-cp1250
windows-1251: cp1251 windows-1251 x-cp1251
windows-1252: ansi_x3.4-1968 ascii cp1252 cp819 csisolatin1 ibm819 iso-8859-1 iso-ir-100 iso8859-1 iso88591 iso_8859-1 iso_8859-1:1987 l1 latin1 us-ascii windows-1252 x-cp1252
windows-1253: cp1253 windows-1253 x-cp1253
windows-1254: cp1254 csisolatin5 iso-8859-9 iso-ir-148 iso8859-9 iso88599 iso_8859-9 iso_8859-9:1989 l5 latin5 windows-1254 x-cp1254
windows-1255: cp1255 windows-1255 x-cp1255
windows-1256: cp1256 windows-1256 x-cp1256
windows-1257: cp1257 windows-1257 x-cp1257
windows-1258: cp1258 windows-1258 x-cp1258
x-mac-cyrillic: x-mac-cyrillic x-mac-ukrainian
GBK: chinese csgb2312 csiso58gb231280 gb2312 gb_2312 gb_2312-80 gbk iso-ir-58 x-gbk
gb18030: gb18030
Big5: big5 big5-hkscs cn-big5 csbig5 x-x-big5
EUC-JP: cseucpkdfmtjapanese euc-jp x-euc-jp
ISO-2022-JP: csiso2022jp iso-2022-jp
Shift_JIS: csshiftjis ms932 ms_kanji shift-jis shift_jis sjis windows-31j x-sjis
EUC-KR: cseuckr csksc56011987 euc-kr iso-ir-149 korean ks_c_5601-1987 ks_c_5601-1989 ksc5601 ksc_5601 windows-949
replacement: csiso2022kr hz-gb-2312 iso-2022-cn iso-2022-cn-ext iso-2022-kr replacement
UTF-16BE: unicodefffe utf-16be
UTF-16LE: csunicode iso-10646-ucs-2 ucs-2 unicode unicodefeff utf-16 utf-16le
x-user-defined: x-user-defined
`
const table = labels
  .trim()
  .split("\n")
  .flatMap((line) => {
    const [name = "", rest = ""] = line.split(/: (.*)/)
    return rest.split(" ").map((label) => [label, name] as const)
  })

/** What other software wrote, in hexadecimal digits. */
const written: ReadonlyArray<readonly [name: string, bytes: string, text: string]> = [
  ["IBM866", "8fe0a8a2a5e2", "Привет"],
  ["ISO-8859-2", "ae6c75bb6f75e86bfd", "Žluťoučký"],
  ["ISO-8859-3", "a665f8", "Ĥeĝ"],
  ["ISO-8859-4", "c0bebf", "Āžŋ"],
  ["ISO-8859-5", "bfe0d8d2d5e2", "Привет"],
  ["ISO-8859-6", "e5d1cdc8c7", "مرحبا"],
  ["ISO-8859-7", "c3e5e9dc", "Γειά"],
  ["ISO-8859-8", "f9ece5ed", "שלום"],
  ["ISO-8859-8-I", "f9ece5ed", "שלום"],
  ["ISO-8859-10", "a9bf", "Đŋ"],
  ["ISO-8859-13", "c0fe756f6c6173", "Ąžuolas"],
  ["ISO-8859-14", "d0fe", "Ŵŷ"],
  ["ISO-8859-15", "a4bdbe", "€œŸ"],
  ["ISO-8859-16", "de6172e3", "Țară"],
  ["KOI8-R", "f0d2c9d7c5d4", "Привет"],
  ["KOI8-U", "b7d6c1cb", "Їжак"],
  ["macintosh", "469fa765aa", "Füße™"],
  ["windows-874", "cac7d1cab4d5", "สวัสดี"],
  ["windows-1250", "8e6c759d80", "Žluť€"],
  ["windows-1251", "cff0e8e2e5f2", "Привет"],
  ["windows-1252", "9346fcdf65942080", "“Füße” €"],
  ["windows-1253", "c3e5e9dc", "Γειά"],
  ["windows-1254", "ddf0fe", "İğş"],
  ["windows-1255", "f9ece5ed", "שלום"],
  ["windows-1256", "e3d1cdc8c7", "مرحبا"],
  ["windows-1257", "c0fe756f6c6173", "Ąžuolas"],
  ["windows-1258", "f0f4", "đô"],
  ["x-mac-cyrillic", "8ff0e8e2e5f2", "Привет"],
  ["GBK", "c1aacda8d6d0cec4", "联通中文"],
  ["gb18030", "d6d0cec49439fc36", "中文😀"],
  ["Big5", "a4a4a4e5a672", "中文字"],
  ["EUC-JP", "a5c6a5b9a5c8b4c1bbfa", "テスト漢字"],
  ["ISO-2022-JP", "1b244225462539254834413b7a1b2842", "テスト漢字"],
  ["Shift_JIS", "8365835883678abf8e9a8740", "テスト漢字①"],
  ["EUC-KR", "c7d1b1db8c63", "한글똠"],
  ["UTF-16BE", "6f22d83dde00", "漢😀"],
  ["UTF-16LE", "226f3dd800de", "漢😀"],
  ["UTF-8", "e6bca2f09f9880", "漢😀"],
  ["x-user-defined", "4180ff", "A\uf780\uf7ff"],
  ["replacement", "3c", "\ufffd"],
  ["replacement", "", ""],
  // Bytes that have no character are replaced, and do not swallow what follows.
  ["Shift_JIS", "81", "\ufffd"],
  ["Shift_JIS", "8122", '\ufffd"'],
  ["EUC-KR", "c722", '\ufffd"'],
  ["GBK", "ff41", "\ufffdA"],
  ["UTF-16LE", "00d84100", "\ufffdA"],
  ["UTF-8", "f08f41", "\ufffd\ufffdA"],
  ["windows-1252", "81", "\u0081"]
]

describe("Charset", () => {
  it.effect("knows the labels of the standard, in any case and with space about them, and no others", () =>
    Effect.gen(function* () {
      assert.strictEqual(table.length, 228)
      for (const [label, name] of table) {
        for (const form of [label, label.toUpperCase(), ` ${label}\n`]) {
          assert.strictEqual(yield* Charset.labelled(form), name, form)
        }
      }
      for (const other of ["utf-7", "utf-32", "klingon", "", "latin-1 "]) {
        assert.isUndefined(yield* Charset.labelled(other), other)
      }
    })
  )

  it.effect.each(written)("reads %s: %s", ([name, bytes, text]) =>
    Effect.gen(function* () {
      const given = new Uint8Array(Buffer.from(bytes, "hex"))
      const decoder = yield* Charset.decoder(name)
      assert.strictEqual(decoder.decode(given), text)
      // And the same however it arrives.
      const streamed = yield* Charset.decoder(name)
      const pieces = Array.from(given, (byte) => streamed.decode(Uint8Array.of(byte), { stream: true }))
      if (name !== "replacement") assert.strictEqual(pieces.join("") + streamed.decode(), text)
      const strict = yield* Charset.decoder(name, { fatal: true })
      if (text.includes("\ufffd")) assert.throws(() => strict.decode(given))
      else assert.strictEqual(strict.decode(given), text)
    })
  )

  it("finds the first byte that is not UTF-8, as the platform does", () => {
    const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })
    const isValid = (bytes: Uint8Array): boolean => {
      try {
        strict.decode(bytes)
        return true
      } catch {
        return false
      }
    }
    const leads = [0x41, 0x7f, 0x80, 0xbf, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xed, 0xef, 0xf0, 0xf1, 0xf4, 0xf5, 0xff]
    const nexts = [0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xff]
    for (const a of leads) {
      for (const b of nexts) {
        for (const c of nexts) {
          const bytes = Uint8Array.of(0x41, a, b, c, 0x80)
          for (let length = 1; length <= bytes.length; length++) {
            const part = bytes.subarray(0, length)
            const flaw = Charset.flawOfUtf8(part)
            assert.strictEqual(flaw === undefined, isValid(part), part.join())
            if (flaw !== undefined) assert.isTrue(isValid(part.subarray(0, flaw)), part.join())
          }
        }
      }
    }
  })
})
