/** All that a program does with files, led through one place: for faults and for crash points. */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import type * as PlatformError from "effect/PlatformError"
import * as Stream from "effect/Stream"

/** A call of the file system or of an open file. */
export interface FileCall {
  /**
   * The name of the function, but "read" for `readFile` and `readAlloc`, and "write" for `writeFile` and `writeAll`. Streams,
   * sinks and strings come down to "open", "read" and "write".
   */
  readonly method: string
  readonly path: string
  /** Of a rename, copy or link: the other path. */
  readonly to?: string | undefined
  /** Of a write: how many bytes. */
  readonly size?: number | undefined
}

type Perform<A, R = never> = Effect.Effect<A, PlatformError.PlatformError, R>

export interface Around {
  readonly call: <A, R>(call: FileCall, perform: Perform<A, R>) => Perform<A, R>
  readonly write: <A>(call: FileCall, bytes: Uint8Array, perform: (bytes: Uint8Array) => Perform<A>) => Perform<A>
  readonly sync: (call: FileCall, perform: Perform<void>) => Perform<void>
}

export const around = (fs: FileSystem.FileSystem, { call, sync, write }: Around): FileSystem.FileSystem => {
  const openFile = (file: FileSystem.File, path: string): FileSystem.File => ({
    [FileSystem.FileTypeId]: FileSystem.FileTypeId,
    stat: call({ method: "stat", path }, file.stat),
    sync: sync({ method: "sync", path }, file.sync),
    seek: (offset, from) => call({ method: "seek", path }, file.seek(offset, from)),
    read: (buffer, options) => call({ method: "read", path }, file.read(buffer, options)),
    readAlloc: (size, options) => call({ method: "read", path }, file.readAlloc(size, options)),
    truncate: (length) => call({ method: "truncate", path }, file.truncate(length)),
    write: (buffer) => write({ method: "write", path, size: buffer.length }, buffer, (bytes) => file.write(bytes)),
    writeAll: (buffer) => write({ method: "write", path, size: buffer.length }, buffer, (bytes) => file.writeAll(bytes))
  })
  const temporary = <A, R>(
    method: string,
    options: { readonly directory?: string | undefined } | undefined,
    perform: Perform<A, R>
  ) => call({ method, path: options?.directory ?? "" }, perform)

  return FileSystem.make({
    access: (path, options) => call({ method: "access", path }, fs.access(path, options)),
    copy: (path, to, options) => call({ method: "copy", path, to }, fs.copy(path, to, options)),
    copyFile: (path, to) => call({ method: "copyFile", path, to }, fs.copyFile(path, to)),
    chmod: (path, mode) => call({ method: "chmod", path }, fs.chmod(path, mode)),
    chown: (path, uid, gid) => call({ method: "chown", path }, fs.chown(path, uid, gid)),
    link: (path, to) => call({ method: "link", path, to }, fs.link(path, to)),
    lstat: (path) => call({ method: "lstat", path }, fs.lstat(path)),
    makeDirectory: (path, options) => call({ method: "makeDirectory", path }, fs.makeDirectory(path, options)),
    makeTempDirectory: (options) => temporary("makeTempDirectory", options, fs.makeTempDirectory(options)),
    makeTempDirectoryScoped: (options) =>
      temporary("makeTempDirectoryScoped", options, fs.makeTempDirectoryScoped(options)),
    makeTempFile: (options) => temporary("makeTempFile", options, fs.makeTempFile(options)),
    makeTempFileScoped: (options) => temporary("makeTempFileScoped", options, fs.makeTempFileScoped(options)),
    open: (path, options) =>
      Effect.map(call({ method: "open", path }, fs.open(path, options)), (file) => openFile(file, path)),
    readDirectory: (path, options) => call({ method: "readDirectory", path }, fs.readDirectory(path, options)),
    readDirectoryEntries: (path) => call({ method: "readDirectoryEntries", path }, fs.readDirectoryEntries(path)),
    readFile: (path) => call({ method: "read", path }, fs.readFile(path)),
    readLink: (path) => call({ method: "readLink", path }, fs.readLink(path)),
    realPath: (path) => call({ method: "realPath", path }, fs.realPath(path)),
    remove: (path, options) => call({ method: "remove", path }, fs.remove(path, options)),
    rename: (path, to) => call({ method: "rename", path, to }, fs.rename(path, to)),
    stat: (path) => call({ method: "stat", path }, fs.stat(path)),
    symlink: (path, to) => call({ method: "symlink", path, to }, fs.symlink(path, to)),
    truncate: (path, length) => call({ method: "truncate", path }, fs.truncate(path, length)),
    utimes: (path, atime, mtime) => call({ method: "utimes", path }, fs.utimes(path, atime, mtime)),
    watch: (path, options) =>
      Stream.unwrap(
        call(
          { method: "watch", path },
          Effect.sync(() => fs.watch(path, options))
        )
      ),
    writeFile: (path, data, options) =>
      write({ method: "write", path, size: data.length }, data, (bytes) => fs.writeFile(path, bytes, options))
  })
}
