/** What `Fetch` tells the transport below it: where a request may go, by which way, and how long a head it may bring. */
import * as Context from "effect/Context"
import type * as HttpClient from "effect/http/HttpClient"
import * as Redacted from "effect/Redacted"
import { checkWhole } from "../../concurrency/base/Options.ts"
import * as Foreign from "../../concurrency/base/Foreign.ts"

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

/** Read by a transport for each request; one that does not know it goes its own way, see `enforces`. */
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
 * Whether the client does as `Wire` says. Of one that is not known to, as one that wraps another, nothing may be asked
 * that has to hold: `network: "public"`.
 */
export const enforces = (client: HttpClient.HttpClient): boolean => enforcing.has(client)
