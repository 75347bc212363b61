/** What `FileSystem` can do, on a simulated disk. */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import type * as PlatformError from "effect/PlatformError"
import * as Stream from "effect/Stream"
import { call, fileOf, Handle, type Handles, infoOf } from "./DiskFile.ts"
import { Refused } from "./DiskNode.ts"
import { type DiskTree, partsOf } from "./DiskTree.ts"
import { fileError } from "./FileError.ts"

export const make = (handles: Handles): FileSystem.FileSystem => {
  const { tree } = handles

  const temporary = (method: string, options: TemporaryOptions = {}) =>
    call(method, options.directory ?? "/tmp", (now) => makeTemporary(tree, options, now))
  const temporaryFile = (method: string, options: TemporaryOptions & { readonly suffix?: string | undefined } = {}) =>
    Effect.flatMap(temporary(method, options), (folder) =>
      call(method, folder, (now) => {
        const path = `${folder}/1${options.suffix ?? ""}`
        writeFile(handles, path, new Uint8Array(), {}, now)
        return path
      })
    )
  /** Removes the folder with the scope. */
  const scoped = (made: Effect.Effect<string, PlatformError.PlatformError>, folderOf: (path: string) => string) =>
    Effect.acquireRelease(made, (path) =>
      Effect.orDie(call("remove", path, (now) => remove(tree, folderOf(path), { recursive: true, force: true }, now)))
    )

  return FileSystem.make({
    access: (path, options = {}) =>
      call("access", path, () => {
        const node = tree.get(path)
        if (options.readable === true) node.demand("read")
        if (options.writable === true) node.demand("write")
      }),
    copy: (from, to, options = {}) => call("copy", from, (now) => copy(handles, from, to, options, now)),
    copyFile: (from, to) =>
      call("copyFile", from, (now) => writeFile(handles, to, tree.file(from).content.view().slice(), {}, now)),
    chmod: (path, mode) => call("chmod", path, () => void (tree.get(path).mode = mode & 0o7777)),
    chown: (path, uid, gid) => call("chown", path, () => void Object.assign(tree.get(path), { uid, gid })),
    link: (from, to) =>
      call("link", from, (now) => {
        const node = tree.get(from)
        const place = vacant(tree, to)
        if (node.type === "Directory") throw new Refused("EPERM")
        tree.change([{ ...place, node }], now)
      }),
    lstat: (path) => call("lstat", path, () => infoOf(tree.get(path))),
    makeDirectory: (path, { mode = 0o777, recursive = false } = {}) =>
      call("makeDirectory", path, (now) => {
        if (recursive) makeFolders(tree, path, mode, now)
        else tree.change([{ ...vacant(tree, path), node: tree.newFolder(mode & ~umask, now) }], now)
      }),
    makeTempDirectory: (options) => temporary("makeTempDirectory", options),
    makeTempDirectoryScoped: (options) => scoped(temporary("makeTempDirectoryScoped", options), (path) => path),
    makeTempFile: (options) => temporaryFile("makeTempFile", options),
    makeTempFileScoped: (options) => scoped(temporaryFile("makeTempFileScoped", options), (path) => `${path}/..`),
    open: (path, options = {}) =>
      Effect.acquireRelease(
        call("open", path, (now) => open(handles, path, options, now)),
        (handle) => Effect.sync(() => handles.open.delete(handle))
      ).pipe(Effect.map(fileOf)),
    readDirectory: (path, { recursive = false } = {}) =>
      call("readDirectory", path, () => {
        const folder = tree.folder(path)
        return recursive ? tree.walk("entries", folder).map(([path]) => path) : Array.from(folder.entries.keys())
      }),
    readDirectoryEntries: (path) =>
      call("readDirectoryEntries", path, () =>
        Array.from(tree.folder(path).entries, ([name, { type }]) => ({ name, type }))
      ),
    readFile: (path) =>
      call("readFile", path, () => {
        const file = tree.file(path)
        file.demand("read")
        return file.content.view().slice()
      }),
    readLink: (path) =>
      call("readLink", path, () => {
        tree.get(path)
        throw new Refused("EINVAL", "it is no symbolic link")
      }),
    realPath: (path) =>
      call("realPath", path, () => {
        tree.get(path)
        return realPath(path)
      }),
    remove: (path, options = {}) => call("remove", path, (now) => remove(tree, path, options, now)),
    rename: (from, to) => call("rename", from, (now) => rename(tree, from, to, now)),
    stat: (path) => call("stat", path, () => infoOf(tree.get(path))),
    symlink: (_, path) => Effect.fail(unsupported("symlink", path, "the simulated disk knows no symbolic links")),
    truncate: (path, length = 0) =>
      call("truncate", path, (now) =>
        use(handles, path, { flag: "r+" }, now, (handle) => handle.truncate(length, now))
      ),
    utimes: (path, atime, mtime) =>
      call("utimes", path, () => void Object.assign(tree.get(path), { atime: millis(atime), mtime: millis(mtime) })),
    watch: (path) => Stream.fail(unsupported("watch", path, "the simulated disk cannot be watched")),
    writeFile: (path, data, options = {}) =>
      call("writeFile", path, (now) => writeFile(handles, path, data, options, now))
  })
}

