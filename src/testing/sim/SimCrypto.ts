/** Effect's `WebCrypto` in a run: its chance comes from the seed, and its digests do not leave the thread. */

/** What Node, Bun and Deno give without an import. */
interface Hashing {
  readonly createHash: (algorithm: string) => {
    update(data: Uint8Array): { digest(): Uint8Array<ArrayBuffer> }
  }
}

interface Host {
  readonly process?: { readonly getBuiltinModule?: (name: string) => Hashing | undefined }
}

type Crypto = typeof globalThis.crypto

export const make = (draw: () => number): Crypto => {
  const real = globalThis.crypto
  const byte = () => Math.floor(draw() * 256)
  const getRandomValues: Crypto["getRandomValues"] = (array) => {
    if (array !== null) {
      const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength)
      for (let i = 0; i < bytes.length; i++) bytes[i] = byte()
    }
    return array
  }
  const randomUUID: Crypto["randomUUID"] = () => {
    const hex = Array.from({ length: 32 }, () => Math.floor(draw() * 16).toString(16))
    hex[12] = "4"
    hex[16] = "89ab".charAt(Math.floor(draw() * 4))
    const [a, b, c, d, e] = [0, 8, 12, 16, 20].map((from, i) => hex.slice(from, [8, 12, 16, 20, 32][i]).join(""))
    return `${a!}-${b!}-${c!}-${d!}-${e!}`
  }
  return overlay(real, { getRandomValues, randomUUID, subtle: overlay(real.subtle, { digest: digestOf(real) }) })
}

/** On the thread pool, a digest would take its time outside of the run. */
const digestOf = (real: Crypto): Crypto["subtle"]["digest"] => {
  const hashing = (globalThis as Host).process?.getBuiltinModule?.("node:crypto")
  if (hashing === undefined) return real.subtle.digest.bind(real.subtle)
  return async (algorithm, data) => {
    const name = typeof algorithm === "string" ? algorithm : algorithm.name
    const bytes = ArrayBuffer.isView(data)
      ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
      : new Uint8Array(data)
    return new Uint8Array(hashing.createHash(name.replace("-", "").toLowerCase()).update(bytes).digest()).buffer
  }
}

/** The object with some of its members replaced; the others are called on the object, as its class wants it. */
const overlay = <A extends object>(object: A, own: Partial<A>): A =>
  new Proxy(object, {
    get: (target, key) => {
      if (Object.hasOwn(own, key)) return Reflect.get(own, key)
      const member: unknown = Reflect.get(target, key)
      return typeof member === "function" ? member.bind(target) : member
    }
  })
