/**
 * A file system in memory that can lose power. It keeps what was written in two layers, as a machine does: the one that
 * programs see, and the durable one.
 *
 * - A crash keeps what is durable. Of what is not, each write, whole or cut off, and each truncation survives or does not,
 *   whatever becomes of the others; what was skipped reads as zeros.
 * - Syncing a file makes its content durable and, as on ext4, XFS and APFS, its name. It does not make a later name durable:
 *   after a rename the folder has to be synced.
 * - Changes of folders (create, rename, remove) are kept in their order: a crash keeps the first so many, and syncing a
 *   folder makes durable all of them up to its last. A rename happens as a whole.
 * - Permissions, owners and times are not part of this: they stay as they are.
 */
import * as Context from "effect/Context"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import type { Handle, Handles } from "./disk/DiskFile.ts"
import * as DiskSystem from "./disk/DiskSystem.ts"
import { note } from "./sim/Control.ts"
import { DiskTree, type Layer as TreeLayer, partsOf } from "./disk/DiskTree.ts"

export interface Disk {
  readonly fileSystem: FileSystem.FileSystem
  /** The `fileSystem` as a layer, for a program or for the faults around it. */
  readonly layer: Layer.Layer<FileSystem.FileSystem>
  /**
   * The power goes off and comes back: whatever was not synced survives or not, by `Choices`; on a good day all of it. The
   * files that were open fail from now on.
   */
  readonly crash: Effect.Effect<void>
  /** The process ends, the machine goes on: all that was written stays. The files that were open fail from now on. */
  readonly kill: Effect.Effect<void>
  /** What a file has now; undefined where there is none. */
  readonly text: (path: string) => string | undefined
  /** What a file has after a crash that loses all that may be lost; undefined where there is none. */
  readonly durable: (path: string) => string | undefined
  /** All files that there are. */
  readonly paths: ReadonlyArray<string>
  /** The paths of the files and folders that are open, once for each time. */
  readonly open: ReadonlyArray<string>
}

export interface Options {
  /** What there is from the start, durably; missing folders are made. */
  readonly files?: { readonly [path: string]: string | Uint8Array } | undefined
  /** How many bytes all files may have together; whatever needs more fails with ENOSPC. Default: no end of them. */
  readonly capacity?: number | undefined
}

/**
 * The disk that `layer` provides, for whoever wants to crash it or to look at it.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import * as FileSystem from "effect/FileSystem"
 * import { Disk } from "skein/testing"
 *
 * const program = Effect.gen(function*() {
 *   const fs = yield* FileSystem.FileSystem
 *   yield* fs.writeFileString("new.txt", "not synced")
 *   const disk = yield* Disk.Disk
 *   return [disk.text("new.txt"), disk.durable("new.txt")]
 * })
 *
 * await Effect.runPromise(Effect.provide(program, Disk.layer())) // => ["not synced", undefined]
 * ```
 */
export const Disk: Context.Service<Disk, Disk> = Context.Service("skein/testing/Disk")

/**
 * A disk with the given files and an empty folder `/tmp`; relative paths start at its root. It outlives the program that
 * uses it, so that a second one can be run on what a crash has left. Times come from the `Clock`. It knows no symbolic
 * links and cannot be watched: that fails with ENOTSUP.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import * as FileSystem from "effect/FileSystem"
 * import { Disk } from "skein/testing"
 *
 * const disk = await Effect.runPromise(Disk.make({ files: { "state.txt": "old" } }))
 * const program = FileSystem.FileSystem.use((fs) => fs.writeFileString("state.txt", "new"))
 *
 * await Effect.runPromise(Effect.provide(program, disk.layer))
 * disk.text("state.txt") // => "new"
 * disk.durable("state.txt") // => "old"
 * ```
 */
export const make = (options: Options = {}): Effect.Effect<Disk> =>
  Clock.clockWith((clock) => Effect.sync(() => makeAt(clock.currentTimeMillisUnsafe(), options)))

/**
 * A disk of its own for a program, as its `FileSystem` and as `Disk`; see `make`.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { Files } from "skein"
 * import { Disk } from "skein/testing"
 *
 * const program = Effect.andThen(
 *   Files.writeAtomic("state.txt", "whole"),
 *   Disk.Disk.use((disk) => Effect.as(disk.crash, disk.text("state.txt")))
 * )
 *
 * await Effect.runPromise(Effect.provide(program, Disk.layer())) // => "whole"
 * ```
 */
export const layer = (options?: Options): Layer.Layer<Disk | FileSystem.FileSystem> =>
  Layer.effectContext(
    Effect.map(make(options), (disk) =>
      Context.make(Disk, disk).pipe(Context.add(FileSystem.FileSystem, disk.fileSystem))
    )
  )

const makeAt = (now: number, { capacity = Infinity, files = {} }: Options): Disk => {
  const tree = new DiskTree(now)
  const open = new Set<Handle>()
  const handles: Handles = { tree, capacity, open }
  DiskSystem.makeFolders(tree, "/tmp", 0o777, now)
  for (const [path, content] of Object.entries(files)) {
    const folder = path.slice(0, path.lastIndexOf("/") + 1)
    DiskSystem.makeFolders(tree, folder || "/", 0o755, now)
    const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content
    DiskSystem.writeFile(handles, path, bytes, {}, now)
  }
  tree.syncAll()

  const fileSystem = DiskSystem.make(handles)
  const kill = Effect.sync(() => open.clear())
  const read =
    (layer: TreeLayer) =>
    (path: string): string | undefined => {
      const name = partsOf(path).join("/")
      const node = tree.walk(layer).find(([path]) => path === name)?.[1]
      if (node?.type !== "File") return undefined
      return new TextDecoder().decode((layer === "durable" ? node.durable : node.content).view())
    }
  return {
    fileSystem,
    layer: Layer.succeed(FileSystem.FileSystem, fileSystem),
    crash: note("the disk crashes").pipe(Effect.andThen(kill), Effect.andThen(tree.crash)),
    kill,
    text: read("entries"),
    durable: read("durable"),
    get paths() {
      return tree.walk("entries").flatMap(([path, node]) => (node.type === "File" ? [`/${path}`] : []))
    },
    get open() {
      return Array.from(open, (handle) => handle.path)
    }
  }
}
