/** Pages that lead to each other, as a source of what is on them: its position is the address of a page, and how many of its items. */
import * as Effect from "effect/Effect"
import * as Headers from "effect/http/Headers"
import type * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { Checksum } from "../../../concurrency/base/Checksum.ts"
import { isHidden, isSecretParameter, mark } from "../../../concurrency/base/Secrets.ts"
import type { Element, Fingerprint, Source } from "../../../pipeline/Source.ts"
import { FetchError } from "../../FetchError.ts"
import type { Answer } from "../call/FetchAttempt.ts"
import { Call, type Options } from "../call/FetchCall.ts"
import { withoutSecrets } from "../call/FetchRequest.ts"
import { shown } from "../call/ShownUrl.ts"
import type { Following, Here } from "./PageLinks.ts"

/** A place between two items: on which page, and behind how many of its items, which are known by a checksum. */
export type PagePosition = {
  readonly page: string
  readonly index: number
  readonly sum: string
}

/** How a page is read, and which follows it. */
export interface Parts<Page, Item, R> {
  readonly decode: (answer: Answer) => Effect.Effect<Page, FetchError, R>
  readonly items: (page: Page) => ReadonlyArray<Item>
  readonly next: Following<Page>
  /** The parameter by which a page leads to the next: no secret, whatever it is called. */
  readonly by: string | undefined
}

export const make = <Page, Item, R>(
  start: string | URL,
  parts: Parts<Page, Item, R>,
  options: Options
): Source<Item, FetchError, HttpClient.HttpClient | R, PagePosition> => {
  const pages = new Pages(start, parts, options)
  return {
    name: shown(`${start}`, options.secretParameters),
    resumable: true,
    size: Effect.succeedNone,
    fingerprint: (upTo) => Effect.succeed(Option.match(upTo, { onNone: () => ({}), onSome: knownBy })),
    changed: (_, upTo) => (Option.isNone(upTo) ? Effect.succeed([]) : pages.changed(upTo.value)),
    read: (after) => Stream.suspend(() => pages.read(Option.getOrUndefined(after)))
  }
}

const knownBy = ({ index, page, sum }: PagePosition): Fingerprint => ({ page, items: index, sum })

interface Read<Page, Item> {
  readonly url: string
  readonly page: Page
  readonly items: ReadonlyArray<Item>
  readonly answer: Answer
}

/** So much of addresses is remembered, in characters, to find out that a page has been there before. */
const mostSeen = 16 * 1024 * 1024
/** No server takes more. */
const longest = 64 * 1024

class Seen {
  private readonly addresses = new Set<string>()
  private left = mostSeen

  has(address: string): boolean {
    return this.addresses.has(address)
  }

  add(address: string): void {
    if (this.left < address.length) return
    this.left -= address.length
    this.addresses.add(address)
  }
}

class Pages<Page, Item, R> {
  private readonly start: string
  private readonly parts: Parts<Page, Item, R>
  private readonly call: Call
  /** For what another origin leads to, which must not learn what is for the first one. */
  private readonly elsewhere: Call
  private readonly secret: ReadonlyArray<string>

  constructor(start: string | URL, parts: Parts<Page, Item, R>, options: Options) {
    const defaults = { accept: "application/json" }
    const headers = withoutSecrets(Headers.fromInput(options.headers), options.secretParameters ?? [])
    this.start = `${start}`
    this.parts = parts
    this.call = new Call(options, defaults)
    this.elsewhere = new Call({ ...options, headers }, defaults)
    this.secret = options.secretParameters ?? []
  }

  read(
    after: PagePosition | undefined
  ): Stream.Stream<Element<Item, PagePosition>, FetchError, HttpClient.HttpClient | R> {
    const seen = new Seen()
    const first = after === undefined ? this.start : this.withSecrets(after.page)
    return Stream.paginate(undefined as Read<Page, Item> | undefined, (last) =>
      Effect.flatMap(last === undefined ? Effect.succeed(first) : this.follow(last, seen), (url) => {
        if (url === undefined) return Effect.succeed([[], Option.none<Read<Page, Item> | undefined>()] as const)
        seen.add(url)
        return Effect.flatMap(this.fetch(url), (read) =>
          Effect.map(
            this.elements(read, last === undefined ? after : undefined),
            (elements) => [elements, Option.some<Read<Page, Item> | undefined>(read)] as const
          )
        )
      })
    )
  }

  /** What is behind a position, where what is before it is still what was read. */
  private elements(
    { answer, items, url }: Read<Page, Item>,
    after: PagePosition | undefined
  ): Effect.Effect<ReadonlyArray<Element<Item, PagePosition>>, FetchError> {
    const page = this.withoutSecrets(url)
    const differs = after === undefined ? undefined : this.differs(items, after)
    if (differs !== undefined) return Effect.fail(answer.error("Changed", differs))
    const start = after?.index ?? 0
    const known = new Checksum(after?.sum)
    const elements = items.slice(start).map((value, i) => {
      const text = textOf(value)
      return { value, position: { page, index: start + i + 1, sum: known.addText(text).text }, bytes: text.length }
    })
    return Effect.succeed(elements)
  }

