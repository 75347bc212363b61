/** What comes in, and what is kept of how far it came: a run, a replay and a collection differ in nothing else. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { none } from "../fate/Counts.ts"
import type { Arrival } from "../fate/Fate.ts"
import type { Settled } from "../fate/Window.ts"
import type { Checkpoint, KeptDeadLetter } from "../Journal.ts"
import { BadDeadLetter } from "../RunError.ts"
import type { Account, Fingerprint, Position, Source } from "../Source.ts"
import type { Failing } from "../Step.ts"

/** What a checkpoint says of the source. */
export type Place = Pick<Checkpoint, "fingerprint" | "position" | "ahead" | "reach" | "finished">

export interface Intake {
  readonly start: Checkpoint
  /** What the window begins with. */
  readonly resume: Settled
  readonly resumable: boolean
  readonly size: Option.Option<number>
  readonly arrivals: Stream.Stream<Arrival, unknown, unknown>
  readonly keep: (settled: Settled, finished: boolean) => Effect.Effect<Place, unknown, unknown>
  /** Where the source keeps account of each element by itself. */
  readonly account?: Pick<Account<unknown, unknown, unknown, Position>, "settle" | "settled" | "mayPass"> | undefined
  /** Tells the source what is kept. */
  readonly settled: (position: Option.Option<Position>) => Effect.Effect<void, unknown, unknown>
}

export const nothing: Checkpoint = {
  fingerprint: {},
  position: Option.none(),
  ahead: [],
  reach: Option.none(),
  sinks: {},
  counts: none,
  finished: false
}

const unsettled: Settled = { position: Option.none(), ahead: [], reach: Option.none() }

/** The elements of the source, behind what an earlier run has settled. */
export const ofSource = <E, R>(
  source: Source<unknown, E, R, Position>,
  start: Checkpoint
): Effect.Effect<Intake, E, R | Scope.Scope> =>
  source.account === undefined ? byPosition(source, start) : byAccount(source, source.account, start)

/** What is kept is in the account, and nothing here that could disagree with it. */
const byAccount = <E, R>(
  source: Source<unknown, E, R, Position>,
  account: Effect.Effect<Account<unknown, E, R, Position>, E, R | Scope.Scope>,
  start: Checkpoint
): Effect.Effect<Intake, E, R | Scope.Scope> =>
  Effect.gen(function* () {
    const size = yield* source.size
    const fingerprint = yield* source.fingerprint(Option.none())
    const opened = yield* account
    return {
      start,
      resume: unsettled,
      resumable: source.resumable,
      size,
      arrivals: opened.elements,
      account: opened,
      settled: () => Effect.void,
      keep: (_, finished) => Effect.succeed({ ...nothing, fingerprint, finished })
    }
  })

const byPosition = <E, R>(source: Source<unknown, E, R, Position>, start: Checkpoint): Effect.Effect<Intake, E, R> =>
  Effect.map(source.size, (size) => {
    let last = { position: start.position, fingerprint: start.fingerprint }
    let told: Option.Option<Position> = Option.none()
    const known = (upTo: Option.Option<Position>): Effect.Effect<Fingerprint, E, R> =>
      source.fingerprint(upTo, Option.isSome(last.position) ? last.fingerprint : undefined)
    return {
      start,
      resume: { ...start, reach: Option.map(start.reach, ({ position }) => position) },
      resumable: source.resumable,
      size,
      arrivals: source.read(start.position, start.fingerprint),
      settled: (position) => {
        if (source.settled === undefined || Option.isNone(position) || isSame(position, told)) return Effect.void
        told = position
        return source.settled(position.value)
      },
      keep: ({ ahead, position, reach }, finished) => {
        if (!source.resumable) return Effect.succeed({ ...nothing, finished })
        const watermark = isSame(position, last.position)
          ? Effect.succeed(last.fingerprint)
          : Effect.map(known(position), (fingerprint) => {
              last = { position, fingerprint }
              return fingerprint
            })
        return Effect.flatMap(watermark, (fingerprint): Effect.Effect<Place, E, R> =>
          Option.isNone(reach)
            ? Effect.succeed({ fingerprint, position, ahead, reach: Option.none(), finished })
            : Effect.map(known(reach), (further) => ({
                fingerprint,
                position,
                ahead,
                reach: Option.some({ position: reach.value, fingerprint: further }),
                finished
              }))
        )
      }
    }
  })

/** Positions are compared by who they are: one that is read again may be another object, and is another element. */
const isSame = (one: Option.Option<Position>, other: Option.Option<Position>): boolean =>
  Option.getOrUndefined(one) === Option.getOrUndefined(other)

/** Dead letters, each at the step it failed in. The source is not read, and what is kept of it stays. */
export const ofLetters = (
  pipeline: string,
  letters: ReadonlyArray<KeptDeadLetter>,
  steps: ReadonlyArray<Failing>,
  start: Checkpoint
): Effect.Effect<Intake, BadDeadLetter, unknown> =>
  Effect.gen(function* () {
    const arrivals: Array<Arrival> = []
    for (const letter of letters) {
      const step = steps.find(({ name }) => name === letter.step)
      const bad = (reason: string) =>
        new BadDeadLetter({ pipeline, step: letter.step, tried: `run dead letter ${letter.id} again`, reason })
      if (step === undefined || typeof step.onError === "string") {
        const names = steps.map(({ name }) => name).join(", ")
        return yield* bad(`the pipeline has no step of that name with dead letters any more; it has ${names}`)
      }
      const { deadLetter } = step.onError
      const value = yield* Schema.decodeUnknownEffect(Schema.toCodecJson(deadLetter))(letter.input).pipe(
        Effect.mapError((error) => bad(error.message))
      )
      const replays = { letter: letter.id, step: letter.step, path: letter.path, at: letter.at }
      arrivals.push({ value, position: letter.position, bytes: 0, replays })
    }
    return {
      start,
      resume: unsettled,
      resumable: true,
      size: Option.none(),
      arrivals: Stream.fromArray(arrivals),
      settled: () => Effect.void,
      keep: () => Effect.succeed(start)
    }
  })

/** All elements of the source, from its beginning, with nothing kept of them. */
export const unkept = <E, R>(source: Source<unknown, E, R, Position>): Intake => ({
  start: nothing,
  resume: unsettled,
  resumable: false,
  size: Option.none(),
  arrivals: source.read(Option.none()),
  settled: () => Effect.void,
  keep: () => Effect.succeed(nothing)
})
