/**
 * A group owns tasks: it ends when they have all ended, and when one of them fails it cancels the others and fails
 * with everything that went wrong.
 */
/* oxlint-disable typescript/no-explicit-any -- `any` matches every effect and every group in conditional types; a group holds tasks of every type */
import type * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import { dual } from "effect/Function"
import * as Schema from "effect/Schema"
import { Scheduler } from "effect/Scheduler"
import * as Cancel from "./Cancel.ts"
import { shared } from "./Dispatcher.ts"
import { Ledger } from "./Failures.ts"
import * as Task from "./Task.ts"
import type { TypedError } from "./TypedError.ts"

export { dropped, type Failure, failures } from "./Failures.ts"

/** In the environment of an effect that spawns: who takes failures of type `E`. Only `open` provides it. */
export interface TaskGroup<out E> {
  readonly "~skein/TaskGroup": { readonly failure: E }
}

/** The failures that an effect's tasks put into its environment. */
export type Failures<R> = R extends TaskGroup<infer E> ? E : never

export interface OpenOptions {
  /** Shown in messages and in the tree of tasks. */
  readonly name?: string | undefined
  /** How many failures are kept; the rest is counted. Default 100. */
  readonly maxFailures?: number | undefined
}

export interface SpawnOptions {
  readonly name?: string | undefined
}

/**
 * Runs `body` in a new group and completes only when the body, all tasks spawned into the group and all their
 * finalizers are done, on every path. Succeeds with the body's value. The first failure of the body or of a task
 * cancels everything else; the group then fails with all failures in one `Cause`, the first one first.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { TaskGroup } from "skein"
 *
 * const program = TaskGroup.open(Effect.gen(function*() {
 *   const one = yield* TaskGroup.spawn(Effect.succeed(1))
 *   const two = yield* TaskGroup.spawn(Effect.succeed(2), { name: "two" })
 *   return (yield* one.join) + (yield* two.join)
 * }))
 *
 * await Effect.runPromise(program) // => 3
 * ```
 */
export const open: <Arg extends Effect.Effect<any, any, any> | OpenOptions>(
  effectOrOptions: Arg,
  options?: OpenOptions
) => [Arg] extends [Effect.Effect<infer A, infer E, infer R>]
  ? Effect.Effect<A, E | Failures<R>, Exclude<R, TaskGroup<any>>>
  : <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E | Failures<R>, Exclude<R, TaskGroup<any>>> = dual(
  (args) => Effect.isEffect(args[0]),
  <A, E, R>(
    body: Effect.Effect<A, E, R>,
    options?: OpenOptions
  ): Effect.Effect<A, E | Failures<R>, Exclude<R, TaskGroup<any>>> =>
    Effect.withFiber((parent) => {
      const group = new Group<A, E | Failures<R>>(parent, options ?? {})
      return Effect.uninterruptibleMask((restore) =>
        Effect.flatMap(Effect.exit(restore(group.run(body))), () => group.outcome())
      )
    })
)

/**
 * Starts `effect` as a task of the innermost group and returns its handle at once. The group owns the failure: it is in
 * the group's error type, and `join` on the handle has none. Dies with `GroupClosed` when the group takes no more tasks.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { TaskGroup } from "skein"
 *
 * const program = TaskGroup.open(Effect.gen(function*() {
 *   yield* TaskGroup.spawn(Effect.fail("no such page"), { name: "fetch" })
 *   yield* Effect.never
 * }))
 *
 * await Effect.runPromise(Effect.flip(program)) // => "no such page"
 * ```
 */
export const spawn: <Arg extends Effect.Effect<any, any, any> | SpawnOptions>(
  effectOrOptions: Arg,
  options?: SpawnOptions
) => [Arg] extends [Effect.Effect<infer A, infer E, infer R>]
  ? Effect.Effect<Task.Task<A>, never, R | TaskGroup<E>>
  : <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<Task.Task<A>, never, R | TaskGroup<E>> = dual(
  (args) => Effect.isEffect(args[0]),
  <A, E, R>(
    effect: Effect.Effect<A, E, R>,
    options?: SpawnOptions
  ): Effect.Effect<Task.Task<A>, never, R | TaskGroup<E>> =>
    // The group never resumes a `join` with the failure it owns, so that `E` is gone from the handle.
    Effect.withFiber((fiber) => startIn(fiber, effect, options, false) as Effect.Effect<Task.Task<A>>)
)

/**
 * Starts `effect` as a task whose failure belongs to the holder of the handle: `join` fails with it, siblings live on.
 * A failure that nobody joined or observed by the time the group closes is logged as unhandled.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { TaskGroup } from "skein"
 *
 * const program = TaskGroup.open(Effect.gen(function*() {
 *   const risky = yield* TaskGroup.supervise(Effect.fail("timeout"))
 *   return yield* Effect.catch(risky.join, (error) => Effect.succeed(`gave up: ${error}`))
 * }))
 *
 * await Effect.runPromise(program) // => "gave up: timeout"
 * ```
 */
