import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { assert, describe, it } from "@effect/vitest"
import * as ByteSize from "effect/ByteSize"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import type * as PlatformError from "effect/PlatformError"
import * as Random from "effect/Random"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import { Files, Journal, Pipeline } from "skein"
import { Choices, Disk } from "skein/testing"

const encode = (text: string) => new TextEncoder().encode(text)
const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes)
const fs = FileSystem.FileSystem

/** Decides as the list says, from its beginning; after it, 0. */
const choosing = (...list: ReadonlyArray<number>) => {
  const left = list.slice()
  const choose = () => left.shift() ?? 0
  return Effect.provideService(Choices.Choices, { choose, happens: () => choose() === 1 })
}
/** Nothing survives that may be lost. */
const worst = Effect.provideService(Choices.Choices, { choose: (options) => options - 1, happens: () => true })

const on = <A, E, R>(disk: Disk.Disk, effect: Effect.Effect<A, E, R>) =>
  Effect.scoped(Effect.provideService(effect, FileSystem.FileSystem, disk.fileSystem))

/** Every content that a crash may leave of a file, over many crashes of disks on which `program` was run. */
const outcomes = <E>(
  files: Disk.Options["files"],
  program: Effect.Effect<unknown, E, FileSystem.FileSystem | Scope.Scope>,
  path: string
) =>
  Effect.forEach(Array.from({ length: 300 }), (_, seed) =>
    Effect.gen(function* () {
      const disk = yield* Disk.make({ files })
      yield* on(disk, program)
      yield* disk.crash
      return disk.text(path) ?? "(none)"
    }).pipe(Random.withSeed(seed))
  ).pipe(Effect.map((found) => [...new Set(found)].toSorted()))

