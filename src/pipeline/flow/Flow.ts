/** What moves elements from a reader through the stages to where they are written. It knows no journal. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type * as Stream from "effect/Stream"
import type { Task } from "../../concurrency/Task.ts"
import * as TaskGroup from "../../concurrency/TaskGroup.ts"
import { reading, type StepReading } from "../context/Counted.ts"
import type { Meter } from "../context/Meter.ts"
import { type Arrivals, gone } from "../fate/Block.ts"
import { type Branch, type Each, isMeeting, type Range, sourcesOf, type Step, stepsOf } from "../Step.ts"
import { type Stand, Succession } from "../fate/Succession.ts"
import type { Unit } from "../fate/Unit.ts"
import { Batcher } from "./Batcher.ts"
import { Belt } from "./Belt.ts"
import { checkConcurrency } from "./Described.ts"
import { Parts, type Resume } from "./Parts.ts"
import { type Entrance, Reader, Valve } from "./Reader.ts"
import { Scan, workOf } from "./Scan.ts"
import { Stage, type Surroundings } from "./Stage.ts"
import { Exit as Door, type Station } from "./Station.ts"
import { type Known, Unique } from "./Unique.ts"
import { type Side, Zip } from "./Zip.ts"

export interface FlowOptions extends Omit<Surroundings, "parts">, Branch {
  /** How steps with a state stand when it begins, by their names. */
  readonly stands: ReadonlyMap<string, Stand>
  readonly known: Known
  /** Whether the end of what is read is that of all elements. */
  readonly ends: boolean
  /** Whether what comes in may be dead letters, each of which begins with a step of its own. */
  readonly replays: boolean
  readonly resume: Resume
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

/** The stations of a branch, and what flows into the first of them: a source, or the branches that meet there. */
interface Arm {
  readonly named: ReadonlyArray<Named>
  /** None where it is branches. */
  readonly reader: Reader | undefined
  readonly inputs: ReadonlyArray<Arm>
  /** Behind the stations, where it is paired with another one. */
  readonly side: Side | undefined
}

/** A source that is read. */
interface Reading {
  readonly arm: Arm
  readonly task: Task<void, unknown>
}

export class Flow {
  private readonly options: FlowOptions
  private readonly valve = new Valve()
  private readonly trunk: Arm
  /** One for each source. */
  private readonly leaves: ReadonlyArray<Arm>
  private readonly named: ReadonlyArray<Named>
  private readings: ReadonlyArray<Reading> = []
  private readToEnd = false
  /** Those of which something is left to the next run. */
  private readonly cut = new Set<Arm>()
  private asked = false
  /** Has more work for a station; nobody does it before the flow has begun. */
  private hire: (station: Station, crew: ReturnType<Station["crew"]>) => Effect.Effect<unknown> = () => Effect.void

  constructor(options: FlowOptions) {
    const { fate, room } = options
    const { valve } = this
    const door = new Door(fate)
    const entrances = new Map<string, Entrance>([[options.sink, { station: door, from: 0 }]])
    const hall = { fate, room, valve, entrances }
    const around = { ...options, parts: new Parts(hall, options.resume) }
    const windows = [...fate.windows]
    const mayBelt = !options.replays && options.trace === undefined
    const armOf = (branch: Branch, next: Station, side?: Side): Arm => {
      const { source } = branch
      const named = stationsOf(branch, side ?? next, around, entrances, mayBelt)
      const first = named[0]?.station ?? side ?? next
      if (!isMeeting(source)) {
        const reader = new Reader(hall, windows.shift()!, first)
        return { named, inputs: [], reader, side }
      }
      const { _tag, inputs } = source
      const names = inputs.map((input) =>
        sourcesOf(input)
          .map(({ name }) => name)
          .join(" + ")
      )
      const zip = _tag === "Zip" ? new Zip(options.pipeline, names, first, fate) : undefined
      return { named, inputs: inputs.map((input, i) => armOf(input, first, zip?.sides[i])), reader: undefined, side }
    }
    this.options = options
    this.trunk = armOf(options, door)
    this.leaves = leavesOf(this.trunk)
    this.named = namedOf(this.trunk)
    room.furnish(this.named.map(({ station }) => station))
  }

