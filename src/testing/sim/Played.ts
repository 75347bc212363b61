/** What a world tells of its run. */
import type * as Exit from "effect/Exit"
import type { Entry } from "../../inspect/context/Entry.ts"
import type { Schedule } from "../Schedules.ts"
import type { Slice } from "./Trace.ts"

export interface Played<A, E> {
  readonly end: End<A, E>
  /** The schedule with the choices that were made. */
  readonly schedule: Schedule
  /** True if the schedule said where to stop, and it got there. */
  readonly stopped: boolean
  /** Turns of fibers and rings of timers until the end. */
  readonly steps: number
  readonly operations: number
  /** Tells it from runs of other orders: who did each operation, and what chance brought. */
  readonly fingerprint: number
  /** Virtual milliseconds. */
  readonly time: number
  /** The numbers of the fibers in the order of their slices. */
  readonly order: ReadonlyArray<number>
  readonly trace: ReadonlyArray<Slice>
  readonly timeline: ReadonlyArray<Entry>
  readonly names: ReadonlyArray<string>
  /** By number: the step in which the fiber was first seen. */
  readonly born: ReadonlyArray<number>
  /** The number of the fiber that asked to be the victim; otherwise the root. */
  readonly victim: number
  readonly left: Left
}

export type End<A, E> =
  | { readonly _tag: "Exit"; readonly exit: Exit.Exit<A, E> }
  | { readonly _tag: "Deadlock"; readonly waiting: ReadonlyArray<Waiting> }
  | { readonly _tag: "Livelock"; readonly alive: ReadonlyArray<Waiting>; readonly time: number }
  | { readonly _tag: "Killed"; readonly where: string }

export interface Waiting {
  readonly name: string
  readonly waitsFor: string
}

/** What outlives the run. */
export interface Left {
  readonly fibers: ReadonlyArray<string>
  readonly timers: number
  readonly scopes: number
  /** What was lent and not given back, in words. */
  readonly lent: ReadonlyArray<string>
}
