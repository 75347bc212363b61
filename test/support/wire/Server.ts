/**
 * A process of its own that serves what servers should not: answers that are cut, slow, wrong or endless, by path; the same
 * over TLS with good and bad certificates; and a proxy. It prints the ports that it listens on, and says by `/_seen` on the
 * port `control` what it has seen.
 */
import { readFileSync } from "node:fs"
import * as Http from "node:http"
import * as Net from "node:net"
import * as Tls from "node:tls"
import { gzipSync } from "node:zlib"

interface Asked {
  readonly method: string
  readonly target: string
  readonly path: string
  readonly query: URLSearchParams
  readonly headers: Record<string, string>
  /** How many requests this path has had, this one included. */
  readonly attempt: number
}

interface Seen {
  readonly requests: Array<Asked & { readonly at: string }>
  open: number
  connections: number
}

const seen: Seen = { requests: [], open: 0, connections: 0 }
/** Those whose last request has not been answered whole. */
const busy = new Set<Net.Socket>()
const counts = new Map<string, number>()

/** The head of a request, and the socket to answer on; what is returned is sent, and the connection stays. */
type Answer = (socket: Net.Socket, asked: Asked) => string | Buffer | undefined

const head = (status: string, headers: Record<string, string | number> = {}): string =>
  `HTTP/1.1 ${status}\r\n${Object.entries(headers)
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join("")}\r\n`

const reply = (text: string, headers: Record<string, string | number> = {}, status = "200 OK"): string =>
  head(status, { "content-length": Buffer.byteLength(text), "content-type": "text/plain", ...headers }) + text

const bytes = (text: string): Buffer => Buffer.from(text, "utf8")
const filler = (size: number): string => "x".repeat(size)

const endless = (socket: Net.Socket, piece: string): undefined => {
  const pump = (): void => {
    while (!socket.destroyed && socket.write(piece));
  }
  socket.on("drain", pump)
  pump()
}

/** Of each key, the second that it is in, and how many came in that. */
const taken = new Map<string, { second: number; count: number }>()

/** What `Retry-After` says of the next second, in one of its forms. */
const retryAfter: Readonly<Record<string, (now: number) => Record<string, string>>> = {
  seconds: () => ({ "retry-after": "1" }),
  date: (now) => ({ "retry-after": new Date(now + 1000).toUTCString() }),
  zero: () => ({ "retry-after": "0" }),
  none: () => ({})
}

