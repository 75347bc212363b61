/**
 * What the page says, in words. This file and those beside it are the script of the page, which takes them by their source: each exports one
 * function that names nothing outside of itself.
 */
import type { Place, TaskView } from "../../../inspect/context/Snapshot.ts"

export interface Words {
  /** On one line, and without what would hide or turn other text. */
  readonly text: (given: unknown) => string
  readonly number: (n: number) => string
  /** `1 task`, `2 tasks`. */
  readonly count: (n: number, one: string) => string
  /** How long, from milliseconds. */
  readonly time: (ms: number) => string
  /** The end of the path. */
  readonly place: (place: Place) => string
  readonly wholePlace: (place: Place) => string
  readonly state: (task: TaskView) => string
  readonly waits: (task: TaskView) => string
}

export const words = (): Words => {
  const text = (given: unknown): string =>
    String(given ?? "")
      .slice(0, 1000)
      .replace(/\s+/g, " ")
      .replace(/[\p{Cc}\p{Cs}\u200B-\u200F\u2028-\u202E\u2060-\u2069\uFEFF]/gu, "·")
      .trim()
  const number = (n: number): string => n.toLocaleString("en", { maximumFractionDigits: 0 })
  const time = (ms: number): string => {
    const seconds = Math.max(0, ms) / 1000
    if (seconds < 0.01) return `${Number((seconds * 1000).toPrecision(2))} ms`
    if (seconds < 1) return `${Math.round(seconds * 1000)} ms`
    if (seconds < 10) return `${seconds.toFixed(1)} s`
    if (seconds < 60) return `${Math.floor(seconds)} s`
    const minutes = Math.floor(seconds / 60)
    if (minutes < 60) return `${minutes}m ${Math.floor(seconds % 60)}s`
    const hours = Math.floor(minutes / 60)
    return hours < 24 ? `${hours}h ${minutes % 60}m` : `${Math.floor(hours / 24)}d ${hours % 24}h`
  }
  return {
    text,
    number,
    count: (n, one) => `${number(n)} ${n === 1 ? one : one.endsWith("ry") ? `${one.slice(0, -1)}ies` : `${one}s`}`,
    time,
    place: ({ file, line }) => `${text(file.split(/[/\\]/).slice(-2).join("/"))}:${line}`,
    wholePlace: ({ column, file, line }) => `${text(file)}:${line}:${column}`,
    state: ({ kind, state, waitsFor, work }) => {
      const does = waitsFor !== null || work?.isRunnable === false ? "waits" : work === null ? "running" : "runs"
      const word = state === "running" ? does : state
      return kind === "daemon" || kind === "service" ? `${kind}, ${word}` : word
    },
    waits: ({ waitsFor }) => text(waitsFor)
  }
}
