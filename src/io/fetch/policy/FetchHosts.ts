/**
 * What is counted: one registry for each `HttpClient`, so that all layers and regions over it share the counts, wherever
 * they are made. Hosts of which there is nothing to remember are dropped.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as HttpClient from "effect/http/HttpClient"
import type { Spending } from "../../../concurrency/base/Spending.ts"
import * as Limiter from "../../../concurrency/Limiter.ts"
import { Circuit } from "./FetchCircuit.ts"
import type { FetchError } from "../../FetchError.ts"
import { Pace } from "./FetchPace.ts"
import type { Rate } from "./FetchPolicy.ts"
import { Renewals } from "./FetchRenewal.ts"
import { Robots } from "./Robots.ts"
import { Slots } from "./FetchSlots.ts"

/** As `Limiter.rate` makes them. */
type Tokens = Limiter.Limiter & Spending

/** Requests of the same rate share it; one of another rate is another count. */
export class Rates {
  private readonly limiters = new Map<string, Tokens>()
  /** By the object of a policy, so that its text is made once. */
  private readonly known = new WeakMap<Rate, Tokens>()

  of(rate: Rate): Tokens {
    let limiter = this.known.get(rate)
    if (limiter === undefined) this.known.set(rate, (limiter = this.find(rate)))
    return limiter
  }

  private find({ burst = 1, limit, per }: Rate): Tokens {
    const key = `${limit}/${Duration.toMillis(per)}/${burst}`
    let limiter = this.limiters.get(key)
    if (limiter === undefined) {
      this.limiters.set(key, (limiter = Effect.runSync(Limiter.rate({ limit, per, burst })) as Tokens))
    }
    return limiter
  }

  /** Whether every bucket is full. */
  isQuiet(clock: Clock.Clock): boolean {
    for (const { stats } of this.limiters.values()) {
      const { inUse, waiting } = Effect.runSync(Effect.provideService(stats, Clock.Clock, clock))
      if (inUse > 0 || waiting > 0) return false
    }
    return true
  }
}

export class Host {
  readonly slots: Slots = new Slots()
  readonly rates: Rates = new Rates()
  readonly circuit: Circuit = new Circuit()
  readonly pace: Pace
  used: number

  constructor(now: number) {
    this.used = now
    this.pace = new Pace(now)
  }

  isQuiet(now: number, clock: Clock.Clock): boolean {
    return this.slots.isQuiet && this.circuit.isQuiet(now) && this.pace.isQuiet(now) && this.rates.isQuiet(clock)
  }
}

export class Hosts {
  readonly slots: Slots = new Slots()
  readonly rates: Rates = new Rates()
  readonly renewals: Renewals = new Renewals()
  readonly robots: Robots<FetchError> = new Robots()
  private readonly hosts = new Map<string, Host>()
  private full = few

  of(name: string, now: number, clock: Clock.Clock): Host {
    let host = this.hosts.get(name)
    if (host === undefined) {
      if (this.hosts.size >= this.full) this.drop(now, clock)
      this.hosts.set(name, (host = new Host(now)))
    }
    host.used = now
    host.pace.look(now)
    return host
  }

  /** How many hosts it remembers. */
  get size(): number {
    return this.hosts.size
  }

  /** The next time is when there are twice as many as are left, so that a look at all of them costs each little. */
  private drop(now: number, clock: Clock.Clock): void {
    for (const kept of [lately, 0]) {
      for (const [name, host] of this.hosts) {
        if (now - host.used >= kept && host.isQuiet(now, clock)) this.hosts.delete(name)
      }
      if (this.hosts.size < many) break
    }
    this.full = Math.max(few, 2 * this.hosts.size)
  }
}

/** The registry of a client. */
export const of = (client: HttpClient.HttpClient): Hosts => {
  let hosts = registries.get(client)
  if (hosts === undefined) registries.set(client, (hosts = new Hosts()))
  return hosts
}

const registries = new WeakMap<HttpClient.HttpClient, Hosts>()

/** As many are kept without a look at them, and as many even where nothing but their use is to be remembered. */
const few = 1_000
const many = 10_000
/** In milliseconds: a host used since is kept, for what it took from others. */
const lately = 60_000
