/** Requests of all policies, faults and cancellations made at random: the short way does what the general way does, at the same times. */
import { beforeAll, describe, expect, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as HttpClient from "effect/http/HttpClient"
import type * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as Random from "effect/Random"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import { Deadline, Fetch, Meter } from "skein"
import * as Alarm from "../../src/concurrency/base/Alarm.ts"
import * as Direct from "../../src/io/context/Direct.ts"
import * as Hosts from "../../src/io/fetch/policy/FetchHosts.ts"
import { Exchange } from "../../src/node/http/HttpExchange.ts"

const runs = process.env["SKEIN_DEEP"] === undefined ? 200 : 5000

const Int = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))

/** In tenths of a second. */
const Reply = Schema.Struct({
  head: Int(0, 9),
  body: Int(0, 4),
  status: Schema.Literals([200, 200, 200, 200, 201, 204, 206, 302, 307, 401, 404, 429, 500, 503]),
  size: Schema.Literals([0, 8, 8, 50, 3000]),
  framing: Schema.Literals(["length", "length", "length", "chunked", "coded", "none"]),
  fault: Schema.Literals([
    "none",
    "none",
    "none",
    "none",
    "none",
    "none",
    "none",
    "none",
    "none",
    "refused",
    "hang",
    "cut",
    "stall",
    "garbage"
  ]),
  retryAfter: Schema.Literals(["none", "none", "none", "0", "1", "3", "90"]),
  leadsTo: Int(0, 3),
  cookie: Schema.Boolean
})
type Reply = typeof Reply.Type

const Call = Schema.Struct({
  at: Int(0, 9),
  path: Int(0, 2),
  host: Int(0, 1),
  method: Schema.Literals(["GET", "GET", "GET", "POST", "HEAD"]),
  cancelledAfter: Schema.Literals([0, 0, 0, 0, 0, 0, 0, 0, 1, 3, 5, 9, 20]),
  within: Schema.Literals([0, 0, 0, 0, 0, 0, 2, 6, 15])
})

const Rate = Schema.Literals(["none", "none", "slow", "fast"])
const Spec = Schema.Struct({
  replies: Schema.Array(Reply).check(Schema.isMinLength(1), Schema.isMaxLength(6)),
  calls: Schema.Array(Call).check(Schema.isMinLength(1), Schema.isMaxLength(7)),
  timeout: Schema.Literals([0, 5, 8, 12, 30, 300, 300]),
  total: Schema.Literals([4, 8, 25, 60, 0, 0, 0]),
  retries: Schema.Literals([0, 1, 3]),
  perHost: Schema.Literals([0, 0, 1, 2]),
  concurrency: Schema.Literals([0, 0, 1, 3]),
  rate: Rate,
  ratePerHost: Rate,
  breaker: Schema.Literals([false, false, false, true]),
  hedge: Schema.Literals([false, false, false, false, true]),
  redirects: Schema.Literals([0, 5]),
  maxBody: Schema.Literals([20, 100, 10_000]),
  cookies: Schema.Literals(["redirects", "redirects", false]),
  acceptsAll: Schema.Literals([false, false, true]),
  accepts: Schema.Literals(["text", "json", "page"])
})
type Spec = typeof Spec.Type

/** What the calls came to, and what the other side saw. */
interface Story {
  readonly ends: ReadonlyArray<unknown>
  readonly wire: ReadonlyArray<string>
  readonly meters: ReadonlyArray<Meter.Meter>
  readonly isQuiet: boolean
}

const tenth = 100

/** Everything on the wire has milliseconds of its own, so that nothing there happens together with anything else. */
const moment = (tenths: number, nth: number): number => tenths * tenth + 7 + 3 * (nth % 29)

const headersOf = ({ cookie, framing, leadsTo, retryAfter, size, status }: Reply): Record<string, string> => ({
  "content-type": "application/json",
  ...(framing === "length" && { "content-length": String(size) }),
  ...(framing === "coded" && { "content-length": String(size), "content-encoding": "identity" }),
  ...(framing === "chunked" && { "transfer-encoding": "chunked" }),
  ...(retryAfter !== "none" && { "retry-after": retryAfter }),
  ...(status >= 300 && status < 400 && leadsTo > 0 && { location: `/${leadsTo - 1}` }),
  ...(cookie && { "set-cookie": "a=b" })
})

