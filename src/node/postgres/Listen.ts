/** NOTIFY: what others send to a channel, on a connection of its own. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import type { SqlError } from "effect/sql/SqlError"
import * as Stream from "effect/Stream"
import { toSqlError } from "./Failure.ts"
import * as Query from "./Query.ts"
import type { Session } from "./Session.ts"

/** The payloads sent to the channel from when the stream has started; it fails when the connection is lost. */
export const listen =
  (extra: Effect.Effect<Session, SqlError, Scope.Scope>) =>
  (channel: string): Stream.Stream<string, SqlError> =>
    Stream.callback<string, SqlError>((queue) =>
      Effect.gen(function* () {
        const session = yield* extra
        session.client.on("notification", (message: { readonly channel: string; readonly payload?: string }) => {
          if (message.channel === channel) Queue.offerUnsafe(queue, message.payload ?? "")
        })
        session.whenLost((error) => Queue.failCauseUnsafe(queue, Cause.fail(toSqlError(error, "listen"))))
        const name = `"${channel.replaceAll('"', '""')}"`
        yield* session.run<Query.Result>("listen", (done) => new Query.Script(`LISTEN ${name}`, done))
      })
    )