const answers: Readonly<Record<string, Answer>> = {
  "/ok": () => reply("ok"),
  "/echo": (_, { headers, method, target }) => reply(JSON.stringify({ method, target, headers })),
  "/slow-head": () => undefined,
  "/slow-half-head": (socket) => void socket.write("HTTP/1.1 200 OK\r\ncontent-le"),
  "/slow-body": (socket) => void socket.write(`${head("200 OK", { "content-length": 10 })}12345`),
  "/half-closed": (socket) => void socket.end(`${head("200 OK", { "content-length": 10 })}12345`),
  "/half-closed-head": (socket) => void socket.end("HTTP/1.1 200 OK\r\ncontent-le"),
  "/closed": (socket) => void socket.end(),
  "/reset": (socket) => void socket.resetAndDestroy(),
  "/long": () => `${head("200 OK", { "content-length": 5 })}1234567890`,
  "/chunk-cut": (socket) => void socket.end(`${head("200 OK", { "transfer-encoding": "chunked" })}5\r\n12345\r\n`),
  "/chunk-bad": (socket) =>
    void socket.end(`${head("200 OK", { "transfer-encoding": "chunked" })}5\r\n12345\r\nzz\r\n`),
  "/gzip-cut": () => {
    const cut = gzipSync("the whole text that is not there").subarray(0, 20)
    return Buffer.concat([bytes(head("200 OK", { "content-encoding": "gzip", "content-length": cut.length })), cut])
  },
  "/until-closed": (socket) => void socket.end(`${head("200 OK")}12345`),
  "/1xx-endless": (socket) => endless(socket, head("103 Early Hints", { link: "</a.css>; rel=preload" })),
  "/1xx-few": () => head("102 Processing").repeat(3) + reply("ok"),
  "/100": () => head("100 Continue") + reply("ok"),
  "/101": () => head("101 Switching Protocols", { upgrade: "other", connection: "upgrade" }),
  "/head": (_, { query }) => reply("ok", { "x-long": filler(Number(query.get("size"))) }),
  "/head-many": (_, { query }) =>
    reply(
      "ok",
      Object.fromEntries(Array.from({ length: Number(query.get("count")) }, (_, n) => [`x-${n}`, filler(90)]))
    ),
  "/head-endless": (socket) => {
    socket.write("HTTP/1.1 200 OK\r\n")
    return endless(socket, `x-more: ${filler(1000)}\r\n`)
  },
  "/bare-lf": () => "HTTP/1.1 200 OK\ncontent-length: 2\n\nok",
  "/folded": () => "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nx-folded: one\r\n two\r\n\r\nok",
  "/same-lengths": () => "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 2\r\n\r\nok",
  "/other-lengths": () => "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nok",
  "/length-and-chunks": () =>
    "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
  "/status": (_, { query }) => {
    const status = query.get("of")
    return reply("ok", status === "206" ? { "content-range": "bytes 0-1/100" } : {}, `${status} Odd`)
  },
  "/length": (_, { query }) => `${head("200 OK", { "content-length": query.get("of") ?? "" })}12345`,
  "/http-2": (socket) => void socket.end(Buffer.concat([Buffer.from([0, 0, 18, 4, 0, 0, 0, 0, 0]), Buffer.alloc(18)])),
  "/tls-alert": (socket) => void socket.end(Buffer.from([21, 3, 1, 0, 2, 2, 40])),
  "/chunk-huge": () => `${head("200 OK", { "transfer-encoding": "chunked" })}ffffffffffffffffff\r\n12345\r\n0\r\n\r\n`,
  "/chunk-extensions": () =>
    `${head("200 OK", { "transfer-encoding": "chunked" })}5;${filler(100_000)}\r\n12345\r\n0\r\n\r\n`,
  "/trailers": () =>
    `${head("200 OK", { "transfer-encoding": "chunked", trailer: "x" })}5\r\n12345\r\n0\r\nx: y\r\n\r\n`,
  "/trailers-endless": (socket) => {
    socket.write(`${head("200 OK", { "transfer-encoding": "chunked" })}5\r\n12345\r\n0\r\n`)
    return endless(socket, `x-more: ${filler(1000)}\r\n`)
  },
  "/transfer": (socket, { query }) => {
    const coding = query.get("coding") ?? ""
    const body = gzipSync("hello")
    const chunks = coding.includes("chunked")
      ? [bytes(`${body.length.toString(16)}\r\n`), body, bytes("\r\n0\r\n\r\n")]
      : [body]
    return void socket.end(Buffer.concat([bytes(head("200 OK", { "transfer-encoding": coding })), ...chunks]))
  },
  "/codings": (_, { query }) =>
    reply("ok", { "content-encoding": Array.from({ length: Number(query.get("count")) }, () => "gzip").join(", ") }),
  "/header-nul": () => reply("ok", { "x-nul": "a\0b" }),
  "/header-prototype": () => reply("ok", { ["__proto__"]: "polluted", constructor: "polluted", polluted: "yes" }),
  "/two-answers": () => reply("ok") + reply("evil"),
  "/head-with-body": (socket) => void socket.write(reply("ok")),
  "/stalled": (socket, { query }) => {
    const length = { "content-length": 1000, "content-type": "text/plain" }
    socket.write(`${head(`${query.get("status")} Odd`, { ...length, location: "/ok" })}the beginning`)
  },
  "/repeat": (_, { headers, method, query, target }) => {
    const { authorization = "" } = headers
    const user = authorization.startsWith("Basic ") ? Buffer.from(authorization.slice(6), "base64").toString() : ""
    const before = filler(Number(query.get("before")))
    const text = `${before}${method} ${target} ${JSON.stringify({ ...headers, user })}${filler(500)}`
    return reply(text, {}, `${query.get("status") ?? 404} Odd`)
  },
  "/numbers": (_, { query }) => {
    const n = Number(query.get("n"))
    return reply(JSON.stringify({ items: [n], next: `/numbers?n=${n + 1}` }), { "content-type": "application/json" })
  },
  "/limited": (_, { query }) => {
    const [key, form] = [query.get("key") ?? "", query.get("form") ?? ""]
    const now = Date.now()
    const second = Math.floor(now / 1000)
    const before = taken.get(key)
    const count = before?.second === second ? before.count + 1 : 1
    taken.set(key, { second, count })
    return count <= 10 ? reply("ok") : reply("no", retryAfter[form]?.(now) ?? {}, "429 Too Many Requests")
  },
  "/no-http": (socket) => void socket.end("SSH-2.0-OpenSSH_9.7\r\n"),
  "/http-0.9": (socket) => void socket.end("<html>hello</html>"),
  "/location": (_, { query }) => {
    const places = query.getAll("to").map((to) => `location: ${to}\r\n`)
    return bytes(`HTTP/1.1 ${query.get("status") ?? 302} Found\r\n${places.join("")}content-length: 0\r\n\r\n`)
  },
  "/location-latin1": () => Buffer.from("HTTP/1.1 302 Found\r\nlocation: /café\r\ncontent-length: 0\r\n\r\n", "latin1"),
  "/link": () =>
    bytes("HTTP/1.1 200 OK\r\nlink: </café>; rel=next\r\nlink: </b>; rel=prev\r\ncontent-length: 2\r\n\r\nok"),
  "/429": (_, { attempt, query }) =>
    attempt === 1 ? reply("", { "retry-after": query.get("after") ?? "" }, "429 Too Many Requests") : reply("ok"),
  "/login": (_, { query }) => {
    const given = query.getAll("cookie")
    const cookies = (given.length > 0 ? given : ["session=yes"]).map((cookie) => `set-cookie: ${cookie}\r\n`)
    return `HTTP/1.1 302 Found\r\n${cookies.join("")}location: ${query.get("to") ?? "/page"}\r\ncontent-length: 0\r\n\r\n`
  },
  "/page": (_, { headers }) =>
    headers["cookie"] === undefined ? reply("", { location: "/login" }, "302 Found") : reply(headers["cookie"]),
  "/upgrade": (socket) => {
    socket.removeAllListeners("data")
    socket.on("data", (data) => socket.write(data))
    return head("101 Switching Protocols", { upgrade: "echo", connection: "upgrade" })
  },
  "/set-many": (_, { query }) => {
    const cookies = Array.from({ length: Number(query.get("count")) }, (_, n) => `set-cookie: a${n}=1\r\n`)
    return `HTTP/1.1 200 OK\r\n${cookies.join("")}content-length: 2\r\n\r\nok`
  },
  "/set": (_, { query }) => reply("ok", { "set-cookie": query.get("cookie") ?? "" })
}

