/**
 * The journal in a database: checkpoints, leases and dead letters are rows beside the rows of the sink, so that one
 * transaction keeps all of them or none.
 */
import * as Effect from "effect/Effect"
import type { Host } from "../../../pipeline/context/Host.ts"
import type { Journal } from "../../../pipeline/Journal.ts"
import type { Db } from "../Contract.ts"
import * as JournalFrontier from "./JournalFrontier.ts"
import { leases } from "./JournalLease.ts"
import * as JournalStore from "./JournalStore.ts"

/**
 * The journal in a database, in the tables `skein_run` and `skein_dead`, which are created by the first run, and `skein_seen`, by
 * the first that keeps keys; what version 0.1 kept in `skein_checkpoint` is taken over. Its leases are held by `host`, or by the
 * `Host` of whoever takes one. A commit is one transaction, or a savepoint where one is open already, and is fenced by its lease:
 * once another run has taken that, nothing is written through it.
 *
 * @example
 * ```ts
 * import { Effect, Option } from "effect"
 * import { Db, Journal } from "skein"
 * import { Drivers } from "skein/node"
 *
 * // The journal that `Db.sqlite` brings along is one of these.
 * const fresh = Effect.flatMap(Journal.Journal, (journal) => journal.load(Journal.keyOf("repos"))).pipe(
 *   Effect.map(Option.isNone),
 *   Effect.provide(Db.sqlite(":memory:")),
 *   Effect.provide(Drivers.layer)
 * )
 *
 * await Effect.runPromise(fresh) // => true
 * ```
 */
export const make = (db: Omit<Db, "journal">, host?: Host): Journal => {
  const { dialect, durable, places } = db
  const sql = db.sql.withoutTransforms()
  const own = dialect.journal(sql)
  const store = JournalStore.make(sql, own)
  const failed = (pipeline: string, tried: string) => JournalStore.errorOf(pipeline)(tried)
  return {
    places,
    lease: leases(store, { durable, host }),
    load: (key) => Effect.mapError(store.load(key), failed(key.pipeline, "read the checkpoint")),
    dead: (key, filter) =>
      Effect.mapError(store.letters.dead(key, filter), failed(key.pipeline, "read the dead letters")),
    seen: (key, step, keys) =>
      Effect.mapError(store.seen.among(key, step, keys), failed(key.pipeline, `look for keys of step "${step}"`)),
    bury: (key, letters) =>
      Effect.mapError(
        Effect.andThen(store.ready, sql.withTransaction(store.letters.bury(key, letters, false))),
        failed(key.pipeline, "keep dead letters")
      ),
    frontier: JournalFrontier.make(sql, own, host)
  }
}
