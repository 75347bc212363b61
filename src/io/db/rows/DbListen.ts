/** What others send to a channel of the database, on a connection of its own that is made again when it is lost. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Schedule from "effect/Schedule"
import type * as Schema from "effect/Schema"
import { isSqlError } from "effect/sql/SqlError"
import * as Stream from "effect/Stream"
import * as Alarm from "../../../concurrency/base/Alarm.ts"
import type { Element, NoPosition } from "../../../pipeline/Source.ts"
import { DbError, fromSqlError } from "../../DbError.ts"
import * as JsonReader from "../../text/JsonReader.ts"
import type { Db } from "../Contract.ts"
import { issueOf } from "./Issue.ts"

export interface ListenOptions {
  /**
   * Runs whenever listening has begun, before what is heard from then on is given: at first, and each time after the connection was
   * lost, when some may have been missed. The place to look for what there is. Default: nothing.
   */
  readonly onListening?: Effect.Effect<void> | undefined
  /** How many notifications may wait to be taken. Default 10,000. */
  readonly capacity?: number | undefined
  /** For how long a connection that was lost is made again. Default 5 minutes. */
  readonly reconnectFor?: Duration.Input | undefined
}

export const stream = <A>(
  db: Db,
  channel: string,
  schema: Schema.Codec<A, unknown> | undefined,
  { capacity = 10_000, onListening = Effect.void, reconnectFor = "5 minutes" }: ListenOptions
): Stream.Stream<Element<A, NoPosition>, DbError> => {
  const tried = `listen to channel ${JSON.stringify(channel)}`
  const refused = (reason: string) => new DbError({ database: db.name, tried, reason })
  const { listen } = db
  if (listen === undefined) {
    return Stream.fail(
      refused(`${db.dialect.name} has no channels. Use PostgreSQL, or Source.frontier with \`follow\` and \`poll\``)
    )
  }
  const bytes = new TextEncoder().encode(channel).length
  if (bytes === 0 || bytes > 63 || channel.includes("\0") || !channel.isWellFormed()) {
    return Stream.fail(refused("the name of a channel is 1 to 63 bytes of text without NUL"))
  }
  return Stream.unwrap(
    Effect.map(Alarm.moment, (start) => {
      // None before it has listened once: what was never there is not waited for.
      let lost: number | undefined = start - Infinity
      const begun = Effect.andThen(
        Effect.sync(() => void (lost = undefined)),
        onListening
      )
      const isPatient = (error: unknown) =>
        Effect.map(Alarm.moment, (now) => {
          if (!isSqlError(error) || error.reason._tag !== "ConnectionError") return false
          lost ??= now
          return now - lost < Duration.toMillis(reconnectFor)
        })
      const pauses = Schedule.min([Schedule.exponential("100 millis"), Schedule.spaced("5 seconds")])
      return listen(channel, { begun, capacity }).pipe(
        Stream.retry(Schedule.while(Schedule.jittered(pauses), ({ input }) => isPatient(input))),
        Stream.mapError(fromSqlError(db.name, tried)),
        Stream.mapEffect(elementOf(schema, refused))
      )
    })
  )
}

const elementOf = <A>(schema: Schema.Codec<A, unknown> | undefined, refused: (reason: string) => DbError) => {
  const element = (value: A, payload: string): Element<A, NoPosition> => ({
    value,
    position: nowhere,
    bytes: 64 + payload.length
  })
  // Without a schema it is the text, and `A` is string.
  if (schema === undefined) return (payload: string) => Effect.succeed(element(payload as A, payload))
  const decode = JsonReader.decoder(schema)
  return (payload: string) => {
    const exit = decode(payload)
    return Exit.isSuccess(exit)
      ? Effect.succeed(element(exit.value, payload))
      : Effect.fail(refused(`a notification is not as the schema says: ${issueOf(exit.cause)}`))
  }
}

const nowhere: NoPosition = { _tag: "NoPosition" }
