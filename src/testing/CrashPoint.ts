/**
 * The points of a program at which its process may end, and a run for each of them. A step that makes something durable is
 * where programs that are killed differ: what was done before it counts, and what was to come after it is missing.
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import type * as Scope from "effect/Scope"
import * as SqlClient from "effect/sql/SqlClient"
import * as Statement from "effect/sql/Statement"
import { Driver } from "../io/Db.ts"
import { Host } from "../pipeline/context/Host.ts"
import { Choices } from "./Choices.ts"
import { CrashBug } from "./CrashPointError.ts"
import { around, type FileCall } from "./crash/FileCalls.ts"
import * as Process from "./crash/Process.ts"

export { CrashBug }

export interface CrashPoint {
  /** Called at each point; to end the process there, it does not come back. */
  readonly reached: (name: string) => Effect.Effect<void>
}

/**
 * Who is called at the points of a program; by default nobody. A real process ends for real with a `reached` that runs
 * `process.kill(process.pid, "SIGKILL")` at the name it was started with.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { CrashPoint } from "skein/testing"
 *
 * const ended: Array<string> = []
 * const program = Effect.andThen(CrashPoint.at("charged"), CrashPoint.at("shipped"))
 * const reached = (name: string) => (name === "charged" ? Effect.interrupt : Effect.sync(() => void ended.push(name)))
 *
 * await Effect.runPromiseExit(Effect.provideService(program, CrashPoint.CrashPoint, { reached }))
 * ended // => []
 * ```
 */
export const CrashPoint: Context.Reference<CrashPoint | undefined> = Context.Reference("skein/testing/CrashPoint", {
  defaultValue: (): CrashPoint | undefined => undefined
})

/**
 * A point of your own at which the process may end; without a `CrashPoint` to call it does nothing, and costs next to it.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { CrashPoint } from "skein/testing"
 *
 * const seen: Array<string> = []
 * const program = Effect.andThen(CrashPoint.at("charged"), CrashPoint.at("shipped"))
 * const reached = (name: string) => Effect.sync(() => void seen.push(name))
 *
 * await Effect.runPromise(Effect.provideService(program, CrashPoint.CrashPoint, { reached }))
 * seen // => ["charged", "shipped"]
 * ```
 */
export const at = (name: string): Effect.Effect<void> =>
  Effect.withFiber((fiber) => fiber.getRef(CrashPoint)?.reached(name) ?? Effect.void)

export interface Explore<W, E, R, R2, R3> {
  /** What outlives the process, new for each run: a `Disk`, say. */
  readonly make: Effect.Effect<W, E, R>
  /** What the process does, in a scope of its own. */
  readonly run: (world: W) => Effect.Effect<unknown, unknown, R2>
  /** What has to hold once it has ended, at a point or by itself: fails or throws where it does not. */
  readonly check: (world: W) => Effect.Effect<unknown, unknown, R3>
  /** How often each point has its turn, chance deciding anew what a crash keeps: 10 times by default, once in a simulation. */
  readonly seeds?: number | undefined
  /** Only this point, counted from 1, with this seed: to repeat a failure. */
  readonly only?: { readonly point: number; readonly seed?: number | undefined } | undefined
}

export interface Explored {
  /** The names of the points, in the order in which an undisturbed run reaches them. */
  readonly points: ReadonlyArray<string>
  /** How often `run` was run. */
  readonly runs: number
}

/**
 * Runs `run` undisturbed, then once for each point that it came to, ending it there as a kill of its process would: none of
 * its fibers does anything any more, finalizers included. After each run `check` has to succeed; it is a process of its own,
 * and takes over the leases of one that was ended. Inside of a simulation the order of fibers and what a crash keeps are explored and replayed with it: `Sim.explore(CrashPoint.everywhere(…))`. Fails
 * with a `CrashBug` that names the point.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import * as Layer from "effect/Layer"
 * import { Files } from "skein"
 * import { CrashPoint, Disk } from "skein/testing"
 *
 * const explored = CrashPoint.everywhere({
 *   make: Disk.make({ files: { "state.txt": "old" } }),
 *   run: (disk) =>
 *     Files.writeAtomic("state.txt", "new").pipe(Effect.provide(Layer.provide(CrashPoint.files, disk.layer))),
 *   check: (disk) =>
 *     Effect.gen(function* () {
 *       yield* disk.crash
 *       if (!["old", "new"].includes(disk.text("state.txt") ?? "")) return yield* Effect.die("neither old nor new")
 *     })
 * })
 *
 * const { points } = await Effect.runPromise(explored)
 * points.at(-1) // => "after sync /"
 * ```
 */
