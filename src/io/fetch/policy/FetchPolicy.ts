/** How requests are made: one value of plain options, merged region by region. It counts nothing: see `FetchHosts.ts`. */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import * as Headers from "effect/http/Headers"
import { checkDuration, checkFlag, checkNumber, checkWhole } from "../../../concurrency/base/Options.ts"
import type { Backoff } from "../../../pipeline/Policy.ts"
import * as Cookies from "../call/Cookies.ts"
import * as Wire from "../../context/Wire.ts"

/** How many may start in each `per`, evenly spaced; `burst` (default 1) of them at once after a pause. */
export interface Rate {
  readonly limit: number
  readonly per: Duration.Input
  readonly burst?: number | undefined
}

/** After so many `failures` in a row, requests to the host fail at once until `reset` has passed; then one tries. */
export interface Breaker {
  /** Default 10. */
  readonly failures?: number | undefined
  /** Default 30 seconds. */
  readonly reset?: Duration.Input | undefined
}

/** Sends a request again while the first is on its way, and takes the answer that comes first. */
export interface Hedge {
  /** How long one goes without an answer before the next is sent. */
  readonly after: Duration.Input
  /** How many more are sent at most, default 1. */
  readonly copies?: number | undefined
}

/**
 * How requests are made; what is left out is as it is around. A redirect counts as part of the request it answers: for
 * rate, host and time.
 */
export interface Policy extends Wire.Options {
  /** How many requests may run at once, default unlimited. */
  readonly concurrency?: number | undefined
  /**
   * How many requests may run at once to one host and port, default unlimited. All that have such a limit count, wherever
   * it is set: one starts when fewer run than its own says. An answer that is read as a stream counts to its end.
   */
  readonly perHost?: number | undefined
  /** How many requests may start, default unlimited. All whose policy names the same rate share it. */
  readonly rate?: Rate | undefined
  /** How many requests may start to one host and port, default unlimited. */
  readonly ratePerHost?: Rate | undefined
  /** Attempts after the first, default 3. Only what may be sent twice is retried: see `idempotencyKey`. */
  readonly retries?: number | undefined
  /** The wait before a retry, default up to 250 milliseconds, twice as long each time, 30 seconds at most. */
  readonly backoff?: Backoff | undefined
  /** Leaves a host alone that keeps failing; default off, as the elements of a pipeline would all fail then. */
  readonly breaker?: Breaker | false | undefined
  /** For one attempt, the body included, default 30 seconds. Of a stream: for its beginning, and for each piece of it. */
  readonly timeout?: Duration.Input | undefined
  /** For all attempts and the waits between them, default unlimited. Of a stream: until it begins. */
  readonly total?: Duration.Input | undefined
  /** For what may be sent twice; default off. */
  readonly hedge?: Hedge | false | undefined
  /** How many redirects are followed, default 5; with 0, an answer of that kind is one like any other. */
  readonly redirects?: number | undefined
  /** Cookies that servers set, default those of a chain of redirects. */
  readonly cookies?: Cookies.Choice | undefined
  /** The largest body in bytes, default 16 MiB. It is enforced while the body arrives, on what is decompressed. */
  readonly maxBody?: number | undefined
  /** How many times its compressed size a body may have, default 1000, where it is larger than 1 MiB. */
  readonly maxRatio?: number | undefined
  /** Sent as `User-Agent` where a request has none of its own, default "skein". */
  readonly userAgent?: string | undefined
  /**
   * New headers for an origin that answered 401, as one with a fresh token. It runs once for all who wait for it, and
   * each request is sent once more with what it gives, to this origin alone.
   */
  readonly onUnauthorized?: ((origin: string) => Effect.Effect<Headers.Input, unknown>) | undefined
  /**
   * Whether a host's robots.txt is heeded, for what stands in `User-Agent`: what it forbids is not sent, redirects neither, and
   * requests start as far apart as its `Crawl-delay` says, a minute at most. It is asked for once a day for all over the same
   * client, and nothing is sent while its server fails. Default false.
   */
  readonly robots?: boolean | undefined
  /** With false, nothing is taken from the cache around, or put into it: see `Fetch.cache`. Default true. */
  readonly cache?: boolean | undefined
  /** Names of parameters whose values are shown nowhere, besides those known to be secret; of any case. */
  readonly secretParameters?: ReadonlyArray<string> | undefined
  /** Sent with every request that has none of that name of its own. */
  readonly headers?: Headers.Input | undefined
}

