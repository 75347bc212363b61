/** The connections of a server: how much is under way on them, and how they are closed without cutting an answer short. */
import * as Effect from "effect/Effect"
import type * as Http from "node:http"
import type { Duplex } from "node:stream"

export class Connections {
  readonly server: Http.Server
  private readonly maxUpgrades: number
  private readonly upgrades = new WeakSet<object>()
  private readonly sockets = new Set<Duplex>()
  private open = 0
  private idle: (() => void) | undefined

  constructor(server: Http.Server, maxUpgrades: number) {
    this.server = server
    this.maxUpgrades = maxUpgrades
    // What is answered is under way until the last byte was handed on, or the client has left.
    const answering = (_: Http.IncomingMessage, response: Http.ServerResponse) => {
      this.open += 1
      response.once("close", () => this.left())
    }
    server.on("request", answering)
    server.on("checkContinue", answering)
    server.on("upgrade", (request, socket) => {
      this.open += 1
      if (request.headers.upgrade?.toLowerCase() === "websocket") this.upgrades.add(request)
      this.sockets.add(socket)
      socket.once("close", () => {
        this.sockets.delete(socket)
        this.left()
      })
    })
  }

  /** Whether the request, of Node, asks to take over its connection. */
  isUpgrade(request: object): boolean {
    return this.upgrades.has(request)
  }

  get canUpgrade(): boolean {
    return this.sockets.size <= this.maxUpgrades
  }

  /** Takes no more connections, and closes those on which nothing is under way. */
  refuse(): void {
    if (this.server.listening) this.server.close()
    else this.server.closeIdleConnections()
  }

  /** Waits until nothing is under way. */
  get quiet(): Effect.Effect<void> {
    return Effect.callback((resume) => {
      if (this.open === 0) return resume(Effect.void)
      this.idle = () => resume(Effect.void)
      return Effect.sync(() => void (this.idle = undefined))
    })
  }

  /** Closes what is left; what was written last may still go out. */
  get end(): Effect.Effect<void> {
    return Effect.callback((resume) => {
      this.refuse()
      const timer = setTimeout(() => {
        this.server.closeAllConnections()
        for (const socket of this.sockets) socket.destroy()
      }, grace)
      // Calls back once the last connection is gone, also where it is closed already.
      this.server.close(() => {
        clearTimeout(timer)
        resume(Effect.void)
      })
    })
  }

  private left(): void {
    this.open -= 1
    // One that rests from now on would keep the server for as long as it likes.
    if (!this.server.listening) this.server.closeIdleConnections()
    if (this.open === 0) this.idle?.()
  }
}

/** Milliseconds. */
const grace = 500
