/** Transports that take a request by a call: an answer of a known size is given with its body then, in one step. */
import type * as Exit from "effect/Exit"
import type { HttpClient } from "effect/http/HttpClient"
import type { HttpClientError } from "effect/http/HttpClientError"
import type { HttpClientRequest } from "effect/http/HttpClientRequest"
import type { HttpClientResponse } from "effect/http/HttpClientResponse"
import type { Wire } from "./Wire.ts"

/** Headers by their names in lower case, as they came. */
export type Received = Readonly<Record<string, string | ReadonlyArray<string> | undefined>>

export interface Receiver {
  /** Whether an answer with this head is wanted with its whole body; if not, it is given as soon as the head is there. */
  readonly wantsWhole: (status: number, headers: Received) => boolean
  /** Called once, unless the request is given up before. All of its body where that has arrived: it may be a part of other memory. */
  readonly receive: (answer: Exit.Exit<HttpClientResponse, HttpClientError>, body?: Uint8Array) => void
}

/** Sends the request, and gives what gives it up; undefined where it takes no requests of this kind. */
export type Direct = (request: HttpClientRequest, url: URL, wire: Wire, receiver: Receiver) => (() => void) | undefined

const known = new WeakMap<HttpClient, Direct>()

/** Says of a client that it sends in this way too. What wraps it, or is made of it, is another client. */
export const offered = <C extends HttpClient>(client: C, direct: Direct): C => {
  known.set(client, direct)
  return client
}

/** The direct way of a client that has one. */
export const of = (client: HttpClient): Direct | undefined => known.get(client)
