/** A database in memory with real transactions: what a commit wrote is there when it succeeded, and none of it otherwise. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Schema from "effect/Schema"
import type { Journal, Sink } from "skein"

export interface Store<A> {
  rows: Array<A>
  checkpoint: Journal.Checkpoint | undefined
  letters: Array<Journal.KeptDeadLetter>
  /** Every watermark and how many rows were there with it, in the order of the commits. */
  readonly commits: Array<{ readonly checkpoint: Journal.Checkpoint; readonly rows: number }>
  readonly journal: Journal.Journal
  /** A table in the same transaction as the journal. */
  readonly table: Sink.Sink<A, never, never, "exactly-once">
  /** A file that is appended to: what is written stays, and is cut back to what the journal knows when it is opened. */
  readonly file: Sink.Sink<A, never, never, "effectively-once"> & { lines: Array<A> }
  /** Somewhere else: what is written stays. */
  readonly elsewhere: Sink.Sink<A, never, never, "at-least-once"> & { received: Array<A> }
}

export const make = <A>(): Store<A> => {
  let staged: Array<A> = []
  let marked: Array<number> = []
  const store: Store<A> = {
    rows: [],
    checkpoint: undefined,
    letters: [],
    commits: [],
    journal: {
      load: () => Effect.sync(() => Option.fromUndefinedOr(store.checkpoint)),
      reset: () => Effect.sync(() => void (store.checkpoint = undefined)),
      commit: (_, write) =>
        Effect.suspend(() => {
          staged = []
          marked = []
          return Effect.map(
            Effect.tap(write, () => Effect.yieldNow),
            ({ checkpoint, dead }) => {
              store.rows.push(...staged)
              store.checkpoint = checkpoint
              store.letters = [
                ...store.letters.map((letter) => ({
                  ...letter,
                  replayed: letter.replayed || marked.includes(letter.id)
                })),
                ...dead.map((letter, i) => ({ ...letter, id: store.letters.length + i + 1, replayed: false }))
              ]
              store.commits.push({ checkpoint, rows: store.rows.length })
            }
          )
        }),
      dead: () => Effect.sync(() => store.letters.filter((letter) => !letter.replayed)),
      markReplayed: (_, ids) => Effect.sync(() => void marked.push(...ids))
    },
    table: {
      name: "table",
      guarantee: "exactly-once",
      journal: Effect.sync(() => Option.some(store.journal)),
      open: () =>
        Effect.succeed({
          write: (elements) =>
            Effect.andThen(
              Effect.yieldNow,
              Effect.sync((): Schema.Json => (staged.push(...elements), null))
            )
        })
    },
    file: {
      name: "file",
      guarantee: "effectively-once",
      journal: Effect.succeed(Option.none()),
      lines: [],
      open: (committed) =>
        Effect.sync(() => {
          store.file.lines.length = Option.getOrElse(committed, () => store.file.lines.length) as number
          return {
            write: (elements) =>
              Effect.andThen(
                Effect.yieldNow,
                Effect.sync((): Schema.Json => store.file.lines.push(...elements))
              )
          }
        })
    },
    elsewhere: {
      name: "elsewhere",
      guarantee: "at-least-once",
      journal: Effect.succeed(Option.none()),
      received: [],
      open: () =>
        Effect.succeed({
          write: (elements) => Effect.sync((): Schema.Json => (store.elsewhere.received.push(...elements), null))
        })
    }
  }
  return store
}
