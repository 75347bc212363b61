/** An open file of a simulated disk. */
import * as ByteSize from "effect/ByteSize"
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as PlatformError from "effect/PlatformError"
import { type FileNode, type Node, Refused } from "./DiskNode.ts"
import type { DiskTree } from "./DiskTree.ts"
import { type Code, fileError } from "./FileError.ts"

/**
 * A call of the file system. It happens at once and as a whole; then others run before its caller learns of it, so that
 * one that is cancelled may have happened, as with a real disk.
 */
export const call = <A>(
  method: string,
  path: string,
  perform: (now: number) => A
): Effect.Effect<A, PlatformError.PlatformError> =>
  Clock.clockWith((clock) => Effect.andThen(Effect.yieldNow, attempt(method, path, clock, perform)))

const attempt = <A>(
  method: string,
  path: string,
  clock: Clock.Clock,
  perform: (now: number) => A
): Exit.Exit<A, PlatformError.PlatformError> => {
  try {
    if (path === "") throw new Refused("ENOENT")
    return Exit.succeed(perform(clock.currentTimeMillisUnsafe()))
  } catch (error) {
    if (error instanceof Refused) return Exit.fail(fileError(error.code, method, path, error.detail))
    if (error instanceof RangeError) {
      return Exit.fail(PlatformError.badArgument({ module: "FileSystem", method, description: error.message }))
    }
    throw error
  }
}

/** All handles that are open, and what they share. */
export interface Handles {
  readonly tree: DiskTree
  readonly capacity: number
  readonly open: Set<Handle>
}

/** Where the next read or write takes place, and what may be done there. */
export class Handle {
  readonly path: string
  readonly node: Node
  private readonly flag: FileSystem.OpenFlag
  private readonly handles: Handles
  private position = 0

  constructor(handles: Handles, node: Node, path: string, flag: FileSystem.OpenFlag) {
    this.handles = handles
    this.node = node
    this.path = path
    this.flag = flag
    if (reads(flag)) node.demand("read")
    if (writes(flag)) {
      if (node.type === "Directory") throw new Refused("EISDIR")
      node.demand("write")
    }
  }

  /** What is open; after a crash nothing is. */
  live(): Node {
    if (!this.handles.open.has(this)) throw new Refused("EBADF", "it is closed, or was opened before the disk crashed")
    return this.node
  }

  sync(): void {
    this.handles.tree.sync(this.live())
  }

  seek(offset: bigint, from: FileSystem.SeekMode): bigint {
    this.live()
    const position = from === "start" ? Number(offset) : this.position + Number(offset)
    if (position < 0) throw new RangeError("Cannot seek before the start of the file")
    this.position = position
    return BigInt(position)
  }

  /** A copy of up to `size` bytes. */
  read(size: number, at: bigint | undefined): Uint8Array {
    if (!Number.isInteger(size) || size < 0) throw new RangeError("size must be a non-negative integer")
    if (at !== undefined && at < 0n) throw new RangeError("Cannot read before the start of the file")
    this.live()
    // Node does not even ask.
    if (size === 0) return new Uint8Array()
    if (!reads(this.flag)) throw new Refused("EBADF", "it was opened for writing only")
    const start = at === undefined ? this.position : Number(at)
    const bytes = this.file()
      .content.view(start, start + size)
      .slice()
    if (at === undefined) this.position = start + bytes.length
    return bytes
  }

  truncate(length: number, now: number): void {
    this.writable("EINVAL").truncate(this.allowed(length), now)
    if (!this.appends) this.position = Math.min(this.position, length)
  }

  /** Writes what there is room for, and at least a byte of it. */
  write(bytes: Uint8Array, now: number): number {
    const file = this.writable("EBADF")
    const at = this.appends ? file.content.length : this.position
    const end = this.allowed(at + bytes.length, bytes.length === 0 ? at : at + 1)
    file.write(at, bytes.subarray(0, end - at), now)
    if (!this.appends) this.position = end
    return end - at
  }

  writeAll(bytes: Uint8Array, now: number): void {
    for (let done = 0; done < bytes.length;) done += this.write(bytes.subarray(done), now)
  }

  private get appends(): boolean {
    return this.flag.startsWith("a")
  }

  private file(): FileNode {
    const node = this.live()
    if (node.type === "Directory") throw new Refused("EISDIR")
    return node
  }

  private writable(otherwise: Code): FileNode {
    if (!writes(this.flag)) throw new Refused(otherwise, "it was opened for reading only")
    return this.file()
  }

  /** How long the file may become, when it should become `length` long and at least `least`. */
  private allowed(length: number, least: number = length): number {
    const now = this.file().content.length
    const { capacity, tree } = this.handles
    if (length <= now || capacity === Infinity) return length
    const room = Math.min(length, now + Math.max(0, capacity - tree.used()))
    if (room < least) throw new Refused("ENOSPC")
    return room
  }
}

const reads = (flag: FileSystem.OpenFlag): boolean => flag.startsWith("r") || flag.endsWith("+")
const writes = (flag: FileSystem.OpenFlag): boolean => flag !== "r"

export const fileOf = (handle: Handle): FileSystem.File => {
  const perform = <A>(method: string, run: (now: number) => A) => call(method, handle.path, run)
  return {
    [FileSystem.FileTypeId]: FileSystem.FileTypeId,
    stat: perform("stat", () => infoOf(handle.live())),
    sync: perform("sync", () => handle.sync()),
    seek: (offset, from) => perform("seek", () => handle.seek(offset, from)),
    read: (buffer, options) =>
      perform("read", () => {
        const bytes = handle.read(buffer.length, options?.position)
        buffer.set(bytes)
        return bytes.length
      }),
    readAlloc: (size, options) =>
      perform("readAlloc", () => {
        const bytes = handle.read(size, options?.position)
        return bytes.length === 0 ? Option.none() : Option.some(bytes)
      }),
    truncate: (length = 0) => perform("truncate", (now) => handle.truncate(length, now)),
    write: (buffer) => perform("write", (now) => handle.write(buffer, now)),
    writeAll: (buffer) => perform("writeAll", (now) => handle.writeAll(buffer, now))
  }
}

export const infoOf = (node: Node): FileSystem.File.Info => ({
  type: node.type,
  mtime: Option.some(dateOf(node.mtime)),
  atime: Option.some(dateOf(node.atime)),
  birthtime: Option.some(dateOf(node.birthtime)),
  dev: 1n,
  ino: Option.some(BigInt(node.inode)),
  mode: (node.type === "File" ? 0o100000 : 0o40000) | node.mode,
  nlink: Option.none(),
  uid: Option.some(node.uid),
  gid: Option.some(node.gid),
  rdev: Option.none(),
  size: ByteSize.bytes(node.type === "File" ? node.content.length : 0),
  blksize: Option.none(),
  blocks: Option.none()
})

const dateOf = (millis: number): Date => DateTime.toDateUtc(DateTime.makeUnsafe(millis))
