/** One order of steps among fibers, for the test of just that order. */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import { SequenceBroken } from "./SequencerError.ts"

export { SequenceBroken }

export interface Sequencer {
  /**
   * Runs the effect as the step of this number, counted from 0: after all before it have ended, in whatever way. Dies with
   * `SequenceBroken` when the number is taken, or when a step before it was cancelled while it waited for its turn.
   */
  readonly step: (number: number) => <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
}

/**
 * Makes a sequencer, as that of `trio.testing`: whatever the schedule, its steps run in the order of their numbers.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { Sequencer } from "skein/testing"
 *
 * const program = Effect.gen(function* () {
 *   const sequencer = yield* Sequencer.make
 *   const said: Array<string> = []
 *   const say = (word: string) => Effect.sync(() => void said.push(word))
 *   const one = Effect.andThen(sequencer.step(0)(say("a")), sequencer.step(2)(say("c")))
 *   const other = sequencer.step(1)(say("b"))
 *   yield* Effect.all([other, one], { concurrency: 2 })
 *   return said
 * })
 *
 * await Effect.runPromise(program) // => ["a", "b", "c"]
 * ```
 */
export const make: Effect.Effect<Sequencer> = Effect.sync((): Sequencer => {
  const ends: Array<Deferred.Deferred<void>> = []
  const taken = new Set<number>()
  const endOf = (step: number) => (ends[step] ??= Deferred.makeUnsafe())
  return {
    step: (number) => (effect) =>
      Effect.suspend(() => {
        if (taken.has(number)) return Effect.die(new SequenceBroken({ step: number, why: "there is one already" }))
        taken.add(number)
        const turn = number === 0 ? Effect.void : Deferred.await(endOf(number - 1))
        const broken = new SequenceBroken({ step: number + 1, why: `step ${number} was cancelled before its turn` })
        return Effect.uninterruptibleMask((restore) =>
          restore(turn).pipe(
            Effect.onError(() => Deferred.die(endOf(number), broken)),
            Effect.andThen(Effect.ensuring(restore(effect), Deferred.succeed(endOf(number), undefined)))
          )
        )
      })
  }
})
