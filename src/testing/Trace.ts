/** What happened in a run, slice by slice, and its picture: a column a task, time downwards. */

/** What one fiber did between getting its turn and giving it up. */
export interface Slice {
  /** Virtual milliseconds since the start. */
  readonly time: number
  /** In the order in which the fibers of a run were first seen; 0 is the root. */
  readonly fiber: number
  /** What it did, in a few words each; only replayed runs know. */
  readonly operations: ReadonlyArray<string>
}

/** The name of each fiber: that of its task, of its span or of its `Effect.fn`; by its number. */
export type Names = ReadonlyArray<string>

/**
 * The run as a table: a column for each fiber that did something worth telling, a row for each slice; only the last
 * rows of a long run.
 */
export const table = (slices: ReadonlyArray<Slice>, names: Names): string => {
  const told = merge(slices.filter((slice) => slice.operations.length > 0))
  const shown = told.slice(-maxRows).map((slice) => ({ ...slice, operations: slice.operations.slice(-maxRows) }))
  const fibers = [...new Set(shown.map((slice) => slice.fiber))].toSorted((a, b) => a - b)
  if (fibers.length === 0) return "(nothing was done)"
  const width = Math.max(14, Math.min(48, Math.floor(maxWidth / fibers.length)))
  const columns = fibers.map((fiber) => {
    const cells = shown.filter((slice) => slice.fiber === fiber).flatMap((slice) => slice.operations)
    const longest = Math.max(...[names[fiber] ?? `fiber ${fiber}`, ...cells].map((text) => text.length))
    return Math.min(width, longest)
  })
  const line = (time: string, cells: ReadonlyArray<string>) =>
    `${time.padStart(8)}  ${cells.map((cell, i) => cut(cell, columns[i]!).padEnd(columns[i]!)).join("  ")}`.trimEnd()
  const rows = shown.flatMap((slice, index) => {
    const time = index > 0 && shown[index - 1]!.time === slice.time ? "" : `${slice.time} ms`
    return slice.operations.map((operation, i) =>
      line(
        i === 0 ? time : "",
        fibers.map((fiber) => (fiber === slice.fiber ? operation : ""))
      )
    )
  })
  const omitted = told.length - shown.length
  return [
    line(
      "",
      fibers.map((fiber) => names[fiber] ?? `fiber ${fiber}`)
    ),
    line(
      "",
      columns.map((size) => "-".repeat(size))
    ),
    ...(omitted > 0 ? [line("", [`… ${omitted} slices before`])] : []),
    ...rows
  ].join("\n")
}

const maxRows = 60
const maxWidth = 110

const cut = (text: string, width: number): string => (text.length > width ? `${text.slice(0, width - 1)}…` : text)

/** Slices of one fiber that nobody came between are one. */
const merge = (slices: ReadonlyArray<Slice>): ReadonlyArray<Slice> => {
  const merged: Array<Slice & { readonly operations: Array<string> }> = []
  for (const slice of slices) {
    const last = merged.at(-1)
    if (last?.fiber === slice.fiber && last.time === slice.time) last.operations.push(...slice.operations)
    else merged.push({ ...slice, operations: [...slice.operations] })
  }
  return merged
}
