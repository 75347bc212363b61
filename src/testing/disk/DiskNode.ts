/** What a simulated disk is made of: files and folders, each as a program sees it and as a power loss leaves it. */
import * as Effect from "effect/Effect"
import * as Choices from "../Choices.ts"
import type { Code } from "./FileError.ts"

/** Thrown inside of the disk, where it is not known which call it is that fails. */
export class Refused extends Error {
  readonly code: Code
  readonly detail: string | undefined
  constructor(code: Code, detail?: string) {
    super(detail === undefined ? code : `${code}: ${detail}`)
    this.code = code
    this.detail = detail
  }
}

export type Node = FileNode | FolderNode

class Attributes {
  /** Tells it from every other node that its disk has ever had. */
  readonly inode: number
  mode: number
  uid = 0
  gid = 0
  readonly birthtime: number
  mtime: number
  atime: number
  constructor(inode: number, mode: number, now: number) {
    this.inode = inode
    this.mode = mode
    this.birthtime = this.mtime = this.atime = now
  }

  demand(permission: "read" | "write"): void {
    if ((this.mode & (permission === "read" ? 0o400 : 0o200)) === 0) throw new Refused("EACCES")
  }
}

export class FolderNode extends Attributes {
  readonly type = "Directory"
  entries: Map<string, Node> = new Map()
  durable: Map<string, Node> = new Map()
}

type Change = { readonly at: number; readonly bytes: Uint8Array } | { readonly length: number }

export class FileNode extends Attributes {
  readonly type = "File"
  content: Bytes = new Bytes()
  durable: Bytes = new Bytes()
  /** What the content has and the durable one does not. */
  private pending: Array<Change> = []

  write(at: number, bytes: Uint8Array, now: number): void {
    this.change({ at, bytes: bytes.slice() }, now)
  }

  truncate(length: number, now: number): void {
    if (length !== this.content.length) this.change({ length }, now)
  }

  sync(): void {
    for (const change of this.pending) this.durable.apply(change)
    this.pending = []
  }

  /** Each change that was not synced survives or not, whatever becomes of the others; of a write, maybe its beginning. */
  readonly crash: Effect.Effect<void> = Effect.gen({ self: this }, function* () {
    for (const change of this.pending) {
      const left = yield* survivor(change)
      if (left !== undefined) this.durable.apply(left)
    }
    this.pending = []
    this.content = this.durable.copy()
  })

  private change(change: Change, now: number): void {
    this.content.apply(change)
    this.pending.push(change)
    this.mtime = now
  }
}

const survivor = (change: Change): Effect.Effect<Change | undefined> => {
  if (!("bytes" in change) || change.bytes.length < 2) {
    return Effect.map(Choices.choose(2), (lost) => (lost === 0 ? change : undefined))
  }
  const { at, bytes } = change
  return Effect.flatMap(Choices.choose(3), (fate) => {
    if (fate !== 1) return Effect.succeed(fate === 0 ? change : undefined)
    return Effect.map(Choices.choose(bytes.length - 1), (cut) => ({
      at,
      bytes: bytes.subarray(0, bytes.length - 1 - cut)
    }))
  })
}

/** Bytes that can be written anywhere; what was skipped reads as zeros. */
class Bytes {
  length = 0
  private buffer = new Uint8Array(0)

  apply(change: Change): void {
    if ("bytes" in change) {
      this.resize(Math.max(this.length, change.at + change.bytes.length))
      this.buffer.set(change.bytes, change.at)
    } else {
      this.resize(change.length)
    }
  }

  /** From `start` to `end`, or to the end of the file; not a copy. */
  view(start = 0, end: number = this.length): Uint8Array {
    return this.buffer.subarray(Math.min(start, this.length), Math.min(end, this.length))
  }

  copy(): Bytes {
    const copy = new Bytes()
    copy.apply({ at: 0, bytes: this.view() })
    return copy
  }

  private resize(length: number): void {
    if (length > this.buffer.length) {
      const larger = new Uint8Array(Math.max(length, this.buffer.length * 2))
      larger.set(this.view())
      this.buffer = larger
    }
    this.buffer.fill(0, length, this.length)
    this.length = length
  }
}
