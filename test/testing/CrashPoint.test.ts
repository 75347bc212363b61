import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import type * as PlatformError from "effect/PlatformError"
import * as Schema from "effect/Schema"
import * as SqlClient from "effect/sql/SqlClient"
import { Db, Files, Journal, Pipeline, Source, TaskGroup } from "skein"
import { Drivers, Sqlite } from "skein/node"
import { CrashPoint, Disk, Sim } from "skein/testing"

const encode = (text: string) => new TextEncoder().encode(text)

const on = (disk: Disk.Disk) => Effect.provide(Layer.provide(CrashPoint.files, disk.layer))

/** What is reached when nothing ends it. */
const reachedBy = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const names: Array<string> = []
    const reached = (name: string) => Effect.sync(() => void names.push(name))
    yield* Effect.provideService(effect, CrashPoint.CrashPoint, { reached })
    return names
  })

const writeThenRename = (path: string, text: string, synced: boolean) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const file = yield* fs.open(`${path}.tmp`, { flag: "w" })
    yield* file.writeAll(encode(text))
    if (synced) yield* file.sync
    yield* fs.rename(`${path}.tmp`, path)
  }).pipe(Effect.scoped)

const replacing = (
  replace: Effect.Effect<void, PlatformError.PlatformError | Files.FilesError, FileSystem.FileSystem>
) =>
  CrashPoint.everywhere({
    make: Disk.make({ files: { state: "the old state" } }),
    run: (disk) => on(disk)(replace),
    check: (disk) =>
      Effect.gen(function* () {
        yield* disk.crash
        assert.include(["the old state", "the new one"], disk.text("state"))
      }),
    seeds: 30
  })

describe("a file that is replaced by writing another and renaming it", () => {
  it.effect("may be neither the old nor the new one after a crash, if that was not synced", () =>
    Effect.gen(function* () {
      const bug = yield* Effect.flip(replacing(writeThenRename("state", "the new one", false)))
      assert.strictEqual(bug._tag, "CrashBug")
      assert.match(
        bug.message,
        /^(Undisturbed|Ended at point \d, "after rename state.tmp to state"): the check failed: expected .*\nRepeat it with `only: \{ point: \d, seed: \d+ \}`$/s
      )
    })
  )

  it.effect("is one of them at every point, if it was", () =>
    Effect.gen(function* () {
      const { points, runs } = yield* replacing(writeThenRename("state", "the new one", true))
      assert.deepStrictEqual(points, [
        "before write state.tmp",
        "after write state.tmp",
        "before sync state.tmp",
        "after sync state.tmp",
        "before rename state.tmp to state",
        "after rename state.tmp to state"
      ])
      assert.strictEqual(runs, 1 + 6 * 30)
    })
  )

  it.effect("is one of them for Files.writeAtomic, and the new one once it is done", () =>
    Effect.gen(function* () {
      yield* replacing(Files.writeAtomic("state", "the new one"))
      let done = false
      yield* CrashPoint.everywhere({
        make: Disk.make({ files: { state: "the old state" } }),
        run: (disk) =>
          Effect.suspend(() => {
            done = false
            return on(disk)(Effect.tap(Files.writeAtomic("state", "the new one"), CrashPoint.at("acknowledged")))
          }).pipe(Effect.tap(() => Effect.sync(() => void (done = true)))),
        check: (disk) =>
          Effect.gen(function* () {
            yield* disk.crash
            if (done) assert.strictEqual(disk.text("state"), "the new one")
          })
      })
    })
  )

  it.effect("is found and shrunk by a simulation too, with a token that replays it", () =>
    Effect.gen(function* () {
      const program = (synced: boolean) => replacing(writeThenRename("state", "the new one", synced))
      const bug = yield* Effect.flip(Sim.explore(program(false), { schedules: 100 }))
      assert.strictEqual(bug._tag, "BugFound")
      assert.include(bug.message, "the check failed")
      const again = yield* Effect.flatMap(Sim.replay(program(false), bug.token), ({ exit }) => Effect.flip(exit))
      assert.strictEqual(again._tag, "CrashBug")
      yield* Sim.explore(program(true), { schedules: 100 })
    })
  )
})

const promise = () => {
  let resolve = () => {}
  return { promise: new Promise<void>((done) => (resolve = done)), resolve: () => resolve() }
}

