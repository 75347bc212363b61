/** The lease of a pipeline, in its row: taken by one run at a time, and each commit is fenced by it (P10, P13). */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import { isSqlError } from "effect/sql/SqlError"
import type { SqlError } from "effect/sql/SqlError"
import { Host } from "../../../pipeline/context/Host.ts"
import { InCommit } from "../../../pipeline/context/InCommit.ts"
import { AlreadyRunning, JournalError, LeaseLost } from "../../../pipeline/Journal.ts"
import type { Commit, Journal, JournalKey, Lease } from "../../../pipeline/Journal.ts"
import { checkpointOf, encodeCheckpoint, format, type Row } from "./JournalRows.ts"
import { errorOf, type JournalStore, type Wrong } from "./JournalStore.ts"

interface Options {
  readonly durable: boolean
  readonly host: Host | undefined
}

/** A lease that was taken, as its row says. */
interface Taken {
  readonly id: string
  readonly epoch: number
  readonly revision: number
  readonly clean: boolean
  readonly host: Host
}

export const leases =
  (store: JournalStore, options: Options): Journal["lease"] =>
  (key, { duration, isFenced = true }) => {
    const { dialect, ready, sql, where } = store
    return Effect.acquireRelease(
      Effect.mapError(Effect.andThen(ready, take(store, options, key, duration, isFenced)), (error) =>
        error instanceof AlreadyRunning ? error : errorOf(key.pipeline)("take its lease")(error)
      ),
      ({ epoch }) =>
        Effect.ignore(
          dialect.soon(sql`UPDATE skein_run SET holder = NULL, expires = 0 WHERE ${where(key)} AND epoch = ${epoch}`)
        )
    ).pipe(Effect.flatMap((taken) => held(store, options, key, duration, taken)))
  }

const take = (
  { dialect, insert, row, settledRow, sql, where }: JournalStore,
  { host: given }: Options,
  key: JournalKey,
  duration: Duration.Duration,
  isFenced: boolean
): Effect.Effect<Taken, AlreadyRunning | Wrong> =>
  Effect.gen(function* () {
    const host = given ?? (yield* Host)
    const isDead = ({ holder }: Row) => holder !== null && host.runs(holder) === false
    /** Fails where somebody has it. */
    const free = (row: Row): Effect.Effect<void, AlreadyRunning | Wrong> => {
      if (row.format > format) return Effect.asVoid(checkpointOf(row))
      const { expires, holder, label, now, since } = row
      return holder === null || now >= expires || isDead(row)
        ? Effect.void
        : new AlreadyRunning({ pipeline: key.pipeline, holder: label, since, until: expires })
    }
    // Whoever has it may be in the middle of a long commit, which need not be waited for to be told.
    const first = yield* row(key)
    if (first !== undefined) yield* free(first)

    let wanted: Taken | undefined
    const taking = Effect.gen(function* () {
      yield* insert(key, null)
      const last = (yield* row(key, dialect.toTake))!
      yield* free(last)
      // Drawn, so that whoever finds it in the row knows that it is its own.
      const epoch = last.epoch + (yield* Random.nextIntBetween(1, 2 ** 20))
      const now = yield* dialect.now
      yield* sql`UPDATE skein_run SET epoch = ${epoch}, holder = ${host.id}, label = ${host.label}, since = ${now},
        expires = ${now} + ${millis(duration)} WHERE ${where(key)}`
      wanted = { id: last.id, epoch, revision: last.revision, clean: last.clean !== 0, host }
      return wanted
    })
    const check = Effect.flatMap(row(key), (seen) =>
      seen === undefined ? Effect.succeed(null) : Effect.as(free(seen), isDead(seen) ? seen.holder : null)
    )
    return yield* Effect.catchIf(
      dialect.taking(taking, { where: where(key), duration, isFenced, check }),
      (error): error is SqlError => isSqlError(error) && wanted !== undefined,
      // The reply to a COMMIT may be lost, and the commit not (P13): then the row says who has taken it.
      (error) =>
        Effect.flatMap(
          Effect.mapError(settledRow(key), () => error),
          (row) => (row?.epoch === wanted?.epoch ? Effect.succeed(wanted!) : Effect.fail(error))
        )
    )
  })

