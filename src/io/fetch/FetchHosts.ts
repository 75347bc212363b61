/**
 * What is counted: one registry for each `HttpClient`, so that every layer and every region over it shares the counts.
 */
import * as Duration from "effect/Duration"
import type * as HttpClient from "effect/http/HttpClient"
import * as Limiter from "../../concurrency/Limiter.ts"
import type { Rate } from "./FetchPolicy.ts"
import { KeyedLimiter } from "../../concurrency/limiter/KeyedLimiter.ts"

export class Hosts {
  private readonly slots = new KeyedLimiter((key: string) =>
    Limiter.concurrency(Number(key.slice(0, key.indexOf(" "))))
  )
  private readonly rates = new KeyedLimiter((key: string) => {
    const [limit, per, burst] = key.split(" ")
    return Limiter.rate({ limit: Number(limit), per: Number(per), burst: Number(burst) })
  })

  slot(limit: number | undefined, host: string): Limiter.Limiter | undefined {
    return limit === undefined ? undefined : this.slots.of(`${limit} ${host}`)
  }

  rate(rate: Rate | undefined, host: string): Limiter.Limiter | undefined {
    if (rate === undefined) return undefined
    const { burst = 1, limit, per } = rate
    return this.rates.of(`${limit} ${Duration.toMillis(per)} ${burst} ${host}`)
  }
}

/** The registry of a client. */
export const of = (client: HttpClient.HttpClient): Hosts => {
  let hosts = registries.get(client)
  if (hosts === undefined) registries.set(client, (hosts = new Hosts()))
  return hosts
}

const registries = new WeakMap<HttpClient.HttpClient, Hosts>()

/** All limiters that there are, the first around the next. */
export const all = (limiters: ReadonlyArray<Limiter.Limiter | undefined>): Limiter.Limiter | undefined => {
  const given = limiters.filter((limiter) => limiter !== undefined)
  return given.length < 2 ? given[0] : Limiter.all(...given)
}
