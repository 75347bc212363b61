/** Where elements are: among those of a source, or inside of another element. */
import type { Inside, SeenBy } from "../Journal.ts"
import type { Position } from "../Source.ts"

/** What is read as parts. */
interface Whole {
  readonly root: { readonly positionsIn: () => ReadonlyArray<Position> }
}

/** What an element knows of the window that it is in. */
export interface Home {
  /** Which source element stands there, as messages, dead letters and keys have it. */
  readonly nameOf: (position: Position) => Position
  /** What a step reads as its parts, where it is no source element. */
  readonly parent: Whole | undefined
  /** What the paths of such parts begin with. */
  readonly path: string | undefined
  /** Whether what is in it settles as a whole, as nothing is kept of what is inside of it. */
  readonly isWhole: boolean
}

/** The key of a descendant that a step let pass. */
export interface Mark extends SeenBy {
  /** The unit of which it is, whatever that was merged into since. */
  readonly unit: unknown
  /** Whether the journal has it. */
  kept: boolean
}

/** What a unit is that has parts of its own: those settle, and are kept, by themselves. */
export interface Parts {
  /** The windows whose parts are not all in a commit yet. */
  open: number
  /** All of them, until the unit is settled. */
  windows: ReadonlyArray<Home>
  /** What an earlier run has settled inside of it, where this one has not come to it. */
  before: ReadonlyArray<Inside>
}

export const noParts: Parts = { open: 0, windows: [], before: [] }