const held = (
  store: JournalStore,
  { durable }: Options,
  key: JournalKey,
  duration: Duration.Duration,
  { clean, epoch, host, id, revision: first }: Taken
): Effect.Effect<Lease> =>
  Effect.map(Clock.currentTimeMillis, (takenAt): Lease => {
    const { dialect, letters, row, settledRow, sql, where } = store
    const { pipeline } = key
    const failed = errorOf(pipeline)
    const mine = sql`${where(key)} AND epoch = ${epoch}`
    let revision = first
    /** Whether it is not known what became of the last commit. */
    let isInDoubt = false
    /** Whether the commit that is open fails where somebody else writes to the row. */
    let isIsolated = false
    let isLeft = false
    /** By the clock of this machine. */
    let until = takenAt + millis(duration)
    const renewed = Effect.map(Clock.currentTimeMillis, (now) => void (until = now + millis(duration)))

    const lostTo = (found: Row | undefined): LeaseLost | undefined =>
      found === undefined
        ? new LeaseLost({ pipeline, holder: "somebody who deleted its row from the journal" })
        : found.epoch === epoch
          ? undefined
          : new LeaseLost({ pipeline, holder: found.label === host.label ? "another run" : found.label })
    /** Fails with who has it now, where it is not this run. */
    const kept = <E>(updated: Effect.Effect<ReadonlyArray<unknown>, E>, otherwise: string) =>
      Effect.flatMap(updated, (rows) =>
        rows.length > 0 ? Effect.void : Effect.flatMap(row(key), (found) => Effect.fail(lostTo(found) ?? otherwise))
      )
    const stranger = "its row was changed by hand, or by a commit that this run knows nothing of. Run again"

    const explained = (tried: string) => (error: LeaseLost | JournalError | Wrong) =>
      error instanceof LeaseLost ? error : failed(tried)(error)
    /** The error of the caller's own, or what it means here. */
    const unwrapped =
      (tried: string) =>
      <E>(error: WriteFailed<E> | LeaseLost | JournalError | Wrong) =>
        error instanceof WriteFailed ? error.error : explained(tried)(error)

    const extended = Effect.map(dialect.now, (now) => sql`${now} + ${millis(duration)}`)

    // First of all (P10): whoever would take the lease has to wait until this transaction ends, so that what a sink without
    // transactions writes meanwhile is fenced as well.
    const fence = Effect.tap(
      sql`SELECT epoch, ${dialect.isolated} AS isolated FROM skein_run WHERE ${mine} ${dialect.toHold}`,
      ([found]) => Effect.sync(() => void (isIsolated = found?.["isolated"] === true))
    ).pipe((found) => kept(found, stranger))

    const save = Effect.fnUntraced(function* ({ checkpoint, dead, replayed, restart, seen, untold = false }: Commit) {
      yield* kept(
        sql`UPDATE skein_run SET revision = ${revision + 1}, expires = ${yield* extended}, format = ${format},
          checkpoint = ${encodeCheckpoint(checkpoint)} WHERE ${mine} AND revision = ${revision} RETURNING epoch`,
        stranger
      )
      if (restart) yield* Effect.andThen(letters.forget(key), store.seen.forget(key))
      yield* letters.markReplayed(key, replayed)
      yield* letters.bury(key, dead, untold)
      yield* store.seen.add(key, seen)
    })

    /** A change of nothing but the letters. */
    const change = <A, E, R>(work: Effect.Effect<A, E, R>) =>
      Effect.andThen(
        Effect.flatMap(extended, (until) =>
          kept(
            sql`UPDATE skein_run SET revision = ${revision + 1}, expires = ${until} WHERE ${mine} AND revision = ${revision}
              RETURNING epoch`,
            stranger
          )
        ),
        work
      )

    /** The reply to a COMMIT may be lost, and the commit not (P13). */
    const decide = (error: SqlError) =>
      Effect.flatMap(
        Effect.mapError(Effect.retry(settledRow(key), again), () => error),
        (found): Effect.Effect<void, LeaseLost | JournalError> => {
          const lost = lostTo(found)
          if (lost !== undefined) return Effect.fail(lost)
          if (found?.revision === revision + 1) return Effect.void
          isInDoubt = false
          return Effect.fail(
            new JournalError({ pipeline, tried: "commit", reason: error.message, mayPass: error.isRetryable })
          )
        }
      )

    /** A write may have failed because its session was ended by the one who has the lease now. */
    const whyFailed = <E>(error: WriteFailed<E>) =>
      Effect.flatMap(Clock.currentTimeMillis, (now): Effect.Effect<never, WriteFailed<E> | LeaseLost> => {
        isInDoubt = false
        if (now < until) return Effect.fail(error)
        return Effect.flatMap(
          Effect.orElseSucceed(row(key), (): Row | "unknown" => "unknown"),
          (found) => Effect.fail((found === "unknown" ? undefined : lostTo(found)) ?? error)
        )
      })

    /** One transaction that is fenced, and sets the revision anew; what it gave, also where the reply to its COMMIT was lost. */
    const transacted = <A, E, R>(
      tried: string,
      work: Effect.Effect<A, WriteFailed<E> | LeaseLost | Wrong, R>
    ): Effect.Effect<A, E | JournalError | LeaseLost, R> => {
      let made: A | undefined
      const transaction = Effect.provideService(
        sql.withTransaction(
          Effect.andThen(
            fence,
            Effect.map(work, (value) => void (made = value))
          )
        ),
        InCommit,
        true
      )
      return Effect.suspend(() => {
        isInDoubt = true
        return transaction
      }).pipe(
        Effect.ensuring(Effect.sync(() => void (isIsolated = false))),
        Effect.catchIf((error): error is SqlError => isSqlError(error), decide),
        Effect.catchIf((error): error is WriteFailed<E> => error instanceof WriteFailed, whyFailed),
        Effect.andThen(renewed),
        Effect.map(() => {
          revision += 1
          isInDoubt = false
          return made as A
        }),
        Effect.mapError(unwrapped(tried))
      )
    }

    const commit: Lease["commit"] = (write) =>
      // The writer's error may be an SqlError itself, and is the caller's to see.
      transacted(
        "commit",
        Effect.flatMap(
          Effect.mapError(write, (error) => new WriteFailed(error)),
          save
        )
      )

    const renewOnce = Effect.flatMap(extended, (until) =>
      Effect.andThen(
        kept(sql`UPDATE skein_run SET expires = ${until} WHERE ${mine} RETURNING epoch`, stranger),
        renewed
      )
    )
    /** A connection that broke does not end the run: the lease goes on for a while. */
    const renew: Effect.Effect<void, Wrong | LeaseLost> = Effect.suspend(() => {
      // Its commit renews it too.
      if (isIsolated) return Effect.void
      return Effect.catchIf(
        renewOnce,
        (error): error is SqlError => isSqlError(error) && error.isRetryable,
        (error) =>
          Effect.flatMap(Clock.currentTimeMillis, (now) =>
            now >= until ? Effect.fail(error) : Effect.andThen(Effect.sleep("1 second"), renew)
          )
      )
    })

    const guard: Lease["guard"] = <A, E, R>(
      work: Effect.Effect<A, E, R>
    ): Effect.Effect<A, E | JournalError | LeaseLost, R> => {
      // At its end, as that locks the row against renewals.
      const opened = Effect.flatMap(extended, (until) =>
        kept(sql`UPDATE skein_run SET clean = 0, expires = ${until} WHERE ${mine} RETURNING epoch`, stranger)
      )
      const worked = Effect.suspend(() => {
        isLeft = false
        return Effect.mapError(work, (error) => new WriteFailed(error))
      })
      const transaction = dialect.transaction(
        Effect.andThen(
          fence,
          Effect.tap(worked, () => (isLeft ? Effect.void : opened))
        )
      )
      const renewing = Effect.forever(
        Effect.andThen(Effect.sleep(Duration.divideUnsafe(duration, 3)), Effect.ignore(renew))
      )
      return Effect.flatMap(Effect.serviceOption(sql.transactionService), (outer) =>
        dialect.isShared && Option.isNone(outer)
          ? Effect.acquireUseRelease(Effect.forkChild(renewing), () => transaction, Fiber.interrupt)
          : transaction
      ).pipe(Effect.mapError(unwrapped("hold its lease")))
    }

    return {
      id,
      host,
      durable,
      clean,
      renewEvery: Option.some(Duration.divideUnsafe(duration, 3)),
      renew: Effect.mapError(renew, explained("renew its lease")),
      load: Effect.suspend(() => (isInDoubt ? settledRow(key) : row(key))).pipe(
        Effect.flatMap((found): Effect.Effect<Row, LeaseLost> => {
          const lost = lostTo(found)
          return lost === undefined ? Effect.succeed(found!) : Effect.fail(lost)
        }),
        Effect.tap((found) =>
          Effect.sync(() => {
            revision = found.revision
            isInDoubt = false
          })
        ),
        Effect.flatMap(checkpointOf),
        Effect.mapError(explained("read the checkpoint"))
      ),
      seen: (step, keys) =>
        Effect.mapError(store.seen.among(key, step, keys), failed(`look for keys of step "${step}"`)),
      guard,
      commit,
      purge: (filter) => transacted("take out dead letters", change(letters.purge(key, filter))),
      adopt: (brought) =>
        transacted(
          "keep dead letters",
          change(
            letters.adopt(
              key,
              Stream.mapError(brought, (error) => new WriteFailed(error))
            )
          )
        ),
      told: (ids) => transacted("keep who was told", change(letters.markTold(key, ids))),
      leaveClean: Effect.suspend(() => {
        isLeft = true
        return Effect.ignore(dialect.soon(sql`UPDATE skein_run SET clean = 1 WHERE ${mine}`))
      })
    }
  })

class WriteFailed<E> {
  readonly error: E
  constructor(error: E) {
    this.error = error
  }
}

/** For as long as it takes a server to start again, some half a minute: as long as the row cannot be read, the run cannot go on. */
const again = {
  while: (error: Wrong) => isSqlError(error) && error.isRetryable,
  times: 20,
  schedule: Schedule.min([Schedule.exponential("50 millis"), Schedule.spaced("2 seconds")])
}

/** Whole ones, as the column holds. */
const millis = (duration: Duration.Duration): number => Math.ceil(Duration.toMillis(duration))