  get steps(): ReadonlyArray<StepReading> {
    const { letters } = this.options
    return this.named.flatMap(({ names, station }) =>
      names.map((name, step) => {
        const [waiting, resting] = step === 0 ? [station.waiting, station.resting] : [0, 0]
        const stands = {
          name,
          concurrency: station.concurrency,
          waiting,
          working: station.workingAt?.(step) ?? 0,
          resting
        }
        return reading(stands, station.tallies[step]!, letters.of([name]))
      })
    )
  }

  get meters(): ReadonlyArray<Meter> {
    return this.named.flatMap(({ station }) => station.tallies.map(({ meter }) => meter))
  }

  /** Reads the arrivals of each source and works on them until each is at its end, or the first failure. */
  process(arrivals: ReadonlyArray<Stream.Stream<Arrivals, unknown, unknown>>): Effect.Effect<void, unknown, unknown> {
    const { outside, pipeline } = this.options
    return TaskGroup.open(
      Effect.gen({ self: this }, function* () {
        this.readings = yield* Effect.forEach(this.leaves, (arm, i) =>
          Effect.map(
            TaskGroup.supervise(outside(arm.reader!.read(arrivals[i]!)), { name: "reader" }),
            (task): Reading => ({ arm, task })
          )
        )
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
        yield* this.finish(this.trunk, crews)
        this.readToEnd = true
      }),
      { name: `pipeline ${pipeline}` }
    )
  }

  /** Waits for the end of what flows into it, and then of its stations, from the first to the last. */
  private finish(
    arm: Arm,
    crews: ReadonlyMap<Station, ReadonlyArray<Task<void>>>
  ): Effect.Effect<void, unknown, unknown> {
    return Effect.gen({ self: this }, function* () {
      for (const reading of this.readings) if (reading.arm === arm) yield* this.ended(reading)
      yield* Effect.forEach(arm.inputs, (input) => this.finish(input, crews), { concurrency: "unbounded" })
      for (const { station } of arm.named) {
        station.close()
        for (const worker of crews.get(station) ?? []) yield* worker.join
        if (this.options.ends && !this.isCut(arm)) station.finish?.()
      }
      if (arm.side === undefined) return
      if (!this.isCut(arm)) arm.side.end()
      arm.side.close()
      for (const worker of crews.get(arm.side) ?? []) yield* worker.join
    })
  }

  private isCut(arm: Arm): boolean {
    return this.valve.hasCut || this.cut.has(arm) || arm.inputs.some((input) => this.isCut(input))
  }

  private ended({ arm, task }: Reading): Effect.Effect<void, unknown> {
    return Effect.flatMap(task.exit, (exit) => {
      if (Exit.isSuccess(exit)) return Effect.void
      // After a drain what was begun is finished.
      if (!this.asked || !Cause.hasInterruptsOnly(exit.cause)) return exit
      this.cut.add(arm)
      return Effect.void
    })
  }

  /** Whether the sources were read to their ends, and nothing of them is left to the next run. */
  get readAll(): boolean {
    return this.readToEnd && this.cut.size === 0 && !this.valve.hasCut
  }

  get draining(): boolean {
    return this.asked
  }

  /** Stops reading; what was begun goes on, and what was only read is left to the next run. */
  readonly drain: Effect.Effect<void> = Effect.suspend(() => {
    this.asked = true
    this.valve.stop()
    const stopped = Effect.forEach(this.readings, ({ task }) => task.cancel("draining"), { concurrency: "unbounded" })
    return Effect.map(stopped, () => {
      for (const arm of this.leaves) {
        const first = arm.named[0]?.station
        if (first?.dropWaiting?.() === true) this.cut.add(arm)
      }
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
        const takesOne = stepsOf(this.options).some(({ _tag, name }) => _tag === "Scan" && name === step)
        if (station?.set !== undefined && !takesOne) return Effect.asVoid(this.hire(station, station.set(concurrency)))
        const { pipeline } = this.options
        const names = stepsOf(this.options).flatMap(({ _tag, name }) => (_tag === "Each" ? [`"${name}"`] : []))
        throw new RangeError(
          `Pipeline "${pipeline}" has no step "${step}" with workers; the steps that have are ${names.join(", ")}`
        )
      })
    )
  }

