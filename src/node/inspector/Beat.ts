/** What the thread of the program and the one that watches it share: numbers, as a thread that is blocked sends no message. */

export interface Setup {
  readonly shared: Int32Array<SharedArrayBuffer>
  /** In milliseconds, as all here: how long the loop may stand. */
  readonly threshold: number
  /** Between two beats, and between two looks at them. */
  readonly interval: number
}

/** When the loop turned last; it goes round with the integers. */
export const at = 0
/** How long it stood before that, where that was over the threshold. */
export const stood = 1
/** Whether somebody else may be there to debug the program. */
export const debugged = 2

export const setupFor = (threshold: number): Setup => ({
  shared: new Int32Array(new SharedArrayBuffer(12)),
  threshold,
  interval: Math.max(1, Math.round(threshold / 5))
})

/** What the thread that watches tells of a blockage that is over. */
export interface Blockage {
  /** When it began, in milliseconds since the epoch. */
  readonly at: number
  readonly took: number
  readonly culprit: Culprit
}

/** Who was at work. */
export interface Culprit {
  readonly task: number | null
  readonly name: string | null
  readonly stack: ReadonlyArray<string>
  /** In words that follow "is blocked" or "was blocked". */
  readonly words: string
}

/** Where the program says who is at work, for who looks from the other thread. */
export const slot = "skein/inspector/Watchdog"

/** What it says. */
export interface AtWork {
  readonly fiber: number | null
  readonly task: number | null
  readonly name: string | null
}
