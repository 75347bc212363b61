/**
 * The life of a group: what it starts, what it waits for, whom it cancels, and how it ends. S1 and so on are the rules in
 * `docs/spec/concurrency.md`.
 */
/* oxlint-disable typescript/no-explicit-any -- a group holds tasks of every type */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import { constVoid } from "effect/Function"
import { Scheduler } from "effect/Scheduler"
import { Ambient, reasonOfCode } from "../base/ActiveDeadline.ts"
import { CleanupWatch } from "./CleanupWatch.ts"
import { shared } from "./Dispatcher.ts"
import { Ledger } from "./Failures.ts"
import { Held } from "../limiter/Held.ts"
import { checkDuration, checkWhole } from "../base/Options.ts"
import * as Foreign from "../base/Foreign.ts"
import * as Log from "../base/Log.ts"
import { type Reason, reasonIn } from "../base/Reason.ts"
import { type Entered, type Entries, type Listed } from "../base/Entries.ts"
import { type GroupInfo, type Kind, Registry } from "../Registry.ts"
import { Roster } from "./Roster.ts"
import * as Stack from "../base/Stack.ts"
import { ProgramStop, StopSignal } from "../base/Stop.ts"
import { cancellation, CurrentTask, Node, type Owner } from "../base/TaskNode.ts"
import * as Time from "../base/Time.ts"
import { Turns } from "./Turns.ts"
import type { Unhandled } from "./Unhandled.ts"
import { TaskCancelled, TaskFailed } from "../TaskError.ts"
import * as Wait from "../base/Wait.ts"

/** In the environment of an effect that spawns: who takes failures of type `E`. Only `TaskGroup.open` provides it. */
export interface TaskGroup<out E> {
  readonly "~skein/TaskGroup": { readonly failure: E }
}

/** The failures that an effect's tasks put into its environment. */
export type Failures<R> = R extends TaskGroup<infer E> ? E : never

export const CurrentGroup: Context.Service<TaskGroup<any>, Group<any, any>> = /* @__PURE__ */ Context.Service(
  "skein/TaskGroup"
)

export interface GroupOptions {
  /** Shown in messages and in the tree of tasks. */
  readonly name?: string | undefined
  /** How many of its tasks run at once; the others wait for their turn, in order. Default: all. */
  readonly limit?: number | undefined
  /** How long cancelled tasks may take to clean up before they are named in a warning. Default 10 seconds. */
  readonly cleanup?: Duration.Input | undefined
  /** Stop waiting when `cleanup` has passed: tasks that still run become orphans. Default false. */
  readonly abandon?: boolean | undefined
  /** How many failures are kept; the rest is counted. Default 100. */
  readonly maxFailures?: number | undefined
}

export interface Launch {
  /** A number is put into words when it is asked for. */
  readonly name: string | number | undefined
  readonly kind: Kind
  readonly supervised: boolean
  /** Whether somebody takes notice of how it ends, whenever that is. */
  readonly observed?: boolean
  /** Called when the fiber of the task has ended; it tells the group, by `ended`. Default: that alone. */
  readonly onEnd?: ((task: Node<any, any>, exit: Exit.Exit<any, any>) => void) | undefined
}

type Spawner = Pick<Fiber.Fiber<unknown, unknown>, "context">

export class Group<A, E> implements Owner, Listed {
  readonly name: string
  readonly entries: Entries
  readonly stopping: StopSignal
  readonly holdsOpener: boolean
  state: GroupInfo["state"] = "open"
  /** Of whoever opened it; not that fiber itself, which would keep what it ended with for as long as a handle is kept. */
  readonly context: Context.Context<never>
  private readonly options: GroupOptions
  readonly clock: Time.Time
  private readonly deadline: Ambient
  private readonly siblings: Set<Listed>
  private readonly turns: Turns | undefined
  private ledger: Ledger
  private readonly body: Node<A, E>
  private bodyExit: Exit.Exit<A, E> | undefined
  private readonly tasks = new Roster()
  private readonly live: { [K in Kind]: number } = { body: 0, task: 0, daemon: 0, service: 0 }
  /** Where what nobody looks at is told; set by whoever supervises. */
  unhandled: Unhandled | undefined
  private spawning: ReturnType<Group<A, E>["spawningFrom"]>
  private windingDown = false
  private sweeping = 0
  private readonly afterSweep: Array<() => void> = []
  private watch: CleanupWatch | undefined
  private orphans: Set<Node<any, any>> | undefined
  private end: (() => void) | undefined
  private cancelledFromOutside = false
  /** What it fails with where it was asked to end early. */
  private requested: object | undefined

