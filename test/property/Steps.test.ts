/** Pipelines of all steps and policies made at random, killed and drained, against a model that takes one element after the other. */
import { describe, expect, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as References from "effect/References"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { Journal, Pipeline, Sink, Source, TaskGroup } from "skein"
import { Interrupt, Leaks, Sim } from "skein/testing"
import * as Store from "../support/store.ts"

const deep = process.env["SKEIN_DEEP"] === undefined ? 1 : 20

const StepSpec = Schema.Struct({
  kind: Schema.Literals(["map", "tap", "filter", "flatMap", "stream", "batch", "unique", "scan"]),
  concurrency: Schema.Literals([1, 2, 4, "range"]),
  lane: Schema.Literals(["input", "completion", "key", "perKey"]),
  policy: Schema.Literals(["none", "retry", "timeout", "rate", "all"]),
  /** Whether the step waits for something now and then. */
  waits: Schema.Boolean,
  onError: Schema.Literals(["fail", "skip", "deadLetter", "defects", "parkKey"]),
  size: Schema.Literals([1, 2, 3, 50]),
  within: Schema.Literals([0, 3]),
  byKey: Schema.Boolean
})

const JobSpec = Schema.Struct({
  seed: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 1_000_000 })),
  elements: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 20 })),
  merged: Schema.Boolean,
  steps: Schema.Array(StepSpec).check(Schema.isMaxLength(5)),
  items: Schema.Literals([1, 3, 7, 1024]),
  maxRows: Schema.Literals([1, 3, 1000]),
  commitEvery: Schema.Literals([0, 4]),
  slow: Schema.Literals([0, 1]),
  sink: Schema.Literals(["table", "elsewhere"])
})
type JobSpec = typeof JobSpec.Type
type StepSpec = typeof StepSpec.Type

const job = Arbitrary.schema(JobSpec)
const options = { arbitrary: { runs: 100 * deep }, timeout: 600_000 }

/** A descendant of an element: which one of which source, and what the scans on its way counted. */
const Value = Schema.Struct({
  name: Schema.String,
  source: Schema.String,
  at: Schema.Array(Schema.Int),
  scans: Schema.Array(Schema.Int)
})
type Value = typeof Value.Type

class Faulty extends Schema.TaggedError<Faulty>()("Faulty", { message: Schema.String }) {}

/** A number in [0, 1) that is always the same for the same arguments. */
const roll = (...parts: ReadonlyArray<string | number>): number => {
  let h = 2166136261
  for (const char of parts.join("|")) h = Math.imul(h ^ char.charCodeAt(0), 16777619)
  h = Math.imul(h ^ (h >>> 16), 0x45d9f3b)
  return ((h ^ (h >>> 15)) >>> 0) / 4294967296
}

const keyOf = ({ at }: Value) => at[0]! % 3
const crowdOf = (seed: number, step: number, { name }: Value) => `u${step}-${Math.floor(roll(seed, step, name) * 8)}`
const childrenOf = (seed: number, step: number, value: Value): ReadonlyArray<Value> =>
  Array.from({ length: Math.floor(roll(seed, step, value.name, "children") * 4) }, (_, i) => ({
    ...value,
    name: `${value.name}.${i}`,
    at: [...value.at, i]
  }))

type Order = "all" | "key" | "none"
interface Step extends StepSpec {
  readonly index: number
  /** What is known of the order in which elements come to it: with two sources, of those of each. */
  readonly order: Order
  readonly isKeyed: boolean
  readonly most: number
}

/** The steps, without what would make their outcome depend on time; and the order behind them. */
const planOf = ({ merged, steps }: JobSpec): { readonly steps: ReadonlyArray<Step>; readonly order: Order } => {
  let order: Order = "all"
  const plan: Array<Step> = []
  for (const [index, step] of steps.entries()) {
    if (step.kind === "scan" && (order !== "all" || merged)) continue
    const isKeyed = step.lane === "key" || step.lane === "perKey"
    const mayPark = step.lane === "key" && step.kind !== "scan" && order !== "none" && !merged
    const onError = step.onError === "parkKey" && !mayPark ? "deadLetter" : step.onError
    const most = step.kind === "scan" ? 1 : step.concurrency === "range" ? 3 : step.concurrency
    plan.push({ ...step, index, order, isKeyed, most, onError })
    if (step.kind === "unique") order = order === "all" && !merged ? "all" : "none"
    else if (step.kind === "batch") order = step.byKey && order === "all" ? "key" : order
    else if (step.kind !== "scan" && step.lane === "completion") order = "none"
    else if (step.kind !== "scan" && isKeyed && order === "all") order = "key"
  }
  return { steps: plan, order }
}

