/** Timelines for tests. */
import type { Timeline } from "skein/inspect"

/** Markup, scripts, line breaks, halves of characters and what a terminal obeys, as the name of something. */
export const hostile =
  "</script><script>globalThis.broken=1</script><!--<script> ]]> \" ' & \u2028 \r\n \uD800 \u001B[31m </title><img src=x onerror=broken=1>"

const at = 1_700_000_000_000
const main = { task: 1, name: "main", group: "main", parent: null }
const job = { task: 2, name: "job", group: "main", parent: 1 }
const other = { task: 3, name: hostile, group: hostile, parent: 1 }

/** Of every kind, and hostile. */
export const everything: ReadonlyArray<Timeline.Entry> = [
  { kind: "started", at, ...main },
  { kind: "spawned", at: at + 0.25, ...job },
  { kind: "started", at: at + 0.5, ...job },
  { kind: "spawned", at: at + 1, ...other },
  { kind: "started", at: at + 1, ...other },
  { kind: "suspended", at: at + 2, ...job, what: "a permit of limiter db" },
  { kind: "resumed", at: at + 5, ...job, by: 3 },
  { kind: "suspended", at: at + 5, ...other, what: hostile },
  { kind: "committed", at: at + 6, run: hostile, rows: 500, took: 0.5 },
  { kind: "blocked", at: at + 12, task: 2, name: hostile, took: 5, stack: [hostile, "at run (file.ts:1:2)"] },
  { kind: "blocked", at: at + 13, task: null, name: null, took: 1, stack: [] },
  { kind: "lost", at: at + 13, count: 7 },
  { kind: "exited", at: at + 14, ...job, outcome: "failed", duration: 13.5, error: hostile },
  { kind: "cancelling", at: at + 15, ...other, what: "its sibling failed" },
  { kind: "exited", at: at + 16, ...other, outcome: "cancelled", duration: 15 },
  { kind: "exited", at: at + 20, ...main, outcome: "succeeded", duration: 20 }
]

/** Tasks that wait and wake one another, `waits` times each. */
export const many = (tasks: number, waits: number): ReadonlyArray<Timeline.Entry> =>
  Array.from({ length: tasks }, (_, i): ReadonlyArray<Timeline.Entry> => {
    const task = { task: i, name: `task ${i}`, group: `group ${i % 10}`, parent: i === 0 ? null : Math.floor(i / 10) }
    const begin = at + i
    return [
      { kind: "spawned", at: begin, ...task },
      { kind: "started", at: begin, ...task },
      ...Array.from({ length: waits }, (_, wait): ReadonlyArray<Timeline.Entry> => [
        { kind: "suspended", at: begin + wait * 4 + 1, ...task, what: "a permit of limiter db" },
        { kind: "resumed", at: begin + wait * 4 + 3, ...task, by: (i * 7) % tasks }
      ]).flat(),
      {
        kind: "exited",
        at: begin + waits * 4 + 5,
        ...task,
        outcome: i % 100 === 3 ? "failed" : i % 50 === 4 ? "cancelled" : "succeeded",
        duration: waits * 4 + 5
      }
    ]
  }).flat()
