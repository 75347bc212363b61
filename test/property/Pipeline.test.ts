/** Pipelines made at random, in schedules made at random, against a model that takes one element after the other. */
import { describe, expect, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as References from "effect/References"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { Journal, Pipeline, Sink, type Source, TaskGroup } from "skein"
import { Leaks, Sim } from "skein/testing"
import * as Store from "../support/store.ts"

const runs = process.env["SKEIN_DEEP"] === undefined ? 250 : 10_000

const StepSpec = Schema.Struct({
  kind: Schema.Literals(["map", "filter", "flatMap", "batch", "unique", "scan"]),
  concurrency: Schema.Literals([1, 2, 4]),
  order: Schema.Literals(["input", "completion"]),
  /** What the step gives: values, effects that take time, or now this and now that. */
  gives: Schema.Literals(["values", "effects", "both"]),
  onError: Schema.Literals(["fail", "skip", "deadLetter"]),
  size: Schema.Literals([1, 2, 3, 50]),
  within: Schema.Literals([0, 3])
})

const JobSpec = Schema.Struct({
  seed: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 1_000_000 })),
  elements: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 25 })),
  steps: Schema.Array(StepSpec).check(Schema.isMaxLength(5)),
  items: Schema.Literals([1, 2, 3, 7, 1024]),
  bytes: Schema.Literals([1, 100, 500, 1_000_000]),
  maxRows: Schema.Literals([1, 3, 1000]),
  /** Negative where it is left to the sink. */
  commitEvery: Schema.Literals([-1, 0, 4]),
  /** The batch that the sink would like; 0 where it takes what comes. */
  prefers: Schema.Literals([0, 1, 4, 1000]),
  /** How long the source takes for an element. */
  slow: Schema.Literals([0, 1]),
  sink: Schema.Literals(["table", "file", "both", "elsewhere"])
})
type JobSpec = typeof JobSpec.Type
type StepSpec = typeof StepSpec.Type

const job = Arbitrary.schema(JobSpec)
const options = { arbitrary: { runs }, timeout: 600_000 }

/**
 * What goes through the pipeline: the descendants of source elements, by name. Whole batches are never dropped, as what
 * stands in one depends on time; so the fate of every name follows from the seed alone.
 */
const Value = Schema.Struct({ names: Schema.Array(Schema.String), batched: Schema.Boolean })
type Value = typeof Value.Type

class Faulty extends Schema.TaggedError<Faulty>()("Faulty", { message: Schema.String }) {}

/** A number in [0, 1) that is always the same for the same arguments. */
const roll = (...parts: ReadonlyArray<string | number>): number => {
  let h = 2166136261
  for (const char of parts.join("|")) h = Math.imul(h ^ char.charCodeAt(0), 16777619)
  h = Math.imul(h ^ (h >>> 16), 0x45d9f3b)
  return ((h ^ (h >>> 15)) >>> 0) / 4294967296
}

const keeps = (seed: number, step: number, name: string) => roll(seed, step, name, "keep") < 0.7
const isBad = (seed: number, step: number, name: string) => roll(seed, step, name, "bad") < 0.15
const childrenOf = (seed: number, step: number, name: string): ReadonlyArray<string> =>
  Array.from({ length: Math.floor(roll(seed, step, name, "children") * 4) }, (_, i) => `${name}.${i}`)

interface Outcome {
  readonly names: ReadonlyArray<string>
  /** Step and name. */
  readonly letters: ReadonlyArray<string>
  readonly filtered: number
  readonly skipped: number
  /** The state of each step that has one, which is how many names went through it. */
  readonly states: ReadonlyMap<number, number>
}

/** The model: what becomes of names from a step on, one step after the other. */
const follow = ({ seed, steps }: JobSpec, from: number, start: ReadonlyArray<string>, mended: boolean): Outcome => {
  let names = start
  let batched = false
  const letters: Array<string> = []
  const count = { filtered: 0, skipped: 0 }
  const states = new Map<number, number>()
  for (const [i, { kind, onError }] of [...steps.entries()].slice(from)) {
    if (kind === "batch") {
      batched = true
      continue
    }
    // No name comes twice.
    if (kind === "unique") continue
    if (!batched && onError !== "fail" && !mended) {
      const bad = names.filter((name) => isBad(seed, i, name))
      if (onError === "skip") count.skipped += bad.length
      else letters.push(...bad.map((name) => `${i} ${name}`))
      names = names.filter((name) => !isBad(seed, i, name))
    }
    if (kind === "scan") states.set(i, names.length)
    if (kind === "map") names = names.map((name) => `${name}m${i}`)
    if (kind === "flatMap" && !batched) names = names.flatMap((name) => childrenOf(seed, i, name))
    if (kind === "flatMap") batched = false
    if (kind === "filter" && !batched) {
      const kept = names.filter((name) => keeps(seed, i, name))
      count.filtered += names.length - kept.length
      names = kept
    }
  }
  return { names, letters, states, ...count }
}