const bodyOf = ({ fault, size }: Reply): string =>
  fault === "garbage" || size < 2 ? "x".repeat(size) : `"${"x".repeat(size - 2)}"`

/** The transport's exchange, with a network of our own below it. */
const network = (spec: Spec, isShort: boolean) =>
  Effect.gen(function* () {
    const context = yield* Effect.context<never>()
    const clock = Context.get(context, Clock.Clock)
    const wire: Array<string> = []
    let sent = 0
    const send = (request: HttpClientRequest.HttpClientRequest, url: URL, receiver: Direct.Receiver): Exchange => {
      const exchange = new Exchange(request, url, 65_536, receiver)
      const nth = sent++
      const reply = spec.replies[nth % spec.replies.length]!
      const say = (what: string) =>
        wire.push(`${clock.currentTimeMillisUnsafe()} ${nth} ${request.method} ${url.host}${url.pathname} ${what}`)
      let isOver = false
      const breaks = (what: string, error: Error) => {
        if (isOver) return
        isOver = true
        say(what)
        exchange.onResponseError(undefined, error)
      }
      const coded = (code: string) => Object.assign(new Error(`failed with ${code}`), { code })
      const controller = {
        aborted: false,
        paused: false,
        reason: null,
        rawHeaders: null,
        rawTrailers: null,
        pause: () => {},
        resume: () => {},
        abort: (reason: Error) => {
          breaks("is given up", reason)
          fiber.interruptUnsafe()
        }
      }
      say("begins")
      const fiber = Effect.runForkWith(context)(
        Effect.gen(function* () {
          exchange.onRequestStart(controller)
          if (reply.fault === "hang") return
          yield* Effect.sleep(moment(reply.head, nth))
          if (reply.fault === "refused") return breaks("is refused", coded("ECONNRESET"))
          say(`answers ${reply.status}`)
          exchange.onResponseStart(controller, reply.status, headersOf(reply))
          const body = request.method === "HEAD" || reply.status === 204 ? "" : bodyOf(reply)
          const half = Math.ceil(body.length / 2)
          for (const part of [body.slice(0, half), body.slice(half)]) {
            yield* Effect.sleep(moment(reply.body, 1))
            if (part !== "") exchange.onResponseData(controller, new TextEncoder().encode(part))
            if (reply.fault === "stall") return
            if (reply.fault === "cut") return breaks("is cut", coded("UND_ERR_SOCKET"))
          }
          isOver = true
          say("ends")
          exchange.onResponseEnd()
        })
      )
      return exchange
    }
    const client = HttpClient.make((request, url) =>
      Effect.callback((resume) => {
        const exchange = send(request, url, { wantsWhole: () => false, receive: resume })
        return Effect.sync(() => exchange.abort())
      })
    )
    if (isShort) {
      Direct.offered(client, (request, url, _, receiver) => {
        const exchange = send(request, url, receiver)
        return () => exchange.abort()
      })
    }
    return { client, wire }
  })

const rateOf = (rate: Spec["rate"]): Fetch.Rate | undefined =>
  rate === "none"
    ? undefined
    : rate === "slow"
      ? { limit: 2, per: "1 second" }
      : { limit: 10, per: "1 second", burst: 3 }

const policyOf = (spec: Spec): Fetch.Policy => ({
  timeout: spec.timeout * tenth,
  retries: spec.retries,
  backoff: { base: 150 },
  redirects: spec.redirects,
  maxBody: spec.maxBody,
  cookies: spec.cookies,
  ...(spec.total > 0 && { total: spec.total * tenth }),
  ...(spec.perHost > 0 && { perHost: spec.perHost }),
  ...(spec.concurrency > 0 && { concurrency: spec.concurrency }),
  rate: rateOf(spec.rate),
  ratePerHost: rateOf(spec.ratePerHost),
  ...(spec.breaker && { breaker: { failures: 2, reset: "1 second" } }),
  ...(spec.hedge && { hedge: { after: 350 } })
})

