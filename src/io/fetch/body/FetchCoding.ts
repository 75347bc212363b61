/** What `Accept-Encoding` asks for, what `Content-Encoding` says, and `Transfer-Encoding` of what the transport leaves as it is. */
import type { Headers } from "effect/http/Headers"
import { type Compression, isKnown } from "../../codec/Compression.ts"

/** As many as curl undoes: more are no accident. */
const most = 5

const known = new Map<string, Compression>(
  Object.entries({
    gzip: "gzip",
    "x-gzip": "gzip",
    deflate: "deflate",
    br: "brotli",
    zstd: "zstd"
  } as const)
)

let asked: string | undefined

/**
 * What a server is asked for by default: what is undone here, and by every platform's own `fetch` too, which may be below; zstd is
 * not known to all of those.
 */
export const askedFor = (): string =>
  (asked ??= ["gzip", "br"].filter((coding) => isKnown(known.get(coding)!)).join(", ") || "identity")

/**
 * What is to be undone, in that order, or why that cannot be: as in "its body `is coded as …`". A body that is a gzip file
 * itself and comes "as gzip" is left as it is, as in Firefox: servers that say so have not compressed it twice.
 */
export const codingsOf = (headers: Headers): ReadonlyArray<Compression> | string => {
  const names = [...listed(headers["content-encoding"]), ...listed(headers["transfer-encoding"])]
  if (names.length > most) return `is coded ${names.length} times, and no more than ${most} are undone`
  const codings: Array<Compression> = []
  for (const name of names) {
    const coding = known.get(name)
    if (coding === undefined) return `is coded as ${JSON.stringify(name.slice(0, 50))}, which is not known`
    codings.unshift(coding)
  }
  const isFile = codings.length === 1 && codings[0] === "gzip" && isGzipFile(headers["content-type"])
  return isFile ? [] : codings
}

const listed = (header: string | undefined): ReadonlyArray<string> =>
  (header ?? "")
    .split(",")
    .map((name) => name.trim().toLowerCase())
    .filter((name) => name !== "" && name !== "identity" && name !== "chunked")

const isGzipFile = (contentType: string | undefined): boolean =>
  contentType !== undefined && /^\s*application\/(x-)?(gzip|gunzip)\s*(;|$)/i.test(contentType)
