/** A session as the connection of an `SqlClient`: statements, streams of rows, and COPY. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type * as SqlConnection from "effect/sql/SqlConnection"
import { SqlError, SqlSyntaxError, UnknownError } from "effect/sql/SqlError"
import * as Stream from "effect/Stream"
import * as Deadline from "../../concurrency/Deadline.ts"
import type { First } from "../../io/db/CopyConnection.ts"
import { CopyIn } from "./CopyIn.ts"
import { codeOf } from "./Failure.ts"
import type { Field } from "./Pg.ts"
import * as Portal from "./Portal.ts"
import { Prepared } from "./Prepared.ts"
import * as Query from "./Query.ts"
import type { Session } from "./Session.ts"
import * as Values from "./Values.ts"

type Rows = ReadonlyArray<unknown>
type Arrays = ReadonlyArray<ReadonlyArray<unknown>>
type Transform = (<A extends object>(rows: ReadonlyArray<A>) => ReadonlyArray<A>) | undefined

interface Form {
  readonly asArrays?: boolean
  readonly portal?: string
  readonly onColumns?: (columns: ReadonlyArray<Field>) => void
}

/** What the sinks of `Db` know as a connection that takes COPY. */
export class Connection implements SqlConnection.Connection {
  readonly session: Session
  private readonly controlWithin: number
  private readonly prepared = new Prepared()
  private portals = 0
  /** Whether `statement_timeout` is that of a deadline, for the rest of the open transaction. */
  private isBounded = false
  private isTimeoutPrepared = false

  /** BEGIN, ROLLBACK and their like, which nothing can interrupt, are to be answered within so many milliseconds. */
  constructor(session: Session, controlWithin: number) {
    this.session = session
    this.controlWithin = controlWithin
  }

  execute(sql: string, params: ReadonlyArray<unknown>, transform: Transform): Effect.Effect<Rows, SqlError> {
    return Effect.map(this.prepare(sql, params), ({ rows }) => transformed(rows, transform))
  }

  executeRaw(sql: string, params: ReadonlyArray<unknown>): Effect.Effect<unknown, SqlError> {
    return Effect.map(this.prepare(sql, params), ({ command, rowCount, rows }) => ({ command, rowCount, rows }))
  }

  executeValues(sql: string, params: ReadonlyArray<unknown>): Effect.Effect<Arrays, SqlError> {
    return Effect.map(this.prepare(sql, params, { asArrays: true }), ({ rows }) => rows as Arrays)
  }

  executeValuesUnprepared(sql: string, params: ReadonlyArray<unknown>): Effect.Effect<Arrays, SqlError> {
    return Effect.map(this.query(sql, params, unnamed, { asArrays: true }), ({ rows }) => rows as Arrays)
  }

  executeUnprepared(sql: string, params: ReadonlyArray<unknown>, transform: Transform): Effect.Effect<Rows, SqlError> {
    const result = params.length === 0 ? this.script(sql) : this.query(sql, params, unnamed)
    return Effect.map(result, ({ rows }) => transformed(rows, transform))
  }

  executeStream(sql: string, params: ReadonlyArray<unknown>, transform: Transform): Stream.Stream<unknown, SqlError> {
    return Stream.suspend(() => {
      const portal = `skein_${this.portals++}`
      return Portal.stream({
        session: this.session,
        name: portal,
        open: (onColumns) => this.query(sql, params, unnamed, { portal, onColumns }),
        transform: (rows) => transformed(rows, transform),
        within: this.controlWithin
      })
    })
  }

  copyIn(sql: string, chunks: Iterable<Uint8Array>, first?: First): Effect.Effect<number, SqlError> {
    return Effect.suspend(() => {
      if (sql.includes("\0")) return Effect.fail(hasNul())
      let copy: CopyIn | undefined
      const copied = this.session.run<number>(
        "copy",
        (done) => {
          copy = new CopyIn([...this.session.takeWaiting(), sql], chunks, first, done)
          return copy
        },
        { abort: () => copy?.abort() === true }
      )
      // What the chunks threw, or the check said, is the caller's, whatever the server says of it.
      return Effect.catchIf(
        copied,
        () => copy?.thrown !== undefined || copy?.refused !== undefined,
        () => (copy?.thrown === undefined ? Effect.fail(copy!.refused!) : Effect.die(copy.thrown.error))
      )
    })
  }

  private script(sql: string): Effect.Effect<Query.Result, SqlError> {
    if (sql.includes("\0")) return Effect.fail(hasNul())
    return Effect.suspend(() => (this.mayWait(sql) ? Effect.succeed(nothing) : this.scriptNow(sql)))
  }

  /** Leaves for later what cannot fail, and gives nothing. */
  private mayWait(sql: string): boolean {
    const { session } = this
    if (session.is("I") ? !begins.test(sql) : !(session.is("T") && goesOn.test(sql))) return false
    if (session.is("I")) this.isBounded = false
    session.later(sql.split(";"))
    return true
  }

