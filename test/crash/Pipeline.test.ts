/** Real processes, really killed: what a job wrote is, after every kill, what its journal says, and complete in the end. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as fs from "node:fs"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import * as Child from "../support/child.ts"
import { askSync } from "../support/postgres/askSync.ts"
import { fresh } from "../support/postgres/database.ts"
import { isAlone, until } from "../support/postgres/watch.ts"
import { isUnwanted, type Order, pathsIn, points, rowsOf, run, type SinkName } from "./job.ts"
import type { Kind } from "./scene.ts"

const deep = process.env["SKEIN_DEEP"] !== undefined
const kills = deep ? 200 : 2
/** The first transactions take the lease and open the sink; the sixth has written rows. */
const occurrences = deep ? Array.from({ length: 10 }, (_, i) => i + 1) : [1, 6]
const elements = 1500
/** For machines that do much else. */
const slow = deep ? 3_600_000 : 600_000

const program = join(import.meta.dirname, "job.ts")

/** Mulberry32. */
const random = (seed: number) => () => {
  seed = (seed + 0x6d2b79f5) | 0
  let t = Math.imul(seed ^ (seed >>> 15), 1 | seed)
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
  return ((t ^ (t >>> 14)) >>> 0) / 4294967296
}

const newFolder = (count = elements): Effect.Effect<string, never, Scope.Scope> =>
  Effect.tap(Child.folder, (folder) =>
    Effect.sync(() =>
      fs.writeFileSync(pathsIn(folder).input, Array.from({ length: count }, (_, i) => `${i + 1}\n`).join(""))
    )
  )

const keyOf = ({ n, part }: { readonly n: number; readonly part: number }) => n * 10 + part
const ascending = (list: ReadonlyArray<number>) => list.toSorted((a, b) => a - b)

/** The URL of a database, or none where it is a file in the folder of the job. */
const newDatabase = (kind: Kind): Effect.Effect<string | undefined, never, Scope.Scope> =>
  kind === "SQLite" ? Effect.undefined : fresh

/** What the journal says that is settled, and what is there. */
const inspect = (folder: string, url?: string) => {
  const { database: path, input, output } = pathsIn(folder)
  const database = url === undefined ? new DatabaseSync(path, { timeout: 10_000 }) : undefined
  const all = (sql: string): ReadonlyArray<Record<string, any>> =>
    url === undefined ? database!.prepare(sql).all() : askSync(url, sql)
  try {
    const names =
      url === undefined
        ? "SELECT name FROM sqlite_schema WHERE type = 'table'"
        : "SELECT relname AS name FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
    const tables = new Set(all(names).map(({ name }) => name))
    const [row] = tables.has("skein_run") ? all("SELECT checkpoint FROM skein_run") : []
    const kept = JSON.parse(row?.["checkpoint"] ?? "null") ?? undefined
    const position: number = kept?.position ?? 0
    const watermark = fs.readFileSync(input, "utf8").slice(0, position).split("\n").length - 1
    const ahead: ReadonlyArray<number> = kept?.ahead ?? []
    const settled = [...Array.from({ length: watermark }, (_, i) => i + 1), ...ahead.map((i) => watermark + i)]
    const name = Object.keys(kept?.sinks ?? {}).find((name) => name.startsWith("file "))
    const length: number | undefined = name === undefined ? undefined : kept.sinks[name].state.length
    const bytes = fs.existsSync(output) ? fs.readFileSync(output) : Buffer.alloc(0)
    const lines = bytes.subarray(0, length).toString("utf8").split("\n")
    assert.strictEqual(lines.pop(), "", "what was committed of the file does not end with a line")
    return {
      check: url === undefined ? all("PRAGMA integrity_check")[0]!["integrity_check"] : "ok",
      settled: ascending(settled),
      counts: kept?.counts,
      finished: kept?.finished === true,
      table: tables.has("rows")
        ? ascending(all("SELECT n, part FROM rows").map(({ n, part }) => keyOf({ n: Number(n), part: Number(part) })))
        : [],
      file: ascending(lines.map((line) => keyOf(JSON.parse(line)))),
      /** What stands behind the committed lines. */
      uncommitted: bytes.length - (length ?? bytes.length),
      committed: length ?? 0,
      dead: tables.has("skein_dead")
        ? ascending(all("SELECT input FROM skein_dead").map(({ input }) => Number(JSON.parse(input))))
        : []
    }
  } finally {
    database?.close()
  }
}

