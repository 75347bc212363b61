/**
 * Crawls a site, each of its pages once, whatever happens: kill it at any moment and run it again, and it goes on. It does
 * what robots.txt says, and is never a burden to a host. What it has found is in the tables `pages` and `links` of crawl.db.
 *
 *     node --conditions=skein-source docs/examples/crawler.ts          the 500 pages of crawler/site.ts
 *     node --conditions=skein-source docs/examples/crawler.ts <url>    those of another site
 */
import { Console, Effect, Schema } from "effect"
import { Db, Fetch, Pipeline, Sink, Source } from "skein"
import { Main } from "skein/node"
import { serve } from "./crawler/site.ts"

const Page = Schema.Struct({ url: Schema.String, status: Schema.Int, title: Schema.String, depth: Schema.Int })
const Link = Schema.Struct({ from: Schema.String, to: Schema.String })
const tables = { pages: Db.table("pages", Page), links: Db.table("links", Link) }

/** Addresses to visit, of all hosts in turn: each is visited once, however often it is found. */
const lane = (url: string) => new URL(url).host
const frontier = Source.frontier("addresses", Schema.String, { lane, perLane: 16, maxDepth: 50 })

/** Where a page leads: its links, or the address that it has moved to, as far as they stay on its site. */
const linksOf = ({ headers, text = "", url }: Fetch.Page) => {
  const hrefs = Array.from(text.matchAll(/<a\s[^>]*href="([^"]*)"/g), ([, href]) => href)
  const found = [headers["location"], ...hrefs].map(
    (href) => URL.parse(href ?? "#", url)?.href.replace(/#.*/, "") ?? ""
  )
  return [...new Set(found)].filter((link) => link.startsWith(`${new URL(url).origin}/`))
}

// A page that is gone or has moved is worth a row as well; one that the server could not give now is asked for again.
const get = Fetch.page({ redirects: 0, accept: (status) => !Fetch.isTransient(status) })

/** A page, its links, what is to be visited next, and that this one was visited are one transaction. */
const visit = Effect.fn("visit")(function* (url: string) {
  const page = yield* get(url)
  const links = linksOf(page)
  yield* frontier.add(links)
  const title = /<title>(.*?)<\/title>/.exec(page.text ?? "")?.[1] ?? ""
  const row = { url, status: page.status, title, depth: yield* frontier.depth }
  return { pages: [row], links: links.map((to) => ({ from: url, to })) }
})

const crawl = Pipeline.from(frontier).pipe(
  Pipeline.map(visit, { concurrency: 16, onError: { deadLetter: Schema.String } }),
  Pipeline.to(Sink.route(tables, (rows) => rows))
)
const program = Effect.gen(function* () {
  yield* frontier.add([new URL(process.argv[2] ?? (yield* Effect.promise(() => serve(8642)))).href])
  const progress = { on: ({ rate = 0, settled = 0 }) => Console.log(`${settled} visited, ${rate.toFixed(0)} a second`) }
  const { outcome, seconds, settled, total } = yield* Pipeline.run(crawl, { name: "crawl", progress })
  yield* Console.log(
    outcome === "done" ? "\nDone." : "\nStopped. Run it again to go on.",
    `${settled} addresses in ${seconds.toFixed(1)} s, ${total.settled} in all, ${total.dead} not to be had or not for robots.`
  )
})
const politeness = Fetch.layer({ robots: true, perHost: 8, retries: 5, userAgent: "skein-crawler" })

Main.run(Effect.provide(program, [Db.open("crawl.db"), politeness]))
