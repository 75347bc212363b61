/** Writes elements to a file such that it never keeps more than was committed, and never loses what is not its own. */
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type { Opening, Writer } from "../../../pipeline/Sink.ts"
import type { Compression } from "../../codec/Compression.ts"
import { FilesError } from "../../FilesError.ts"
import { type Format, Refusal } from "../Format.ts"
import type { Appender } from "./Appender.ts"
import { atomic } from "./AtomicEnd.ts"
import { type Added, look } from "./Existing.ts"
import { type End, type EndOptions, inPlace } from "./End.ts"
import { badElement, isOpenEnded, Press } from "./Press.ts"
import { rotating, type Rotation } from "./RotatingEnd.ts"
import { stateOf, type WriteState } from "./WriteState.ts"

export interface WriteOptions {
  readonly existing: "append" | "replace"
  readonly fsync: boolean
  readonly atomic: boolean
  readonly compression: Compression | undefined
  readonly rotate: Rotation | undefined
}

export const open = <A>(
  name: string,
  opening: Opening,
  format: Added & Pick<Format<A>, "print">,
  options: WriteOptions
): Effect.Effect<Writer<A, FilesError, never>, FilesError, FileSystem.FileSystem | Scope.Scope> =>
  Effect.gen(function* () {
    const { compression, existing: how, rotate } = options
    const { layout, print } = format
    const committed = yield* stateOf(name, opening.committed)
    const isAdded = Option.isNone(committed) && how === "append" && rotate === undefined
    const existing = isAdded ? yield* look(name, format, compression) : 0
    if (existing > 0) {
      yield* Effect.logWarning(
        `${name} has ${existing} bytes already, and no run of this pipeline is known that wrote them: what it writes goes behind them. If one did, and its journal is gone, it is all written again; \`existing: "replace"\` starts the file over`
      )
    }
    const all: EndOptions = { ...options, name, opening, committed, isOpen: isOpenEnded(layout) }
    const end = yield* options.rotate !== undefined
      ? rotating(all, options.rotate)
      : options.atomic
        ? atomic(all)
        : inPlace(all)
    return writer(name, end, new Press(name, { layout, print }, compression), {
      counts: layout.separator !== undefined || rotate !== undefined,
      isPlain: compression === undefined
    })
  })

const writer = <A>(
  name: string,
  end: End,
  press: Press<A>,
  { counts, isPlain }: { readonly counts: boolean; readonly isPlain: boolean }
): Writer<A, FilesError, never> => {
  const stateAt = (file: Appender): WriteState => ({
    ...file.mark,
    ...(counts && { rows: press.count }),
    ...end.place
  })
  const begin = (since: Option.Option<WriteState>) =>
    Effect.map(end.at(since), (file) => {
      const rows = Option.match(since, { onNone: () => 0, onSome: ({ rows = 0 }) => rows })
      press.begin(file, rows)
      return file
    })
  return {
    // Each write is a member of its own, which pays where there is much in it.
    prefers: isPlain ? undefined : { rows: 8192 },
    write: (elements, since) =>
      Effect.gen(function* () {
        let file = yield* begin(yield* stateOf(name, since))
        let from = file.mark.length
        for (const [row, element] of elements.entries()) {
          if (end.isFull?.(press.count, file.mark.length + (isPlain ? press.size : 0)) === true) {
            yield* press.flush(file, true)
            yield* press.foot(file)
            file = yield* end.next!
            press.begin(file, 0)
            from = file.mark.length
          }
          const added = press.add(element)
          if (added instanceof Refusal) return yield* badElement(name, row, elements.length, added)
          if (added) yield* press.flush(file, false)
        }
        yield* press.flush(file, press.size > 0 || file.mark.length > from)
        return stateAt(file)
      }),
    finish: (since) =>
      Effect.gen(function* () {
        const state = yield* stateOf(name, since)
        if (Option.isSome(since) && end.isComplete?.() === true) return since.value
        const file = yield* begin(state)
        yield* press.head(file)
        const whole = stateAt(file)
        yield* press.foot(file)
        if (end.seal !== undefined) yield* end.seal
        return file.mark.length === whole.length ? whole : { ...whole, footer: file.mark }
      }),
    atFault: (error) => (error instanceof FilesError && error.row !== undefined ? [error.row] : "batch"),
    close: (committed) => Effect.flatMap(stateOf(name, committed), end.close)
  }
}
