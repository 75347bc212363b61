/** A deadline while it is active: the fiber of its body, its alarm, and what the end of the body means. */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Alarm from "./Alarm.ts"
import * as Reason from "./Reason.ts"
import { span } from "./Span.ts"
import * as Stack from "./Stack.ts"
import { CurrentTask, type Node } from "./TaskNode.ts"
import * as Time from "./Time.ts"
import { DeadlineExceeded } from "../DeadlineError.ts"
import * as Wait from "./Wait.ts"

/** The innermost deadline around a fiber. */
export const Ambient: Context.Reference<Active | undefined> = /* @__PURE__ */ Context.Reference(
  "skein/Deadline/Ambient",
  {
    defaultValue: (): Active | undefined => undefined
  }
)

export type Ambient = Active | undefined

/**
 * Runs a body with a deadline in so many milliseconds. A body that this cancels gives what `ended` makes of it, with the
 * failures of its cleanup behind it. A scope that only its handle cancels is a deadline that never passes.
 */
export const start = <A, E, R, A2, E2>(
  parent: Fiber.Fiber<unknown, unknown>,
  body: (deadline: Active) => Effect.Effect<A, E, R>,
  millis: number,
  name: string | undefined,
  ended: (deadline: Active) => Exit.Exit<A2, E2>
): Effect.Effect<A | A2, E | E2, R> => {
  const clock = Time.of(parent)
  const outer = parent.getRef(Ambient)
  const first = earliest(outer, clock)
  if (first !== undefined && first.at <= Alarm.now(clock)) {
    // A busy program reaches this before the timer does. Where that deadline cancels this fiber, nothing is started.
    first.expire()
    return Effect.flatMap(Effect.yieldNow, () => start(parent, body, millis, name, ended))
  }
  const deadline = new Active(parent, clock, outer, millis, name)
  if (millis <= 0) return ended(deadline)
  return Effect.onExitPrimitive(
    Wait.callback<A | A2, E | E2>("what its deadline bounds", (resume) =>
      deadline.run(
        Effect.withFiber((fiber) => {
          deadline.runner = fiber
          return body(deadline) as Effect.Effect<A, E>
        }),
        (exit) => resume(deadline.verdict(exit, ended))
      )
    ),
    (exit) => (Exit.isFailure(exit) ? deadline.abandon(exit.cause) : undefined)
  )
}

/** The effect with a deadline that it fails with. */
export const within = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  millis: number,
  name: string | undefined
): Effect.Effect<A, E | DeadlineExceeded, R> =>
  isFree(effect, millis) ? effect : Effect.withFiber((fiber) => start(fiber, () => effect, millis, name, exceeded))

/** Whether it takes no watching: nothing to wait for, or nothing that ends the wait. */
export const isFree = (effect: Effect.Effect<unknown, unknown, unknown>, millis: number): boolean =>
  millis === Infinity || (millis > 0 && Exit.isExit(effect))

export const exceeded = (deadline: Active): Exit.Exit<never, DeadlineExceeded> => Exit.fail(deadline.error())

/** S15: a deadline from the start of its body to the end. */
export class Active extends Alarm.Appointment {
  /** When it passes. */
  at: number
  /** Whether its body has ended or is being cancelled. */
  over = false
  readonly outer: Ambient
  readonly clock: Time.Time
  private readonly parent: Fiber.Fiber<unknown, unknown>
  private readonly task: Node<unknown, unknown> | undefined
  private readonly name: string | undefined
  protected readonly since: number
  private millis: number
  /** The fiber of the body from its first step on, and once it is off its starter's stack. */
  runner: Fiber.Fiber<unknown, unknown> | undefined
  private body: Fiber.Fiber<unknown, unknown> | undefined
  /** Why the body was cancelled, when it was this deadline that did; and when it did, by itself. */
  reason: Reason.Reason | undefined
  private expiredAt = -Infinity

  constructor(
    parent: Fiber.Fiber<unknown, unknown>,
    clock: Time.Time,
    outer: Ambient,
    millis: number,
    name: string | undefined,
    since: number = Alarm.now(clock)
  ) {
    super()
    this.parent = parent
    this.task = parent.getRef(CurrentTask)
    this.clock = clock
    this.outer = outer
    this.name = name
    this.millis = millis
    this.since = since
    this.at = since + millis
  }

  /** Passes in so many milliseconds instead; tells whether it has not passed by that. */
  move(millis: number): boolean {
    const now = Alarm.now(this.clock)
    this.at = now + millis
    this.millis = Math.round((this.at - this.since) * 1000) / 1000
    if (this.at <= now) this.expire()
    else if (this.body !== undefined) this.wait(this.at)
    return this.at > now
  }

  /** Why this deadline, or one around it in the same task, cancels its body. */
  reasonIn(task: unknown): Reason.Reason | undefined {
    if (this.task !== task) return undefined
    return this.reason ?? this.outer?.reasonIn(task)
  }

  /** The fiber that has handed its work to this one, if it is that of the body. */
  whoWaitsFor(body: Fiber.Fiber<unknown, unknown>): Fiber.Fiber<unknown, unknown> | undefined {
    return this.runner === body ? this.parent : undefined
  }

