/** What moves elements from a reader through the stages to the writer, and knows when each of them is at its end. */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { Task } from "../../concurrency/Task.ts"
import * as TaskGroup from "../../concurrency/TaskGroup.ts"
import { Batcher } from "./Batcher.ts"
import { Item, Signal } from "./Lane.ts"
import type { Position } from "../Source.ts"
import { type Downstream, Stage } from "./Stage.ts"
import type { Each, Step } from "../Step.ts"
import { type Unit, Window } from "../fate/Window.ts"

/** An element on its way in: at the first step, or, where a dead letter is run again, at the step it failed in. */
export interface Arrival {
  readonly value: unknown
  readonly position: Position
  readonly bytes: number
  readonly replays?: { readonly letter: number; readonly step: string } | undefined
}

export interface FlowOptions {
  readonly pipeline: string
  readonly steps: ReadonlyArray<Step>
  readonly window: { readonly items: number; readonly bytes: number }
  readonly resume: { readonly position: Option.Option<Position>; readonly ahead: ReadonlyArray<number> }
  readonly maxRows: number
  /** Decides the fate of an element whose step failed; fails where that ends the run. */
  readonly failed: (
    step: Each,
    input: unknown,
    unit: Unit,
    error: unknown,
    attempts: number
  ) => Effect.Effect<void, unknown, unknown>
}

export class Flow {
  readonly window: Window
  private readToEnd = false
  private leftOver = false
  /** Whether a drain was asked for. */
  draining = false
  private readonly options: FlowOptions
  private readonly stages: ReadonlyArray<Stage | Batcher>
  private readonly entrances = new Map<string, { readonly station: number; readonly from: number }>()
  private reader: Task<void, unknown> | undefined
  private readerWaits = false
  private ready: Array<Unit> = []
  /** Complete units that have nothing to write: the next commit takes them along, at the latest when the window is full. */
  readonly quiet: Array<Unit> = []
  private committing = false
  private closed = false
  private readonly room = new Signal()
  private readonly work = new Signal()
  private readonly pausing = new Signal()

  constructor(options: FlowOptions) {
    this.options = options
    this.window = new Window(options.window, options.resume)
    this.stages = this.build(options.steps)
  }

  hasStep(name: string): boolean {
    return this.entrances.has(name)
  }

  /** Reads `arrivals` and works on them until each is at its end, or the first failure. */
  process<E, R>(arrivals: Stream.Stream<Arrival, E, R>): Effect.Effect<void, unknown, unknown> {
    return TaskGroup.open(
      Effect.gen({ self: this }, function* () {
        this.reader = yield* TaskGroup.supervise(this.read(arrivals), { name: "reader" })
        if (this.draining) yield* this.drain
        const crews: Array<ReadonlyArray<Task<void>>> = []
        for (const stage of this.stages) {
          const name = (_: unknown, i: number) => ({ name: `worker-${i + 1}` })
          crews.push(
            yield* Effect.forEach(stage.crew(this.options.pipeline), (work, i) => TaskGroup.spawn(work, name(work, i)))
          )
        }
        const read = yield* this.reader.exit
        // After a drain what was begun is finished.
        if (Exit.isFailure(read) && !(this.draining && Cause.hasInterruptsOnly(read.cause))) return yield* read
        this.readToEnd = Exit.isSuccess(read)
        for (const [index, stage] of this.stages.entries()) {
          stage.close()
          for (const worker of crews[index]!) yield* worker.join
        }
      }),
      { name: `pipeline ${this.options.pipeline}` }
    )
  }

  /** Whether the source was read to its end, and nothing of it is left to the next run. */
  get readAll(): boolean {
    return this.readToEnd && !this.leftOver
  }

  /** Stops reading; what was begun goes on, and what was only read is left to the next run. */
  readonly drain: Effect.Effect<void> = Effect.suspend(() => {
    this.draining = true
    return Effect.map(this.reader?.cancel("draining") ?? Effect.void, () => {
      const first = this.stages[0]
      if (first instanceof Stage && first.dropWaiting()) this.leftOver = true
      this.room.wakeAll()
    })
  })

  /**
   * Hands complete units to `commit`, as many at once as are there, until the flow is closed and none is left; `every`
   * lies between two commits while the window has room.
   */
  write<E, R>(
    commit: (units: ReadonlyArray<Unit>) => Effect.Effect<void, E, R>,
    every: Duration.Duration
  ): Effect.Effect<void, E, R> {
    const pause = Duration.isPositive(every) ? this.pause(every) : Effect.void
    return Effect.whileLoop({
      while: () => !this.closed || this.isDue,
      body: () => {
        if (!this.isDue) return this.work.wait(() => this.closed || this.isDue)
        // What else is ready in this turn of the event loop goes into the same commit.
        return Effect.andThen(
          Effect.yieldNow,
          Effect.suspend(() => {
            this.committing = true
            return Effect.flatMap(commit(this.takeReady()), () => {
              this.committing = false
              this.room.wakeAll()
              // The reader may be about to wait, and miss the wake.
              this.stalled()
              return pause
            })
          })
        )
      },
      step: () => {}
    })
  }

