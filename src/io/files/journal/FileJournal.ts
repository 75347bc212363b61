/** The journal in a file: checkpoints and dead letters as lines of JSON, for one process at a time. */
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import type * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { newcomers, select } from "../../../pipeline/context/Letter.ts"
import { Host, newId } from "../../../pipeline/context/Host.ts"
import { SeenKeys } from "../../../pipeline/context/SeenKeys.ts"
import {
  AlreadyRunning,
  type Checkpoint,
  type Journal,
  JournalError,
  type JournalKey,
  type Lease,
  LeaseLost,
  type Seen
} from "../../../pipeline/Journal.ts"
import { decodeCheckpoint } from "../../journal/CheckpointText.ts"
import type { FilesError } from "../../FilesError.ts"
import { places, realPath } from "../FilePlace.ts"
import { JournalFile, Lost, read, type Wrong } from "./JournalFile.ts"
import { Taken } from "./JournalLock.ts"
import { type Known, textOf, unknown } from "./JournalRecord.ts"

/** The journal in a file, which need not be there yet. Its leases are held by `host`, or by the `Host` of whoever takes one. */
export const make = (name: string, host?: Host): Effect.Effect<Journal, FilesError, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const path = yield* realPath(name)
    const known = (key: JournalKey): Effect.Effect<Known, Wrong> =>
      Effect.map(read(fs, path), (content) => content.known.get(textOf(key)) ?? unknown)
    const hostOf = host === undefined ? Effect.service(Host) : Effect.succeed(host)
    return {
      places: yield* places(path),
      lease: (key, { duration }) =>
        Effect.flatMap(hostOf, (host) =>
          Effect.mapError(leased(fileOf(fs, path, host), key, host, duration), refused(path, key, "take its lease"))
        ),
      load: (key) =>
        Effect.mapError(Effect.flatMap(known(key), checkpointOf), explained(path, key, "read the checkpoint")),
      dead: (key, filter) =>
        Effect.map(Effect.mapError(known(key), explained(path, key, "read the dead letters")), ({ letters }) =>
          select(letters, filter)
        ),
      seen: (key, step, keys) =>
        Effect.map(
          Effect.mapError(known(key), explained(path, key, `look for keys of step "${step}"`)),
          ({ seen }) => seen?.among(step, keys) ?? new Set()
        ),
      bury: (key, dead) =>
        Effect.flatMap(hostOf, (host) => {
          const file = fileOf(fs, path, host)
          return Effect.scoped(Effect.andThen(file.using(key, host, brief), file.add(key, { dead }))).pipe(
            Effect.mapError((error) => {
              const reason = error instanceof Taken ? inUse(error) : error instanceof Lost ? gone : error
              return explained(path, key, "keep dead letters")(reason)
            })
          )
        })
    }
  })

/** How long a file may be in use that nobody can look after, where only a line is added. */
const brief = 15_000

/** The same for all of a process that use it. */
const files = new WeakMap<FileSystem.FileSystem, Map<string, JournalFile>>()

const fileOf = (fs: FileSystem.FileSystem, path: string, { id }: Host): JournalFile => {
  const ofSystem = files.get(fs) ?? new Map<string, JournalFile>()
  files.set(fs, ofSystem)
  const name = JSON.stringify([path, id])
  const file = ofSystem.get(name) ?? new JournalFile(fs, path)
  ofSystem.set(name, file)
  return file
}

/** A lease that is refused leaves nothing. */
const leased = (...lease: Parameters<typeof taken>): ReturnType<typeof taken> =>
  Effect.gen(function* () {
    const scope = yield* Scope.fork(yield* Effect.scope)
    return yield* Effect.onError(Scope.provide(taken(...lease), scope), (cause) =>
      Scope.close(scope, Exit.failCause(cause))
    )
  })

const taken = (
  file: JournalFile,
  key: JournalKey,
  host: Host,
  duration: Duration.Duration
): Effect.Effect<Lease, Wrong | Taken | AlreadyRunning | Lost, Scope.Scope> =>
  Effect.gen(function* () {
    const { pipeline } = key
    const name = textOf(key)
    const millis = Math.ceil(Duration.toMillis(duration))
    const since = yield* Clock.currentTimeMillis
    yield* Effect.acquireRelease(
      Effect.suspend(() => {
        const other = file.runs.get(name)
        if (other !== undefined) {
          return Effect.fail(new AlreadyRunning({ pipeline, holder: "this process", since: other.since, until: since }))
        }
        file.runs.set(name, { since })
        return Effect.void
      }),
      () => Effect.sync(() => void file.runs.delete(name))
    )
    yield* file.using(key, host, millis)
    const found = file.known(key)
    const id = found.id === "" ? yield* newId : found.id
    // It stands in what is beside the sinks, and must be found again.
    if (found.id === "") yield* file.add(key, { id })
    return leaseOf(file, key, host, { id, clean: found.clean, millis })
  })

