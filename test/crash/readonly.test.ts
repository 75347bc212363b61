/** A database that can only be read: what is in its journal can be, and who would write to it is told (P10). */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import * as fs from "node:fs"
import { Journal } from "skein"
import * as Command from "../support/command.ts"
import { connect } from "../support/database.ts"
import { Scene } from "./scene.ts"
import { ran } from "./work.ts"

const count = 40
const dead = [4, 8]
const nobody = 65_534
const isRoot = process.getuid?.() === 0

/** To root nothing is forbidden: for as long as the scope is open this process is somebody else. */
const asSomebody: Effect.Effect<void, never, Scope.Scope> = Effect.acquireRelease(
  Effect.sync(() => {
    if (isRoot) process.seteuid!(nobody)
  }),
  () =>
    Effect.sync(() => {
      if (isRoot) process.seteuid!(0)
    })
)

/** Of what is there, and of all in it. */
const withModes = ({ folder }: Scene, ofFolder: number, ofFiles: number) => {
  const give = (mode: number) => {
    for (const name of fs.readdirSync(folder)) fs.chmodSync(`${folder}/${name}`, mode)
  }
  return Effect.acquireRelease(
    Effect.sync(() => {
      give(ofFiles)
      fs.chmodSync(folder, ofFolder)
    }),
    () =>
      Effect.sync(() => {
        fs.chmodSync(folder, 0o755)
        give(0o644)
      })
  )
}

/** By the API and by the command. */
const isRead = (scene: Scene, url: string, settled: number) =>
  Effect.gen(function* () {
    const { journal } = yield* connect(url)
    const key = Journal.keyOf("work")
    const checkpoint = Option.getOrThrow(yield* journal.load(key))
    assert.strictEqual(checkpoint.counts.settled, settled)
    const letters = yield* journal.dead(key)
    assert.deepEqual(
      letters.map(({ input }) => input),
      dead
    )
    const listed = yield* Command.run("/", "dead", "work", "--db", url)
    assert.deepEqual([listed.code, listed.stderr], [0, ""])
    assert.match(listed.stdout, /work: 2 dead/)
    const names = yield* Command.run("/", "dead", "--db", url)
    assert.deepEqual([names.code, names.stdout], [0, "work: 2 dead"])
    // Another one has none, and none is made for it.
    assert.deepEqual(yield* journal.load(Journal.keyOf("another")), Option.none())
    const refused = yield* ran({
      folder: scene.folder,
      database: url.includes("://") ? url : scene.database,
      dead,
      restart: true
    })
    assert.match(Result.isFailure(refused) ? refused.failure.message : "", /read-only|only be read|permission denied/i)
  })

describe.skipIf(process.platform === "win32")("P10 a SQLite database that can only be read", () => {
  const forms = [
    ["file and folder", 0o555, 0o444],
    ["file", 0o777, 0o444],
    ["folder", 0o555, 0o666]
  ] as const
  for (const [what, folder, files] of forms) {
    it.effect(`is read by API and command: the ${what} may not be written to`, () =>
      Effect.gen(function* () {
        const scene = yield* Scene.make(count)
        assert.isTrue(Result.isSuccess(yield* ran({ folder: scene.folder, dead })))
        const before = scene.all
        yield* Effect.scoped(
          Effect.gen(function* () {
            yield* withModes(scene, folder, files)
            yield* asSomebody
            yield* isRead(scene, scene.path("work.db"), count)
          })
        )
        assert.deepEqual(scene.all, before)
      })
    )

    // Who may write to the files that are there needs no others.
    if (files === 0o666) continue
    it.effect(`is read after a kill, with what stands in its log: the ${what} may not be written to`, () =>
      Effect.gen(function* () {
        const scene = yield* Scene.make(count)
        yield* scene.killed({ dead }, "worked:30")
        assert.isAbove(fs.statSync(scene.path("work.db-wal")).size, 0)
        yield* Effect.scoped(
          Effect.gen(function* () {
            yield* withModes(scene, folder, files)
            yield* asSomebody
            yield* isRead(scene, scene.path("work.db"), 24)
          })
        )
        assert.isTrue(Result.isSuccess(yield* ran({ folder: scene.folder, dead })))
        assert.strictEqual(scene.kept()?.["counts"].written, scene.table("rows").length)
      })
    )
  }
})

describe("P10 a PostgreSQL that can only be read", () => {
  it.effect("is read by API and command", () =>
    Effect.gen(function* () {
      const scene = yield* Scene.make(count, "PostgreSQL")
      const work = { folder: scene.folder, database: scene.database, dead }
      assert.isTrue(Result.isSuccess(yield* ran(work)))
      const before = scene.all
      const url = `${scene.database}?options=-c%20default_transaction_read_only%3Don`
      yield* isRead(scene, url, count)
      assert.deepEqual(scene.all, before)
    })
  )

  it.effect("is read by a role that may do nothing else", () =>
    Effect.gen(function* () {
      const scene = yield* Scene.make(count, "PostgreSQL")
      const work = { folder: scene.folder, database: scene.database, dead }
      assert.isTrue(Result.isSuccess(yield* ran(work)))
      const before = scene.all
      const role = `skein_reader_${new URL(scene.database).pathname.slice(12)}`
      yield* Effect.acquireRelease(
        Effect.sync(() =>
          scene.script(`CREATE ROLE ${role} LOGIN PASSWORD 'reads'; GRANT SELECT ON skein_run, skein_dead TO ${role}`)
        ),
        () => Effect.sync(() => scene.script(`DROP OWNED BY ${role}; DROP ROLE ${role}`))
      )
      const url = new URL(scene.database)
      url.username = role
      url.password = "reads"
      yield* isRead(scene, url.href, count)
      assert.deepEqual(scene.all, before)
    })
  )
})
