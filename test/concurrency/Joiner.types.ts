/** What the types of the joiners promise; compiled, never run. Each `@ts-expect-error` is code that must not compile. */
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import { pipe } from "effect/Function"
import type * as Stream from "effect/Stream"
import { type Deadline, Joiner, type Task, TaskGroup } from "skein"

class HttpError {
  readonly _tag = "HttpError"
}
class DbError {
  readonly _tag = "DbError"
}
interface Asker {
  readonly _tag: "Asker"
}
declare const user: Effect.Effect<string, HttpError>
declare const posts: Effect.Effect<number, DbError, Asker>
declare const users: Array<typeof user>
declare const set: Set<typeof user>
declare const dictionary: Record<string, typeof user>
declare const options: Joiner.Options

type Equals<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
const equals = <A, B>(_: Equals<A, B>): void => {}

// `all` keeps the shape: tuples, arrays, iterables, records.
const tuple = Joiner.all([user, posts])
equals<typeof tuple, Effect.Effect<[string, number], HttpError | DbError, Asker>>(true)
const array = Joiner.all(users, { limit: 4, name: "users" })
equals<typeof array, Effect.Effect<Array<string>, HttpError>>(true)
const iterable = Joiner.all(set)
equals<typeof iterable, Effect.Effect<Array<string>, HttpError>>(true)
const record = Joiner.all({ user, posts })
equals<typeof record, Effect.Effect<{ user: string; posts: number }, HttpError | DbError, Asker>>(true)
const keyed = Joiner.all(dictionary)
equals<typeof keyed, Effect.Effect<{ [x: string]: string }, HttpError>>(true)
const nothing = Joiner.all([])
equals<typeof nothing, Effect.Effect<[]>>(true)
const piped = pipe([user, posts] as const, Joiner.all)
equals<typeof piped, typeof tuple>(true)

// A deadline is in the error where there may be one.
const bounded = Joiner.all([user], { within: "1 second" })
equals<Effect.Error<typeof bounded>, HttpError | Deadline.DeadlineExceeded>(true)
const perhaps = Joiner.all([user], options)
equals<Effect.Error<typeof perhaps>, HttpError | Deadline.DeadlineExceeded>(true)
const unbounded = Joiner.race([user], { within: undefined })
equals<Effect.Error<typeof unbounded>, HttpError>(true)
declare const groupOptions: TaskGroup.OpenOptions
const group = TaskGroup.open(user, groupOptions)
equals<Effect.Error<typeof group>, HttpError | Deadline.DeadlineExceeded>(true)

// `settle` fails with nothing, not even the deadline: it is all in the exits.
const settled = Joiner.settle([user, posts], { within: "1 second" })
equals<typeof settled, Effect.Effect<[Exit.Exit<string, HttpError>, Exit.Exit<number, DbError>], never, Asker>>(true)
const settledRecord = Joiner.settle({ user, posts })
equals<Effect.Success<typeof settledRecord>, { user: Exit.Exit<string, HttpError>; posts: Exit.Exit<number, DbError> }>(
  true
)

// One of several.
const race = Joiner.race([user, posts])
equals<typeof race, Effect.Effect<string | number, HttpError | DbError, Asker>>(true)
const first = Joiner.first({ user, posts }, { within: 5 })
equals<typeof first, Effect.Effect<string | number, HttpError | DbError | Deadline.DeadlineExceeded, Asker>>(true)

// Some of several, data first and data last.
const quorum = Joiner.quorum([user, posts], 1)
equals<typeof quorum, Effect.Effect<Array<string | number>, HttpError | DbError, Asker>>(true)
const quorumLast = pipe(users, Joiner.quorum(2, { within: 5 }))
equals<typeof quorumLast, Effect.Effect<Array<string>, HttpError | Deadline.DeadlineExceeded>>(true)
const until = Joiner.until([user, posts], (value) => equals<typeof value, string | number>(true) === undefined)
equals<typeof until, Effect.Effect<Array<string | number>, HttpError | DbError, Asker>>(true)
const untilLast = pipe(
  users,
  Joiner.until((name: string) => name === "me")
)
equals<typeof untilLast, Effect.Effect<Array<string>, HttpError>>(true)
// @ts-expect-error a user is a string
void Joiner.until(users, (n: number) => n > 1)

// One, several times.
const hedged = posts.pipe(Joiner.hedge({ after: "1 second" }))
equals<typeof hedged, Effect.Effect<number, DbError, Asker>>(true)
const hedgedFirst = Joiner.hedge(posts, { after: "1 second", max: 3, within: "1 minute" })
equals<typeof hedgedFirst, Effect.Effect<number, DbError | Deadline.DeadlineExceeded, Asker>>(true)
// @ts-expect-error when does the next attempt start?
void Joiner.hedge(posts, { max: 3 })

const stream = Joiner.completed([user, posts])
equals<typeof stream, Stream.Stream<string | number, HttpError | DbError, Asker>>(true)

// What the effects spawn belongs to the group around the joiner, and so do its failures.
const started = Joiner.all([TaskGroup.spawn(user)])
equals<typeof started, Effect.Effect<[Task.Task<string>], never, TaskGroup.TaskGroup<HttpError>>>(true)
// @ts-expect-error nobody owns the task
void Effect.runPromise(started)
const owned = TaskGroup.open(started)
equals<Effect.Error<typeof owned>, HttpError>(true)

// @ts-expect-error not an effect
void Joiner.all([1])
// @ts-expect-error no such option
void Joiner.all([user], { concurrency: 2 })
