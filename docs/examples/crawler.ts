/**
 * Crawls a site, each of its pages once, whatever happens: kill it at any moment and run it again, and it goes on. It does
 * what robots.txt says, and is never a burden to a host.
 *
 *     node --conditions=skein-source docs/examples/crawler.ts          the 500 pages of crawler/site.ts
 *     node --conditions=skein-source docs/examples/crawler.ts <url>    those of another site
 *
 * What it has found is in the tables `pages` and `frontier` of crawl.db.
 */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { Db, Fetch, Pipeline, Sink } from "skein"
import { Main } from "skein/node"
import { serve } from "./crawler/site.ts"

/** Addresses still to be visited: each is taken once, however often it is found. */
const Link = Schema.Struct({ url: Schema.String })
const frontier = Db.queue("frontier", Link, { key: "url", lease: "5 seconds" })

const Page = Schema.Struct({ url: Schema.String, status: Schema.Int, title: Schema.String })
const pages = Db.table("pages", Page)

/** Where a page leads: its links, or the address that it has moved to, as far as they stay on its site. */
const linksOf = ({ headers, text = "", url }: Fetch.Page) => {
  const hrefs = Array.from(text.matchAll(/<a\s[^>]*href="([^"]*)"/g), ([, href]) => href)
  return [headers["location"], ...hrefs].flatMap((href) => {
    const link = URL.parse(href ?? "#", url)
    if (link?.origin !== new URL(url).origin) return []
    link.hash = ""
    return [{ url: link.href }]
  })
}

// A page that is gone or has moved is worth a row as well; one that the server could not give now is asked for again.
const get = Fetch.page({ redirects: 0, accept: (status) => !Fetch.isTransient(status) })

const visit = ({ url }: typeof Link.Type) =>
  Effect.map(get(url), (page) => ({
    url,
    status: page.status,
    title: /<title>(.*?)<\/title>/.exec(page.text ?? "")?.[1] ?? "",
    links: linksOf(page)
  }))

/** Frontier → pages and frontier: a page, its links and that it was visited are one transaction. */
const crawl = Pipeline.from(frontier).pipe(
  Pipeline.map(visit, { name: "visit", concurrency: 16, onError: { deadLetter: Link } }),
  Pipeline.to(Sink.route({ pages, frontier }, ({ links, ...page }) => ({ pages: [page], frontier: links })))
)

const program = Effect.gen(function* () {
  const start = process.argv[2] ?? (yield* Effect.promise(() => serve(8642)))
  yield* frontier.add([{ url: new URL(start).href }])
  const { outcome, seconds, settled, total } = yield* Pipeline.run(crawl, {
    name: "crawl",
    progress: {
      interval: "1 second",
      on: ({ inFlight, rate, settled }) =>
        Console.log(`${settled} visited  ${inFlight} in flight  ${rate.toFixed(0)}/s`)
    }
  })
  yield* Console.log(
    outcome === "done" ? "\nDone." : "\nStopped. Run it again to go on.",
    `${settled} addresses in ${seconds.toFixed(1)} s, ${total.settled} in all, ${total.dead} not to be had or not for robots.`
  )
})

const Politeness = Fetch.layer({ robots: true, perHost: 8, retries: 5, userAgent: "skein-crawler" })

Main.run(Effect.provide(program, [Db.open("crawl.db"), Politeness]))
