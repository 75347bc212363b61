/** Behind the workers of a step with a state, which take one element at a time: notes whose state it is now. */
import * as Effect from "effect/Effect"
import { Tally } from "../context/Tally.ts"
import type { Fate } from "../fate/Fate.ts"
import type { Succession } from "../fate/Succession.ts"
import type { Unit } from "../fate/Unit.ts"
import type { Each, Scan as Step } from "../Step.ts"
import { Item } from "./Lane.ts"
import { Leaving } from "./Order.ts"
import type { Station } from "./Station.ts"

export class Scan implements Station {
  readonly isIdle = true
  readonly waiting = 0
  readonly working = 0
  readonly resting = 0
  readonly concurrency = 1
  readonly tallies: readonly [Tally] = [new Tally()]
  private readonly step: Step
  private readonly succession: Succession<Unit>
  private readonly fate: Fate
  private readonly next: Station
  private readonly leaving: Leaving

  constructor(step: Step, succession: Succession<Unit>, next: Station, fate: Fate) {
    this.step = step
    this.succession = succession
    this.fate = fate
    this.next = next
    this.leaving = new Leaving(next, fate)
  }

  accept(item: Item): void {
    const { succession } = this
    const { output, state } = item.value as Next
    succession.state = state
    succession.position = item.unit.name
    this.fate.turn(item.unit, succession)
    item.value = output
    if (this.step.end === undefined) return this.next.accept(item)
    if (output === undefined) this.fate.filter(item.unit)
    item.end = output === undefined ? "none" : "many"
    this.leaving.leave(item)
  }

  /** There are no more: gives what the step has left. */
  finish(): void {
    const { fate, succession, step } = this
    const last = step.end?.(succession.state)
    if (last === undefined) return
    const [state, outputs] = last
    succession.state = state
    const unit = fate.append(succession.position)
    fate.turn(unit, succession)
    this.leaving.leave(Object.assign(new Item(outputs, unit, "/end"), { end: "many" }))
  }

  flush(): void {}

  close(): void {}

  crew(): ReadonlyArray<never> {
    return []
  }
}

/** What the workers do for it. */
export const workOf = (step: Step, succession: Succession<Unit>): Each => {
  const next = (given: unknown): Next => {
    if (Array.isArray(given)) return new Next(given[0], given[1])
    throw new TypeError(`Step "${step.name}" has to give [state, output] for each element`)
  }
  return {
    ...step,
    _tag: "Each",
    kind: "map",
    f: (value) => {
      const given = step.f(succession.state, value)
      if (Array.isArray(given)) return next(given)
      if (Effect.isEffect(given)) return Effect.map(given as Effect.Effect<unknown, unknown, unknown>, next)
      return isThenable(given) ? Promise.resolve(given).then(next) : next(given)
    }
  }
}

/** What the function of the step gave. The state is no part of what the element weighs. */
class Next {
  readonly output: unknown
  readonly #state: unknown

  constructor(state: unknown, output: unknown) {
    this.output = output
    this.#state = state
  }

  get state(): unknown {
    return this.#state
  }
}

const isThenable = (given: unknown): given is PromiseLike<unknown> =>
  typeof given === "object" && given !== null && "then" in given && typeof given.then === "function"
