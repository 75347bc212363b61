/**
 * A timeline as Chrome and Perfetto read it. Each task is a track of its own: nestable events with its id, as tasks overlap as they like,
 * which slices of a thread must not. Arrows are bound to events (`bind_id`), as the older kind (`s`, `f`) knows threads alone.
 */
import type { Entry } from "../context/Entry.ts"
import { type Bar, layout, type Mark } from "./page/Layout.ts"

type Event = Readonly<Record<string, unknown>>

export const perfetto = (entries: Iterable<Entry>): string => {
  const { bars, end, marks, wakes } = layout(Array.from(entries))
  const events: Array<Event> = [metadata("process_name", { name: "tasks" })]
  let arrows = 0
  const arrow = (at: number, from: Bar, to: Bar, name: string): Event => {
    const bind_id = `0x${(++arrows).toString(16)}`
    events.push({ ...of(from, "n", at, `${name} ${to.name}`), bind_id, flow_out: true })
    return { bind_id, flow_in: true }
  }

  for (const bar of bars) {
    const { error, group, reason, task } = bar
    const spawner = bar.parent === undefined ? undefined : bars[bar.parent]
    const flow = spawner === undefined ? {} : arrow(bar.start, spawner, bar, "spawns")
    const told = { ...(error !== undefined && { error }), ...(reason !== undefined && { "cancelled because": reason }) }
    events.push({ ...of(bar, "b", bar.start, bar.name), ...flow, args: { task, group, outcome: bar.outcome, ...told } })
    for (const wait of bar.waits) {
      const name = `waits for ${wait.what}`
      events.push(of(bar, "b", wait.from, name), of(bar, "e", wait.to, name))
    }
    if (bar.cancelled !== undefined) {
      events.push({ ...of(bar, "n", bar.cancelled, "is cancelled"), args: { ...(reason !== undefined && { reason }) } })
    }
    // One that had not ended is cut off there, or it would have no length.
    events.push(of(bar, "e", bar.outcome === "running" ? end : bar.end, bar.name))
  }
  for (const { at, from, to } of wakes) {
    const [waker, woken] = [bars[from]!, bars[to]!]
    const flow = arrow(at, waker, woken, "wakes")
    events.push({ ...of(woken, "n", at, `woken by ${waker.name}`), ...flow })
  }
  for (const [i, mark] of marks.entries()) events.push(...ofMark(mark, i))
  // Of one moment, what was said first stays first.
  events.sort((a, b) => (a["ts"] as number) - (b["ts"] as number))
  return JSON.stringify({ displayTimeUnit: "ms", traceEvents: events })
}

const pid = 1
const micros = (millis: number): number => Math.round(millis * 1_000_000) / 1000

const metadata = (name: string, args: Event): Event => ({ ph: "M", ts: 0, pid, tid: 1, name, args })

const of = (bar: Bar, ph: "b" | "e" | "n", at: number, name: string): Event => ({
  ph,
  cat: "task",
  id: `0x${bar.task.toString(16)}`,
  pid,
  tid: 1,
  ts: micros(at),
  name
})

const ofMark = ({ from, kind, stack, text, to }: Mark, index: number): ReadonlyArray<Event> => {
  const common = { cat: kind, id: `0x${index.toString(16)}`, pid, tid: 1, name: text }
  return [
    { ...common, ph: "b", ts: micros(from), ...(stack.length > 0 && { args: { stack: stack.join("\n") } }) },
    { ...common, ph: "e", ts: micros(to) }
  ]
}
