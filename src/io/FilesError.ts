/** What went wrong with a file, in words for the person who has to do something about it. */
import type * as PlatformError from "effect/PlatformError"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"

const kinds = [
  "NotFound",
  "NotAllowed",
  "NotAFile",
  "DiskFull",
  "DiskFault",
  "TooManyOpen",
  "CommittedLost",
  "Shrunk",
  "Replaced",
  "Interfered",
  "BadLine",
  "BadText",
  "Damaged",
  "BadElement",
  "BadState",
  "Outside",
  "Closed",
  "Other"
] as const

export type Kind = (typeof kinds)[number]

/** A file could not be read or written: what was tried, on which path, why it failed and what to do. */
export class FilesError extends Schema.TaggedError<FilesError>()("FilesError", {
  kind: Schema.Literals(kinds),
  /** What was tried, as in "could not {tried} {path}". */
  tried: Schema.String,
  path: Schema.String,
  reason: Schema.String,
  /** What to do about it; empty where nothing is known to help. */
  fix: Schema.String,
  /** Of a bad line: its number, from 1. */
  line: Schema.optionalKey(Schema.Number),
  /** Of a bad line: how many bytes come before it. */
  offset: Schema.optionalKey(Schema.Number),
  /** Of a value that does not fit its schema: where in it. */
  field: Schema.optionalKey(Schema.String),
  /** Of a bad element: its index in the batch that was written. */
  row: Schema.optionalKey(Schema.Number)
}) {
  override get message(): string {
    const byte = `byte ${this.offset ?? 0}`
    const where =
      this.line !== undefined ? `, line ${this.line} (${byte})` : this.offset !== undefined ? ` at ${byte}` : ""
    const field = this.field === undefined ? "" : `field "${this.field}": `
    const tried = `Could not ${this.tried} ${JSON.stringify(this.path)}${where}`
    return `${tried}: ${field}${this.reason}.${this.fix && ` ${this.fix}`}`
  }
}

type Advice = readonly [kind: Kind, reason: string, fix: string]

const full =
  "Make room and run again: what was committed is kept, and what the disk has of the last batch is cut off first."

const byCode = new Map<string, Advice>(
  Object.entries<Advice>({
    ENOSPC: ["DiskFull", "the disk is full", full],
    EDQUOT: ["DiskFull", "the disk quota is used up", full],
    EFBIG: ["DiskFull", "the file is as large as the file system or `ulimit -f` allows", full],
    EIO: [
      "DiskFault",
      "the disk reports an I/O error",
      "Check the disk (its log, its cable, its health), then run again."
    ],
    EROFS: ["NotAllowed", "the file system is mounted read-only", "Write to another place, or mount it writable."],
    EMFILE: ["TooManyOpen", "this process has too many open files", "Lower the concurrency, or raise `ulimit -n`."],
    ENFILE: ["TooManyOpen", "the machine has too many open files", "Lower the concurrency."],
    EPIPE: ["Closed", "nobody reads it any more", ""],
    EISDIR: ["NotAFile", "it is a folder", "Name a file in it."],
    ENAMETOOLONG: [
      "Other",
      "its name, or a part of its path, is longer than the file system takes",
      "Choose a shorter one."
    ],
    ELOOP: ["Other", "its symbolic links lead in a circle", "Correct the links."],
    ENOTDIR: ["NotAFile", "a part of it is a file where a folder is needed", "Choose another path."]
  })
)

const byTag = new Map<string, Advice>(
  Object.entries<Advice>({
    NotFound: [
      "NotFound",
      "there is no such file or folder",
      "Check the path; a relative one starts at the folder the program was started in."
    ],
    PermissionDenied: ["NotAllowed", "this user is not allowed to", "Change its permissions, or choose another path."]
  })
)

/** `Effect.mapError(fromPlatform("read", path))` */
export const fromPlatform =
  (tried: string, path: string) =>
  (error: PlatformError.PlatformError): FilesError => {
    const code = Predicate.hasProperty(error.reason.cause, "code") ? String(error.reason.cause.code) : ""
    const [kind, reason, fix] = byCode.get(code) ?? byTag.get(error.reason._tag) ?? ["Other", describe(error), ""]
    return new FilesError({ kind, tried, path, reason, fix })
  }

const describe = ({ reason }: PlatformError.PlatformError): string =>
  reason.cause instanceof Error ? reason.cause.message : (reason.description ?? reason.message)
