/** What comes in, and what is kept of how far it came: a run, a replay and a collection differ in nothing else. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { none } from "../fate/Counts.ts"
import { portionsOf } from "../context/Portion.ts"
import type { Arrivals } from "../fate/Block.ts"
import type { Begins } from "../fate/Fate.ts"
import type { Keep, Open, Settled } from "../fate/Window.ts"
import type { Checkpoint, Inside, JournalError, KeptDeadLetter } from "../Journal.ts"
import { SourceChanged } from "../RunError.ts"
import type { Account, Fingerprint, Position, Source } from "../Source.ts"
import { type Branch, type Failing, isMeeting, sourcesOf, stepsOf } from "../Step.ts"
import { inputsOf, nowhere, placeOf, type Spot, spotIn, spotOf, spotsOf } from "./Inputs.ts"
import type { Unread } from "./Letters.ts"
import { sourceChanges } from "./Resume.ts"

/** What a checkpoint says of the sources. */
export type Places = Spot & Pick<Checkpoint, "inputs" | "replaying" | "finished">

/** What comes in by one source. */
export interface Inlet extends Begins {
  readonly arrivals: Stream.Stream<Arrivals, unknown, unknown>
  readonly keep: (settled: Settled) => Effect.Effect<Spot, unknown, unknown>
  /** Where the source keeps account of each element by itself. */
  readonly account?: Pick<Account<unknown, unknown, unknown, Position>, "settle" | "settled" | "mayPass"> | undefined
  /** Tells the source what is kept. */
  readonly settled: (position: Option.Option<Position>) => Effect.Effect<void, unknown, unknown>
  /** Whether the source learns what is settled, and may give no more before it is. Default false. */
  readonly waits?: boolean | undefined
}

/** What comes in by one element. */
export interface Parts {
  readonly resume: Settled
  /** Parts before the first that comes. */
  readonly count: number
  readonly arrivals: Stream.Stream<Arrivals, unknown, unknown>
  readonly keep: Keep
}

export interface Intake {
  readonly start: Checkpoint
  /** One for each source. */
  readonly inlets: ReadonlyArray<Inlet>
  readonly resumable: boolean
  /** Whether some of it was settled before. */
  readonly resumed: boolean
  readonly size: Option.Option<number>
  /** Whether, at the end of what comes in, there are no more elements. Default true. */
  readonly ends?: boolean | undefined
  /** Whether it is dead letters. Default false. */
  readonly replays?: boolean | undefined
  readonly keep: (settled: ReadonlyArray<Settled>, finished: boolean) => Effect.Effect<Places, unknown, unknown>
}

export const nothing: Checkpoint = { ...nowhere, sinks: {}, counts: none, finished: false }

const unsettled: Settled = { position: Option.none(), ahead: [], reach: Option.none() }

/** The elements of the sources, behind what an earlier run has settled. */
export const ofSources = (branch: Branch, start: Checkpoint): Effect.Effect<Intake, unknown, Scope.Scope> =>
  Effect.gen(function* () {
    const inputs = inputsOf(branch)
    const resumable = inputs.every(({ source }) => source.resumable)
    const inlets: Array<Inlet> = []
    const replaying = start.replaying === undefined ? {} : { replaying: start.replaying }
    let size = Option.some(0)
    for (const { name, source } of inputs) {
      size = Option.zipWith(size, yield* source.size, (one, other) => one + other)
      const inlet = source.account === undefined ? byPosition(source, spotOf(start, name)) : yield* byAccount(source)
      inlets.push({ ...inlet, name })
    }
    return {
      start,
      inlets,
      resumable,
      resumed: inlets.some(
        ({ resume }) => Option.isSome(resume.position) || resume.ahead.length > 0 || resume.inside !== undefined
      ),
      size,
      keep: (settled, finished) =>
        resumable
          ? Effect.map(
              Effect.forEach(inlets, ({ keep }, i) => keep(settled[i]!)),
              (spots) => ({ ...spotsOf(inputs, spots), ...replaying, finished })
            )
          : Effect.succeed({ ...nowhere, finished })
    }
  }) as Effect.Effect<Intake, unknown, Scope.Scope>

