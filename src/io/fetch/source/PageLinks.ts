/** Which page follows: by what an answer links to, by a number, an offset or a cursor in its address. */
import type * as Headers from "effect/http/Headers"
import * as Link from "./Link.ts"

/** What a page is known by, besides what is on it. */
export interface Here {
  /** The address that was asked for. */
  readonly url: URL
  readonly status: number
  readonly headers: Headers.Headers
  /** How many items there were. */
  readonly items: number
}

/** The address of the page behind this one, which may be relative to it; undefined behind the last. */
export type Following<in Page> = (page: Page, here: Here) => string | URL | undefined

/**
 * How a page leads to the next:
 * - `"link"`: by its header `Link`, with `rel="next"`
 * - `{ number }`: by a parameter of this name that counts pages, up to one without items; `from` (default 1) is the first
 * - `{ offset }`: by a parameter of this name that counts items, up to a page without any
 * - `{ cursor, of }`: by a parameter of this name that has what `of` finds on the page; nothing there is the end
 * - a function: by the address that it gives
 */
export type Next<Page> =
  | "link"
  | { readonly number: string; readonly from?: number | undefined }
  | { readonly offset: string }
  | { readonly cursor: string; readonly of: (page: Page) => string | number | null | undefined }
  | Following<Page>

export const following = <Page>(next: Next<Page>): Following<Page> => {
  if (next === "link") return (_, { headers }) => Link.find(headers["link"], "next")
  if (typeof next === "function") return next
  if (typeof next === "object" && next !== null) {
    if ("number" in next) {
      const { from = 1, number } = next
      return (_, { items, url }) => (items === 0 ? undefined : counted(url, number, from, 1))
    }
    if ("offset" in next) {
      return (_, { items, url }) => (items === 0 ? undefined : counted(url, next.offset, 0, items))
    }
    if ("cursor" in next) {
      const { cursor, of } = next
      return (page, { url }) => {
        const value = of(page)
        return value === undefined || value === null || value === ""
          ? undefined
          : withParameter(url, cursor, `${value}`)
      }
    }
  }
  throw new TypeError('Fetch.pages: next must be "link", { number }, { offset }, { cursor, of }, or a function')
}

/** The parameter in which a page's address differs from the next. */
export const parameterOf = <Page>(next: Next<Page>): string | undefined => {
  if (typeof next !== "object") return undefined
  return "number" in next ? next.number : "offset" in next ? next.offset : next.cursor
}

const counted = (url: URL, parameter: string, first: number, more: number): URL => {
  const given = url.searchParams.get(parameter)
  const now = given !== null && /^\d+$/.test(given) ? Number(given) : first
  return withParameter(url, parameter, `${now + more}`)
}

const withParameter = (url: URL, parameter: string, value: string): URL => {
  const next = new URL(url)
  next.searchParams.set(parameter, value)
  return next
}