const expected = (spec: JobSpec): Outcome =>
  follow(
    spec,
    0,
    Array.from({ length: spec.elements }, (_, i) => `${i + 1}`),
    false
  )

/** Random pipelines have lost the types that say that their source has positions. */
const keyOf = Pipeline.idempotencyKey as Effect.Effect<string>

/** What is there between the runs of a job: the store, and which faults happened already. */
const makeWorld = (spec: JobSpec) => {
  const { seed } = spec
  const store = Store.make<Value>()
  const happened = new Set<string>()
  const watched = { opened: 0, closed: 0, running: new Map<number, number>(), most: new Map<number, number>(), open: 0 }
  const keys = new Map<string, string>()
  const elements = new Map<string, string>()
  const state = { mended: false }

  /** Every fault happens once, and ends the run that meets it. */
  const isDue = (fault: string, chance: number): boolean => {
    if (roll(seed, fault) >= chance || happened.has(fault)) return false
    happened.add(fault)
    return true
  }

  const within = <A, E>(step: number, effect: Effect.Effect<A, E>): Effect.Effect<A, E> =>
    Effect.acquireUseRelease(
      Effect.sync(() => {
        watched.opened += 1
        const now = (watched.running.get(step) ?? 0) + 1
        watched.running.set(step, now)
        watched.most.set(step, Math.max(now, watched.most.get(step) ?? 0))
      }),
      () => effect,
      () =>
        Effect.sync(() => {
          watched.closed += 1
          watched.running.set(step, watched.running.get(step)! - 1)
        })
    )

  const wasBatched = (step: number) => spec.steps.slice(0, step).some(({ kind }) => kind === "batch")

  /** P15: the same key for an element and a step in all runs and replays, and nothing else has it; batches depend on time. */
  const checkKey = (i: number, name: string) =>
    Effect.map(keyOf, (key) => {
      if (wasBatched(i)) return
      const element = `step ${i}, ${name}`
      expect([keys.get(element) ?? key, elements.get(key) ?? element]).toEqual([key, element])
      keys.set(element, key)
      elements.set(key, element)
    })

  const work =
    (i: number, { gives, kind, onError }: StepSpec) =>
    (value: Value): unknown => {
      const [name = ""] = value.names
      if (onError === "fail" && isDue(`step ${i} throws at ${name}`, 0.02)) throw new Error("thrown")
      if (onError === "fail" && isDue(`step ${i} dies at ${name}`, 0.02)) return within(i, Effect.die("defect"))
      if (onError === "fail" && isDue(`step ${i} fails at ${name}`, 0.03)) {
        return within(i, Effect.delay(Effect.fail("fault"), 2))
      }
      const result =
        kind === "scan"
          ? value
          : kind === "filter"
            ? value.batched || keeps(seed, i, name)
            : kind === "map"
              ? { ...value, names: value.names.map((name) => `${name}m${i}`) }
              : (value.batched ? value.names : childrenOf(seed, i, name)).map((name) => ({
                  names: [name],
                  batched: false
                }))
      const bad = !value.batched && onError !== "fail" && !state.mended && isBad(seed, i, name)
      const chance = roll(seed, i, name, "gives")
      if (!bad && (gives === "values" || (gives === "both" && chance < 0.5))) return result
      const outcome = Effect.andThen(
        checkKey(i, name),
        bad ? Effect.fail(new Faulty({ message: name })) : Effect.succeed(result)
      )
      return within(i, chance < 0.75 ? Effect.delay(outcome, Math.floor(chance * 10)) : outcome)
    }

  const source: Source.Source<Value, string, never, number> = {
    name: "names",
    resumable: true,
    size: Effect.succeed(Option.none()),
    fingerprint: () => Effect.succeed({ elements: spec.elements }),
    read: (after) => {
      const from = Option.getOrElse(after, () => 0)
      const elements = Stream.range(from + 1, spec.elements).pipe(
        Stream.rechunk(1),
        Stream.mapEffect((n) =>
          isDue(`source fails at ${n}`, 0.02) ? Effect.fail("torn") : Effect.delay(Effect.succeed(n), spec.slow)
        ),
        Stream.map((n) => {
          const settled = store.checkpoint?.position.pipe(Option.getOrElse(() => 0)) as number | undefined
          watched.open = Math.max(watched.open, n - (settled ?? 0))
          return { value: { names: [`${n}`], batched: false }, position: n, bytes: 20 }
        })
      )
      const opened = Effect.acquireRelease(
        Effect.sync(() => void (watched.opened += 1)),
        () => Effect.sync(() => void (watched.closed += 1))
      )
      return Stream.unwrap(Effect.as(opened, elements))
    }
  }

  let pipeline: Pipeline.Pipeline<any, any, any, number> = Pipeline.from(source)
  for (const [i, step] of spec.steps.entries()) {
    const { concurrency, kind, order } = step
    const onError = step.onError === "deadLetter" ? { deadLetter: Value } : step.onError
    const options = { concurrency, order, onError, name: `${i}` } as const
    if (kind === "batch") {
      pipeline = pipeline.pipe(
        Pipeline.batch(step.size, step.within === 0 ? {} : { within: step.within }),
        Pipeline.map((values: ReadonlyArray<Value>) => ({ names: values.flatMap((v) => v.names), batched: true }))
      )
    } else if (kind === "unique") {
      pipeline = pipeline.pipe(Pipeline.unique(({ names }: Value) => names.join(), { name: `${i}` }))
    } else if (kind === "scan") {
      const counting = (count: number, value: Value) => {
        const next = () => [count + value.names.length, value] as const
        const given = work(i, step)(value)
        return Effect.isEffect(given) ? Effect.map(given as Effect.Effect<Value>, next) : next()
      }
      pipeline = pipeline.pipe(Pipeline.scan(0, counting as never, { state: Schema.Number, onError, name: `${i}` }))
    } else if (kind === "map") pipeline = pipeline.pipe(Pipeline.map(work(i, step), options))
    else if (kind === "filter") pipeline = pipeline.pipe(Pipeline.filter(work(i, step) as () => boolean, options))
    else pipeline = pipeline.pipe(Pipeline.flatMap(work(i, step) as () => Iterable<Value>, options))
  }
  const sinks = {
    table: store.table,
    file: store.file,
    both: Sink.all(store.table, store.file),
    elsewhere: store.elsewhere
  }
  const sink = sinks[spec.sink] as Sink.Sink<unknown, string, never, "at-least-once">
  let writes = 0
  /** With the faults of a writer, which a sink of several has in each of its members. */
  const faulted = (sink: Sink.Sink<unknown, string, never, Sink.Guarantee>): typeof sink => ({
    ...sink,
    members: sink.members?.map(faulted),
    open: (committed) =>
      Effect.map(sink.open(committed), (writer) => ({
        ...writer,
        ...(spec.prefers > 0 && { prefers: { rows: spec.prefers } }),
        // Where it is not asked to try again, it does so by itself now and then.
        mayPass: () => roll(spec.seed, writes, "passes") < 0.5,
        write: (rows, since) => {
          writes += 1
          if (isDue(`sink fails before write ${writes}`, 0.03)) return Effect.fail("sink")
          const late = spec.sink !== "elsewhere" && isDue(`sink fails after write ${writes}`, 0.03)
          return late ? Effect.andThen(writer.write(rows, since), Effect.fail("sink")) : writer.write(rows, since)
        }
      }))
  })
  const faulty = faulted(sink) as typeof sink
  const options = {
    name: "random",
    window: { items: spec.items, bytes: spec.bytes },
    maxRows: spec.maxRows,
    commitEvery: spec.commitEvery < 0 ? undefined : spec.commitEvery
  }
  const job = pipeline.pipe(Pipeline.to(faulty))
  const fresh = <A>(run: Effect.Effect<A, unknown, any>): Effect.Effect<A, unknown> =>
    Effect.suspend(() => {
      watched.running.clear()
      // Whoever held it is gone when the next one begins.
      store.free()
      return run.pipe(
        Effect.provideService(Journal.Journal, store.journal),
        // Of two faults at once, the second is only logged.
        Effect.provideService(References.MinimumLogLevel, "None")
      ) as Effect.Effect<A, unknown>
    })
  const run = fresh(Pipeline.run(job, options))
  const replay = fresh(Pipeline.replay(job, options))
  return { spec, store, state, watched, happened, run, replay }
}
type World = ReturnType<typeof makeWorld>

