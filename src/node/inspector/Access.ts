/** What the socket gives access to. */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Inspect from "../../inspect/Inspect.ts"
import type { Control } from "./Protocol.ts"

export interface Access {
  readonly snapshot: Effect.Effect<Inspect.Snapshot>
  readonly events: Stream.Stream<Inspect.Entry>
  /** Gives why it was not done; none where it is not allowed at all. */
  readonly control:
    | ((run: string, partition: string | null, what: Control) => Effect.Effect<string | undefined>)
    | undefined
}

/** To the program that asks. */
export const make = ({ allowControl }: { readonly allowControl: boolean }): Effect.Effect<Access> =>
  Effect.contextWith((context) =>
    Effect.succeed({
      snapshot: Effect.provideContext(Inspect.snapshot, context),
      events: Stream.provideContext(Inspect.events, context),
      control: allowControl ? () => Effect.succeed("there is no such run") : undefined
    })
  )
