/**
 * What came of effects, put together in their order when all is there. In portions, as one array that grows copies itself again and
 * again: a tenth of a joiner of many.
 */
export class Results {
  private readonly portions: Array<Array<unknown>> = []

  /** In the order of ending, which leaves few gaps, and none at the end. */
  put(index: number, result: unknown): void {
    const at = Math.floor(index / size)
    while (this.portions.length <= at) this.portions.push([])
    const portion = this.portions[at]!
    const place = index % size
    while (portion.length < place) portion.push(undefined)
    portion[place] = result
  }

  all(): Array<unknown> {
    return ([] as Array<unknown>).concat(...this.portions)
  }
}

const size = 1024
