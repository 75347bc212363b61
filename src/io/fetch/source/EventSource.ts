/** Server-Sent Events (the HTML standard, "Server-sent events"), connected again whenever the connection ends. */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Sse from "effect/encoding/Sse"
import * as Exit from "effect/Exit"
import type * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { NoPosition, Source } from "../../../pipeline/Source.ts"
import type { FetchError } from "../../FetchError.ts"
import type { Answer, Arriving } from "../call/FetchAttempt.ts"
import { Call, type Options } from "../call/FetchCall.ts"
import { identity } from "../download/Range.ts"
import { isRetryable } from "../download/Reading.ts"
import { shown } from "../call/ShownUrl.ts"

export interface Event {
  /** The last id that the server has given, with this event or before; undefined before the first. */
  readonly id: string | undefined
  /** Its type, "message" where the server names none. */
  readonly event: string
  readonly data: string
}

export interface EventOptions extends Omit<Options, "accept" | "idempotencyKey" | "maxBody" | "method"> {
  /** Which types are elements; others are left out. Default: all. */
  readonly types?: ReadonlyArray<string> | undefined
  /** How long nothing may come, no comment either, before the connection counts as lost. Default 5 minutes. */
  readonly idle?: Duration.Input | undefined
  /** The wait before connecting again, where the server names none. Default 3 seconds. */
  readonly reconnect?: Duration.Input | undefined
  /** "id": go on behind the last event in the next run, which needs an id of its own for each. Default: no positions. */
  readonly resume?: "id" | undefined
  /** The largest event, in characters. Default 16 Mi. */
  readonly maxEvent?: number | undefined
}

/** Waits grow up to here where connections give nothing. */
const longestWait = 60_000

const largest = 16 * 1024 * 1024

class Events {
  private readonly url: string | URL
  private readonly call: Call
  private readonly options: EventOptions
  /** What the server is told on the next connection. */
  private id: string | undefined
  private wait: number
  /** Connections in a row that gave no event. */
  private fruitless = 0
  private connection: Connection | undefined
  private isOver = false

  constructor(url: string | URL, options: EventOptions, id: string | undefined) {
    const { idle = "5 minutes", reconnect = "3 seconds" } = options
    this.url = url
    this.options = options
    this.id = id
    this.wait = Duration.toMillis(reconnect)
    this.call = new Call({ ...options, method: "GET", timeout: idle, maxBody: Infinity })
  }

  /** Some events; none at the end, which only the server says, with 204. */
  next(): Effect.Effect<ReadonlyArray<Event>, FetchError, HttpClient.HttpClient> {
    return Effect.suspend(() => {
      if (this.isOver) return Effect.succeed([])
      const { connection } = this
      if (connection === undefined) return Effect.flatMap(this.connect, () => this.next())
      return Effect.matchEffect(connection.pull, {
        onSuccess: (pieces) =>
          Effect.flatMap(this.taken(connection, pieces), (events) =>
            events.length === 0 ? this.next() : Effect.succeed(events)
          ),
        onFailure: (error) =>
          !Cause.isDone(error) && !isRetryable(error)
            ? Effect.fail(error)
            : Effect.flatMap(Effect.andThen(this.close, this.pause), () => this.next())
      })
    })
  }

  get close(): Effect.Effect<void> {
    return Effect.suspend(() => {
      const { connection } = this
      this.connection = undefined
      return connection === undefined ? Effect.void : Scope.close(connection.scope, Exit.void)
    })
  }

  private get connect(): Effect.Effect<void, FetchError, HttpClient.HttpClient> {
    const headers = {
      accept: "text/event-stream",
      "cache-control": "no-store",
      // An event has to come when it is sent, and who compresses may wait for more.
      ...identity,
      // As its bytes: a header that is Latin-1 has no other form for it.
      ...(this.id !== undefined && this.id !== "" && { "last-event-id": bytesOf(this.id) })
    }
    return Effect.uninterruptibleMask((restore) =>
      Effect.flatMap(Scope.make(), (scope) =>
        restore(
          Effect.flatMap(this.call.open(HttpClientRequest.get(this.url, { headers })), (answer) => {
            const { headers: given, status } = answer.response
            if (status === 204) return Effect.undefined
            const type = given["content-type"] ?? "none"
            return /^\s*text\/event-stream\s*(;|$)/i.test(type)
              ? Effect.map(Stream.toPull(answer.body), (pull) => this.connected(scope, pull, answer))
              : Effect.fail(answer.error("Decode", `it gives no events: its content type is ${type}`))
          })
        ).pipe(
          Scope.provide(scope),
          Effect.onError(() => Scope.close(scope, Exit.void)),
          Effect.flatMap((connection) => {
            this.connection = connection
            if (connection !== undefined) return Effect.void
            this.isOver = true
            return Scope.close(scope, Exit.void)
          })
        )
      )
    )
  }