export const supervise: <Arg extends Effect.Effect<any, any, any> | SpawnOptions>(
  effectOrOptions: Arg,
  options?: SpawnOptions
) => [Arg] extends [Effect.Effect<infer A, infer E, infer R>]
  ? Effect.Effect<Task.Task<A, E>, never, R | TaskGroup<never>>
  : <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<Task.Task<A, E>, never, R | TaskGroup<never>> = dual(
  (args) => Effect.isEffect(args[0]),
  <A, E, R>(
    effect: Effect.Effect<A, E, R>,
    options?: SpawnOptions
  ): Effect.Effect<Task.Task<A, E>, never, R | TaskGroup<never>> =>
    Effect.withFiber((fiber) => startIn(fiber, effect, options, true))
)

const GroupClosedBase: TypedError<
  GroupClosed,
  "GroupClosed",
  {
    readonly group: Schema.String
    readonly task: Schema.String
    readonly state: Schema.String
  }
> = Schema.TaggedError<GroupClosed>()("GroupClosed", {
  group: Schema.String,
  task: Schema.String,
  state: Schema.String
})

/** The defect of spawning into a group that is cancelling or closed. The effect was not started. */
export class GroupClosed extends GroupClosedBase {
  override get message(): string {
    return `Task ${this.task} was not started: its group "${this.group}" is ${this.state}`
  }
}

const CurrentGroup: Context.Service<TaskGroup<any>, Group<any, any>> = Context.Service("skein/TaskGroup")

const startIn = <A, E, R>(
  fiber: Fiber.Fiber<unknown, unknown>,
  effect: Effect.Effect<A, E, R>,
  options: SpawnOptions | undefined,
  supervised: boolean
): Effect.Effect<Task.Task<A, E>> => {
  const group = Context.getUnsafe(fiber.context, CurrentGroup)
  return group.isOpen
    ? // The environment the effect needs is that of the spawning fiber, as its type says.
      Effect.succeed(group.start(fiber, effect as Effect.Effect<A, E>, options?.name, supervised))
    : Effect.die(new GroupClosed({ group: group.name, task: options?.name ?? "without a name", state: group.state }))
}

/** How deep tasks may start one another on one stack before the next one starts from the dispatcher. */
const maxStackedStarts = 64
let stackedStarts = 0

class Group<A, E> implements Task.Owner {
  readonly name: string
  state: "open" | "closing" | "cancelling" | "closed" = "open"
  private readonly parent: Fiber.Fiber<unknown, unknown>
  private readonly ledger: Ledger
  private readonly body: Task.Node<A, E>
  private bodyExit: Exit.Exit<A, E> | undefined
  private tasks: Array<Task.Node<unknown, unknown> | undefined> = []
  private live = 0
  private unhandled: Array<Task.Node<unknown, unknown>> = []
  private sweeping = 0
  private readonly afterSweep: Array<() => void> = []
  private end: (() => void) | undefined
  private cancelledFromOutside = false

  constructor(parent: Fiber.Fiber<unknown, unknown>, options: OpenOptions) {
    this.parent = parent
    const outer = parent.getRef(Task.CurrentTask)
    this.body = new Task.Node<A, E>(this, outer, options.name, false)
    this.name = options.name ?? `group-${this.body.id}`
    this.ledger = new Ledger(options.maxFailures ?? 100)
  }

  get isOpen(): boolean {
    return this.state === "open" || this.state === "closing"
  }

  /** Completes when everything under this group has ended; its own cancellation cancels all of it and still waits. */
  run<R>(body: Effect.Effect<A, E, R>): Effect.Effect<void> {
    return Effect.callback<void>((resume) => {
      this.end = () => resume(Effect.void)
      const context = Context.add(
        Context.add(this.parent.context, CurrentGroup, this),
        Scheduler,
        shared(Context.get(this.parent.context, Scheduler))
      )
      this.launch(this.body, body as Effect.Effect<A, E>, context, (exit) => this.bodyEnded(exit))
      return Effect.suspend(() => {
        this.cancelledFromOutside = true
        this.cancel(this.outerReason())
        return Effect.callback<void>((resume) => {
          if (this.state === "closed") return resume(Effect.void)
          this.end = () => resume(Effect.void)
        })
      })
    })
  }

  outcome(): Effect.Effect<A, E> {
    // The ledger holds failures of the body (E) and of tasks spawned here (in E through `Failures`). A cancellation from
    // outside is pending in the parent and fires when this region ends, so no value is ever seen: adding the
    // cancellation of the body would make it two.
    const exit = !this.ledger.isEmpty
      ? Exit.failCause(this.ledger.cause() as Cause.Cause<E>)
      : this.cancelledFromOutside || this.bodyExit === undefined
        ? Exit.succeed(undefined as A)
        : this.bodyExit
    const unhandled = this.unhandled.filter((task) => !task.observed)
    return unhandled.length === 0 ? exit : Effect.andThen(Effect.forEach(unhandled, report, { discard: true }), exit)
  }