/** Runs the job, or replays its dead letters, until it is done, through all faults. */
const finish = (world: World, effect = world.run): void => {
  while (true) {
    const before = world.happened.size
    const { exit } = Effect.runSync(Effect.tap(Sim.run(effect), Leaks.check))
    if (Exit.isSuccess(exit)) return expect(exit.value.outcome).toBe("done")
    // Each time another fault: none stays after the run that met it.
    expect(world.happened.size).toBeGreaterThan(before)
  }
}

const sorted = (list: ReadonlyArray<string>) => list.toSorted()

/** What must be true between any two runs, and while they run. */
const checkStanding = ({ spec, store, watched }: World): void => {
  let last = 0
  let position = 0
  for (const { checkpoint, rows } of store.commits) {
    const watermark = Option.getOrElse(checkpoint.position, () => 0) as number
    expect(watermark).toBeGreaterThanOrEqual(position)
    position = watermark
    expect(checkpoint.counts.settled).toBe(watermark + checkpoint.ahead.length)
    expect(checkpoint.counts.settled).toBeGreaterThanOrEqual(last)
    last = checkpoint.counts.settled
    if (spec.sink === "table") expect(checkpoint.counts.written).toBe(rows)
  }
  // While a commit is under way as much again may be read; and the reader waits with one more.
  expect(watched.open).toBeLessThanOrEqual(2 * spec.items + 1)
  for (const [i, { concurrency, kind }] of spec.steps.entries()) {
    expect(watched.most.get(i) ?? 0).toBeLessThanOrEqual(kind === "scan" ? 1 : concurrency)
  }
}

