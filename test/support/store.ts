/** A database in memory with real transactions: what a commit wrote is there when it succeeded, and none of it otherwise. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { Journal, Sink } from "skein"
import { changed, type HeldLetter, type LetterChange, newcomers, select } from "../../src/pipeline/context/Letter.ts"

export interface Store<A> {
  rows: Array<A>
  checkpoint: Journal.Checkpoint | undefined
  letters: ReadonlyArray<HeldLetter>
  /** Step and key. */
  seen: Array<string>
  /** Whether each transaction is rolled back once and runs again, as databases do that cannot serialize it. */
  twice: boolean
  /** Every watermark and how many rows were there with it, in the order of the commits. */
  readonly commits: Array<{ readonly checkpoint: Journal.Checkpoint; readonly rows: number }>
  readonly journal: Journal.Journal
  /** A table in the same transaction as the journal. */
  readonly table: Sink.Sink<A, never, never, "exactly-once">
  /** A file that is appended to: what is written stays, and is cut back to what the journal knows when it is opened. */
  readonly file: Sink.Sink<A, never, never, "effectively-once"> & { lines: Array<A> }
  /** Somewhere else: what is written stays. */
  readonly elsewhere: Sink.Sink<A, never, never, "at-least-once"> & { received: Array<A> }
  /** Ends the lease of a run that was killed. */
  readonly free: () => void
}

/** Its journal, to an effect. */
export const given = <A>(store: Store<A>) => Effect.provideService(Journal.Journal, store.journal)

export const make = <A>(): Store<A> => {
  let staged: Array<A> = []
  let epoch = 0
  let held = false
  let clean = true
  const lines: Array<A> = []
  const received: Array<A> = []
  const cut = (since: Option.Option<Schema.Json>) => {
    lines.length = Option.getOrElse(since, () => lines.length) as number
  }
  const change = (letters: LetterChange) => {
    const next = 1 + Math.max(0, ...store.letters.map(({ id }) => id))
    store.letters = changed({ letters: store.letters, next }, letters).letters
  }
  const load = Effect.sync(() => Option.fromUndefinedOr(store.checkpoint))
  const among = (step: string, keys: ReadonlyArray<string>) =>
    Effect.andThen(
      Effect.yieldNow,
      Effect.sync(() => new Set(keys.filter((key) => store.seen.includes(`${step} ${key}`))))
    )
  const store: Store<A> = {
    rows: [],
    checkpoint: undefined,
    letters: [],
    seen: [],
    twice: false,
    commits: [],
    free: () => void (held = false),
    journal: {
      places: [],
      load: () => load,
      dead: (_, filter) => Effect.sync(() => select(store.letters, filter)),
      seen: (_, step, keys) => among(step, keys),
      bury: () => Effect.die("not here"),
      lease: ({ pipeline }) =>
        Effect.acquireRelease(
          Effect.suspend(() => {
            if (held) {
              return Effect.fail(new Journal.AlreadyRunning({ pipeline, holder: "this test", since: 0, until: 0 }))
            }
            held = true
            epoch += 1
            const wasClean = clean
            return Effect.succeed({ mine: epoch, wasClean })
          }),
          ({ mine }) => Effect.sync(() => void (held = mine === epoch ? false : held))
        ).pipe(
          Effect.map(({ mine, wasClean }): Journal.Lease => {
            const fence = Effect.suspend(() =>
              mine === epoch ? Effect.void : Effect.fail(new Journal.LeaseLost({ pipeline, holder: "another run" }))
            )
            return {
              id: "store",
              host: { id: "store", label: "this test", runs: () => true },
              durable: true,
              clean: wasClean,
              renewEvery: Option.none(),
              renew: fence,
              load,
              seen: among,
              guard: (work) =>
                Effect.andThen(
                  Effect.map(fence, () => void (clean = false)),
                  work
                ),
              purge: (filter) =>
                Effect.map(fence, () => {
                  const purged = select(store.letters, filter).map(({ id }) => id)
                  change({ purged })
                  return purged.length
                }),
              adopt: (letters) =>
                Effect.flatMap(Stream.runCollect(letters), (brought) =>
                  Effect.map(fence, () => {
                    const dead = newcomers(store.letters, brought)
                    change({ dead })
                    return { added: dead.length, known: brought.length - dead.length }
                  })
                ),
              told: (told) => Effect.map(fence, () => change({ told })),
              leaveClean: Effect.sync(() => void (clean = true)),
              commit: (write) =>
                Effect.suspend(() => {
                  const attempt = Effect.suspend(() => {
                    staged = []
                    return Effect.tap(Effect.andThen(fence, write), () => Effect.yieldNow)
                  })
                  return Effect.map(
                    store.twice ? Effect.andThen(attempt, attempt) : attempt,
                    ({ checkpoint, seen, ...letters }) => {
                      store.rows.push(...staged)
                      store.checkpoint = checkpoint
                      change(letters)
                      store.seen = [
                        ...(letters.restart ? [] : store.seen),
                        ...seen.map(({ key, step }) => `${step} ${key}`)
                      ]
                      store.commits.push({ checkpoint, rows: store.rows.length })
                    }
                  )
                })
            }
          })
        )
    },
    table: Sink.make({
      name: "table",
      guarantee: "exactly-once",
      journal: Effect.sync(() => Option.some(store.journal)),
      open: () =>
        Effect.succeed({
          write: (elements: ReadonlyArray<A>) =>
            Effect.andThen(
              Effect.yieldNow,
              Effect.sync((): Schema.Json => (staged.push(...elements), null))
            )
        })
    }),
    file: {
      ...Sink.make({
        name: "file",
        guarantee: "effectively-once",
        open: ({ committed }) =>
          Effect.sync(() => {
            cut(committed)
            return {
              write: (elements: ReadonlyArray<A>, since) =>
                Effect.andThen(
                  Effect.yieldNow,
                  Effect.sync((): Schema.Json => {
                    cut(since)
                    return lines.push(...elements)
                  })
                ),
              close: (committed) => Effect.sync(() => cut(committed))
            }
          })
      }),
      lines
    },
    elsewhere: {
      ...Sink.make({
        name: "elsewhere",
        guarantee: "at-least-once",
        open: () =>
          Effect.succeed({
            write: (elements: ReadonlyArray<A>) => Effect.sync((): Schema.Json => (received.push(...elements), null))
          })
      }),
      received
    }
  }
  return store
}
