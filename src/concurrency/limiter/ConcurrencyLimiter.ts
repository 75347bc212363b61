/** The limiter behind `Limiter.concurrency`: so many permits, each held by a piece of code until that has ended. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type * as Option from "effect/Option"
import { Gate, Pass } from "../base/Gate.ts"
import { checkWhole } from "../base/Options.ts"
import type { Known } from "../base/Entries.ts"
import { CurrentTask, nameOf, type Node } from "../base/TaskNode.ts"
import { Waiter } from "../base/WaitList.ts"
import * as Wait from "../base/Wait.ts"
import { AlreadyHeld, TooManyPermits } from "../LimiterError.ts"
import type { Resizable, Stats } from "./Contract.ts"
import { Held, innermost } from "./Held.ts"
import { OwnLimiter, type Taken, type Use } from "./OwnLimiter.ts"

export class ConcurrencyLimiter extends OwnLimiter implements Resizable {
  private readonly gate: Gate<Permit>

  constructor(limit: number) {
    super()
    checkWhole("Limiter: limit", limit, 0)
    this.gate = new Gate(limit)
  }

  // What gives the permit back is in place before the permit is asked for, so that no cancellation comes in between.
  withPermits(permits: number) {
    return <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
      Effect.withFiber((fiber) => {
        const permit = new Permit(this.gate, fiber, permits)
        const refusal = this.refusal(permit)
        if (refusal !== undefined) return Effect.die(refusal)
        return Effect.onExitPrimitive(
          this.gate.isOpenTo(permit)
            ? Effect.suspend(() => (this.gate.enter(permit) ? effect : this.wait(permit, effect)))
            : this.wait(permit, effect),
          () => this.leave(permit, fiber)
        )
      })
  }

  override attempt<A, E, R>(permits: number, use: Use<A, E, R>): Effect.Effect<Option.Option<A>, E, R> {
    return use((fiber) => this.take(fiber, permits))
  }

  take(fiber: Fiber.Fiber<unknown, unknown>, permits: number): Taken | undefined {
    const permit = new Permit(this.gate, fiber, permits)
    const refusal = this.refusal(permit)
    if (refusal instanceof TooManyPermits) return undefined
    if (refusal !== undefined) throw refusal
    if (!this.gate.enter(permit)) return undefined
    const leave = () => this.leave(permit, fiber)
    return { undo: leave, end: leave }
  }

  resize(limit: number): Effect.Effect<void> {
    return Effect.withFiber((fiber) => {
      checkWhole("Limiter: limit", limit, 0)
      this.change(limit, fiber)
      return Effect.void
    })
  }

  /** As `resize`, on behalf of this fiber. */
  change(limit: number, by: Fiber.Fiber<unknown, unknown>): void {
    const { gate } = this
    gate.limit = limit
    for (let permit = gate.waiting.first; permit !== undefined;) {
      const next = permit.after as Permit | undefined
      const refusal = this.refusal(permit)
      if (refusal !== undefined) {
        gate.waiting.remove(permit)
        permit.resume!(Effect.die(refusal))
      }
      permit = next
    }
    gate.letIn(by)
  }

  get stats(): Effect.Effect<Stats> {
    return Effect.sync(() => {
      const { inside, limit, used, waiting } = this.gate
      const borrowers = new Map<string, number>()
      for (let permit = inside.first; permit !== undefined; permit = permit.after as Permit | undefined) {
        const name = nameOf(permit.fiber!)
        borrowers.set(name, (borrowers.get(name) ?? 0) + permit.places)
      }
      return { limit, inUse: used, waiting: waiting.size, borrowers }
    })
  }

  override inUseNow(): number {
    return this.gate.used
  }

  /** Whether an effect that wants a permit has to wait now. */
  get isFull(): boolean {
    const { limit, used, waiting } = this.gate
    return used + (waiting.first?.places ?? 1) > limit
  }

  private wait<A, E, R>(permit: Permit, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    return Wait.callback<A, E, R>("permits of a limiter", (resume) => {
      // Somebody may have left since it was asked for.
      if (this.gate.enter(permit)) return resume(effect)
      permit.wait(effect, resume as Resume)
      this.gate.waiting.add(permit)
    })
  }

  private leave(permit: Permit, fiber: Fiber.Fiber<unknown, unknown>): undefined {
    permit.end()
    this.gate.leave(permit, fiber)
  }

  /** S29: what this fiber holds is never asked for twice, and what its task does, in another, only where it can be given. */
  private refusal({ fiber, gate, outer, places }: Permit): AlreadyHeld | TooManyPermits | undefined {
    let wanted = places
    let holder: Held | undefined
    for (let held = innermost(outer); held !== undefined; held = held.outer) {
      if (held.gate !== gate) continue
      holder = held
      if (held.fiber === fiber) break
      wanted += held.places
    }
    // A limit of zero is a closed door: it says nothing of how many fit through when it opens.
    const isImpossible = wanted > gate.limit && gate.limit > 0
    if (holder !== undefined && (isImpossible || holder.fiber === fiber)) {
      return new AlreadyHeld({ task: nameOf(holder.fiber!) })
    }
    return isImpossible ? new TooManyPermits({ asked: places, limit: gate.limit }) : undefined
  }
}

type Resume = (effect: Effect.Effect<unknown, unknown, unknown>) => void

class Permit extends Pass implements Held {
  readonly gate: Gate<Permit>
  fiber: Fiber.Fiber<unknown, unknown> | undefined
  outer: Held | undefined
  /** Of who waits for it: what it goes on with, and how. */
  private effect: Effect.Effect<unknown, unknown, unknown> | undefined
  resume: Resume | undefined
  private waiting: PermitWait | undefined
  private context: Context.Context<never> | undefined

  constructor(gate: Gate<Permit>, fiber: Fiber.Fiber<unknown, unknown>, permits: number) {
    checkWhole("Limiter: permits", permits, 0)
    super(permits)
    this.gate = gate
    this.fiber = fiber
    this.outer = fiber.getRef(Held)
  }

  wait(effect: Effect.Effect<unknown, unknown, unknown>, resume: Resume): void {
    this.effect = effect
    this.resume = resume
    const task = this.fiber!.getRef(CurrentTask)
    if (task !== undefined) task.suspended((this.waiting = new PermitWait(task, this)))
  }

  override entered(): void {
    const fiber = this.fiber!
    this.context = fiber.context
    fiber.setContext(Context.add(this.context, Held, this))
    this.waiting?.over()
    this.resume?.(this.effect!)
  }

  /** Gives the code around the permit its environment back; code that was started under it may keep it, not the fiber. */
  end(): void {
    this.waiting?.over()
    if (this.context !== undefined) this.fiber!.setContext(this.context)
    this.context = this.fiber = undefined
  }
}

/** S31: what a task waits for here. A closure for it, and one that ends it, would be a tenth of a wait. */
class PermitWait extends Waiter implements Known {
  private readonly task: Node<unknown, unknown>
  private readonly permit: Permit
  since: number | undefined

  constructor(task: Node<unknown, unknown>, permit: Permit) {
    super()
    this.task = task
    this.permit = permit
  }

  get fiber(): Fiber.Fiber<unknown, unknown> | undefined {
    return this.permit.fiber
  }

  get gate(): Gate<Permit> {
    return this.permit.gate
  }

  what(): string {
    return `${this.permit.places} of ${this.permit.gate.limit} permits`
  }

  over(): void {
    this.task.resumed(this)
  }
}
