/** SHA-256, at once: what a platform brings along for it gives a promise. For short texts now and then. */

/** Of a text, in hexadecimal: each of its 16-bit units counts, so that two texts that are no Unicode are told apart as well. */
export const sha256 = (text: string): string => {
  const units = new DataView(new ArrayBuffer(text.length * 2))
  for (let i = 0; i < text.length; i++) units.setUint16(i * 2, text.charCodeAt(i))
  const hash = sha256Of(new Uint8Array(units.buffer))
  return Array.from(hash, (byte) => byte.toString(16).padStart(2, "0")).join("")
}

/** Of bytes. */
export const sha256Of = (given: Uint8Array): Uint8Array => {
  const { length } = given
  const padded = new Uint8Array((((length + 8) >> 6) + 1) << 6)
  padded.set(given)
  padded[length] = 0x80
  const bytes = new DataView(padded.buffer)
  bytes.setUint32(bytes.byteLength - 8, Math.floor((length * 8) / 2 ** 32))
  bytes.setUint32(bytes.byteLength - 4, (length * 8) >>> 0)
  const hash = Uint32Array.from(initial)
  const words = new Uint32Array(64)
  for (let block = 0; block < bytes.byteLength; block += 64) {
    for (let i = 0; i < 16; i++) words[i] = bytes.getUint32(block + i * 4)
    for (let i = 16; i < 64; i++) {
      const [a, b] = [words[i - 15]!, words[i - 2]!]
      const s0 = turned(a, 7) ^ turned(a, 18) ^ (a >>> 3)
      const s1 = turned(b, 17) ^ turned(b, 19) ^ (b >>> 10)
      words[i] = words[i - 16]! + s0 + words[i - 7]! + s1
    }
    // It has eight, as it was made of eight.
    let [a, b, c, d, e, f, g, h] = hash as unknown as readonly [
      number,
      number,
      number,
      number,
      number,
      number,
      number,
      number
    ]
    for (let i = 0; i < 64; i++) {
      const s1 = turned(e, 6) ^ turned(e, 11) ^ turned(e, 25)
      const one = (h + s1 + ((e & f) ^ (~e & g)) + constants[i]! + words[i]!) >>> 0
      const s0 = turned(a, 2) ^ turned(a, 13) ^ turned(a, 22)
      const two = (s0 + ((a & b) ^ (a & c) ^ (b & c))) >>> 0
      ;[h, g, f, e, d, c, b, a] = [g, f, e, (d + one) >>> 0, c, b, a, (one + two) >>> 0]
    }
    for (const [i, word] of [a, b, c, d, e, f, g, h].entries()) hash[i] = hash[i]! + word
  }
  const result = new DataView(new ArrayBuffer(32))
  for (const [i, word] of hash.entries()) result.setUint32(i * 4, word)
  return new Uint8Array(result.buffer)
}

const turned = (word: number, by: number): number => (word >>> by) | (word << (32 - by))

/** The first 32 bits of the fractions of a root of the first primes. */
const fractions = (count: number, root: (n: number) => number): ReadonlyArray<number> => {
  const found: Array<number> = []
  for (let n = 2, primes: Array<number> = []; found.length < count; n++) {
    if (primes.some((prime) => n % prime === 0)) continue
    primes.push(n)
    found.push(((root(n) % 1) * 2 ** 32) >>> 0)
  }
  return found
}
const initial = /* @__PURE__ */ fractions(8, Math.sqrt)
const constants = /* @__PURE__ */ fractions(64, Math.cbrt)
