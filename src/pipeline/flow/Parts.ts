/** What a step gives of one element to be read a part at a time, so that the whole is never in memory (P16). */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { Arrivals } from "../fate/Block.ts"
import type { Keep, Settled } from "../fate/Window.ts"
import type { Inside } from "../Journal.ts"
import { SourceChanged } from "../RunError.ts"
import type { Position, Source } from "../Source.ts"
import type { Item } from "./Lane.ts"
import { type Hall, Reader } from "./Reader.ts"
import type { Station } from "./Station.ts"
import { weigh } from "./Weigh.ts"

type Any = Source<unknown, unknown, unknown, Position>
type Work = Effect.Effect<unknown, unknown, unknown>

/** Where reading goes on, and how what is settled is kept. */
export interface Resumed {
  readonly resume: Settled
  readonly count: number
  readonly arrivals: Stream.Stream<Arrivals, unknown, unknown>
  readonly keep: Keep
}

/** Fails where what was settled inside of an element is not there any more. */
export type Resume = (source: Any, kept: Inside | undefined) => Effect.Effect<Resumed, unknown, unknown>

/** The station that the parts come from, and the one that they go to. */
export interface Way {
  readonly step: string
  readonly next: Station
  /** What of the station waits for room. */
  readonly blocked: Set<unknown>
  /** Meets failures with the policy of the step, which is told how many parts had come before. */
  readonly guard: (read: Work, parts: () => number) => Work
}

/** What reading gives that was stopped before its end: the next run reads the rest. */
export const left: unique symbol = Symbol("left")

export class Parts {
  private readonly hall: Hall
  private readonly resume: Resume

  constructor(hall: Hall, resume: Resume) {
    this.hall = hall
    this.resume = resume
  }

  get isStopped(): boolean {
    return this.hall.valve.isStopped
  }

  /** Reads all parts of an item to the next station, each as a unit of its own; gives what the guard makes of that, or `left`. */
  read(source: Any, { path, unit }: Item, { blocked, guard, next, step }: Way): Work {
    const { fate, room, valve } = this.hall
    return Effect.flatMap(this.resume(source, fate.insideOf(unit, step, path)), ({ arrivals, count, keep, resume }) => {
      const window = fate.open(unit, { step, path, count, keep }, resume)
      const reader = new Reader(this.hall, window, next, blocked)
      // It is no failure of the step, which cannot mend it.
      const read = Effect.catchIf(reader.read(arrivals), isChange, Effect.succeed)
      const guarded = Effect.flatMap(
        guard(read, () => window.place),
        (given) => (isChange(given) ? Effect.fail(given) : Effect.sync(() => (fate.ended(window), given)))
      )
      const done = Effect.sync(() => {
        blocked.delete(window)
        room.goOnReading(window)
      })
      return valve.until(Effect.ensuring(guarded, done), left)
    })
  }
}

const isChange = (given: unknown): given is SourceChanged => given instanceof SourceChanged

/** What a step gave, as a source of parts; none for what is a list of them. */
export const sourceOf = (pipeline: string, given: unknown): Any | undefined => {
  if (typeof given !== "object" || given === null || Symbol.iterator in given) return undefined
  if (Stream.isStream(given)) return numbered(pipeline, given)
  if (!("read" in given && "fingerprint" in given)) return undefined
  const source = given as Any
  if (source.account !== undefined) {
    throw new TypeError(
      `Pipeline.flatMap cannot read ${source.name} inside of an element: it keeps account of its own elements. Give it to Pipeline.from`
    )
  }
  return source.resumable ? source : numbered(pipeline, valuesOf(source))
}

export const valuesOf = (source: Any): Stream.Stream<unknown, unknown, unknown> =>
  Stream.map(source.read(Option.none()), ({ value }) => value)

/** A stream gives the same again: a part is known by its number. */
export const numbered = (pipeline: string, stream: Stream.Stream<unknown, unknown, unknown>): Any => ({
  name: "stream",
  resumable: true,
  size: Effect.succeedNone,
  fingerprint: () => Effect.succeed({}),
  read: (after) =>
    Stream.suspend(() => {
      const before = Option.getOrElse(after, () => 0) as number
      let seen = 0
      let place = before
      const missing = Stream.suspend(() => {
        if (seen >= before) return Stream.empty
        const change = `an element gave ${seen} parts where ${before} were settled: a stream has to give the same again`
        return Stream.fail(new SourceChanged({ pipeline, source: "stream", changes: [change] }))
      })
      const counted = before === 0 ? stream : Stream.map(stream, (value) => (seen++, value))
      return counted.pipe(
        Stream.drop(before),
        Stream.map((value) => ({ value, position: (place += 1), bytes: weigh(value) })),
        before === 0 ? (same) => same : Stream.concat(missing)
      )
    })
})
