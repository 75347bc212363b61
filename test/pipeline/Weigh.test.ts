import { describe, expect, it } from "vitest"
import { weigh } from "../../src/pipeline/flow/Weigh.ts"

const big = "x".repeat(500_000)
const bytes = new Uint8Array(500_000)
const nested = (depth: number, inner: unknown): unknown => {
  let value = inner
  for (let i = 0; i < depth; i++) value = i % 2 === 0 ? { a: value } : [value]
  return value
}

class Node {
  parent: Node | undefined
  readonly children: Array<Node> = []
  readonly text = "x".repeat(1000)
}

describe("weighing", () => {
  it.each([
    ["a string", big],
    ["bytes", bytes],
    ["four objects deep", { a: { b: { c: { d: big } } } }],
    ["a hundred deep", nested(100, big)],
    ["seven thousand deep", nested(7000, big)],
    ["a Map's value", new Map([["a", big]])],
    ["a Map's key", new Map([[big, 1]])],
    ["a Set", { some: { set: new Set([big]) } }],
    ["bytes in a Map in a Map", new Map([[1, new Map([[2, { bytes }]])]])],
    ["an ArrayBuffer", [bytes.buffer]],
    ["a SharedArrayBuffer", [new SharedArrayBuffer(500_000)]],
    ["a DataView", { view: new DataView(bytes.buffer) }],
    ["a Blob", { blob: new Blob([bytes]) }],
    ["a File", new File([bytes], "a.bin")],
    ["an object without a prototype", Object.assign(Object.create(null), { a: { b: { c: [big] } } })]
  ])("finds what is heavy in %s", (_, value) => {
    expect(weigh(value)).toBeGreaterThan(500_000)
    expect(weigh(value)).toBeLessThan(800_000)
  })

  it("weighs little things as little", () => {
    for (const value of [1, null, undefined, true, 1n, Symbol.iterator, () => big, new Date(), {}, [], new Map()]) {
      expect(weigh(value)).toBeLessThan(100)
    }
    expect(weigh({ id: 1, name: "abc", tags: ["a", "b"] })).toBeLessThan(300)
  })

  it("weighs what is there twice once, and ends where a value leads back to itself", () => {
    const root = new Node()
    for (let i = 0; i < 100; i++) {
      const child = new Node()
      child.parent = root
      root.children.push(child)
    }
    expect(weigh(root)).toBeGreaterThan(100_000)
    expect(weigh(root)).toBeLessThan(200_000)
    const self: Array<unknown> = [big]
    self.push(self, new Map([[self, self]]))
    expect(weigh(self)).toBeLessThan(600_000)
  })

  it("estimates what has very many parts, from all over it", () => {
    const rows = (count: number) => Array.from({ length: count }, (_, i) => ({ id: i, name: `name ${i}` }))
    const each = weigh(rows(1000)) / 1000
    const growing = Array.from({ length: 100_000 }, (_, i) => "x".repeat(i / 1000))
    const sum = growing.reduce((sum, { length }) => sum + length + 24, 0)
    for (const [value, expected] of [
      [rows(100_000), each * 100_000],
      [new Map(rows(50_000).map((row) => [row.id, row])), (each + 8) * 50_000],
      [new Set(rows(50_000)), each * 50_000],
      [Object.fromEntries(rows(50_000).map((row) => [row.id, { a: row }])), (each + 40) * 50_000],
      [rows(10_000).map((row) => nested(20, row)), (each + 20 * 40) * 10_000],
      [growing, sum]
    ] as const) {
      expect(weigh(value) / expected).toBeGreaterThan(0.8)
      expect(weigh(value) / expected).toBeLessThan(1.25)
    }
  })

  it("takes no more time for very many parts than for some thousands", () => {
    const many = Array.from({ length: 200_000 }, (_, i) => ({ a: { b: { c: { d: i } } } }))
    const wide: Array<unknown> = Array.from({ length: 1000 }, () => many)
    const cyclic: Array<unknown> = Array.from({ length: 10_000 })
    cyclic.fill(cyclic)
    for (const value of [many, wide, cyclic, nested(1_000_000, big), new Array(1e9)]) {
      const start = performance.now()
      expect(weigh(value)).toBeGreaterThan(0)
      expect(performance.now() - start).toBeLessThan(100)
    }
  })

  it("is not harmed by getters, proxies and iterators", () => {
    const hostile = {
      get first(): unknown {
        throw new Error("hostile")
      },
      rest: { a: { b: { c: big } } },
      get endless(): unknown {
        return { again: hostile, more: Object.create(hostile) as unknown }
      }
    }
    expect(weigh(hostile)).toBeGreaterThan(500_000)
    const refuse = () => {
      throw new Error("hostile")
    }
    const proxy = new Proxy({}, { ownKeys: refuse, get: refuse, getPrototypeOf: refuse, has: refuse })
    expect(weigh({ proxy, big })).toBeGreaterThan(500_000)
    const { proxy: revoked, revoke } = Proxy.revocable([], {})
    revoke()
    expect(weigh([revoked, big])).toBeGreaterThan(500_000)
    class Lying extends Map<unknown, unknown> {
      override get size(): number {
        return Number.NaN
      }
      override forEach(): void {
        throw new Error("hostile")
      }
      override [Symbol.iterator](): MapIterator<[unknown, unknown]> {
        throw new Error("hostile")
      }
    }
    for (const value of [new Lying([[1, big]]), Array.from({ length: 10_000 }, () => new Lying())]) {
      expect(weigh(value)).toBeGreaterThan(0)
    }
  })
})
