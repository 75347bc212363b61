/** What the types promise; compiled, never run. Each `@ts-expect-error` is code that must not compile. */
import * as Effect from "effect/Effect"
import { type Task, TaskGroup } from "skein"

class HttpError {
  readonly _tag = "HttpError"
}
class DbError {
  readonly _tag = "DbError"
}
declare const fetchUser: Effect.Effect<string, HttpError>
declare const loadPosts: Effect.Effect<number, DbError>
declare const ask: Effect.Effect<boolean, never, { readonly _tag: "Asker" }>

type Equals<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
const equals = <A, B>(_: Equals<A, B>): void => {}

const loadAll = Effect.gen(function* () {
  const user = yield* TaskGroup.spawn(fetchUser)
  const posts = yield* TaskGroup.spawn(loadPosts, { name: "posts" })
  return { user: yield* user.join, posts: yield* posts.join }
})

// The errors of spawned effects travel in the environment, and `open` moves them to the error channel.
equals<
  typeof loadAll,
  Effect.Effect<{ user: string; posts: number }, never, TaskGroup.TaskGroup<HttpError> | TaskGroup.TaskGroup<DbError>>
>(true)
const opened = TaskGroup.open(loadAll)
equals<typeof opened, Effect.Effect<{ user: string; posts: number }, HttpError | DbError>>(true)
const piped = loadAll.pipe(TaskGroup.open)
equals<typeof piped, typeof opened>(true)
const named = loadAll.pipe(TaskGroup.open({ name: "load" }))
equals<typeof named, typeof opened>(true)

// @ts-expect-error nobody owns the tasks
void Effect.runPromise(loadAll)

// The body's own error is beside those of the tasks, and other services stay.
const mixed = TaskGroup.open(
  Effect.andThen(TaskGroup.spawn(ask), Effect.andThen(TaskGroup.spawn(fetchUser), loadPosts))
)
equals<typeof mixed, Effect.Effect<number, DbError | HttpError, { readonly _tag: "Asker" }>>(true)

// A spawned task that cannot fail asks for a group all the same.
const quiet = TaskGroup.spawn(Effect.succeed(1))
equals<typeof quiet, Effect.Effect<Task.Task<number>, never, TaskGroup.TaskGroup<never>>>(true)
// @ts-expect-error no group
void Effect.runPromise(quiet)
const owned = TaskGroup.open(quiet)
equals<Effect.Services<typeof owned>, never>(true)

// The group owns a spawned failure, so that `join` has none; a supervised one belongs to the holder of the handle.
const joined = Effect.flatMap(TaskGroup.spawn(fetchUser), (task) => task.join)
equals<Effect.Error<typeof joined>, never>(true)
const supervised = Effect.flatMap(TaskGroup.supervise(fetchUser), (task) => task.join)
equals<typeof supervised, Effect.Effect<string, HttpError, TaskGroup.TaskGroup<never>>>(true)
const both = TaskGroup.open(supervised)
equals<typeof both, Effect.Effect<string, HttpError>>(true)

// A group inside of a group takes the failures of its own tasks; what is left goes to the outer one.
const nested = TaskGroup.open(
  Effect.andThen(TaskGroup.spawn(TaskGroup.open(TaskGroup.spawn(fetchUser))), TaskGroup.spawn(loadPosts))
)
equals<Effect.Error<typeof nested>, HttpError | DbError>(true)

// It works through generic code.
const twice = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  TaskGroup.open(Effect.andThen(TaskGroup.spawn(effect), TaskGroup.spawn(effect)))
const generic = twice(fetchUser)
equals<Effect.Error<typeof generic>, HttpError>(true)

// A group's failures cannot be claimed to be fewer than they are.
declare const spawnsHttp: Effect.Effect<void, never, TaskGroup.TaskGroup<HttpError>>
// @ts-expect-error HttpError is not DbError
const wrong: Effect.Effect<void, never, TaskGroup.TaskGroup<DbError>> = spawnsHttp
void wrong

// Ending a group early is one of its failures, for whoever opened it to decide.
const ended = TaskGroup.open(Effect.andThen(TaskGroup.spawn(fetchUser), TaskGroup.cancel("enough")))
equals<typeof ended, Effect.Effect<void, HttpError | TaskGroup.GroupCancelled>>(true)
// @ts-expect-error nobody decides what an early end means
void Effect.runPromise(TaskGroup.cancel("enough"))
const decided = ended.pipe(Effect.catchTag("GroupCancelled", () => Effect.void))
equals<Effect.Error<typeof decided>, HttpError>(true)

// A start can fail before it is ready, and its task after that: the one is here, the other is the group's.
const started = TaskGroup.start((ready: TaskGroup.Ready<number>) => Effect.andThen(ready(1), fetchUser))
equals<typeof started, Effect.Effect<number, HttpError, TaskGroup.TaskGroup<HttpError>>>(true)
