/** A session as the connection of an `SqlClient`: statements, streams of rows, and COPY. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type { SqlError } from "effect/sql/SqlError"
import * as Stream from "effect/Stream"
import * as Deadline from "../../concurrency/Deadline.ts"
import type { CopyConnection } from "../../io/db/CopyConnection.ts"
import { CopyIn } from "./CopyIn.ts"
import { ServerError } from "./Failure.ts"
import type { Field } from "./Pg.ts"
import * as Query from "./Query.ts"
import type { Session } from "./Session.ts"
import * as Values from "./Values.ts"

/** As many statements as a program has that does not make up SQL as it goes; beyond that the oldest are forgotten. */
const maxPrepared = 256

/** Rows that a stream asks for at a time. */
const rowsAtOnce = 1_000

type Rows = ReadonlyArray<any>
type Transform = (<A extends object>(rows: ReadonlyArray<A>) => ReadonlyArray<A>) | undefined

export class Connection implements CopyConnection {
  readonly session: Session
  private readonly controlWithin: number
  private readonly prepared = new Map<string, string>()
  private close: Array<string> = []
  private names = 0
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

  executeValues(
    sql: string,
    params: ReadonlyArray<unknown>
  ): Effect.Effect<ReadonlyArray<ReadonlyArray<unknown>>, SqlError> {
    return Effect.map(this.prepare(sql, params, true), ({ rows }) => rows as ReadonlyArray<ReadonlyArray<unknown>>)
  }

  executeValuesUnprepared(
    sql: string,
    params: ReadonlyArray<unknown>
  ): Effect.Effect<ReadonlyArray<ReadonlyArray<unknown>>, SqlError> {
    return Effect.map(
      this.query({ sql, values: params.map(Values.toParameter), name: "", isPrepared: false, asArrays: true }),
      ({ rows }) => rows as ReadonlyArray<ReadonlyArray<unknown>>
    )
  }

  executeUnprepared(sql: string, params: ReadonlyArray<unknown>, transform: Transform): Effect.Effect<Rows, SqlError> {
    const result =
      params.length === 0
        ? this.script(sql)
        : this.query({ sql, values: params.map(Values.toParameter), name: "", isPrepared: false, asArrays: false })
    return Effect.map(result, ({ rows }) => transformed(rows, transform))
  }

  executeStream(sql: string, params: ReadonlyArray<unknown>, transform: Transform): Stream.Stream<any, SqlError> {
    return Stream.unwrap(
      Effect.gen({ self: this }, function* () {
        yield* this.inTransaction
        const portal = `skein_${this.portals++}`
        let columns: ReadonlyArray<Field> = []
        yield* Effect.acquireRelease(
          this.query(
            { sql, values: params.map(Values.toParameter), name: "", isPrepared: false, asArrays: false, portal },
            (fields) => {
              columns = fields
            }
          ),
          () =>
            this.isIn("T")
              ? Effect.ignore(this.session.run<Query.Result>("execute", (done) => new Query.ClosePortal(portal, done)))
              : Effect.void,
          { interruptible: true }
        )
        return Stream.paginate(undefined, () =>
          Effect.map(
            this.session.run<Query.Result>("execute", (done) => new Query.Fetch(portal, rowsAtOnce, columns, done)),
            ({ more, rows }) => [transformed(rows, transform), more ? Option.some(undefined) : Option.none()] as const
          )
        )
      })
    )
  }

  copyIn(sql: string, chunks: Iterable<Uint8Array>): Effect.Effect<number, SqlError> {
    return Effect.suspend(() => {
      let copy: CopyIn | undefined
      const copied = this.session.run<number>(
        "copy",
        (done) => {
          copy = new CopyIn(sql, chunks, done)
          return copy
        },
        { abort: () => copy?.abort() === true }
      )
      // What the chunks threw is the caller's, whatever the server says of it.
      return Effect.onExit(copied, (exit) =>
        Exit.isFailure(exit) && copy?.thrown !== undefined ? Effect.die(copy.thrown.error) : Effect.void
      )
    })
  }

