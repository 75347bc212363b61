/** One file, read by a format: what a source has to know of it. */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { elementsOf } from "../../../pipeline/context/Portion.ts"
import type { Element, Fingerprint } from "../../../pipeline/Source.ts"
import { FilesError } from "../../FilesError.ts"
import { newline } from "../format/LineCutter.ts"
import type { Format, Problem } from "../Format.ts"
import { cut } from "./Bytes.ts"
import type { CodingOptions } from "./Coding.ts"
import * as FileBytes from "./FileBytes.ts"
import { changed, fingerprint } from "./FileFingerprint.ts"
import { Marks } from "./Marks.ts"
import { Recent } from "./Recent.ts"

type Of<A> = Effect.Effect<A, FilesError, FileSystem.FileSystem>

/** Positions are those in its plain bytes, in UTF-8; what it is known by is its own bytes, as many as those rest on. */
export class FileSource<in out A> {
  readonly path: string
  private readonly format: Format<A>
  private readonly coding: CodingOptions
  private readonly marks = new Marks()
  private readonly recent = new Recent()
  /** Once somebody has looked. */
  private isPlain: boolean | undefined
  /** Where it ended when it was last read to its end. */
  end: number | undefined

  constructor(path: string, format: Format<A>, coding: CodingOptions) {
    this.path = path
    this.format = format
    this.coding = coding
  }

  /** Known without reading it only where nothing is decoded. */
  get size(): Of<Option.Option<number>> {
    return Effect.scoped(
      Effect.map(this.open(0), ({ isPlain, size }) => (isPlain ? Option.some(size) : Option.none<number>()))
    )
  }

  fingerprint(at: number, since?: Fingerprint): Of<Fingerprint> {
    return Effect.flatMap(this.rawOf(at), (raw) => {
      if (raw > 0) this.recent.want()
      return Effect.map(fingerprint(this.path, raw, since, this.recent), (found) =>
        this.isPlain === false ? { ...found, coded: true } : found
      )
    })
  }

  changed(kept: Fingerprint, at: number): Of<ReadonlyArray<string>> {
    return changed(this.path, kept, at, this.format.ends)
  }

  read(at: number): Stream.Stream<Element<A, number>, FilesError, FileSystem.FileSystem> {
    const portions = Effect.gen({ self: this }, function* () {
      yield* Effect.addFinalizer(() => Effect.sync(() => this.recent.clear()))
      const { bytes, start } = yield* this.open(at)
      const fs = yield* FileSystem.FileSystem
      const refuse = (problem: Problem) =>
        Effect.flatMap(this.lineAt(problem.offset), (line) => Effect.fail(bad(this.path, problem, line))).pipe(
          Effect.provideService(FileSystem.FileSystem, fs)
        )
      const cutter = this.format.cut(start)
      const noted = {
        read: (into: Uint8Array) =>
          Effect.map(bytes.read(into), (count) => {
            if (count === 0) this.end = cutter.end
            return count
          })
      }
      return Stream.fromPull(Effect.succeed(cut(noted, cutter, refuse)))
    })
    return elementsOf(Stream.unwrap(portions))
  }

  private open(at: number): Effect.Effect<FileBytes.Readable, FilesError, FileSystem.FileSystem | Scope.Scope> {
    const wanted = { at, head: this.format.head ?? 0, isBinary: this.format.isBinary === true }
    return Effect.map(FileBytes.open(this.path, this.coding, wanted, this.marks, this.recent), (readable) => {
      this.isPlain = readable.isPlain
      return readable
    })
  }

  /** How many of its own bytes a position rests on. One that was not read here is found by reading up to it. */
  private rawOf(at: number): Of<number> {
    if (at === 0 || this.isPlain === true) return Effect.succeed(at)
    const known = this.marks.rawOf(at)
    if (known !== undefined) return Effect.succeed(known)
    return Effect.map(Effect.scoped(this.open(at)), ({ isPlain }) => (isPlain ? at : (this.marks.rawOf(at) ?? at)))
  }

  /** Lines are counted only here, where somebody wants to know; undefined where it cannot be read so far any more. */
  private lineAt(offset: number): Effect.Effect<number | undefined, never, FileSystem.FileSystem> {
    return Effect.gen({ self: this }, function* () {
      const { bytes } = yield* this.open(0)
      const buffer = new Uint8Array(1024 * 1024)
      let line = 1
      for (let position = 0; position < offset;) {
        const count = yield* bytes.read(buffer.subarray(0, Math.min(buffer.length, offset - position)))
        if (count === 0) break
        for (let at = buffer.indexOf(newline); at >= 0 && at < count; at = buffer.indexOf(newline, at + 1)) line += 1
        position += count
      }
      return line
    }).pipe(
      Effect.scoped,
      Effect.orElseSucceed(() => undefined)
    )
  }
}

export const bad = (path: string, { offset, refusal }: Problem, line: number | undefined): FilesError =>
  new FilesError({
    kind: "BadLine",
    tried: "read",
    path,
    reason: refusal.reason,
    fix: refusal.fix,
    offset,
    ...(line !== undefined && { line }),
    ...(refusal.field !== undefined && { field: refusal.field })
  })
