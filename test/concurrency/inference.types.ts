/**
 * Generic functions, such as `Effect.catchTag`, written inside of what they are handed to: they have the types that they have
 * on a line of their own, and none is `any`. Compiled, never run.
 */
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import { pipe } from "effect/Function"
import * as Option from "effect/Option"
import type * as Stream from "effect/Stream"
import { Cancel, Deadline, Joiner, type Limiter, Pipeline, Policy, Sink, type Task, TaskGroup } from "skein"
import { Interrupt, Leaks, Sim } from "skein/testing"

class A {
  readonly _tag = "A"
}
class B {
  readonly _tag = "B"
}
interface Asker {
  readonly _tag: "Asker"
}
declare const step: Effect.Effect<string, A | B, Asker>
declare const limiter: Limiter.Limiter
declare const keyed: Limiter.Keyed<string>
const one = () => Effect.succeed(1)

type Equals<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
const equals = <A, B>(_: Equals<A, B>): void => {}
// `any` is equal to nothing but itself: each type below that is what it should be is not.
equals<Equals<any, A | B>, false>(true)

type Caught = Effect.Effect<string | number, B, Asker>

// In arrays and tuples, data first and piped.
const tuple = Joiner.all([
  step.pipe(Effect.catchTag("A", one)),
  Effect.catchTag(step, "A", one),
  pipe(step, Effect.catchTag("A", one)),
  step.pipe(Effect.catchTags({ A: one })),
  Effect.catchTags(step, { A: one }),
  step.pipe(Effect.catchTag(["A", "B"], one))
])
type Six = [string | number, string | number, string | number, string | number, string | number, string | number]
equals<typeof tuple, Effect.Effect<Six, B, Asker>>(true)
const others = Joiner.all([
  step.pipe(Effect.mapError((error) => ({ length: error._tag.length }))),
  Effect.mapError(step, (error) => ({ length: error._tag.length })),
  step.pipe(Effect.flatMap((text) => Effect.fail(Option.some(text.length)))),
  Effect.flatMap(step, (text) => Effect.succeed(text.length)),
  step.pipe(Effect.map((text) => text.length)),
  step.pipe(Effect.orElseSucceed(() => 3 as const))
])
equals<
  typeof others,
  Effect.Effect<
    [string, string, never, number, number, string | 3],
    A | B | { length: number } | Option.Option<number>,
    Asker
  >
>(true)
const retried = Joiner.all([
  step.pipe(Effect.retry({ times: 1 }), Effect.catchTag("A", one)),
  Effect.retry(Effect.catchTag(step, "A", one), { times: 1 })
])
equals<typeof retried, Effect.Effect<[string | number, string | number], B, Asker>>(true)
const array = Joiner.all([1, 2].map(() => step.pipe(Effect.catchTag("A", one))))
equals<typeof array, Effect.Effect<Array<string | number>, B, Asker>>(true)
const iterable = Joiner.all(new Set([step.pipe(Effect.catchTag("A", one))]))
equals<typeof iterable, Effect.Effect<Array<string | number>, B, Asker>>(true)
const generated = Joiner.all(
  (function* () {
    yield step.pipe(Effect.catchTag("A", one))
  })()
)
equals<typeof generated, Effect.Effect<Array<string | number>, B, Asker>>(true)

// In records, and beside others.
const record = Joiner.all({
  piped: step.pipe(Effect.catchTag("A", one)),
  first: Effect.catchTag(step, "B", one),
  mapped: step.pipe(Effect.mapError((error) => error._tag.length))
})
equals<
  typeof record,
  Effect.Effect<{ piped: string | number; first: string | number; mapped: string }, A | B | number, Asker>
>(true)