const retries = (step: Step) => step.kind !== "scan" && (step.policy === "retry" || step.policy === "all")
const isTimed = (step: Step) => step.kind !== "scan" && (step.policy === "timeout" || step.policy === "all")

/** What the step does with an element until it is mended; "flaky" is well after some attempts. */
const conditionOf = (seed: number, step: Step, { name }: Value): "well" | "fails" | "dies" | "slow" | "flaky" => {
  const chance = roll(seed, step.index, name, "bad")
  if (retries(step) && chance > 0.75) return "flaky"
  if (step.onError === "fail" || chance > 0.15) return "well"
  if (chance < 0.05 && isTimed(step)) return "slow"
  return chance < 0.1 && step.onError === "defects" ? "dies" : "fails"
}
const isBad = (seed: number, step: Step, value: Value) => !["well", "flaky"].includes(conditionOf(seed, step, value))

/** What became of elements, and what the steps keep of them. */
interface Model {
  values: ReadonlyArray<Value>
  /** Step and name. */
  letters: Array<string>
  buried: Array<readonly [step: number, value: Value]>
  filtered: number
  skipped: number
  readonly states: Map<number, number>
  readonly seen: Set<string>
}

/** Takes values from a step on, one step after the other. */
const follow = (model: Model, { seed }: JobSpec, steps: ReadonlyArray<Step>, mended: boolean): void => {
  for (const step of steps) {
    const { index, kind, onError } = step
    if (kind === "batch") continue
    const parked = new Set<number>()
    model.values = model.values.flatMap((value): ReadonlyArray<Value> => {
      if (kind === "unique") {
        const name = crowdOf(seed, index, value)
        const isNew = !model.seen.has(name)
        if (!isNew) model.filtered += 1
        model.seen.add(name)
        return isNew ? [{ ...value, name }] : []
      }
      if (!mended && (isBad(seed, step, value) || parked.has(keyOf(value)))) {
        if (onError === "parkKey") parked.add(keyOf(value))
        if (onError === "skip") model.skipped += 1
        else model.buried.push([index, value])
        return []
      }
      if (kind === "scan") {
        const state = (model.states.get(index) ?? 0) + 1
        model.states.set(index, state)
        return [{ ...value, scans: [...value.scans, state] }]
      }
      if (kind === "filter" && !keeps(seed, index, value)) model.filtered += 1
      return kind === "filter" ? (keeps(seed, index, value) ? [value] : []) : resultOf(seed, index, kind, value)
    })
  }
}

const keeps = (seed: number, step: number, { name }: Value) => roll(seed, step, name, "keep") < 0.7
const resultOf = (seed: number, step: number, kind: StepSpec["kind"], value: Value): ReadonlyArray<Value> =>
  kind === "flatMap" || kind === "stream"
    ? childrenOf(seed, step, value)
    : [kind === "map" ? { ...value, name: `${value.name}m${step}` } : value]

const elementsOf = ({ elements, merged }: JobSpec): ReadonlyArray<Value> =>
  (merged ? ["left", "right"] : ["left"]).flatMap((source) =>
    Array.from({ length: elements }, (_, i) => ({ name: `${source}${i + 1}`, source, at: [i + 1], scans: [] }))
  )

const expected = (spec: JobSpec): Model => {
  const model: Model = {
    values: elementsOf(spec),
    letters: [],
    buried: [],
    filtered: 0,
    skipped: 0,
    states: new Map(),
    seen: new Set()
  }
  follow(model, spec, planOf(spec).steps, false)
  model.letters = model.buried.map(([step, { name }]) => `${step} ${name}`)
  return model
}

/** What is there once all dead letters have run again, which fail no more. */
const replayed = (spec: JobSpec, model: Model): Model => {
  const all: Array<Value> = [...model.values]
  for (const [step, value] of model.buried) {
    model.values = [value]
    follow(model, spec, planOf(spec).steps.slice(planOf(spec).steps.findIndex(({ index }) => index === step)), true)
    all.push(...model.values)
  }
  return Object.assign(model, { values: all })
}

