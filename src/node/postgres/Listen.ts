/** NOTIFY: what others send to a channel, on a connection of its own. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import { SqlError, UnknownError } from "effect/sql/SqlError"
import * as Stream from "effect/Stream"
import type { Opened } from "../../io/Db.ts"
import { toSqlError } from "./Failure.ts"
import * as Query from "./Query.ts"
import type { Session } from "./Session.ts"

/** The payloads sent to the channel from when the stream has started; it fails when the connection is lost. */
export const listen =
  (extra: Effect.Effect<Session, SqlError, Scope.Scope>): NonNullable<Opened["listen"]> =>
  (channel, { begun = Effect.void, capacity = Infinity } = {}) =>
    Stream.callback<string, SqlError>(
      (queue) =>
        Effect.gen(function* () {
          const session = yield* extra
          const fail = (error: SqlError) => Queue.failCauseUnsafe(queue, Cause.fail(error))
          session.client.on("notification", (message: { readonly channel: string; readonly payload?: string }) => {
            if (message.channel !== channel || Queue.offerUnsafe(queue, message.payload ?? "")) return
            fail(
              new SqlError({
                reason: new UnknownError({ cause: undefined, message: tooMany(capacity), operation: "listen" })
              })
            )
          })
          session.whenLost((error) => fail(toSqlError(error, "listen")))
          const name = `"${channel.replaceAll('"', '""')}"`
          yield* session.run<Query.Result>("listen", (done) => new Query.Script(`LISTEN ${name}`, done))
          yield* begun
        }),
      { bufferSize: capacity, strategy: "dropping" }
    )

const tooMany = (capacity: number): string =>
  `notifications came faster than they were taken: ${capacity} wait, and one more was lost`
