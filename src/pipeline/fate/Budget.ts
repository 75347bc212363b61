/** How much may be held: in bytes by all that a run works on, in elements by each of its windows. */

/** One for a run: what its sources, and what their elements are read to, hold together. */
export class Budget {
  /** Bytes held by elements that are not settled. */
  bytes = 0
  /** Elements taken in so far. */
  read = 0
  /** Source elements whose fate is not known. */
  open = 0
  private readonly most: number

  constructor(most: number) {
    this.most = most
  }

  get isHeavy(): boolean {
    return this.bytes >= this.most
  }

  /** How many bytes there is room for; half of all is left for what the steps make. */
  get left(): number {
    return this.most / 2 - this.bytes
  }
}

/** Elements between watermark and reader: of one source, or of all streams that elements are read to. */
export class Quota {
  held = 0
  readonly most: number

  constructor(most: number) {
    this.most = most
  }
}
