/** What code can ask of a deadline, and do to it, while it is active. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import { type Active, Ambient, earliest } from "./ActiveDeadline.ts"
import * as Alarm from "./Alarm.ts"
import * as Time from "./Time.ts"
import { DeadlineOver } from "../DeadlineError.ts"

/** The time left until the earliest of the deadlines around a fiber; none where there is none. */
export const remaining = (fiber: Fiber.Fiber<unknown, unknown>): Option.Option<Duration.Duration> => {
  const first = earliest(fiber.getRef(Ambient), Time.of(fiber))
  return first === undefined ? Option.none() : left(first)
}

const left = (deadline: Active): Option.Option<Duration.Duration> =>
  deadline.at === Infinity
    ? Option.none()
    : Option.some(Duration.millis(Math.max(0, deadline.at - Alarm.now(deadline.clock))))

export class DeadlineHandle {
  private readonly deadline: Active

  constructor(deadline: Active) {
    this.deadline = deadline
  }

  get remaining(): Effect.Effect<Option.Option<Duration.Duration>> {
    return Effect.sync(() => left(this.deadline))
  }

  get expired(): Effect.Effect<boolean> {
    return Effect.sync(() => this.deadline.reason !== undefined)
  }

  reschedule(duration: Duration.Input): Effect.Effect<void> {
    const { deadline } = this
    return Effect.suspend(() => {
      if (deadline.over)
        return Effect.die(new DeadlineOver({ ...deadline.label, expired: deadline.reason !== undefined }))
      return deadline.move(Duration.toMillis(duration)) ? Effect.void : Effect.yieldNow
    })
  }
}
