/** A call under the policy in force: `whole` gives the answer with its body, `open` one whose body is a stream. */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Headers from "effect/http/Headers"
import * as HttpClient from "effect/http/HttpClient"
import type { HttpMethod } from "effect/http/HttpMethod"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import * as Policies from "../../pipeline/Policy.ts"
import type { FetchError } from "../FetchError.ts"
import * as Attempt from "./FetchAttempt.ts"
import * as Hosts from "./FetchHosts.ts"
import * as Policy from "./FetchPolicy.ts"
import * as Request from "./FetchRequest.ts"

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

  /** The answer with its whole body. */
  whole(target: Request.Target): Effect.Effect<Attempt.Answer, FetchError, HttpClient.HttpClient> {
    return Effect.contextWith((context: Context.Context<HttpClient.HttpClient>) => {
      const plan = this.planFor(context)
      const outgoing = Request.make(target, plan.template, context)
      if (Result.isFailure(outgoing)) return Effect.fail(outgoing.failure)
      return answer(outgoing.success, plan, Attempt.whole, context)
    })
  }

  /**
   * The answer as soon as its head is there. Its slot is held until the scope closes, and each piece of the body has
   * the time of an attempt.
   */
  open(
    target: Request.Target
  ): Effect.Effect<Attempt.Answer<Attempt.Arriving>, FetchError, HttpClient.HttpClient | Scope.Scope> {
    return Effect.contextWith((context: Context.Context<HttpClient.HttpClient | Scope.Scope>) => {
      const plan = this.planFor(context)
      const outgoing = Request.make(target, plan.template, context)
      if (Result.isFailure(outgoing)) return Effect.fail(outgoing.failure)
      return answer(outgoing.success, ofStreams(plan), Attempt.arriving, context)
    })
  }

  private planFor(context: Context.Context<never>): Plan {
    const policy = Context.get(context, Policy.Current)
    if (this.plan?.around !== policy) this.plan = planOf(policy, this.options, this.defaults)
    return this.plan
  }
}

/** The answer to a request, by the policies in their fixed order. */
const answer = <B>(
  outgoing: Request.Outgoing,
  { limits, policy, retries, timeout, total }: Plan,
  take: Attempt.Take<B>,
  context: Context.Context<HttpClient.HttpClient>
): Effect.Effect<Attempt.Answer<B>, FetchError> => {
  const client = Context.get(context, HttpClient.HttpClient)
  const attempt = new Attempt.Attempt(client, limits, take, context)
  const hosts = Hosts.of(client)
  const { host } = outgoing.url
  const { concurrency, perHost, rate, ratePerHost } = policy
  const retried = Policies.apply(Attempt.within(attempt.run(outgoing), attempt, outgoing, timeout), {
    retries,
    backoff: policy.backoff,
    retryWhile: isRetryable,
    retryAfter: askedToWait,
    rate: Hosts.all([hosts.rate(ratePerHost, host), hosts.rate(rate, "")]),
    slot: Hosts.all([hosts.slot(perHost, host), hosts.slot(concurrency, "")])
  })
  return Attempt.within(retried, attempt, outgoing, total)
}

const isRetryable = (error: FetchError): boolean => error.retryable
const askedToWait = (error: FetchError): Option.Option<Duration.Duration> =>
  Option.map(Option.fromUndefinedOr(error.retryAfter), Duration.millis)

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
  /** In milliseconds, as the next one. */
  readonly timeout: number
  readonly total: number
}

const planOf = (around: Policy.Policy, options: Options, defaults: Headers.Input): Plan => {
  const policy = Policy.merged(around, options)
  const weak = Headers.fromInput({
    "user-agent": policy.userAgent ?? "skein",
    ...Headers.fromInput(defaults),
    ...Headers.fromInput(around.headers)
  })
  const strong = Headers.fromInput(options.headers)
  const own = Headers.merge(weak, strong)
  return {
    around,
    policy,
    template: {
      method: options.method,
      headers: (given) => (given === undefined ? own : Headers.merge(Headers.merge(weak, given), strong)),
      idempotencyKey: options.idempotencyKey ?? false,
      secret: policy.secretParameters ?? []
    },
    limits: {
      maxBody: policy.maxBody ?? 16 * 1024 * 1024,
      redirects: policy.redirects ?? 5,
      accept: options.accept ?? isOk
    },
    retries: policy.retries ?? 3,
    timeout: Duration.toMillis(policy.timeout ?? "30 seconds"),
    total: Duration.toMillis(policy.total ?? Infinity)
  }
}

const isOk = (status: number): boolean => status >= 200 && status < 300