const leaseOf = (
  file: JournalFile,
  key: JournalKey,
  host: Host,
  { clean, id, millis }: { readonly id: string; readonly clean: boolean; readonly millis: number }
): Lease => {
  const { pipeline } = key
  const failed = <A, E, R>(tried: string, effect: Effect.Effect<A, E | Wrong | Lost, R>) =>
    Effect.mapError(effect, (error) =>
      error instanceof Lost
        ? new LeaseLost({ pipeline, holder: holderOf(error, host) })
        : explained(file.path, key, tried)(error as Wrong)
    )
  const kept = failed("hold its lease", file.kept)
  return {
    id,
    host,
    durable: true,
    clean,
    renewEvery: Option.some(Duration.millis(millis / 3)),
    renew: failed("renew its lease", file.renew(millis)),
    load: failed(
      "read the checkpoint",
      Effect.andThen(
        Effect.andThen(file.kept, file.settled),
        Effect.suspend(() => checkpointOf(file.known(key)))
      )
    ),
    seen: (step, keys) => Effect.sync(() => file.known(key).seen?.among(step, keys) ?? new Set()),
    guard: (work) =>
      Effect.gen(function* () {
        yield* kept
        const wasClean = file.known(key).clean
        if (wasClean) yield* failed("hold its lease", file.add(key, { clean: false }))
        return yield* Effect.onError(work, () =>
          wasClean ? Effect.ignore(file.add(key, { clean: true })) : Effect.void
        )
      }),
    commit: (write) =>
      Effect.gen(function* () {
        yield* kept
        const { checkpoint, dead, replayed, restart, seen, untold } = yield* write
        yield* failed(
          "commit",
          file.add(key, {
            checkpoint,
            ...(restart && { restart }),
            ...(replayed.length > 0 && { replayed }),
            ...(dead.length > 0 && { dead, ...(untold === true && { untold }) }),
            ...(seen.length > 0 && { seen: byStep(seen) })
          })
        )
      }),
    purge: (filter) =>
      failed(
        "take out dead letters",
        Effect.suspend(() => {
          const purged = select(file.known(key).letters, filter).map(({ id }) => id)
          return purged.length === 0 ? Effect.succeed(0) : Effect.as(file.add(key, { purged }), purged.length)
        })
      ),
    adopt: (letters) =>
      Effect.flatMap(Stream.runCollect(letters), (brought) =>
        failed(
          "keep dead letters",
          Effect.suspend(() => {
            const dead = newcomers(file.known(key).letters, brought)
            const adopted = { added: dead.length, known: brought.length - dead.length }
            return dead.length === 0 ? Effect.succeed(adopted) : Effect.as(file.add(key, { dead }), adopted)
          })
        )
      ),
    told: (told) => failed("keep who was told", file.add(key, { told })),
    leaveClean: Effect.ignore(
      Effect.suspend(() => (file.known(key).clean ? Effect.void : file.add(key, { clean: true })))
    )
  }
}

const byStep = (seen: ReadonlyArray<Seen>): { [step: string]: ReadonlyArray<string> } => {
  const keys = new SeenKeys()
  for (const { key, step } of seen) keys.add(step, [key])
  return keys.all
}

const gone = "somebody has taken it, or deleted it or its lock"

const holderOf = ({ to }: Lost, host: Host): string =>
  Option.match(to, {
    onNone: () => "somebody who deleted its journal, or the lock of that",
    onSome: ({ label }) => (label === host.label ? "another run" : label)
  })

const inUse = ({ holder, until }: Taken): string => {
  const [pipeline] = JSON.parse(holder.key) as [string]
  return (
    `${holder.label} uses it for pipeline "${pipeline}", and one process at a time can. Wait for its end, or give this run ` +
    `another one, as by \`Files.journal\`, or that of a database. If that one is gone, its lease ends at ${DateTime.formatIso(DateTime.makeUnsafe(until))}`
  )
}

const refused =
  (path: string, key: JournalKey, tried: string) =>
  (error: Wrong | Taken | AlreadyRunning | Lost): AlreadyRunning | JournalError => {
    if (error instanceof AlreadyRunning) return error
    if (error instanceof Lost) return explained(path, key, tried)(gone)
    if (!(error instanceof Taken)) return explained(path, key, tried)(error)
    const { holder, until } = error
    if (holder.key !== textOf(key)) return explained(path, key, tried)(inUse(error))
    return new AlreadyRunning({ pipeline: key.pipeline, holder: holder.label, since: holder.since, until })
  }

const explained =
  (path: string, { pipeline }: JournalKey, tried: string) =>
  (error: Wrong | Schema.SchemaError): JournalError => {
    const reason = typeof error === "string" ? `${JSON.stringify(path)}: ${error}` : error.message
    return new JournalError({ pipeline, tried, reason })
  }

const checkpointOf = ({ checkpoint }: Known): Effect.Effect<Option.Option<Checkpoint>, Schema.SchemaError> =>
  checkpoint === undefined ? Effect.succeedNone : Effect.asSome(decodeCheckpoint(JSON.stringify(checkpoint)))