  /** Nothing will become ready any more. */
  close(): void {
    this.closed = true
    this.work.wakeAll()
    this.pausing.wakeAll()
  }

  /** Waits before the next commit, but not once all there will be is ready, nor while room is needed. */
  private pause(duration: Duration.Duration): Effect.Effect<void> {
    return Effect.asVoid(
      Effect.timeoutOption(
        this.pausing.wait(() => this.closed || this.window.isFull),
        duration
      )
    )
  }

  private build(steps: ReadonlyArray<Step>): ReadonlyArray<Stage | Batcher> {
    const stages: Array<Stage | Batcher> = []
    for (let i = 0; i < steps.length;) {
      const step = steps[i]!
      const down = this.downstream(stages.length)
      if (step._tag === "Batch") {
        stages.push(new Batcher(step, down))
        i += 1
        continue
      }
      const fused: Array<Each> = []
      for (let next = steps[i]; next?._tag === "Each" && fits(fused, next); next = steps[++i]) {
        this.entrances.set(next.name, { station: stages.length, from: fused.length })
        fused.push(next)
      }
      stages.push(new Stage(this.options.pipeline, fused, down))
    }
    return stages
  }

  private downstream(index: number): Downstream {
    return {
      emit: (item) => {
        const next = this.stages[index + 1]
        if (next === undefined) this.arrive(item.value, item.unit)
        else next.accept(item)
      },
      fanOut: (unit, children) => {
        unit.root.live += children - 1
      },
      drop: (unit) => this.leave(unit.root),
      grow: (unit, bytes) => {
        this.window.grow(unit, bytes)
        if (this.window.isFull) this.wakeWriter()
      },
      filtered: (unit) => {
        unit.root.filtered += 1
      },
      failed: this.options.failed,
      mayBegin: (stage) => this.mayBegin(index, stage),
      room: (ready) => this.room.wait(ready),
      ended: () => {
        if (this.window.isHeavy) this.room.wakeAll()
        if (this.readerWaits) this.stalled()
      }
    }
  }

  private read<E, R>(arrivals: Stream.Stream<Arrival, E, R>): Effect.Effect<void, E, R> {
    return Stream.runForEachArray(arrivals, (chunk) => {
      let next = 0
      return Effect.whileLoop({
        while: () => next < chunk.length,
        body: () => {
          while (next < chunk.length && !this.window.isFull) this.enter(chunk[next++]!)
          this.wakeWriter()
          if (next === chunk.length) return Effect.void
          this.readerWaits = true
          this.stalled()
          return this.room.wait(() => !this.window.isFull)
        },
        step: () => {
          this.readerWaits = false
        }
      })
    })
  }

  private enter({ bytes, position, replays, value }: Arrival): void {
    const unit = this.window.admit(position, bytes, replays?.letter)
    if (unit === undefined) return
    const entrance = replays === undefined ? undefined : this.entrances.get(replays.step)
    const stage = this.stages[entrance?.station ?? 0]
    if (stage === undefined) this.arrive(value, unit)
    else stage.accept(new Item(value, unit, "", entrance?.from))
  }

  private arrive(value: unknown, unit: Unit): void {
    const { root } = unit
    root.add(value)
    this.leave(root)
  }

  private leave(root: Unit): void {
    root.live -= 1
    if (root.live > 0) return
    const writes = root.outputs.length > 0 || root.dead.length > 0 || root.letters.length > 0
    ;(writes ? this.ready : this.quiet).push(root)
    this.wakeWriter()
  }

  private wakeWriter(): void {
    if (this.isDue) this.work.wakeOne()
    if (this.window.isFull) this.pausing.wakeAll()
  }

  /** Whether a commit should follow: something is to be written, or nothing else makes room in the window. */
  private get isDue(): boolean {
    return this.ready.length > 0 || (this.quiet.length > 0 && (this.closed || this.window.isFull))
  }

  private takeReady(): ReadonlyArray<Unit> {
    let rows = 0
    let count = 0
    while (count < this.ready.length && rows < this.options.maxRows) rows += this.ready[count++]!.outputs.length
    return [...this.quiet.splice(0), ...this.ready.splice(0, count)]
  }

  /**
   * While what is held in memory is over its limit, a station takes more only when all behind it have come to rest, so
   * that whatever can be finished and written is.
   */
  private mayBegin(index: number, stage: Stage): boolean {
    if (!this.window.isHeavy) return true
    return (
      !stage.isRunning && !this.committing && !this.isDue && this.stages.every((later, i) => i <= index || later.isIdle)
    )
  }

  /** Sends on partial batches when nothing else can ever fill them: the reader waits for room that only they can give. */
  private stalled(): void {
    if (!this.readerWaits || !this.window.isFull || this.committing || this.isDue) return
    if (!this.stages.every((stage) => stage.isIdle)) return
    for (const stage of this.stages) if (stage instanceof Batcher) stage.flush()
  }
}

const fits = (fused: ReadonlyArray<Each>, step: Each): boolean => {
  const last = fused.at(-1)
  return (
    last === undefined ||
    (last.kind !== "flatMap" && last.concurrency === step.concurrency && last.order === step.order)
  )
}
