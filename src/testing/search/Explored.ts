/** What a search has come to. */
export interface Explored {
  /** How many schedules were run. */
  readonly schedules: number
  /** How many of them were different orders: of operations, or by what chance brought. */
  readonly distinct: number
  /** True if an exhaustive search has seen all orders, with as many preemptions as it was allowed. */
  readonly complete: boolean
  /** The same in words: `all 184 orders`, or how many of them, or of how many kinds. */
  readonly summary: string
}