  constructor(parent: Fiber.Fiber<unknown, unknown>, options: GroupOptions) {
    const outer = parent.getRef(CurrentTask)
    this.holdsOpener = outer?.fiber === parent
    this.context = parent.context
    this.options = options
    this.clock = Time.of(parent)
    this.entries = parent.getRef(Registry)["~skein/Registry"]
    this.stopping = new StopSignal(outer?.stopping ?? parent.getRef(ProgramStop))
    this.deadline = parent.getRef(Ambient)
    const isRoot = outer === undefined || outer.owner.entries !== this.entries
    this.siblings = isRoot ? this.entries.roots : (outer.groups ??= new Set())
    this.body = new Node<A, E>(this, outer, "body", options.name, false)
    this.name = this.body.name
    checkWhole("TaskGroup: maxFailures", options.maxFailures, 1, "unlimited")
    checkDuration("TaskGroup: cleanup", options.cleanup)
    this.ledger = new Ledger(options.maxFailures ?? 100)
    this.spawning = this.spawningFrom(parent.context)
    this.turns = (options.limit ?? Infinity) === Infinity ? undefined : new Turns(options.limit!)
  }

  get isOpen(): boolean {
    return this.state === "open" || this.state === "closing"
  }

  each(f: (task: Entered) => void): void {
    f(this.body)
    this.tasks.forEach(f)
  }

  /** S1: completes when everything under this group has ended; its own cancellation cancels all of it and still waits. */
  run<R>(body: Effect.Effect<A, E, R>): Effect.Effect<void> {
    return Effect.onExitPrimitive(
      Wait.callback<void>("the tasks of its group", (resume) => {
        this.end = () => resume(Effect.void)
        this.siblings.add(this)
        const context = Context.add(
          Context.add(this.context, CurrentGroup, this),
          Scheduler,
          shared(Context.get(this.context, Scheduler))
        )
        this.launch(this.body, body as Effect.Effect<A, E>, context)
      }),
      (exit) => (Exit.isSuccess(exit) ? undefined : this.abandoned(exit.cause))
    )
  }

  /** S8: whoever waited for the group was cancelled; passes that on with its reason, and waits all the same. */
  private abandoned(cause: Cause.Cause<unknown>): Effect.Effect<void> {
    this.cancelledFromOutside = true
    const message = `group "${this.name}" was cancelled from outside`
    // Effect's own concurrency cancels its fibers without handing on why.
    const known = reasonIn(cause.reasons) ?? reasonOfCode(this.deadline, this.body.spawner)
    this.cancel(known ?? { kind: "parent", by: "outside", message })
    return Wait.callback<void>("the tasks of its group", (resume) => {
      if (this.state === "closed") return resume(Effect.void)
      this.end = () => resume(Effect.void)
    })
  }

  whenClosing(f: () => void): () => void {
    return this.body.fiber!.addObserver(f)
  }

  outcome(): Effect.Effect<A, E> {
    const unhandled = this.unhandled?.close()
    const exit = this.exit()
    return unhandled === undefined ? exit : Effect.andThen(unhandled, exit)
  }

  private exit(): Exit.Exit<A, E> {
    // The ledger holds failures of the body (E) and of tasks spawned here (in E through `Failures`).
    const { ledger } = this
    // A handle that somebody keeps does not keep them as well.
    this.ledger = new Ledger(0)
    if (!ledger.isEmpty) return Exit.failCause(ledger.cause() as Cause.Cause<E>)
    // A cancellation from outside is pending in the parent and fires when this region ends, so no value is ever seen:
    // adding the cancellation of the body would make it two.
    if (this.cancelledFromOutside) return Exit.succeed(undefined as A)
    if (this.requested !== undefined) {
      ledger.add(this.body, Cause.fail(this.requested), () => false)
      // `TaskGroup.cancel` put it into E.
      return Exit.failCause(ledger.cause() as Cause.Cause<E>)
    }
    return this.bodyExit ?? Exit.succeed(undefined as A)
  }

  /** S10: call only while the group is open. */
  start<A, E>(
    spawner: Spawner,
    effect: Effect.Effect<A, E>,
    { kind, name, observed = false, onEnd, supervised }: Launch
  ): Node<A, E> {
    const task = this.enter<A, E>(spawner, kind, name, supervised, observed)
    const limited = kind === "task" && this.turns !== undefined ? this.turns.take(task, effect) : effect
    this.launch(task, limited, this.spawning.given, onEnd)
    if (kind === "daemon" && this.windingDown) task.interrupt(cancellation(this.shutdown(), this.clock))
    return task
  }

  /** As `start`, of a task whose failure is seen, and which goes on in the fiber of another one that has ended. */
  follow<A, E>(spawner: Spawner, fiber: Fiber.Fiber<A, E>, name: string | number): Node<A, E> {
    const task = this.enter<A, E>(spawner, "task", name, true, true)
    this.live.task += 1
    fiber.setContext(Context.add(this.spawning.given, CurrentTask, task))
    task.fiber = fiber
    task.tell("started")
    return task
  }

