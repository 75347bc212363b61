/** A `FileSystem` that fails by plan. */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import type * as PlatformError from "effect/PlatformError"
import * as Choices from "../Choices.ts"
import { around, type FileCall } from "../crash/FileCalls.ts"
import { type Code, fileError } from "../disk/FileError.ts"
import { follow, type When } from "./Rule.ts"

export type { FileCall } from "../crash/FileCalls.ts"

export interface FileRule extends When<FileCall> {
  /** Holds the call back for so long first. */
  readonly delay?: Choices.Latency | undefined
  /** What goes wrong then; without it, the call is only late. */
  readonly fault?: FileFault | undefined
}

/**
 * - a code as "ENOSPC", "EIO" or "EACCES": the call fails with it before it does anything
 * - `{ torn }`: at a write; a beginning of the bytes reaches the file, then the write fails with this code
 * - `"unsynced"`: at a sync; it succeeds and does nothing, as of a disk that lies
 */
export type FileFault = Code | { readonly torn: Code } | "unsynced"

/**
 * Makes the calls of any `FileSystem`, its open files, streams and sinks fail by plan: at each, the first rule that strikes
 * decides. They fail with the `PlatformError` that Node would give. Calls are counted anew wherever the layer is built; a
 * rule of torn writes counts writes only, and one of unsynced files syncs.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import * as Layer from "effect/Layer"
 * import { Files } from "skein"
 * import { Disk, Fault } from "skein/testing"
 *
 * const disk = await Effect.runPromise(Disk.make({ files: { "state.txt": "old" } }))
 * const faults = Fault.files([{ fault: "ENOSPC", nth: 1, on: ({ method }) => method === "write" }])
 * const program = Files.writeAtomic("state.txt", "new").pipe(Effect.provide(Layer.provide(faults, disk.layer)))
 *
 * const error = await Effect.runPromise(Effect.flip(program))
 * error.reason // => "the disk is full"
 * disk.text("state.txt") // => "old"
 * ```
 */
export const files = (
  plan: ReadonlyArray<FileRule>
): Layer.Layer<FileSystem.FileSystem, never, FileSystem.FileSystem> =>
  Layer.effect(
    FileSystem.FileSystem,
    Effect.map(FileSystem.FileSystem, (fs) => {
      const strikes = follow<FileCall, FileRule>(plan.map(narrowed), ({ method, path }) => `${method} ${path}`)
      const struck = <A, R>(
        call: FileCall,
        perform: Effect.Effect<A, PlatformError.PlatformError, R>,
        fail: Struck<A, R> = Effect.fail
      ) =>
        Effect.flatMap(strikes(call), (rule) => {
          if (rule === undefined) return perform
          const { delay, fault } = rule
          const outcome = fault === undefined ? perform : fail(fileError(codeOf(fault), call.method, call.path), fault)
          return delay === undefined ? outcome : Effect.andThen(Choices.latency(delay), outcome)
        })

      return around(fs, {
        call: struck,
        sync: (call, perform) =>
          struck(call, perform, (error, fault) => (fault === "unsynced" ? Effect.void : Effect.fail(error))),
        write: (call, bytes, perform) =>
          struck(call, perform(bytes), (error, fault) => {
            if (typeof fault === "string" || bytes.length === 0) return Effect.fail(error)
            return Effect.flatMap(Choices.choose(bytes.length), (cut) =>
              Effect.andThen(perform(bytes.subarray(0, bytes.length - 1 - cut)), Effect.fail(error))
            )
          })
      })
    })
  )

type Struck<A, R> = (
  error: PlatformError.PlatformError,
  fault: FileFault
) => Effect.Effect<A, PlatformError.PlatformError, R>

/** Some faults are possible at some calls only. */
const narrowed = (rule: FileRule): FileRule => {
  const only = rule.fault === "unsynced" ? "sync" : typeof rule.fault === "object" ? "write" : undefined
  if (only === undefined) return rule
  return { ...rule, on: (call) => call.method === only && rule.on?.(call) !== false }
}

/** The disk that lies keeps its error to itself. */
const codeOf = (fault: FileFault): Code =>
  fault === "unsynced" ? "EIO" : typeof fault === "object" ? fault.torn : fault
