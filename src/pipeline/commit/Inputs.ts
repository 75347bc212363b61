/** Where the sources of a pipeline stand, as a checkpoint says it: one source is the checkpoint, several have a name each. */
import * as Option from "effect/Option"
import type { Checkpoint, Place } from "../Journal.ts"
import type { Position, Source } from "../Source.ts"
import { type Branch, sourcesOf } from "../Step.ts"

/** What is settled of a source. */
export type Spot = Pick<Checkpoint, "fingerprint" | "position" | "ahead" | "reach" | "inside">

/** A source of a pipeline. */
export interface Input {
  /** By which its place is kept and its elements are told from those of others; none where it is the only one. */
  readonly name: string | undefined
  readonly source: Source<unknown, unknown, unknown, Position>
}

/** Before the first element. */
export const nowhere: Spot = { fingerprint: {}, position: Option.none(), ahead: [], reach: Option.none() }

export const inputsOf = (branch: Branch): ReadonlyArray<Input> => {
  const sources = sourcesOf(branch)
  const seen = new Set<string>()
  return sources.map((source) => ({
    source,
    name: sources.length === 1 ? undefined : numbered(source.name, seen)
  }))
}

export const spotOf = (kept: Checkpoint, name: string | undefined): Spot => {
  if (name === undefined) return kept
  const { inputs = {} } = kept
  return Object.hasOwn(inputs, name) ? spotIn(inputs[name]!) : nowhere
}

export const spotsOf = (inputs: ReadonlyArray<Input>, spots: ReadonlyArray<Spot>): Spot & Pick<Checkpoint, "inputs"> =>
  inputs.length === 1
    ? spots[0]!
    : { ...nowhere, inputs: Object.fromEntries(inputs.map(({ name }, i) => [name!, placeOf(spots[i]!)])) }

/** The watermark: of several sources, that of each by its name. */
export const positionOf = ({ inputs, position }: Pick<Checkpoint, "inputs" | "position">): Option.Option<Position> => {
  if (inputs === undefined) return position
  const positions = Object.entries(inputs).flatMap(([name, place]) =>
    place.position === undefined ? [] : [[name, place.position] as const]
  )
  return positions.length === 0 ? Option.none() : Option.some(Object.fromEntries(positions))
}

/** Which of several sources a checkpoint knows that the pipeline does not have, and the other way round, in words. */
export const strangers = (
  inputs: ReadonlyArray<Input>,
  kept: Checkpoint
): ReadonlyArray<readonly [source: string, change: string]> => {
  const now = inputs.flatMap(({ name }) => name ?? [])
  const before = Object.keys(kept.inputs ?? {})
  // Before the first commit nothing is known of any.
  if (now.length === 0 && before.length === 0) return []
  if (now.length === 0) return [[inputs[0]!.source.name, `it was one of several before: ${before.join(", ")}`]]
  if (before.length === 0) return [[now.join(", "), "there was one source before, and it was not told from others"]]
  return [
    ...now.filter((name) => !before.includes(name)).map((name) => [name, "it was not read before"] as const),
    ...before.filter((name) => !now.includes(name)).map((name) => [name, "it is not read any more"] as const)
  ]
}

/** Those that have no name of their own are told apart by their number. */
export const numbered = (name: string, seen: Set<string>): string => {
  let own = name
  for (let count = 2; seen.has(own); count++) own = `${name} #${count}`
  seen.add(own)
  return own
}

export const placeOf = ({ ahead, fingerprint, inside, position, reach }: Spot): Place => ({
  fingerprint,
  ...(Option.isSome(position) && { position: position.value }),
  ahead,
  ...(Option.isSome(reach) && { reach: reach.value }),
  ...(inside !== undefined && { inside })
})

export const spotIn = ({ ahead, fingerprint, inside, position, reach }: Place): Spot => ({
  fingerprint,
  position: position === undefined ? Option.none() : Option.some(position),
  ahead,
  reach: Option.fromUndefinedOr(reach),
  ...(inside !== undefined && { inside })
})