  private enter<A, E>(
    { context }: Spawner,
    kind: Kind,
    name: string | number | undefined,
    supervised: boolean,
    observed: boolean
  ): Node<A, E> {
    if (context !== this.spawning.context) this.spawning = this.spawningFrom(context)
    const task = new Node<A, E>(this, this.spawning.task, kind, name, supervised)
    task.observed = observed
    this.tasks.add(task)
    task.tell("spawned")
    return task
  }

  /** What the tasks spawned by code in this environment have in common: most are spawned by one loop. */
  private spawningFrom(context: Context.Context<never>) {
    return {
      context,
      task: Context.get(context, CurrentTask),
      // The deadlines and permits of the spawner's own code are not those of the task, which may outlive them.
      given: having(having(context, Ambient, this.deadline), Held, Context.get(this.context, Held))
    }
  }

  /** S24: ends the group early; what it was asked for once, it is not asked for again. */
  request(reason: Reason, failure: object): void {
    if (!this.isOpen) return
    this.requested = failure
    this.cancel(reason)
  }

  whenSwept(f: () => void): void {
    if (this.sweeping === 0) f()
    else this.afterSweep.push(f)
  }

  private launch<A, E>(
    task: Node<A, E>,
    effect: Effect.Effect<A, E>,
    context: Context.Context<never>,
    onEnd?: Launch["onEnd"]
  ): void {
    this.live[task.kind] += 1
    Stack.push()
    const fiber = Effect.runForkWith(Context.add(context, CurrentTask, task))(
      first(task, Stack.isDeep() ? Effect.andThen(Effect.yieldNow, effect) : effect, onEnd)
    )
    Stack.pop()
    // A scheduler may preempt a fiber before its first step.
    started(task, fiber, onEnd)
  }

  ended(task: Node<any, any>, exit: Exit.Exit<any, any>): void {
    task.tell("exited", exit)
    if (this.state === "closed" || this.orphans?.has(task) === true) return
    this.live[task.kind] -= 1
    if (task.kind === "body") this.bodyEnded(exit)
    else this.taskEnded(task, exit)
    if (this.isOpen) this.turns?.leave(task)
    this.advance()
  }

  /** S3: a body that failed, or was cancelled, cancels the tasks. */
  private bodyEnded(exit: Exit.Exit<A, E>): void {
    this.bodyExit = exit
    if (Exit.isSuccess(exit)) {
      if (this.state === "open") this.state = "closing"
    } else {
      const failed = this.ledger.add(this.body, exit.cause, this.isOwnCancellation)
      const message = `the body of group "${this.name}" ${failed ? "failed" : "was cancelled"}`
      this.cancel({ kind: "body", by: this.name, message })
    }
  }

  /** S2, S7: a task that failed cancels all others and the body; one that was only cancelled does not. */
  private taskEnded(task: Node<any, any>, exit: Exit.Exit<unknown, unknown>): void {
    this.tasks.remove(task)
    if (Exit.isSuccess(exit)) return
    if (task.supervised) {
      const failed = exit.cause.reasons.some((reason) => reason._tag !== "Interrupt")
      if (failed && !task.observed) this.unhandled?.add(task)
    } else if (this.ledger.add(task, exit.cause, this.isOwnCancellation)) {
      this.cancel({ kind: "sibling", by: task.name, message: `task "${task.name}" failed` })
    }
  }

  noticed(task: Node<unknown, unknown>): void {
    this.unhandled?.delete(task)
  }

  get opener(): Node<any, any> | undefined {
    return this.body.spawner
  }

  awaits(waiter: Fiber.Fiber<unknown, unknown>, task: Node<any, any>): (() => void) | undefined {
    if (this.turns === undefined || !runsItsTask(waiter)) return constVoid
    // A task with a turn may have opened the group that the waiter is in.
    const own = waiter.getRef(CurrentTask)
    for (let one = own; one !== undefined; one = one.owner.opener) {
      if (one.owner === this) return this.turns.hold(one, task, one === own)
    }
    return constVoid
  }

  complain(thrown: unknown): void {
    this.log(Log.thrown("A listener of the registry threw, and is told nothing any more", thrown))
  }

  /** What nobody waits for, under the loggers of whoever opened the group. */
  log(message: Effect.Effect<void>): void {
    Effect.runForkWith(this.outside)(message)
  }

  private get outside(): Context.Context<never> {
    return Context.add(this.context, CurrentTask, undefined)
  }

  /** Cancels everything; that alone is not a failure of the group. */
  cancel(reason: Reason): void {
    if (!this.isOpen) return
    this.state = "cancelling"
    this.sweep(reason, (task) => task.kind !== "service")
    this.advance()
  }