/** What must be true once the job is done; `replayed` is what was added to the model by replaying these letters. */
const checkDone = (
  world: World,
  replayed: Outcome = { names: [], letters: [], filtered: 0, skipped: 0, states: new Map() }
): void => {
  const { spec, store } = world
  const model = expected(spec)
  const { received } = store.elsewhere
  const outputs = { table: store.rows, file: store.file.lines, both: store.rows, elsewhere: received }[spec.sink]
  const names = outputs.flatMap((value) => value.names)
  const all = [...model.names, ...replayed.names]
  if (spec.sink === "elsewhere") expect(sorted([...new Set(names)])).toEqual(sorted(all))
  else if (isOrdered(spec) && replayed.letters.length === 0) expect(names).toEqual(all)
  else expect(sorted(names)).toEqual(sorted(all))
  if (spec.sink === "both") expect(store.file.lines).toEqual(store.rows)
  expect(sorted(store.letters.map(nameOf))).toEqual(sorted(model.letters))
  expect(sorted(store.letters.filter((letter) => letter.replayed).map(nameOf))).toEqual(sorted(replayed.letters))
  expect(store.checkpoint).toMatchObject({
    position: spec.elements === 0 ? Option.none() : Option.some(spec.elements),
    ahead: [],
    finished: true,
    counts: {
      settled: spec.elements,
      filtered: model.filtered + replayed.filtered,
      skipped: model.skipped,
      dead: model.letters.length - replayed.letters.length,
      bytes: spec.elements * 20
    }
  })
  for (const [i, count] of model.states) {
    const state = count + (replayed.states.get(i) ?? 0)
    expect(store.checkpoint?.steps?.[`${i}`]).toMatchObject({ state })
  }
  checkStanding(world)
}

const nameOf = ({ input, step }: Journal.DeadLetter) => `${step} ${(input as Value).names[0]}`

const isOrdered = ({ steps }: JobSpec) =>
  steps.every(
    ({ concurrency, kind, order }) =>
      kind === "batch" || kind === "unique" || kind === "scan" || concurrency === 1 || order === "input"
  )

