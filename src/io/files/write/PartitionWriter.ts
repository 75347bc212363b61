/** Writes each element to the file of its folder: any number of them, of which few are open at a time. */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import { Checksum } from "../../../concurrency/base/Checksum.ts"
import type { Opening, Writer } from "../../../pipeline/Sink.ts"
import type { Compression } from "../../codec/Compression.ts"
import { FilesError, fromPlatform } from "../../FilesError.ts"
import { companion } from "../Companion.ts"
import { places, realPath } from "../FilePlace.ts"
import { type Format, Refusal } from "../Format.ts"
import { folderOf, nameOf, syncFolder } from "../TextFile.ts"
import * as Appender from "./Appender.ts"
import { type Added, look } from "./Existing.ts"
import { type FileLock, type Mark, take } from "./FileLock.ts"
import { folded, folderName, shown } from "./FolderName.ts"
import * as Ledger from "./Ledger.ts"
import { badElement, Press } from "./Press.ts"
import { stateOf, type WriteState } from "./WriteState.ts"

export interface PartitionOptions<in A> {
  readonly existing: "append" | "replace"
  readonly fsync: boolean
  readonly compression: Compression | undefined
  readonly folder: (element: A) => unknown
}

/** So many files are open at a time. */
const mostOpen = 64
/** The ledger is written anew once it is so much longer than what it says. */
const worth = { times: 4, bytes: 1024 * 1024 }

/** What is known of a file. */
interface Known {
  readonly mark: Mark
  /** This run has opened it. */
  readonly isSeen: boolean
}

interface Open {
  readonly end: Appender.Appender
  readonly scope: Scope.Closeable
}

export const open = <A>(
  name: string,
  opening: Opening,
  format: Added & Pick<Format<A>, "print">,
  options: PartitionOptions<A>
): Effect.Effect<Writer<A, FilesError, never>, FilesError, FileSystem.FileSystem | Scope.Scope> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const scope = yield* Effect.scope
    const path = yield* realPath(name)
    const committed = yield* stateOf(name, opening.committed)
    const lock = yield* take(path, opening)
    const files = new Files(fs, scope, { name, path, opening, lock, format, options })
    yield* Effect.onError(files.begin(committed), () => lock.giveBack)
    return files.writer
  })

interface Parts<A> {
  readonly name: string
  readonly path: string
  readonly opening: Opening
  readonly lock: FileLock
  readonly format: Added & Pick<Format<A>, "print">
  readonly options: PartitionOptions<A>
}

/** What a batch adds to a file. */
interface Addition {
  readonly folder: string
  /** The first of its elements in the batch. */
  readonly row: number
  readonly texts: Array<string | Uint8Array>
}

class Files<A> {
  private readonly fs: FileSystem.FileSystem
  private readonly scope: Scope.Scope
  private readonly parts: Parts<A>
  private readonly root: string
  private readonly press: Press<A>
  private readonly known = new Map<string, Known>()
  private readonly spellings = new Map<string, string>()
  /** In the order of their last use. */
  private readonly opened = new Map<string, Open>()
  /** What was written since the state that is settled, with how far the ledger went then. */
  private since: Array<{ readonly at: WriteState; readonly entry: Ledger.Entry; readonly before: Known | undefined }> =
    []
  private ledger!: Appender.Appender
  private ledgerScope: Scope.Closeable | undefined
  private settled: WriteState = { length: 0, part: 0 }
  private generation = 1
  private hasOld = false
  private fresh = 0

  constructor(fs: FileSystem.FileSystem, scope: Scope.Scope, parts: Parts<A>) {
    this.fs = fs
    this.scope = scope
    this.parts = parts
    this.root = folderOf(parts.path)
    this.press = new Press(parts.name, parts.format, parts.options.compression)
  }

  get writer(): Writer<A, FilesError, never> {
    const { name } = this.parts
    return {
      prefers: { rows: 8192 },
      write: (elements, since) =>
        Effect.flatMap(stateOf(name, since), (state) => Effect.andThen(this.backTo(state), this.write(elements))),
      settled: (state) => {
        this.settled = state as WriteState
      },
      atFault: (error) => (error instanceof FilesError && error.row !== undefined ? [error.row] : "batch"),
      close: (committed) =>
        Effect.flatMap(stateOf(name, committed), (state) => Effect.andThen(this.backTo(state), this.parts.lock.release))
    }
  }

