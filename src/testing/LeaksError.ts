/** What an effect must not leave behind. */
import * as Schema from "effect/Schema"

/** What an effect has left behind. */
export class Leaked extends Schema.TaggedError<Leaked>()("Leaked", {
  fibers: Schema.Array(Schema.String),
  timers: Schema.Number,
  scopes: Schema.Number,
  lent: Schema.Array(Schema.String)
}) {
  override get message(): string {
    const left = [
      ...this.fibers.map((name) => `the fiber "${name}" is alive`),
      ...counted(this.timers, "timer is", "timers are", "pending"),
      ...counted(this.scopes, "scope is", "scopes are", "open with finalizers"),
      ...this.lent.map((lent) => `${lent} is not given back`)
    ]
    return `The effect has ended, but ${left.join("; ")}. Whoever makes it has to end it, in every outcome`
  }
}

const counted = (count: number, one: string, many: string, how: string): ReadonlyArray<string> =>
  count === 0 ? [] : [`${count} ${count === 1 ? one : many} ${how}`]
