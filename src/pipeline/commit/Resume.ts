/** Whether a run may begin, and where it goes on (P10, P14). Nothing is read or written before that is clear. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Schema from "effect/Schema"
import type { Checkpoint, Journal, SinkState } from "../Journal.ts"
import { SamePlace, SinkChanged, SourceChanged } from "../RunError.ts"
import type { Guarantee, Sink } from "../Sink.ts"
import type { Position, Source } from "../Source.ts"
import type { Branch } from "../Step.ts"
import { changes } from "../context/Changes.ts"
import { inputsOf, numbered, type Spot, spotOf, strangers } from "./Inputs.ts"

type AnySource = Source<unknown, unknown, unknown, Position>
type AnySink = Sink<unknown, unknown, unknown, Guarantee>

/** A sink with what it is kept by. */
export interface Known {
  readonly sink: AnySink
  readonly identity: string
  readonly fingerprint: SinkState["fingerprint"]
  /** None where it starts with this run. */
  readonly state: Option.Option<Schema.Json>
}

/** Fails where two of source, sinks and journal are one file; gives the places of all but the sinks. */
export const apart = (
  pipeline: string,
  sources: ReadonlyArray<AnySource>,
  sinks: ReadonlyArray<AnySink>,
  journal: Journal | undefined
): Effect.Effect<ReadonlySet<string>, unknown, unknown> =>
  Effect.gen(function* () {
    const taken = new Map<string, string>()
    const take = (what: string, places: ReadonlyArray<string>): SamePlace | undefined => {
      for (const place of places) {
        const other = taken.get(place)
        // What is only read may be read twice.
        if (other !== undefined && !(other.startsWith("source ") && what.startsWith("source ")))
          return new SamePlace({ pipeline, one: other, other: what })
      }
      for (const place of places) taken.set(place, what)
      return undefined
    }
    const all: Array<readonly [what: string, places: ReadonlyArray<string>]> = [["journal", journal?.places ?? []]]
    for (const source of sources)
      if (source.places !== undefined) all.push([`source ${source.name}`, yield* source.places])
    const others = new Set(all.flatMap(([, places]) => places))
    for (const sink of sinks) if (sink.places !== undefined) all.push([`sink ${sink.name}`, yield* sink.places])
    for (const [what, places] of all) {
      const same = take(what, places)
      if (same !== undefined) return yield* same
    }
    return others
  })

/** What is not any more as it was when it was settled. */
export const sourceChanges = (source: AnySource, kept: Spot): Effect.Effect<ReadonlyArray<string>, unknown, unknown> =>
  Effect.gen(function* () {
    const since = source.changed ?? ((was, upTo) => Effect.map(source.fingerprint(upTo), (is) => changes(was, is)))
    if (Option.isSome(kept.position)) {
      const changed = yield* since(kept.fingerprint, kept.position)
      if (changed.length > 0) return changed
    }
    if (Option.isNone(kept.reach)) return []
    const { fingerprint, position } = kept.reach.value
    const changed = yield* since(fingerprint, Option.some(position), kept)
    return changed.length === 0
      ? []
      : [
          `${kept.ahead.length} elements behind the watermark are settled too, and up to the last of them: ${changed.join("; ")}`
        ]
  })

/** Why what is kept says nothing of the sources that there are; none where it does. */
export const refusal = (
  pipeline: string,
  branch: Branch,
  kept: Checkpoint
): Effect.Effect<SourceChanged | undefined, unknown, unknown> =>
  Effect.gen(function* () {
    const inputs = inputsOf(branch)
    for (const [source, change] of strangers(inputs, kept)) {
      return new SourceChanged({ pipeline, source, changes: [change] })
    }
    for (const { name, source } of inputs) {
      const changes = yield* sourceChanges(source, spotOf(kept, name))
      if (changes.length > 0) return new SourceChanged({ pipeline, source: name ?? source.name, changes })
    }
    return undefined
  })

/** The sinks by their identity, each with its own state of the checkpoint and with nobody else's. */
export const match = (
  pipeline: string,
  sinks: ReadonlyArray<AnySink>,
  kept: Checkpoint | undefined,
  onSinkChanged: "refuse" | "begin"
): Effect.Effect<ReadonlyArray<Known>, unknown, unknown> =>
  Effect.gen(function* () {
    const known: Array<Known> = []
    const differs: Array<string> = []
    const seen = new Set<string>()
    for (const [place, sink] of sinks.entries()) {
      const identity = numbered(yield* sink.identity, seen)
      const fingerprint = yield* sink.form
      const found = kept === undefined ? undefined : stateOf(kept, identity, place, sinks.length)
      if (kept !== undefined && found === undefined) differs.push(`it did not write to ${identity} before`)
      const changed = found?.fingerprint === undefined ? [] : changes(found.fingerprint, fingerprint)
      differs.push(...changed.map((change) => `${identity}: ${change}`))
      known.push({
        sink,
        identity,
        fingerprint,
        state: Option.map(Option.fromUndefinedOr(found), ({ state }) => state)
      })
    }
    if (kept !== undefined) {
      for (const identity of Object.keys(kept.sinks)) {
        if (!seen.has(identity)) differs.push(`it wrote to ${identity} before, and now does not`)
      }
    }
    if (differs.length > 0 && onSinkChanged === "refuse") return yield* new SinkChanged({ pipeline, changes: differs })
    return known
  })

interface Found {
  readonly state: Schema.Json
  readonly fingerprint?: SinkState["fingerprint"]
}

const stateOf = (kept: Checkpoint, identity: string, place: number, sinks: number): Found | undefined => {
  if (kept.unnamed === undefined) return Object.hasOwn(kept.sinks, identity) ? kept.sinks[identity] : undefined
  const state = Option.getOrUndefined(kept.unnamed)
  if (sinks === 1) return state === undefined ? undefined : { state }
  return Array.isArray(state) && state.length === sinks ? { state: state[place] } : undefined
}
