/**
 * S20, what every joiner does: runs effects as the tasks of one group until enough of them have ended, cancels the rest,
 * waits for its cleanup, and only then draws the conclusion.
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { checkWhole } from "../base/Options.ts"
import type { Node } from "../base/TaskNode.ts"
import type { DeadlineExceeded, Late } from "../Deadline.ts"
import { Ledger } from "../group/Failures.ts"
import { CurrentGroup } from "../group/Group.ts"
import * as TaskGroup from "../TaskGroup.ts"
import type { Inputs } from "./Inputs.ts"
import { Lane } from "./Lane.ts"
import { Starter } from "./Starter.ts"

export interface Options {
  /** How many of the effects run at once; the others are started, in order, when one of them ends. Default: all. */
  readonly limit?: number | undefined
  /** The name of the group the effects run in, shown in messages and in the tree of tasks. Default: that of the joiner. */
  readonly name?: string | undefined
  /** How long all of it may take, cleanup not counted. Default: no deadline. */
  readonly within?: Duration.Input | undefined
}

/** How one of the effects has ended. */
export interface Ended<out A, out E> {
  /** Its number in the order of the input, from 0. */
  readonly index: number
  /** Its index or key. */
  readonly name: string
  readonly exit: Exit.Exit<A, E>
}

/** What there is when everything has ended. */
export interface Gathered<E> {
  /** Whether it went on until it was enough; if not, why: the cancellation, the deadline, or what was thrown. */
  readonly exit: Exit.Exit<void, DeadlineExceeded>
  /** Fails with every failure, each as `TaskGroup.failures` lists it; where there is none it does nothing. */
  readonly failures: Effect.Effect<void, E>
  /** Of what ended after it was enough, or after a cancellation: all that failed, and the defects alone. */
  readonly late: (which: "failures" | "defects") => ReadonlyArray<Cause.Reason<E>>
  /** As outside of the joiner. */
  readonly restore: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
}

/** What of the effects decides, and what they come to; made anew for each run. */
export interface Plan<A, E, R, B, E2, R2> {
  readonly inputs: Inputs<A, E, R>
  /** Says how many may be started, and when. Default: all of them, at once. */
  readonly pace?: (start: (count: number) => Effect.Effect<void>) => Effect.Effect<void>
  /** Asked once for each effect that ends while nothing is decided. */
  readonly isEnough: (exit: Exit.Exit<A, E>, index: number) => boolean
  /** Told of each that ends after that. */
  readonly isLate?: (exit: Exit.Exit<A, E>, index: number) => void
  readonly conclude: (gathered: Gathered<E>) => Effect.Effect<B, E2 | DeadlineExceeded, R2>
}