describe("what a crash leaves", () => {
  it.effect("what was synced stays, what was not may be gone, and on a good day nothing is", () =>
    Effect.gen(function* () {
      const program = Effect.gen(function* () {
        const file = yield* fs.use((fs) => fs.open("log.txt", { flag: "a" }))
        yield* file.writeAll(encode("kept\n"))
        yield* file.sync
        yield* file.writeAll(encode("lost\n"))
      })
      const disk = yield* Disk.make()
      yield* on(disk, program)
      assert.strictEqual(disk.text("log.txt"), "kept\nlost\n")
      assert.strictEqual(disk.durable("log.txt"), "kept\n")
      yield* worst(disk.crash)
      assert.strictEqual(disk.text("log.txt"), "kept\n")

      const lucky = yield* Disk.make()
      yield* on(lucky, program)
      yield* choosing()(lucky.crash)
      assert.strictEqual(lucky.text("log.txt"), "kept\nlost\n")
      assert.strictEqual(lucky.durable("log.txt"), "kept\nlost\n")
    })
  )

  it.effect("any beginning of a write may survive, and a later write without an earlier one", () =>
    Effect.gen(function* () {
      const two = Effect.gen(function* () {
        const file = yield* fs.use((fs) => fs.open("f", { flag: "r+" }))
        yield* file.writeAll(encode("ab"))
        yield* file.writeAll(encode("cd"))
      })
      assert.deepStrictEqual(yield* outcomes({ f: "" }, two, "f"), [
        "",
        "\0\0c",
        "\0\0cd",
        "a",
        "a\0c",
        "a\0cd",
        "ab",
        "abc",
        "abcd"
      ])
    })
  )

  it.effect("a truncation survives or does not", () =>
    Effect.gen(function* () {
      const cut = fs.use((fs) => fs.truncate("f", 1))
      assert.deepStrictEqual(yield* outcomes({ f: "abc" }, cut, "f"), ["a", "abc"])
      const replaced = fs.use((fs) => fs.writeFileString("f", "x"))
      assert.deepStrictEqual(yield* outcomes({ f: "abc" }, replaced, "f"), ["", "abc", "x", "xbc"])
    })
  )

  it.effect("changes of folders survive in their order, a rename as a whole", () =>
    Effect.gen(function* () {
      const program = fs.use((fs) => Effect.andThen(fs.rename("a", "b"), fs.remove("c")))
      const seen = yield* Effect.forEach(Array.from({ length: 100 }), (_, seed) =>
        Effect.gen(function* () {
          const disk = yield* Disk.make({ files: { a: "", c: "" } })
          yield* on(disk, program)
          yield* disk.crash
          return disk.paths.toSorted().join(" ")
        }).pipe(Random.withSeed(seed))
      )
      assert.deepStrictEqual([...new Set(seen)].toSorted(), ["/a /c", "/b", "/b /c"])
    })
  )

  it.effect("syncing a file makes its name durable with it, but not the name that it gets later", () =>
    Effect.gen(function* () {
      const disk = yield* Disk.make()
      const written = Effect.gen(function* () {
        const system = yield* FileSystem.FileSystem
        yield* system.makeDirectory("new/folder", { recursive: true })
        const file = yield* system.open("new/folder/a", { flag: "wx" })
        yield* file.writeAll(encode("content"))
        yield* file.sync
        yield* system.rename("new/folder/a", "new/folder/b")
      })
      yield* on(disk, written)
      assert.strictEqual(disk.durable("new/folder/a"), "content")
      assert.isUndefined(disk.durable("new/folder/b"))
      yield* on(
        disk,
        Effect.flatMap(
          fs.use((fs) => fs.open("new/folder")),
          (folder) => folder.sync
        )
      )
      yield* worst(disk.crash)
      assert.deepStrictEqual(disk.paths, ["/new/folder/b"])
    })
  )

  it.effect("syncing a file does not make later changes of folders durable", () =>
    Effect.gen(function* () {
      const disk = yield* Disk.make()
      const program = Effect.gen(function* () {
        const system = yield* FileSystem.FileSystem
        const file = yield* system.open("first", { flag: "wx" })
        yield* system.writeFileString("second", "")
        yield* file.sync
      })
      yield* on(disk, program)
      assert.strictEqual(disk.durable("first"), "")
      assert.isUndefined(disk.durable("second"))
    })
  )

  it.effect("what was written is what the buffer held then", () =>
    Effect.gen(function* () {
      const disk = yield* Disk.make()
      const program = Effect.gen(function* () {
        const file = yield* fs.use((fs) => fs.open("f", { flag: "w" }))
        const buffer = encode("text")
        yield* file.writeAll(buffer)
        buffer.fill(0)
        yield* file.sync
      })
      yield* on(disk, program)
      assert.strictEqual(disk.durable("f"), "text")
    })
  )

  it.effect("a removed file whose removal is lost comes back with its durable content", () =>
    Effect.gen(function* () {
      const disk = yield* Disk.make({ files: { f: "old" } })
      yield* on(
        disk,
        fs.use((fs) => Effect.andThen(fs.writeFileString("f", "new!"), fs.remove("f")))
      )
      assert.isUndefined(disk.text("f"))
      yield* worst(disk.crash)
      assert.strictEqual(disk.text("f"), "old")
    })
  )

  it.effect("a kill without a power loss keeps all that was written", () =>
    Effect.gen(function* () {
      const disk = yield* Disk.make()
      yield* on(
        disk,
        fs.use((fs) => fs.writeFileString("f", "text"))
      )
      yield* disk.kill
      assert.strictEqual(disk.text("f"), "text")
      assert.isUndefined(disk.durable("f"))
    })
  )

  for (const how of ["crash", "kill"] as const) {
    it.effect(`files that were open before a ${how} fail after it, and the disk goes on`, () =>
      Effect.gen(function* () {
        const disk = yield* Disk.make({ files: { f: "text" } })
        const scope = yield* Scope.make()
        const file = yield* Scope.provide(disk.fileSystem.open("f", { flag: "r+" }), scope)
        yield* disk[how]
        assert.deepStrictEqual(disk.open, [])
        const errors = yield* Effect.all([
          Effect.flip(file.writeAll(encode("ghost"))),
          Effect.flip(file.readAlloc(1)),
          Effect.flip(file.sync),
          Effect.flip(file.truncate()),
          Effect.flip(file.stat)
        ])
        for (const error of errors) assert.match(error.message, /^BadResource: FileSystem\.\w+ \(f\): .*crashed$/)
        assert.strictEqual(disk.text("f"), "text")
        yield* on(
          disk,
          fs.use((fs) => fs.writeFileString("f", "again"))
        )
        yield* Scope.close(scope, Exit.void)
        assert.strictEqual(disk.text("f"), "again")
      })
    )
  }
})

/** What a call gave, as far as two file systems can agree. */
const summary = <A>(result: Result.Result<A, PlatformError.PlatformError>) =>
  Result.isSuccess(result)
    ? result.success
    : ((result.failure.reason.cause as { code?: string } | undefined)?.code ?? result.failure.reason._tag)

