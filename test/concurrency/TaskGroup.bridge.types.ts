/** What the types of `TaskGroup.bridge` and `TaskGroup.runPromise` promise; compiled, never run. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { Task, TaskGroup } from "skein"
import { expectTypeOf } from "vitest"

class Database extends Context.Service<Database, { readonly rows: ReadonlyArray<string> }>()("Database") {}
const rows = Effect.map(Database, ({ rows }) => rows)

declare const plain: TaskGroup.Bridge
declare const withDatabase: TaskGroup.Bridge<Database>

expectTypeOf(plain.run(Effect.succeed(1))).toEqualTypeOf<Promise<number>>()
expectTypeOf(withDatabase.run(rows)).toEqualTypeOf<Promise<ReadonlyArray<string>>>()
expectTypeOf(withDatabase.iterate(Stream.fromEffect(rows))).toEqualTypeOf<AsyncIterable<ReadonlyArray<string>>>()
// @ts-expect-error nobody gives it a database
void plain.run(rows)
// @ts-expect-error nobody gives it a database
void plain.iterate(Stream.fromEffect(rows))
// One that can do more does for one that can do less.
expectTypeOf(withDatabase).toExtend<TaskGroup.Bridge>()
expectTypeOf(plain).not.toExtend<TaskGroup.Bridge<Database>>()

// What effects may need there is needed where the bridge is made.
const made = TaskGroup.bridge<Database>()
expectTypeOf<Effect.Services<typeof made>>().toEqualTypeOf<Database | TaskGroup.TaskGroup<never>>()
// @ts-expect-error there is no group around it
void Effect.runPromise(TaskGroup.bridge())
void Effect.runPromise(TaskGroup.open(TaskGroup.bridge()))

// What its effects spawn into the group fails the group, whose type has to say so.
const bad = TaskGroup.spawn(Effect.fail("bad" as const))
const spawning = Effect.flatMap(TaskGroup.bridge<TaskGroup.TaskGroup<"bad">>(), (bridge) => {
  void bridge.run(bad)
  return Effect.void
})
expectTypeOf(TaskGroup.open(spawning)).toEqualTypeOf<Effect.Effect<void, "bad">>()
declare const careless: Effect.Success<ReturnType<typeof TaskGroup.bridge<never>>>
void careless.run(TaskGroup.spawn(Effect.succeed(1)))
// @ts-expect-error the group does not expect a failure
void careless.run(bad)

expectTypeOf(TaskGroup.runPromise(Effect.succeed(1))).toEqualTypeOf<Promise<number>>()
expectTypeOf(TaskGroup.runPromise(Effect.as(bad, 1), { within: "1 second" })).toEqualTypeOf<Promise<number>>()
// @ts-expect-error nobody gives it a database
void TaskGroup.runPromise(rows)

declare const task: Task.Task<number, "bad">
expectTypeOf(Task.toPromise(task)).toEqualTypeOf<Promise<number>>()
