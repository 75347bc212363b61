/** What moves elements from a reader through the stages to where they are written. It knows no journal. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type * as Stream from "effect/Stream"
import type { Task } from "../../concurrency/Task.ts"
import * as TaskGroup from "../../concurrency/TaskGroup.ts"
import type { Arrival } from "../fate/Fate.ts"
import type { Each, Range, Step } from "../Step.ts"
import { Batcher } from "./Batcher.ts"
import { checkConcurrency } from "./Described.ts"
import { type Entrance, Reader } from "./Reader.ts"
import type { Room } from "./Room.ts"
import { Stage, type Surroundings } from "./Stage.ts"
import { Exit as Door, type Station } from "./Station.ts"

/** How a step, or several that share their workers, stands. */
export interface StepProgress {
  /** With several, their names with " + " between them. */
  readonly name: string
  /** How many elements may be worked on at once, at the moment. */
  readonly concurrency: number
  readonly waiting: number
  readonly working: number
  /** Elements that were begun and hold no worker, as they wait for their next attempt or for a token of their key. */
  readonly resting: number
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
  /** Of the steps that are done here. */
  readonly names: ReadonlyArray<string>
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
  /** Has more work for a station; nobody does it before the flow has begun. */
  private hire: (station: Station, crew: ReturnType<Station["crew"]>) => Effect.Effect<unknown> = () => Effect.void

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
    return this.named.map(({ names, station: { concurrency, resting, waiting, working } }) => ({
      name: names.join(" + "),
      concurrency,
      waiting,
      working: working - resting,
      resting
    }))
  }

  /** Reads `arrivals` and works on them until each is at its end, or the first failure. */
  process<E, R>(arrivals: Stream.Stream<Arrival, E, R>): Effect.Effect<void, unknown, unknown> {
    const { outside, pipeline } = this.options
    return TaskGroup.open(
      Effect.gen({ self: this }, function* () {
        this.reading = yield* TaskGroup.supervise(outside(this.reader.read(arrivals)), { name: "reader" })
        if (this.asked) yield* this.drain
        const crews = new Map<Station, Array<Task<void>>>()
        const here = yield* Effect.context<unknown>()
        const hire = (station: Station, crew: ReturnType<Station["crew"]>) =>
          Effect.forEach(crew, (work) => {
            const hired = crews.get(station) ?? []
            crews.set(station, hired)
            return Effect.map(
              TaskGroup.trySpawn(outside(work), { name: `worker-${hired.length + 1}` }),
              Option.map((task) => hired.push(task))
            )
          })
        for (const { station } of this.named) yield* hire(station, station.crew())
        // Whoever asks for more workers, they are of the flow.
        this.hire = (station, crew) => Effect.provideContext(hire(station, crew), here)
        const read = yield* this.reading.exit
        // After a drain what was begun is finished.
        if (Exit.isFailure(read) && !(this.asked && Cause.hasInterruptsOnly(read.cause))) return yield* read
        this.readToEnd = Exit.isSuccess(read)
        for (const { station } of this.named) {
          station.close()
          for (const worker of crews.get(station) ?? []) yield* worker.join
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

  /** Changes how many elements a step, and those that share its workers, may work on at once. */
  set(step: string, concurrency: number | Range): Effect.Effect<void> {
    // Never on the stack of a stage that is about to send something on.
    return Effect.andThen(
      Effect.yieldNow,
      Effect.suspend(() => {
        checkConcurrency(concurrency)
        const station = this.named.find(({ names }) => names.includes(step))?.station
        if (station instanceof Stage) return Effect.asVoid(this.hire(station, station.set(concurrency)))
        const { pipeline, steps } = this.options
        const names = steps.flatMap(({ _tag, name }) => (_tag === "Each" ? [`"${name}"`] : []))
        throw new RangeError(
          `Pipeline "${pipeline}" has no step "${step}" with workers; the steps that have are ${names.join(", ")}`
        )
      })
    )
  }

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
        ? new Batcher(first, next, options)
        : new Stage(steps as ReadonlyArray<Each>, index, next, options)
    for (const [from, { _tag, name }] of steps.entries()) if (_tag === "Each") entrances.set(name, { station, from })
    named.unshift({ names: steps.map(({ name }) => name), station })
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
  typeof last.concurrency === "number" &&
  last.concurrency === step.concurrency &&
  last.order === step.order &&
  last.policy === undefined &&
  step.policy === undefined &&
  last.key === step.key &&
  last.perKey === step.perKey &&
  // What a step makes of an element may have another key.
  (last.key === undefined || last.kind === "filter" || last.kind === "tap")
