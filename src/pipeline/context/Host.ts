/** Who runs a pipeline: what a lease is held by, and how others find out whether the holder is still there. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"

export interface Host {
  /** This process, told apart from any other, also from a later one with its number. */
  readonly id: string
  /** The same for people. */
  readonly label: string
  /** Whether the process with that id still runs; undefined where this one cannot know. */
  readonly runs: (id: string) => boolean | undefined
}

/** Portable: knows itself and nobody else. `Main.layer` and `Drivers.layer` of `skein/node` know the processes of the machine. */
export const Host: Context.Reference<Host> = Context.Reference("skein/Host", {
  defaultValue: (): Host => {
    const id = globalThis.crypto.randomUUID()
    return { id, label: "another program", runs: (other) => (other === id ? true : undefined) }
  }
})

/** Something that nobody else has. */
export const newId: Effect.Effect<string> = Effect.map(
  Effect.all([Random.nextIntBetween(0, 2 ** 48), Random.nextIntBetween(0, 2 ** 48)]),
  (parts) => parts.map((part) => part.toString(36)).join("-")
)
