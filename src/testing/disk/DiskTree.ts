/**
 * The folders of a simulated disk. Changes of folders are kept in their order, as a journaling file system does: a sync
 * makes durable all of them up to the last that concerns what is synced, and a power loss keeps the first so many.
 */
import * as Effect from "effect/Effect"
import * as Choices from "../Choices.ts"
import { FileNode, FolderNode, type Node, Refused } from "./DiskNode.ts"

export interface Place {
  readonly folder: FolderNode
  readonly name: string
}

/** What becomes of a name; without a node it is removed. */
export interface Change extends Place {
  readonly node: Node | undefined
}

/** What happens at once, or not at all. */
type Step = ReadonlyArray<Change>

export class DiskTree {
  readonly root: FolderNode
  /** The changes that are not durable yet. */
  private pending: Array<Step> = []
  private inodes = 0

  constructor(now: number) {
    this.root = this.newFolder(0o755, now)
  }

  newFile(mode: number, now: number): FileNode {
    return new FileNode(++this.inodes, mode, now)
  }

  newFolder(mode: number, now: number): FolderNode {
    return new FolderNode(++this.inodes, mode, now)
  }

  find(path: string): Node | undefined {
    let node: Node | undefined = this.root
    for (const part of partsOf(path)) {
      if (node === undefined) return undefined
      if (node.type === "File") throw new Refused("ENOTDIR")
      node = node.entries.get(part)
    }
    return node
  }

  get(path: string): Node {
    const node = this.find(path)
    if (node === undefined) throw new Refused("ENOENT")
    return node
  }

  file(path: string): FileNode {
    const node = this.get(path)
    if (node.type === "Directory") throw new Refused("EISDIR")
    return node
  }

  folder(path: string): FolderNode {
    const node = this.get(path)
    if (node.type === "File") throw new Refused("ENOTDIR")
    return node
  }

  /** Where the name of `path` stands or would stand; its folder has to exist. */
  place(path: string): Place {
    const parts = partsOf(path)
    const name = parts.pop()
    if (name === undefined) throw new Refused("EBUSY", "it is the root of the disk")
    return { folder: this.folder(`/${parts.join("/")}`), name }
  }

  /** Makes changes of folders that survive together or not at all. */
  change(step: Step, now: number): void {
    for (const { folder } of step) folder.demand("write")
    for (const change of step) {
      apply(change, "entries")
      change.folder.mtime = now
    }
    this.pending.push(step)
  }

  /** What `fsync` does: of a file, its content and the steps that led to its name; of a folder, the steps up to its last. */
  sync(node: Node): void {
    if (node.type === "File") node.sync()
    const last = this.pending.findLastIndex((step) =>
      step.some((change) => change.folder === node || change.node === node)
    )
    for (const change of this.pending.splice(0, last + 1).flat()) apply(change, "durable")
  }

  syncAll(): void {
    for (const [, node] of this.walk("entries")) this.sync(node)
  }

  readonly crash: Effect.Effect<void> = Effect.gen({ self: this }, function* () {
    const steps = this.pending
    const lost = steps.length === 0 ? 0 : yield* Choices.choose(steps.length + 1)
    for (const change of steps.slice(0, steps.length - lost).flat()) apply(change, "durable")
    this.pending = []
    for (const node of new Set(this.walk("durable").map(([, node]) => node))) {
      if (node.type === "File") yield* node.crash
      else node.entries = new Map(node.durable)
    }
    this.root.entries = new Map(this.root.durable)
  })

  /** All there is, each folder before what is in it. */
  walk(layer: Layer, folder: FolderNode = this.root, under = ""): Array<readonly [path: string, node: Node]> {
    return Array.from(folder[layer]).flatMap(([name, node]) => [
      [under + name, node] as const,
      ...(node.type === "Directory" ? this.walk(layer, node, `${under}${name}/`) : [])
    ])
  }

  /** How many bytes are in use. */
  used(): number {
    let sum = 0
    for (const node of new Set(this.walk("entries").map(([, node]) => node))) {
      if (node.type === "File") sum += node.content.length
    }
    return sum
  }
}

export type Layer = "entries" | "durable"

const apply = ({ folder, name, node }: Change, layer: Layer): void => {
  if (node === undefined) folder[layer].delete(name)
  else folder[layer].set(name, node)
}

/** Relative paths start at the root; `..` is resolved in the text, as there are no links. */
export const partsOf = (path: string): Array<string> => {
  const parts: Array<string> = []
  for (const part of path.split("/")) {
    if (part === "..") parts.pop()
    else if (part !== "" && part !== ".") parts.push(part)
  }
  return parts
}
