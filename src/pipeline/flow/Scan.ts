/** Behind the workers of a step with a state, which take one element at a time: notes whose state it is now. */
import * as Effect from "effect/Effect"
import type { Fate } from "../fate/Fate.ts"
import type { Line } from "../fate/Line.ts"
import type { Each, Scan as Step } from "../Step.ts"
import { Item } from "./Lane.ts"
import { Leaving } from "./Order.ts"
import type { Station } from "./Station.ts"

export class Scan implements Station {
  readonly isEnd = false
  readonly isIdle = true
  readonly waiting = 0
  readonly working = 0
  private readonly step: Step
  private readonly line: Line
  private readonly fate: Fate
  private readonly next: Station
  private readonly leaving: Leaving

  constructor(step: Step, line: Line, next: Station, fate: Fate) {
    this.step = step
    this.line = line
    this.fate = fate
    this.next = next
    this.leaving = new Leaving(next, fate)
  }

  accept(item: Item): void {
    this.line.position = item.unit.position
    this.fate.turn(item.unit, this.line)
    if (this.step.end === undefined) return this.next.accept(item)
    if (item.value === undefined) this.fate.filter(item.unit)
    item.end = item.value === undefined ? "none" : "many"
    this.leaving.leave(item)
  }

  /** There are no more: gives what the step has left. */
  finish(): void {
    const { fate, line, step } = this
    const last = step.end?.(line.state)
    if (last === undefined) return
    const [state, outputs] = last
    line.state = state
    const unit = fate.append(line.position)
    fate.turn(unit, line)
    this.leaving.leave(Object.assign(new Item(outputs, unit, "/end"), { end: "many" }))
  }

  flush(): void {}

  close(): void {}

  crew(): ReadonlyArray<never> {
    return []
  }
}

/** What the workers do for it. */
export const workOf = (step: Step, line: Line): Each => ({
  ...step,
  _tag: "Each",
  kind: "map",
  f: (value) => {
    const given = step.f(line.state, value)
    const goOn = (next: unknown): unknown => {
      if (!Array.isArray(next)) throw new TypeError(`Step "${step.name}" has to give [state, output] for each element`)
      line.state = next[0]
      return next[1]
    }
    if (Effect.isEffect(given)) return Effect.map(given as Effect.Effect<unknown, unknown, unknown>, goOn)
    return isThenable(given) ? Promise.resolve(given).then(goOn) : goOn(given)
  }
})

const isThenable = (given: unknown): given is PromiseLike<unknown> =>
  typeof given === "object" && given !== null && "then" in given && typeof given.then === "function"