const answer = (socket: Net.Socket, at: string, text: string): void => {
  const [line = "", ...lines] = text.split("\r\n")
  const [method = "", target = "/"] = line.split(" ")
  const url = new URL(target, "http://server")
  const attempt = (counts.get(url.pathname) ?? 0) + 1
  counts.set(url.pathname, attempt)
  const headers = Object.fromEntries(
    lines
      .filter((each) => each !== "")
      .map((each) => [each.slice(0, each.indexOf(":")).toLowerCase(), each.slice(each.indexOf(":") + 1).trim()])
  )
  const asked: Asked = { method, target, path: url.pathname, query: url.searchParams, headers, attempt }
  seen.requests.push({ ...asked, at })
  const make = answers[url.pathname] ?? ((_, { path }) => reply(path))
  busy.add(socket)
  const made = make(socket, asked)
  if (made !== undefined) busy.delete(socket)
  if (made !== undefined && !socket.destroyed)
    socket.write(method === "HEAD" ? String(made).split("\r\n\r\n")[0] + "\r\n\r\n" : made)
}

const counted = (socket: Net.Socket): void => {
  seen.open += 1
  seen.connections += 1
  socket.on("close", () => (seen.open -= 1))
}

const served =
  (at: string) =>
  (socket: Net.Socket): void => {
    if (!(socket instanceof Tls.TLSSocket)) counted(socket)
    socket.on("error", () => {})
    socket.on("close", () => busy.delete(socket))
    let text = ""
    socket.on("data", (data) => {
      text += data.toString("latin1")
      for (;;) {
        const end = text.indexOf("\r\n\r\n")
        if (end < 0) return
        const request = text.slice(0, end)
        const length = Number(/\r\ncontent-length: *(\d+)/i.exec(request)?.[1] ?? 0)
        if (text.length < end + 4 + length) return
        text = text.slice(end + 4 + length)
        answer(socket, at, request)
      }
    })
  }

