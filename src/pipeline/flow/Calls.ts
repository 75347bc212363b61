/**
 * How a step with a policy is called, in the order of P6: total( retry( rate token( worker( attempt( call ))))). Who waits for the
 * next attempt, or for a token of its key, holds no worker.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Alarm from "../../concurrency/base/Alarm.ts"
import * as Deadline from "../../concurrency/Deadline.ts"
import { waitBefore } from "../context/Backoff.ts"
import { Meter } from "../context/Meter.ts"
import type { Each, StepPolicy } from "../Step.ts"
import type { Item } from "./Lane.ts"
import { Tokens } from "./Tokens.ts"
import type { Worker } from "./Worker.ts"

type Call = Effect.Effect<unknown, unknown, unknown>

/** The stage that makes the calls. */
export interface Caller {
  /** Has the worker hold the place that it works in. */
  readonly slot: (call: Call) => Call
  /** The item holds no worker any more. */
  readonly leave: () => void
  /** It wants one again. */
  readonly comeBack: (item: Item) => void
}

/** What the effect of an item gives that left its worker. */
export const away: unique symbol = Symbol("away")

/** How far an item is that was begun. */
interface Try {
  retries: number
  /** What the next attempt is, for whoever asks. */
  count: number
  /** Whether the next attempt has its token. */
  hasToken: boolean
  readonly until: number
}

export class Calls {
  private readonly name: string
  private readonly policy: StepPolicy
  private readonly caller: Caller
  private readonly total: number
  private readonly attempt: Duration.Input | undefined
  private readonly rate: Tokens | undefined
  private readonly keyRate: Tokens | undefined
  private readonly tries = new Map<Item, Try>()
  private readonly waits = new Set<Alarm.Appointment>()

  constructor({ name }: Each, policy: StepPolicy, caller: Caller) {
    const { rate, ratePerKey, timeout } = policy
    this.name = name
    this.policy = policy
    this.caller = caller
    this.total = timeout.total === undefined ? Infinity : Duration.toMillis(timeout.total)
    this.attempt = timeout.attempt
    this.rate = rate === undefined || "withPermit" in rate ? undefined : new Tokens(rate)
    this.keyRate = ratePerKey && new Tokens(ratePerKey)
  }

  /** The next attempt of this item; gives `away` where it is not made yet, or another one is to follow. */
  call(item: Item, worker: Worker, call: Call): Call {
    return Effect.withFiber((fiber) => {
      const now = nowOf(fiber)
      const known = this.tries.get(item)
      const one = known ?? { retries: 0, count: 1, hasToken: false, until: now + this.total }
      if (known === undefined) this.tries.set(item, one)
      if (this.keyRate !== undefined && !one.hasToken) {
        one.hasToken = true
        const due = this.keyRate.reserve(item.line!.key, now)
        if (due > now) return this.leave(item, Math.min(due, one.until), fiber)
      }
      one.hasToken = false
      worker.count = one.count
      if (one.retries > 0) fiber.getRef(Meter).retries += 1
      return Effect.catchCause(this.timed(this.paced(call, now), one.until - now), (cause) => {
        const { retry } = this.policy
        const { retries = 3 } = retry ?? { retries: 0 }
        const wait =
          one.retries >= retries
            ? undefined
            : waitBefore(fiber, cause, { ...retry, attempt: this.attempt }, one.retries + 1)
        const due = wait === undefined ? Infinity : nowOf(fiber) + Duration.toMillis(wait)
        // S15: a retry that cannot end in time is not begun.
        if (wait === undefined || due >= one.until) return Effect.failCause(cause)
        one.retries += 1
        one.count = worker.count + 1
        return this.leave(item, due, fiber)
      })
    })
  }

  /** The item is at its end. */
  end(item: Item): void {
    this.tries.delete(item)
  }

  /** Nobody will come back any more. */
  close(): void {
    for (const wait of this.waits) wait.withdraw()
    this.waits.clear()
  }

  private leave(item: Item, due: number, fiber: Fiber.Fiber<unknown, unknown>): Effect.Effect<typeof away> {
    const wait = Alarm.appointment(() => {
      this.waits.delete(wait)
      this.caller.comeBack(item)
    })
    this.waits.add(wait)
    this.caller.leave()
    Alarm.of(fiber.getRef(Clock.Clock)).set(wait, due, fiber.cache.scheduler)
    return Effect.succeed(away)
  }

  /** With a token of all keys; the worker waits for it, as no other item could be begun meanwhile. */
  private paced(call: Call, now: number): Call {
    const attempt =
      this.attempt === undefined ? call : Deadline.within(call, this.attempt, { name: `${this.name} attempt` })
    const held = this.caller.slot(attempt)
    const { rate } = this.policy
    if (rate !== undefined && "withPermit" in rate) return rate.withPermit(held)
    const due = this.rate?.reserve(undefined, now) ?? now
    return due > now ? Effect.andThen(Effect.sleep(Duration.millis(due - now)), held) : held
  }

  private timed(call: Call, left: number): Call {
    if (this.total === Infinity) return call
    const name = `${this.name} total`
    const timed = Deadline.within(call, Duration.millis(left), { name })
    if (left === this.total) return timed
    return Effect.mapError(timed, (error) =>
      error instanceof Deadline.DeadlineExceeded && error.deadline === name
        ? new Deadline.DeadlineExceeded({ ...error, duration: this.total })
        : error
    )
  }
}

const nowOf = (fiber: Fiber.Fiber<unknown, unknown>): number => Alarm.now(fiber.getRef(Clock.Clock))
