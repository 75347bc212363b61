/** What the cases on signals run in a process of its own: one program for each name. */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { Cancel } from "skein"
import { Main } from "skein/node"

const programs: Record<string, Effect.Effect<never>> = {
  waits: Effect.never,
  spins: Effect.forever(Cancel.checkpoint),
  "cleans up for ever": Effect.onInterrupt(Effect.never, () => Effect.never)
}

const program = programs[process.argv[2]!]!
Main.run(
  Effect.andThen(
    Console.log("ready"),
    Effect.onInterrupt(program, () => Console.log("cleaned up"))
  )
)
