/** What must not outlive a run. */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Schema from "effect/Schema"
import type { TypedError } from "../../concurrency/base/TypedError.ts"
import type { Run } from "./Run.ts"

const LeakedBase: TypedError<
  Leaked,
  "Leaked",
  {
    readonly fibers: Schema.$Array<Schema.String>
    readonly timers: Schema.Number
    readonly scopes: Schema.Number
    readonly lent: Schema.$Array<Schema.String>
  }
> = Schema.TaggedError<Leaked>()("Leaked", {
  fibers: Schema.Array(Schema.String),
  timers: Schema.Number,
  scopes: Schema.Number,
  lent: Schema.Array(Schema.String)
})

/** What an effect has left behind. */
export class Leaked extends LeakedBase {
  override get message(): string {
    const left = [
      ...this.fibers.map((name) => `the fiber "${name}" is alive`),
      ...counted(this.timers, "timer is", "timers are", "pending"),
      ...counted(this.scopes, "scope is", "scopes are", "open with finalizers"),
      ...this.lent.map((lent) => `${lent} is not given back`)
    ]
    return `The effect has ended, but ${left.join("; ")}. Whoever makes it has to end it, in every outcome`
  }
}

export const leavesNothing = <A, E>({ killed, left }: Run<A, E>): Effect.Effect<void, Leaked> =>
  killed !== undefined || left.fibers.length + left.timers + left.scopes + left.lent.length === 0
    ? Effect.void
    : Effect.fail(new Leaked(left))

/** What has to hold of a run that was interrupted, if nothing else is said: no defect, and nothing left. */
export const endsCleanly = <A, E>(run: Run<A, E>): Effect.Effect<unknown, unknown> =>
  Exit.isFailure(run.exit) && run.exit.cause.reasons.some((reason) => reason._tag === "Die")
    ? Effect.failCause(run.exit.cause)
    : leavesNothing(run)

const counted = (count: number, one: string, many: string, how: string): ReadonlyArray<string> =>
  count === 0 ? [] : [`${count} ${count === 1 ? one : many} ${how}`]
