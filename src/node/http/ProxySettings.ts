/** Which proxy a request goes by: the one that it names, or what the environment says, as curl reads it. */
import { isProxy } from "../../io/context/Wire.ts"
import { WireError } from "../../io/context/WireError.ts"
import * as Net from "node:net"

export interface Proxy {
  /** Without user and password, as it is shown. */
  readonly origin: string
  readonly secure: boolean
  /** Without the brackets of IPv6. */
  readonly hostname: string
  readonly port: number
  /** The value of `Proxy-Authorization`, where it has a user. */
  readonly authorization: string | undefined
}

/** The proxy of a request to this address, if there is one. Throws where there is one that cannot be used. */
export type Settings = (url: URL) => Proxy | undefined

export const proxyOf = (text: string): Proxy => {
  const { hostname, origin, password, port, protocol, username } = new URL(text)
  const secure = protocol === "https:"
  const user = `${decoded(username)}:${decoded(password)}`
  return {
    origin,
    secure,
    hostname: hostname.replace(/^\[|\]$/g, ""),
    port: port === "" ? (secure ? 443 : 80) : Number(port),
    authorization: user === ":" ? undefined : `Basic ${Buffer.from(user).toString("base64")}`
  }
}

const decoded = (part: string): string => {
  try {
    return decodeURIComponent(part)
  } catch {
    return part
  }
}

export type Environment = Readonly<Record<string, string | undefined>>

/** What the environment says; undefined where it names no proxy. */
export const fromEnvironment = (environment: Environment): Settings | undefined => {
  // A server's CGI programs get the header `Proxy` of a request as HTTP_PROXY: in one of them, a stranger would name it.
  const isCgi = environment["REQUEST_METHOD"] !== undefined
  const http = variable(environment, isCgi ? ["http_proxy"] : ["http_proxy", "HTTP_PROXY"])
  const https = variable(environment, ["https_proxy", "HTTPS_PROXY"])
  const all = variable(environment, ["all_proxy", "ALL_PROXY"])
  const [forHttp, forHttps] = [http ?? all, https ?? all].map((given) => given && memoized(() => named(given)))
  if (forHttp === undefined && forHttps === undefined) return undefined
  const isDirect = exceptions(variable(environment, ["no_proxy", "NO_PROXY"])?.value ?? "")
  return (url) => {
    const proxy = url.protocol === "https:" ? forHttps : forHttp
    return proxy === undefined || isDirect(url) ? undefined : proxy()
  }
}

interface Variable {
  readonly name: string
  readonly value: string
}

const variable = (environment: Environment, names: ReadonlyArray<string>): Variable | undefined => {
  for (const name of names) {
    const value = environment[name]?.trim()
    if (value !== undefined && value !== "") return { name, value }
  }
  return undefined
}

const named = ({ name, value }: Variable): Proxy => {
  // As everywhere, `proxy:3128` is one of HTTP.
  const text = /^[a-z][a-z0-9+.-]*:\/\//i.test(value) ? value : `http://${value}`
  if (isProxy(text)) return proxyOf(text)
  throw new WireError("Connect", `the proxy that ${name} names is no URL with http: or https:, which it has to be`)
}

const memoized = <A>(make: () => A): (() => A) => {
  let made: { readonly value: A } | undefined
  return () => (made ??= { value: make() }).value
}

/** `NO_PROXY`: names with all that is below them, addresses, networks like 10.0.0.0/8, each with a port or without; or `*`. */
const exceptions = (list: string): ((url: URL) => boolean) => {
  const entries = list.split(/[\s,]+/).filter((entry) => entry !== "")
  if (entries.includes("*")) return () => true
  const matches = entries.map(matcher)
  return (url) => {
    const host = url.hostname.replace(/^\[|\]$|\.$/g, "").toLowerCase()
    const port = url.port === "" ? (url.protocol === "https:" ? "443" : "80") : url.port
    return matches.some((match) => match(host, port))
  }
}

const matcher = (entry: string): ((host: string, port: string) => boolean) => {
  const network = /^([^/]+)\/(\d+)$/.exec(entry)
  if (network !== null) return inNetwork(network[1]!, Number(network[2]))
  const [, bracketed, bare, port] = /^(?:\[([^\]]+)\]|([^:]*|.*:.*:.*?))(?::(\d+))?$/.exec(entry) ?? []
  const name = (bracketed ?? bare ?? entry)
    .replace(/^\*?\./, "")
    .replace(/\.$/, "")
    .toLowerCase()
  return (host, ownPort) => {
    if (port !== undefined && port !== ownPort) return false
    return host === name || (Net.isIP(host) === 0 && host.endsWith(`.${name}`))
  }
}

const inNetwork = (address: string, prefix: number): ((host: string) => boolean) => {
  const family = Net.isIP(address)
  const most = family === 6 ? 128 : 32
  if (family === 0 || prefix > most) return () => false
  const list = new Net.BlockList()
  list.addSubnet(address, prefix, family === 6 ? "ipv6" : "ipv4")
  return (host) => Net.isIP(host) === family && list.check(host, family === 6 ? "ipv6" : "ipv4")
}
