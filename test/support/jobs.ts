/** What the tests of pipelines share. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Stream from "effect/Stream"
import { type Journal, Source } from "skein"
import { Leaks, Sim } from "skein/testing"

export const upTo = (n: number): ReadonlyArray<number> => Array.from({ length: n }, (_, i) => i + 1)

/** 1, 2, 3 and so on, with positions. */
export const numbers = (n: number): Source.Source<number, never, never, number> =>
  Source.list(upTo(n), { name: "numbers" })

/** The same, one at a time, each after so many milliseconds; and how many of them were read. */
export const counted = (n: number, millis = 0) => {
  const seen = { read: 0 }
  const source: Source.Source<number, never, never, number> = {
    ...numbers(n),
    read: (from) =>
      numbers(n)
        .read(from)
        .pipe(
          Stream.rechunk(1),
          Stream.tap(() => Effect.sync(() => void (seen.read += 1))),
          millis === 0 ? (same) => same : Stream.tap(() => Effect.sleep(millis))
        )
  }
  return { seen, source }
}

/** A journal with something around each of its commits; `turn` counts them. */
export const committing = (
  journal: Journal.Journal,
  around: <E, R>(
    commit: Effect.Effect<void, E, R>,
    turn: number,
    of: { readonly pipeline: string; readonly write: Effect.Effect<Journal.Commit, E, R> }
  ) => Effect.Effect<void, E | Journal.JournalError, R>
): Journal.Journal => {
  let turn = 0
  return {
    ...journal,
    lease: (key, options) =>
      Effect.map(journal.lease(key, options), (lease) => ({
        ...lease,
        commit: (write) => Effect.suspend(() => around(lease.commit(write), ++turn, { pipeline: key.pipeline, write }))
      }))
  }
}

export const after = <A>(millis: number, value: A): Effect.Effect<A> => Effect.as(Effect.sleep(millis), value)

export const sorted = (list: ReadonlyArray<number>): ReadonlyArray<number> => list.toSorted((a, b) => a - b)

/** Runs an effect in virtual time; it has to leave nothing behind. */
export const exitOf = <A, E>(effect: Effect.Effect<A, E>): Exit.Exit<A, E> =>
  Effect.runSync(Effect.tap(Sim.run(effect), Leaks.check)).exit

export const valueOf = <A, E>(effect: Effect.Effect<A, E>): A => {
  const exit = exitOf(effect)
  if (Exit.isFailure(exit)) throw Cause.squash(exit.cause)
  return exit.value
}

export const errorOf = <A, E>(effect: Effect.Effect<A, E>): E => valueOf(Effect.flip(effect))

/** What an effect ends with that does not succeed. */
export const causeOf = <A, E>(effect: Effect.Effect<A, E>): Cause.Cause<E> => {
  const exit = exitOf(effect)
  if (Exit.isSuccess(exit)) throw new Error(`succeeded with ${JSON.stringify(exit.value)}`)
  return exit.cause
}

/** Of an exploration: the run succeeds, and leaves nothing behind. */
export const endsWell = <A, E>(run: Sim.Run<A, E>): Effect.Effect<void, unknown> =>
  Effect.andThen(run.exit, Leaks.check(run))