const names = ["a", "b", "d", "d/a", "d/e", "d/e/f", "a/x"]

/** One call at random; `at` says where a name is. */
const randomCall = (at: (name: string) => string): Effect.Effect<unknown, never, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const system = yield* FileSystem.FileSystem
    const pick = <A>(list: ReadonlyArray<A>) => Effect.map(Random.next, (n) => list[Math.floor(n * list.length)]!)
    const path = at(yield* pick(names))
    const other = at(yield* pick(names))
    const size = yield* Random.nextIntBetween(0, 9)
    const recursive = (yield* Random.next) < 0.4
    const flag = yield* pick(["r", "r+", "w", "wx", "w+", "wx+", "a", "ax", "a+", "ax+"] as const)
    const data = encode("abcdefghi".slice(size))
    const info = (info: FileSystem.File.Info) => [info.type, info.type === "File" && ByteSize.toNumberUnsafe(info.size)]
    const handle = Effect.gen(function* () {
      const file = yield* system.open(path, { flag })
      const steps: ReadonlyArray<Effect.Effect<unknown, PlatformError.PlatformError>> = [
        Effect.andThen(file.writeAll(data), file.stat).pipe(Effect.map(info)),
        file.write(data),
        file.seek(BigInt(size), "start"),
        file.seek(BigInt(-size), "current"),
        Effect.map(file.readAlloc(size), Option.map(decode)),
        Effect.map(file.readAlloc(size, { position: 1n }), Option.map(decode)),
        Effect.andThen(file.truncate(size), file.stat).pipe(Effect.map(info)),
        file.sync
      ]
      const results: Array<unknown> = []
      for (let i = 0; i < 6; i++) results.push(summary(yield* Effect.result(yield* pick(steps))))
      return results
    }).pipe(Effect.scoped)
    const call = yield* pick<readonly [string, Effect.Effect<unknown, PlatformError.PlatformError>]>([
      ["open", handle],
      ["open", handle],
      ["writeFile", system.writeFile(path, data, { flag: flag.startsWith("r") ? "w" : flag })],
      ["readFile", Effect.map(system.readFile(path), decode)],
      ["makeDirectory", Effect.asVoid(system.makeDirectory(path, { recursive }))],
      ["remove", system.remove(path, { recursive, force: size > 4 })],
      ["rename", system.rename(path, other)],
      ["rename", system.rename(path, other)],
      ["link", system.link(path, other)],
      ["copyFile", Effect.andThen(system.readFile(path), system.copyFile(path, other))],
      ["truncate", system.truncate(path, size)],
      ["stat", Effect.map(system.stat(path), info)],
      ["exists", system.exists(path)],
      ["access", system.access(path, { readable: true, writable: recursive })],
      ["realPath", Effect.asVoid(system.realPath(path))],
      ["readLink", system.readLink(path)],
      ["readDirectory", Effect.map(system.readDirectory(path, { recursive }), (list) => list.toSorted())],
      ["glob", system.glob("**", { root: path })]
    ])
    const result = summary(yield* Effect.result(call[1]))
    // Node's `rm` has a code of its own.
    return [call[0], result === "ERR_FS_EISDIR" ? "EISDIR" : result]
  })

