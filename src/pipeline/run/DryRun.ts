/** A run of the first elements that writes and keeps nothing, and tells what it would have. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import * as SchemaTransformation from "effect/SchemaTransformation"
import * as Stream from "effect/Stream"
import { inputsOf, nowhere, positionOf, spotOf } from "../commit/Inputs.ts"
import { type Inlet, type Intake, unkept } from "../commit/Intake.ts"
import { apart, type Known } from "../commit/Resume.ts"
import type { NewItem } from "../context/FrontierStore.ts"
import { portionsOf } from "../context/Portion.ts"
import { write as writeWork } from "../frontier/Adding.ts"
import type { Delivery } from "../Guarantee.ts"
import {
  type Checkpoint,
  type Counts,
  type DeadLetter,
  type Journal,
  type JournalKey,
  keyOf,
  type Lease
} from "../Journal.ts"
import type { RunOptions } from "../Run.ts"
import type { Position } from "../Source.ts"
import { type Branch, isMeeting, sourcesOf, type Step } from "../Step.ts"
import { accept, keptIn, ofNoStep, typed, unleased } from "./Begin.ts"
import { isEach, journalOf } from "./Place.ts"
import { type Description, open } from "./Running.ts"

export interface DryRunOptions<out G> extends RunOptions<G> {
  /** How many elements of the source are read. Default 10. */
  readonly first?: number | undefined
}

/** What a run would do with the elements that it reads next. */
export interface DryRun {
  readonly pipeline: string
  readonly guarantee: Delivery
  /** Where an earlier run stopped, which is where this began; none at the beginning. */
  readonly from: Option.Option<Position>
  /** Whether the source came to its end; it may have no more where this is false. */
  readonly ended: boolean
  readonly counts: Counts
  /** What each sink would be given, in order, and each frontier. */
  readonly written: ReadonlyArray<WouldWrite>
  readonly filtered: ReadonlyArray<WouldDrop>
  readonly skipped: ReadonlyArray<WouldSkip>
  /** What would be kept of the elements that a step failed on. */
  readonly dead: ReadonlyArray<DeadLetter>
}

export interface WouldWrite {
  /** The name of a sink, or of a frontier. */
  readonly sink: string
  readonly elements: ReadonlyArray<unknown>
}

export interface WouldDrop {
  readonly step: string
  /** What the step was given. */
  readonly input: unknown
}

export interface WouldSkip extends WouldDrop {
  readonly position: Position
  /** The error, readable. */
  readonly cause: string
}

export const dryRun = <E, R>(description: Description, options: DryRunOptions<Delivery>): Effect.Effect<DryRun, E, R> =>
  typed(
    Effect.scoped(
      Effect.gen(function* () {
        const { first = 10, name, partition } = options
        const { guarantee, sink } = description
        const sinks = sink.members ?? [sink]
        const journal = yield* journalOf(description)
        yield* apart(name, sourcesOf(description), sinks, journal)
        const load = journal === undefined ? Effect.succeedNone : journal.load(keyOf(name, partition))
        const { parked, start, states } = yield* accept(description, sinks, options, journal, load)
        const witness = new Witness()
        const { added } = witness
        const toSinks = sinks.map((sink) => ({ sink: sink.name, elements: new Array<unknown>() }))
        const known = sinks.map((sink, i) => inStead(sink, i, toSinks[i]!.elements))
        const { intake, isAtEnd } = someOf(description, start, first)
        const seen = { ...description, ...witness.seen(description) }
        const begun = yield* open(
          seen,
          { ...options, onDead: undefined },
          {
            journal: undefined,
            addWork: (work) =>
              writeWork(
                { frontier: (name) => ({ add: (items) => Effect.sync(() => witness.add(name, items)) }) },
                work
              ),
            isNamed: false,
            states,
            lease: knowing(witness.lease, journal, keyOf(name, partition)),
            known,
            restart: false,
            taken: new Set(),
            parked,
            intake
          }
        )
        const { bytes, outcome, settled, filtered, written: rows } = yield* keptIn(journal, begun).toEnd
        const { dead, skipped } = witness
        return {
          pipeline: name,
          guarantee,
          from: positionOf(start),
          ended: outcome === "done" && isAtEnd(),
          counts: { settled, written: rows, filtered, skipped: skipped.length, dead: dead.length, bytes },
          written: [...toSinks, ...[...added].map(([name, elements]) => ({ sink: `frontier ${name}`, elements }))],
          filtered: witness.filtered,
          skipped,
          dead
        }
      })
    ).pipe(ofNoStep)
  )

