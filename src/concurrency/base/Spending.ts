/** Limiters whose permits are spent for good can be asked in one step, by who needs several of them at once or none. */
import type * as Fiber from "effect/Fiber"

export interface Spending {
  /** Takes the permits if they are there and nobody waits for them. */
  readonly spend: (fiber: Fiber.Fiber<unknown, unknown>, permits: number) => boolean
  /** In the step in which they were taken: as if they had not been. */
  readonly restore: (permits: number) => void
}
