import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as PlatformError from "effect/PlatformError"
import * as Stream from "effect/Stream"
import { Files, Journal, Pipeline } from "skein"
import { Choices, Disk, Fault, Sim } from "skein/testing"

const encode = (text: string) => new TextEncoder().encode(text)
const codeOf = ({ reason }: PlatformError.PlatformError) => (reason.cause as { readonly code?: string }).code

const on =
  (disk: Disk.Disk, plan: ReadonlyArray<Fault.FileRule>) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>) =>
    Effect.provide(Effect.scoped(effect), Layer.provide(Fault.files(plan), disk.layer))

describe("a fault", () => {
  it.effect("is what Node would report, with the path and the code", () =>
    Effect.gen(function* () {
      const disk = yield* Disk.make({ files: { f: "text" } })
      const expected = { EACCES: "PermissionDenied", EIO: "Unknown", ENOENT: "NotFound", ENOSPC: "Unknown" } as const
      for (const [fault, tag] of Object.entries(expected)) {
        const error = yield* FileSystem.FileSystem.use((fs) => fs.readFileString("f")).pipe(
          on(disk, [{ fault: fault as keyof typeof expected }]),
          Effect.flip
        )
        assert.strictEqual(error.reason._tag, tag)
        assert.strictEqual(codeOf(error), fault)
        assert.match(error.message, /FileSystem\.read \(f\): /)
      }
    })
  )

  it.effect("strikes before the call does anything, at every way to do it", () =>
    Effect.gen(function* () {
      const disk = yield* Disk.make({ files: { f: "text", g: "" } })
      const fs = yield* FileSystem.FileSystem.pipe(on(disk, [{ fault: "EIO", on: ({ path }) => path === "f" }]))
      const calls: Record<string, Effect.Effect<unknown, PlatformError.PlatformError>> = {
        access: fs.access("f"),
        exists: fs.exists("f"),
        copy: fs.copy("f", "h"),
        copyFile: fs.copyFile("f", "h"),
        chmod: fs.chmod("f", 0),
        chown: fs.chown("f", 1, 1),
        link: fs.link("f", "h"),
        lstat: fs.lstat("f"),
        makeDirectory: fs.makeDirectory("f"),
        makeTempDirectory: fs.makeTempDirectory({ directory: "f" }),
        makeTempDirectoryScoped: Effect.scoped(fs.makeTempDirectoryScoped({ directory: "f" })),
        makeTempFile: fs.makeTempFile({ directory: "f" }),
        makeTempFileScoped: Effect.scoped(fs.makeTempFileScoped({ directory: "f" })),
        open: Effect.scoped(fs.open("f", { flag: "w" })),
        readDirectory: fs.readDirectory("f"),
        readDirectoryEntries: fs.readDirectoryEntries("f"),
        readFile: fs.readFile("f"),
        readFileString: fs.readFileString("f"),
        readLink: fs.readLink("f"),
        realPath: fs.realPath("f"),
        remove: fs.remove("f"),
        rename: fs.rename("f", "h"),
        sink: Stream.run(Stream.make(encode("x")), fs.sink("f")),
        stat: fs.stat("f"),
        stream: Stream.runDrain(fs.stream("f")),
        symlink: fs.symlink("f", "h"),
        truncate: fs.truncate("f"),
        utimes: fs.utimes("f", 0, 0),
        watch: Stream.runDrain(fs.watch("f")),
        writeFile: fs.writeFile("f", encode("x")),
        writeFileString: fs.writeFileString("f", "x")
      }
      for (const [name, call] of Object.entries(calls)) {
        assert.strictEqual(codeOf(yield* Effect.flip(call)), "EIO", name)
      }
      assert.strictEqual(disk.text("f"), "text")
      assert.deepStrictEqual(disk.paths, ["/f", "/g"])
    })
  )

  it.effect("strikes at the calls of an open file", () =>
    Effect.gen(function* () {
      const disk = yield* Disk.make({ files: { f: "text" } })
      yield* Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const file = yield* fs.open("f", { flag: "r+" })
        const calls = [
          file.stat,
          file.sync,
          file.seek(1n, "start"),
          file.read(new Uint8Array(1)),
          file.readAlloc(1),
          file.truncate(0),
          file.write(encode("x")),
          file.writeAll(encode("x"))
        ]
        for (const call of calls) assert.strictEqual(codeOf(yield* Effect.flip<unknown, any, any>(call)), "EIO")
        assert.strictEqual(disk.text("f"), "text")
      }).pipe(on(disk, [{ fault: "EIO", on: ({ method }) => method !== "open" }]))
    })
  )

  it.effect("takes a delay, in the time of the simulation", () =>
    Effect.gen(function* () {
      const disk = yield* Disk.make()
      const program = Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        yield* fs.writeFileString("f", "late")
        const written = yield* Clock.currentTimeMillis
        const error = yield* Effect.flip(fs.readFile("f"))
        return [written, yield* Clock.currentTimeMillis, codeOf(error)]
      }).pipe(
        on(disk, [
          { delay: "2 seconds", on: ({ method }) => method === "write" },
          { delay: "1 minute", fault: "ETIMEDOUT", on: ({ method }) => method === "read" }
        ])
      )
      const { exit } = yield* Sim.run(program)
      assert.deepStrictEqual(yield* exit, [2000, 62_000, "ETIMEDOUT"])
      assert.strictEqual(disk.text("f"), "late")
    })
  )
})