export const everywhere = <W, E, R, R2, R3>(
  explore: Explore<W, E, R, R2, R3>
): Effect.Effect<Explored, CrashBug | E, R | Exclude<R2, Scope.Scope> | R3> =>
  Effect.gen(function* () {
    const simulated = (yield* Choices) !== undefined
    const last = explore.only?.seed ?? (simulated ? 1 : (explore.seeds ?? 10))
    const first = explore.only?.seed ?? 1
    const points = yield* attempt(explore, 0, first, simulated)
    let runs = 1
    for (let seed = first; seed <= last; seed++) {
      for (let point = explore.only?.point ?? 1; point <= (explore.only?.point ?? points.length); point++) {
        yield* attempt(explore, point, seed, simulated)
        runs++
      }
    }
    return { points, runs }
  })

/** Ends the process at a point, counted from 1, or lets it end by itself, and checks; gives the points it came to. */
const attempt = <W, E, R, R2, R3>(
  { check, make, run }: Explore<W, E, R, R2, R3>,
  point: number,
  seed: number,
  simulated: boolean
): Effect.Effect<ReadonlyArray<string>, CrashBug | E, R | Exclude<R2, Scope.Scope> | R3> =>
  Effect.gen(function* () {
    const names: Array<string> = []
    const repeat = simulated ? "" : `\nRepeat it with \`only: { point: ${point}, seed: ${seed} }\``
    const failed = (what: string, cause: Cause.Cause<unknown>) =>
      new CrashBug({
        point,
        seed,
        what,
        repeat,
        at: names.at(-1) ?? "",
        reason: Cause.prettyErrors(cause)[0]?.message ?? "it was interrupted",
        cause: Cause.squash(cause)
      })

    const world = yield* make
    const process = yield* Process.make()
    const exit = yield* Process.run(process, Effect.scoped(run(world)), (end) =>
      Context.make(CrashPoint, {
        reached: (name) => Effect.suspend(() => (names.push(name) === point ? end : Effect.void))
      })
    )
    if (exit !== undefined && Exit.isFailure(exit)) return yield* failed("program", exit.cause)
    const checked = yield* Effect.exit(Process.within(yield* Process.make([process]), check(world)))
    if (Exit.isFailure(checked)) return yield* failed("check", checked.cause)
    return names
  }).pipe((attempt) => (simulated ? attempt : Random.withSeed(attempt, `${seed}.${point}`)))

/**
 * Acquires what the system takes back when a process ends, even by a kill: a connection, a lock, a socket. Under `everywhere`
 * it is released when the process is ended; elsewhere, and if nothing ends it, with its scope as ever.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { CrashPoint } from "skein/testing"
 *
 * const log: Array<string> = []
 * const note = (text: string) => Effect.sync(() => void log.push(text))
 * const lock = Effect.acquireRelease(note("locked"), () => note("unlocked"))
 *
 * const explored = CrashPoint.everywhere({
 *   make: note("started"),
 *   run: () => Effect.scoped(Effect.andThen(CrashPoint.released(lock), CrashPoint.at("half"))),
 *   check: () => Effect.void,
 *   only: { point: 1 }
 * })
 * await Effect.runPromise(explored)
 * log.slice(-3) // => ["started", "locked", "unlocked"]
 * ```
 */
export const released: <A, E, R>(
  acquire: Effect.Effect<A, E, R | Scope.Scope>
) => Effect.Effect<A, E, R | Scope.Scope> = Process.released

/**
 * Makes points of the steps by which any `FileSystem` changes what is there, open files, streams and sinks included: before
 * and after each write, truncation, sync, rename, removal, link, copy and new folder, under names such as
 * "before sync out.jsonl".
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import * as Layer from "effect/Layer"
 * import { Files } from "skein"
 * import { CrashPoint, Disk } from "skein/testing"
 *
 * const seen: Array<string> = []
 * const reached = (name: string) => Effect.sync(() => void seen.push(name))
 * const program = Files.writeAtomic("a.txt", "whole").pipe(
 *   Effect.provide(Layer.provide(CrashPoint.files, Disk.layer())),
 *   Effect.provideService(CrashPoint.CrashPoint, { reached })
 * )
 *
 * await Effect.runPromise(program)
 * seen.at(-1) // => "after sync /"
 * ```
 */
export const files: Layer.Layer<FileSystem.FileSystem, never, FileSystem.FileSystem> = Layer.fresh(
  Layer.effect(
    FileSystem.FileSystem,
    Effect.map(FileSystem.FileSystem, (fs) =>
      around(fs, {
        call: (call, perform) => (durable.has(call.method) ? step(fileStep(call), perform) : perform),
        write: (call, bytes, perform) => step(fileStep(call), perform(bytes)),
        sync: (call, perform) => step(fileStep(call), perform)
      })
    )
  )
)

const durable = new Set(["truncate", "rename", "remove", "link", "copy", "copyFile", "makeDirectory"])

