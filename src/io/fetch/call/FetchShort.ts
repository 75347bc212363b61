/**
 * The short way of a request, for its first attempt: one wait, no fiber for its deadlines, and its permits taken in one step.
 * It is half of what the general way costs. Where a permit is not there, it takes none and leaves all to the general way; where
 * anything but a whole answer comes, the general way goes on from that.
 */
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import { constVoid } from "effect/Function"
import type { HttpClientError } from "effect/http/HttpClientError"
import type { HttpClientResponse as Response } from "effect/http/HttpClientResponse"
import * as Alarm from "../../../concurrency/base/Alarm.ts"
import * as Wait from "../../../concurrency/base/Wait.ts"
import * as Active from "../../../concurrency/base/ActiveDeadline.ts"
import type { FetchError } from "../../FetchError.ts"
import type { Direct, Received, Receiver } from "../../context/Direct.ts"
import * as Wire from "../../context/Wire.ts"
import type { Hosts } from "../policy/FetchHosts.ts"
import type { Policy } from "../policy/FetchPolicy.ts"
import * as Attempt from "./FetchAttempt.ts"
import type { Outgoing } from "./FetchRequest.ts"

type Answering = Effect.Effect<Attempt.Answer, FetchError>

export interface Asking<A, R> {
  readonly attempt: Attempt.Attempt<Uint8Array>
  readonly outgoing: Outgoing
  readonly hosts: Hosts
  readonly policy: Policy
  /** In milliseconds. */
  readonly total: number
  /** What is made of the answer. */
  readonly read: (answer: Attempt.Answer) => Effect.Effect<A, FetchError, R>
  /** The general way; `first` is what the first attempt comes to, where there was one. */
  readonly general: (first?: Answering) => Effect.Effect<A, FetchError, R>
}

/** Whether nothing in the policy asks for more than the short way knows. */
export const isFor = ({ breaker, cookies, hedge, onUnauthorized, robots }: Policy): boolean =>
  !breaker &&
  !hedge &&
  robots !== true &&
  onUnauthorized === undefined &&
  (cookies === undefined || cookies === false || cookies === "redirects")

/** Makes the request, by the short way as far as that goes. */
export const answer = <A, R>(
  asking: Asking<A, R>,
  direct: Direct,
  fiber: Fiber.Fiber<unknown, unknown>
): Effect.Effect<A, FetchError, R> => {
  const { asked, limits } = asking.attempt
  const millis = Math.min(limits.timeout, asking.total)
  if (!(millis > 0) || Active.isOver(fiber, asked)) return asking.general()
  const short = new Short(asking, direct, fiber, millis)
  // What gives the permits back is in place before they are asked for, so that no cancellation comes in between.
  return Effect.onExitPrimitive(
    Wait.callback<A, FetchError, R>("the answer to its request", (resume) => short.begin(resume)),
    (exit) => short.close(exit)
  )
}

/** A deadline for the earlier of the times for one attempt and for all of them. */
class Short<A, R> extends Active.Active implements Receiver {
  private readonly asking: Asking<A, R>
  private readonly direct: Direct
  private readonly fiber: Fiber.Fiber<unknown, unknown>
  private readonly sent: Attempt.Sent
  private resume: (answer: Effect.Effect<A, FetchError, R>) => void = constVoid
  private leave: (() => void) | undefined
  private abort: (() => void) | undefined
  private isAccepted = false

  constructor(asking: Asking<A, R>, direct: Direct, fiber: Fiber.Fiber<unknown, unknown>, millis: number) {
    const { asked, clock } = asking.attempt
    super(fiber, clock, fiber.getRef(Active.Ambient), millis, undefined, asked)
    this.asking = asking
    this.direct = direct
    this.fiber = fiber
    this.sent = { at: this.since, scope: undefined, cookies: undefined }
  }

  begin(resume: (answer: Effect.Effect<A, FetchError, R>) => void): void {
    const { attempt, general, outgoing } = this.asking
    this.leave = this.permits()
    if (this.leave === undefined) return resume(general())
    this.resume = resume
    attempt.count += 1
    this.abort = this.direct(outgoing.request, outgoing.url, attempt.limits.wire ?? this.fiber.getRef(Wire.Wire), this)
    if (this.abort !== undefined) return this.wait(this.at)
    attempt.count -= 1
    this.release()
    resume(general())
  }

  wantsWhole(status: number, headers: Received): boolean {
    const { attempt, outgoing } = this.asking
    this.isAccepted = attempt.wantsWhole(outgoing, status, headers, this.sent)
    return this.isAccepted
  }

  receive(answer: Exit.Exit<Response, HttpClientError>, body?: Uint8Array): void {
    // It may have been given up since it was sent for.
    if (this.over) return
    const { attempt, general, outgoing, read } = this.asking
    this.finish()
    const now = Alarm.now(this.clock)
    // A busy program reaches this before the timer does.
    if (body === undefined && this.at <= now) return this.cancel()
    this.abort = undefined
    if (body !== undefined && answer._tag === "Success") {
      this.release()
      const whole = attempt.answered(outgoing, answer.value, this.sent, body, now)
      return this.resume(Effect.suspend(() => read(whole)))
    }
    const taken = Effect.matchEffect(answer, {
      onFailure: (error) => Effect.fail(attempt.broken(outgoing, error)),
      onSuccess: (response) =>
        this.isAccepted
          ? attempt.accepted(outgoing, response, this.sent, undefined)
          : attempt.keep(outgoing, response, this.sent, 0, undefined)
    })
    const timed = Attempt.within(taken, attempt.limits.timeout - (now - this.sent.at), () => attempt.tooLate(outgoing))
    // Its slots are held until the body has been read.
    this.resume(general(Effect.onExitPrimitive(timed, () => this.release())))
  }

  /** Its time is up. */
  protected override cancel(): void {
    const { attempt, general, outgoing, total } = this.asking
    this.abort?.()
    this.release()
    const isTotal = total <= attempt.limits.timeout
    this.resume(
      isTotal
        ? Effect.fail(attempt.late(outgoing, "all attempts", total))
        : general(Effect.fail(attempt.tooLate(outgoing)))
    )
  }

  close(exit: Exit.Exit<unknown, unknown>): undefined {
    if (!this.over) this.finish()
    if (exit._tag === "Failure") this.abort?.()
    this.release()
  }

  private release(): undefined {
    const { leave } = this
    this.leave = undefined
    leave?.()
  }

  /** Takes them if all are there; gives what gives back those that are held. */
  private permits(): (() => void) | undefined {
    const { attempt, hosts, policy } = this.asking
    const { fiber } = this
    const { concurrency, perHost, rate, ratePerHost } = policy
    const { pace, rates, slots } = attempt.host
    if (!pace.isFree) return undefined
    if (perHost !== undefined && !slots.isOpen(perHost)) return undefined
    if (concurrency !== undefined && !hosts.slots.isOpen(concurrency)) return undefined
    const ofHost = ratePerHost === undefined ? undefined : rates.of(ratePerHost)
    if (ofHost?.spend(fiber, 1) === false) return undefined
    if (rate !== undefined && !hosts.rates.of(rate).spend(fiber, 1)) {
      ofHost?.restore(1)
      return undefined
    }
    const outer = perHost === undefined ? undefined : slots.take(perHost, fiber)
    const inner = concurrency === undefined ? undefined : hosts.slots.take(concurrency, fiber)
    if (inner === undefined) return outer ?? constVoid
    return outer === undefined
      ? inner
      : () => {
          inner()
          outer()
        }
  }
}
