/** What a search has come to. */
export interface Explored {
  /** How many schedules were run; an exhaustive search comes to some orders in more than one. */
  readonly schedules: number
  /** How many different orders there were among them: of operations, or by what was chosen. */
  readonly distinct: number
  /** True if an exhaustive search has seen all orders, with as many preemptions as it was allowed. */
  readonly complete: boolean
  /** The same in words: `all 184 orders`, or how many of them, or of how many kinds. */
  readonly summary: string
}
