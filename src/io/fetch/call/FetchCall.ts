/** A call under the policy in force: `whole` gives the answer with its body, `open` one whose body is a stream. */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Headers from "effect/http/Headers"
import * as HttpClient from "effect/http/HttpClient"
import type { HttpMethod } from "effect/http/HttpMethod"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import * as Foreign from "../../../concurrency/base/Foreign.ts"
import * as Deadline from "../../../concurrency/Deadline.ts"
import * as Policies from "../../../pipeline/Policy.ts"
import { FetchError } from "../../FetchError.ts"
import * as Attempt from "./FetchAttempt.ts"
import { askedFor } from "../body/FetchCoding.ts"
import { hedged } from "../policy/FetchHedge.ts"
import * as Hosts from "../policy/FetchHosts.ts"
import { type Asking, patience } from "../policy/FetchPace.ts"
import * as Policy from "../policy/FetchPolicy.ts"
import { identity } from "../download/Range.ts"
import * as Request from "./FetchRequest.ts"
import * as Short from "./FetchShort.ts"
import * as RobotsCheck from "../policy/RobotsCheck.ts"
import * as HttpCache from "../cache/HttpCache.ts"
import * as Direct from "../../context/Direct.ts"
import * as Wire from "../../context/Wire.ts"

/** A policy for this function alone, and what it sends. */
export interface Options extends Policy.Policy {
  /** Default GET, or the method of the request. */
  readonly method?: HttpMethod | undefined
  /** Which statuses are answers and not failures, default 200 to 299. */
  readonly accept?: ((status: number) => boolean) | undefined
  /**
   * Sends an `Idempotency-Key`, the same for each attempt on the same element of a pipeline, this run or the next: the
   * promise of this server that it does nothing twice, so that POST and PATCH are retried as well.
   */
  readonly idempotencyKey?: boolean | undefined
}

export class Call {
  private readonly options: Options
  private readonly defaults: Headers.Input
  private plan: Plan | undefined

  /** `defaults` are the headers that all others go before. */
  constructor(options: Options = {}, defaults: Headers.Input = {}) {
    Policy.check("Fetch", options)
    this.options = options
    this.defaults = defaults
  }

  /** What `read` makes of the answer with its whole body. */
  whole<A, R>(
    target: Request.Target,
    read: (answer: Attempt.Answer) => Effect.Effect<A, FetchError, R>
  ): Effect.Effect<A, FetchError, R | HttpClient.HttpClient> {
    return Effect.withFiber((fiber) => {
      const context = fiber.context as Context.Context<HttpClient.HttpClient>
      const plan = this.planFor(context)
      const made = make(target, plan, Attempt.whole, undefined, context)
      if (Result.isFailure(made)) return Effect.fail(made.failure)
      const { attempt, client, hosts, outgoing } = made.success
      const general = (first?: Effect.Effect<Attempt.Answer, FetchError>) =>
        Effect.flatMap(answer(attempt, outgoing, plan, hosts, first), read)
      const direct = plan.mayBeShort && attempt.around.cache === undefined ? Direct.of(client) : undefined
      if (direct === undefined) return general()
      const { policy, total } = plan
      return Short.answer({ attempt, outgoing, hosts, policy, total, read, general }, direct, fiber)
    })
  }

  /**
   * The answer as soon as its head is there. It holds its slot until the body was read or the scope closes. Each piece
   * of the body has the time of an attempt.
   */
  open(
    target: Request.Target
  ): Effect.Effect<Attempt.Answer<Attempt.Arriving>, FetchError, HttpClient.HttpClient | Scope.Scope> {
    return Effect.contextWith((context: Context.Context<HttpClient.HttpClient | Scope.Scope>) => {
      const plan = ofStreams(this.planFor(context))
      const made = make(target, plan, Attempt.arriving, Context.get(context, Scope.Scope), context)
      if (Result.isFailure(made)) return Effect.fail(made.failure)
      const { attempt, hosts, outgoing } = made.success
      return answer(attempt, outgoing, plan, hosts)
    })
  }

