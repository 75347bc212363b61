/** Opening a session: TLS as asked for, the settings it begins with, and servers that are starting or full waited for. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type { ConnectionOptions } from "node:tls"
import type { SqlError } from "effect/sql/SqlError"
import * as Alarm from "../../concurrency/base/Alarm.ts"
import * as Wait from "../../concurrency/base/Wait.ts"
import type { ClientOptions, Pg } from "./Pg.ts"
import * as Query from "./Query.ts"
import * as Refusal from "./Refusal.ts"
import { Session, timedOut } from "./Session.ts"
import type { Target } from "./Target.ts"

export interface Settings {
  readonly pg: Pg
  readonly target: Target
  readonly attempts: ReadonlyArray<ConnectionOptions | false>
  /** As `-c name=value`. */
  readonly options: string
  /** How long a server is tried that cannot be reached yet. */
  readonly within: Duration.Duration
}

/** Opens a session; where a server that was there before is not, again and again until the time is up. */
export const open = (
  settings: Settings,
  wasThere: boolean,
  /** Hears of each that is tried, before it is open. */
  onSession: (session: Session) => void
): Effect.Effect<Session, SqlError> =>
  Effect.clockWith((clock) => {
    const until = Alarm.now(clock) + Duration.toMillis(settings.within)
    return Effect.retry(attempt(settings, onSession), {
      while: (error) => Alarm.now(clock) < until && Refusal.mayPass(error, wasThere),
      schedule: backoff
    })
  })

const backoff = Schedule.min([Schedule.exponential("20 millis"), Schedule.spaced("1 second")])

const attempt = (settings: Settings, onSession: (session: Session) => void): Effect.Effect<Session, SqlError> => {
  const [first, second] = settings.attempts
  const opened = connect(settings, first!, onSession)
  const other =
    second === undefined
      ? opened
      : Effect.catchIf(opened, Refusal.isOfEncryption, () => connect(settings, second, onSession))
  return Effect.tap(other, (session) => begin(settings, session))
}

const connect = (
  settings: Settings,
  ssl: ConnectionOptions | false,
  onSession: (session: Session) => void
): Effect.Effect<Session, SqlError> =>
  Wait.callback<Session, SqlError>("a connection to the database", (resume) => {
    const { pg, target } = settings
    const fail = (error: Error) => resume(Effect.fail(Refusal.toSqlError(error, target, ssl !== false)))
    let client: InstanceType<Pg["Client"]>
    try {
      client = new pg.Client(optionsOf(settings, ssl))
    } catch (error) {
      return fail(error instanceof Error ? error : new Error(String(error)))
    }
    const session = new Session(pg, client, { host: target.host, port: target.port, ssl })
    onSession(session)
    const millis = Duration.toMillis(settings.within)
    const timer = setTimeout(() => give(timedOut(`no answer within ${millis} ms`)), Math.min(millis, 2 ** 31 - 1))
    const give = (error: Error) => {
      session.drop(error)
      fail(error)
    }
    if (target.channelBinding) {
      client.connection.on("authenticationSASL", (message: { readonly mechanisms: ReadonlyArray<string> }) => {
        if (!message.mechanisms.includes("SCRAM-SHA-256-PLUS")) give(new Error(Refusal.noBinding))
      })
    }
    client.connect((error) => {
      clearTimeout(timer)
      if (error === null || error === undefined) return resume(Effect.succeed(session))
      give(session.broken ?? error)
    })
    return Effect.sync(() => {
      clearTimeout(timer)
      session.drop(new Error("interrupted"))
    })
  })

const optionsOf = ({ options, target }: Settings, ssl: ConnectionOptions | false): ClientOptions => ({
  host: target.host,
  port: target.port,
  user: target.user,
  database: target.database,
  password: () => {
    if (target.password === undefined) throw new Error(Refusal.noPassword)
    return target.password
  },
  ssl,
  enableChannelBinding: target.channelBinding,
  application_name: target.applicationName,
  options,
  keepAlive: true,
  keepAliveInitialDelayMillis: 30_000,
  client_encoding: "utf8"
})

/** What is asked once a session. */
const begin = (settings: Settings, session: Session): Effect.Effect<void, SqlError> => {
  const asked = session.run<Query.Result>("connect", (done) => new Query.Script(questions, done))
  return asked.pipe(
    Effect.flatMap(({ rows }) => {
      const [answer] = rows as ReadonlyArray<{ version: number; standby: boolean; timeout: number }>
      const refused = Refusal.ofServer(settings.target, answer!)
      session.statementTimeout = answer!.timeout
      return refused === undefined ? Effect.void : Effect.fail(refused)
    }),
    Effect.onError(() => session.end)
  )
}

const questions = `SELECT pg_catalog.current_setting('server_version_num')::int4 AS version,
  pg_catalog.current_setting('transaction_read_only')::bool AS standby,
  (SELECT setting::int4 FROM pg_catalog.pg_settings WHERE name = 'statement_timeout') AS timeout`
