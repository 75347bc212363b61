/** Whose code a file is: people look for their own. */
import { fileURLToPath } from "node:url"
import type { Place } from "../../inspect/context/Snapshot.ts"

const here = new URL("../../", import.meta.url).href

/** Neither Node's nor that of a package, nor ours. */
export const isOwn = (url: string): boolean =>
  !url.startsWith("node:") && !url.startsWith(here) && !url.includes("/node_modules/")

/** What runs under everything: Node, Effect and ours. */
export const isMachinery = (url: string): boolean =>
  url.startsWith("node:") || url.startsWith(here) || /\/node_modules\/(effect|@effect\/[^/]+)\//.test(url)

/** A place as people name it; V8 counts from 0. */
export const placeOf = (url: string, line: number, column: number): Place => ({
  file: fileOf(url),
  line: line + 1,
  column: column + 1
})

const fileOf = (url: string): string => {
  if (url.startsWith("file:")) {
    try {
      return fileURLToPath(url)
    } catch {
      return url
    }
  }
  // The whole program may stand in it.
  return url.startsWith("data:") ? url.slice(0, url.indexOf(",") + 1) : url
}

/** Those of the program, or all where it has none. */
export const ownFirst = <A extends { readonly url: string }>(all: ReadonlyArray<A>): ReadonlyArray<A> => {
  const own = all.filter(({ url }) => isOwn(url))
  return own.length > 0 ? own : all
}
