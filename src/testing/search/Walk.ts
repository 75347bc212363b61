/** A walk through a tree of which one sees no more than the branches at hand: depth first, to each leaf once. */
export class Walk {
  /** The branches that were taken, where there was more than one. */
  private readonly path: Array<{ way: number; readonly ways: number }> = []
  private depth = 0
  private surprised = false

  /** True at a leaf of another tree than the one that it was before. */
  get strayed(): boolean {
    return this.surprised || this.depth < this.path.length
  }

  /** Which of so many branches to take. */
  readonly decide = (ways: number): number => {
    if (ways < 2) return 0
    const at = this.depth++
    const known = this.path[at]
    if (known === undefined) {
      this.path.push({ way: 0, ways })
      return 0
    }
    if (known.ways === ways) return known.way
    this.surprised = true
    return 0
  }

  /** Back to the root, and on the way to the next leaf; false if there is none. */
  next(): boolean {
    this.depth = 0
    for (let last = this.path.at(-1); last !== undefined; last = this.path.at(-1)) {
      if (++last.way < last.ways) return true
      this.path.pop()
    }
    return false
  }
}
