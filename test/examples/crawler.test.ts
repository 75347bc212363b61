import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { join } from "node:path"
import { expected, serve } from "../../docs/examples/crawler/site.ts"
import * as Child from "../support/child.ts"
import * as Programs from "../support/programs.ts"

const pages = (cwd: string) => Programs.rows(join(cwd, "crawl.db"), "SELECT url, status, title FROM pages ORDER BY url")
const links = (cwd: string) =>
  Programs.rows(join(cwd, "crawl.db"), 'SELECT "from", "to" FROM links ORDER BY "from", "to"')

// test/examples.test.ts kills it.
describe("docs/examples/crawler.ts", () => {
  it.live(
    "comes to what its twin comes to",
    () =>
      Effect.gen(function* () {
        const [ours, twins] = yield* Effect.all([Child.folder, Child.folder])
        const site = yield* Effect.promise(() => serve(0))
        for (const [name, cwd] of [
          ["crawler", ours],
          ["twins/crawler", twins]
        ] as const) {
          expect(yield* Programs.run(name, cwd, [site])).toMatch(
            /^Done\. 547 addresses in .* 547 in all, 24 not to be had or not for robots\.$/m
          )
          expect(new Map(pages(cwd).map(({ status, url }) => [url, status]))).toEqual(expected(site))
        }
        expect(pages(twins)).toEqual(pages(ours))
        expect(links(twins)).toEqual(links(ours))
        expect(links(ours).length).toBeGreaterThan(500)
      }),
    300_000
  )
})
