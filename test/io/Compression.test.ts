import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { describe, expect, it } from "vitest"
import * as zlib from "node:zlib"
import {
  type Compression,
  type Damage,
  decoded,
  decodedAll,
  encoded,
  encodedAll,
  type Pull
} from "../../src/io/codec/Compression.ts"

const kinds: ReadonlyArray<Compression> = ["gzip", "deflate", "brotli", "zstd"]
const compress: Record<Compression, (bytes: Uint8Array) => Uint8Array> = {
  gzip: zlib.gzipSync,
  deflate: zlib.deflateSync,
  brotli: zlib.brotliCompressSync,
  zstd: zlib.zstdCompressSync
}
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes)
const bytesOf = (content: string) => new TextEncoder().encode(content)
const hello = bytesOf("hello, ".repeat(1000))
const world = bytesOf("world. ".repeat(1000))

const pulls = (pieces: ReadonlyArray<Uint8Array>): Pull<never> => {
  let next = 0
  return Effect.sync(() => pieces[next++])
}

const all = <E>(pull: Pull<E>): Effect.Effect<Uint8Array, E> =>
  Effect.gen(function* () {
    const found: Array<Uint8Array> = []
    for (;;) {
      const bytes = yield* pull
      if (bytes === undefined) return Buffer.concat(found)
      found.push(bytes)
    }
  })

const undone = (kind: Compression, ...pieces: ReadonlyArray<Uint8Array>) =>
  Effect.runPromise(Effect.scoped(Effect.flatMap(decoded(kind, pulls(pieces)), all)))

const damageOf = (kind: Compression, ...pieces: ReadonlyArray<Uint8Array>): Promise<Damage> =>
  Effect.runPromise(Effect.flip(Effect.scoped(Effect.flatMap(decoded(kind, pulls(pieces)), all))))

const joined = (...pieces: ReadonlyArray<Uint8Array>) => Uint8Array.from(Buffer.concat(pieces))
const bytewise = (bytes: Uint8Array) => Array.from(bytes, (byte) => Uint8Array.of(byte))

describe.each(kinds)("%s", (kind) => {
  const one = compress[kind](hello)

  it("gives back what was compressed, in whatever pieces it comes", async () => {
    expect(await undone(kind, one)).toEqual(Buffer.from(hello))
    expect(await undone(kind, ...bytewise(one))).toEqual(Buffer.from(hello))
    expect(await undone(kind, new Uint8Array(), one, new Uint8Array())).toEqual(Buffer.from(hello))
  })

  it("takes no bytes at all for an empty content", async () => {
    expect(await undone(kind)).toHaveLength(0)
    expect(await undone(kind, new Uint8Array())).toHaveLength(0)
    expect(await undone(kind, compress[kind](new Uint8Array()))).toHaveLength(0)
  })

  it("fails where it was cut, at every length", async () => {
    for (let length = 1; length < one.length; length++) {
      const damage = await damageOf(kind, one.subarray(0, length))
      expect([damage.reason, damage.at], `cut to ${length}`).toEqual(["cut", length])
    }
  })

  it("fails on what is something else", async () => {
    expect(await damageOf(kind, bytesOf("this is no compressed data at all"))).toMatchObject({ reason: "bad", kind })
  })

  it("fails on what follows and does not belong to it", async () => {
    const expected = kind === "gzip" || kind === "zstd" ? "bad" : "trailing"
    expect(await damageOf(kind, joined(one, bytesOf("garbage!!")))).toMatchObject({ reason: expected })
    expect(await damageOf(kind, one, bytesOf("garbage!!"))).toMatchObject({ reason: expected })
  })

  it("compresses what others undo", async () => {
    const pull = encoded(kind, pulls([hello, new Uint8Array(), world]))
    const bytes = await Effect.runPromise(Effect.scoped(Effect.flatMap(pull, all)))
    expect(await undone(kind, bytes)).toEqual(Buffer.concat([hello, world]))
    const whole = await Effect.runPromise(encodedAll(kind, hello))
    expect(text(await Effect.runPromise(decodedAll(kind, whole, hello.length)))).toBe(text(hello))
  })

  it("inflates no more than the limit", async () => {
    const exit = await Effect.runPromiseExit(decodedAll(kind, one, hello.length - 1))
    expect(Exit.isFailure(exit) && String(JSON.stringify(exit))).toContain("large")
  })

  it("inflates a bomb no further than somebody reads", async () => {
    const bomb = compress[kind](new Uint8Array(64 * 1024 * 1024))
    const first = Effect.gen(function* () {
      const pull = yield* decoded(kind, pulls([bomb]))
      const before = process.memoryUsage.rss()
      const bytes = yield* pull
      yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
      return { length: bytes!.length, grown: process.memoryUsage.rss() - before }
    })
    const { grown, length } = await Effect.runPromise(Effect.scoped(first))
    expect(length).toBeLessThanOrEqual(1024 * 1024)
    expect(grown).toBeLessThan(24 * 1024 * 1024)
  })
})

describe.each(["gzip", "zstd"] as const)("members of %s", (kind) => {
  const [a, b] = [compress[kind](hello), compress[kind](world)]
  const both = Buffer.concat([hello, world])

  it("follow each other, wherever the pieces are cut", async () => {
    expect(await undone(kind, joined(a, b))).toEqual(both)
    expect(await undone(kind, a, b)).toEqual(both)
    expect(await undone(kind, ...bytewise(joined(a, b)))).toEqual(both)
    const empty = compress[kind](new Uint8Array())
    expect(await undone(kind, joined(empty, a, empty, empty, b, empty))).toEqual(both)
  })

  it("are cut where the last one is", async () => {
    for (const left of [1, 5, b.length - 1]) {
      expect(await damageOf(kind, joined(a, b.subarray(0, left)))).toMatchObject({ reason: "cut", at: a.length + left })
    }
  })
})

describe("gzip", () => {
  it("may have zeros behind it", async () => {
    expect(await undone("gzip", joined(compress.gzip(hello), new Uint8Array(100)))).toEqual(Buffer.from(hello))
    expect(await undone("gzip", compress.gzip(hello), new Uint8Array(100))).toEqual(Buffer.from(hello))
  })

  it("says where it is damaged", async () => {
    const one = Uint8Array.from(compress.gzip(hello))
    one[one.length - 6]! ^= 0xff
    const damage = await damageOf("gzip", compress.gzip(world), one)
    expect(damage.reason).toBe("bad")
    expect(damage.at).toBeGreaterThanOrEqual(compress.gzip(world).length)
  })
})

describe("deflate", () => {
  it("is undone without the wrapper of zlib as well", async () => {
    expect(await undone("deflate", zlib.deflateRawSync(hello))).toEqual(Buffer.from(hello))
  })
})