  private connected(scope: Scope.Closeable, pull: Connection["pull"], answer: Answer<Arriving>): Connection {
    const events: Array<Event> = []
    this.fruitless += 1
    const before = this.id
    const parser = Sse.makeParser(
      (event) => {
        if (event._tag === "Retry") this.wait = Math.min(Duration.toMillis(event.duration), longestWait)
        else events.push({ id: event.id ?? before, event: event.event, data: event.data })
      },
      { maxEventSize: this.options.maxEvent ?? largest }
    )
    return { scope, pull, answer, parser, events, decoder: new TextDecoder() }
  }

  /** The events that pieces complete. */
  private taken(
    { answer, decoder, events, parser }: Connection,
    pieces: ReadonlyArray<Uint8Array>
  ): Effect.Effect<ReadonlyArray<Event>, FetchError> {
    for (const piece of pieces) {
      if (parser.feed(decoder.decode(piece, { stream: true })) === undefined) continue
      const limit = this.options.maxEvent ?? largest
      const detail = `one of its events is larger than ${limit} characters, the limit \`maxEvent\``
      return Effect.fail(answer.error("TooLarge", detail, { limit }))
    }
    const found: Array<Event> = []
    for (const event of events.splice(0)) {
      this.fruitless = 0
      const isOwn = event.id !== undefined && event.id !== "" && event.id !== this.id
      if (this.options.types?.includes(event.event) ?? true) {
        if (this.options.resume === "id" && !isOwn) return Effect.fail(answer.error("Decode", unnamed(event)))
        found.push(event)
      }
      this.id = event.id
    }
    return Effect.succeed(found)
  }

  private get pause(): Effect.Effect<void> {
    return Effect.suspend(() => {
      const isBad = this.fruitless > 1
      const wait = isBad ? Math.max(this.wait, 1000) * 2 ** (this.fruitless - 1) : this.wait
      return Effect.sleep(Duration.millis(Math.min(longestWait, wait)))
    })
  }
}

const unnamed = ({ event, id }: Event): string => {
  const has = id === undefined || id === "" ? "has no id" : `has no id of its own, after ${JSON.stringify(id)}`
  return `an event of type ${JSON.stringify(event)} ${has}, so that nobody could go on behind it; leave such out by \`types\`, or do without \`resume\``
}

interface Connection {
  readonly scope: Scope.Closeable
  readonly pull: Effect.Effect<ReadonlyArray<Uint8Array>, FetchError | Cause.Done>
  readonly answer: Answer<Arriving>
  readonly parser: Sse.Parser
  readonly events: Array<Event>
  readonly decoder: { decode: (bytes: Uint8Array, options: { readonly stream: boolean }) => string }
}

const bytesOf = (id: string): string => String.fromCharCode(...new TextEncoder().encode(id))

/** The events as a source, whose position is the id of one where it resumes. */
export const source = (
  url: string | URL,
  options: EventOptions
): Source<Event, FetchError, HttpClient.HttpClient, string | NoPosition> => ({
  name: shown(`${url}`, options.secretParameters),
  resumable: options.resume === "id",
  size: Effect.succeedNone,
  // What was before an id is not to be had any more.
  fingerprint: () => Effect.succeed({}),
  read: (after) =>
    Effect.gen(function* () {
      const id = Option.getOrUndefined(after)
      const events = yield* Effect.acquireRelease(
        Effect.sync(() => new Events(url, options, typeof id === "string" ? id : undefined)),
        (events) => events.close
      )
      const next = Effect.flatMap(
        Effect.suspend(() => events.next()),
        (found) => {
          const elements = found.map((value) => ({
            value,
            position: options.resume === "id" ? value.id! : nowhere,
            bytes: value.data.length
          }))
          return isNonEmpty(elements) ? Effect.succeed(elements) : Cause.done()
        }
      )
      return Stream.fromPull(Effect.succeed(next))
    }).pipe(Stream.unwrap)
})

// The engine never keeps the position of a source that is not resumable.
const nowhere: NoPosition = { _tag: "NoPosition" }

const isNonEmpty = <A>(items: ReadonlyArray<A>): items is readonly [A, ...Array<A>] => items.length > 0