/** Nothing is there twice, nothing is missing, and the journal knows it all. */
const verify = (folder: string, sink: SinkName, url?: string): ReturnType<typeof inspect> => {
  const found = inspect(folder, url)
  const rows = ascending(found.settled.flatMap((n) => rowsOf(n).map(keyOf)))
  const dead = found.settled.filter(isUnwanted)
  assert.strictEqual(found.check, "ok")
  assert.deepEqual(found.table, sink === "file" ? [] : rows)
  assert.deepEqual(found.file, sink === "table" || found.counts === undefined ? found.file : rows)
  assert.deepEqual(found.dead, dead)
  if (found.counts !== undefined) {
    assert.deepInclude(found.counts, { settled: found.settled.length, written: rows.length, dead: dead.length })
  }
  return found
}

const verifyDone = (folder: string, sink: SinkName, count = elements, url?: string): void => {
  const found = verify(folder, sink, url)
  assert.strictEqual(found.settled.length, count)
  assert.isTrue(found.finished)
  assert.strictEqual(found.uncommitted, 0)
  assert.isFalse(fs.existsSync(lockIn(folder)), "nobody writes to the file any more")
}

const lockIn = (folder: string): string => join(folder, ".output.jsonl.skein")

const started = (folder: string, sink: SinkName, order: Order, crash = "none:0", url?: string) =>
  Child.start([program, folder, sink, order, crash, ...(url === undefined ? [] : [url])])

/** What a session of the dead was told to commit is committed, or not, once it is gone. */
const settledIn = (url: string | undefined) => (url === undefined ? Effect.void : until(url, isAlone))

/** Kills the job once it has worked on as many elements; tells whether it was done before that. */
const killAfter = (folder: string, sink: SinkName, order: Order, count: number, spin: number, url?: string) =>
  Effect.gen(function* () {
    const child = yield* started(folder, sink, order, undefined, url)
    yield* Effect.exit(child.says(`done ${count}\n`))
    for (let i = 0; i < spin; i++) Math.sqrt(i)
    child.kill("SIGKILL")
    const { code, signal, stderr } = yield* child.end
    assert.isTrue(code === 0 || signal === "SIGKILL", stderr)
    yield* settledIn(url)
    return code === 0
  }).pipe(Effect.scoped)

const runToEnd = (folder: string, sink: SinkName, order: Order, url?: string) =>
  Effect.gen(function* () {
    const { code, stderr } = yield* (yield* started(folder, sink, order, undefined, url)).end
    assert.strictEqual(code, 0, stderr)
  }).pipe(Effect.scoped)

describe("a job that is killed with SIGKILL at random moments", () => {
  const variants = [
    ["table", "input", "SQLite"],
    ["table", "completion", "PostgreSQL"],
    ["file", "completion", "SQLite"],
    ["both", "completion", "SQLite"]
  ] as const
  for (const [sink, order, kind] of variants) {
    it.live(
      `loses nothing and doubles nothing: ${sink} on ${kind}, order "${order}"`,
      () =>
        Effect.gen(function* () {
          const chance = random(sink.length)
          for (let killed = 0; killed < kills;) {
            const folder = yield* newFolder()
            const url = yield* newDatabase(kind)
            for (let done = false; !done;) {
              if (killed < kills) {
                const count = 50 * (1 + Math.floor(chance() * 12))
                done = yield* killAfter(folder, sink, order, count, chance() * 2_000_000, url)
                if (!done) killed += 1
              } else {
                yield* runToEnd(folder, sink, order, url)
                done = true
              }
              verify(folder, sink, url)
            }
            verifyDone(folder, sink, elements, url)
          }
        }),
      slow
    )
  }
})

describe("a job that is killed with SIGKILL at a durable step", () => {
  const variants = [
    ["both", "SQLite", points],
    // What is done to the file is the same with any database.
    ["table", "PostgreSQL", ["write", "written", "commit", "committed"]]
  ] as const
  const times = occurrences.join(", ")
  for (const [sink, kind, steps] of variants) {
    it.live(
      `P3 loses nothing and doubles nothing, at times ${times} that it comes to each: ${sink} on ${kind}`,
      () =>
        Effect.gen(function* () {
          for (const k of occurrences) {
            const folder = yield* newFolder()
            const url = yield* newDatabase(kind)
            for (const point of steps) {
              yield* Effect.gen(function* () {
                const child = yield* started(folder, sink, "completion", `${point}:${k}`, url)
                const { signal, stderr } = yield* child.end
                assert.strictEqual(signal, "SIGKILL", `It never came to ${point} for the ${k}th time. ${stderr}`)
                yield* settledIn(url)
              }).pipe(Effect.scoped)
              const { uncommitted } = verify(folder, sink, url)
              if (/half|appended|synced/.test(point)) assert.isAbove(uncommitted, 0)
            }
            yield* runToEnd(folder, sink, "completion", url)
            verifyDone(folder, sink, elements, url)
          }
        }),
      slow
    )
  }
})