/** In the order of the source. */
const compare = (one: ReadonlyArray<number>, other: ReadonlyArray<number>): number => {
  const place = one.findIndex((n, i) => n !== other[i])
  if (place === -1) return one.length - other.length
  return one[place]! - (other[place] ?? -1)
}

/** What is there between the runs of a job: the store, and which faults happened already. */
const makeWorld = (spec: JobSpec) => {
  const { seed } = spec
  const plan = planOf(spec)
  const store = Store.make<Value>()
  const happened = new Set<string>()
  const watched = { opened: 0, closed: 0, open: 0, running: new Map<string, number>(), last: new Map<string, Value>() }
  const most = new Map<string, number>()
  const state = { mended: false, isReplay: false }

  /** Every fault happens once, and ends the run that meets it. */
  const isDue = (fault: string, chance: number): boolean => {
    if (roll(seed, fault) >= chance || happened.has(fault)) return false
    happened.add(fault)
    return true
  }
  const count = (name: string, by: number) => {
    const now = (watched.running.get(name) ?? 0) + by
    watched.running.set(name, now)
    most.set(name, Math.max(now, most.get(name) ?? 0))
  }
  const within = <A, E, R>(step: Step, value: Value, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> => {
    const both = (by: number) => {
      count(`${step.index}`, by)
      if (step.isKeyed && step.kind !== "scan") count(`${step.index} of key ${keyOf(value)}`, by)
    }
    return Effect.acquireUseRelease(
      Effect.sync(() => {
        watched.opened += 1
        both(1)
      }),
      () => effect,
      () =>
        Effect.sync(() => {
          watched.closed += 1
          both(-1)
        })
    )
  }

  /** P4: a step with a key is never called with an element of the key that comes before one that it was called with. */
  const checkOrder = (step: Step, value: Value) => {
    if (state.isReplay || step.order === "none" || step.kind === "scan" || step.lane !== "key") return
    const line = `${step.index} ${value.source} ${keyOf(value)}`
    const last = watched.last.get(line)
    if (last !== undefined && compare(last.at, value.at) > 0) {
      throw new Error(`step ${step.index} is called with ${value.name} after ${last.name}, of the same key`)
    }
    watched.last.set(line, value)
  }

  const work =
    (step: Step, given: (value: Value) => unknown) =>
    (value: Value): unknown => {
      const { index, onError } = step
      const { name } = value
      checkOrder(step, value)
      if (onError === "fail" && isDue(`step ${index} throws at ${name}`, 0.02)) throw new Error("thrown")
      if (onError === "fail" && isDue(`step ${index} fails at ${name}`, 0.03)) {
        return within(step, value, Effect.delay(Effect.fail("fault"), 2))
      }
      const condition = conditionOf(seed, step, value)
      const bad = state.mended && condition !== "flaky" ? "well" : condition
      const chance = roll(seed, index, name, "waits")
      if (bad === "well" && (!step.waits || chance < 0.5)) return given(value)
      const failed = Effect.fail(new Faulty({ message: name }))
      const succeeded = Effect.sync(() => given(value))
      const outcome = {
        well: succeeded,
        fails: failed,
        dies: Effect.die("defect"),
        slow: Effect.delay(succeeded, 100),
        flaky: Effect.flatMap(Pipeline.Attempt, (attempt) =>
          attempt.count < 2 + (chance > 0.75 ? 1 : 0) ? failed : succeeded
        )
      }[bad] as Effect.Effect<unknown, Faulty>
      return within(step, value, chance < 0.75 ? Effect.delay(outcome, Math.floor(chance * 10)) : outcome)
    }

  const sourceOf = (source: string): Source.Source<Value, string, never, number> => ({
    name: source,
    resumable: true,
    size: Effect.succeed(Option.none()),
    fingerprint: () => Effect.succeed({ elements: spec.elements }),
    read: (after) => {
      const elements = Stream.range(Option.getOrElse(after, () => 0) + 1, spec.elements).pipe(
        Stream.rechunk(1),
        Stream.mapEffect((n) =>
          isDue(`source fails at ${source}${n}`, 0.02)
            ? Effect.fail("torn")
            : Effect.delay(Effect.succeed(n), spec.slow)
        ),
        Stream.map((n) => {
          const settled = store.checkpoint?.position.pipe(Option.getOrElse(() => 0)) as number | undefined
          watched.open = Math.max(watched.open, n - (settled ?? 0))
          return { value: { name: `${source}${n}`, source, at: [n], scans: [] }, position: n, bytes: 20 }
        })
      )
      const opened = Effect.acquireRelease(
        Effect.sync(() => void (watched.opened += 1)),
        () => Effect.sync(() => void (watched.closed += 1))
      )
      return Stream.unwrap(Effect.as(opened, elements))
    }
  })

  let pipeline: Pipeline.Pipeline<any, any, any, number> = Pipeline.from(sourceOf("left"))
  if (spec.merged) {
    const right = Pipeline.from(sourceOf("right")).pipe(
      Pipeline.tap(() => {}, { name: "right", concurrency: 2, key: keyOf })
    )
    pipeline = pipeline.pipe(Pipeline.merge(right))
  }
  for (const step of plan.steps) {
    const { index, kind, lane, policy, concurrency, size } = step
    const name = `${index}`
    const letters = { deadLetter: Value, defects: step.onError === "defects", parkKey: step.onError === "parkKey" }
    const onError = step.onError === "fail" || step.onError === "skip" ? step.onError : letters
    const options: any = {
      name,
      onError,
      concurrency: concurrency === "range" ? { min: 1, max: 3 } : concurrency,
      ...(step.isKeyed ? { key: keyOf, perKey: lane === "perKey" ? 2 : 1 } : { order: lane }),
      ...(retries(step) && { retry: { retries: 2, backoff: { base: 5 } } }),
      ...(isTimed(step) && { timeout: { attempt: 20, total: "1 minute" } }),
      ...((policy === "rate" || policy === "all") && { rate: { limit: 1, per: 1, burst: 2 } }),
      ...(policy === "rate" && step.isKeyed && { ratePerKey: { limit: 1, per: 2 } })
    }
    if (kind === "batch") {
      pipeline = pipeline.pipe(
        Pipeline.batch(size, {
          ...(step.within > 0 && { within: step.within }),
          ...(step.byKey && { key: keyOf }),
          ...(!step.waits && { bytes: 150 })
        }),
        Pipeline.flatMap((values: ReadonlyArray<Value>) => {
          expect(values.length).toBeLessThanOrEqual(size)
          if (step.byKey) expect(new Set(values.map(keyOf)).size).toBe(1)
          return values
        })
      )
    } else if (kind === "unique") {
      const crowd = (value: Value) => crowdOf(seed, index, value)
      pipeline = pipeline.pipe(
        Pipeline.unique(crowd, { name }),
        Pipeline.map((value: Value) => ({ ...value, name: crowd(value) }))
      )
    } else if (kind === "scan") {
      const counting = (count: number, value: Value) =>
        work(step, () => [count + 1, { ...value, scans: [...value.scans, count + 1] }])(value)
      pipeline = pipeline.pipe(Pipeline.scan(0, counting as never, { state: Schema.Number, onError, name } as any))
    } else {
      const given = {
        map: (value: Value) => resultOf(seed, index, kind, value)[0],
        tap: () => "nothing",
        filter: (value: Value) => keeps(seed, index, value),
        flatMap: (value: Value) => childrenOf(seed, index, value),
        stream: (value: Value) =>
          Stream.fromIterable(childrenOf(seed, index, value)).pipe(
            Stream.rechunk(1),
            Stream.mapEffect((child) => (step.waits ? Effect.delay(Effect.succeed(child), 1) : Effect.succeed(child)))
          )
      }[kind]
      const { filter, flatMap, map, tap } = Pipeline
      const make = { map, tap, filter, flatMap, stream: flatMap }[kind] as any
      pipeline = pipeline.pipe(make(work(step, given), options))
    }
  }
  const sink = { table: store.table, elsewhere: store.elsewhere }[spec.sink] as Sink.Sink<
    any,
    any,
    any,
    "at-least-once"
  >
  let writes = 0
  const faulty: typeof sink = {
    ...sink,
    open: (committed) =>
      Effect.map(sink.open(committed), (writer) => ({
        ...writer,
        write: (rows, since) => {
          writes += 1
          return isDue(`sink fails before write ${writes}`, 0.03) ? Effect.fail("sink") : writer.write(rows, since)
        }
      }))
  }
  const settings = {
    name: "random",
    window: { items: spec.items },
    maxRows: spec.maxRows,
    commitEvery: spec.commitEvery
  }
  const job = pipeline.pipe(Pipeline.to(faulty))
  const fresh = <A>(run: Effect.Effect<A, unknown, any>, isReplay: boolean): Effect.Effect<A, unknown> =>
    Effect.suspend(() => {
      Object.assign(state, { isReplay })
      Object.assign(watched, { opened: 0, closed: 0, running: new Map(), last: new Map() })
      // Whoever held it is gone when the next one begins.
      store.free()
      return run.pipe(
        Effect.provideService(Journal.Journal, store.journal),
        // Of two faults at once, the second is only logged.
        Effect.provideService(References.MinimumLogLevel, "None")
      ) as Effect.Effect<A, unknown>
    })
  const run = fresh(Pipeline.run(job, settings), false)
  const replay = fresh(Pipeline.replay(job, settings), true)
  return { spec, plan, store, state, watched, most, happened, run, replay }
}
type World = ReturnType<typeof makeWorld>

/** Runs the job, or replays its dead letters, until it is done, through all faults. */
const finish = (world: World, effect = world.run): void => {
  while (true) {
    const before = world.happened.size
    const run = Effect.runSync(Sim.run(effect))
    isCalm(run, world)
    checkStanding(world)
    if (Exit.isSuccess(run.exit)) return expect(run.exit.value.outcome).toBe("done")
    // Each time another fault: none stays after the run that met it.
    if (world.happened.size === before) expect(String(run.exit.cause), "a run fails of no fault").toBe("")
  }
}

/** How many elements may be open: one of each source in any case. */
const held = ({ items, merged }: JobSpec) => Math.max(items, merged ? 2 : 1)

const sorted = (list: ReadonlyArray<string>) => list.toSorted()

const isCalm = (run: Sim.Run<unknown, unknown>, { watched }: World) => {
  Effect.runSync(Leaks.check(run))
  expect(watched.closed, "each finalizer ran once").toBe(watched.opened)
}

/** What must be true between any two runs, and while they run. */
const checkStanding = ({ most, plan, spec, store, watched }: World): void => {
  const places = (checkpoint: Journal.Checkpoint) =>
    spec.merged
      ? Object.values(checkpoint.inputs ?? {}).map(
          ({ ahead, position = 0 }) => [Number(position), ahead.length] as const
        )
      : [[Number(Option.getOrElse(checkpoint.position, () => 0)), checkpoint.ahead.length] as const]
  let last: ReadonlyArray<readonly [number, number]> = []
  for (const { checkpoint, rows } of store.commits) {
    const now = places(checkpoint)
    for (const [i, [position]] of last.entries()) {
      expect(now[i]![0], "the watermark never goes back").toBeGreaterThanOrEqual(position)
    }
    last = now
    const settled = now.reduce((sum, [position, ahead]) => sum + position + ahead, 0)
    expect(checkpoint.counts.settled, "what is counted as settled is settled").toBe(settled)
    if (spec.sink === "table") expect(checkpoint.counts.written, "what is counted as written").toBe(rows)
  }
  // While a commit is under way as much again may be read; and the reader waits with one more.
  if (!spec.merged) expect(watched.open, "elements in the window").toBeLessThanOrEqual(2 * spec.items + 1)
  for (const { index, lane, most: limit } of plan.steps) {
    expect(most.get(`${index}`) ?? 0, `in flight at step ${index}`).toBeLessThanOrEqual(limit)
    for (const key of [0, 1, 2]) {
      const ofKey = most.get(`${index} of key ${key}`) ?? 0
      expect(ofKey, `of one key at step ${index}`).toBeLessThanOrEqual(lane === "perKey" ? 2 : 1)
    }
  }
}

const nameOf = ({ input, step }: Journal.DeadLetter) => `${step} ${(input as Value).name}`
const rowOf = ({ name, scans }: Value) => `${name} ${scans.join()}`

/** What must be true once the job is done, and its dead letters were replayed if they were. */
const checkDone = (world: World, wasReplayed = false): void => {
  const { plan, spec, store } = world
  const model = wasReplayed ? replayed(spec, expected(spec)) : expected(spec)
  const rows = spec.sink === "table" ? store.rows : store.elsewhere.received
  const names = rows.map(({ name }) => name)
  const all = sorted(model.values.map(({ name }) => name))
  if (spec.sink === "elsewhere") expect(sorted([...new Set(names)]), "nothing is lost").toEqual(all)
  else expect(sorted(names), "nothing is lost and nothing is there twice").toEqual(all)
  if (!wasReplayed && !spec.merged) {
    const given = sorted([...new Set(rows.map(rowOf))])
    expect(given, "scans count as one without a break").toEqual(sorted(model.values.map(rowOf)))
  }
  if (!wasReplayed && spec.sink === "table" && plan.order !== "none") {
    for (const source of ["left", "right"]) {
      for (const key of plan.order === "key" ? [0, 1, 2] : [undefined]) {
        const line = rows.filter((row) => row.source === source && (key === undefined || keyOf(row) === key))
        expect(line, "rows are in order").toEqual(line.toSorted((one, other) => compare(one.at, other.at)))
      }
    }
  }
  expect(sorted(store.letters.map(nameOf)), "the dead letters are those of the model").toEqual(sorted(model.letters))
  const settled = store.letters.filter((letter) => letter.replayed)
  expect(settled.length, "dead letters that were replayed").toBe(wasReplayed ? model.letters.length : 0)
  const total = spec.elements * (spec.merged ? 2 : 1)
  expect(store.checkpoint, "the counts").toMatchObject({
    ahead: [],
    finished: true,
    counts: {
      settled: total,
      filtered: model.filtered,
      skipped: model.skipped,
      dead: wasReplayed ? 0 : model.letters.length,
      bytes: total * 20
    }
  })
  for (const [i, state] of model.states) {
    expect(store.checkpoint?.steps?.[`${i}`], `the state of scan ${i}`).toMatchObject({ state })
  }
  expect(store.seen.length, "keys that were seen").toBe(model.seen.size)
  checkStanding(world)
}

/** One schedule for each job: of any kind, as its seed says. */
const scheduled = ({ seed }: JobSpec) =>
  ({
    schedules: 1,
    seed,
    strategy: seed % 3 === 0 ? "pct" : "random",
    granularity: seed % 4 === 0 ? "boundary" : "op",
    // The job is made smaller, and with it the run.
    shrinks: 0
  }) as const

describe("a pipeline of any steps and policies", () => {
  it.prop(
    "P1 P4 P5 P12 is killed, goes on, and replays its dead letters once, killed again",
    { spec: job },
    ({ spec }) => {
      let world!: World
      const start = Effect.suspend(() => (world = makeWorld(spec)).run)
      const check = (run: Sim.Run<unknown, unknown>) => {
        if (!run.stopped) isCalm(run, world)
        if (run.stopped || Exit.isFailure(run.exit)) {
          const before = world.store.elsewhere.received.length
          finish(world)
          // A run that fails has committed what it wrote: only the kill doubles, and only what was open then.
          const { received } = world.store.elsewhere
          const seen = new Set(received.slice(0, before).map(({ name }) => name))
          const again = received.slice(before).filter(({ name }) => seen.has(name))
          const roots = new Set(again.map(({ at, source }) => `${source}${at[0]}`))
          expect(roots.size, "elements written twice").toBeLessThanOrEqual(run.stopped ? held(spec) : 0)
        }
        checkDone(world)
      }
      Effect.runSync(Sim.explore(start, { ...scheduled(spec), check, stop: "kill" }))
      world.state.mended = true
      const again = (run: Sim.Run<unknown, unknown>) => {
        if (!run.stopped) isCalm(run, world)
        finish(world, world.replay)
        checkDone(world, true)
      }
      Effect.runSync(Sim.explore(world.replay, { ...scheduled(spec), check: again, stop: "kill" }))
    },
    options
  )

  it.prop(
    "P9 is drained or cancelled at any moment, has nothing left open, and goes on",
    { spec: job },
    ({ spec }) => {
      let world!: World
      const after = Math.floor(roll(spec.seed, "drain") * 40)
      const start = Effect.suspend(() => {
        world = makeWorld(spec)
        return TaskGroup.open(Effect.all([world.run, Effect.delay(TaskGroup.stop(), after)], { concurrency: 2 }))
      })
      const check = (run: Sim.Run<unknown, unknown>) => {
        isCalm(run, world)
        checkStanding(world)
        // No step takes a second: what is in flight is done long before the deadline of the drain.
        expect(run.time).toBeLessThan(10_000)
        finish(world)
        checkDone(world)
      }
      const stop = spec.seed % 2 === 0 ? "interrupt" : undefined
      Effect.runSync(Sim.explore(start, { ...scheduled(spec), check, stop }))
    },
    options
  )
})

describe("a step that is tried again", () => {
  it("P4 P6 reads what an element became once those before it came back, which its worker may be needed for", () => {
    const read = (n: number) =>
      Effect.flatMap(Pipeline.Attempt, ({ count }) =>
        n === 1 && count === 1 ? Effect.fail("busy") : Effect.succeed(Stream.make(n, n * 10))
      )
    const program = Pipeline.from([1, 2, 3]).pipe(
      Pipeline.flatMap(read, { retry: { backoff: { base: 5 } } }),
      Pipeline.collect
    )
    const check = ({ exit }: Sim.Run<ReadonlyArray<number>, unknown>) =>
      expect(exit).toEqual(Exit.succeed([1, 10, 2, 20, 3, 30]))
    Effect.runSync(Sim.explore(program, { schedules: 50 * deep, check: (run) => void check(run) }))
  })

  it("P4 gives back the workers of a key behind which another step has keys", () => {
    const key = () => 1
    const program = Pipeline.from([1, 2, 3, 4]).pipe(
      Pipeline.map((n) => n, { key, concurrency: 3 }),
      Pipeline.map((n) => n, { key, concurrency: 2 }),
      Pipeline.collect
    )
    const check = ({ exit }: Sim.Run<ReadonlyArray<number>, unknown>) =>
      expect(exit).toEqual(Exit.succeed([1, 2, 3, 4]))
    Effect.runSync(Sim.explore(program, { schedules: 20 * deep, check: (run) => void check(run) }))
  })

  it("P4 P6 never waits for ever: 6 keys, 2 workers, a window of 4, rests, and batches behind", () => {
    const worked = (n: number) =>
      Effect.flatMap(Pipeline.Attempt, ({ count }) =>
        count < 1 + (n % 3) ? Effect.fail("busy") : Effect.delay(Effect.succeed(n), n % 4)
      )
    const start = Effect.suspend(() => {
      const store = Store.make<number>()
      const elements = Source.list(
        Array.from({ length: 18 }, (_, i) => i),
        { name: "numbers" }
      )
      const job = Pipeline.from(elements).pipe(
        Pipeline.map(worked, { key: (n) => n % 6, concurrency: 2, retry: { backoff: { base: 5 } } }),
        Pipeline.batch(3, { key: (n) => n % 2 }),
        Pipeline.flatMap((values) => values),
        Pipeline.to(store.table)
      )
      const run = Store.given(store)(Pipeline.run(job, { name: "keys", window: { items: 4 } }))
      return Effect.map(run, () => store.rows.toSorted((a, b) => a - b))
    })
    const check = ({ exit }: Sim.Run<ReadonlyArray<number>, unknown>) =>
      expect(exit).toEqual(Exit.succeed(Array.from({ length: 18 }, (_, i) => i)))
    Effect.runSync(Sim.explore(start, { schedules: 60 * deep, check: (run) => void check(run) }))
  })
})

describe("a frontier", () => {
  it("P17 whose run is interrupted anywhere has each of its items done once, around cycles as well", () => {
    const linksOf = (n: number) => [2 * n + 1, 2 * n + 2, n >> 1, (n * 7) % 20].filter((to) => to < 20)
    const numbers = Source.frontier("numbers", Schema.Int, { atOnce: 3, poll: 10 })
    const program = Effect.gen(function* () {
      const job = Pipeline.from(numbers).pipe(
        Pipeline.map((n) => Effect.andThen(Effect.yieldNow, numbers.add(linksOf(n))), { concurrency: 2 }),
        Pipeline.to(Sink.discard)
      )
      yield* numbers.add([0])
      yield* Fiber.await(yield* Effect.forkChild(Interrupt.victim(Pipeline.run(job, { name: "work", maxRows: 2 }))))
      yield* Pipeline.run(job, { name: "work", maxRows: 2 })
      const kept = yield* Effect.flatMap(Journal.Journal, (journal) => journal.load(Journal.keyOf("work")))
      expect(Option.getOrThrow(kept).counts.settled).toBe(20)
      expect(yield* Pipeline.collect(Pipeline.from(numbers))).toEqual([])
    })
    const start = Effect.provide(program, Journal.memory)
    Effect.runSync(
      Sim.explore(start, { schedules: 40 * deep, stop: "interrupt", check: (run) => void endedOrStopped(run) })
    )
  })
})

const endedOrStopped = ({ exit }: Sim.Run<unknown, unknown>) => expect(exit).toEqual(Exit.void)