  begin(committed: Option.Option<WriteState>): Effect.Effect<void, FilesError> {
    const { clean } = this.parts.opening
    return Effect.gen({ self: this }, function* () {
      const { length, part = 1 } = Option.getOrElse(committed, (): WriteState => ({ length: 0 }))
      this.generation = part
      yield* this.tidy(part)
      if (Option.isNone(committed)) yield* this.failed(this.fs.remove(this.ledgerPath(part), { force: true }))
      else {
        const found = yield* Appender.statOf(this.fs, this.ledgerPath(part))
        yield* Appender.sameContent(this.fs, this.ledgerPath(part), this.parts.name, committed.value, found)
      }
      const entries = yield* Ledger.read(this.fs, this.ledgerPath(part), length)
      for (const { folder, to } of entries.committed) this.learn(folder, { mark: to, isSeen: false })
      if (!clean) for (const entry of entries.later.toReversed()) yield* this.undo(entry, this.known.get(entry.folder))
      yield* this.openLedger(part, committed)
      this.fresh = this.whole.length
    })
  }

  /** What a ledger has to say. */
  private get whole(): Uint8Array {
    return Ledger.linesOf(Array.from(this.known, ([folder, { mark }]) => ({ folder, from: mark, to: mark })))
  }

  private write(elements: ReadonlyArray<A>): Effect.Effect<WriteState, FilesError> {
    return Effect.gen({ self: this }, function* () {
      yield* this.renew
      const { name } = this.parts
      const additions = new Map<string, Addition>()
      for (const [row, element] of elements.entries()) {
        const parts = folderName(this.parts.options.folder(element))
        if (parts instanceof Refusal) return yield* badElement(name, row, elements.length, parts)
        const folder = parts.join("/")
        let addition = additions.get(folder)
        if (addition === undefined) {
          const spelled = this.spelled(folder)
          if (spelled instanceof Refusal) return yield* badElement(name, row, elements.length, spelled)
          additions.set(folder, (addition = { folder, row, texts: [] }))
        }
        const printed = this.parts.format.print(element)
        if (printed instanceof Refusal) return yield* badElement(name, row, elements.length, printed)
        addition.texts.push(printed)
      }
      // Those that are open fit at once; what is more waits for others to be closed.
      const all = [...additions.values()]
      for (let at = 0; at < all.length; at += mostOpen) yield* this.add(all.slice(at, at + mostOpen), elements.length)
      if (all.length > 0) yield* this.ledger.append(new Uint8Array(), true)
      return this.state
    })
  }

  private add(additions: ReadonlyArray<Addition>, count: number): Effect.Effect<void, FilesError> {
    return Effect.gen({ self: this }, function* () {
      const entries: Array<Ledger.Entry> = []
      const writes: Array<readonly [end: Appender.Appender, bytes: Uint8Array]> = []
      for (const { folder, row, texts } of additions) {
        const isNew = !this.known.has(folder)
        const opened = yield* this.fileOf(folder)
        if (opened instanceof Refusal) return yield* badElement(this.parts.name, row, count, opened)
        this.press.begin(opened, 0)
        for (const text of texts) this.press.addPrinted(text)
        const bytes = yield* this.press.printed
        entries.push({
          folder,
          from: opened.mark,
          to: opened.markAfter(bytes),
          ...(isNew && opened.mark.length === 0 && { isNew })
        })
        writes.push([opened, bytes])
      }
      const at = this.state
      const hasNew = entries.some(({ folder }) => !this.known.has(folder))
      // What is known of a file that is there after a power cut is how its end is told from what was there before.
      yield* this.ledger.append(Ledger.linesOf(entries), hasNew)
      for (const entry of entries) {
        this.since.push({ at, entry, before: this.known.get(entry.folder) })
        this.learn(entry.folder, { mark: entry.to, isSeen: true })
      }
      yield* Effect.forEach(writes, ([end, bytes]) => end.append(bytes, true), { concurrency: 8, discard: true })
    })
  }

  private get state(): WriteState {
    return { ...this.ledger.mark, part: this.generation }
  }

  private learn(folder: string, known: Known): void {
    this.known.set(folder, known)
    this.spellings.set(folded(folder), folder)
  }

  private spelled(folder: string): Refusal | undefined {
    const name = folded(folder)
    const other = this.spellings.get(name)
    if (other !== undefined && other !== folder) {
      return new Refusal(
        `its folder ${shown(folder)} is the same as ${shown(other)} on systems that do not tell case apart`,
        "Give one spelling of it in `partition`."
      )
    }
    this.spellings.set(name, folder)
    return undefined
  }

