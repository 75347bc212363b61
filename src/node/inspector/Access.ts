/** What the socket gives access to. */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Inspect from "../../inspect/Inspect.ts"
import type { Control } from "./Protocol.ts"

export interface Access {
  readonly snapshot: Effect.Effect<Inspect.Snapshot>
  readonly events: Stream.Stream<Inspect.Entry>
  /** None where it is not allowed. */
  readonly control:
    | ((run: string, partition: string | undefined, what: Control) => Effect.Effect<void, Inspect.NoSuchRun>)
    | undefined
}

/** To the program that asks. */
export const make = (allowControl: boolean): Effect.Effect<Access> =>
  Effect.contextWith((context) =>
    Effect.succeed({
      snapshot: Effect.provideContext(Inspect.snapshot, context),
      events: Stream.provideContext(Inspect.events, context),
      control: allowControl
        ? (name, partition, what) => Effect.provideContext(Inspect.control({ name, partition }, what), context)
        : undefined
    })
  )