  pause(): void {
    this.valve.shut()
  }

  resume(): void {
    this.valve.open()
  }
}

const leavesOf = (arm: Arm): ReadonlyArray<Arm> => (arm.reader === undefined ? arm.inputs.flatMap(leavesOf) : [arm])

/** In an order in which each sends only to later ones. */
const namedOf = ({ inputs, named, side }: Arm): ReadonlyArray<Named> => [
  ...inputs.flatMap(namedOf),
  ...named,
  ...(side === undefined ? [] : [{ station: side, names: [] }])
]

/** From the last to the first, as each knows the next one. */
const stationsOf = (
  branch: Branch,
  last: Station,
  around: Surroundings & Pick<FlowOptions, "stands" | "known">,
  entrances: Map<string, Entrance>,
  mayBelt: boolean
): ReadonlyArray<Named> => {
  const groups = grouped(branch.steps)
  const named: Array<Named> = []
  const { behind, belts } = mayBelt ? beltsOf(branch) : noBelts
  let next = last
  for (const [place, steps] of [...groups.entries()].toReversed()) {
    const [first] = steps
    let work = steps as ReadonlyArray<Each>
    if (first._tag === "Scan") {
      const succession = new Succession<Unit>(first.name, around.stands.get(first.name)!, isSteady(branch, first))
      work = [workOf(first, succession)]
      next = new Scan(first, succession, next, around.fate)
      named.unshift({ names: [], station: next })
    }
    const station: Station =
      first._tag === "Batch"
        ? new Batcher(first, next, around)
        : first._tag === "Unique"
          ? new Unique(first, next, around)
          : place < belts
            ? new Belt(work, next, around, behind + place + 1)
            : new Stage(work, next, around)
    for (const [from, step] of steps.entries()) if ("onError" in step) entrances.set(step.name, { station, from })
    named.unshift({ names: steps.map(({ name }) => name), station })
    next = station
  }
  return named
}

/** Whether elements come to a step of the branch in an order that is the same in each run. */
const isSteady = ({ source, steps }: Branch, step: Step | undefined): boolean => {
  const before = steps.slice(0, step === undefined ? steps.length : steps.indexOf(step))
  const mixes = (one: Step) => one._tag === "Each" && (one.order === "completion" || one.key !== undefined)
  if (before.some(mixes)) return false
  return !isMeeting(source) || (source._tag === "Zip" && source.inputs.every((input) => isSteady(input, undefined)))
}

const noBelts = { belts: 0, behind: 0, isWhole: false }

/**
 * How many of the first stations of a branch are belts: those that nothing but ranges comes to. `behind` how many others, and whether
 * all of its stations are.
 */
const beltsOf = ({ source, steps }: Branch): typeof noBelts => {
  const inputs = isMeeting(source) ? source.inputs.map(beltsOf) : []
  const behind = Math.max(0, ...inputs.map(({ behind, belts }) => behind + belts))
  if (isMeeting(source) && (source._tag === "Zip" || inputs.some(({ isWhole }) => !isWhole))) return noBelts
  const groups = grouped(steps)
  const others = groups.findIndex((group) => !group.every(isPlain))
  const belts = Math.min(others < 0 ? groups.length : others, mostBelts - behind)
  return { belts, behind, isWhole: belts === groups.length }
}

/** As many as there are states for. */
const mostBelts = gone - 1

/** Whether it needs nothing of an element but its value. */
const isPlain = (step: Step): boolean =>
  step._tag === "Each" &&
  step.kind !== "flatMap" &&
  step.policy === undefined &&
  step.key === undefined &&
  !(typeof step.onError === "object" && step.onError.parkKey === true)

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
