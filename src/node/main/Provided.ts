/** What the compiler says of a program that needs more than there is. */
/* oxlint-disable typescript/no-explicit-any -- `any` matches every group in a conditional type */
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { TaskGroup } from "../../concurrency/TaskGroup.ts"
import type { Db } from "../../io/Db.ts"
import type { Journal } from "../../pipeline/Journal.ts"

/** An effect that needs no more than `Given`, or else what to do about what is missing. */
export type Provided<A, E, R, Given> = [R] extends [Given] ? Effect.Effect<A, E, R> : Missing<Exclude<R, Given>>

/** The first of what is missing, as each has its own remedy. A service whose type is a text says itself what to do. */
type Missing<R> = [Extract<R, string>] extends [never]
  ? [Db] extends [R]
    ? "The program needs a database: provide one, as with Effect.provide(Db.sqlite(file))"
    : [Journal] extends [R]
      ? "The program needs a journal: provide Files.journal(file), or Db.sqlite(file), which has one; Journal.memory starts over each time"
      : [Extract<R, TaskGroup<any>>] extends [never]
        ? [Scope.Scope] extends [R]
          ? "The program needs a scope: end it with Effect.scoped"
          : Provide<R>
        : "The program needs a group for its tasks: open one with TaskGroup.open"
  : Own<R>["text"]

interface Own<R> {
  readonly text: Extract<R, string>
}

/** Services that have to be provided, as with `Effect.provide` and their layers. No effect has this type. */
interface Provide<Services> {
  readonly pipe: Services
}