interface OpenOptions {
  readonly flag?: FileSystem.OpenFlag | undefined
  readonly mode?: number | undefined
}

interface TemporaryOptions {
  readonly directory?: string | undefined
  readonly prefix?: string | undefined
}

const umask = 0o022

const open = (handles: Handles, path: string, { flag = "r", mode = 0o666 }: OpenOptions, now: number): Handle => {
  const { tree } = handles
  let node = tree.find(path)
  if (node === undefined) {
    if (flag.startsWith("r")) throw new Refused("ENOENT")
    node = tree.newFile(mode & ~umask, now)
    tree.change([{ ...tree.place(path), node }], now)
  } else if (flag.includes("x")) {
    throw new Refused("EEXIST")
  }
  const handle = new Handle(handles, node, path, flag)
  handles.open.add(handle)
  if (flag.startsWith("w")) handle.truncate(0, now)
  return handle
}

const use = (
  handles: Handles,
  path: string,
  options: OpenOptions,
  now: number,
  body: (handle: Handle) => void
): void => {
  const handle = open(handles, path, options, now)
  try {
    body(handle)
  } finally {
    handles.open.delete(handle)
  }
}

export const writeFile = (handles: Handles, path: string, data: Uint8Array, options: OpenOptions, now: number): void =>
  use(handles, path, { ...options, flag: options.flag ?? "w" }, now, (handle) => handle.writeAll(data, now))

export const makeFolders = (tree: DiskTree, path: string, mode: number, now: number): void => {
  let made = ""
  for (const part of partsOf(path)) {
    made += `/${part}`
    if (tree.find(made) === undefined) {
      tree.change([{ ...tree.place(made), node: tree.newFolder(mode & ~umask, now) }], now)
    }
  }
  if (tree.get(path).type === "File") throw new Refused("EEXIST")
}

const makeTemporary = (tree: DiskTree, { directory = "/tmp", prefix = "" }: TemporaryOptions, now: number): string => {
  for (let number = 1; ; number++) {
    const path = `${directory}/${prefix}${number}`
    if (tree.find(path) !== undefined) continue
    tree.change([{ ...tree.place(path), node: tree.newFolder(0o700, now) }], now)
    return path
  }
}

/** Where something new can be put. */
const vacant = (tree: DiskTree, path: string) => {
  if (tree.find(path) !== undefined) throw new Refused("EEXIST")
  return tree.place(path)
}

const remove = (
  tree: DiskTree,
  path: string,
  {
    force = false,
    recursive = false
  }: { readonly force?: boolean | undefined; readonly recursive?: boolean | undefined },
  now: number
): void => {
  const node = tree.find(path)
  if (node === undefined && force) return
  if (node === undefined) throw new Refused("ENOENT")
  const place = tree.place(path)
  if (node.type === "Directory") {
    if (!recursive) throw new Refused("EISDIR", "it is a folder: pass `recursive` to remove it")
    for (const name of Array.from(node.entries.keys())) remove(tree, `${path}/${name}`, { recursive }, now)
  }
  tree.change([{ ...place, node: undefined }], now)
}

const rename = (tree: DiskTree, from: string, to: string, now: number): void => {
  const source = tree.place(from)
  const target = tree.place(to)
  const node = tree.get(from)
  const replaced = tree.find(to)
  if (node === replaced) return
  if (isWithin(to, from)) throw new Refused("EINVAL", "a folder cannot be moved into itself")
  if (isWithin(from, to)) throw new Refused("ENOTEMPTY")
  if (replaced?.type === "Directory") {
    if (node.type === "File") throw new Refused("EISDIR")
    if (replaced.entries.size > 0) throw new Refused("ENOTEMPTY")
  } else if (replaced !== undefined && node.type === "Directory") {
    throw new Refused("ENOTDIR")
  }
  const removed = { ...source, node: undefined }
  tree.change([removed, { ...target, node }], now)
}

const copy = (
  handles: Handles,
  from: string,
  to: string,
  options: { readonly overwrite?: boolean | undefined; readonly preserveTimestamps?: boolean | undefined },
  now: number
): void => {
  const { tree } = handles
  const node = tree.get(from)
  if (node.type === "File") {
    if (tree.find(to) !== undefined && options.overwrite !== true) return
    writeFile(handles, to, node.content.view().slice(), { mode: node.mode }, now)
  } else {
    if (isWithin(to, from)) throw new Refused("EINVAL", "a folder cannot be copied into itself")
    makeFolders(tree, to, node.mode, now)
    for (const name of node.entries.keys()) copy(handles, `${from}/${name}`, `${to}/${name}`, options, now)
  }
  if (options.preserveTimestamps === true) Object.assign(tree.get(to), { atime: node.atime, mtime: node.mtime })
}

const realPath = (path: string): string => `/${partsOf(path).join("/")}`

const isWithin = (path: string, folder: string): boolean => `${realPath(path)}/`.startsWith(`${realPath(folder)}/`)

const millis = (time: Date | number): number => (typeof time === "number" ? time * 1000 : time.getTime())

const unsupported = (method: string, path: string, detail: string): PlatformError.PlatformError =>
  fileError("ENOTSUP", method, path, detail)
