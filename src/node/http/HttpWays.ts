/** The ways out: connections kept apart by the network, the proxy and the header limit that requests are sent with. */
import type * as Undici from "@effect/platform-node/Undici"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import type { ClientRequest } from "node:http"
import * as Net from "node:net"
import type * as Tls from "node:tls"
import type { Wire } from "../../io/context/Wire.ts"
import { Connections } from "./Connections.ts"
import * as ProxySettings from "./ProxySettings.ts"
import * as PublicNetwork from "./PublicNetwork.ts"
import * as Tunnel from "./Tunnel.ts"

/** What holds for all connections. */
export interface Options {
  readonly connections: number
  readonly tls: Pick<Tls.ConnectionOptions, "ca" | "cert" | "key">
}

/** How the names of hosts are looked up. */
export const Lookup: Context.Reference<PublicNetwork.Lookup> = Context.Reference("skein/node/Http/Lookup", {
  defaultValue: () => PublicNetwork.system
})

/** Sends requests as one `Wire` says. */
export interface Way {
  readonly maxHeaders: number
  /** Sends a request whose `origin` and `path` are those of the URL; the proxy, where one speaks for its host. */
  readonly dispatch: (
    url: URL,
    options: Undici.Dispatcher.DispatchOptions,
    handler: Undici.Dispatcher.DispatchHandler
  ) => ProxySettings.Proxy | undefined
  /** A form, in the class of undici: it takes no other. */
  readonly form: (data: FormData) => Undici.FormData
}

/** All ways of one client; their connections are closed with the scope. */
export const make = (options: Options): Effect.Effect<Ways, never, Scope.Scope> =>
  Effect.flatMap(Lookup, (lookup) =>
    Effect.acquireRelease(
      Effect.sync(() => new Ways(options, lookup)),
      (made) => Effect.promise(() => made.close())
    )
  )

export class Ways {
  /** Loaded with the first request: it is more than half of what a program loads, and many send nothing. */
  private undici!: typeof Undici
  private isLoaded = false
  private readonly options: Options
  private readonly lookup: PublicNetwork.Lookup
  private readonly environment = ProxySettings.fromEnvironment(process.env)
  private readonly connections = new Map<string, Connections>()
  private readonly opening = new Set<ClientRequest>()
  private readonly made = new WeakMap<Wire, Way>()

  constructor(options: Options, lookup: PublicNetwork.Lookup) {
    this.options = options
    this.lookup = lookup
  }

  /** The way as `wire` says. */
  find(wire: Wire): Effect.Effect<Way> {
    const way = this.get(wire)
    if (way !== undefined) return Effect.succeed(way)
    return Effect.map(
      Effect.promise(() => import("@effect/platform-node/Undici")),
      (undici) => {
        this.undici = undici
        this.isLoaded = true
        return this.known(wire)
      }
    )
  }

  /** The same, where it is there at once. */
  get(wire: Wire): Way | undefined {
    return this.isLoaded ? this.known(wire) : undefined
  }

  private known(wire: Wire): Way {
    let way = this.made.get(wire)
    if (way === undefined) this.made.set(wire, (way = this.make(wire)))
    return way
  }

  close(): Promise<unknown> {
    this.opening.forEach((request) => request.destroy())
    return Promise.all([...this.connections.values()].map((connections) => connections.close()))
  }

  private make(wire: Wire): Way {
    const { maxHeaders, network } = wire
    const settings = this.settings(wire)
    const direct = this.over(wire, "", () => this.direct(network))
    const form: Way["form"] = (data) => {
      const converted = new this.undici.FormData()
      for (const [name, value] of data) converted.append(name, value)
      return converted
    }
    if (settings === undefined) {
      return { form, maxHeaders, dispatch: (_, options, handler) => void direct.dispatch(options, handler) }
    }
    return {
      form,
      maxHeaders,
      dispatch: (url, options, handler) => {
        const proxy = settings(url)
        if (proxy === undefined) return void direct.dispatch(options, handler)
        const key = `${proxy.origin} ${proxy.authorization}`
        // A proxy that speaks for the host looks its name up itself, which nobody has checked.
        if (url.protocol === "https:" || network === "public" || typeof options.upgrade === "string") {
          return void this.over(wire, `to ${key}`, () => this.tunnel(network, proxy)).dispatch(options, handler)
        }
        this.over(wire, `by ${key}`, () => this.toProxy(proxy)).dispatch(forwarded(url, options, proxy), handler)
        return proxy
      }
    }
  }

  private settings({ proxy }: Wire): ProxySettings.Settings | undefined {
    if (proxy === false) return undefined
    if (proxy === "environment") return this.environment
    const one = ProxySettings.proxyOf(Redacted.value(proxy))
    return () => one
  }

  private over(
    { maxHeaders, network }: Wire,
    way: string,
    connect: () => Undici.buildConnector.connector
  ): Connections {
    const key = `${network} ${maxHeaders} ${way}`
    let connections = this.connections.get(key)
    if (connections === undefined) {
      const settings = { connections: this.options.connections, maxHeaders, connect: connect() }
      this.connections.set(key, (connections = new Connections(this.undici, settings)))
    }
    return connections
  }

  private connection(lookup: PublicNetwork.Lookup): Undici.buildConnector.BuildOptions {
    return { timeout: Tunnel.connectTimeout, allowH2: false, lookup, ...this.options.tls }
  }

  private direct(network: Wire["network"]): Undici.buildConnector.connector {
    if (network === "any") return this.undici.buildConnector(this.connection(this.lookup))
    const connect = this.undici.buildConnector(this.connection(PublicNetwork.guarded(this.lookup)))
    return (target, callback) => {
      const refusal = PublicNetwork.literal(target.hostname)
      if (refusal === undefined) return connect(target, callback)
      queueMicrotask(() => callback(refusal, null))
    }
  }

  private tunnel(network: Wire["network"], proxy: ProxySettings.Proxy): Undici.buildConnector.connector {
    return Tunnel.connector({
      proxy,
      tls: this.options.tls,
      secure: this.undici.buildConnector(this.connection(this.lookup)),
      lookup: network === "public" ? PublicNetwork.guarded(this.lookup) : undefined,
      opening: this.opening
    })
  }

  /** Connections to the proxy itself, on which it is spoken to as if it were the host. */
  private toProxy(proxy: ProxySettings.Proxy): Undici.buildConnector.connector {
    const connect = this.undici.buildConnector(this.connection(this.lookup))
    const servername = Net.isIP(proxy.hostname) === 0 ? proxy.hostname : ""
    return (target, callback) =>
      connect({ ...target, servername }, (...[error, socket]) =>
        error === null ? callback(null, socket) : callback(Tunnel.unreachable(proxy, error), null)
      )
  }
}

const forwarded = (
  url: URL,
  options: Undici.Dispatcher.DispatchOptions,
  { authorization, hostname, origin }: ProxySettings.Proxy
): Undici.Dispatcher.DispatchOptions => {
  const headers = {
    host: url.host,
    ...(options.headers as Record<string, string>),
    ...(authorization !== undefined && { "proxy-authorization": authorization })
  }
  // One name for all hosts: with another one, undici would not use a connection again.
  const named: object = { servername: hostname }
  return { ...options, ...named, headers, origin, path: url.origin + url.pathname + url.search }
}
