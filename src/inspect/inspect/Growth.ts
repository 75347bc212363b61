/** What only grew, from one look to the next. */
export interface Grown {
  readonly from: number
  readonly to: number
  /** Since it was that small, in milliseconds since the epoch. */
  readonly since: number
}

export class Growth {
  private readonly seen = new WeakMap<object, Grown>()

  /** How much it grew since it last was smaller than before. */
  look(what: object, size: number, at: number): Grown {
    const before = this.seen.get(what)
    const grown =
      before === undefined || size < before.to ? { from: size, to: size, since: at } : { ...before, to: size }
    this.seen.set(what, grown)
    return grown
  }
}
