/** What an answer says of being kept and given again (RFC 9111), to a cache that one program has for itself. */
import type * as Headers from "effect/http/Headers"
import { isSecret } from "../call/ShownUrl.ts"

/** How a request is treated: as if there were no cache, asked of the server in any case, or given where that is fresh. */
export const wish = (headers: Headers.Headers): "apart" | "asked" | "any" => {
  const control = directives(headers["cache-control"])
  if (control.has("no-store") || conditional.some((name) => headers[name] !== undefined)) return "apart"
  return control.has("no-cache") || control.has("max-age") || headers["pragma"] !== undefined ? "asked" : "any"
}

/** Whether answers of this status are kept. */
export const isKept = (status: number): boolean => statuses.has(status)

/** Whether it may be kept, and would be of use: fresh for a while, or with something to ask by. */
export const isKeepable = (
  request: Headers.Headers,
  status: number,
  headers: Headers.Headers,
  secret: ReadonlyArray<string>
): boolean => {
  const control = directives(headers["cache-control"])
  if (!isKept(status) || control.has("no-store")) return false
  // A cookie or a token may be another one the next time, without a header that would tell.
  if (!control.has("public") && Object.keys(request).some((name) => isSecret(name, secret))) return false
  if (/(^|,)\s*(\*|cookie)\s*(,|$)/i.test(headers["vary"] ?? "")) return false
  return headers["etag"] !== undefined || headers["last-modified"] !== undefined || lifetime(headers) > 0
}

/** Whether an answer that came at `at` may be given without asking, in milliseconds since the epoch. */
export const isFresh = (headers: Headers.Headers, at: number, now: number): boolean => {
  if (directives(headers["cache-control"]).has("no-cache")) return false
  const since = timeOf(headers["date"])
  const age = Math.max(seconds(headers["age"]) ?? 0, Number.isNaN(since) ? 0 : at - since)
  return now >= at && now - at + age < lifetime(headers)
}

/** What asks whether it is still the same. */
export const question = (headers: Headers.Headers): Record<string, string> => {
  const { etag, "last-modified": modified } = headers
  return {
    ...(etag !== undefined && { "if-none-match": etag }),
    ...(modified !== undefined && { "if-modified-since": modified })
  }
}

/** Whether an answer 304 is about the one that is kept. */
export const isSame = (kept: Headers.Headers, { etag }: Headers.Headers): boolean =>
  etag === undefined || kept["etag"]?.replace(/^W\//, "") === etag.replace(/^W\//, "")

/** Headers that stay true of a body that is undone of its codings, and hold nothing that is for this time alone. */
export const lasting = (headers: Headers.Headers, secret: ReadonlyArray<string>): Record<string, string> => {
  const passing = new Set(headers["connection"]?.toLowerCase().split(/\s*,\s*/))
  return Object.fromEntries(
    Object.entries(headers).filter(([name]) => !ofTransfer.test(name) && !passing.has(name) && !isSecret(name, secret))
  )
}

/** In milliseconds. What nobody says is not guessed. */
const lifetime = (headers: Headers.Headers): number => {
  const control = directives(headers["cache-control"])
  if (control.has("max-age")) return seconds(control.get("max-age")) ?? 0
  const expires = timeOf(headers["expires"])
  const since = timeOf(headers["date"])
  return Number.isNaN(expires) || Number.isNaN(since) ? 0 : expires - since
}

/** A date begins with its day; `Date` takes a 0 for the year 2000. */
const timeOf = (text = ""): number => (/^[a-z]{3}/i.test(text) ? Date.parse(text) : NaN)

const seconds = (text: string | undefined): number | undefined =>
  text !== undefined && /^\d+$/.test(text.trim()) ? Number(text) * 1000 : undefined

/** The first of each name. */
const directives = (header: string | undefined): ReadonlyMap<string, string> => {
  const found = new Map<string, string>()
  for (const [, name = "", quoted, bare] of (header ?? "").matchAll(/([\w-]+)(?:\s*=\s*(?:"([^"]*)"|([^\s,]*)))?/g)) {
    const key = name.toLowerCase()
    if (!found.has(key)) found.set(key, quoted ?? bare ?? "")
  }
  return found
}

const conditional = ["if-none-match", "if-modified-since", "if-match", "if-unmodified-since", "if-range", "range"]
const statuses: ReadonlySet<number> = new Set([200, 203, 404, 410])
const ofTransfer =
  /^(connection|content-encoding|content-length|keep-alive|proxy-.*|te|trailer|transfer-encoding|upgrade)$/