  private pathOf(folder: string): string {
    return `${this.root}/${folder}/${nameOf(this.parts.path)}`
  }

  /** The end of a file, open. */
  private fileOf(folder: string): Effect.Effect<Appender.Appender | Refusal, FilesError> {
    const found = this.opened.get(folder)
    if (found !== undefined) {
      this.opened.delete(folder)
      this.opened.set(folder, found)
      return Effect.succeed(found.end)
    }
    return Effect.gen({ self: this }, function* () {
      while (this.opened.size >= mostOpen) yield* this.shut([...this.opened.keys()][0]!)
      const path = this.pathOf(folder)
      const refused = yield* this.leadsOut(folder, path)
      if (refused !== undefined) return refused
      const { taken } = this.parts.opening
      const names = yield* Effect.provideService(places(path), FileSystem.FileSystem, this.fs)
      if (taken !== undefined && names.some((name) => taken.has(name))) {
        return yield* new FilesError({
          kind: "Interfered",
          tried: "write",
          path,
          reason: "it is read by this run, or is its journal",
          fix: "Write somewhere else."
        })
      }
      const known = this.known.get(folder)
      if (known === undefined && this.parts.options.existing === "append") {
        const { format, options } = this.parts
        const found = look(path, format, options.compression)
        yield* Effect.provideService(found, FileSystem.FileSystem, this.fs)
      }
      const end = yield* this.openFile(folder, {
        committed: Option.map(Option.fromUndefinedOr(known), ({ mark }) => mark),
        clean: known?.isSeen === true || this.parts.opening.clean,
        left: Option.none()
      })
      if (known !== undefined) this.known.set(folder, { mark: end.mark, isSeen: true })
      return end
    })
  }

  private openFile(
    folder: string,
    how: Pick<Appender.Ending, "committed" | "clean" | "left">
  ): Effect.Effect<Appender.Appender, FilesError> {
    const { existing, fsync } = this.parts.options
    return Effect.gen({ self: this }, function* () {
      const scope = yield* Scope.fork(this.scope)
      const path = this.pathOf(folder)
      const end = yield* Appender.open({ name: path, path, intend: () => Effect.void, existing, fsync, ...how }).pipe(
        Scope.provide(scope),
        Effect.provideService(FileSystem.FileSystem, this.fs),
        Effect.onError(() => Scope.close(scope, Exit.void))
      )
      this.opened.set(folder, { end, scope })
      return end
    })
  }

  private shut(folder: string): Effect.Effect<void> {
    const found = this.opened.get(folder)
    this.opened.delete(folder)
    return found === undefined ? Effect.void : Scope.close(found.scope, Exit.void)
  }

  /** Makes the folder, and sees that it is where its name says. */
  private leadsOut(folder: string, path: string): Effect.Effect<Refusal | undefined, FilesError> {
    const { fs } = this
    return Effect.gen({ self: this }, function* () {
      const at = folderOf(path)
      const isThere = yield* this.failed(fs.exists(at))
      const wrong = (real: string) =>
        new Refusal(
          `its folder ${shown(folder)} is a link, or has one in it, and leads to ${JSON.stringify(real)}`,
          "Delete the link."
        )
      const taken = (at: string) =>
        new Refusal(
          `its folder ${shown(folder)} cannot be made: ${JSON.stringify(at)} is there and is something else`,
          "Give another name in `partition`."
        )
      // Nothing is made behind a link that leads elsewhere.
      for (let depth = 1, parts = folder.split("/"); depth <= parts.length; depth++) {
        const part = `${this.root}/${parts.slice(0, depth).join("/")}`
        const link = yield* Effect.option(fs.readLink(part))
        if (Option.isSome(link)) return wrong(link.value)
        const info = yield* Effect.option(fs.stat(part))
        if (Option.isSome(info) && info.value.type !== "Directory") return taken(part)
      }
      if (!isThere) {
        yield* this.failed(fs.makeDirectory(at, { recursive: true }))
        if (this.parts.options.fsync) {
          for (let up = folderOf(at); up.length >= this.root.length; up = folderOf(up)) {
            yield* Effect.provideService(syncFolder(up), FileSystem.FileSystem, fs)
            if (up === this.root) break
          }
        }
      }
      const link = yield* Effect.option(fs.readLink(path))
      if (Option.isSome(link)) return wrong(link.value)
      const info = yield* Effect.option(fs.stat(path))
      return Option.isSome(info) && info.value.type !== "File" ? taken(path) : undefined
    })
  }