const isCalm = (run: Sim.Run<unknown, unknown>, { watched }: World) => {
  Effect.runSync(Leaks.check(run))
  expect(watched.closed).toBe(watched.opened)
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

describe("a pipeline made at random", () => {
  it.prop(
    "gives what its steps give one after the other, and runs each finalizer once",
    { spec: job },
    ({ spec }) => {
      let world!: World
      const start = Effect.suspend(() => (world = makeWorld(spec)).run)
      const check = (run: Sim.Run<unknown, unknown>) => {
        isCalm(run, world)
        if (Exit.isFailure(run.exit)) finish(world)
        checkDone(world)
      }
      Effect.runSync(Sim.explore(start, { ...scheduled(spec), check }))
    },
    options
  )

  it.prop(
    "P12 is killed, goes on, and its sink has what it promised",
    { spec: job },
    ({ spec }) => {
      let world!: World
      const start = Effect.suspend(() => (world = makeWorld(spec)).run)
      const check = (run: Sim.Run<unknown, unknown>) => {
        const most = Math.max(1, expected(spec).names.length) * 3
        if (!run.stopped && Exit.isSuccess(run.exit)) return checkDone(world)
        const before = world.store.elsewhere.received.length
        finish(world)
        checkDone(world)
        // A run that fails has committed what it wrote: only the kill doubles, and only what was open then.
        const { received } = world.store.elsewhere
        const doubled = received.slice(before).flatMap((value) => value.names)
        const seen = new Set(received.slice(0, before).flatMap((value) => value.names))
        const again = new Set(doubled.filter((name) => seen.has(name)).map((name) => Number.parseInt(name)))
        expect(again.size).toBeLessThanOrEqual(run.stopped ? spec.items : 0)
        expect(received.length).toBeLessThanOrEqual(most)
      }
      Effect.runSync(Sim.explore(start, { ...scheduled(spec), check, stop: "kill" }))
    },
    options
  )

  it.prop(
    "is cancelled, runs each finalizer once, and goes on",
    { spec: job },
    ({ spec }) => {
      let world!: World
      const start = Effect.suspend(() => (world = makeWorld(spec)).run)
      const check = (run: Sim.Run<unknown, unknown>) => {
        isCalm(run, world)
        checkStanding(world)
        if (run.stopped || Exit.isFailure(run.exit)) finish(world)
        checkDone(world)
      }
      Effect.runSync(Sim.explore(start, { ...scheduled(spec), check, stop: "interrupt" }))
    },
    options
  )

  it.prop(
    "replays each of its dead letters once, between unfinished runs and killed itself",
    { spec: job },
    ({ spec }) => {
      let world!: World
      let letters: ReadonlyArray<Journal.KeptDeadLetter> = []
      const start = Effect.suspend(() => {
        world = makeWorld(spec)
        Effect.runSync(Sim.run(Effect.timeoutOption(world.run, Math.floor(roll(spec.seed, "timeout") * 40))))
        letters = world.store.letters
        world.state.mended = true
        return world.replay
      })
      const check = (run: Sim.Run<unknown, unknown>) => {
        if (!run.stopped) isCalm(run, world)
        finish(world, world.replay)
        world.state.mended = false
        finish(world)
        const each = letters.map(({ input, step }) => follow(spec, Number(step), (input as Value).names, true))
        checkDone(world, {
          names: each.flatMap((outcome) => outcome.names),
          letters: letters.map(nameOf),
          filtered: each.reduce((sum, outcome) => sum + outcome.filtered, 0),
          skipped: 0,
          states: new Map(
            spec.steps.map((_, i) => [i, each.reduce((sum, { states }) => sum + (states.get(i) ?? 0), 0)])
          )
        })
      }
      Effect.runSync(Sim.explore(start, { ...scheduled(spec), check, stop: "kill" }))
    },
    options
  )

  it.prop(
    "is drained at any moment, has nothing left open, and goes on",
    { spec: job },
    ({ spec }) => {
      let world!: World
      const after = roll(spec.seed, "drain") * 30 - 1
      const start = Effect.suspend(() => {
        world = makeWorld(spec)
        const stop = TaskGroup.stop()
        return TaskGroup.open(
          Effect.all([world.run, after < 0 ? stop : Effect.delay(stop, Math.floor(after))], { concurrency: 2 })
        )
      })
      const check = (run: Sim.Run<unknown, unknown>) => {
        isCalm(run, world)
        checkStanding(world)
        // No step takes ten milliseconds: what is in flight is done long before the deadline of the drain.
        expect(run.time).toBeLessThan(2000)
        finish(world)
        checkDone(world)
      }
      Effect.runSync(Sim.explore(start, { ...scheduled(spec), check }))
    },
    options
  )
})
