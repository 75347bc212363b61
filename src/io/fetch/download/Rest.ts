/** A body from a byte on: what is behind it where the server can give that, or else all of it once more. */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as HttpClient from "effect/http/HttpClient"
import type * as Headers from "effect/http/Headers"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as Scope from "effect/Scope"
import type { FetchError } from "../../FetchError.ts"
import type { Answer, Arriving } from "../call/FetchAttempt.ts"
import { Call, type Options } from "../call/FetchCall.ts"
import * as Range from "./Range.ts"

/** What is read on, attempt by attempt: retries are for whoever knows what the attempt before has given. */
export class Rest {
  readonly url: string | URL
  private readonly call: Call

  constructor(url: string | URL, options: Options) {
    this.call = new Call({
      ...options,
      method: "GET",
      retries: 0,
      accept: (status) => status === 416 || isGiven(status)
    })
    this.url = url
  }

  /** From `at` on, which only a validator can speak of; otherwise from the beginning. */
  open(
    at: number,
    validator: Range.Validator | undefined
  ): Effect.Effect<Opened, FetchError, HttpClient.HttpClient | Scope.Scope> {
    if (at === 0 || validator === undefined) return this.whole
    return Effect.flatMap(Effect.flatMap(Effect.scope, Scope.fork), (scope) => {
      // An answer that is of no use gives its slot back before the next is asked for, which may need it.
      const anew = Effect.andThen(Scope.close(scope, Exit.void), this.whole)
      return Effect.flatMap(Scope.provide(this.send(Range.from(at, validator)), scope), (answer) => {
        const { headers, status } = answer.response
        const found = Range.answerOf(status, headers, at, validator)
        switch (found.kind) {
          case "rest":
            return Effect.succeed({ answer, at, validator, total: found.total, isOver: false })
          case "whole":
            return Effect.succeed(fromStart(answer))
          case "nothing":
            return found.total === at ? Effect.succeed({ answer, at, validator, total: at, isOver: true }) : anew
          case "wrong":
            return anew
        }
      })
    })
  }

  private get whole(): Effect.Effect<Opened, FetchError, HttpClient.HttpClient | Scope.Scope> {
    return Effect.flatMap(this.send(Range.identity), (answer) => {
      const { status } = answer.response
      if (isWhole(status)) return Effect.succeed(fromStart(answer))
      const detail = `answered ${status}, which is for a range, and none was asked for`
      return Effect.fail(answer.error("Protocol", detail, { status }))
    })
  }

  private send(
    headers: Headers.Input
  ): Effect.Effect<Answer<Arriving>, FetchError, HttpClient.HttpClient | Scope.Scope> {
    return this.call.open(HttpClientRequest.get(this.url, { headers }))
  }
}

/** A body that is open, from byte `at` on. */
export interface Opened {
  readonly answer: Answer<Arriving>
  readonly at: number
  /** None where the rest cannot be asked for. */
  readonly validator: Range.Validator | undefined
  /** How many bytes there are in all, where that is known. */
  readonly total: number | undefined
  /** Nothing is behind `at`. */
  readonly isOver: boolean
}

const isGiven = (status: number): boolean => status >= 200 && status < 300
const isWhole = (status: number): boolean => isGiven(status) && status !== 206

const fromStart = (answer: Answer<Arriving>): Opened => {
  const { headers } = answer.response
  const length = Range.isIdentity(headers) ? headers["content-length"] : undefined
  return {
    answer,
    at: 0,
    validator: Range.isResumable(headers) ? Range.validatorOf(headers) : undefined,
    total: length !== undefined && /^\d+$/.test(length) ? Number(length) : undefined,
    isOver: false
  }
}