const listen = (server: Net.Server | Http.Server, host = "127.0.0.1"): Promise<number> =>
  new Promise((done, fail) => {
    server.once("error", fail)
    server.listen(0, host, () => done((server.address() as Net.AddressInfo).port))
  })

const read = (name: string): Buffer => readFileSync(new URL(`tls/${name}`, import.meta.url))
const secure = (name: string, serve: (socket: Net.Socket) => void): Net.Server =>
  Tls.createServer({ cert: read(`${name}.crt`), key: read(`${name}.key`) }, serve)
    .on("connection", counted)
    .on("tlsClientError", () => {})

/** A proxy for both ways: `CONNECT`, and requests with whole URLs. With a user, it asks who is there. */
const proxied = (
  name: string,
  { user, refusal }: { readonly user?: string; readonly refusal?: string } = {}
): ((client: Net.Socket) => void) => {
  const admits = (headers: Record<string, string>): boolean =>
    user === undefined || headers["proxy-authorization"] === `Basic ${Buffer.from(user).toString("base64")}`
  return (client) => {
    client.on("error", () => {})
    client.once("data", (first) => {
      const text = first.toString("latin1")
      const [line = "", ...lines] = text.slice(0, text.indexOf("\r\n\r\n")).split("\r\n")
      const [method = "", target = ""] = line.split(" ")
      const headers = Object.fromEntries(
        lines.map((each) => [each.slice(0, each.indexOf(":")).toLowerCase(), each.slice(each.indexOf(":") + 1).trim()])
      )
      seen.requests.push({ method, target, path: target, query: new URLSearchParams(), headers, attempt: 0, at: name })
      if (refusal === "silence") return
      if (refusal === "closed") return void client.destroy()
      if (refusal !== undefined) return void client.end(reply("no", { connection: "close" }, refusal))
      if (!admits(headers)) {
        return void client.end(reply("who?", { "proxy-authenticate": "Basic", connection: "close" }, "407 Who"))
      }
      const url = new URL(method === "CONNECT" ? `http://${target}` : target)
      // All that it is asked for is here: names that no resolver knows, and addresses that nobody should be bothered at.
      const host = url.hostname === "[::1]" ? "::1" : "127.0.0.1"
      const server = Net.connect({ port: Number(url.port || 80), host })
      server.on("error", () => client.destroy())
      server.on("close", () => client.destroy())
      client.on("close", () => server.destroy())
      if (method === "CONNECT") client.write("HTTP/1.1 200 Connected\r\n\r\n")
      else server.write(text.replace(target, url.pathname + url.search))
      server.pipe(client)
      client.pipe(server)
    })
  }
}

const proxy = (...settings: Parameters<typeof proxied>): Net.Server =>
  Net.createServer(proxied(...settings)).on("connection", counted)

const control = Http.createServer((request, response) => {
  if (request.url === "/_clear") {
    seen.requests.length = 0
    counts.clear()
  }
  const { connections, open } = seen
  const requests = seen.requests.map((each) => ({ ...each, query: String(each.query) }))
  response.setHeader("connection", "close")
  response.end(JSON.stringify({ busy: busy.size, connections, open, requests }))
})

const plain = (): Net.Server => Net.createServer({ allowHalfOpen: false }, served("plain"))
const six = await listen(plain(), "::1").catch(() => 0)
const ports = {
  control: await listen(control),
  plain: await listen(plain()),
  six,
  valid: await listen(secure("valid", served("valid"))),
  expired: await listen(secure("expired", served("expired"))),
  other: await listen(secure("other", served("other"))),
  banner: await listen(
    Net.createServer((socket) => {
      counted(socket)
      socket.on("error", () => {}).resume()
      socket.write("SSH-2.0-OpenSSH_9.7\r\n")
    })
  ),
  proxy: await listen(proxy("proxy")),
  secureProxy: await listen(secure("valid", proxied("secureProxy"))),
  askingProxy: await listen(proxy("askingProxy", { user: "me:p@ss" })),
  refusingProxy: await listen(proxy("refusingProxy", { refusal: "403 Forbidden" })),
  brokenProxy: await listen(proxy("brokenProxy", { refusal: "502 Bad Gateway" })),
  silentProxy: await listen(proxy("silentProxy", { refusal: "silence" })),
  closingProxy: await listen(proxy("closingProxy", { refusal: "closed" }))
}
console.log(`ports ${JSON.stringify(ports)}`)
