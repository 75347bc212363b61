/** What a module looks like from a pool; compiled, never run. Each `@ts-expect-error` is code that must not compile. */
import type * as Effect from "effect/Effect"
import { Offload } from "skein"

interface Module {
  readonly plain: (a: number, b: string) => boolean
  readonly later: (a: number) => Promise<string>
  readonly stoppable: (a: number, signal: AbortSignal) => number
  readonly maybeStoppable: (a: number, b?: string, signal?: AbortSignal) => number
  readonly optional: (a: number, b?: string) => number
  readonly rest: (...all: ReadonlyArray<number>) => number
  readonly noFunction: number
}

type Equals<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
const equals = <A, B>(_: Equals<A, B>): void => {}

const jobs = Offload.define<Module>(new URL("file:///jobs.ts"))
declare const pool: Effect.Success<ReturnType<typeof Offload.pool<Module>>>

type Failure = Offload.OffloadError | Offload.WorkerCrashed

equals<typeof pool.plain, (a: number, b: string) => Effect.Effect<boolean, Failure>>(true)
equals<ReturnType<typeof pool.later>, Effect.Effect<string, Failure>>(true)

// The signal is the pool's to give.
equals<Parameters<typeof pool.stoppable>, [a: number]>(true)
// It comes after the other arguments, so none of those may be left out.
equals<Parameters<typeof pool.maybeStoppable>, [a: number, b: string | undefined]>(true)
equals<Parameters<typeof pool.optional>, [a: number, b: string | undefined]>(true)

equals<keyof typeof pool, "plain" | "later" | "stoppable" | "maybeStoppable" | "optional">(true)

// @ts-expect-error the wrong type of argument
void pool.plain("1", "2")
// @ts-expect-error too few
void pool.optional(1)
// @ts-expect-error the module is not that one
const other: Offload.Definition<{ readonly other: () => void }> = jobs
void other
