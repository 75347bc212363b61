/** What a run holds and writes at most. */
import type { Limits } from "../fate/Window.ts"
import type { RunOptions } from "../Run.ts"

export interface Bounds {
  /** Of what is open between reader and watermark. */
  readonly window: Limits
  /** The most elements in one write. */
  readonly maxRows: number
}

/** With the rows of the batch that the sink prefers, where it says so once it is open. */
export const boundsOf = (options: Pick<RunOptions<unknown>, "maxRows" | "window">, prefers?: number): Bounds => {
  const maxRows = options.maxRows ?? prefers ?? 1000
  const { bytes = 64 * 1024 * 1024, items = prefers === undefined ? 1024 : Math.max(1024, 2 * maxRows) } =
    options.window ?? {}
  return { window: { items, bytes }, maxRows }
}
