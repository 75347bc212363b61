/** Plain steps go over blocks, and all others one element after the other: what becomes of elements is the same by either way. */
import { describe, expect, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Schema from "effect/Schema"
import { type Journal, Pipeline } from "skein"
import { Leaks, Sim } from "skein/testing"
import { numbers } from "../support/jobs.ts"
import * as Store from "../support/store.ts"

const deep = process.env["SKEIN_DEEP"] === undefined ? 1 : 20

const StepSpec = Schema.Struct({
  kind: Schema.Literals(["map", "tap", "filter", "batch"]),
  /** How it gives what it gives; "any" is another one for each element. */
  gives: Schema.Literals(["value", "promise", "effect", "any"]),
  concurrency: Schema.Literals([1, 2, 5, "range"]),
  order: Schema.Literals(["input", "completion"]),
  onError: Schema.Literals(["fail", "skip", "deadLetter", "defects"]),
  /** Of a hundred elements. */
  bad: Schema.Literals([0, 5, 40]),
  size: Schema.Literals([1, 3, 50])
})
type StepSpec = typeof StepSpec.Type

const JobSpec = Schema.Struct({
  seed: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 1_000_000 })),
  elements: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 40 })),
  merged: Schema.Boolean,
  steps: Schema.Array(StepSpec).check(Schema.isMaxLength(4)),
  items: Schema.Literals([1, 3, 8, 1024]),
  bytes: Schema.Literals([64, 100_000]),
  maxRows: Schema.Literals([1, 3, 1000]),
  sink: Schema.Literals(["table", "file"])
})
type JobSpec = typeof JobSpec.Type

const roll = (...parts: ReadonlyArray<string | number>): number => {
  let h = 2166136261
  for (const char of parts.join("|")) h = Math.imul(h ^ char.charCodeAt(0), 16777619)
  h = Math.imul(h ^ (h >>> 16), 0x45d9f3b)
  return ((h ^ (h >>> 15)) >>> 0) / 4294967296
}

class Bad extends Schema.TaggedError<Bad>()("Bad", { n: Schema.Number }) {}

/** How it ends is said by its step and its element. */
const outcome = ({ seed }: JobSpec, { bad, gives, kind, onError }: StepSpec, step: number, n: number): unknown => {
  const chance = roll(seed, step, n)
  const isBad = onError !== "fail" && chance * 100 < bad
  const dies = isBad && onError === "defects" && chance * 200 < bad
  const value = kind === "filter" ? roll(seed, step, n, "keeps") < 0.6 : n
  const all = ["value", "promise", "effect", "late"] as const
  const way = gives === "any" ? all[Math.floor(roll(seed, step, n, "way") * 4)]! : gives
  if (way === "promise") return isBad ? Promise.reject(new Bad({ n })) : Promise.resolve(value)
  if (way === "value" && !isBad) return value
  if (way === "value" && dies) throw new TypeError(`${n}`)
  const ended = dies ? Effect.die(new TypeError(`${n}`)) : isBad ? Effect.fail(new Bad({ n })) : Effect.succeed(value)
  return way === "late" ? Effect.delay(ended, 1 + Math.floor(roll(seed, step, n, "late") * 5)) : ended
}

/** The job, and what its steps were told of each element; looked at, so that it takes the general way, or not. */
const make = (spec: JobSpec, isTraced: boolean) => {
  const store = Store.make<unknown>()
  const told = new Map<string, unknown>()
  let pipeline: Pipeline.Pipeline<any, any, any, number> = Pipeline.from(numbers(spec.elements))
  if (spec.merged)
    pipeline = pipeline.pipe(Pipeline.merge(Pipeline.from({ ...numbers(spec.elements), name: "others" })))
  for (const [index, step] of spec.steps.entries()) {
    const { concurrency, kind, onError, order, size } = step
    if (kind === "batch") {
      const whole = Pipeline.flatMap((some: ReadonlyArray<number>) => some)
      pipeline = pipeline.pipe(Pipeline.batch(size), whole)
      continue
    }
    const letters = { deadLetter: Schema.Number, defects: onError === "defects" }
    const options: any = {
      name: `${index}`,
      concurrency: concurrency === "range" ? { min: 1, max: 3 } : concurrency,
      order,
      onError: onError === "fail" || onError === "skip" ? onError : letters,
      catch: (reason: unknown) => reason
    }
    const call = (n: number): unknown => {
      const given = outcome(spec, step, index, n)
      if (!Effect.isEffect(given)) return given
      return Effect.flatMap(Pipeline.Attempt, ({ count, key, positions }) => {
        told.set(`${index} of ${n} ${key}`, [positions, count])
        return given
      })
    }
    pipeline = pipeline.pipe(
      ({ filter: Pipeline.filter, map: Pipeline.map, tap: Pipeline.tap } as any)[kind](call, options)
    )
  }
  const sink: any = spec.sink === "table" ? store.table : store.file
  const run = Pipeline.run(
    pipeline.pipe(Pipeline.to(sink)) as any,
    {
      name: "either",
      window: { items: spec.items, bytes: spec.bytes },
      maxRows: spec.maxRows,
      ...(isTraced && { trace: { every: 1 } })
    } as any
  ) as Effect.Effect<Pipeline.Summary, unknown, Journal.Journal>
  return { store, told, run: Store.given(store)(run) as Effect.Effect<Pipeline.Summary, unknown> }
}

const sorted = (list: ReadonlyArray<unknown>) => list.map((one) => JSON.stringify(one)).toSorted()

/** What is to be the same. Elements of a batch settle together, and who is in one is chance where elements overtake one another. */
const resultOf = async (spec: JobSpec, isTraced: boolean) => {
  const { run, store, told } = make(spec, isTraced)
  // Promises take real turns of the event loop.
  const played = await Effect.runPromise(Effect.tap(Sim.run(run, { seed: spec.seed }), Leaks.check))
  if (Exit.isFailure(played.exit)) throw new Error(String(played.exit.cause))
  const { dead, filtered, settled, skipped, written } = played.exit.value
  const inOrder = !spec.merged && spec.steps.every(({ kind, order }) => kind === "batch" || order === "input")
  const rows = spec.sink === "table" ? store.rows : store.file.lines
  const isBatched = spec.steps.some(({ kind }) => kind === "batch")
  return {
    counts: { dead, filtered, settled, skipped, written },
    rows: inOrder ? rows : sorted(rows),
    letters: sorted(
      store.letters.map(({ attempts, cause, input, path, position, step }) =>
        isBatched && !inOrder ? [step, input, cause, attempts] : [step, input, cause, attempts, position, path]
      )
    ),
    told: isBatched && !inOrder ? told.size : sorted([...told]),
    checkpoint: store.checkpoint
  }
}

describe("P1 P4 P5 P15 plain steps", () => {
  it.effect.prop(
    "write, count, bury and name the same over blocks and one element after the other",
    { spec: Arbitrary.schema(JobSpec) },
    ({ spec }) => Effect.promise(async () => expect(await resultOf(spec, false)).toEqual(await resultOf(spec, true))),
    { arbitrary: { runs: 300 * deep }, timeout: 600_000 }
  )
})