/** What is kept is in the account, and nothing here that could disagree with it. */
const byAccount = <E, R>(source: Source<unknown, E, R, Position>): Effect.Effect<Inlet, E, R | Scope.Scope> =>
  Effect.gen(function* () {
    const fingerprint = yield* source.fingerprint(Option.none())
    const account = yield* source.account!
    return {
      resume: unsettled,
      // Who takes an element again after a crash may be another run, which knows nothing of what was inside.
      isWhole: true,
      arrivals: portionsOf(account.elements),
      account,
      waits: true,
      settled: () => Effect.void,
      keep: () => Effect.succeed({ ...nowhere, fingerprint })
    }
  })

const byPosition = <E, R>(source: Source<unknown, E, R, Position>, start: Spot, before = 0): Inlet => {
  let last = { position: start.position, fingerprint: start.fingerprint }
  let told: Option.Option<Position> = Option.none()
  const known = (upTo: Option.Option<Position>): Effect.Effect<Fingerprint, E, R> =>
    source.fingerprint(upTo, Option.isSome(last.position) ? last.fingerprint : undefined)
  const elements = source.read(start.position, start.fingerprint)
  return {
    resume: { ...start, reach: Option.map(start.reach, ({ position }) => position) },
    arrivals: portionsOf(before === 0 ? elements : Stream.drop(elements, before)),
    waits: source.settled !== undefined,
    settled: (position) => {
      if (source.settled === undefined || Option.isNone(position) || isSame(position, told)) return Effect.void
      told = position
      return source.settled(position.value)
    },
    keep: ({ ahead, inside, position, reach }) => {
      const watermark = isSame(position, last.position)
        ? Effect.succeed(last.fingerprint)
        : Effect.map(known(position), (fingerprint) => {
            last = { position, fingerprint }
            return fingerprint
          })
      const spot = Effect.flatMap(watermark, (fingerprint): Effect.Effect<Spot, E, R> =>
        Option.isNone(reach)
          ? Effect.succeed({ fingerprint, position, ahead, reach: Option.none() })
          : Effect.map(known(reach), (further) => ({
              fingerprint,
              position,
              ahead,
              reach: Option.some({ position: reach.value, fingerprint: further })
            }))
      )
      return inside === undefined
        ? spot
        : Effect.zipWith(spot, keepInside(inside), (spot, inside) => ({ ...spot, inside }))
    }
  }
}

/** As a checkpoint has it. */
const keepInside = (all: ReadonlyArray<Open | Inside>): Effect.Effect<ReadonlyArray<Inside>, unknown, unknown> =>
  Effect.forEach(all, (one) => {
    const { count, index, path, seen, step } = one
    const kept = { index, step, path, count, ...(seen !== undefined && { seen }) }
    return "place" in one
      ? Effect.succeed({ ...kept, place: one.place })
      : Effect.map(one.keep(one.settled), (place) => ({ ...kept, place }))
  })

/** The parts of an element, behind what an earlier run has settled of them. */
export const ofElement = (
  pipeline: string,
  source: Source<unknown, unknown, unknown, Position>,
  kept: Inside | undefined
): Effect.Effect<Parts, unknown, unknown> =>
  Effect.gen(function* () {
    const start = kept === undefined ? nowhere : spotIn(kept.place)
    const changes = yield* sourceChanges(source, start)
    if (changes.length > 0) return yield* new SourceChanged({ pipeline, source: source.name, changes })
    const count = kept?.count ?? 0
    // Of a dead letter it is only known how many parts came before it.
    const { arrivals, keep, resume } = byPosition(source, start, Option.isSome(start.position) ? 0 : count)
    return {
      resume,
      count,
      arrivals,
      keep: (settled) => Effect.map(keep(settled), placeOf)
    }
  })

/** Positions are compared by who they are: one that is read again may be another object, and is another element. */
const isSame = (one: Option.Option<Position>, other: Option.Option<Position>): boolean =>
  Option.getOrUndefined(one) === Option.getOrUndefined(other)