  private differs(items: ReadonlyArray<Item>, { index, page, sum }: PagePosition): string | undefined {
    const where = shown(page, this.secret)
    if (items.length < index) return `${where} had ${index} items that were read, and it has ${items.length} now`
    const known = new Checksum()
    for (const item of items.slice(0, index)) known.addText(textOf(item))
    return known.text === sum
      ? undefined
      : `the first ${index} items of ${where}, which were read, are not what they were`
  }

  changed(upTo: PagePosition): Effect.Effect<ReadonlyArray<string>, FetchError, HttpClient.HttpClient | R> {
    if (isHidden(upTo.page)) return Effect.succeed([unknown(upTo.page)])
    return Effect.map(this.fetch(this.withSecrets(upTo.page)), ({ items }) => {
      const differs = this.differs(items, upTo)
      return differs === undefined ? [] : [differs]
    })
  }

  private fetch(url: string): Effect.Effect<Read<Page, Item>, FetchError, HttpClient.HttpClient | R> {
    if (url !== this.start && isHidden(url)) return Effect.fail(lost(url))
    const isHome = originOf(url) === originOf(this.start)
    return (isHome ? this.call : this.elsewhere).whole(HttpClientRequest.get(url), (answer) =>
      Effect.map(this.parts.decode(answer), (page) => ({ url, page, items: this.parts.items(page), answer }))
    )
  }

  /** The address of the next page; undefined behind the last. */
  private follow(
    { answer, items, page, url }: Read<Page, Item>,
    seen: Seen
  ): Effect.Effect<string | undefined, FetchError> {
    const { headers, status } = answer.response
    const here: Here = { url: new URL(url), status, headers, items: items.length }
    const given = this.parts.next(page, here)
    if (given === undefined) return Effect.undefined
    // What is relative belongs to where the page came from in the end.
    const base = answer.outgoing.url.href
    if (!URL.canParse(`${given}`, base)) {
      return Effect.fail(answer.error("Decode", `its next page "${shown(`${given}`, this.secret)}" is not a URL`))
    }
    const next = this.credited(new URL(`${given}`, base)).href
    if (next.length > longest) {
      return Effect.fail(answer.error("Decode", `the address of its next page has more than ${longest} characters`))
    }
    return seen.has(next)
      ? Effect.fail(
          answer.error(
            "Decode",
            `its next page ${shown(next, this.secret)} was read before, and would be again for ever`
          )
        )
      : Effect.succeed(next)
  }

  /** The user and password that the first address names are for all of its origin. */
  private credited(url: URL): URL {
    const start = new URL(this.start)
    if (url.origin === start.origin && url.username === "" && url.password === "") {
      url.username = start.username
      url.password = start.password
    }
    return url
  }

  /** What is kept of an address: nothing secret. What is so in the first one is known without, and else only that it was there. */
  private withoutSecrets(url: string): string {
    const kept = new URL(url)
    const start =
      URL.canParse(this.start) && new URL(this.start).origin === kept.origin ? new URL(this.start) : undefined
    if (kept.username + kept.password !== "") {
      const isKnown = kept.username === start?.username && kept.password === start.password
      kept.username = isKnown ? "" : mark
      kept.password = ""
    }
    for (const [name, value] of this.secretsOf(kept)) {
      if (start?.searchParams.get(name) === value) kept.searchParams.delete(name)
      else kept.searchParams.set(name, mark)
    }
    return kept.href
  }

  private withSecrets(page: string): string {
    if (!URL.canParse(page) || !URL.canParse(this.start)) return page
    const start = new URL(this.start)
    const url = new URL(page)
    if (url.origin !== start.origin) return page
    for (const [name, value] of this.secretsOf(start)) {
      if (!url.searchParams.has(name)) url.searchParams.append(name, value)
    }
    return this.credited(url).href
  }

  private secretsOf(url: URL): ReadonlyArray<readonly [name: string, value: string]> {
    return [...url.searchParams].filter(([name]) => name !== this.parts.by && isSecretParameter(name, this.secret))
  }
}

const unknown = (page: string): string => `what is secret in the address ${shown(page)} was not kept`

/** Of a position: where the server has put a secret of its own into the address of a page, nobody can ask for it again. */
const lost = (page: string): FetchError =>
  new FetchError({
    reason: "Changed",
    method: "GET",
    url: shown(page),
    detail: unknown(page),
    retryable: false,
    attempt: 0,
    elapsed: 0
  })

const originOf = (url: string): string => (URL.canParse(url) ? new URL(url).origin : url)

/** What an item is known by: not all that there is of some values, but the same of the same. */
const textOf = (item: unknown): string => {
  try {
    return JSON.stringify(item, (_, value: unknown) => (typeof value === "bigint" ? `${value}n` : value)) ?? ""
  } catch {
    return ""
  }
}
