/** A task a request: bounded by its deadline, let in by the limiter, cancelled when its client leaves. */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as HttpBody from "effect/http/HttpBody"
import { ClientAbort } from "effect/http/HttpServerError"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as Active from "../../concurrency/base/ActiveDeadline.ts"
import * as Alarm from "../../concurrency/base/Alarm.ts"
import { DeadlineHandle } from "../../concurrency/base/DeadlineHandle.ts"
import { isHeard } from "../../concurrency/base/Stop.ts"
import * as Time from "../../concurrency/base/Time.ts"
import { nameOf, type Node } from "../../concurrency/base/TaskNode.ts"
import * as Cancel from "../../concurrency/Cancel.ts"
import type { Task } from "../../concurrency/Task.ts"
import * as TaskGroup from "../../concurrency/TaskGroup.ts"
import type { Admission } from "./Admission.ts"
import * as Answer from "./Answer.ts"
import * as BodyLimit from "./BodyLimit.ts"
import type { Connections } from "./Connections.ts"
import type { Routes } from "./Routes.ts"

type Response = HttpServerResponse.HttpServerResponse
type Answering<E, R> = Effect.Effect<Response, E, R>

export interface Settings {
  readonly routes: Routes
  readonly admission: Admission
  readonly connections: Connections
  /** Milliseconds, or Infinity. */
  readonly deadline: number
  readonly deadlineHeader: { readonly name: string; readonly unit: "seconds" | "millis" } | undefined
  readonly maxBody: number
  /** For those that were not begun. */
  readonly unbegun: Response
}

export class Requests {
  private readonly settings: Settings
  private readonly unbegun: Response
  /** Those that took over their connection. */
  private readonly upgraded = new Set<Task<Response>>()
  running = 0
  answered = 0
  isDraining = false

  constructor(settings: Settings) {
    this.settings = settings
    this.unbegun = settings.unbegun
  }

  /** The handler, so that whatever becomes of it there is an answer. */
  answering<E, R>(handler: Answering<E, R>): Answering<E, R> {
    const { admission, connections, maxBody } = this.settings
    const bounded = BodyLimit.bounded(maxBody)(handler)
    return Effect.withFiber((fiber) => {
      const request = requestOf(fiber)
      if (BodyLimit.isTooLong(request, maxBody)) return Effect.succeed(this.parting(Answer.tooLong))
      let isBegun = false
      const begun = Effect.withFiber<Response, E, R>((own) => {
        // A place that is free too late, as when the one who had it is late as well, is of no use.
        if (Active.isOver(own, Alarm.now(Time.of(own)))) return Effect.succeed(this.unbegun)
        isBegun = true
        return bounded
      })
      // What takes over its connection would keep its permit for as long; how many do is bounded by itself.
      const isUpgrade = connections.isUpgrade(request.source)
      const admitted = isUpgrade
        ? connections.canUpgrade
          ? Effect.andThen(admission.admit(Effect.succeed(HttpServerResponse.empty())), (response) =>
              response === this.unbegun ? Effect.succeed(response) : begun
            )
          : Effect.succeed(this.unbegun)
        : admission.admit(begun)
      return Effect.matchCauseEffect(Effect.interruptible(admitted), {
        onSuccess: (response) => this.given(fiber, response),
        onFailure: (cause) => {
          const answer = Answer.of(nameOf(fiber), cause, isBegun ? undefined : this.unbegun)
          return isUpgrade
            ? // A socket is closed with a code that says how its request ended.
              Effect.andThen(answer, Effect.failCause(cause))
            : Effect.map(answer, (response) => this.parting(response))
        }
      })
    })
  }