/** Dead letters, each at the step it failed in. The sources are not read, and what is kept of them stays. */
export const ofLetters = (
  pages: Stream.Stream<ReadonlyArray<KeptDeadLetter>, JournalError>,
  branch: Branch,
  sink: Failing,
  start: Checkpoint,
  /** Those that cannot be run: they stay, and do not keep the others from it. */
  unread: Unread
): Intake => {
  const steps: ReadonlyArray<Failing> = [...stepsOf(branch).filter((step) => "onError" in step), sink]
  const sources = sourcesOf(branch)
  // A step works until all that flows into it has ended.
  const sourceOf = ({ step }: KeptDeadLetter) => firstBefore(step, branch) ?? sources[0]!
  const arrivalOf = (letter: KeptDeadLetter): Effect.Effect<ReadonlyArray<Arrivals>, never, unknown> => {
    const step = steps.find(({ name }) => name === letter.step)
    if (step === undefined || typeof step.onError === "string") {
      const names = steps.map(({ name }) => name).join(", ")
      const reason = `the pipeline has no step of that name with dead letters any more; it has ${names}`
      return Effect.sync(() => (unread.add(letter, reason), []))
    }
    const { inside, path } = insideOf(letter, start)
    const replays = { letter: letter.id, step: letter.step, path, at: letter.at, inside }
    const decode = Schema.decodeUnknownEffect(Schema.toCodecJson(step.onError.deadLetter))
    return Effect.matchEffect(decode(letter.input), {
      onSuccess: (value) =>
        Effect.succeed([{ values: [value], positionOf: () => letter.position, bytes: [0], replays }]),
      onFailure: (error) => Effect.sync(() => (unread.add(letter, error.message), []))
    })
  }
  return {
    start,
    inlets: sources.map((source) => ({
      resume: unsettled,
      arrivals: Stream.flattenIterable(
        Stream.mapEffect(pages, (letters) =>
          Effect.map(
            Effect.forEach(
              letters.filter((letter) => sourceOf(letter) === source),
              arrivalOf
            ),
            (all) => all.flat()
          )
        )
      ),
      settled: () => Effect.void,
      keep: () => Effect.succeed(nowhere)
    })),
    resumable: true,
    resumed: false,
    size: Option.none(),
    ends: start.finished,
    replays: true,
    keep: (settled) => {
      const inside = settled.flatMap(({ inside }) => inside ?? [])
      if (inside.length === 0 && start.replaying === undefined) return Effect.succeed(start)
      return Effect.map(keepInside(inside), (kept) => {
        const replaying: Record<string, ReadonlyArray<Inside>> = { ...start.replaying }
        const now = new Set<string>()
        for (const [i, one] of kept.entries()) {
          const letter = `${(inside[i] as Open).letter}`
          replaying[letter] = now.has(letter) ? [...replaying[letter]!, one] : [one]
          now.add(letter)
        }
        return { ...start, replaying }
      })
    }
  }
}

/** How far a replay has come inside of a dead letter; of the parts that came before it failed none comes again. */
const insideOf = (
  { id, path, step }: KeptDeadLetter,
  { replaying = {} }: Checkpoint
): { readonly path: string; readonly inside: ReadonlyArray<Inside> | undefined } => {
  const [own, count] = path.split("@")
  const before: Inside = {
    index: 0,
    step,
    path: own!,
    count: Number(count),
    place: { fingerprint: {}, ahead: [] }
  }
  return { path: own!, inside: replaying[id] ?? (count === undefined ? undefined : [before]) }
}

/** The first of the sources whose elements come to a step. */
const firstBefore = (step: string, branch: Branch): ReturnType<typeof sourcesOf>[number] | undefined => {
  const { source, steps } = branch
  if (steps.some(({ name }) => name === step)) return sourcesOf(branch)[0]
  if (!isMeeting(source)) return undefined
  for (const input of source.inputs) {
    const found = firstBefore(step, input)
    if (found !== undefined) return found
  }
  return undefined
}

/** All elements of the sources, from their beginning, with nothing kept of them. */
export const unkept = (branch: Branch): Intake => ({
  start: nothing,
  inlets: inputsOf(branch).map(({ name, source }) => ({
    name,
    resume: unsettled,
    arrivals: portionsOf(source.read(Option.none())),
    settled: () => Effect.void,
    keep: () => Effect.succeed(nowhere)
  })),
  resumable: false,
  resumed: false,
  size: Option.none(),
  keep: () => Effect.succeed(nothing)
})