describe("everywhere", () => {
  it.effect("ends all fibers at the point, and runs no finalizer", () =>
    Effect.gen(function* () {
      const logs: Array<ReadonlyArray<string>> = []
      const logged = (log: Array<string>, text: string) => Effect.sync(() => void log.push(text))
      const { points } = yield* CrashPoint.everywhere({
        make: Effect.sync((): Array<string> => []),
        run: (log) =>
          Effect.gen(function* () {
            const ticking = Effect.forever(Effect.andThen(logged(log, "tick"), Effect.yieldNow))
            yield* TaskGroup.spawn(Effect.ensuring(ticking, logged(log, "cleaned up")))
            yield* Effect.promise(() => Promise.resolve())
            yield* logged(log, "working")
            yield* CrashPoint.at("half")
            yield* logged(log, "done")
            return yield* TaskGroup.cancel()
          }).pipe(TaskGroup.open, Effect.ensuring(logged(log, "closed")), Effect.exit),
        check: (log) =>
          Effect.gen(function* () {
            const before = log.length
            for (let i = 0; i < 20; i++) yield* Effect.yieldNow
            assert.strictEqual(log.length, before)
            logs.push(log.filter((entry) => entry !== "tick"))
          }),
        seeds: 1
      })
      assert.deepStrictEqual(points, ["half"])
      assert.deepStrictEqual(logs, [["working", "done", "cleaned up", "closed"], ["working"]])
    })
  )

  it.effect("lets nothing of it go on that is resumed from outside, or that resumed what came to the point", () =>
    Effect.gen(function* () {
      const explored = yield* CrashPoint.everywhere({
        make: Effect.sync(() => ({ log: new Array<string>(), outside: promise() })),
        run: ({ log, outside }) =>
          Effect.gen(function* () {
            const go = yield* Deferred.make<void>()
            const waiting = Effect.promise(() => outside.promise)
            yield* Effect.forkChild(Effect.map(waiting, () => log.push("resumed from outside")))
            yield* Effect.forkChild(Effect.andThen(Deferred.await(go), CrashPoint.at("resumed")))
            yield* Effect.yieldNow
            yield* Deferred.succeed(go, undefined).pipe(Effect.map(() => log.push("same breath")))
            yield* Effect.yieldNow
            log.push("went on")
          }),
        check: ({ log, outside }) =>
          Effect.gen(function* () {
            const before = log.join()
            outside.resolve()
            yield* Effect.promise(() => outside.promise)
            for (let i = 0; i < 20; i++) yield* Effect.yieldNow
            assert.strictEqual(log.join(), before)
            return before
          }),
        seeds: 1
      })
      assert.deepStrictEqual(explored.points, ["resumed"])
    })
  )

  it.effect("gives each process a scope of its own", () =>
    Effect.gen(function* () {
      const ended: Array<number> = []
      yield* CrashPoint.everywhere({
        make: Disk.make({ files: { f: "" } }),
        run: (disk) => Effect.andThen(disk.fileSystem.open("f"), CrashPoint.at("open")),
        check: (disk) => Effect.sync(() => ended.push(disk.open.length)),
        seeds: 1
      })
      // Undisturbed it has closed its file; killed it has not, and `disk.crash` or `disk.kill` would.
      assert.deepStrictEqual(ended, [0, 1])
    }).pipe(Effect.scoped)
  )

  it.effect("says which point it was, and repeats it alone", () =>
    Effect.gen(function* () {
      const ended: Array<string> = []
      const explore = (only?: { readonly point: number; readonly seed: number }) =>
        CrashPoint.everywhere({
          make: Effect.sync((): Array<string> => []),
          run: (log) =>
            Effect.forEach(["a", "b", "c"], (name) =>
              Effect.andThen(
                CrashPoint.at(name),
                Effect.sync(() => log.push(name))
              )
            ),
          check: (log) => {
            ended.push(log.join(""))
            return log.length === 1 ? Effect.die(new Error("half done")) : Effect.void
          },
          only
        })
      const bug = yield* Effect.flip(explore())
      assert.strictEqual(
        bug.message,
        'Ended at point 2, "b": the check failed: half done\nRepeat it with `only: { point: 2, seed: 1 }`'
      )
      ended.length = 0
      assert.strictEqual((yield* Effect.flip(explore({ point: 2, seed: 1 }))).point, 2)
      assert.deepStrictEqual(ended, ["abc", "a"])
    })
  )

  it.effect("says so when the program fails by itself", () =>
    Effect.gen(function* () {
      const bug = yield* Effect.flip(
        CrashPoint.everywhere({
          make: Effect.void,
          run: () => Effect.die(new Error("no disk")),
          check: () => Effect.void
        })
      )
      assert.match(bug.message, /^Undisturbed: the program failed: no disk/)
    })
  )

  it.effect("gives the same outcome for the same seed", () =>
    Effect.gen(function* () {
      const leftBy = (seed: number) =>
        Effect.gen(function* () {
          const left: Array<string | undefined> = []
          yield* CrashPoint.everywhere({
            make: Disk.make({ files: { f: "" } }),
            run: (disk) => on(disk)(FileSystem.FileSystem.use((fs) => fs.writeFileString("f", "a longer text"))),
            check: (disk) => Effect.map(disk.crash, () => left.push(disk.text("f"))),
            only: { point: 2, seed }
          })
          return left
        })
      const runs = yield* Effect.forEach([1, 2, 3, 4, 5, 6], leftBy)
      assert.deepStrictEqual(yield* Effect.forEach([1, 2, 3, 4, 5, 6], leftBy), runs)
      assert.isAbove(new Set(runs.map(String)).size, 1)
    })
  )
})

