/** Elements that become rows of several sinks. */

/** What some elements become for one sink. */
interface Share {
  readonly rows: Array<unknown>
  /** For each element, how many rows are there once its own are. */
  readonly ends: Array<number>
}

export class Router<A> {
  private readonly names: ReadonlyArray<string>
  private readonly rows: (element: A) => { readonly [name: string]: ReadonlyArray<unknown> | undefined }
  /** All sinks are given one and the same batch, one after the other. */
  private readonly known = new WeakMap<ReadonlyArray<A>, ReadonlyMap<string, Share>>()

  constructor(names: ReadonlyArray<string>, rows: Router<A>["rows"]) {
    this.names = names
    this.rows = rows
  }

  share(elements: ReadonlyArray<A>, name: string): Share {
    let shares = this.known.get(elements)
    if (shares === undefined) {
      shares = this.split(elements)
      this.known.set(elements, shares)
    }
    return shares.get(name)!
  }

  private split(elements: ReadonlyArray<A>): ReadonlyMap<string, Share> {
    const shares = new Map(this.names.map((name): readonly [string, Share] => [name, { rows: [], ends: [] }]))
    for (const element of elements) {
      const given = this.rows(element)
      for (const name in given) {
        if (!shares.has(name)) {
          throw new TypeError(
            `Sink.route has no sink "${name}" for what an element became; it has ${this.names.join(", ")}`
          )
        }
      }
      for (const [name, { ends, rows }] of shares) {
        for (const row of given[name] ?? []) rows.push(row)
        ends.push(rows.length)
      }
    }
    return shares
  }
}

/** The first element whose rows end behind `row`. */
export const owner = (ends: ReadonlyArray<number>, row: number): number => {
  let [low, high] = [0, ends.length - 1]
  while (low < high) {
    const middle = (low + high) >> 1
    if (ends[middle]! > row) high = middle
    else low = middle + 1
  }
  return low
}

interface InPart {
  readonly refused: ReadonlyMap<number, unknown>
  readonly written: ReadonlyArray<number>
}

/** The elements whose rows those are: refused with the first of them that is, and written with the last. */
export const owned = (ends: ReadonlyArray<number>, { refused, written }: InPart): InPart => {
  const elements = new Map<number, unknown>()
  for (const [row, error] of refused) {
    const element = owner(ends, row)
    if (!elements.has(element)) elements.set(element, error)
  }
  const rows = new Map<number, number>()
  for (const row of written) rows.set(owner(ends, row), (rows.get(owner(ends, row)) ?? 0) + 1)
  const isWhole = (element: number, count: number) => count === ends[element]! - (ends[element - 1] ?? 0)
  return {
    refused: elements,
    written: [...rows].flatMap(([element, count]) => (isWhole(element, count) ? [element] : []))
  }
}