const fileStep = ({ method, path, to }: FileCall): string =>
  [method, nameOf(path), ...(to === undefined ? [] : ["to", nameOf(to)])].join(" ")

/** The last part of a path; of the root, which has none, all of it. */
const nameOf = (path: string): string => path.split(/[/\\]/).at(-1) || path

const step = <A, E, R>(name: string, perform: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.andThen(at(`before ${name}`), Effect.tap(perform, at(`after ${name}`)))

/**
 * Makes points of what any `SqlClient` commits: before and after each COMMIT, and before each statement outside of a
 * transaction that is no SELECT. For `everywhere`, make the client under `released`: a kill ends its connections.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import * as Layer from "effect/Layer"
 * import * as SqlClient from "effect/sql/SqlClient"
 * import { Sqlite } from "skein/node"
 * import { CrashPoint } from "skein/testing"
 *
 * const database = Layer.effect(SqlClient.SqlClient, Effect.map(Sqlite.open(":memory:"), ({ sql }) => sql))
 * const seen: Array<string> = []
 * const program = Effect.gen(function* () {
 *   const sql = yield* SqlClient.SqlClient
 *   yield* sql.withTransaction(sql`CREATE TABLE t (n)`)
 *   yield* sql`INSERT INTO t VALUES (1)`
 * }).pipe(
 *   Effect.provide(Layer.provide(CrashPoint.sql, database)),
 *   Effect.provideService(CrashPoint.CrashPoint, { reached: (name) => Effect.sync(() => void seen.push(name)) })
 * )
 *
 * await Effect.runPromise(program)
 * seen // => ["before COMMIT", "after COMMIT", "before INSERT INTO t VALUES (1)"]
 * ```
 */
export const sql: Layer.Layer<SqlClient.SqlClient, never, SqlClient.SqlClient> = Layer.fresh(
  Layer.effectContext(
    Effect.gen(function* () {
      const client = yield* SqlClient.SqlClient
      const outer = yield* Statement.CurrentTransformer
      const transformer: Statement.Transformer = (statement, constructor, fiber, span) => {
        const [text] = statement.compile()
        const inside = Option.isSome(Context.getOption(fiber.context, client.transactionService))
        const point = inside || /^\s*select/i.test(text) ? Effect.void : at(`before ${text.trim()}`)
        return Effect.andThen(point, outer?.(statement, constructor, fiber, span) ?? Effect.succeed(statement))
      }
      return Context.make(SqlClient.SqlClient, watched(client)).pipe(
        Context.add(Statement.CurrentTransformer, transformer)
      )
    })
  )
)

/**
 * Makes points of what the databases that `Db.sqlite` and `Db.open` open commit: before and after each COMMIT. It stands
 * around the `Driver` that they need. When `everywhere` ends a process, its databases are closed, and the next process
 * finds out that the holder of its leases is gone.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import * as Layer from "effect/Layer"
 * import { Db } from "skein"
 * import { Drivers } from "skein/node"
 * import { CrashPoint } from "skein/testing"
 *
 * const seen: Array<string> = []
 * const program = Db.Db.use(({ sql }) => sql.withTransaction(sql`CREATE TABLE t (n)`)).pipe(
 *   Effect.provide(Db.sqlite(":memory:").pipe(Layer.provide(CrashPoint.db), Layer.provide(Drivers.layer))),
 *   Effect.provideService(CrashPoint.CrashPoint, { reached: (name) => Effect.sync(() => void seen.push(name)) })
 * )
 *
 * await Effect.runPromise(program)
 * seen // => ["before COMMIT", "after COMMIT"]
 * ```
 */
export const db: Layer.Layer<Driver, never, Driver> = Layer.fresh(
  Layer.effectContext(
    Effect.gen(function* () {
      const driver = yield* Driver
      return Context.make(Driver, {
        open: (url, options) =>
          Effect.map(released(driver.open(url, options)), (opened) => ({ ...opened, sql: watched(opened.sql) }))
      }).pipe(Context.add(Host, (yield* Process.Played) ?? (yield* Host)))
    })
  )
)

/** The client with points around the COMMIT of its outermost transactions. */
const watched = (client: SqlClient.SqlClient): SqlClient.SqlClient => {
  const withTransaction: SqlClient.SqlClient["withTransaction"] = (effect) =>
    Effect.flatMap(Effect.serviceOption(client.transactionService), (outer) =>
      Option.isSome(outer)
        ? client.withTransaction(effect)
        : Effect.tap(client.withTransaction(Effect.tap(effect, at("before COMMIT"))), at("after COMMIT"))
    )
  // A client is a function with properties, and makes others of itself.
  return new Proxy(client, {
    get: (target, property, proxy) =>
      property === "withTransaction" ? withTransaction : property === "safe" ? proxy : Reflect.get(target, property)
  })
}
