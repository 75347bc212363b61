/** How a task ended. */
import * as Cause from "effect/Cause"
import * as Exit from "effect/Exit"

export type Outcome = "succeeded" | "failed" | "cancelled"

export const endOf = (exit: Exit.Exit<unknown, unknown>): Outcome =>
  Exit.isSuccess(exit) ? "succeeded" : Cause.hasInterruptsOnly(exit.cause) ? "cancelled" : "failed"