describe("a torn write", () => {
  const tear = (cut: number) => Effect.provideService(Choices.Choices, { choose: () => cut, happens: () => true })

  it.effect("leaves a beginning of the bytes, and fails", () =>
    Effect.gen(function* () {
      const writes: Record<string, Effect.Effect<unknown, PlatformError.PlatformError, FileSystem.FileSystem>> = {
        writeFile: FileSystem.FileSystem.use((fs) => fs.writeFileString("f", "abcd")),
        sink: FileSystem.FileSystem.use((fs) => Stream.run(Stream.make(encode("abcd")), fs.sink("f"))),
        write: FileSystem.FileSystem.use((fs) =>
          Effect.scoped(Effect.flatMap(fs.open("f", { flag: "w" }), (file) => file.write(encode("abcd"))))
        )
      }
      for (const [name, write] of Object.entries(writes)) {
        for (const [cut, left] of [
          [0, "abc"],
          [3, ""]
        ] as const) {
          const disk = yield* Disk.make()
          const error = yield* write.pipe(on(disk, [{ fault: { torn: "EIO" } }]), tear(cut), Effect.flip)
          assert.strictEqual(codeOf(error), "EIO")
          assert.strictEqual(disk.text("f"), left, name)
        }
      }
    })
  )

  it.effect("counts writes only", () =>
    Effect.gen(function* () {
      const disk = yield* Disk.make()
      yield* Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        yield* fs.writeFileString("f", "one")
        yield* fs.readFileString("f")
        yield* Effect.flip(fs.writeFileString("f", "two"))
      }).pipe(on(disk, [{ fault: { torn: "EIO" }, nth: 2 }]), tear(0))
      assert.strictEqual(disk.text("f"), "tw")
    })
  )
})

describe("a sync that lies", () => {
  it.effect("succeeds and does nothing; other calls are left alone", () =>
    Effect.gen(function* () {
      const disk = yield* Disk.make()
      yield* Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const file = yield* fs.open("f", { flag: "w" })
        yield* file.writeAll(encode("text"))
        yield* file.sync
        assert.isUndefined(disk.durable("f"))
        yield* file.sync
        assert.strictEqual(disk.durable("f"), "text")
      }).pipe(on(disk, [{ fault: "unsynced", nth: 1 }]))
    })
  )
})

it.effect(
  "a pipeline into a file survives torn writes and full disks: each run goes on where the last one stopped",
  () =>
    Effect.gen(function* () {
      const numbers = Array.from({ length: 40 }, (_, i) => String(i))
      const disk = yield* Disk.make({ files: { "in.txt": numbers.map((n) => `${n}\n`).join("") } })
      const job = Pipeline.from(Files.lines("in.txt")).pipe(Pipeline.to(Files.lines("out.txt")))
      let failures = 0
      const run: Effect.Effect<void, never, Journal.Journal> = Pipeline.run(job, { name: "copy", maxRows: 3 }).pipe(
        on(disk, [
          { fault: { torn: "EIO" }, nth: 3, on: ({ path }) => path.endsWith("/out.txt") },
          { fault: { torn: "EIO" }, nth: 4, on: ({ path }) => path.includes(".out.txt.skein") },
          { fault: "ENOSPC", nth: 5, on: ({ method }) => method === "sync" }
        ]),
        Effect.catch(() => {
          failures++
          return run
        }),
        Effect.asVoid
      )
      yield* run
      assert.isAbove(failures, 3)
      assert.strictEqual(disk.text("out.txt"), disk.text("in.txt"))
      assert.deepStrictEqual(disk.paths.toSorted(), ["/in.txt", "/out.txt"])
    }).pipe(Effect.provide(Journal.memory))
)

it.effect("the same seed strikes at the same calls", () =>
  Effect.gen(function* () {
    const struck = Effect.gen(function* () {
      const disk = yield* Disk.make()
      const write = (n: number) => FileSystem.FileSystem.use((fs) => Effect.option(fs.writeFileString(`f${n}`, "")))
      const results = yield* Effect.forEach(Array.from({ length: 30 }), (_, n) => write(n)).pipe(
        on(disk, [{ fault: "EIO", rate: 0.5 }])
      )
      return results.map(Option.isNone)
    })
    const at = (seed: number) => Effect.flatMap(Sim.run(struck, { seed, strategy: "random" }), ({ exit }) => exit)
    const first = yield* at(1)
    assert.include(first, true)
    assert.include(first, false)
    assert.deepStrictEqual(yield* at(1), first)
    assert.notDeepEqual(yield* at(2), first)
  })
)