/** Puts back what a kill left behind, each time something else is to be done to it: its file is known by its path. */
const restoring = (folder: string): Effect.Effect<() => void, never, Scope.Scope> =>
  Effect.map(Child.folder, (saved) => {
    fs.cpSync(folder, saved, { recursive: true })
    return () => {
      fs.rmSync(folder, { recursive: true })
      fs.cpSync(saved, folder, { recursive: true })
    }
  })

/** What was put into files beside the output. */
const asideIn = (folder: string): ReadonlyArray<Buffer> =>
  fs
    .readdirSync(folder)
    .filter((name) => name.startsWith("output.jsonl.cut-"))
    .map((name) => fs.readFileSync(join(folder, name)))

/** The job in this process, in real time; gives its error, if any. */
const resume = (folder: string) =>
  Effect.promise(() => Effect.runPromise(Effect.result(run(folder, "both", "completion"))))

describe("what a kill left behind", () => {
  const few = 120
  const killedAt = (crash: string) =>
    Effect.gen(function* () {
      const folder = yield* newFolder(few)
      yield* Effect.scoped(Effect.flatMap(started(folder, "both", "completion", crash), ({ end }) => end))
      return folder
    })

  it.effect(
    "in the file behind its committed lines is cut off where it is its own, and else is set aside, whatever it is",
    () =>
      Effect.gen(function* () {
        const folder = yield* killedAt("synced:2")
        const { committed, uncommitted } = verify(folder, "both")
        const { output } = pathsIn(folder)
        assert.isAbove(committed, 0)
        assert.isAbove(uncommitted, 0)
        const bytes = fs.readFileSync(output)
        const records = bytes.toString("utf8").trimEnd().split("\n")
        const lastThree = records.slice(-3).join("\n").length + 1
        const cuts = Array.from({ length: Math.min(lastThree, uncommitted) }, (_, i) =>
          bytes.subarray(0, bytes.length - i)
        )
        const kept = bytes.subarray(0, committed)
        const tails = [
          ...cuts.filter((_, i) => deep || i % 7 === 1),
          bytes,
          kept,
          Buffer.concat([kept, Buffer.from('{"n":1,"part":0}\n')]),
          Buffer.concat([kept, Buffer.from('{"n":1,"pa')]),
          Buffer.concat([bytes, Buffer.alloc(10_000)]),
          Buffer.concat([bytes, Buffer.from([0xff, 0xfe, 0x0a, 0x00])])
        ]
        const restore = yield* restoring(folder)
        for (const tail of tails) {
          restore()
          fs.writeFileSync(output, tail)
          yield* Effect.flatMap(resume(folder), Effect.fromResult)
          verifyDone(folder, "both", few)
          const foreign = tail.length > committed && !tail.equals(bytes) ? [tail.subarray(committed)] : []
          assert.deepEqual(asideIn(folder), foreign)
        }
      }),
    slow
  )

  it.effect(
    "of a file that has lost committed lines is refused and not touched",
    () =>
      Effect.gen(function* () {
        const folder = yield* killedAt("synced:3")
        const { output } = pathsIn(folder)
        const before = verify(folder, "both")
        const bytes = fs.readFileSync(output)
        for (const length of [before.committed - 1, 1, 0, undefined]) {
          if (length === undefined) fs.rmSync(output)
          else fs.truncateSync(output, length)
          const error = yield* Effect.flip(Effect.flatMap(resume(folder), Effect.fromResult))
          assert.deepInclude(error, { _tag: "FilesError", kind: "CommittedLost" })
          assert.include(String(error), `${before.committed} bytes of it were committed`)
          fs.writeFileSync(output, bytes)
          assert.deepEqual(verify(folder, "both"), before)
        }
        yield* Effect.flatMap(resume(folder), Effect.fromResult)
        verifyDone(folder, "both", few)
      }),
    slow
  )

  it.effect(
    "of a database whose log was cut is one commit or another, and the file is cut back to it",
    () =>
      Effect.gen(function* () {
        const folder = yield* killedAt("committed:8")
        const log = `${pathsIn(folder).database}-wal`
        const size = fs.statSync(log).size
        const chance = random(1)
        const reached = new Set<number>()
        const restore = yield* restoring(folder)
        for (let i = 0; i < (deep ? 400 : 20); i++) {
          restore()
          fs.truncateSync(log, Math.floor(chance() * size))
          const { counts, settled } = verify(folder, "both")
          // Cut before the first commit, the journal does not know that the job ever ran.
          if (counts === undefined) continue
          reached.add(settled.length)
          yield* Effect.flatMap(resume(folder), Effect.fromResult)
          verifyDone(folder, "both", few)
        }
        assert.isAbove(reached.size, 2)
      }),
    slow
  )
})