// In every joiner.
const settled = Joiner.settle([step.pipe(Effect.catchTag("A", one))])
equals<typeof settled, Effect.Effect<[Exit.Exit<string | number, B>], never, Asker>>(true)
const race = Joiner.race([step.pipe(Effect.catchTag("A", one))], { limit: 1 })
equals<typeof race, Caught>(true)
const first = Joiner.first({ a: step.pipe(Effect.catchTag("A", one)) })
equals<typeof first, Caught>(true)
const quorum = Joiner.quorum([step.pipe(Effect.catchTag("A", one))], 1)
equals<typeof quorum, Effect.Effect<Array<string | number>, B, Asker>>(true)
const quorumLast = pipe([step.pipe(Effect.catchTag("A", one))], Joiner.quorum(1))
equals<typeof quorumLast, typeof quorum>(true)
const until = Joiner.until([step.pipe(Effect.catchTag("A", one))], (value) => value === 1)
equals<typeof until, typeof quorum>(true)
const untilLast = pipe(
  [step.pipe(Effect.catchTag("A", one))],
  Joiner.until((value: string | number) => value === 1)
)
equals<typeof untilLast, typeof quorum>(true)
const completed = Joiner.completed([step.pipe(Effect.catchTag("A", one))])
equals<typeof completed, Stream.Stream<string | number, B, Asker>>(true)
const hedged = Joiner.hedge(step.pipe(Effect.catchTag("A", one)), { after: 1 })
equals<typeof hedged, Caught>(true)
const hedgedFirst = Joiner.hedge(Effect.catchTag(step, "A", one), { after: 1 })
equals<typeof hedgedFirst, Caught>(true)
const by = Joiner.by([step.pipe(Effect.catchTag("A", one))], {
  decide: ({ exit }) => (exit._tag === "Success" ? exit : undefined),
  otherwise: (_, failures) =>
    Effect.andThen(failures, Effect.fail("none" as const).pipe(Effect.mapError(() => 0 as const)))
})
equals<typeof by, Effect.Effect<string | number, B | 0, Asker>>(true)

// In groups.
const opened = TaskGroup.open(step.pipe(Effect.catchTag("A", one)))
equals<typeof opened, Caught>(true)
const openedFirst = TaskGroup.open(Effect.catchTags(step, { A: one }), { name: "a" })
equals<typeof openedFirst, Caught>(true)
const openedMapped = TaskGroup.open(step.pipe(Effect.mapError((error) => error._tag.length)))
equals<typeof openedMapped, Effect.Effect<string, number, Asker>>(true)
const openedFlat = TaskGroup.open(step.pipe(Effect.flatMap((text) => Effect.succeed(text.length))))
equals<typeof openedFlat, Effect.Effect<number, A | B, Asker>>(true)
const openedRetried = TaskGroup.open(step.pipe(Effect.retry({ times: 1 }), Effect.catchTag("A", one)))
equals<typeof openedRetried, Caught>(true)
type Spawned = Effect.Effect<Task.Task<string | number>, never, Asker | TaskGroup.TaskGroup<B>>
const spawned = TaskGroup.spawn(step.pipe(Effect.catchTag("A", one)))
equals<typeof spawned, Spawned>(true)
const spawnedFirst = TaskGroup.spawn(Effect.catchTag(step, "A", one), { name: "a" })
equals<typeof spawnedFirst, Spawned>(true)
const spawnedTags = TaskGroup.spawn(step.pipe(Effect.catchTags({ A: one }), Effect.retry({ times: 1 })))
equals<typeof spawnedTags, Spawned>(true)
const spawnedMapped = TaskGroup.spawn(step.pipe(Effect.mapError((error) => error._tag.length)))
equals<Effect.Services<typeof spawnedMapped>, Asker | TaskGroup.TaskGroup<number>>(true)
const spawnedEach = Joiner.all([TaskGroup.spawn(step.pipe(Effect.catchTag("A", one)))])
equals<typeof spawnedEach, Effect.Effect<[Task.Task<string | number>], never, Asker | TaskGroup.TaskGroup<B>>>(true)
const tried = TaskGroup.trySpawn(step.pipe(Effect.catchTag("A", one)))
equals<Effect.Services<typeof tried>, Asker | TaskGroup.TaskGroup<B>>(true)
const supervised = TaskGroup.supervise(step.pipe(Effect.catchTag("A", one)))
equals<typeof supervised, Effect.Effect<Task.Task<string | number, B>, never, Asker | TaskGroup.TaskGroup<never>>>(true)
const started = TaskGroup.start((ready: TaskGroup.Ready<1>) =>
  Effect.andThen(ready(1), step.pipe(Effect.catchTag("A", one)))
)
equals<typeof started, Effect.Effect<1, B, Asker | TaskGroup.TaskGroup<B>>>(true)
const handled = Effect.flatMap(TaskGroup.current<B>(), (group) => group.spawn(step.pipe(Effect.catchTag("A", one))))
equals<typeof handled, Spawned>(true)
const here = Effect.flatMap(TaskGroup.capture, (here) => here(step.pipe(Effect.catchTag("A", one))))
equals<typeof here, Caught>(true)

