/**
 * What happened to tasks, and when, in one form for all that write and read it: the inspector, the test kit, files and pages. An
 * `Entry` is one thing that happened, and a timeline a list of them.
 */
import * as Effect from "effect/Effect"
import type { Entry } from "./context/Entry.ts"
import { html as page } from "./timeline/Html.ts"
import * as Lines from "./timeline/Lines.ts"
import { perfetto as trace } from "./timeline/Perfetto.ts"
import type { BadTimeline } from "./TimelineError.ts"

export type { BlockedEntry, CommitEntry, EndEntry, Entry, TaskEntry } from "./context/Entry.ts"
export { BadTimeline } from "./TimelineError.ts"

/**
 * The entries as JSON Lines behind a line that says the format. Texts of the same format one after another are a timeline too, so
 * a file can be added to.
 *
 * @example
 * ```ts
 * import { Timeline } from "skein/inspect"
 *
 * const text = Timeline.encode([{ kind: "committed", at: 20, run: "cities", rows: 500, took: 3 }])
 *
 * text.split("\n")[0] // => '{"skein-timeline":1}'
 * text.split("\n")[1] // => '{"kind":"committed","at":20,"run":"cities","rows":500,"took":3}'
 * ```
 */
export const encode = (entries: Iterable<Entry>): string => Lines.encode(entries)

/**
 * The entries of such a text, or the first line of it that is none.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { Timeline } from "skein/inspect"
 *
 * const text = Timeline.encode([{ kind: "committed", at: 20, run: "cities", rows: 500, took: 3 }])
 *
 * (await Effect.runPromise(Timeline.decode(text))).length // => 1
 *
 * const bad = await Effect.runPromise(Effect.flip(Timeline.decode('{"skein-timeline":7}')))
 * bad.message // => "Line 1 of the timeline cannot be read: it says format 7, and this version of Skein reads format 1"
 * ```
 */
export const decode = (text: string): Effect.Effect<ReadonlyArray<Entry>, BadTimeline> =>
  Effect.suspend(() => Effect.fromResult(Lines.decode(text)))

/**
 * One HTML file that needs nothing else and opens anywhere: tasks as bars, with waits, wakes, cancellations and failures. It is
 * used by mouse or keyboard, and holds the entries themselves.
 *
 * @example
 * ```ts
 * import { Timeline } from "skein/inspect"
 *
 * const job = { task: 1, name: "job", group: "main", parent: null }
 * const page = Timeline.html(
 *   [
 *     { kind: "started", at: 0, ...job },
 *     { kind: "exited", at: 20, ...job, outcome: "succeeded", duration: 20 }
 *   ],
 *   { title: "The night of the outage" }
 * )
 *
 * page.startsWith("<!doctype html>") // => true
 * ```
 */
export const html = (entries: Iterable<Entry>, options: { readonly title?: string | undefined } = {}): string =>
  page(entries, options.title ?? "Timeline")

/**
 * The same as JSON for Perfetto (https://ui.perfetto.dev) and `chrome://tracing`: a track a task, with arrows from who spawned to who was
 * spawned, and from who woke to who was woken.
 *
 * @example
 * ```ts
 * import { Timeline } from "skein/inspect"
 *
 * const job = { task: 1, name: "job", group: "main", parent: null }
 * const trace = Timeline.perfetto([
 *   { kind: "started", at: 0, ...job },
 *   { kind: "exited", at: 20, ...job, outcome: "succeeded", duration: 20 }
 * ])
 * const { traceEvents } = JSON.parse(trace)
 *
 * traceEvents.map((event: { ph: string }) => event.ph) // => ["M", "b", "e"]
 * ```
 */
export const perfetto = (entries: Iterable<Entry>): string => trace(entries)