  private planFor(context: Context.Context<never>): Plan {
    const policy = Context.get(context, Policy.Current)
    if (this.plan?.around !== policy) this.plan = planOf(policy, this.options, this.defaults)
    return this.plan
  }
}

/** A request, and all that its attempts need. */
interface Made<B> {
  readonly client: HttpClient.HttpClient
  readonly hosts: Hosts.Hosts
  readonly outgoing: Request.Outgoing
  readonly attempt: Attempt.Attempt<B>
}

const make = <B>(
  target: Request.Target,
  plan: Plan,
  take: Attempt.Take<B>,
  scope: Scope.Scope | undefined,
  context: Context.Context<HttpClient.HttpClient>
): Result.Result<Made<B>, FetchError> => {
  const asked = Request.make(target, plan.template, context)
  if (Result.isFailure(asked)) return Result.fail(asked.failure)
  const outgoing = asked.success
  const client = Context.get(context, HttpClient.HttpClient)
  const hosts = Hosts.of(client)
  const { cache, onUnauthorized: renew, robots } = plan.policy
  const around: Attempt.Around = {
    renewalOf: renew === undefined ? undefined : hosts.renewals.of(renew, context),
    permission: robots === true ? RobotsCheck.make(client, hosts, plan.limits, context) : undefined,
    cache: cache === false || scope !== undefined ? undefined : Context.get(context, HttpCache.Current)
  }
  const attempt = new Attempt.Attempt(client, hosts, outgoing, plan.limits, take, around, scope, context)
  return Result.succeed({ client, hosts, outgoing, attempt })
}

/** The answer to a request, by the policies in their fixed order; `first` is what the first attempt comes to, where there was one. */
const answer = <B>(
  attempt: Attempt.Attempt<B>,
  outgoing: Request.Outgoing,
  plan: Plan,
  hosts: Hosts.Hosts,
  first?: Effect.Effect<Attempt.Answer<B>, FetchError>
): Effect.Effect<Attempt.Answer<B>, FetchError> => {
  const { breaker, hedge } = plan.policy
  const run = attempt.run(outgoing)
  const admit = (run: Effect.Effect<Attempt.Answer<B>, FetchError>) =>
    attempt.around.permission === undefined
      ? admitted(attempt, outgoing, run, plan, hosts, 0)
      : Effect.flatMap(attempt.permitted(outgoing), (apart) => admitted(attempt, outgoing, run, plan, hosts, apart))
  const sent =
    hedge && outgoing.idempotent
      ? hedged<Attempt.Answer<B>, FetchError>((unlessAnswered) => admit(unlessAnswered(run)), hedge, letGo)
      : admit(run)
  const asked = plan.policy.onUnauthorized === undefined ? sent : renewed(attempt, outgoing, sent)
  const given =
    attempt.around.cache === undefined
      ? asked
      : Effect.flatMap(attempt.kept(outgoing), (answer) => (answer === undefined ? asked : Effect.succeed(answer)))
  let last: FetchError | undefined
  const retried = Policies.apply(first === undefined ? given : startingWith(first, given), {
    retries: plan.retries,
    backoff: plan.policy.backoff,
    retryWhile: (error) => {
      last = error
      return error.retryable
    },
    retryAfter: askedToWait
  })
  const all = breaker
    ? attempt.host.circuit.around(breaker, retried, (millis) =>
        attempt.error(outgoing, "CircuitOpen", "its host kept failing and is left alone", { retryAfter: millis })
      )
    : retried
  const left = first === undefined ? plan.total : plan.total - attempt.elapsed
  const inTime = Attempt.within(all, left, () => attempt.late(outgoing, "all attempts", plan.total))
  return Effect.catch(inTime, (error) =>
    error === last && isGivenUp(error) ? outOfTime(attempt, outgoing, error, plan.total) : Effect.fail(error)
  )
}