  /** Runs the whole of a request, its answer too, as a task of the group that this is run in. */
  readonly tasked = <E, R>(responded: Answering<E, R>): Answering<never, R | TaskGroup.TaskGroup<never>> =>
    Effect.withFiber((outer) => {
      const { connections, deadline, routes } = this.settings
      const request = requestOf(outer)
      const isUpgrade = connections.isUpgrade(request.source)
      const asked = this.askedFor(request)
      if (asked === undefined) return Effect.succeed(this.parting(wrongDeadline(this.settings.deadlineHeader!.name)))
      const name = routes.nameOf(request.method, request.url)
      // From here on only what is to be interrupted is.
      const whole = Effect.uninterruptible(
        Effect.catchCause(responded, (cause) =>
          Effect.as(isUpgrade ? Effect.void : Answer.broken(name, cause), Answer.late)
        )
      )
      const bounded = Active.within(whole, isUpgrade ? Infinity : Math.min(asked, deadline), name)
      // It fails only where it was not begun: all else is answered by then.
      const work = Effect.catch(bounded, () => Effect.succeed(Answer.late))
      this.running += 1
      const ended = Effect.onExitPrimitive(work, () => void (this.running -= 1))
      return Effect.flatMap(
        TaskGroup.trySpawn(ended, { name }),
        Option.match({
          onNone: () => {
            this.running -= 1
            return Effect.succeed(Answer.stopping)
          },
          onSome: (task) => this.watched(task, isUpgrade)
        })
      )
    })

  /** Asks what would go on for ever to end. */
  get tell(): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.isDraining = true
      return Effect.forEach(
        Array.from(this.upgraded),
        // One that listens ends by itself.
        (task) => (isHeard((task as Node<unknown, never>).stopping) ? Effect.void : task.cancel(leaving)),
        { concurrency: "unbounded", discard: true }
      )
    })
  }

  /** Waits for the task, and cancels it where nobody waits for its answer any more. */
  private watched(task: Task<Response>, isUpgrade: boolean): Answering<never, never> {
    if (isUpgrade) this.upgraded.add(task)
    return Effect.onExitPrimitive(
      Effect.map(Effect.interruptible(task.exit), (exit) => (Exit.isSuccess(exit) ? exit.value : Answer.stopping)),
      (exit) => {
        this.upgraded.delete(task)
        return Exit.isSuccess(exit) ? undefined : Effect.as(task.cancel(isGone(exit.cause) ? gone : leaving), undefined)
      }
    )
  }

  /** What the handler gave, as it goes out. */
  private given(fiber: Fiber.Fiber<unknown, unknown>, response: Response): Effect.Effect<Response> {
    if (response !== this.unbegun) this.answered += 1
    const { body, headers } = response
    if (body._tag !== "Stream" || !headers["content-type"]?.startsWith("text/event-stream")) {
      return Effect.succeed(this.parting(response))
    }
    // Events go on as long as the client listens and the server runs.
    const stream = Stream.interruptWhen(body.stream, Cancel.stopRequested)
    const ending = HttpServerResponse.setBody(response, HttpBody.stream(stream, headers["content-type"]))
    const deadline = fiber.getRef(Active.Ambient)
    return Effect.as(
      deadline === undefined || deadline.over ? Effect.void : new DeadlineHandle(deadline).reschedule(Infinity),
      this.parting(ending)
    )
  }

  /** While the server ends, each answer is the last one of its connection. */
  private parting(response: Response): Response {
    return this.isDraining ? HttpServerResponse.setHeader(response, "connection", "close") : response
  }

  /** How long its client gives it; undefined where that cannot be understood. */
  private askedFor(request: HttpServerRequest.HttpServerRequest): number | undefined {
    const { deadlineHeader } = this.settings
    const asked = deadlineHeader && request.headers[deadlineHeader.name.toLowerCase()]
    if (asked === undefined) return Infinity
    if (!/^\d{1,15}(\.\d{1,6})?$/.test(asked)) return undefined
    return Number(asked) * (deadlineHeader!.unit === "seconds" ? 1000 : 1)
  }
}

const requestOf = (fiber: Fiber.Fiber<unknown, unknown>): HttpServerRequest.HttpServerRequest =>
  Context.getUnsafe(
    fiber.context as Context.Context<HttpServerRequest.HttpServerRequest>,
    HttpServerRequest.HttpServerRequest
  )

const isGone = (cause: Cause.Cause<unknown>): boolean =>
  cause.reasons.some((reason) => Cause.isInterruptReason(reason) && reason.annotations.has(ClientAbort.key))

const gone = "the client went away"
const leaving = "the server stops"

const wrongDeadline = (name: string): Response => HttpServerResponse.text(`${name}: not a number`, { status: 400 })