const shownOf = (exit: Exit.Exit<unknown, unknown>): unknown => {
  if (Exit.isSuccess(exit)) {
    if (typeof exit.value !== "object" || exit.value === null) return exit.value
    return { ...exit.value, duration: String((exit.value as Fetch.Page).duration) }
  }
  return exit.cause.reasons.map((reason) => {
    if (!Cause.isFailReason(reason)) return Cause.isInterruptReason(reason) ? "interrupted" : String(reason.defect)
    if (!(reason.error instanceof Fetch.FetchError)) return String(reason.error)
    return { ...reason.error, cause: String(reason.error.cause), message: reason.error.message }
  })
}

const tell = (spec: Spec, isShort: boolean): Effect.Effect<Story> =>
  Effect.gen(function* () {
    const began = yield* Clock.currentTimeMillis
    const { client, wire } = yield* network(spec, isShort)
    const options = { ...policyOf(spec), ...(spec.acceptsAll && { accept: () => true }) }
    const fetch: Fetch.Fetcher<unknown> =
      spec.accepts === "json"
        ? Fetch.json(Schema.String, options)
        : spec.accepts === "text"
          ? Fetch.text(options)
          : Fetch.page(options)
    const meters: Array<Meter.Meter> = []
    const fibers: Array<Fiber.Fiber<unknown>> = []
    for (const [i, { at, cancelledAfter, host, method, path, within }] of spec.calls.entries()) {
      const meter = Meter.make()
      meters.push(meter)
      const call = fetch({ url: `http://host${host}.test/${path}`, method }).pipe(
        within > 0 ? Deadline.within(within * tenth + 50) : (call) => call,
        Effect.provideService(Meter.Meter, meter),
        Effect.provideService(HttpClient.HttpClient, client)
      )
      const one = Effect.gen(function* () {
        // Each starts in a millisecond of its own.
        yield* Effect.sleep(at * tenth + 1 + 4 * i)
        const fiber = yield* Effect.forkChild(call)
        if (cancelledAfter > 0) {
          yield* Effect.forkChild(Effect.delay(Fiber.interrupt(fiber), cancelledAfter * tenth + 2))
        }
        const exit = yield* Fiber.await(fiber)
        return { at: (yield* Clock.currentTimeMillis) - began, came: shownOf(exit) }
      })
      fibers.push(yield* Effect.forkChild(one))
    }
    // What waits for what another does at the same time has a turn to see it.
    for (let turn = 0; turn < 4000 && fibers.some((fiber) => fiber.pollUnsafe() === undefined); turn++) {
      yield* TestClock.adjust(250)
      yield* Effect.promise(() => new Promise<void>((next) => setImmediate(next)))
    }
    const ends = yield* Effect.forEach(fibers, (fiber) => Fiber.join(fiber))
    const hosts = Hosts.of(client)
    const clock = yield* Clock.Clock
    const now = yield* Alarm.moment
    const isQuiet = [0, 1].every((i) => hosts.of(`host${i}.test`, now, clock).slots.isQuiet)
    return { ends, wire: wire.toSorted(), meters, isQuiet: isQuiet && hosts.slots.isQuiet }
  }).pipe(Effect.provideService(Random.Random, { nextIntUnsafe: () => 7, nextDoubleUnsafe: () => 0.5 }))

// What is loaded at its first use takes time that no clock of a test knows of.
beforeAll(() => import("tough-cookie"))

describe("Fetch", () => {
  it.effect.prop(
    "P6 does by the short way what it does by the general one, at the same times",
    { spec: Arbitrary.schema(Spec) },
    ({ spec }) =>
      Effect.gen(function* () {
        const short = yield* Effect.provide(tell(spec, true), TestClock.layer())
        const general = yield* Effect.provide(tell(spec, false), TestClock.layer())
        expect(short).toEqual(general)
        expect(short.isQuiet).toBe(true)
      }),
    { arbitrary: { runs }, timeout: 300_000 }
  )
})