const startingWith = <A, E>(first: Effect.Effect<A, E>, others: Effect.Effect<A, E>): Effect.Effect<A, E> => {
  let isFirst = true
  return Effect.suspend(() => {
    if (!isFirst) return others
    isFirst = false
    return first
  })
}

/** Sent when its host, the rates and the slots let it. */
const admitted = <B>(
  attempt: Attempt.Attempt<B>,
  outgoing: Request.Outgoing,
  run: Effect.Effect<Attempt.Answer<B>, FetchError>,
  { policy: { concurrency, perHost, rate, ratePerHost } }: Plan,
  hosts: Hosts.Hosts,
  apart: number
): Effect.Effect<Attempt.Answer<B>, FetchError> => {
  const { pace, rates, slots } = attempt.host
  const isHeld =
    concurrency !== undefined || perHost !== undefined || rate !== undefined || ratePerHost !== undefined || apart > 0
  if (!isHeld) return Effect.suspend(() => (pace.isFree ? run : pace.before(asking(attempt, outgoing), run)))
  // Of copies that are sent at once, each has what it was told.
  return Effect.suspend(() => {
    let era = pace.era
    // Somebody may have been told to wait while this one waited for its slot, which is not held while it waits again.
    let call: Effect.Effect<Attempt.Answer<B> | undefined, FetchError> = Effect.suspend(() => {
      attempt.waitsForSlot = false
      return pace.era === era ? run : Effect.undefined
    })
    if (concurrency !== undefined) call = hosts.slots.hold(concurrency, call, isKept)
    if (perHost !== undefined) call = slots.hold(perHost, call, isKept)
    const held = call
    call = Effect.suspend(() => {
      attempt.waitsForSlot = true
      return held
    })
    if (rate !== undefined) call = hosts.rates.of(rate).withPermit(call)
    if (ratePerHost !== undefined) call = rates.of(ratePerHost).withPermit(call)
    if (apart > 0) call = rates.of({ limit: 1, per: apart }).withPermit(call)
    const start = () => {
      era = pace.era
      return call
    }
    const turn: Effect.Effect<Attempt.Answer<B>, FetchError> = Effect.flatMap(
      Effect.suspend(() => (pace.isFree ? start() : pace.before(asking(attempt, outgoing), Effect.suspend(start)))),
      (answer) => (answer === undefined ? turn : Effect.succeed(answer))
    )
    return turn
  })
}

const asking = <B>(attempt: Attempt.Attempt<B>, outgoing: Request.Outgoing): Asking => ({
  isRetry: attempt.count > 0,
  refusal: (status, retryAfter) =>
    attempt.error(outgoing, "Status", `not sent, as its host answered ${status} to others`, { status, retryAfter }),
  late: (status, millis, left) => {
    const wait = `its host answered ${status} and asks to wait for ${Attempt.span(millis)}`
    return attempt.error(outgoing, "Timeout", `not sent, as ${wait}, and ${Attempt.span(left)} are left`, { status })
  }
})

/** The slot of an answer whose body is still to be read goes with it. */
const isKept = (answer: Attempt.Answer<unknown> | undefined, leave: () => void): boolean => {
  if (answer?.scope === undefined) return false
  Effect.runSync(Scope.addFinalizer(answer.scope, Effect.sync(leave)))
  return true
}

const letGo = ({ scope }: Attempt.Answer<unknown>): Effect.Effect<void> =>
  scope === undefined ? Effect.void : Scope.close(scope, Exit.void)

