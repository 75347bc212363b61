/** What moves elements from a reader through the stages to where they are written. It knows no journal. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Stream from "effect/Stream"
import type { Task } from "../../concurrency/Task.ts"
import * as TaskGroup from "../../concurrency/TaskGroup.ts"
import type { Arrival } from "../fate/Fate.ts"
import type { Each, Step } from "../Step.ts"
import { Batcher } from "./Batcher.ts"
import { type Entrance, Reader } from "./Reader.ts"
import type { Room } from "./Room.ts"
import { mostOf, Stage, type Surroundings } from "./Stage.ts"
import { Exit as Door, type Station } from "./Station.ts"

/** How a step, or several that share their workers, stands. */
export interface StepProgress {
  /** With several, their names with " + " between them. */
  readonly name: string
  readonly concurrency: number
  readonly waiting: number
  readonly working: number
}

export interface FlowOptions extends Surroundings {
  readonly room: Room
  readonly steps: ReadonlyArray<Step>
  /** What a dead letter of the sink is called after. */
  readonly sink: string
  /** Gives an effect of the user the surroundings that it was written in. */
  readonly outside: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
}

interface Named {
  readonly name: string
  readonly concurrency: number
  readonly station: Station
}

export class Flow {
  private readonly options: FlowOptions
  private readonly named: ReadonlyArray<Named>
  private readonly reader: Reader
  private reading: Task<void, unknown> | undefined
  private readToEnd = false
  private leftOver = false
  private asked = false

  constructor(options: FlowOptions) {
    this.options = options
    const door = new Door(options.fate)
    const entrances = new Map<string, Entrance>([[options.sink, { station: door, from: 0 }]])
    this.named = stationsOf(options, door, entrances)
    const first = this.named[0]?.station ?? door
    this.reader = new Reader(options.fate, options.room, { station: first, from: 0 }, entrances)
    options.room.furnish(this.named.map(({ station }) => station))
  }

  get steps(): ReadonlyArray<StepProgress> {
    return this.named.map(({ concurrency, name, station: { waiting, working } }) => ({
      name,
      concurrency,
      waiting,
      working
    }))
  }

  /** Reads `arrivals` and works on them until each is at its end, or the first failure. */
  process<E, R>(arrivals: Stream.Stream<Arrival, E, R>): Effect.Effect<void, unknown, unknown> {
    const { outside, pipeline } = this.options
    return TaskGroup.open(
      Effect.gen({ self: this }, function* () {
        this.reading = yield* TaskGroup.supervise(outside(this.reader.read(arrivals)), { name: "reader" })
        if (this.asked) yield* this.drain
        const crews: Array<ReadonlyArray<Task<void>>> = []
        for (const { station } of this.named) {
          crews.push(
            yield* Effect.forEach(station.crew(), (work, i) =>
              TaskGroup.spawn(outside(work), { name: `worker-${i + 1}` })
            )
          )
        }
        const read = yield* this.reading.exit
        // After a drain what was begun is finished.
        if (Exit.isFailure(read) && !(this.asked && Cause.hasInterruptsOnly(read.cause))) return yield* read
        this.readToEnd = Exit.isSuccess(read)
        for (const [index, { station }] of this.named.entries()) {
          station.close()
          for (const worker of crews[index]!) yield* worker.join
        }
      }),
      { name: `pipeline ${pipeline}` }
    )
  }

  /** Whether the source was read to its end, and nothing of it is left to the next run. */
  get readAll(): boolean {
    return this.readToEnd && !this.leftOver
  }

  get draining(): boolean {
    return this.asked
  }

  /** Stops reading; what was begun goes on, and what was only read is left to the next run. */
  readonly drain: Effect.Effect<void> = Effect.suspend(() => {
    this.asked = true
    return Effect.map(this.reading?.cancel("draining") ?? Effect.void, () => {
      const first = this.named[0]?.station
      if (first instanceof Stage && first.dropWaiting()) this.leftOver = true
      this.options.fate.room.wakeAll()
    })
  })

  pause(): void {
    this.reader.pause()
  }

  resume(): void {
    this.reader.resume()
  }
}

/** From the last to the first, as each knows the next one. */
const stationsOf = (options: FlowOptions, door: Station, entrances: Map<string, Entrance>): ReadonlyArray<Named> => {
  const groups = grouped(options.steps)
  const named: Array<Named> = []
  let next = door
  for (let index = groups.length - 1; index >= 0; index--) {
    const steps = groups[index]!
    const [first] = steps
    const station: Station =
      first._tag === "Batch"
        ? new Batcher(first, next, options.fate)
        : new Stage(steps as ReadonlyArray<Each>, index, next, options)
    for (const [from, { _tag, name }] of steps.entries()) if (_tag === "Each") entrances.set(name, { station, from })
    const concurrency = first._tag === "Batch" ? 1 : mostOf(first)
    named.unshift({ name: steps.map(({ name }) => name).join(" + "), concurrency, station })
    next = station
  }
  return named
}

/** Steps that share their workers, or a batch. */
export type Neighbours = readonly [Step, ...Array<Step>]

/** The steps by the stations that they are made at. */
export const grouped = (steps: ReadonlyArray<Step>): ReadonlyArray<Neighbours> => {
  const groups: Array<[Step, ...Array<Step>]> = []
  for (const step of steps) {
    const group = groups.at(-1)
    if (group !== undefined && fits(group.at(-1)!, step)) group.push(step)
    else groups.push([step])
  }
  return groups
}

const fits = (last: Step, step: Step): boolean =>
  last._tag === "Each" &&
  step._tag === "Each" &&
  last.kind !== "flatMap" &&
  last.concurrency === step.concurrency &&
  last.order === step.order
