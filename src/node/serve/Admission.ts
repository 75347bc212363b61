/** Who may begin now, who waits, and who is told to come again: a queue that grows helps nobody who is in it. */
import * as Effect from "effect/Effect"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Option from "effect/Option"
import type { Limiter } from "../../concurrency/Limiter.ts"

export class Admission {
  waiting = 0
  shed = 0
  private readonly limiter: Limiter | undefined
  private readonly most: number
  private readonly refuse: Effect.Effect<HttpServerResponse.HttpServerResponse>

  constructor(limiter: Limiter | undefined, most: number, refusal: HttpServerResponse.HttpServerResponse) {
    this.limiter = limiter
    this.most = most
    this.refuse = Effect.sync(() => {
      this.shed += 1
      return refusal
    })
  }

  /** Runs the handler with a permit, waits for one where there is room in the queue, or refuses. */
  admit<E, R>(
    handler: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>
  ): Effect.Effect<HttpServerResponse.HttpServerResponse, E, R> {
    const { limiter } = this
    if (limiter === undefined) return handler
    return Effect.suspend(() =>
      this.waiting < this.most
        ? this.queued(limiter, handler)
        : Effect.flatMap(
            limiter.tryWithPermits(1)(handler),
            Option.match({ onNone: () => this.refuse, onSome: Effect.succeed })
          )
    )
  }

  private queued<E, R>(
    limiter: Limiter,
    handler: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>
  ): Effect.Effect<HttpServerResponse.HttpServerResponse, E, R> {
    let waits = true
    const leave = (): void => {
      if (waits) this.waiting -= 1
      waits = false
    }
    this.waiting += 1
    const begun = Effect.suspend(() => {
      leave()
      return handler
    })
    return Effect.onExitPrimitive(limiter.withPermit(begun), () => void leave())
  }
}

/** "Not now", with when to come again. */
export const later = (seconds: number): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.empty({ status: 503, headers: { "retry-after": String(seconds) } })