/** Once more with new headers, where it was refused for want of them. */
const renewed = <B>(
  attempt: Attempt.Attempt<B>,
  outgoing: Request.Outgoing,
  sent: Effect.Effect<Attempt.Answer<B>, FetchError>
): Effect.Effect<Attempt.Answer<B>, FetchError> =>
  Effect.catch(sent, (error) => {
    const { unauthorized } = attempt
    if (unauthorized === undefined || error.status !== 401 || attempt.isRenewed) return Effect.fail(error)
    attempt.isRenewed = true
    return Effect.matchEffect(unauthorized.renewal.after(unauthorized.pass), {
      onFailure: (cause) => {
        const detail = `answered 401, and \`onUnauthorized\` failed: ${Foreign.describe(cause)}`
        return Effect.fail(attempt.error(outgoing, "Status", detail, { status: 401, cause }))
      },
      onSuccess: (isNew) => (isNew ? sent : Effect.fail(error))
    })
  })

const askedToWait = (error: FetchError): Option.Option<Duration.Duration> =>
  Option.map(Option.fromUndefinedOr(error.retryAfter), Duration.millis)

/** Whether there could have been another attempt, but for the time. */
const isGivenUp = ({ retryAfter = 0, retryable }: FetchError): boolean => retryable && retryAfter <= patience

/** Says which time it was. */
const outOfTime = <B>(
  attempt: Attempt.Attempt<B>,
  outgoing: Request.Outgoing,
  error: FetchError,
  total: number
): Effect.Effect<never, FetchError> =>
  Effect.flatMap(Deadline.remaining, (left) => {
    const ofTotal = total - attempt.elapsed
    const isTotal = Option.match(left, { onNone: () => true, onSome: (around) => ofTotal <= Duration.toMillis(around) })
    const time = isTotal ? `the ${Attempt.span(total)} for all attempts` : "the deadline around it"
    const { message: _, detail, ...fields } = error
    const whole = `${detail}, and ${time} leaves no time to try again`
    return Effect.fail(new FetchError({ ...fields, detail: whole }))
  })

/** A body that nobody holds as a whole may be as long as it likes, unless the policy says otherwise. */
const ofStreams = (plan: Plan): Plan => ({
  ...plan,
  limits: { ...plan.limits, maxBody: plan.policy.maxBody ?? Infinity }
})

/** What a policy and options come to: worked out once for each pair, not for each request. */
interface Plan {
  /** The policy around, and what it is with the options. */
  readonly around: Policy.Policy
  readonly policy: Policy.Policy
  readonly template: Request.Template
  readonly limits: Attempt.Limits
  readonly retries: number
  /** In milliseconds. */
  readonly total: number
  readonly mayBeShort: boolean
}

const planOf = (around: Policy.Policy, options: Options, defaults: Headers.Input): Plan => {
  const policy = Policy.merged(around, options)
  const codings = askedFor()
  const weak = Headers.fromInput({
    "accept-encoding": codings,
    "user-agent": policy.userAgent ?? "skein",
    ...Headers.fromInput(defaults),
    ...Headers.fromInput(around.headers)
  })
  const strong = Headers.fromInput(options.headers)
  // A range of a coded body is one of the coded bytes.
  const ranged = (headers: Headers.Headers) =>
    headers["range"] === undefined || headers["accept-encoding"] !== codings
      ? headers
      : Headers.merge(headers, Headers.fromInput(identity))
  const own = ranged(Headers.merge(weak, strong))
  return {
    around,
    policy,
    template: {
      method: options.method,
      headers: (given) => (given === undefined ? own : ranged(Headers.merge(Headers.merge(weak, given), strong))),
      idempotencyKey: options.idempotencyKey ?? false,
      secret: policy.secretParameters ?? []
    },
    limits: {
      maxBody: policy.maxBody ?? 16 * 1024 * 1024,
      maxRatio: policy.maxRatio,
      redirects: policy.redirects ?? 5,
      accept: options.accept ?? isOk,
      timeout: Duration.toMillis(policy.timeout ?? "30 seconds"),
      wire: Wire.make("Fetch", policy),
      cookies: policy.cookies
    },
    retries: policy.retries ?? 3,
    total: Duration.toMillis(policy.total ?? Infinity),
    mayBeShort: Short.isFor(policy)
  }
}

const isOk = (status: number): boolean => status >= 200 && status < 300
