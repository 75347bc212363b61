/**
 * S20, what every joiner does: runs effects as the tasks of one group until enough of them have ended, cancels the rest,
 * waits for its cleanup, and only then draws the conclusion.
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { DeadlineExceeded, Late } from "../Deadline.ts"
import { Ledger } from "../group/Failures.ts"
import { CurrentGroup } from "../group/Group.ts"
import type { Input } from "./Inputs.ts"
import type { Node } from "../base/TaskNode.ts"
import * as TaskGroup from "../TaskGroup.ts"
import { TooFewEffects } from "../JoinerError.ts"

export interface Options {
  /** How many of the effects run at once; the others wait for their turn, in order. Default: all. */
  readonly limit?: number | undefined
  /** The name of the group the effects run in, shown in messages and in the tree of tasks. Default: that of the joiner. */
  readonly name?: string | undefined
  /** How long all of it may take, cleanup not counted. Default: no deadline. */
  readonly within?: Duration.Input | undefined
}

/** How the task that was started as number `index`, from 0, has ended. */
export interface Ended<out A, out E> {
  readonly index: number
  readonly exit: Exit.Exit<A, E>
}

export interface Tally {
  readonly started: number
  readonly succeeded: number
  readonly failed: number
}

export interface Gathered<A, E> {
  /** In the order of starting. */
  readonly tasks: ReadonlyArray<Node<A, E>>
  /** What counts, in the order of ending: up to the task that was enough. */
  readonly ended: ReadonlyArray<Ended<A, E>>
  /** What ended after that, or after a cancellation from outside. */
  readonly late: ReadonlyArray<Ended<A, E>>
  /** Whether the tasks could run until they were enough; if not, the cancellation or the deadline. */
  readonly exit: Exit.Exit<void, DeadlineExceeded>
}

export type Start<A, E, R> = (name: string, effect: Effect.Effect<A, E, R>) => void

/** What of the results decides, and what they come to. */
export interface Rule<A, E, B> {
  /** Asked once for each task that ends, while the group is open. */
  readonly isEnough: (end: Ended<A, E>, tally: Tally) => boolean
  readonly conclude: (gathered: Gathered<A, E>) => Exit.Exit<B, E | DeadlineExceeded>
}

interface Plan<A, E, R, B> extends Rule<A, E, B> {
  /** Starts the tasks. A call after enough have ended does nothing. */
  readonly run: (start: Start<A, E, R>) => Effect.Effect<void>
}

export const gather = <A, E, R, B, O extends Options = {}>(
  joiner: string,
  options: O | undefined,
  { conclude, isEnough, run }: Plan<A, E, R, B>
): Effect.Effect<B, E | Late<O>, R> =>
  Effect.withFiber((parent) => {
    const outer = Context.getOrUndefined(parent.context, CurrentGroup)
    const ended: Array<Ended<A, E>> = []
    const late: Array<Ended<A, E>> = []
    const tasks: Array<Node<A, E>> = []
    const tally = { started: 0, succeeded: 0, failed: 0 }
    let isDecided = false

    const body = Effect.withFiber((fiber) => {
      const group = Context.getUnsafe(fiber.context, CurrentGroup)
      const start: Start<A, E, R> = (name, effect) => {
        if (!group.isOpen) return
        const index = tally.started++
        // What the effect spawns belongs to whom it was written for: the group around the joiner.
        const own = outer === undefined ? effect : Effect.provideService(effect, CurrentGroup, outer)
        const onEnd = (exit: Exit.Exit<A, E>): void => {
          const end = { index, exit }
          if (!group.isOpen) return void late.push(end)
          ended.push(end)
          tally[Exit.isSuccess(exit) ? "succeeded" : "failed"] += 1
          if (!isEnough(end, tally)) return
          isDecided = true
          const what = Exit.isSuccess(exit) ? "was enough" : "failed"
          group.cancel({ kind: "sibling", by: name, message: `task "${name}" ${what}` })
        }
        // It needs what the joiner needs, and its failure is the joiner's.
        const task = group.start(fiber, own as Effect.Effect<A, E>, { name, kind: "task", supervised: true, onEnd })
        task.observed = true
        tasks[index] = task
      }
      return run(start)
    })
    const { limit, name = joiner, within } = options ?? {}
    const group = TaskGroup.open(body, { name, limit, within })
    return Effect.uninterruptibleMask((restore) =>
      Effect.flatMap(
        Effect.exit(restore(group)),
        (exit) =>
          // Only a group with a deadline exceeds it.
          conclude({ tasks, ended, late, exit: isDecided ? Exit.void : exit }) as Exit.Exit<B, E | Late<O>>
      )
    )
  })

/** Gathers effects that are all known; dies when they are fewer than the result `needs`. */
export const join = <A, E, R, B, O extends Options = {}>(
  joiner: string,
  inputs: ReadonlyArray<Input<A, E, R>>,
  options: O | undefined,
  rule: Rule<A, E, B>,
  needs = 0
): Effect.Effect<B, E | Late<O>, R> =>
  inputs.length < needs
    ? Effect.die(new TooFewEffects({ joiner, needed: needs, given: inputs.length }))
    : gather(joiner, options, {
        ...rule,
        run: (start) => Effect.sync(() => inputs.forEach(({ effect, name }) => start(name, effect)))
      })

/**
 * The value where there is one, and otherwise every failure as `TaskGroup.failures` lists them. To fail is part of losing,
 * but a defect of a loser, such as cleanup that throws, is never dropped: the joiner then fails in spite of its value.
 * So it is when the joiner is cancelled, unless it `failsFast`: then any failure is its own.
 */
export const verdict = <A, E, B>(
  { ended, exit, late, tasks }: Gathered<A, E>,
  hasValue: boolean,
  value: () => B,
  { failsFast }: { readonly failsFast: boolean } = { failsFast: false }
): Exit.Exit<B, E | DeadlineExceeded> => {
  const failures = new Ledger(maxFailures)
  const add = (index: number, cause: Cause.Cause<unknown>) => failures.add(tasks[index]!, cause, () => false)
  const isDone = Exit.isSuccess(exit) && hasValue
  const isCancelled = Exit.isFailure(exit) && Cause.hasInterrupts(exit.cause)
  if (!isDone && !isCancelled) {
    for (const { exit, index } of ended) {
      // A task that was cancelled by itself has no value to give, and says so as its `join` does.
      const joined = tasks[index]!.joined(exit)
      if (Exit.isFailure(joined)) add(index, joined.cause)
    }
  }
  const isLosing = isDone || (isCancelled && !failsFast)
  for (const { exit, index } of late) {
    if (Exit.isSuccess(exit)) continue
    add(index, isLosing ? Cause.fromReasons(exit.cause.reasons.filter(Cause.isDieReason)) : exit.cause)
  }
  // The ledger holds failures of the effects, and nothing else.
  const cause = failures.cause() as Cause.Cause<E>
  if (Exit.isFailure(exit)) {
    return Exit.failCause(Cause.fromReasons<E | DeadlineExceeded>([...exit.cause.reasons, ...cause.reasons]))
  }
  return isDone && failures.isEmpty ? Exit.succeed(value()) : Exit.failCause(cause)
}

const maxFailures = 100
