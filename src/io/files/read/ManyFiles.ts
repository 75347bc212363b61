/**
 * Several files as one source. They are known one by one, with how far each was read: one that is new, whatever its name, and one
 * that grew since it was finished, are read on from there, behind those that a run was about to read when it stopped.
 */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { elementsOf, placed, portionsOf } from "../../../pipeline/context/Portion.ts"
import type { Element, Fingerprint } from "../../../pipeline/Source.ts"
import { type FilesError, fromPlatform } from "../../FilesError.ts"
import { places } from "../FilePlace.ts"
import type { Format } from "../Format.ts"
import type { FilePosition, Several } from "../Place.ts"
import { sizeOf } from "../TextFile.ts"
import type { CodingOptions } from "./Coding.ts"
import { FileSource } from "./FileSource.ts"
import { listed } from "./Listing.ts"

type Of<A> = Effect.Effect<A, FilesError, FileSystem.FileSystem>

type AllKnown = { readonly [file: string]: Fingerprint & { readonly at: number; readonly bytes: number } }

/** What is kept: of each file that was read, whole or in part, and which come next, so that they do so in every run. */
type Kept = { readonly files: AllKnown; readonly pending: ReadonlyArray<string> }

export class ManyFiles<in out A> {
  private readonly several: Several
  private readonly format: Format<A>
  private readonly coding: CodingOptions
  private readonly sources = new Map<string, FileSource<A>>()
  /** Those that there were before anything was written: what a sink of the same run makes is none of them. */
  private there: ReadonlyArray<string> | undefined
  /** In the order in which they are read. */
  private plan: ReadonlyArray<string> = []

  constructor(several: Several, format: Format<A>, coding: CodingOptions) {
    this.several = several
    this.format = format
    this.coding = coding
  }

  get size(): Of<Option.Option<number>> {
    return Effect.map(
      Effect.flatMap(
        listed(this.several),
        Effect.forEach((file) => this.source(file).size)
      ),
      (sizes) => Option.map(Option.all(sizes), (all) => all.reduce((sum, size) => sum + size, 0))
    )
  }

  get places(): Of<ReadonlyArray<string>> {
    return Effect.flatMap(listed(this.several), (files) => {
      this.there = files
      return Effect.map(Effect.forEach(files, places), (all) => [...new Set(all.flat())])
    })
  }

  fingerprint(upTo: Option.Option<FilePosition>, since?: Fingerprint): Of<Fingerprint> {
    if (Option.isNone(upTo)) return Effect.succeed({})
    const { at, file } = upTo.value
    return Effect.gen({ self: this }, function* () {
      const plan = this.plan.includes(file) ? this.plan : yield* listed(this.several)
      const files: { [file: string]: AllKnown[string] } = { ...filesIn(since) }
      const note = (path: string, end: number) =>
        Effect.map(this.source(path).fingerprint(end, files[path]), (found) => {
          files[path] = { ...found, at: end } as AllKnown[string]
        })
      const place = plan.indexOf(file)
      for (const path of plan.slice(0, place)) {
        const end = this.sources.get(path)?.end
        if (end !== undefined && files[path]?.at !== end) yield* note(path, end)
      }
      yield* note(file, at)
      return { files, pending: plan.slice(place) } satisfies Kept as Fingerprint
    })
  }

  changed(kept: Fingerprint): Of<ReadonlyArray<string>> {
    return Effect.gen({ self: this }, function* () {
      const there = new Set(yield* listed(this.several))
      const changes: Array<string> = []
      for (const [file, known] of Object.entries(filesIn(kept))) {
        const changed = there.has(file)
          ? yield* this.source(file).changed(known, known.at)
          : ["it was read, and is not among the files any more"]
        changes.push(...changed.map((change) => `${JSON.stringify(file)}: ${change}`))
      }
      return changes
    })
  }

  /** `kept` is what is known up to there; without it, those before in the order of the list are done. */
  read(
    after: Option.Option<FilePosition>,
    kept?: Fingerprint
  ): Stream.Stream<Element<A, FilePosition>, FilesError, FileSystem.FileSystem> {
    const files = Effect.suspend(() => {
      const { there } = this
      this.there = undefined
      return there === undefined ? listed(this.several) : Effect.succeed(there)
    })
    const portions = Effect.map(files, (files) => {
      const isKnown = Option.isSome(after) && kept !== undefined
      this.plan = planOf(files, isKnown ? (kept as Kept) : undefined)
      const done = isKnown || Option.isNone(after) ? 0 : this.plan.indexOf(after.value.file)
      return Stream.flatMap(Stream.fromIterable(this.plan.slice(done)), (file) =>
        Stream.unwrap(
          Effect.map(this.startOf(file, after, isKnown ? filesIn(kept)[file] : undefined), (at) =>
            at === undefined
              ? Stream.empty
              : Stream.map(portionsOf(this.source(file).read(at)), (portion) =>
                  placed(portion, (at): FilePosition => ({ file, at }))
                )
          )
        )
      )
    })
    return elementsOf(Stream.unwrap(portions))
  }

  /** Where to go on in a file; undefined where all of it was read. */
  private startOf(
    file: string,
    after: Option.Option<FilePosition>,
    known: AllKnown[string] | undefined
  ): Of<number | undefined> {
    if (Option.isSome(after) && after.value.file === file) return Effect.succeed(after.value.at)
    if (known === undefined) return Effect.succeed(0)
    return Effect.flatMap(FileSystem.FileSystem, (fs) => fs.stat(file)).pipe(
      Effect.mapError(fromPlatform("read", file)),
      Effect.map((info) => (sizeOf(info) === known.bytes ? undefined : known.at))
    )
  }

  private source(file: string): FileSource<A> {
    const source = this.sources.get(file) ?? new FileSource(file, this.format, this.coding)
    this.sources.set(file, source)
    return source
  }
}

const filesIn = (kept: Fingerprint | undefined): AllKnown => (kept as Kept | undefined)?.files ?? {}

const planOf = (files: ReadonlyArray<string>, kept: Kept | undefined): ReadonlyArray<string> => {
  if (kept === undefined) return files
  const there = new Set(files)
  const next = kept.pending.filter((file) => there.has(file))
  const known = new Set(next)
  return [...next, ...files.filter((file) => !known.has(file))]
}
