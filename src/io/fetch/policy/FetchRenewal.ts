/** Headers that let requests in where an origin has answered 401: had once for all who wait for them, and kept for the next. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Headers from "effect/http/Headers"
import * as Semaphore from "effect/Semaphore"
import type { Policy } from "./FetchPolicy.ts"

type Renew = NonNullable<Policy["onUnauthorized"]>

/** What asks for new headers is not given new headers itself: it would wait for what it has to bring. */
const Renewing: Context.Reference<boolean> = Context.Reference("skein/Fetch/Renewing", { defaultValue: () => false })

/** Headers of an origin; each renewal gives another. */
export interface Pass {
  readonly headers: Headers.Headers
}

export class Renewals {
  private readonly origins = new WeakMap<Renew, Map<string, Renewal>>()

  /** Those had by this function: others may have other rights. */
  of(renew: Renew, context: Context.Context<never>): ((origin: string) => Renewal) | undefined {
    if (Context.get(context, Renewing)) return undefined
    let origins = this.origins.get(renew)
    if (origins === undefined) this.origins.set(renew, (origins = new Map()))
    return (origin) => {
      let renewal = origins.get(origin)
      if (renewal !== undefined) return renewal
      if (origins.size >= most) origins.delete(origins.keys().next().value!)
      origins.set(origin, (renewal = new Renewal(renew, origin)))
      return renewal
    }
  }
}

export class Renewal {
  pass: Pass | undefined
  private readonly renew: Renew
  private readonly origin: string
  private readonly lock = Semaphore.makeUnsafe(1)
  private runs = 0
  private failure: unknown

  constructor(renew: Renew, origin: string) {
    this.renew = renew
    this.origin = origin
  }

  /** Sees to it that there is another pass than the one that was refused; whether there is. Those who wait share a failure. */
  after(refused: Pass | undefined): Effect.Effect<boolean, unknown> {
    return Effect.suspend(() => {
      if (this.pass !== refused) return Effect.succeed(true)
      const { runs } = this
      return this.lock.withPermit(
        Effect.suspend(() => {
          if (this.runs === runs) return this.run
          return this.pass === refused ? Effect.fail(this.failure) : Effect.succeed(this.pass !== undefined)
        })
      )
    })
  }

  private get run(): Effect.Effect<boolean, unknown> {
    return Effect.suspend(() => this.renew(this.origin)).pipe(
      Effect.provideService(Renewing, true),
      Effect.matchEffect({
        onFailure: (error) => {
          this.runs += 1
          this.failure = error
          return Effect.fail(error)
        },
        onSuccess: (given) => {
          this.runs += 1
          const headers = Headers.fromInput(given)
          this.pass = Object.keys(headers).length === 0 ? undefined : { headers }
          return Effect.succeed(this.pass !== undefined)
        }
      })
    )
  }
}

/** Origins that one function is remembered for. */
const most = 1_000