  /** Takes back what was written after a state. */
  private backTo(state: Option.Option<WriteState>): Effect.Effect<void, FilesError> {
    const { length, part = this.generation } = Option.getOrElse(state, (): WriteState => ({ length: 0 }))
    return Effect.gen({ self: this }, function* () {
      const { settled } = this
      this.since = this.since.filter(({ at }) => !isBefore(at, settled))
      while (this.since.length > 0 && !isBefore(this.since.at(-1)!.at, { length, part })) {
        const { before, entry } = this.since.at(-1)!
        yield* this.undo(entry, before)
        if (before === undefined) this.known.delete(entry.folder)
        else this.known.set(entry.folder, before)
        this.since.pop()
      }
      if (part !== this.generation) {
        yield* this.openLedger(part, state)
        this.generation = part
      } else yield* this.ledger.goBack(length)
      if (this.hasOld && settled.part === this.generation) {
        yield* this.tidy(this.generation)
        this.hasOld = false
      }
    })
  }

  /** Makes a file as it was before an entry, where it is not known how far that was written. */
  private undo(entry: Ledger.Entry, before: Known | undefined): Effect.Effect<void, FilesError> {
    const { folder, from, isNew, to } = entry
    return Effect.gen({ self: this }, function* () {
      yield* this.shut(folder)
      const path = this.pathOf(folder)
      if (Option.isNone(yield* Appender.statOf(this.fs, path))) return
      const mark = before?.mark ?? from
      yield* this.openFile(folder, {
        committed: Option.some(mark),
        clean: false,
        left: Option.some({ base: Math.min(mark.length, from.length), from, to })
      })
      yield* this.shut(folder)
      if (isNew === true && before === undefined) yield* this.failed(this.fs.remove(path))
    })
  }

  private ledgerPath(generation: number): string {
    const owner = new Checksum().addText(this.parts.opening.owner).text
    return companion(this.parts.path, `${owner}-${generation}.skein-files`)
  }

  private openLedger(generation: number, committed: Option.Option<WriteState>): Effect.Effect<void, FilesError> {
    const { lock, name, opening, options } = this.parts
    return Effect.gen({ self: this }, function* () {
      if (this.ledgerScope !== undefined) yield* Scope.close(this.ledgerScope, Exit.void)
      this.ledgerScope = yield* Scope.fork(this.scope)
      const path = this.ledgerPath(generation)
      const base = Option.match(committed, { onNone: () => 0, onSome: ({ length }) => length })
      this.ledger = yield* Appender.open({
        name,
        path,
        committed,
        clean: opening.clean,
        left: Option.none(),
        intend: lock.intend,
        existing: "append",
        fsync: options.fsync,
        base
      }).pipe(Scope.provide(this.ledgerScope), Effect.provideService(FileSystem.FileSystem, this.fs))
    })
  }

  /** Says the same in as few lines as there are files, in another ledger: the old one is there until that is committed. */
  private get renew(): Effect.Effect<void, FilesError> {
    return Effect.gen({ self: this }, function* () {
      const { length } = this.ledger.mark
      if (this.hasOld || length < worth.bytes || length < worth.times * this.fresh) return
      const next = this.generation + 1
      yield* this.failed(this.fs.remove(this.ledgerPath(next), { force: true }))
      yield* this.openLedger(next, Option.none())
      this.generation = next
      this.hasOld = true
      yield* this.ledger.append(this.whole, true)
      this.fresh = this.ledger.mark.length
    })
  }

  /** Deletes the ledgers that no checkpoint speaks of any more. */
  private tidy(generation: number): Effect.Effect<void, FilesError> {
    return Effect.forEach(
      [generation - 1, generation + 1],
      (other) => this.failed(this.fs.remove(this.ledgerPath(other), { force: true })),
      { discard: true }
    )
  }

  private failed<B>(
    effect: Effect.Effect<B, Parameters<ReturnType<typeof fromPlatform>>[0]>
  ): Effect.Effect<B, FilesError> {
    return Effect.mapError(effect, fromPlatform("write", this.parts.name))
  }
}

const isBefore = (one: WriteState, other: WriteState): boolean =>
  (one.part ?? 1) < (other.part ?? 1) || (one.part === other.part && one.length < other.length)
