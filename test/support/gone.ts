/** A process that is gone at a call that changes the disk, or in the middle of a write; and processes that know all others as gone. */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import type { Host } from "../../src/pipeline/context/Host.ts"

/** The file system until its `last` call that changes something, with which the process is gone; and how many there were. */
export const until = (fs: FileSystem.FileSystem, last: number) => {
  const calls = { count: 0, last: "" }
  const gone = Effect.suspend(() => (calls.count > last ? Effect.die("killed") : Effect.void))
  const counted =
    <Args extends ReadonlyArray<unknown>, A, E, R>(name: string, call: (...args: Args) => Effect.Effect<A, E, R>) =>
    (...args: Args) =>
      Effect.suspend(() => {
        calls.count += 1
        if (calls.count === last + 1) calls.last = `${name} ${String(args[0])}`
        return Effect.andThen(gone, call(...args))
      })
  const file = (one: FileSystem.File): FileSystem.File => ({
    ...one,
    [FileSystem.FileTypeId]: FileSystem.FileTypeId,
    stat: Effect.andThen(gone, one.stat),
    sync: counted("sync", () => one.sync)(),
    seek: (offset, from) => Effect.andThen(gone, one.seek(offset, from)),
    read: (buffer, options) => Effect.andThen(gone, one.read(buffer, options)),
    truncate: counted("truncate", (length) => one.truncate(length)),
    // Half of it, and then all of it.
    writeAll: (bytes) =>
      Effect.suspend(() => {
        calls.count += 1
        if (calls.count !== last + 1) return Effect.andThen(gone, one.writeAll(bytes))
        calls.last = "half of a write"
        return Effect.andThen(one.writeAll(bytes.subarray(0, bytes.length >> 1)), gone)
      })
  })
  const system: FileSystem.FileSystem = {
    ...fs,
    open: (path, options) => Effect.map(Effect.andThen(gone, fs.open(path, options)), file),
    remove: counted("remove", fs.remove),
    rename: counted("rename", fs.rename),
    link: counted("link", fs.link),
    makeDirectory: counted("makeDirectory", fs.makeDirectory),
    chmod: counted("chmod", fs.chmod)
  }
  return { calls, system }
}

/** A process that knows all others as gone. */
export const alone = (id: string): Host => ({ id, label: `process ${id}`, runs: (other) => other === id })