// In what wraps one effect.
const shielded = Cancel.shield(step.pipe(Effect.catchTag("A", one)))
equals<typeof shielded, Caught>(true)
const shieldedFor = Cancel.shield(Effect.catchTag(step, "A", one), { within: 1 })
equals<Effect.Error<typeof shieldedFor>, B | Deadline.DeadlineExceeded>(true)
const cleaned = Cancel.cleanup(step.pipe(Effect.catchTag("A", one)), () => Effect.void)
equals<typeof cleaned, Caught>(true)
type InTime = Effect.Effect<string | number, B | Deadline.DeadlineExceeded, Asker>
const within = Deadline.within(step.pipe(Effect.catchTag("A", one)), 1)
equals<typeof within, InTime>(true)
const at = Deadline.at(Effect.catchTag(step, "A", one), 1)
equals<typeof at, InTime>(true)
const within2 = Deadline.open(1, () => step.pipe(Effect.catchTag("A", one)))
equals<typeof within2, InTime>(true)
const movedOn = Deadline.moveOn(step.pipe(Effect.catchTag("A", one)), 1)
equals<typeof movedOn, Effect.Effect<Option.Option<string | number>, B, Asker>>(true)
const unbounded = Deadline.unbounded(step.pipe(Effect.catchTag("A", one)))
equals<typeof unbounded, Caught>(true)
const limited = limiter.withPermit(step.pipe(Effect.catchTag("A", one)))
equals<typeof limited, Caught>(true)
const perKey = keyed.withPermit("a")(step.pipe(Effect.catchTag("A", one)))
equals<typeof perKey, Caught>(true)
const applied = Policy.apply(step.pipe(Effect.catchTag("A", one)), {
  retries: 1,
  retryWhile: (error) => error._tag === "B"
})
equals<typeof applied, Caught>(true)

// In the steps and the sink of a pipeline.
type Of<T> = T extends Pipeline.Pipeline<infer X, infer E, infer R, infer _P> ? [X, E, R] : never
const mapped = Pipeline.from([1]).pipe(Pipeline.map(() => step.pipe(Effect.catchTag("A", one))))
equals<Of<typeof mapped>, [string | number, B, Asker]>(true)
const mappedFirst = Pipeline.from([1]).pipe(Pipeline.map(() => Effect.catchTag(step, "A", one), { concurrency: 2 }))
equals<Of<typeof mappedFirst>, [string | number, B, Asker]>(true)
const filtered = Pipeline.from([1]).pipe(
  Pipeline.filter(() =>
    step.pipe(
      Effect.catchTag("A", one),
      Effect.map((text) => text === 1)
    )
  )
)
equals<Of<typeof filtered>, [number, B, Asker]>(true)
const flat = Pipeline.from([1]).pipe(
  Pipeline.flatMap(() =>
    step.pipe(
      Effect.map((text) => [text]),
      Effect.catchTag("A", () => Effect.succeed([1]))
    )
  )
)
equals<Of<typeof flat>, [string | number, B, Asker]>(true)
const job = Pipeline.from([1]).pipe(Pipeline.to(Sink.forEach(() => step.pipe(Effect.catchTag("A", one)))))
equals<typeof job, Pipeline.Job<B, Asker, "at-most-once">>(true)

// In the test kit.
declare const own: Effect.Effect<string, A | B>
const simulated = Sim.run(own.pipe(Effect.catchTag("A", one)))
equals<Effect.Success<typeof simulated>, Sim.Run<string | number, B>>(true)
void Interrupt.everywhere(own.pipe(Effect.catchTag("A", one)), {
  check: (run) => equals<typeof run, Sim.Run<string | number, B>>(true)
})
void Sim.explore(own.pipe(Effect.catchTag("A", one)), {
  check: (run) => equals<typeof run, Sim.Run<string | number, B>>(true)
})
const none = Leaks.none(own.pipe(Effect.catchTag("A", one)))
equals<Effect.Services<typeof none>, never>(true)