describe("as a file system", () => {
  // Elsewhere some calls fail with other codes.
  it.effect.skipIf(process.platform !== "linux")("does what the real one does, call by call", () =>
    Effect.gen(function* () {
      const real = yield* FileSystem.FileSystem
      for (let seed = 1; seed <= 40; seed++) {
        const disk = yield* Disk.make()
        const folder = yield* real.makeTempDirectoryScoped()
        const calls = (at: (name: string) => string) =>
          Effect.forEach(Array.from({ length: 60 }), () => randomCall(at)).pipe(Random.withSeed(seed))
        const expected = yield* calls((name) => `${folder}/${name}`)
        const found = yield* on(
          disk,
          calls((name) => `/${name}`)
        )
        found.forEach((result, i) => assert.deepStrictEqual(result, expected[i], `seed ${seed}, call ${i}`))
        assert.deepStrictEqual(disk.open, [])
      }
    }).pipe(Effect.scoped, Effect.provide(NodeFileSystem.layer))
  )

  it.effect("reads zeros where a file was cut and made longer again", () =>
    Effect.gen(function* () {
      const disk = yield* Disk.make({ files: { f: "abc" } })
      yield* disk.fileSystem.truncate("f", 1)
      yield* disk.fileSystem.truncate("f", 3)
      assert.strictEqual(disk.text("f"), "a\0\0")
    })
  )

  it.effect("copies folders, and leaves alone what is there unless told", () =>
    Effect.gen(function* () {
      const disk = yield* Disk.make({ files: { "a/x": "new", "a/b/y": "deep", "c/x": "old" } })
      yield* on(
        disk,
        fs.use((fs) => fs.copy("a", "c"))
      )
      assert.deepStrictEqual([disk.text("c/x"), disk.text("c/b/y")], ["old", "deep"])
      yield* on(
        disk,
        fs.use((fs) => fs.copy("a", "c", { overwrite: true }))
      )
      assert.strictEqual(disk.text("c/x"), "new")
      const error = yield* Effect.flip(disk.fileSystem.copy("a", "a/b/c"))
      assert.include(error.message, "cannot be copied into itself")
    })
  )

  it.effect("keeps permissions and owners", () =>
    Effect.gen(function* () {
      const disk = yield* Disk.make({ files: { f: "text" } })
      const system = disk.fileSystem
      yield* system.chmod("f", 0o444)
      yield* system.chown("f", 3, 4)
      const info = yield* system.stat("f")
      assert.deepStrictEqual([info.mode & 0o777, info.uid, info.gid], [0o444, Option.some(3), Option.some(4)])
      const error = yield* Effect.flip(system.writeFileString("f", "more"))
      assert.strictEqual(error.reason._tag, "PermissionDenied")
      yield* system.chmod("f", 0o200)
      assert.strictEqual((yield* Effect.flip(system.readFileString("f"))).reason._tag, "PermissionDenied")
      yield* system.chmod("/tmp", 0o500)
      assert.strictEqual((yield* Effect.flip(system.makeTempFile())).reason._tag, "PermissionDenied")
    })
  )

  it.effect("numbers its files, so that one that takes the place of another is told from it", () =>
    Effect.gen(function* () {
      const numbers = Effect.gen(function* () {
        const disk = yield* Disk.make({ files: { f: "text" } })
        const system = disk.fileSystem
        const inode = (path: string) => Effect.map(system.stat(path), (info) => Option.getOrThrow(info.ino))
        const first = yield* inode("f")
        yield* system.writeFileString("f", "more")
        yield* system.link("f", "linked")
        yield* system.rename("f", "moved")
        yield* system.copyFile("moved", "f")
        const handle = yield* system.open("f")
        yield* system.rename("moved", "f")
        assert.deepStrictEqual([yield* inode("f"), yield* inode("linked")], [first, first])
        const open = Option.getOrThrow((yield* handle.stat).ino)
        assert.notStrictEqual(open, first)
        yield* system.remove("f")
        yield* system.writeFileString("f", "text")
        const last = yield* inode("f")
        assert.notInclude([first, open], last)
        yield* system.open("f").pipe(Effect.flatMap((file) => file.sync))
        yield* disk.crash
        assert.strictEqual(yield* inode("f"), last)
        assert.notInclude([first, open, last], yield* inode("/"))
        return [first, open, last]
      }).pipe(Effect.scoped)
      assert.deepStrictEqual(yield* numbers, yield* numbers)
    })
  )

  it.effect("shows a reader that its file was replaced", () =>
    Effect.gen(function* () {
      const disk = yield* Disk.make({ files: { f: "a\nb\n", other: "c\nd\n" } })
      const error = yield* Files.lines("f")
        .read(Option.none())
        .pipe(
          Stream.runForEach(() => disk.fileSystem.rename("other", "f").pipe(Effect.ignore)),
          Effect.flip,
          (reading) => on(disk, reading)
        )
      assert.strictEqual(error.kind, "Replaced")
    })
  )

  it.effect("takes its times from the clock", () =>
    Effect.gen(function* () {
      const disk = yield* Disk.make({ files: { f: "" } })
      const system = disk.fileSystem
      const mtime = Effect.map(system.stat("f"), (info) => Option.getOrThrow(info.mtime).getTime())
      assert.strictEqual(yield* mtime, 0)
      yield* TestClock.adjust("5 seconds")
      yield* system.writeFileString("f", "x")
      assert.strictEqual(yield* mtime, 5000)
      yield* system.utimes("f", 1, 2)
      assert.strictEqual(yield* mtime, 2000)
    })
  )

  it.effect("makes temporary files and folders, and removes the scoped ones", () =>
    Effect.gen(function* () {
      const disk = yield* Disk.make()
      const system = disk.fileSystem
      const made = yield* Effect.scoped(
        Effect.gen(function* () {
          yield* system.makeTempFileScoped({ prefix: "p-", suffix: ".txt" })
          const kept = yield* system.makeTempFile({ directory: yield* system.makeTempDirectory() })
          yield* system.writeFileString(`${yield* system.makeTempDirectoryScoped()}/in-it`, "")
          assert.strictEqual(disk.paths.length, 3)
          assert.match(disk.paths.join(), /\/tmp\/p-[^/]*\/[^/]*\.txt/)
          return kept
        })
      )
      assert.deepStrictEqual(disk.paths, [made])
    })
  )

  it.effect("has streams and sinks", () =>
    Effect.gen(function* () {
      const disk = yield* Disk.make()
      const chunks = Stream.make("ab", "cd").pipe(Stream.encodeText)
      yield* Stream.run(chunks, disk.fileSystem.sink("f"))
      const read = disk.fileSystem.stream("f", { chunkSize: 3, offset: 1 }).pipe(Stream.decodeText, Stream.runCollect)
      assert.deepStrictEqual(yield* read, ["bcd"])
      assert.deepStrictEqual(disk.open, [])
    })
  )

  it.effect("says what it cannot do", () =>
    Effect.gen(function* () {
      const { fileSystem } = yield* Disk.make({ files: { f: "" } })
      const link = yield* Effect.flip(fileSystem.symlink("f", "g"))
      assert.include(link.message, "knows no symbolic links")
      const watch = yield* Effect.flip(Stream.runDrain(fileSystem.watch("f")))
      assert.include(watch.message, "cannot be watched")
    })
  )

  it.effect("knows who has not closed a file", () =>
    Effect.gen(function* () {
      const disk = yield* Disk.make({ files: { f: "" } })
      const scope = yield* Scope.make()
      yield* Scope.provide(disk.fileSystem.open("f"), scope)
      assert.deepStrictEqual(disk.open, ["f"])
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual(disk.open, [])
    })
  )

  it.effect("a call that is cancelled may have happened", () =>
    Effect.gen(function* () {
      const disk = yield* Disk.make()
      const fiber = yield* Effect.forkChild(disk.fileSystem.writeFileString("f", "text"), { startImmediately: true })
      yield* Fiber.interrupt(fiber)
      assert.isTrue(Exit.isFailure(yield* Fiber.await(fiber)))
      assert.strictEqual(disk.text("f"), "text")
    })
  )
})

