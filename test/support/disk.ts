/** The real file system with something changed about its files: short reads, a full disk, a record of what happens. */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as PlatformError from "effect/PlatformError"

type FileChanges = (file: FileSystem.File, path: string) => Partial<FileSystem.File>

/** Runs an effect with every opened file, and the file system itself, changed as told. */
export const changed =
  (files: FileChanges, system: (fs: FileSystem.FileSystem) => Partial<FileSystem.FileSystem> = () => ({})) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R | FileSystem.FileSystem> =>
    Effect.updateService(effect, FileSystem.FileSystem, (fs) => ({
      ...fs,
      open: (path, options) =>
        Effect.map(fs.open(path, options), (file) => ({ ...delegate(file), ...files(file, path) })),
      ...system(fs)
    }))

const delegate = (file: FileSystem.File): FileSystem.File => ({
  [FileSystem.FileTypeId]: FileSystem.FileTypeId,
  stat: file.stat,
  sync: file.sync,
  seek: (offset, from) => file.seek(offset, from),
  read: (buffer, options) => file.read(buffer, options),
  readAlloc: (size, options) => file.readAlloc(size, options),
  truncate: (length) => file.truncate(length),
  write: (buffer) => file.write(buffer),
  writeAll: (buffer) => file.writeAll(buffer)
})

/** Every read gives at most `size` bytes. */
export const shortReads = (size: number) =>
  changed((file) => ({ read: (buffer, options) => file.read(buffer.subarray(0, size), options) }))

/** An error of the system, as Node reports it. */
export const fault = (code: string, method: string): PlatformError.PlatformError =>
  PlatformError.systemError({
    _tag: "Unknown",
    module: "FileSystem",
    method,
    cause: Object.assign(new Error(`${code}: it failed`), { code })
  })

/** Writes the names of what is done to files into `log`, when it is done. */
export const recorded = (log: Array<string>) =>
  changed(
    (file, path) => {
      const name = path.slice(path.lastIndexOf("/") + 1)
      const done = (what: string) => Effect.sync(() => void log.push(`${what} ${name}`))
      return {
        sync: Effect.tap(file.sync, done("sync")),
        truncate: (length) => Effect.tap(file.truncate(length), done("truncate")),
        writeAll: (buffer) => Effect.tap(file.writeAll(buffer), done("write"))
      }
    },
    (fs) => ({
      rename: (from, to) =>
        Effect.tap(
          fs.rename(from, to),
          Effect.sync(() => void log.push("rename"))
        )
    })
  )