describe("a pipeline that is killed, on a machine that loses power", () => {
  const input = Array.from({ length: 12 }, (_, i) => `${i + 1}\n`).join("")
  const expected = Array.from({ length: 12 }, (_, i) => `${(i + 1) * 10}\n`).join("")

  /** The journal is one that never loses anything, as a database is. */
  const make = Effect.gen(function* () {
    const disk = yield* Disk.make({ files: { "in.txt": input } })
    const journal = yield* Effect.provide(Journal.Journal, Layer.fresh(Journal.memory))
    return { disk, journal: Layer.succeed(Journal.Journal, journal) }
  })
  type World = Effect.Success<typeof make>

  const job = (options?: Files.Options<string>) =>
    Pipeline.from(Files.lines("in.txt")).pipe(
      Pipeline.map((line) => Effect.succeed(`${line}0`), { concurrency: 3, order: "completion" }),
      Pipeline.to(Files.lines("new/folder/out.txt", options))
    )
  const run = (options?: Files.Options<string>) => (world: World) =>
    Pipeline.run(job(options), { name: "times ten", maxRows: 2 }).pipe(on(world.disk), Effect.provide(world.journal))

  const exactlyOnce = (options?: Files.Options<string>) =>
    CrashPoint.everywhere({
      make,
      run: run(options),
      check: (world) =>
        Effect.gen(function* () {
          yield* world.disk.crash
          yield* run(options)(world)
          const lines = (world.disk.text("new/folder/out.txt") ?? "").split("\n")
          assert.deepStrictEqual(
            lines.toSorted((a, b) => Number(a) - Number(b)),
            ["", ...expected.trim().split("\n")]
          )
          assert.deepStrictEqual(world.disk.open, [])
        }),
      seeds: 5
    })

  it.effect("has written each line once in the end, wherever it was killed", () =>
    Effect.gen(function* () {
      const { points } = yield* exactlyOnce()
      assert.includeMembers([...points], ["before makeDirectory folder", "after sync folder", "after sync out.txt"])
    })
  )

  it.effect("has not, if its file was told not to sync: the test can fail", () =>
    Effect.gen(function* () {
      const bug = yield* Effect.flip(exactlyOnce({ fsync: false }))
      assert.match(bug.message, /bytes of it were committed/)
    })
  )
})

describe("the points of a database", () => {
  const database = Layer.effect(
    SqlClient.SqlClient,
    Effect.map(Sqlite.open(":memory:"), ({ sql }) => sql)
  )

  it.effect("are around the COMMIT of outermost transactions, and before statements outside of any", () =>
    Effect.gen(function* () {
      const program = Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient
        yield* sql`CREATE TABLE t (n)`
        const insert = sql`INSERT INTO t VALUES (1)`
        yield* sql.withTransaction(Effect.andThen(insert, sql.withTransaction(insert)))
        yield* sql.withoutTransforms().withTransaction(insert)
        yield* sql.safe.withTransaction(insert)
        yield* Effect.exit(sql.withTransaction(Effect.andThen(insert, Effect.fail("rolled back"))))
        yield* sql`SELECT * FROM t`
        yield* sql`DELETE FROM t`
      }).pipe(Effect.provide(Layer.provide(CrashPoint.sql, database)))
      const commit = ["before COMMIT", "after COMMIT"]
      assert.deepStrictEqual(yield* reachedBy(program), [
        "before CREATE TABLE t (n)",
        ...commit,
        ...commit,
        ...commit,
        "before DELETE FROM t"
      ])
    })
  )

  const Row = Schema.Struct({ n: Schema.Int })

  it.effect("a pipeline into a table that is killed at each has each row once in the end", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const job = Pipeline.from(Source.list([{ n: 1 }, { n: 2 }, { n: 3 }], { name: "numbers" })).pipe(
        Pipeline.to(Db.table("rows", Row))
      )
      const database = (file: string) =>
        Db.sqlite(file).pipe(Layer.provide(CrashPoint.db), Layer.provide(Drivers.layer), Layer.fresh)
      const run = (file: string) =>
        Pipeline.run(job, { name: "rows", maxRows: 1, require: "exactly-once" }).pipe(Effect.provide(database(file)))

      const { points } = yield* CrashPoint.everywhere({
        make: Effect.map(fs.makeTempDirectoryScoped(), (folder) => `${folder}/rows.db`),
        run,
        check: (file) =>
          Effect.gen(function* () {
            yield* run(file)
            const rows = yield* Db.query(Row)`SELECT n FROM rows ORDER BY n`.pipe(Effect.provide(database(file)))
            assert.deepStrictEqual(rows, [{ n: 1 }, { n: 2 }, { n: 3 }])
          }),
        seeds: 1
      })
      assert.isAtLeast(points.length, 4)
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
  )
})

it.effect("a point is nothing without somebody to call", () => CrashPoint.at("anywhere"))