describe("the capacity", () => {
  it.effect("is what all files have together: a write that needs more leaves what there was room for", () =>
    Effect.gen(function* () {
      const disk = yield* Disk.make({ files: { other: "12345" }, capacity: 10 })
      const system = disk.fileSystem
      const error = yield* Effect.flip(system.writeFileString("f", "abcdefgh"))
      assert.strictEqual((error.reason.cause as { code: string }).code, "ENOSPC")
      assert.strictEqual(disk.text("f"), "abcde")
      yield* system.writeFileString("f", "fghij", { flag: "r+" })
      assert.isTrue(Exit.isFailure(yield* Effect.exit(system.truncate("f", 6))))
      yield* system.remove("other")
      yield* system.writeFileString("f", "0123456789")
      assert.strictEqual(disk.text("f"), "0123456789")
    })
  )

  it.effect("stops a pipeline with an error for people, which goes on when there is room", () =>
    Effect.gen(function* () {
      const lines = Array.from({ length: 6 }, (_, n) => `${n}${"x".repeat(198)}\n`)
      const disk = yield* Disk.make({ files: { "in.txt": lines.join("") }, capacity: 6000 })
      const job = Pipeline.from(Files.lines("in.txt")).pipe(Pipeline.to(Files.lines("out.txt")))
      const run = on(disk, Pipeline.run(job, { name: "copy", maxRows: 2 }))
      // What is left is enough to say who writes to the file, and for some of the lines.
      yield* disk.fileSystem.writeFileString("ballast", "x".repeat(6000 - 1200 - 1000))
      const error = yield* Effect.flip(run)
      assert.include(error.message, 'Could not write "out.txt": the disk is full')
      assert.strictEqual(disk.text("out.txt"), lines.slice(0, 2).join(""))
      yield* disk.fileSystem.remove("ballast")
      yield* run
      assert.strictEqual(disk.text("out.txt"), disk.text("in.txt"))
    }).pipe(Effect.provide(Journal.memory))
  )
})
