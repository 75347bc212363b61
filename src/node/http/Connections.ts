/**
 * Connections that are kept alive, so many to an origin at most. Undici has a pool for that; this one hands the connection of an
 * answer on at once, to the request that waits or that the answer leads to: a sixth of what a small request costs there.
 */
import type * as Undici from "@effect/platform-node/Undici"
import { AsyncResource } from "node:async_hooks"
import { Waiter, WaitList } from "../../concurrency/base/WaitList.ts"

type Options = Undici.Dispatcher.DispatchOptions
type Handler = Undici.Dispatcher.DispatchHandler & { readonly isGivenUp?: boolean }
type Controller = Undici.Dispatcher.DispatchController
type Headers = Undici.Dispatcher.ResponseData["headers"]

export interface Settings {
  /** To one origin. */
  readonly connections: number
  readonly maxHeaders: number
  readonly connect: Undici.buildConnector.connector
}

export class Connections {
  private readonly undici: typeof Undici
  private readonly settings: Settings
  private readonly origins = new Map<string, Origin>()
  private isClosed = false

  constructor(undici: typeof Undici, settings: Settings) {
    this.undici = undici
    this.settings = settings
  }

  dispatch(options: Options, handler: Handler): void {
    if (this.isClosed) return refuse(handler, this.closed())
    const name = `${options.origin}`
    let origin = this.origins.get(name)
    if (origin === undefined) {
      const { connect, connections, maxHeaders } = this.settings
      const client = () =>
        new this.undici.Client(name, {
          pipelining: 1,
          // One request a connection, so that dropping one stops its server from sending.
          allowH2: false,
          maxHeaderSize: maxHeaders,
          headersTimeout: 0,
          bodyTimeout: 0,
          connect
        })
      this.origins.set(name, (origin = new Origin(connections, client, () => this.origins.delete(name))))
    }
    origin.dispatch(options, handler)
  }

  close(): Promise<unknown> {
    this.isClosed = true
    return Promise.all([...this.origins.values()].map((origin) => origin.close(this.closed())))
  }

  private closed(): Error {
    return new this.undici.errors.ClientDestroyedError()
  }
}

class Origin {
  private readonly limit: number
  private readonly client: () => Undici.Client
  private readonly emptied: () => void
  private readonly open = new Set<Connection>()
  /** The one that was used last is the last: it is the least likely to be closed by the other side. */
  private readonly free: Array<Connection> = []
  private readonly waiting = new WaitList<Turn>()

  constructor(limit: number, client: () => Undici.Client, emptied: () => void) {
    this.limit = limit
    this.client = client
    this.emptied = emptied
  }

  dispatch(options: Options, handler: Handler): void {
    const connection = this.free.pop()
    if (connection !== undefined) connection.send(options, handler)
    else if (this.open.size >= this.limit) this.waiting.add(new Turn(options, handler))
    else {
      const added = new Connection(this.client(), this)
      this.open.add(added)
      added.send(options, handler)
    }
  }

  /** Hands it on, or keeps it for the next: as the last resort where it may be closing. */
  release(connection: Connection, mayBeClosing: boolean): void {
    for (let turn = this.waiting.first; turn !== undefined; turn = this.waiting.first) {
      this.waiting.remove(turn)
      if (turn.handler.isGivenUp !== true) return turn.take(connection)
    }
    if (!connection.isUp) return this.drop(connection)
    if (mayBeClosing) this.free.unshift(connection)
    else this.free.push(connection)
  }

  /** It was lost; whoever has it hears of that in another way. */
  lost(connection: Connection): void {
    const place = this.free.indexOf(connection)
    if (place < 0) return
    this.free.splice(place, 1)
    this.drop(connection)
  }

  private drop(connection: Connection): void {
    this.open.delete(connection)
    if (this.open.size === 0) this.emptied()
  }

  close(error: Error): Promise<unknown> {
    for (let turn = this.waiting.first; turn !== undefined; turn = this.waiting.first) {
      this.waiting.remove(turn)
      refuse(turn.handler, error)
    }
    return Promise.all([...this.open].map(({ client }) => client.destroy()))
  }
}

/** A connection, made when it is needed and made again when it was lost, with the request that it has. */
class Connection implements Undici.Dispatcher.DispatchHandler {
  readonly client: Undici.Client
  private readonly origin: Origin
  private handler: Handler | undefined
  isUp = false

  constructor(client: Undici.Client, origin: Origin) {
    this.client = client
    this.origin = origin
    client.on("connect", () => {
      this.isUp = true
    })
    client.on("disconnect", () => {
      this.isUp = false
      origin.lost(this)
    })
  }

  send(options: Options, handler: Handler): void {
    this.handler = handler
    this.client.dispatch(options, this)
  }

  onRequestStart(controller: Controller, context: unknown): void {
    this.handler!.onRequestStart?.(controller, context)
  }

  onRequestUpgrade(...args: Parameters<NonNullable<Handler["onRequestUpgrade"]>>): void {
    this.handler!.onRequestUpgrade?.(...args)
    this.left()
  }

  onResponseStart(controller: Controller, status: number, headers: Headers, message?: string): void {
    this.handler!.onResponseStart?.(controller, status, headers, message)
  }

  onResponseData(controller: Controller, chunk: Buffer): void {
    this.handler!.onResponseData?.(controller, chunk)
  }

  onResponseEnd(controller: Controller, trailers: Headers): void {
    this.handler!.onResponseEnd?.(controller, trailers)
    this.handler = undefined
    // At once, from within undici's parser: a client that has its next request by now needs not look whether it was left idle.
    this.origin.release(this, false)
  }

  onResponseError(controller: Controller, error: Error): void {
    const { handler } = this
    this.left()
    handler?.onResponseError?.(controller, error)
  }

  /** Its request has ended in another way than with an answer; undici is still busy with that. */
  private left(): void {
    this.handler = undefined
    queueMicrotask(() => this.origin.release(this, true))
  }
}

/** A request that waits for a connection. */
class Turn extends Waiter {
  readonly handler: Handler
  private readonly options: Options
  /** What watches requests is to find them where they were made, and not where a connection became free. */
  private readonly resource = new AsyncResource("skein/Connections/Turn")

  constructor(options: Options, handler: Handler) {
    super()
    this.options = options
    this.handler = handler
  }

  take(connection: Connection): void {
    this.resource.runInAsyncScope(connection.send, connection, this.options, this.handler)
  }
}

// Undici does so as well where there is nothing to control yet.
const refuse = (handler: Handler, error: Error): void => handler.onResponseError?.(null as never, error)
