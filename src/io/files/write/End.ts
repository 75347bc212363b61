/** Where the next bytes of a sink go: the end of one file, of one that takes the place of another, or of the last of several. */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type { Opening } from "../../../pipeline/Sink.ts"
import { FilesError } from "../../FilesError.ts"
import { realPath } from "../FilePlace.ts"
import { notAFile } from "../TextFile.ts"
import * as Appender from "./Appender.ts"
import { type FileLock, take } from "./FileLock.ts"
import type { WriteState } from "./WriteState.ts"

export interface End {
  /** The file to go on in, as it was at a state; none is that of the beginning. What came behind that is taken away. */
  readonly at: (state: Option.Option<WriteState>) => Effect.Effect<Appender.Appender, FilesError>
  /** What of the state is not told by the file itself. */
  readonly place: Pick<WriteState, "part" | "begun">
  /** Whether nothing is to be done to end it, as it is whole and nothing was added. */
  readonly isComplete?: (() => boolean) | undefined
  /** Whether another element goes to another file, where the current one has so many elements and bytes. */
  readonly isFull?: ((rows: number, bytes: number) => boolean) | undefined
  readonly next?: Effect.Effect<Appender.Appender, FilesError> | undefined
  /** All is written, and is on the disk. */
  readonly seal?: Effect.Effect<void, FilesError> | undefined
  /** Takes away what is not committed. */
  readonly close: (state: Option.Option<WriteState>) => Effect.Effect<void, FilesError>
}

export interface EndOptions {
  readonly name: string
  readonly opening: Opening
  readonly committed: Option.Option<WriteState>
  readonly existing: "append" | "replace"
  readonly fsync: boolean
  /** Whether something can be written behind what somebody else has. */
  readonly isOpen: boolean
}

export type Opened = Effect.Effect<End, FilesError, FileSystem.FileSystem | Scope.Scope>

/** Takes the file for this run; a run that does not begin leaves everything as it was. */
export const locked = (
  { name, opening }: Pick<EndOptions, "name" | "opening">,
  begin: (path: string, lock: FileLock) => Opened
): Opened =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const path = yield* realPath(name)
    const before = yield* Appender.statOf(fs, path)
    if (Option.isSome(before) && before.value.type !== "File") return yield* notAFile("write", name, before.value)
    const lock = yield* take(path, opening)
    return yield* Effect.onError(begin(path, lock), () => lock.giveBack)
  })

/** The end of the file itself. */
export const inPlace = (options: EndOptions): Opened =>
  locked(options, (path, lock) =>
    Effect.gen(function* () {
      const { committed, existing, fsync, name, opening } = options
      const { intend, left } = lock
      const end = yield* Appender.open({ name, path, committed, clean: opening.clean, left, intend, existing, fsync })
      yield* alone(options, end)
      return {
        at: (state) => Effect.as(backTo(end, state), end),
        place: {},
        close: (state) => Effect.andThen(leaveAt(end, state), lock.release)
      }
    })
  )

/** Goes back to a state: what this run found there beyond what was committed is not its own. */
export const backTo = (end: Appender.Appender, state: Option.Option<WriteState>): Effect.Effect<void, FilesError> =>
  end.goBack(Math.max(end.base, Option.match(state, lengthOf)))

const lengthOf = { onNone: () => 0, onSome: ({ length }: WriteState) => length }

/** Takes away what came behind a state, and is not its footer. */
export const leaveAt = (end: Appender.Appender, state: Option.Option<WriteState>): Effect.Effect<void, FilesError> =>
  Option.isSome(state) && isAt(end, state.value) ? end.goBack(end.mark.length) : backTo(end, state)

/** Whether a file is as it was at a state, with its footer. */
export const isAt = (end: Appender.Appender, state: WriteState): boolean => {
  const { length, sum } = state.footer ?? state
  return end.mark.length === length && end.mark.sum === sum
}

/** Fails where something else stands in the file, and nothing can be written behind that. */
export const alone = (
  { committed, isOpen, name }: EndOptions,
  { base }: Appender.Appender
): Effect.Effect<void, FilesError> =>
  isOpen || base === Option.match(committed, { onNone: () => 0, onSome: ({ length }) => length })
    ? Effect.void
    : Effect.fail(
        new FilesError({
          kind: "Interfered",
          tried: "write",
          path: name,
          reason:
            "something is in it that this pipeline has not written, and nothing can be added to a file of this format",
          fix: 'Write to another file, or start over with `existing: "replace"`.'
        })
      )
