/** The failures of a group: which task failed, and with what. */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"

/** One failure in the `Cause` of a group. */
export type Failure<E> =
  | { readonly task: Origin; readonly error: E }
  | { readonly task: Origin; readonly defect: unknown }

/** The task a failure comes from. */
export interface Origin {
  readonly id: number
  readonly name: string
}

const Origin: Context.Service<Origin, Origin> = Context.Service("skein/TaskGroup/Origin")

/**
 * Lists every failure in the cause of a group with the task it comes from; cancellations are not failures.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { TaskGroup } from "skein"
 *
 * const both = Effect.gen(function*() {
 *   yield* TaskGroup.spawn(Effect.ensuring(Effect.never, Effect.die("no cleanup")), { name: "posts" })
 *   yield* TaskGroup.spawn(Effect.fail("no users"), { name: "users" })
 * })
 * const program = TaskGroup.open(both).pipe(Effect.sandbox, Effect.flip, Effect.map(TaskGroup.failures))
 *
 * const failures = await Effect.runPromise(program)
 * failures.map((failure) => failure.task.name) // => ["users", "posts"]
 * failures.map((failure) => ("error" in failure ? failure.error : failure.defect)) // => ["no users", "no cleanup"]
 * ```
 */
export const failures = <E>(cause: Cause.Cause<E>): ReadonlyArray<Failure<E>> =>
  cause.reasons.flatMap((reason): Array<Failure<E>> => {
    const task = (reason.annotations.get(Origin.key) as Origin | undefined) ?? { id: 0, name: "unknown" }
    return reason._tag === "Fail"
      ? [{ task, error: reason.error }]
      : reason._tag === "Die"
        ? [{ task, defect: reason.defect }]
        : []
  })

/** S4, S5, S6, S17: the failures of a group as they come in: the first is the primary, and no more than `limit` are kept. */
export class Ledger {
  private readonly limit: number
  private readonly kept: Array<Cause.Reason<unknown>> = []
  private dropped = 0

  constructor(limit: number) {
    this.limit = limit
  }

  get isEmpty(): boolean {
    return this.kept.length === 0
  }

  /** Adds what is a failure in `cause`, and tells whether there was one. */
  add(task: Origin, cause: Cause.Cause<unknown>, isCancellation: (defect: unknown) => boolean): boolean {
    let origin: Context.Context<never> | undefined
    for (const reason of cause.reasons) {
      if (reason._tag === "Interrupt" || (reason._tag === "Die" && isCancellation(reason.defect))) continue
      origin ??= Context.make(Origin, { id: task.id, name: task.name }) as Context.Context<never>
      if (this.kept.length < this.limit) this.kept.push(reason.annotate(origin))
      else this.dropped += 1
    }
    return origin !== undefined
  }

  /** All failures as one cause; the primary says how many more there were than are kept. */
  cause(): Cause.Cause<unknown> {
    const all = Cause.fromReasons(this.kept)
    return this.dropped === 0 ? all : Cause.annotate(all, Context.make(Dropped, this.dropped))
  }
}

/**
 * How many failures of a group were counted but not kept.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { TaskGroup } from "skein"
 *
 * // What cannot be cancelled any more fails as well.
 * const attempt = (n: number) => Effect.uninterruptible(Effect.andThen(Effect.yieldNow, Effect.die(n)))
 * const attempts = Effect.forEach([1, 2, 3, 4, 5], (n) => TaskGroup.spawn(attempt(n)))
 * const program = TaskGroup.open(attempts, { maxFailures: 2 }).pipe(Effect.sandbox, Effect.flip)
 *
 * const cause = await Effect.runPromise(program)
 * TaskGroup.failures(cause).length // => 2
 * TaskGroup.dropped(cause) // => 3
 * ```
 */
export const dropped = <E>(cause: Cause.Cause<E>): number =>
  Math.max(0, ...cause.reasons.map((reason) => (reason.annotations.get(Dropped.key) as number | undefined) ?? 0))

const Dropped: Context.Service<number, number> = Context.Service("skein/TaskGroup/Dropped")
