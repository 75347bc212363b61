/** What is said over the socket of a process: lines of JSON, each ask answered by one line, events by many. */
import * as Predicate from "effect/Predicate"
import type { Entry, Snapshot } from "../../inspect/Inspect.ts"

export const formatVersion = 1

export type Ask =
  | { readonly ask: "snapshot" }
  | { readonly ask: "events" }
  | { readonly ask: "control"; readonly run: string; readonly partition: string | undefined; readonly do: Control }

export type Control = "pause" | "resume" | "drain"

export type Answer = { readonly formatVersion: number } & (
  | { readonly snapshot: Snapshot }
  | { readonly event: Entry }
  | { readonly done: Control }
  | { readonly error: string }
)

/** Characters of one ask. */
export const longestAsk = 4096

/** The ask in a line, or what is wrong with it. */
export const parse = (line: string): Ask | string => {
  const asked = parsed(line)
  if (!Predicate.isObject(asked)) return "an ask is an object of JSON on one line"
  const { ask, do: verb, run, ...rest } = asked as Readonly<Record<string, unknown>>
  // As a snapshot has it.
  const partition = rest["partition"] ?? undefined
  if (ask === "snapshot" || ask === "events") return { ask }
  if (ask !== "control") return 'ask for "snapshot", "events" or "control"'
  if (typeof run !== "string") return 'a control names its "run"'
  if (partition !== undefined && typeof partition !== "string") return '"partition" is a text'
  if (verb !== "pause" && verb !== "resume" && verb !== "drain") return 'a control is to "pause", "resume" or "drain"'
  return { ask, run, partition, do: verb }
}

const parsed = (line: string): unknown => {
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}
