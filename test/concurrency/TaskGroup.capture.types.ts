/** What the types of `TaskGroup.capture` promise; compiled, never run. */
import * as Effect from "effect/Effect"
import { Journal, Pipeline, Sink, Source, TaskGroup } from "skein"
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
