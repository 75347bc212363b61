/** Whether a request may be sent by what robots.txt says, which is asked for first where it is not known. */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Headers from "effect/http/Headers"
import type * as HttpClient from "effect/http/HttpClient"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import * as Alarm from "../../../concurrency/base/Alarm.ts"
import type { FetchError } from "../../FetchError.ts"
import type { Limits } from "../call/Asked.ts"
import * as Attempt from "../call/FetchAttempt.ts"
import { arriving } from "../call/FetchTake.ts"
import type { Hosts } from "./FetchHosts.ts"
import * as Request from "../call/FetchRequest.ts"
import * as Robots from "./Robots.ts"

/** By the limits of the requests that want to know it. */
export const make = (
  client: HttpClient.HttpClient,
  hosts: Hosts,
  limits: Limits,
  context: Context.Context<never>
): Attempt.Permission => {
  const clock = Context.get(context, Clock.Clock)
  return (outgoing, refused) => {
    const { request, url } = outgoing
    const userAgent = request.headers["user-agent"] ?? ""
    const get = rulesOf(client, hosts, url.origin, userAgent, limits, context)
    return Effect.matchEffect(hosts.robots.of(url.origin).at(Alarm.now(clock), get), {
      onFailure: ({ detail, reason, retryAfter, ...error }) => {
        const more = {
          retryable: error.retryable || reason === "Status",
          ...(retryAfter !== undefined && { retryAfter })
        }
        return Effect.fail(refused(`its robots.txt could not be had, and may forbid it: ${detail}`, more))
      },
      onSuccess: (rules) => {
        const robot = Robots.robotOf(userAgent)
        const rule = rules.against(url, robot)
        return rule === undefined
          ? Effect.succeed(rules.delay(robot))
          : Effect.fail(refused(`line ${rule.line} of its robots.txt forbids it to user agent "${rule.robot}"`, {}))
      }
    })
  }
}

/** It takes no slot, which the request that waits for it may have. */
const rulesOf = (
  client: HttpClient.HttpClient,
  hosts: Hosts,
  origin: string,
  userAgent: string,
  limits: Limits,
  context: Context.Context<never>
): Effect.Effect<Robots.Rules, FetchError> =>
  Effect.scoped(
    Effect.gen(function* () {
      const headers = Headers.fromInput({ "user-agent": userAgent })
      const template = { method: "GET", headers: () => headers, idempotencyKey: false, secret: [] } as const
      const outgoing = Request.make(`${origin}/robots.txt`, template, context)
      if (Result.isFailure(outgoing)) return yield* outgoing.failure
      const scope = yield* Effect.scope
      const own = { ...limits, maxBody: Infinity, redirects: 5, accept: isAnswer, cookies: undefined }
      const attempt = new Attempt.Attempt(client, hosts, outgoing.success, own, arriving, {}, scope, context)
      const { body, response } = yield* attempt.run(outgoing.success)
      return response.status < 300 ? yield* Robots.parse(origin, yield* beginning(body)) : Robots.none
    })
  ).pipe(
    Effect.catchIf(
      (error) => error.reason === "Redirect",
      () => Effect.succeed(Robots.none)
    )
  )

/** What is refused has no rules; a server that fails may have some. */
const isAnswer = (status: number): boolean => status < 500 && !Attempt.isTransient(status)

/** Without the line that it is cut in: half of a rule forbids more than the whole. */
const beginning = (body: Attempt.Arriving): Effect.Effect<string, FetchError> =>
  Effect.suspend(() => {
    const decoder = new TextDecoder()
    let size = 0
    let text = ""
    const read = Stream.runForEachWhile(body, (piece) =>
      Effect.sync(() => {
        size += piece.length
        text += decoder.decode(piece, { stream: true })
        return size <= Robots.mostBytes
      })
    )
    return Effect.map(read, () => (size <= Robots.mostBytes ? text : text.slice(0, text.search(/[\r\n][^\r\n]*$/) + 1)))
  })