/** The next elements of each source that are not settled. Queues are looked at, and nothing is taken from them. */
const someOf = (branch: Branch, start: Checkpoint, first: number) => {
  const inputs = inputsOf(branch)
  const left: Array<number> = []
  const inlets = inputs.map(({ name, source }, i): Inlet => {
    const { ahead, fingerprint, position, reach } = spotOf(start, name)
    const settled = new Set(ahead)
    let count = 0
    for (let more = first; more > 0; count++) if (!settled.has(count + 1)) more -= 1
    left.push(count)
    return {
      name,
      resume: { position, ahead, reach: Option.map(reach, ({ position }) => position) },
      arrivals: portionsOf(
        source.read(position, fingerprint).pipe(
          Stream.take(count),
          Stream.map((element) => {
            left[i]! -= 1
            return element
          })
        )
      ),
      settled: () => Effect.void,
      keep: () => Effect.succeed(nowhere)
    }
  })
  const intake: Intake = { ...unkept(branch), start, inlets }
  return { intake, isAtEnd: () => left.every((more) => more > 0) }
}

/** Knows the keys that earlier runs have kept as well. */
const knowing = (lease: Lease, journal: Journal | undefined, key: JournalKey): Lease =>
  journal === undefined
    ? lease
    : {
        ...lease,
        seen: (step, keys) =>
          Effect.zipWith(
            lease.seen(step, keys),
            journal.seen(key, step, keys),
            (now, before) => new Set([...now, ...before])
          )
      }

/** Takes what the sink would be given. */
const inStead = (sink: Known["sink"], place: number, elements: Array<unknown>): Known => ({
  sink: {
    ...sink,
    open: () =>
      Effect.succeed({
        write: (given) =>
          Effect.sync(() => {
            for (const element of sink.preview?.(given) ?? given) elements.push(element)
            return null
          })
      })
  },
  identity: `${place}`,
  fingerprint: {},
  state: Option.some(null)
})

/** Sees what becomes of elements that reach no sink. */
class Witness {
  readonly filtered: Array<WouldDrop> = []
  /** By the name of their frontiers. */
  readonly added = new Map<string, Array<unknown>>()
  readonly lease: Lease
  private readonly letters: Array<DeadLetter> = []
  /** What was skipped, each kept as a letter that has but its index here. */
  private readonly inputs: Array<unknown> = []
  private readonly skipping = new Set<string>()

  constructor() {
    this.lease = unleased((dead) => Effect.sync(() => void this.letters.push(...dead)))
  }

  add(frontier: string, items: ReadonlyArray<NewItem>): void {
    const all = this.added.get(frontier) ?? []
    this.added.set(frontier, all)
    for (const { item } of items) all.push(JSON.parse(item))
  }

  get dead(): ReadonlyArray<DeadLetter> {
    return this.letters.filter(({ step }) => !this.skipping.has(step))
  }

  get skipped(): ReadonlyArray<WouldSkip> {
    return this.letters
      .filter(({ step }) => this.skipping.has(step))
      .map(({ cause, input, position, step }) => ({ step, input: this.inputs[Number(input)], position, cause }))
  }

  seen({ source, steps }: Branch): Branch {
    return {
      source: isMeeting(source) ? { ...source, inputs: source.inputs.map((input) => this.seen(input)) } : source,
      steps: steps.map((step) => this.witnessed(step))
    }
  }

  private witnessed(step: Step): Step {
    if (!isEach(step)) return step
    const { name } = step
    const skips = step.onError === "skip"
    if (skips) this.skipping.add(name)
    const kept = skips ? { ...step, onError: { deadLetter: this.asIndex } } : step
    if (kept._tag === "Scan" || kept.kind !== "filter") return kept
    return { ...kept, f: (input: unknown) => this.looked(name, input, kept.f(input)) }
  }

  /** What a filter gives, and that it was seen. */
  private looked(step: string, input: unknown, given: unknown): unknown {
    const look = (kept: unknown): unknown => {
      if (kept !== true) this.filtered.push({ step, input })
      return kept
    }
    if (Effect.isEffect(given)) return Effect.map(given, look)
    return Predicate.isPromiseLike(given) ? Promise.resolve(given).then(look) : look(given)
  }

  private readonly asIndex: Schema.Codec<unknown, string> = Schema.String.pipe(
    Schema.decodeTo(
      Schema.Unknown,
      SchemaTransformation.transform({
        decode: (index): unknown => this.inputs[Number(index)],
        encode: (input) => `${this.inputs.push(input) - 1}`
      })
    )
  )
}
