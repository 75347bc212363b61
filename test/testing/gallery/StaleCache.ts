/** A reader loads a row, the row is changed and the cache cleared, and then the reader puts the old row into the cache. */
import * as Effect from "effect/Effect"

/** A row of a database, what the cache has of it, and how often it was changed. */
interface Site {
  row: string
  cached: string | undefined
  changes: number
}

const site = (read: (site: Site) => Effect.Effect<void>) =>
  Effect.gen(function* () {
    const site: Site = { row: "old", cached: undefined, changes: 0 }
    const reader = read(site).pipe(Effect.withSpan("reader"))
    const writer = Effect.gen(function* () {
      yield* Effect.sync(() => (site.row = "new"))
      yield* Effect.sync(() => Object.assign(site, { cached: undefined, changes: site.changes + 1 }))
    }).pipe(Effect.withSpan("writer"))
    yield* Effect.all([reader, writer], { concurrency: 2 })
    if (site.cached === "old") return yield* Effect.fail("the cache says what the database no longer does")
  })

export const broken = site((site) =>
  Effect.gen(function* () {
    const row = yield* Effect.sync(() => site.row)
    yield* Effect.sync(() => (site.cached = row))
  })
)

/** Keeps what it has loaded only if nothing was changed meanwhile. */
export const fixed = site((site) =>
  Effect.gen(function* () {
    const { changes, row } = yield* Effect.sync(() => ({ ...site }))
    yield* Effect.sync(() => site.changes === changes && (site.cached = row))
  })
)
