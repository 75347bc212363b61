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
 * The run as a table: a column for each fiber that did something worth telling, the last one for all that are too many,
 * and a row for each thing done; only the last rows of a long run.
 */
export const table = (slices: ReadonlyArray<Slice>, names: Names): string => {
  const told = merge(slices.filter((slice) => slice.operations.length > 0))
  const shown = told
    .slice(-maxRows)
    .map((slice) => ({ ...slice, operations: counted(slice.operations).slice(-maxRows) }))
  const fibers = [...new Set(shown.map((slice) => slice.fiber))].toSorted((a, b) => a - b)
  if (fibers.length === 0) return "(nothing was done)"
  const nameOf = (fiber: number) => names[fiber] ?? `fiber ${fiber}`
  const own = fibers.length > maxColumns ? fibers.slice(0, maxColumns - 1) : fibers
  const heads = [...own.map(nameOf), ...(own === fibers ? [] : ["others"])]
  const rows = shown.flatMap(({ fiber, operations, time }, index) =>
    operations.map((operation, i) => {
      const column = own.indexOf(fiber)
      const text = column < 0 ? `${nameOf(fiber)}: ${operation}` : operation
      const isNew = i === 0 && shown[index - 1]?.time !== time
      return {
        column: column < 0 ? own.length : column,
        text,
        time: isNew ? `${Math.round(time * 1000) / 1000} ms` : ""
      }
    })
  )
  const width = Math.max(14, Math.min(48, Math.floor(maxWidth / heads.length)))
  const widths = heads.map((head, column) =>
    Math.min(
      width,
      Math.max(head.length, ...rows.filter((row) => row.column === column).map(({ text }) => text.length))
    )
  )
  const line = (time: string, cells: ReadonlyArray<string>) =>
    `${time.padStart(8)}  ${cells.map((cell, i) => cut(cell, widths[i]!).padEnd(widths[i]!)).join("  ")}`.trimEnd()
  const omitted = told.length - shown.length
  return [
    line("", heads),
    line(
      "",
      widths.map((size) => "-".repeat(size))
    ),
    ...(omitted > 0 ? [`${" ".repeat(10)}… ${omitted} slices before`] : []),
    ...rows.map(({ column, text, time }) =>
      line(
        time,
        heads.map((_, i) => (i === column ? text : ""))
      )
    )
  ].join("\n")
}

const maxRows = 60
const maxColumns = 6
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

/** What is done several times in a row is told once. */
const counted = (operations: ReadonlyArray<string>): ReadonlyArray<string> => {
  const runs: Array<{ readonly operation: string; times: number }> = []
  for (const operation of operations) {
    const last = runs.at(-1)
    if (last?.operation === operation) last.times++
    else runs.push({ operation, times: 1 })
  }
  // Each level of a program fails anew.
  return runs.map(({ operation, times }) =>
    times === 1 || ends.has(operation) ? operation : `${operation} × ${times}`
  )
}

const ends = new Set(["fails", "is interrupted"])
