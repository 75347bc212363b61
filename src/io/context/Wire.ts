/** What `Fetch` tells the transport below it: where a request may go, by which way, and how long a head it may bring. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Cookies from "effect/http/Cookies"
import type * as HttpClient from "effect/http/HttpClient"
import * as HttpClientError from "effect/http/HttpClientError"
import type { HttpClientRequest } from "effect/http/HttpClientRequest"
import type { HttpClientResponse } from "effect/http/HttpClientResponse"
import * as Redacted from "effect/Redacted"
import { checkWhole } from "../../concurrency/base/Options.ts"
import * as Foreign from "../../concurrency/base/Foreign.ts"
import { WireError } from "./WireError.ts"

/** As in a policy; what is left out is as `standard` says. */
export interface Options {
  /**
   * Which addresses are connected to, default "any". With "public", private, loopback, link-local, metadata and other
   * addresses that are not of the public internet are refused, after the name was looked up and on each redirect.
   */
  readonly network?: "any" | "public" | undefined
  /**
   * Default "environment": by `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY`, as curl reads them. A URL names the
   * proxy of every request, `http://user:password@proxy:3128`; false is none.
   */
  readonly proxy?: "environment" | false | string | Redacted.Redacted | undefined
  /** The most bytes of headers that an answer may have, default 64 KiB. */
  readonly maxHeaders?: number | undefined
}

export interface Wire {
  readonly network: "any" | "public"
  readonly proxy: "environment" | false | Redacted.Redacted
  readonly maxHeaders: number
}

const standard: Wire = { network: "any", proxy: "environment", maxHeaders: 64 * 1024 }

/** Read by a transport for each request; one that does not know it goes its own way, see `execute`. */
export const Wire: Context.Reference<Wire> = Context.Reference("skein/Fetch/Wire", { defaultValue: () => standard })

/** The wire of these options, and undefined where they say nothing. Throws where one is wrong. */
export const make = (where: string, options: Options): Wire | undefined => {
  const { network, proxy, maxHeaders } = options
  checkWhole(`${where}: maxHeaders`, maxHeaders, 1)
  if (network !== undefined && network !== "any" && network !== "public") {
    throw new RangeError(`${where}: network must be "any" or "public"; got ${Foreign.describe(network)}`)
  }
  if (network === undefined && proxy === undefined && maxHeaders === undefined) return undefined
  return {
    network: network ?? standard.network,
    proxy: proxy === undefined ? standard.proxy : checkProxy(`${where}: proxy`, proxy),
    maxHeaders: maxHeaders ?? standard.maxHeaders
  }
}

const checkProxy = (option: string, proxy: Exclude<Options["proxy"], undefined>): Wire["proxy"] => {
  if (proxy === false || proxy === "environment") return proxy
  const text = typeof proxy === "string" ? proxy : Redacted.isRedacted(proxy) ? Redacted.value(proxy) : undefined
  // No part of it is shown: it may hold a password.
  if (typeof text !== "string" || !isProxy(text)) {
    throw new RangeError(`${option} must be false, "environment", or a URL like "http://proxy.example:3128"`)
  }
  return Redacted.make(text)
}

/** Whether it is the address of a proxy that the transport can speak to. */
export const isProxy = (text: string): boolean => {
  if (!URL.canParse(text)) return false
  const { protocol, hostname } = new URL(text)
  return (protocol === "http:" || protocol === "https:") && hostname !== ""
}

const enforcing = new WeakSet<object>()

/** Says of a client that it does as `Wire` says. */
export const enforced = <C extends HttpClient.HttpClient>(client: C): C => {
  enforcing.add(client)
  return client
}

/**
 * Sends a request by a wire. `network: "public"` is asked of nobody who is not known to keep it, as a client that wraps
 * another: what it does not know, it would leave open.
 */
export const execute = (
  client: HttpClient.HttpClient,
  request: HttpClientRequest,
  wire: Wire | undefined
): ReturnType<HttpClient.HttpClient["execute"]> => {
  if (wire === undefined) return client.execute(request)
  if (wire.network === "public" && !enforcing.has(client)) {
    const cause = new WireError("Blocked", '`network` is "public", and only the client of `Http.layer` itself keeps it')
    const reason = new HttpClientError.TransportError({ request, cause })
    return Effect.fail(new HttpClientError.HttpClientError({ reason }))
  }
  return Effect.provideService(client.execute(request), Wire, wire)
}

/** Of an answer: its `Set-Cookie` headers as they came. Effect's own reading of them holds one of each name. */
export const setCookies: unique symbol = Symbol.for("skein/Fetch/setCookies")

export const setCookiesOf = (response: HttpClientResponse): ReadonlyArray<string> => {
  const raw = (response as { readonly [setCookies]?: ReadonlyArray<string> })[setCookies]
  if (raw !== undefined) return raw
  const read = Cookies.toSetCookieHeaders(response.cookies)
  const header = response.headers["set-cookie"]
  return read.length > 0 || header === undefined ? read : [header]
}
