/** As many connections as are needed at a time, up to a limit; those that broke are thrown away. */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import type { SqlError } from "effect/sql/SqlError"
import * as Connect from "./Connect.ts"
import { Connection } from "./Connection.ts"
import type { Session } from "./Session.ts"

export interface Options {
  readonly maxConnections: number
  /** Milliseconds for BEGIN and its like. */
  readonly controlWithin: number
}

export class Pool {
  /** For the scope it is taken in. Who waits for one can be interrupted. */
  readonly acquire: Effect.Effect<Connection, SqlError, Scope.Scope>
  /** A session past the limit, ended with the scope. */
  readonly extra: Effect.Effect<Session, SqlError, Scope.Scope>
  private readonly settings: Connect.Settings
  private readonly idle: Array<Connection> = []
  private readonly sessions = new Set<Session>()
  private wasThere = false

  constructor(settings: Connect.Settings, options: Options) {
    this.settings = settings
    const connectionOf = (session: Session) => new Connection(session, options.controlWithin)
    const permits = Semaphore.makeUnsafe(options.maxConnections)
    this.acquire = Effect.uninterruptibleMask((restore) =>
      Effect.andThen(
        restore(permits.takeScoped(1)),
        Effect.acquireRelease(
          Effect.suspend(() => {
            const idle = this.takeIdle()
            return idle === undefined ? Effect.map(this.open(restore), connectionOf) : Effect.succeed(idle)
          }),
          (connection) => this.giveBack(connection)
        )
      )
    )
    this.extra = Effect.uninterruptibleMask((restore) =>
      Effect.acquireRelease(this.open(restore), (session) => session.end)
    )
  }

  /** Ends all sessions, those in use too. */
  readonly close: Effect.Effect<void> = Effect.suspend(() =>
    Effect.forEach([...this.sessions], (session) => session.end, { concurrency: "unbounded", discard: true })
  )

  private takeIdle(): Connection | undefined {
    for (;;) {
      const connection = this.idle.pop()
      if (connection === undefined || connection.session.broken === undefined) return connection
    }
  }

  private giveBack(connection: Connection): Effect.Effect<void> {
    return Effect.suspend(() => {
      const { session } = connection
      // In no transaction, and with nothing on its way.
      if (session.is("I")) {
        this.idle.push(connection)
        return Effect.void
      }
      return session.end
    })
  }

  /** One that opens while nobody wants it any more is ended. */
  private open(restore: typeof Effect.interruptible): Effect.Effect<Session, SqlError> {
    return Effect.suspend(() => {
      let last: Session | undefined
      const opening = Connect.open(this.settings, this.wasThere, (session) => {
        last = session
      })
      return Effect.onExit(restore(opening), (exit) =>
        Effect.suspend(() => {
          if (Exit.isFailure(exit)) return last?.end ?? Effect.void
          const session = exit.value
          this.wasThere = true
          this.sessions.add(session)
          session.whenLost(() => this.sessions.delete(session))
          return Effect.void
        })
      )
    })
  }
}