  start<A, E>(
    spawner: Fiber.Fiber<unknown, unknown>,
    effect: Effect.Effect<A, E>,
    name: string | undefined,
    supervised: boolean
  ): Task.Node<A, E> {
    const task = new Task.Node<A, E>(this, spawner.getRef(Task.CurrentTask), name, supervised)
    task.slot = this.tasks.push(task) - 1
    this.live += 1
    this.launch(task, effect, spawner.context, (exit) => this.taskEnded(task, exit))
    return task
  }

  whenSwept(f: () => void): void {
    if (this.sweeping === 0) f()
    else this.afterSweep.push(f)
  }

  private launch<A, E>(
    task: Task.Node<A, E>,
    effect: Effect.Effect<A, E>,
    context: Context.Context<never>,
    ended: (exit: Exit.Exit<A, E>) => void
  ): void {
    const started = (fiber: Fiber.Fiber<A, E>) => {
      if (task.fiber !== undefined) return
      task.fiber = fiber
      fiber.addObserver(ended)
    }
    stackedStarts += 1
    const deep = stackedStarts > maxStackedStarts
    try {
      const fiber = Effect.runForkWith(Context.add(context, Task.CurrentTask, task))(
        // In its first step, before anything else can see it: a task may be cancelled while it is being started.
        Effect.withFiber((fiber) => {
          started(fiber as Fiber.Fiber<A, E>)
          return deep ? Effect.andThen(Effect.yieldNow, effect) : effect
        })
      )
      // A scheduler may preempt a fiber before its first step.
      started(fiber)
    } finally {
      stackedStarts -= 1
    }
  }

  private bodyEnded(exit: Exit.Exit<A, E>): void {
    this.bodyExit = exit
    if (Exit.isSuccess(exit)) {
      if (this.state === "open") this.state = "closing"
    } else if (this.ledger.add(this.body, exit.cause, this.isOwnCancellation)) {
      this.cancel({ kind: "body", by: this.name, message: `the body of group "${this.name}" failed` })
    } else {
      this.cancel({ kind: "body", by: this.name, message: `the body of group "${this.name}" was cancelled` })
    }
    this.closeIfDone()
  }

  private taskEnded(task: Task.Node<any, any>, exit: Exit.Exit<unknown, unknown>): void {
    this.live -= 1
    this.tasks[task.slot] = undefined
    if (this.sweeping === 0 && this.tasks.length > 32 && this.live < this.tasks.length / 2) this.compact()
    if (Exit.isFailure(exit)) {
      if (task.supervised) {
        if (exit.cause.reasons.some((reason) => reason._tag !== "Interrupt")) this.unhandled.push(task)
      } else if (this.ledger.add(task, exit.cause, this.isOwnCancellation)) {
        this.cancel({ kind: "sibling", by: task.name, message: `task "${task.name}" failed` })
      }
    }
    this.closeIfDone()
  }

  private compact(): void {
    this.tasks = this.tasks.filter((task) => task !== undefined)
    this.tasks.forEach((task, slot) => (task!.slot = slot))
  }

  private cancel(reason: Cancel.Reason): void {
    if (!this.isOpen) return
    this.state = "cancelling"
    const annotations = Cancel.annotate(reason)
    this.sweeping += 1
    // A task that ends in the sweep leaves a hole; one that is spawned in it is refused.
    for (const task of this.tasks) task?.interrupt(reason, annotations)
    if (this.bodyExit === undefined) this.body.interrupt(reason, annotations)
    this.sweeping -= 1
    for (const f of this.afterSweep.splice(0)) f()
  }

  private outerReason(): Cancel.Reason {
    const outer = this.parent.getRef(Task.CurrentTask)?.cancelReason
    return outer ?? { kind: "parent", by: "outside", message: `group "${this.name}" was cancelled from outside` }
  }

  /** A join on a cancelled or failed task of this group is an echo of the group's own cancellation. */
  private readonly isOwnCancellation = (defect: unknown): boolean =>
    !this.isOpen && (defect instanceof Task.TaskCancelled || defect instanceof Task.TaskFailed)

  private closeIfDone(): void {
    if (this.bodyExit === undefined || this.live > 0 || this.state === "closed") return
    this.state = "closed"
    this.end!()
  }
}

const report = (task: Task.Node<unknown, unknown>): Effect.Effect<void> => {
  const exit = task.fiber!.pollUnsafe()
  return exit !== undefined && Exit.isFailure(exit)
    ? Effect.logError(`Unhandled failure of supervised task "${task.name}"`, exit.cause)
    : Effect.void
}
