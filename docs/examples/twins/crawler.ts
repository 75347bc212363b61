/**
 * What crawler.ts does, with p-map, fetch, robots-parser and node:sqlite, level by level. A page, its links and that it was visited
 * are one transaction, so it goes on after a kill.
 *
 *     node docs/examples/twins/crawler.ts          the 500 pages of crawler/site.ts
 *     node docs/examples/twins/crawler.ts <url>    those of another site
 */
import { DatabaseSync } from "node:sqlite"
import { setTimeout as sleep } from "node:timers/promises"
import pMap from "p-map"
import robotsModule from "robots-parser"
import { serve } from "../crawler/site.ts"

// It is the function itself, whatever its types say.
const robotsParser = robotsModule as unknown as typeof robotsModule.default

const agent = "twin-crawler"
const transient = new Set([408, 425, 429, 500, 502, 503, 504])

/** What a host lets robots do, and when it may be asked next. */
const askRobots = async (origin: string) => {
  const url = `${origin}/robots.txt`
  const response = await fetch(url, { headers: { "user-agent": agent }, signal: AbortSignal.timeout(30_000) })
  if (response.status >= 500 || response.status === 429) throw new Error(`${url} answered ${response.status}`)
  const robots = robotsParser(url, response.ok ? await response.text() : "")
  return { robots, delay: (robots.getCrawlDelay(agent) ?? 0) * 1000, free: 0 }
}
const hosts = new Map<string, ReturnType<typeof askRobots>>()
const hostOf = (origin: string) => {
  const known = hosts.get(origin) ?? askRobots(origin)
  hosts.set(origin, known)
  known.catch(() => hosts.delete(origin))
  return known
}

const decode = (body: ArrayBuffer, contentType: string): string => {
  const start = Buffer.from(body, 0, Math.min(1024, body.byteLength)).toString("latin1")
  const charset = /charset=["']?([\w-]+)/i.exec(contentType) ?? /<meta[^>]+charset=["']?([\w-]+)/i.exec(start)
  return new TextDecoder(charset?.[1] ?? "utf-8").decode(body)
}

const get = async (url: string) => {
  const host = await hostOf(new URL(url).origin)
  if (host.robots.isAllowed(url, agent) === false) throw new Error(`${url} is not for robots`)
  for (let attempt = 0; ; attempt++) {
    const wait = host.free - Date.now()
    host.free = Math.max(host.free, Date.now()) + host.delay
    if (wait > 0) await sleep(wait)
    try {
      const response = await fetch(url, {
        redirect: "manual",
        headers: { "user-agent": agent },
        signal: AbortSignal.timeout(30_000)
      })
      const { headers, status } = response
      const body = await response.arrayBuffer()
      if (!transient.has(status)) {
        return { status, location: headers.get("location"), text: decode(body, headers.get("content-type") ?? "") }
      }
      const later = Number(headers.get("retry-after") ?? 0) * 1000
      if (later > 0) host.free = Math.max(host.free, Date.now() + later)
      if (attempt === 5) throw new Error(`${url} answered ${status}`)
    } catch (error) {
      if (attempt === 5) throw error
    }
    await sleep(Math.random() * 250 * 2 ** attempt)
  }
}

/** Where a page leads: its links, or the address that it has moved to, as far as they stay on its site. */
const linksOf = (url: string, { location, text }: Awaited<ReturnType<typeof get>>): ReadonlyArray<string> => {
  const hrefs = Array.from(text.matchAll(/<a\s[^>]*href="([^"]*)"/g), ([, href]) => href!)
  const found = [location ?? "#", ...hrefs].map((href) => URL.parse(href, url)?.href.replace(/#.*/, "") ?? "")
  return [...new Set(found)].filter((link) => link.startsWith(`${new URL(url).origin}/`))
}

const database = new DatabaseSync("crawl.db", { timeout: 10_000 })
database.exec(`
  CREATE TABLE IF NOT EXISTS pages (url TEXT NOT NULL, status INTEGER NOT NULL, title TEXT NOT NULL, depth INTEGER NOT NULL);
  CREATE TABLE IF NOT EXISTS links ("from" TEXT NOT NULL, "to" TEXT NOT NULL);
  CREATE TABLE IF NOT EXISTS addresses (url TEXT PRIMARY KEY, depth INTEGER NOT NULL, done INTEGER NOT NULL, error TEXT)`)
const addPage = database.prepare("INSERT INTO pages VALUES (?, ?, ?, ?)")
const addLink = database.prepare("INSERT INTO links VALUES (?, ?)")
const add = database.prepare("INSERT INTO addresses VALUES (?, ?, 0, NULL) ON CONFLICT DO NOTHING")
const done = database.prepare("UPDATE addresses SET done = 1, error = ? WHERE url = ?")
const next = database.prepare(
  "SELECT url, depth FROM addresses WHERE done = 0 AND depth <= 50 ORDER BY depth LIMIT 1000"
)

const keep = (url: string, depth: number, page: Awaited<ReturnType<typeof get>>) => {
  const links = linksOf(url, page)
  database.exec("BEGIN")
  try {
    addPage.run(url, page.status, /<title>(.*?)<\/title>/.exec(page.text)?.[1] ?? "", depth)
    for (const link of links) {
      addLink.run(url, link)
      add.run(link, depth + 1)
    }
    done.run(null, url)
    database.exec("COMMIT")
  } catch (error) {
    database.exec("ROLLBACK")
    throw error
  }
}

add.run(new URL(process.argv[2] ?? (await serve(8642))).href, 0)
const began = Date.now()
let [visited, told] = [0, Date.now()]
const stop = new AbortController()
process.once("SIGINT", () => stop.abort())

for (let level = next.all(); level.length > 0 && !stop.signal.aborted; level = next.all()) {
  await pMap(
    level,
    async ({ depth, url }) => {
      if (stop.signal.aborted) return
      let page
      try {
        page = await get(String(url))
      } catch (error) {
        done.run(String(error), url!)
      }
      if (page !== undefined) keep(String(url), Number(depth), page)
      visited++
      if (Date.now() - told < 1000) return
      told = Date.now()
      console.log(`${visited} visited, ${((visited * 1000) / (told - began)).toFixed(0)} a second`)
    },
    { concurrency: 16 }
  )
}
const all = database.prepare("SELECT count(*) AS count, count(error) AS dead FROM addresses WHERE done = 1").get()
database.close()
console.log(
  stop.signal.aborted ? "\nStopped. Run it again to go on." : "\nDone.",
  `${visited} addresses in ${((Date.now() - began) / 1000).toFixed(1)} s, ${String(all?.["count"])} in all, ${String(all?.["dead"])} not to be had or not for robots.`
)
