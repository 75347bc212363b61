/** Answers kept in a database: given again while they are fresh, and what the server is asked by when they are not. */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Encoding from "effect/encoding/Hex"
import * as Headers from "effect/http/Headers"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import type { Outgoing } from "../call/FetchRequest.ts"
import type { CacheTable, Key, Row } from "./CacheTable.ts"
import * as Freshness from "./Freshness.ts"

type Request = HttpClientRequest.HttpClientRequest
type Response = HttpClientResponse.HttpClientResponse

/** The cache that is around, if any. */
export const Current: Context.Reference<HttpCache | undefined> = Context.Reference("skein/Fetch/Cache", {
  defaultValue: (): HttpCache | undefined => undefined
})

/** An answer that is kept. */
export interface Kept {
  readonly key: Key
  readonly row: Row
  readonly headers: Headers.Headers
  /** Whether it is the answer, without asking. */
  readonly isFresh: boolean
}

/** What there is for a request, and where its answer would go. */
export interface Place {
  readonly key: Key
  readonly kept: Kept | undefined
}

export class HttpCache {
  private readonly table: CacheTable

  constructor(table: CacheTable) {
    this.table = table
  }

  /** Undefined for a request that has nothing to do with it. */
  find({ request, url }: Outgoing): Effect.Effect<Place | undefined> {
    const wish = request.method === "GET" ? Freshness.wish(request.headers) : "apart"
    if (wish === "apart") return Effect.undefined
    return Effect.flatMap(keyOf(url, request.headers), (key) =>
      Effect.flatMap(Clock.currentTimeMillis, (now) =>
        Effect.map(this.table.find(key, now), (row): Place => {
          if (row === undefined || !Freshness.isKept(row.status)) return { key, kept: undefined }
          const headers = headersOf(row.headers)
          if (headers === undefined) return { key, kept: undefined }
          const isFresh = wish === "any" && Freshness.isFresh(headers, row.at, now)
          return { key, kept: { key, row, headers, isFresh } }
        })
      )
    )
  }

  /** Keeps what came for it, where that may be kept; else there is nothing for it any more. */
  keep({ key, kept }: Place, outgoing: Outgoing, response: Response, body: Uint8Array): Effect.Effect<void> {
    const { headers, request, status } = response
    const { secret } = outgoing
    if (!Freshness.isKeepable(request.headers, status, headers, secret)) {
      return kept === undefined ? Effect.void : this.table.drop(key)
    }
    return Effect.flatMap(Clock.currentTimeMillis, (now) =>
      this.table.put(key, {
        status,
        headers: JSON.stringify(Freshness.lasting(headers, secret)),
        body,
        size: body.length,
        at: now,
        used: now
      })
    )
  }

  /** After an answer 304: it is as new as if it had come now. */
  renew(kept: Kept, { headers }: Response, secret: ReadonlyArray<string>): Effect.Effect<Kept> {
    const merged = Headers.merge(kept.headers, Headers.fromInput(Freshness.lasting(headers, secret)))
    return Effect.flatMap(Clock.currentTimeMillis, (now) =>
      Effect.as(this.table.touch(kept.key, JSON.stringify(merged), now), { ...kept, headers: merged })
    )
  }

  /** After a request that may have changed what is there. */
  forget({ request, url }: Outgoing): Effect.Effect<void> {
    return safe.has(request.method)
      ? Effect.void
      : Effect.flatMap(keyOf(url, request.headers), ({ target }) => this.table.forget(target))
  }
}

/** The request that asks whether it is still the same. */
export const asking = (request: Request, kept: Kept): Request =>
  HttpClientRequest.setHeaders(request, Freshness.question(kept.headers))

export const isSame = (kept: Kept, response: Response): boolean =>
  response.status === 304 && Freshness.isSame(kept.headers, response.headers)

/** It, as if it had come from the server. */
export const responseOf = (request: Request, { headers, row }: Kept): Response =>
  HttpClientResponse.fromWeb(
    request,
    new Response(row.body.slice(), { status: row.status, headers: { ...headers, "content-length": `${row.size}` } })
  )

/** All that is sent tells answers apart, whatever the server says that they vary by. Secrets in it cannot be read from its hash. */
const keyOf = (url: URL, headers: Headers.Headers): Effect.Effect<Key> => {
  const all = Object.entries(headers).sort(([a], [b]) => (a < b ? -1 : 1))
  return Effect.zipWith(hash(`GET ${url.href}`), hash(JSON.stringify(all)), (target, variant) => ({ target, variant }))
}

const hash = (text: string): Effect.Effect<string> =>
  Effect.map(
    Effect.promise(() => crypto.subtle.digest("SHA-256", new TextEncoder().encode(text))),
    (digest) => Encoding.encode(new Uint8Array(digest))
  )

/** Undefined where they are not what was written. */
const headersOf = (text: string): Headers.Headers | undefined => {
  try {
    const parsed: unknown = JSON.parse(text)
    if (typeof parsed !== "object" || parsed === null) return undefined
    // It throws for what is no header.
    return Headers.fromInput(new globalThis.Headers(parsed as Record<string, string>))
  } catch {
    return undefined
  }
}

const safe: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS", "TRACE"])