  private scriptNow(sql: string): Effect.Effect<Query.Result, SqlError> {
    const { session } = this
    const within = control.test(sql) ? this.controlWithin : undefined
    const result = session.run<Query.Result>("execute", (done) => new Query.Script(sql, done, session.takeWaiting()), {
      within
    })
    if (!undoes.test(sql)) return result
    // The setting may be an older one again.
    this.isBounded = true
    // A session that is gone has rolled back by itself, and who rolls back has an error to tell already.
    return Effect.catchIf(
      result,
      () => this.session.broken !== undefined,
      () => Effect.succeed(nothing)
    )
  }

  private prepare(sql: string, params: ReadonlyArray<unknown>, form: Form = {}): Effect.Effect<Query.Result, SqlError> {
    return Effect.suspend(() => {
      const statement = this.prepared.of(sql)
      const result = Effect.onExit(this.query(sql, params, statement, form), (exit) =>
        // One that ended early may be prepared or not.
        Exit.isFailure(exit) && !statement.isPrepared ? Effect.sync(() => this.prepared.forget(sql)) : Effect.void
      )
      if (!statement.isPrepared) return result
      return Effect.catchIf(result, isOutdated, (error) => {
        this.prepared.forget(sql)
        return this.session.is("I") ? this.prepare(sql, params, form) : Effect.fail(error)
      })
    })
  }

  private query(
    sql: string,
    params: ReadonlyArray<unknown>,
    prepared: typeof unnamed,
    { asArrays = false, onColumns, portal }: Form = {}
  ): Effect.Effect<Query.Result, SqlError> {
    return Effect.flatMap(Deadline.remaining, (remaining) => {
      if (sql.includes("\0")) return Effect.fail(hasNul())
      let values: Query.Statement["values"]
      try {
        values = params.map(Values.toParameter)
      } catch (error) {
        return Effect.fail(unwritable(error))
      }
      const statement = { ...prepared, sql, values, asArrays, portal }
      return this.session.run<Query.Result>("execute", (done) => {
        const { session } = this
        const asksXid = session.xid === undefined && portal === undefined && session.is("T") && writes.test(sql)
        const timeout = this.timeoutFor(sql, remaining)
        const before = { close: this.prepared.takeClosing(), timeout, waiting: session.takeWaiting() }
        const onXid = asksXid ? (xid: string) => void (session.xid = xid) : undefined
        return new Query.Query({ ...statement, onXid }, before, done, onColumns)
      })
    })
  }

  /** So that a statement ends in the server even when nobody is left who would cancel it. */
  private timeoutFor(sql: string, remaining: Option.Option<Duration.Duration>): Query.Before["timeout"] {
    if (this.session.is("I")) this.isBounded = false
    const isBounded = Option.isSome(remaining) && bounded.test(sql)
    if ((!isBounded && !this.isBounded) || this.session.is("E")) return undefined
    const base = this.session.statementTimeout
    const left = isBounded ? Math.max(1, Math.ceil(Duration.toMillis(remaining.value))) : base
    const millis = base === 0 ? left : Math.min(base, left)
    this.isBounded = isBounded
    const isPrepared = this.isTimeoutPrepared
    this.isTimeoutPrepared = true
    return { millis: Math.min(millis, 2 ** 31 - 1), isPrepared }
  }
}

const unnamed = { name: "", isPrepared: false }

const nothing: Query.Result = { command: "", rows: [], rowCount: 0, more: false }

const transformed = (rows: Rows, transform: Transform): Rows =>
  transform === undefined ? rows : transform(rows as ReadonlyArray<object>)

const control = /^(?:BEGIN|COMMIT|ROLLBACK|SAVEPOINT|RELEASE)\b/
const undoes = /^(?:ROLLBACK|RELEASE)\b/

/** A transaction, with settings for it. */
const begins = /^BEGIN\b[\w\s]*(?:;\s*SET LOCAL [\w\s=]*)?$/
const goesOn = /^(?:RELEASE )?SAVEPOINT \w+$/

/** What gives its transaction an id, as far as a look at it tells. */
const writes = /^\s*(?:INSERT|UPDATE|DELETE|MERGE|WITH)\b|\bFOR\s+(?:NO\s+KEY\s+UPDATE|UPDATE|KEY\s+SHARE|SHARE)\b/i

/** Some others must stand alone in their message. */
const bounded = /^\s*(?:SELECT|INSERT|UPDATE|DELETE|MERGE|WITH|VALUES|TABLE)\b/i

/** Its table has other columns by now, or somebody has discarded it. It has not run. */
const isOutdated = (error: SqlError): boolean =>
  codeOf(error) === "26000" || (codeOf(error) === "0A000" && error.message.includes("cached plan"))

const hasNul = (): SqlError => {
  const message = "its SQL has a character NUL, which PostgreSQL has not"
  return new SqlError({
    reason: new SqlSyntaxError({ cause: new Error(message), message, operation: "execute" })
  })
}

const unwritable = (cause: unknown): SqlError => {
  const message = `a parameter cannot be written: ${String(cause)}`
  return new SqlError({ reason: new UnknownError({ cause, message, operation: "execute" }) })
}
