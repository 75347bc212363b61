/** What is answered where a handler gave nothing: as much as a stranger may know, and all of it for the log. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as HttpServerError from "effect/http/HttpServerError"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Socket from "effect/socket/Socket"
import * as FailureLog from "../../concurrency/base/FailureLog.ts"
import { reasonIn } from "../../concurrency/base/Reason.ts"

type Response = HttpServerResponse.HttpServerResponse

/** Of a handler that ended in this way; `unbegun` where it had not begun when its time was up. */
export const of = (
  name: string,
  cause: Cause.Cause<unknown>,
  unbegun: Response | undefined
): Effect.Effect<Response> => {
  if (Cause.hasInterruptsOnly(cause)) {
    const reason = reasonIn(cause.reasons)
    if (reason?.kind === "deadline") return Effect.succeed(unbegun ?? late)
    // Whoever cancelled knows why; nobody reads this where it was the client that left.
    if (reason !== undefined) return Effect.succeed(stopping)
  }
  if (isClosed(cause)) return Effect.succeed(stopping)
  return Effect.flatMap(HttpServerError.causeResponse(cause), ([response, rest]) => {
    // That a handler interrupts itself is as wrong as any other defect.
    const answer = Cause.hasInterruptsOnly(cause) ? internal : response
    return answer.status < 500
      ? Effect.succeed(answer)
      : Effect.as(FailureLog.error(`${name} failed, and was answered with ${answer.status}`, told(rest)), answer)
  })
}

/** Of an answer that had begun. */
export const broken = (name: string, cause: Cause.Cause<unknown>): Effect.Effect<void> => {
  const why = told(cause)
  return why.reasons.length === 0 || Cause.hasInterruptsOnly(why)
    ? Effect.void
    : FailureLog.error(`${name} failed in the middle of its answer, and the connection was closed`, why)
}

/** A socket that its client closed: who reads from it fails by that, and nothing is wrong. */
const isClosed = (cause: Cause.Cause<unknown>): boolean =>
  cause.reasons.every(
    (reason) =>
      Cause.isFailReason(reason) &&
      Socket.isSocketError(reason.error) &&
      reason.error.reason._tag === "SocketCloseError"
  )

export const tooLong: Response = HttpServerResponse.empty({ status: 413 })

/** One that arrives while nothing is begun any more. */
export const stopping: Response = HttpServerResponse.empty({ status: 503, headers: { connection: "close" } })

export const late: Response = HttpServerResponse.empty({ status: 504 })
const internal: Response = HttpServerResponse.empty({ status: 500 })

/** Effect puts what was answered into the cause. */
const told = (cause: Cause.Cause<unknown>): Cause.Cause<unknown> =>
  Cause.fromReasons(
    cause.reasons.filter(
      (reason) => !(Cause.isDieReason(reason) && HttpServerResponse.isHttpServerResponse(reason.defect))
    )
  )