/** The policy in force. */
export const Current: Context.Reference<Policy> = Context.Reference("skein/Fetch/Policy", {
  defaultValue: (): Policy => ({})
})

/** The policy inside of a region: headers and secret names add up, all else that is given replaces what is around. */
export const merged = (outer: Policy, inner: Policy): Policy => {
  const given = Object.entries(inner).filter(([, value]) => value !== undefined)
  const { headers, secretParameters } = outer
  return {
    ...outer,
    ...Object.fromEntries(given),
    ...(headers !== undefined && {
      headers: Headers.merge(Headers.fromInput(headers), Headers.fromInput(inner.headers))
    }),
    ...(secretParameters !== undefined && {
      secretParameters: [...secretParameters, ...(inner.secretParameters ?? [])]
    })
  }
}

/** Throws where an option makes no sense. */
export const check = (where: string, policy: Policy): void => {
  const { backoff, breaker, hedge } = policy
  checkWhole(`${where}: concurrency`, policy.concurrency, 1)
  checkWhole(`${where}: perHost`, policy.perHost, 1)
  checkRate(`${where}: rate`, policy.rate)
  checkRate(`${where}: ratePerHost`, policy.ratePerHost)
  checkWhole(`${where}: retries`, policy.retries, 0, "unlimited")
  checkWhole(`${where}: maxBody`, policy.maxBody, 0, "unlimited")
  checkNumber(`${where}: maxRatio`, policy.maxRatio === Infinity ? undefined : policy.maxRatio, 1)
  checkWhole(`${where}: redirects`, policy.redirects, 0)
  checkFlag(`${where}: robots`, policy.robots)
  checkFlag(`${where}: cache`, policy.cache)
  checkDuration(`${where}: timeout`, policy.timeout)
  checkDuration(`${where}: total`, policy.total)
  if (backoff !== undefined) {
    checkDuration(`${where}: backoff.base`, backoff.base)
    checkNumber(`${where}: backoff.factor`, backoff.factor, 0)
    checkDuration(`${where}: backoff.cap`, backoff.cap)
  }
  if (breaker !== undefined && breaker !== false) {
    checkWhole(`${where}: breaker.failures`, breaker.failures, 1)
    checkDuration(`${where}: breaker.reset`, breaker.reset)
  }
  if (hedge !== undefined && hedge !== false) {
    checkDuration(`${where}: hedge.after`, hedge.after)
    checkWhole(`${where}: hedge.copies`, hedge.copies, 1)
  }
  Cookies.check(`${where}: cookies`, policy.cookies)
  Wire.make(where, policy)
  checkText(where, policy)
}

const checkRate = (option: string, rate: Rate | undefined): void => {
  if (rate === undefined) return
  checkDuration(`${option}.per`, rate.per)
  checkWhole(`${option}.burst`, rate.burst, 1)
  const per = Duration.toMillis(rate.per)
  if (rate.limit > 0 && rate.limit < Infinity && per > 0 && per < Infinity) return
  throw new RangeError(`${option}: limit and per must be more than 0, and finite; got ${rate.limit} in ${rate.per}`)
}

const checkText = (where: string, { onUnauthorized, secretParameters }: Policy): void => {
  if (onUnauthorized !== undefined && typeof onUnauthorized !== "function") {
    throw new TypeError(`${where}: onUnauthorized must be a function from an origin to an effect that gives headers`)
  }
  if (secretParameters?.every((name) => typeof name === "string" && name !== "") === false) {
    throw new TypeError(`${where}: secretParameters must be names of parameters`)
  }
}
