/** The failures of a group: which task failed, and with what. */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import { mark, type Origin, originOf } from "../base/Origin.ts"
import type { Node } from "../base/TaskNode.ts"

/** One failure in the `Cause` of a group. */
export type Failure<E> =
  | { readonly task: Origin; readonly error: E }
  | { readonly task: Origin; readonly defect: unknown }

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
    const task = originOf(reason)
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
  add(
    task: Node<unknown, unknown>,
    cause: Cause.Cause<unknown>,
    isCancellation: (defect: unknown) => boolean
  ): boolean {
    let failed = false
    for (const reason of cause.reasons) {
      if (reason._tag === "Interrupt" || (reason._tag === "Die" && isCancellation(reason.defect))) continue
      failed = true
      if (this.kept.length < this.limit) this.kept.push(mark(reason, task))
      else this.dropped += 1
    }
    return failed
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

const Dropped: Context.Service<number, number> = /* @__PURE__ */ Context.Service("skein/TaskGroup/Dropped")
