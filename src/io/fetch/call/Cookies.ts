/** Cookies that servers set and want back: within one chain of redirects, or of all requests that share a jar. */
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import type { HttpClient } from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"

/** Where cookies are kept, as the `CookieJar` of `tough-cookie` does it. It may not reject. */
export interface Jar {
  readonly getCookieString: (url: string) => Promise<string>
  readonly setCookie: (cookie: string, url: string, options: StoreOptions) => Promise<unknown>
}

interface StoreOptions {
  /** Whether a cookie that the rules refuse is left out without a word. */
  readonly ignoreError: boolean
  readonly now: Date
}

/**
 * - `"redirects"`, the default: what is set on the way is sent on, and forgotten with the answer
 * - `true`: in one jar of all requests over the same `HttpClient`
 * - a jar of your own
 * - `false`: none is kept
 */
export type Choice = "redirects" | boolean | Jar

/** Throws unless it is a choice, or left out. */
export const check = (option: string, choice: unknown): void => {
  if (choice === undefined || typeof choice === "boolean" || choice === "redirects" || isJar(choice)) return
  throw new TypeError(`${option} must be "redirects", true, false, or a jar with getCookieString and setCookie`)
}

const isJar = (value: unknown): value is Jar =>
  typeof value === "object" &&
  value !== null &&
  "getCookieString" in value &&
  typeof value.getCookieString === "function" &&
  "setCookie" in value &&
  typeof value.setCookie === "function"

/** Those of a chain of redirects, or of all who share them. */
export class Cookies {
  private jar: Jar | Promise<Jar> | undefined

  constructor(jar?: Jar) {
    this.jar = jar
  }

  /** The request with what its host wants back, behind a `Cookie` that it has already. */
  sent(request: HttpClientRequest.HttpClientRequest, url: URL): Effect.Effect<HttpClientRequest.HttpClientRequest> {
    const { jar } = this
    if (jar === undefined) return Effect.succeed(request)
    return Effect.map(
      Effect.promise(async () => (await jar).getCookieString(url.href)),
      (kept) => {
        if (kept === "") return request
        const { cookie } = request.headers
        return HttpClientRequest.setHeader(request, "cookie", cookie === undefined ? kept : `${cookie}; ${kept}`)
      }
    )
  }

  /** Keeps what the `Set-Cookie` headers of an answer from there say, where it may. */
  received(lines: ReadonlyArray<string>, url: URL): Effect.Effect<void> {
    return Effect.flatMap(DateTime.nowAsDate, (now) =>
      Effect.promise(async () => {
        const jar = await (this.jar ??= make())
        for (const line of lines.slice(0, most.lines)) {
          if (line.length <= most.length) await jar.setCookie(line, url.href, { ignoreError: true, now })
        }
      })
    )
  }
}

/** What is kept from the beginning on; undefined where that is nothing, or only what a redirect sets. */
export const kept = (choice: Choice | undefined, client: HttpClient): Cookies | undefined => {
  if (choice === undefined || choice === false || choice === "redirects") return undefined
  if (choice !== true) return new Cookies(choice)
  let cookies = shared.get(client)
  if (cookies === undefined) shared.set(client, (cookies = new Cookies()))
  return cookies
}

const shared = new WeakMap<HttpClient, Cookies>()

/** As in browsers, so that no server can fill the memory. */
const most = { length: 4096, lines: 50, ofDomain: 180, cookies: 3000 }

/** Loaded when the first cookie comes: most answers have none, and the list of public suffixes is long. */
const make = async (): Promise<Jar> => {
  const { CookieJar, MemoryCookieStore } = await import("tough-cookie")
  const store = new MemoryCookieStore()
  const jar = new CookieJar(store)
  let set = 0
  return {
    getCookieString: (url) => jar.getCookieString(url),
    setCookie: async (cookie, url, options) => {
      await jar.setCookie(cookie, url, options)
      // Looking through all of them is not for each.
      if (++set % 100 !== 0) return
      const all = await store.getAllCookies()
      const latest = all.toSorted((a, b) => Number(b.lastAccessed) - Number(a.lastAccessed))
      const kept = new Map<string, number>()
      let left = most.cookies
      for (const { domain, key, path } of latest) {
        const before = kept.get(domain ?? "") ?? 0
        kept.set(domain ?? "", before + 1)
        if (before >= most.ofDomain || left-- <= 0) await store.removeCookie(domain ?? "", path ?? "/", key)
      }
    }
  }
}
