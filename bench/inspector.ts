/** What does it cost to be looked at: a layer that watches tasks and pipelines, and a snapshot of 10,000 tasks? */
import * as Effect from "effect/Effect"
import { Pipeline, Registry, TaskGroup } from "skein"
import { Inspect } from "skein/inspect"
import { type Group, nanos, scaled, sumBelow } from "./support/group.ts"
import { times } from "./support/loops.ts"

const n = scaled(100_000)
const tasks = 10_000

type Wrap = <A, E>(effect: Effect.Effect<A, E>) => Effect.Effect<A, E>

const off: Wrap = (effect) => effect
const on: Wrap = (effect) => Effect.provide(effect, Inspect.layer())

/** With a registry of its own, so that nothing of another row is in it. */
const run = <A, E>(effect: Effect.Effect<A, E>) =>
  Effect.runPromise(Effect.provideService(effect, Registry.Registry, Registry.make()))

const spawned = (wrap: Wrap) =>
  nanos({
    ops: n,
    checksum: sumBelow(n),
    work: async () => {
      let sum = 0
      const task = (i: number) => Effect.map(Effect.yieldNow, () => void (sum += i))
      await run(wrap(TaskGroup.open(times(n, (i) => TaskGroup.spawn(task(i))))))
      return sum
    }
  })

const piped = (wrap: Wrap) =>
  nanos({
    ops: n,
    checksum: n,
    work: async () => {
      const job = Pipeline.from(Array.from({ length: n }, (_, i) => i)).pipe(
        Pipeline.map((i) => Effect.succeed(i + 1), { concurrency: 8 }),
        Pipeline.map((i) => i * 2)
      )
      return (await run(wrap(Pipeline.collect(job)))).length
    }
  })

const looked = (wrap: Wrap) =>
  nanos({
    ops: tasks,
    checksum: tasks + 1,
    work: (timer) => {
      const program = Effect.gen(function* () {
        yield* times(tasks, (i) => TaskGroup.spawn(Effect.never, { name: `${i}`, kind: "daemon" }))
        timer.start()
        const { groups } = yield* Inspect.snapshot
        timer.stop()
        return groups[0]!.tasks.length
      })
      return run(wrap(TaskGroup.open(program)))
    }
  })

const group: Group = {
  title: "Being looked at: tasks, elements of a pipeline, and tasks in a snapshot",
  unit: "ns each",
  better: "less",
  baseline: "tasks, off",
  rows: [
    { name: "tasks, off", kind: "ours", measure: spawned(off) },
    {
      name: "tasks, layer on",
      kind: "ours",
      goal: { limit: 500, above: "tasks, off", by: "cpu" },
      measure: spawned(on)
    },
    { name: "pipeline, off", kind: "ours", measure: piped(off) },
    {
      name: "pipeline, layer on",
      kind: "ours",
      goal: { limit: 1.05, of: "pipeline, off", by: "cpu" },
      measure: piped(on)
    },
    {
      name: `snapshot of ${tasks.toLocaleString("en")}, off`,
      kind: "ours",
      goal: { limit: 1500 },
      measure: looked(off)
    },
    {
      name: `snapshot of ${tasks.toLocaleString("en")}, layer on`,
      kind: "ours",
      goal: { limit: 1500 },
      measure: looked(on)
    }
  ],
  notes: ["1,500 ns a task are 15 ms for a snapshot of 10,000."]
}
export default group
