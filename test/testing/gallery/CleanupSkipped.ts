/** A temporary file is removed after success and after failure. Cancellation is neither. */
import * as Effect from "effect/Effect"
import { Leaks } from "skein/testing"

interface File {
  readonly create: Effect.Effect<void>
  readonly remove: Effect.Effect<void>
}

const report = (writing: (file: File, write: Effect.Effect<void, string>) => Effect.Effect<void, string>) =>
  Effect.gen(function* () {
    let files = 0
    yield* Leaks.watch("temporary file", () => files)
    const create = Effect.sync(() => void files++)
    const remove = Effect.sync(() => void files--)
    yield* writing({ create, remove }, Effect.sleep("1 second"))
  }).pipe(Effect.withSpan("report"))

// The file itself is made and passed on in one piece, so that the cleanup is the only bug here.
export const broken = report((file, write) =>
  Effect.uninterruptibleMask((restore) =>
    file.create.pipe(
      Effect.andThen(restore(write)),
      Effect.tapError(() => file.remove),
      Effect.tap(() => file.remove)
    )
  )
)

export const fixed = report((file, write) =>
  Effect.acquireUseRelease(
    file.create,
    () => write,
    () => file.remove
  )
)