  run<A, E>(effect: Effect.Effect<A, E>, ended: (exit: Exit.Exit<A, E>) => void): void {
    const start = Effect.runForkWith(Context.add(this.parent.context, Ambient, this))
    const body = Stack.deeper(() => start(Stack.isDeep() ? Effect.andThen(Effect.yieldNow, effect) : effect))
    if (body.pollUnsafe() === undefined) {
      this.body = body
      if (this.reason === undefined) this.wait(this.at)
      else this.cancel(this.reason)
    }
    body.addObserver((exit) => {
      this.finish()
      Stack.shallow(this.parent, () => ended(exit))
    })
  }

  /** Whoever waited was cancelled: passes that on to the body and waits for it; what its cleanup fails with is kept. */
  abandon<E>(cause: Cause.Cause<E>): Effect.Effect<void, E> {
    const body = this.body as Fiber.Fiber<unknown, E> | undefined
    if (body === undefined || body.pollUnsafe() !== undefined) return Effect.void
    this.finish()
    const reason = Reason.reasonIn(cause.reasons) ?? reasonOfCode(this.outer, this.task)
    Stack.shallow(body, () => body.interruptUnsafe(this.parent.id, reason && Reason.annotate(reason)))
    return Wait.callback<void, E>("what its deadline bounds", (resume) => {
      body.addObserver((exit) => Stack.shallow(this.parent, () => resume(withoutInterrupts(exit))))
    })
  }

  expire(): void {
    this.expiredAt = Alarm.now(this.clock)
    this.end({ kind: "deadline", by: this.name ?? "deadline", message: `not done within ${span(this.millis)}` })
  }

  /** Cancels the body; a body that is still on its starter's stack is cancelled as soon as its fiber is known. */
  end(reason: Reason.Reason): void {
    this.finish()
    this.reason = reason
    this.cancel(reason)
  }

  override ring(): void {
    const first = earliest(this, this.clock)
    if (first !== this) first?.expire()
    if (this.over) return
    const now = Alarm.now(this.clock)
    if (this.outer?.hasJustExpired(now, this.clock) !== true) return this.expire()
    // An enclosing deadline that passes together with this one is to report; this one has a say where it does not reach.
    this.wait(now + 1)
  }

  /** What a body that ended this way means: only a body that this deadline was the first to cancel has timed out. */
  verdict<A, E, A2, E2>(
    exit: Exit.Exit<A, E>,
    ended: (deadline: Active) => Exit.Exit<A2, E2>
  ): Exit.Exit<A | A2, E | E2> {
    if (this.reason === undefined || Exit.isSuccess(exit)) return exit
    const reasons = exit.cause.reasons
    const isOurs = (reason: Cause.Reason<E>) => Reason.reasonIn([reason]) === this.reason
    const first = reasons.findIndex(Cause.isInterruptReason)
    if (first < 0) return exit
    if (!isOurs(reasons[first]!)) return Exit.failCause(Cause.fromReasons(reasons.filter((reason) => !isOurs(reason))))
    const own = reasons.slice(0, first)
    const late = reasons.slice(first).filter((reason) => !Cause.isInterruptReason(reason))
    if (own.length > 0) return Exit.failCause(Cause.fromReasons([...own, ...late]))
    const verdict = ended(this)
    if (late.length === 0) return verdict
    const reported = Exit.isFailure(verdict) ? verdict.cause.reasons : []
    return Exit.failCause(Cause.fromReasons<E | E2>([...reported, ...late]))
  }

  error(): DeadlineExceeded {
    const task = this.task?.name
    return new DeadlineExceeded({ ...this.label, duration: this.millis, ...(task !== undefined && { task }) })
  }

  private hasJustExpired(now: number, clock: Time.Time): boolean {
    return (this.clock === clock && now - this.expiredAt < 1) || this.outer?.hasJustExpired(now, clock) === true
  }

  get label(): { readonly deadline?: string } {
    return this.name === undefined ? {} : { deadline: this.name }
  }

  protected finish(): void {
    this.over = true
    this.withdraw()
  }

  protected cancel(reason: Reason.Reason): void {
    const { body } = this
    if (body === undefined) return
    Stack.shallow(body, () => body.interruptUnsafe(this.parent.id, Reason.annotate(reason)))
  }

  protected wait(until: number): void {
    Alarm.of(this.clock).set(this, until, this.parent.cache.scheduler)
  }
}

/** Why code with this deadline around it, in this task, is being cancelled, where it is. */
export const reasonOfCode = (deadline: Ambient, task: Node<unknown, unknown> | undefined): Reason.Reason | undefined =>
  deadline?.reasonIn(task) ?? task?.reason

/** What an exit failed with besides being cancelled. */
const withoutInterrupts = <E>(exit: Exit.Exit<unknown, E>): Exit.Exit<void, E> => {
  const failures = Exit.isSuccess(exit) ? [] : exit.cause.reasons.filter((reason) => !Cause.isInterruptReason(reason))
  return failures.length === 0 ? Exit.void : Exit.failCause(Cause.fromReasons(failures))
}

/** Whether one around a fiber has passed, or passes now: it is to report. */
export const isOver = (fiber: Fiber.Fiber<unknown, unknown>, now: number): boolean => {
  const outer = fiber.getRef(Ambient)
  return outer !== undefined && (earliest(outer, Time.of(fiber))?.at ?? Infinity) <= now
}

/** Of a deadline and those around it the first to pass by this clock; at the same moment, the outermost. */
export const earliest = (innermost: Ambient, clock: Time.Time): Ambient => {
  let first: Ambient
  for (let one = innermost; one !== undefined; one = one.outer) {
    if (!one.over && one.clock === clock && (first === undefined || one.at <= first.at)) first = one
  }
  return first
}
