/** A cache makes room before it puts in what it has loaded. Two loads that end at once make the same room. */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { Choices } from "skein/testing"

const capacity = 2

type Put = (cache: Map<string, string>, key: string, value: string) => Effect.Effect<unknown>

interface Load {
  readonly key: string
  readonly starts: Duration.Input
  readonly takes: Choices.Latency
}

const server = (loads: ReadonlyArray<Load>) => (put: Put) =>
  Effect.gen(function* () {
    const cache = new Map<string, string>()
    const get = ({ key, starts, takes }: Load) =>
      Effect.gen(function* () {
        yield* Effect.sleep(starts)
        if (cache.has(key)) return
        yield* Choices.latency(takes)
        yield* put(cache, key, "loaded")
      }).pipe(Effect.withSpan(key))
    yield* Effect.forEach(loads, get, { concurrency: "unbounded", discard: true })
    if (cache.size > capacity) return yield* Effect.fail(`${cache.size} entries, where room is for ${capacity}`)
  })

const broken: Put = (cache, key, value) =>
  Effect.gen(function* () {
    const [oldest] = cache.size < capacity ? [] : yield* Effect.sync(() => [...cache.keys()])
    if (oldest !== undefined) yield* Effect.sync(() => cache.delete(oldest))
    yield* Effect.sync(() => cache.set(key, value))
  })

/** Makes room and fills it in one step. */
const fixed: Put = (cache, key, value) =>
  Effect.sync(() => {
    cache.set(key, value)
    if (cache.size <= capacity) return
    const [oldest] = cache.keys()
    cache.delete(oldest!)
  })

const twins = (loads: ReadonlyArray<Load>) => ({ broken: server(loads)(broken), fixed: server(loads)(fixed) })

/** Begun together, and each takes another time. */
export const distinct = twins([
  { key: "ann", starts: 0, takes: "10 millis" },
  { key: "ben", starts: 0, takes: "17 millis" },
  { key: "cai", starts: 0, takes: "25 millis" },
  { key: "dee", starts: 0, takes: "32 millis" }
])

/** Each takes the same time, but they do not begin together. */
export const apart = twins([
  { key: "ann", starts: 0, takes: "10 millis" },
  { key: "ben", starts: "3 millis", takes: "10 millis" },
  { key: "cai", starts: "7 millis", takes: "10 millis" },
  { key: "dee", starts: "11 millis", takes: "10 millis" }
])

const drawn = { min: "10 millis", max: "30 millis" } as const

/** Neither begun together nor taking the same time: how long each takes is drawn. */
export const latencies = twins([
  { key: "ann", starts: 0, takes: drawn },
  { key: "ben", starts: "3 millis", takes: drawn },
  { key: "cai", starts: "7 millis", takes: drawn },
  { key: "dee", starts: "11 millis", takes: drawn }
])
