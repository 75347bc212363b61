/** A statement whose rows are read portion by portion. Runs in any thread. */

export type Row = Record<string, unknown>

/** A statement that is under way, with the first of its rows. */
export class Cursor {
  private readonly rows: Iterator<Row>
  private first: ReadonlyArray<Row>
  private count = 16

  /** The first row is read at once: a lock or a wrong statement shows by then. */
  constructor(rows: Iterator<Row>) {
    this.rows = rows
    this.first = this.read(1)
  }

  /** A portion of rows, none at the end; after a thousand of them or so of the usual size the event loop has its turn. */
  next(): ReadonlyArray<Row> {
    const { first } = this
    this.first = []
    const rows = this.read(this.count - first.length)
    const all = first.length === 0 ? rows : [...first, ...rows]
    const [last] = all.slice(-1)
    if (last !== undefined) this.count = Math.max(1, Math.min(mostRows, Math.floor(portion / sizeOf(last))))
    return all
  }

  close(): void {
    this.rows.return?.()
  }

  private read(count: number): ReadonlyArray<Row> {
    const rows: Array<Row> = []
    while (rows.length < count) {
      const { done, value } = this.rows.next()
      if (done === true) break
      rows.push(value)
    }
    return rows
  }
}

const mostRows = 256

/** Bytes, by the last row: those that follow will be like it. */
const portion = 256 * 1024

const sizeOf = (row: Row): number => {
  let size = 16
  for (const value of Object.values(row)) {
    size += typeof value === "string" ? value.length : value instanceof Uint8Array ? value.byteLength : 8
  }
  return size
}