  /** Tasks are cancelled in the order of spawning, then the body; what they spawn in their cleanup is refused. */
  private sweep(reason: Reason, which: (task: Node<unknown, unknown>) => boolean): void {
    const cancelling = cancellation(reason, this.clock)
    this.sweeping += 1
    this.tasks.forEach((task) => {
      if (which(task)) task.interrupt(cancelling)
    })
    if (this.bodyExit === undefined) this.body.interrupt(cancelling)
    this.sweeping -= 1
    for (const f of this.afterSweep.splice(0)) f()
    this.watchCleanup()
  }

  /** S19: takes the next step towards the end: body and tasks, then daemons, then services, the last spawned first. */
  private advance(): void {
    if (this.state === "closed" || this.sweeping > 0 || this.live.body + this.live.task > 0) return
    if (this.live.daemon > 0) {
      if (this.windingDown || this.state === "cancelling") return
      this.windingDown = true
      this.sweep(this.shutdown(), (task) => task.kind === "daemon")
      return this.advance()
    }
    if (this.live.service > 0) {
      const last = this.tasks.findLast((task) => task.kind === "service")
      if (last?.cancelled !== undefined) return
      last?.interrupt(cancellation(this.shutdown(), this.clock))
      this.watchCleanup()
      return
    }
    this.close()
  }

  private close(): void {
    this.state = "closed"
    this.siblings.delete(this)
    this.watch?.stop()
    const { end } = this
    this.end = undefined
    if (end !== undefined) Stack.shallow(this.body.fiber!, end)
  }

  private shutdown(): Reason {
    return { kind: "shutdown", by: this.name, message: `the tasks of group "${this.name}" are done` }
  }

  /** S9: a join on a cancelled or failed task of this group is an echo of the group's own cancellation. */
  private readonly isOwnCancellation = (defect: unknown): boolean =>
    !this.isOpen && (Foreign.isA(defect, TaskCancelled) || Foreign.isA(defect, TaskFailed))

  watchCleanup(): void {
    if (this.state === "closed" || (this.watch === undefined && this.stuck().length === 0)) return
    const { abandon, cleanup } = this.options
    this.watch ??= new CleanupWatch(this, cleanup ?? "10 seconds", abandon === true, this.outside)
    this.watch.start()
  }

  stuck(): ReadonlyArray<Node<any, any>> {
    const stuck: Array<Node<any, any>> =
      this.body.cancelled !== undefined && this.bodyExit === undefined ? [this.body] : []
    this.tasks.forEach((task) => {
      if (task.cancelled !== undefined) stuck.push(task)
    })
    return stuck
  }

  /** Goes on as if the task had ended; nobody hears of it when it does. */
  abandon(task: Node<any, any>): void {
    this.orphans ??= new Set()
    this.orphans.add(task)
    this.live[task.kind] -= 1
    if (task === this.body) this.bodyEnded(Exit.failCause(Cause.interrupt()))
    else this.tasks.remove(task)
    this.advance()
  }
}

/** Whether the task of this fiber waits when it does: not so for those that Effect's own concurrency has beside one another. */
const runsItsTask = (fiber: Fiber.Fiber<unknown, unknown>): boolean => {
  const main = fiber.getRef(CurrentTask)?.fiber
  let one: Fiber.Fiber<unknown, unknown> | undefined = fiber
  while (one !== undefined && one !== main) one = one.getRef(Ambient)?.whoWaitsFor(one)
  return one !== undefined
}

const having = <A>(context: Context.Context<never>, key: Context.Reference<A>, value: A): Context.Context<never> =>
  Context.get(context, key) === value ? context : Context.add(context, key, value)

/** S12: the first step of a task, before anything else can see it: a task may be cancelled while it is being started. */
const first = <A, E>(task: Node<A, E>, effect: Effect.Effect<A, E>, onEnd: Launch["onEnd"]): Effect.Effect<A, E> =>
  Effect.withFiber((fiber) => {
    started(task, fiber as Fiber.Fiber<A, E>, onEnd)
    return effect
  })

const started = <A, E>(task: Node<A, E>, fiber: Fiber.Fiber<A, E>, onEnd: Launch["onEnd"]): void => {
  if (task.fiber !== undefined) return
  task.fiber = fiber
  fiber.addObserver(onEnd === undefined ? ender(task) : enderWith(task, onEnd))
  task.tell("started")
}

/** In a function of its own, so that it keeps nothing but the task: there is one for each. */
const ender =
  (task: Node<any, any>) =>
  (exit: Exit.Exit<any, any>): void =>
    (task.owner as Group<any, any>).ended(task, exit)

const enderWith =
  (task: Node<any, any>, onEnd: NonNullable<Launch["onEnd"]>) =>
  (exit: Exit.Exit<any, any>): void =>
    onEnd(task, exit)
