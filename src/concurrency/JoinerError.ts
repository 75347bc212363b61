/** What cannot be asked of a joiner. */
import { TaggedError } from "./base/TaggedError.ts"

/** The defect of a joiner whose result could never come, because it was given too few effects, or none. */
export class TooFewEffects extends TaggedError("TooFewEffects")<{
  readonly joiner: string
  readonly needed: number
  readonly given: number
}> {
  override get message(): string {
    const effects = this.needed === 1 ? "1 effect" : `${this.needed} effects`
    return `Joiner.${this.joiner} needs at least ${effects} and got ${this.given}: it would wait for ever, so nothing was started`
  }
}