  /** A portal lives in a transaction: that of the caller, or one of its own that may wait for its reader for ever. */
  private get inTransaction() {
    return Effect.suspend(() => {
      if (!this.isIn("I")) return Effect.void
      return Effect.acquireRelease(
        this.script("BEGIN; SET LOCAL idle_in_transaction_session_timeout = 0"),
        (_, exit) => Effect.ignore(this.script(Exit.isSuccess(exit) ? "COMMIT" : "ROLLBACK", this.controlWithin)),
        { interruptible: true }
      )
    })
  }

  private isIn(status: "I" | "T" | "E"): boolean {
    return this.session.broken === undefined && this.session.client.getTransactionStatus() === status
  }

  private script(sql: string, within?: number): Effect.Effect<Query.Result, SqlError> {
    const isControl = control.test(sql)
    const result = this.session.run<Query.Result>("execute", (done) => new Query.Script(sql, done), {
      within: within ?? (isControl ? this.controlWithin : undefined)
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

  private prepare(
    sql: string,
    params: ReadonlyArray<unknown>,
    asArrays = false
  ): Effect.Effect<Query.Result, SqlError> {
    return Effect.suspend(() => {
      const values = params.map(Values.toParameter)
      const known = this.prepared.get(sql)
      const name = known ?? this.newName(sql)
      const isPrepared = known !== undefined
      const result = this.query({ sql, values, name, isPrepared, asArrays })
      return Effect.tapError(result, (error) => Effect.sync(() => this.mind(sql, isPrepared, error)))
    })
  }

  /** A statement that failed at first may be prepared or not; one whose table has changed is of no more use. */
  private mind(sql: string, wasPrepared: boolean, error: SqlError): void {
    const code = error.reason.cause instanceof ServerError ? error.reason.cause.code : ""
    if (wasPrepared && code !== "0A000" && code !== "26000") return
    const name = this.prepared.get(sql)
    if (name === undefined) return
    this.prepared.delete(sql)
    this.close.push(name)
  }

  private newName(sql: string): string {
    const [oldest] = this.prepared.size < maxPrepared ? [] : this.prepared
    if (oldest !== undefined) {
      this.prepared.delete(oldest[0])
      this.close.push(oldest[1])
    }
    const name = `skein_${this.names++}`
    this.prepared.set(sql, name)
    return name
  }

  private query(
    statement: Query.Statement,
    onColumns?: (columns: ReadonlyArray<Field>) => void
  ): Effect.Effect<Query.Result, SqlError> {
    return Effect.flatMap(Deadline.remaining, (remaining) =>
      this.session.run<Query.Result>("execute", (done) => {
        const close = this.close
        this.close = []
        const timeout = this.timeoutFor(statement.sql, remaining)
        return new Query.Query(statement, { close, timeout }, done, onColumns)
      })
    )
  }

  /** So that a statement ends in the server even when nobody is left who would cancel it. */
  private timeoutFor(sql: string, remaining: Option.Option<Duration.Duration>): Query.Before["timeout"] {
    if (this.isIn("I")) this.isBounded = false
    const isBounded = Option.isSome(remaining) && bounded.test(sql)
    if ((!isBounded && !this.isBounded) || this.isIn("E")) return undefined
    const base = this.session.statementTimeout
    const left = isBounded ? Math.max(1, Math.ceil(Duration.toMillis(remaining.value))) : base
    const millis = base === 0 ? left : Math.min(base, left)
    this.isBounded = isBounded
    const isPrepared = this.isTimeoutPrepared
    this.isTimeoutPrepared = true
    return { millis: Math.min(millis, 2 ** 31 - 1), isPrepared }
  }
}

const nothing: Query.Result = { command: "", rows: [], rowCount: 0, more: false }

const transformed = (rows: ReadonlyArray<unknown>, transform: Transform): Rows =>
  transform === undefined ? rows : transform(rows as ReadonlyArray<object>)

const control = /^(?:BEGIN|COMMIT|ROLLBACK|SAVEPOINT|RELEASE)\b/
const undoes = /^(?:ROLLBACK|RELEASE)\b/

/** Some others must stand alone in their message. */
const bounded = /^\s*(?:SELECT|INSERT|UPDATE|DELETE|MERGE|WITH|VALUES|TABLE)\b/i
