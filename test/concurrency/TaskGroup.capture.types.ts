/** What the types of `TaskGroup.capture` promise; compiled, never run. */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { Journal, Pipeline, Policy, Sink, Source, TaskGroup } from "skein"
import { expectTypeOf } from "vitest"

const spawning = TaskGroup.spawn(Effect.fail("broken" as const))
const captured = Effect.flatMap(TaskGroup.capture, (here) => here(spawning))

// It moves an effect into another group, and does not give it one.
expectTypeOf<Effect.Services<typeof captured>>().toEqualTypeOf<TaskGroup.TaskGroup<"broken">>()
// @ts-expect-error there is no group around it
void Effect.runPromise(captured)
expectTypeOf(TaskGroup.open(captured)).toExtend<Effect.Effect<unknown, "broken">>()

// So a step that spawns asks for a group around the run, which takes the failures of its tasks.
const job = Pipeline.from(Source.list([1], { name: "one" })).pipe(
  Pipeline.map((n) => Effect.as(spawning, n)),
  Pipeline.to(Sink.discard)
)
const run = Effect.provide(Pipeline.run(job, { name: "spawns" }), Journal.memory)
expectTypeOf<Effect.Services<typeof run>>().toEqualTypeOf<TaskGroup.TaskGroup<"broken">>()
// @ts-expect-error there is no group around it
void Effect.runPromise(run)
void Effect.runPromise(TaskGroup.open(run))
const failed = Effect.flip(TaskGroup.open(run))
expectTypeOf<Extract<Effect.Success<typeof failed>, string>>().toEqualTypeOf<"broken">()

// The same for a sink that spawns.
const sink = Pipeline.from([1]).pipe(Pipeline.to(Sink.forEach(() => spawning)))
const writes = Effect.provide(Pipeline.run(sink, { name: "spawns" }), Journal.memory)
expectTypeOf<Effect.Services<typeof writes>>().toEqualTypeOf<TaskGroup.TaskGroup<"broken">>()

// Whatever runs it: a start, a collection, a stream, a replay.
type Owned = TaskGroup.TaskGroup<"broken">
const started = Pipeline.start(job, { name: "spawns" })
expectTypeOf<Extract<Effect.Services<typeof started>, TaskGroup.TaskGroup<unknown>>>().toEqualTypeOf<
  Owned | TaskGroup.TaskGroup<never>
>()
const spawns = Pipeline.from([1]).pipe(Pipeline.map((n) => Effect.as(spawning, n)))
const collected = Pipeline.collect(spawns)
expectTypeOf<typeof collected>().toEqualTypeOf<Effect.Effect<Array<number>, never, Owned>>()
// @ts-expect-error there is no group around it
void Effect.runPromise(collected)
const streamed = Pipeline.stream(spawns)
expectTypeOf<typeof streamed>().toEqualTypeOf<Stream.Stream<number, never, Owned>>()
const replayed = Pipeline.replay(job, { name: "spawns" })
expectTypeOf<Extract<Effect.Services<typeof replayed>, TaskGroup.TaskGroup<unknown>>>().toEqualTypeOf<Owned>()
const filtered = Pipeline.collect(Pipeline.from([1]).pipe(Pipeline.filter(() => Effect.as(spawning, true))))
expectTypeOf<Effect.Services<typeof filtered>>().toEqualTypeOf<Owned>()
const flat = Pipeline.collect(Pipeline.from([1]).pipe(Pipeline.flatMap((n) => Effect.as(spawning, [n]))))
expectTypeOf<Effect.Services<typeof flat>>().toEqualTypeOf<Owned>()

// A source that spawns, and a policy's breaker in a step.
const read = Pipeline.collect(Pipeline.from(Stream.fromEffect(spawning)))
expectTypeOf<Effect.Services<typeof read>>().toEqualTypeOf<Owned>()
const policy: Policy.Policy<never, never, Owned, undefined, undefined> = {
  breaker: (effect) => Effect.andThen(spawning, effect)
}
const guarded = Pipeline.collect(Pipeline.from([1]).pipe(Pipeline.map((n) => Policy.apply(Effect.succeed(n), policy))))
expectTypeOf<Effect.Services<typeof guarded>>().toEqualTypeOf<Owned>()
// @ts-expect-error a breaker that spawns says so in the type of its policy
void Policy.apply(Effect.succeed(1), { breaker: (effect) => Effect.andThen(spawning, effect) })

// A step that cancels asks for a group around the run, which then fails with that.
const cancelling = Pipeline.from([1]).pipe(Pipeline.map((n) => Effect.as(TaskGroup.cancel(), n)))
const cancelled = Pipeline.collect(cancelling)
expectTypeOf<Effect.Services<typeof cancelled>>().toEqualTypeOf<TaskGroup.TaskGroup<TaskGroup.GroupCancelled>>()
// @ts-expect-error there is no group to cancel
void Effect.runPromise(cancelled)
const ended = TaskGroup.open(cancelled)
expectTypeOf<typeof ended>().toEqualTypeOf<Effect.Effect<Array<number>, TaskGroup.GroupCancelled>>()
const cancelledRun = Pipeline.run(cancelling.pipe(Pipeline.to(Sink.discard)), { name: "cancels" })
// @ts-expect-error there is no group to cancel
void Effect.runPromise(Effect.provide(cancelledRun, Journal.memory))
