import { createHash } from "node:crypto"
import { expect, it } from "vitest"
import { sha256 } from "../../src/concurrency/base/Sha256.ts"

/** As the platform has it, of the same 16-bit units. */
const known = (text: string): string => createHash("sha256").update(Buffer.from(text, "utf16le").swap16()).digest("hex")

it("a digest is the SHA-256 of the text, of any length around the ends of blocks", () => {
  for (let length = 0; length <= 200; length++) {
    const text = Array.from({ length }, (_, i) => String.fromCharCode((i * 40_503 + length) % 0x1_0000)).join("")
    expect(sha256(text)).toBe(known(text))
  }
})