export const gather = <A, E, R, B, E2, R2, O extends Options = {}>(
  joiner: string,
  options: O | undefined,
  plan: () => Plan<A, E, R, B, E2, R2>
): Effect.Effect<B, E2 | Late<O>, R | R2> =>
  Effect.withFiber((parent) => {
    const { limit = Infinity, name = joiner, within } = options ?? {}
    if (limit !== Infinity) checkWhole(`Joiner.${joiner}: limit`, limit, 1)
    const { conclude, inputs, isEnough, isLate, pace } = plan()
    const outer = Context.getOrUndefined(parent.context, CurrentGroup)
    const failed = new Ledger(maxFailures)
    const late: Array<{ readonly task: Node<A, E>; readonly cause: Cause.Cause<E> }> = []
    let decided: Exit.Exit<void> | undefined

    const body = Effect.withFiber((fiber) => {
      const group = Context.getUnsafe(fiber.context, CurrentGroup)
      // What the effects spawn belongs to whom they were written for: the group around the joiner.
      const spawner = {
        context:
          outer === undefined
            ? Context.omit(CurrentGroup)(fiber.context)
            : Context.add(fiber.context, CurrentGroup, outer)
      }
      const ended = (task: Node<A, E>, index: number, exit: Exit.Exit<A, E>, free?: Lane<A, E>): void => {
        if (!group.isOpen) {
          isLate?.(exit, index)
          if (Exit.isFailure(exit) && !Cause.hasInterruptsOnly(exit.cause)) late.push({ task, cause: exit.cause })
          return
        }
        // A task that was cancelled by itself has no value to give, and says so as its `join` does.
        const joined = task.joined(exit)
        if (Exit.isFailure(joined)) failed.add(task, joined.cause, () => false)
        try {
          if (!isEnough(exit, index)) return starter.hasEnded(fiber, free)
          decided = Exit.void
        } catch (error) {
          const thrown = new Ledger(1)
          thrown.add(task, Cause.die(error), () => false)
          decided = Exit.failCause(thrown.cause() as Cause.Cause<never>)
        }
        const what = Exit.isSuccess(exit) ? "was enough" : "failed"
        group.cancel({ kind: "sibling", by: task.name, message: `task "${task.name}" ${what}` })
      }
      const road = { group, spawner, nameOf: inputs.nameOf, ended, isLong: limit !== Infinity }
      const starter = new Starter<Effect.Effect<A, E, R>, Lane<A, E>>(inputs.effects, limit, {
        isOpen: () => group.isOpen,
        // It needs what the joiner needs, and its failure is the joiner's.
        run: (effect, index, free = new Lane(road)) => free.run(effect as Effect.Effect<A, E>, index)
      })
      const start = (count: number) => starter.start(fiber, count)
      return pace === undefined ? start(Infinity) : pace(start)
    })
    const group = TaskGroup.open(body, { name, within })
    return Effect.uninterruptibleMask((restore) =>
      Effect.flatMap(Effect.exit(restore(group)), (exit) => {
        let isComplete = false
        const lateOf = (which: "failures" | "defects") => {
          const ledger = new Ledger(maxFailures)
          for (const { cause, task } of late)
            ledger.add(task, which === "failures" ? cause : defectsOf(cause), () => false)
          // It holds failures of the effects, and nothing else.
          return (ledger.cause() as Cause.Cause<E>).reasons
        }
        // Only a group with a deadline exceeds it.
        return conclude({
          exit:
            decided === undefined ? exit : Exit.asVoid(withReasons(decided, reasonsOf(exit).filter(Cause.isDieReason))),
          failures: Effect.suspend(() => {
            if (!isComplete) for (const { cause, task } of late) failed.add(task, cause, () => false)
            isComplete = true
            return failed.isEmpty ? Effect.void : Effect.failCause(failed.cause() as Cause.Cause<E>)
          }),
          late: lateOf,
          restore
        }) as Effect.Effect<B, E2 | Late<O>, R2>
      })
    )
  })

interface Bearing {
  /** Whether a failure of one is that of all, also where the joiner is cancelled. Default: it is part of losing. */
  readonly failsFast: boolean
}

/**
 * What the effects come to, where nothing came in between; where a deadline passed or something was thrown, that with
 * every failure. To fail is part of losing, but a defect of a loser, such as cleanup that throws, is never dropped: the
 * joiner then fails in spite of its value. So it is when it is cancelled, unless it `failsFast`.
 */
export const verdict = <E, B, E2, R2>(
  { exit, failures, late }: Gathered<E>,
  result: Effect.Effect<B, E2, R2>,
  { failsFast }: Bearing = { failsFast: false }
): Effect.Effect<B, E | E2 | DeadlineExceeded, R2> => {
  if (Exit.isSuccess(exit)) return Effect.flatMap(Effect.exit(result), (end) => withReasons(end, late("defects")))
  const failed = Exit.failCause(exit.cause)
  return Cause.hasInterrupts(exit.cause)
    ? withReasons(failed, late(failsFast ? "failures" : "defects"))
    : Effect.flatMap(Effect.exit(failures), (end) => withReasons(failed, reasonsOf(end)))
}

const reasonsOf = <E>(exit: Exit.Exit<unknown, E>): ReadonlyArray<Cause.Reason<E>> =>
  Exit.isSuccess(exit) ? [] : exit.cause.reasons

const defectsOf = <E>(cause: Cause.Cause<E>): Cause.Cause<E> =>
  Cause.fromReasons(cause.reasons.filter(Cause.isDieReason))

/** The exit, failed with these reasons as well; a defect that it has is not said again. */
const withReasons = <A, E, E2>(exit: Exit.Exit<A, E>, more: ReadonlyArray<Cause.Reason<E2>>): Exit.Exit<A, E | E2> => {
  const known = reasonsOf(exit)
  const defects = new Set(known.filter(Cause.isDieReason).map(({ defect }) => defect))
  const fresh = more.filter((reason) => !Cause.isDieReason(reason) || !defects.has(reason.defect))
  return fresh.length === 0 ? exit : Exit.failCause(Cause.fromReasons<E | E2>([...known, ...fresh]))
}

const maxFailures = 100
