import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { gzipSync } from "node:zlib"
import * as Child from "../support/child.ts"
import * as Programs from "../support/programs.ts"

/** As many lines, some of them bad, and the last ten with ids that were there before. */
const write = (cwd: string, total: number) => {
  const orders = new Map<number, { id: number; customer: string; quantity: number; ordered: string }>()
  const bad: Array<string> = []
  const lines = Array.from({ length: total }, (_, i) => {
    const order = {
      id: i % (total - 10),
      customer: `customer ${i % 7}`,
      quantity: (i % 5) + 1,
      ordered: new Date(Date.UTC(2026, 0, 1) + i * 1000).toISOString()
    }
    const quantity = i % 100 === 99 ? "none" : `${order.quantity}`
    const ordered = i % 250 === 17 ? "soon" : order.ordered
    if (quantity === "none" || ordered === "soon") {
      bad.push(JSON.stringify({ id: `${order.id}`, customer: order.customer, quantity, ordered }))
    } else orders.set(order.id, order)
    return `${order.id},"${order.customer}",${quantity},${ordered}\n`
  })
  const file = join(cwd, "orders.csv.gz")
  writeFileSync(file, gzipSync(`id,customer,quantity,ordered\n${lines.join("")}`))
  return { file, bad, orders: [...orders.values()].sort((a, b) => a.id - b.id) }
}

const stored = (cwd: string) => Programs.rows(join(cwd, "orders.db"), "SELECT * FROM orders ORDER BY id")

/** The lines that it lists, without the reasons. */
const listed = (output: string) => output.match(/^\{.*?\}/gm)

describe.concurrent("docs/examples/orders.ts", () => {
  it.live(
    "loses and doubles nothing when it is killed",
    () =>
      Effect.gen(function* () {
        const cwd = yield* Child.folder
        const { bad, file, orders } = write(cwd, 50_000)
        const child = yield* Programs.start("orders", cwd, [file])
        yield* Programs.until(child, () => stored(cwd).length > 0)
        yield* Programs.kill(child)
        expect(stored(cwd).length).toBeLessThan(orders.length)

        const output = yield* Programs.run("orders", cwd, [file])
        expect(stored(cwd)).toEqual(orders)
        expect(listed(output)).toEqual(bad)
        expect(output).toContain(
          '"none","ordered":"2026-01-01T00:01:39.000Z"} Expected a string representing a finite number'
        )
      }),
    300_000
  )

  it.live(
    "comes to what its twin comes to, and has nothing to do then",
    () =>
      Effect.gen(function* () {
        const [ours, twins] = yield* Effect.all([Child.folder, Child.folder])
        const { bad, file, orders } = write(ours, 1000)
        for (const [name, cwd] of [
          ["orders", ours],
          ["twins/orders", twins]
        ] as const) {
          const output = yield* Programs.run(name, cwd, [file])
          expect(output).toMatch(/^986 orders written, 14 lines put aside\.$/m)
          expect(listed(output)).toEqual(bad)
          expect(stored(cwd)).toEqual(orders)
        }
        expect(yield* Programs.run("orders", ours, [file])).toMatch(/^0 orders written, 0 lines put aside\.$/m)
      }),
    300_000
  )
})
