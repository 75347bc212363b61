/**
 * A small site as real ones are: its 500 pages link to each other in circles, some have moved, some are gone, one is not in
 * UTF-8, some are not for robots, and now and then it says that it is asked too much.
 *
 *     node docs/examples/crawler/site.ts [port]
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { pathToFileURL } from "node:url"

const pages = 500

const robots = `User-agent: *
Disallow: /private/
Disallow: /*?sort=
Crawl-delay: 0.002
`

/** Where page `n` leads: on in a tree, so that all are found, back, and astray. */
const linksOf = (n: number): ReadonlyArray<string> => [
  ...[2 * n, 2 * n + 1]
    .filter((next) => next <= pages)
    .map((next) => (next % 50 === 0 ? `/old/${next}` : `/page/${next}`)),
  `/page/${Math.max(1, n - 1)}#comments`,
  `${(n % 7) + 1}`,
  ...(n % 40 === 0 ? [`/missing/${n}`, `/private/${n}`, `/page/${n}?sort=date`] : []),
  "https://elsewhere.example/",
  "mailto:webmaster@elsewhere.example"
]

/** What is there, and can be read by robots: each address with its status. */
export const expected = (origin: string): ReadonlyMap<string, number> => {
  const numbers = Array.from({ length: pages }, (_, i) => i + 1)
  return new Map(
    [
      ["/", 301] as const,
      ...numbers.map((n) => [`/page/${n}`, 200] as const),
      ...numbers.filter((n) => n % 50 === 0).map((n) => [`/old/${n}`, 301] as const),
      ...numbers.filter((n) => n % 40 === 0).map((n) => [`/missing/${n}`, 404] as const)
    ].map(([path, status]) => [origin + path, status])
  )
}

const html = (n: number): string => {
  const links = linksOf(n).map((link) => `<li><a class="link" href="${link}">${link}</a></li>`)
  return `<!doctype html><title>Page ${n}</title><ul>${links.join("")}</ul>`
}

/** In windows-1251, and only the page itself says so. */
const russian = Buffer.concat([
  Buffer.from('<meta charset="windows-1251"><title>'),
  Buffer.of(0xd1, 0xf2, 0xf0, 0xe0, 0xed, 0xe8, 0xf6, 0xe0),
  Buffer.from(" 13</title>")
])

const answer = (busy: Set<number>) => (request: IncomingMessage, response: ServerResponse) => {
  const { pathname } = new URL(request.url!, "http://site")
  const [, folder = "", number] = pathname.split("/")
  const n = Number(number)
  const moved = (location: string) => response.writeHead(301, { location }).end()
  if (pathname === "/robots.txt") return response.end(robots)
  if (pathname === "/") return moved("/page/1")
  if (folder === "old") return moved(`/page/${n}`)
  if (folder !== "page" || !(n >= 1 && n <= pages)) return response.writeHead(404).end("There is no such page.")
  if (busy.delete(n)) return response.writeHead(429, { "retry-after": "1" }).end()
  if (n > 250 && n % 13 === 0 && n % 2 === 1)
    return response.writeHead(200, { "content-type": "text/html" }).end(russian)
  return response.writeHead(200, { "content-type": "text/html; charset=utf-8" }).end(html(n))
}

/** Serves it until the process ends; gives its address. */
export const serve = (port: number): Promise<string> =>
  new Promise((ready, failed) => {
    const server = createServer(answer(new Set([400, 480])))
    server.on("error", failed)
    server.listen(port, "127.0.0.1", () => {
      server.unref()
      ready(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
    })
  })

if (import.meta.url === pathToFileURL(process.argv[1]!).href) {
  console.log(await serve(Number(process.argv[2] ?? 0)))
  setInterval(() => {}, 60_000)
}
