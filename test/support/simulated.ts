/** What the tests of the kit share. */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { Sim } from "skein/testing"

export const play = <A, E>(effect: Effect.Effect<A, E>, options?: Sim.Options): Sim.Run<A, E> =>
  Effect.runSync(Sim.run(effect, options))

/** The value of a run that succeeds. */
export const valueOf = <A, E>(effect: Effect.Effect<A, E>, options?: Sim.Options): A => {
  const { exit } = play(effect, options)
  if (Exit.isFailure(exit)) throw new Error(`failed: ${String(exit)}`)
  return exit.value
}

export const range = (count: number): ReadonlyArray<number> => Array.from({ length: count }, (_, i) => i)

/** What is said in which order. */
export const saying = <A, E>(
  talk: (say: (word: string) => Effect.Effect<void>) => Effect.Effect<A, E>
): Effect.Effect<string, E> =>
  Effect.suspend(() => {
    const said: Array<string> = []
    return Effect.map(
      talk((word) => Effect.sync(() => void said.push(word))),
      () => said.join(" ")
    )
  })
