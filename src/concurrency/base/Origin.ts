/** Which task each failure in a cause comes from. */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import type { Node } from "./TaskNode.ts"

/** The task a failure comes from. */
export interface Origin {
  readonly id: number
  readonly name: string
  /** Its name behind those of the tasks it is in, the outermost first. The body of a group is no task. */
  readonly path: ReadonlyArray<string>
}

const Annotation: Context.Service<Origin, Origin> = /* @__PURE__ */ Context.Service("skein/TaskGroup/Origin")

/** Marks a failure with its task, unless it comes from a group further in, which has said so. */
export const mark = <E>(reason: Cause.Reason<E>, task: Node<unknown, unknown>): Cause.Reason<E> =>
  reason.annotations.has(Annotation.key)
    ? reason
    : reason.annotate(
        Context.make(Annotation, { id: task.id, name: task.name, path: pathOf(task) }) as Context.Context<never>
      )

export const originOf = (reason: Cause.Reason<unknown>): Origin =>
  (reason.annotations.get(Annotation.key) as Origin | undefined) ?? { id: 0, name: "unknown", path: [] }

/** Forgets the tasks: for groups that are nobody's business. */
export const unmarked = <E>(cause: Cause.Cause<E>): Cause.Cause<E> =>
  Cause.fromReasons(
    cause.reasons.map((reason): Cause.Reason<E> => {
      if (Cause.isInterruptReason(reason)) return reason
      const bare = Cause.isFailReason(reason) ? Cause.makeFailReason(reason.error) : Cause.makeDieReason(reason.defect)
      return bare.annotate(Context.omit(Annotation)(Cause.reasonAnnotations(reason)) as Context.Context<never>)
    })
  )

const pathOf = (task: Node<unknown, unknown>): ReadonlyArray<string> => {
  const path: Array<string> = []
  let inside: unknown
  // Of those that spawned one another in one group only the last is in the way.
  for (let one: typeof task | undefined = task; one !== undefined; one = one.spawner) {
    if (one.owner !== inside && one.kind !== "body") path.push(one.name)
    inside = one.owner
  }
  return path.toReversed()
}
