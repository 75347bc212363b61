import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { join } from "node:path"
import { invoices, serve } from "../../docs/examples/invoices/apis.ts"
import * as Child from "../support/child.ts"
import * as Programs from "../support/programs.ts"

const bookable = invoices.filter(({ cents }) => cents !== 0)
const entries = bookable.map(({ id }) => ({ invoice: id, entry: `entry ${id}` }))
const stored = (cwd: string) => Programs.rows(join(cwd, "invoices.db"), "SELECT * FROM entries ORDER BY invoice")

type Seen = Awaited<ReturnType<typeof serve>>["seen"]

/** Each once, however often it was sent; those of a customer in order. */
const holds = (seen: Seen) => {
  expect([...seen.booked.values()].sort((a, b) => a.id - b.id)).toEqual(bookable)
  expect(seen.disorder).toEqual([])
  expect(seen.most).toBeLessThanOrEqual(8)
  expect(seen.tokens).toBeGreaterThan(1)
}

describe.concurrent("docs/examples/invoices.ts", () => {
  it.live(
    "books each invoice once when it is killed",
    () =>
      Effect.gen(function* () {
        const cwd = yield* Child.folder
        const { seen, urls } = yield* Effect.promise(serve)
        const child = yield* Programs.start("invoices", cwd, urls)
        yield* Programs.until(child, () => seen.booked.size > 50)
        yield* Programs.kill(child)
        expect(stored(cwd).length).toBeLessThan(bookable.length)
        yield* Programs.run("invoices", cwd, urls)
        holds(seen)
        expect(stored(cwd)).toEqual(entries)
        expect(yield* Programs.run("invoices", cwd, urls)).toMatch(/^0 invoices booked, 0 not;/m)
      }),
    300_000
  )

  it.live(
    "comes to what its twin comes to",
    () =>
      Effect.gen(function* () {
        for (const name of ["invoices", "twins/invoices"]) {
          const cwd = yield* Child.folder
          const { seen, urls } = yield* Effect.promise(serve)
          expect(yield* Programs.run(name, cwd, urls)).toMatch(
            /^147 invoices booked, 3 not; 31 requests were sent again\.$/m
          )
          holds(seen)
          expect(stored(cwd)).toEqual(entries)
        }
      }),
    300_000
  )
})
