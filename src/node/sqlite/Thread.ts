/** A second connection, in a thread of its own: what it does, and COMMIT's wait for the disk above all, keeps nobody waiting. */
import * as Effect from "effect/Effect"
import { identity } from "effect/Function"
import * as SqlClient from "effect/sql/SqlClient"
import { type SqlError } from "effect/sql/SqlError"
import * as Threads from "node:worker_threads"
import type { BulkConnection } from "../../io/Db.ts"
import type { Row } from "./Cursor.ts"
import type { Form } from "./Database.ts"
import { lost, rolledBack, sqlErrorOf } from "./Failure.ts"
import type { RetryLock } from "./Lock.ts"
import {
  type Begin,
  type Failed,
  isFirst,
  pack,
  type Packed,
  PartRefused,
  type Reply,
  type Request,
  sendable,
  type Start
} from "./Protocol.ts"
import * as Rows from "./Rows.ts"

type Insert = Parameters<BulkConnection["insertMany"]>[0]
type Slices = Parameters<BulkConnection["insertMany"]>[1]
type Slice = ReadonlyArray<ReadonlyArray<unknown>>

/** An answer that is awaited, or has come already. */
class Answer {
  exit: Effect.Effect<unknown, SqlError | PartRefused<SqlError>> | undefined
  private waiter: ((exit: Effect.Effect<unknown, SqlError | PartRefused<SqlError>>) => void) | undefined
  readonly operation: string
  constructor(operation: string) {
    this.operation = operation
  }

  /** What was asked for is done to its end: SQLite cannot be stopped in the middle of it. */
  readonly wait: Effect.Effect<unknown, SqlError | PartRefused<SqlError>> = Effect.uninterruptible(
    Effect.suspend(() => this.exit ?? Effect.callback((resume) => void (this.waiter = resume)))
  )

  settle(exit: Effect.Effect<unknown, SqlError | PartRefused<SqlError>>): void {
    this.exit = exit
    this.waiter?.(exit)
  }
}

export class Thread {
  isTransaction = false
  private state: "opening" | "open" | "closing" | "ended" = "opening"
  private readonly worker: Threads.Worker
  private readonly first = new SharedArrayBuffer(4)
  private readonly asked: Array<Answer> = []
  private readonly ended: Promise<void>
  private cursors = 0
  private wasOpen = false
  private why = "it was not there yet"

  /** `onEnd` is told when it has ended for whatever reason. */
  constructor(start: Start, onEnd: (wasOpen: boolean) => void) {
    const code = new URL(import.meta.url.endsWith(".ts") ? "./ThreadMain.ts" : "./ThreadMain.js", import.meta.url)
    // Nothing of the program runs in it, so the options and preloads of the program are nothing to it.
    this.worker = new Threads.Worker(code, {
      name: "skein-sqlite",
      workerData: { ...start, first: this.first } satisfies Begin,
      execArgv: [],
      env: Threads.SHARE_ENV
    })
    let cause: unknown
    this.worker.on("message", (reply: Reply) => this.receive(reply))
    this.worker.on("error", (error) => void (cause = error))
    this.ended = new Promise((resolve) => {
      this.worker.on("exit", (code) => {
        const { wasOpen } = this
        this.state = "ended"
        this.isTransaction = false
        this.why = cause instanceof Error ? cause.message : `code ${code}`
        for (const answer of this.asked.splice(0)) answer.settle(Effect.fail(lost(this.why, answer.operation, cause)))
        onEnd(wasOpen)
        resolve()
      })
    })
    // By itself it keeps no process running. What listens to it would.
    this.worker.unref()
  }

  /** Ends it, after what it was asked for. One that has not opened the database yet does not, and ends by itself. */
  readonly close: Effect.Effect<void> = Effect.promise(() => {
    this.state = "closing"
    if (!this.wasOpen && isFirst(this.first)) return Promise.resolve()
    this.worker.ref()
    this.post({ _tag: "Close" }, new Answer("close"))
    return this.ended
  })

  /** Ends it at once, whatever it does. */
  end(): void {
    this.state = "ended"
    void this.worker.terminate()
  }

  /** Whether it can be asked: it has opened the database, and has not ended. */
  get isReady(): boolean {
    return this.state === "open"
  }

  send(request: Request, operation = "execute", transfer: ReadonlyArray<ArrayBuffer> = []): Answer {
    const answer = new Answer(operation)
    if (this.isReady) this.post(request, answer, transfer)
    else answer.settle(Effect.fail(lost(this.why, operation)))
    return answer
  }

  private post(request: Request, answer: Answer, transfer: ReadonlyArray<ArrayBuffer> = []): void {
    try {
      this.worker.postMessage(request, transfer)
      if (this.asked.push(answer) === 1) this.worker.ref()
    } catch (error) {
      answer.settle(Effect.fail(sqlErrorOf(error, answer.operation)))
    }
  }

  nextCursor(): number {
    return this.cursors++
  }

  private receive({ error, isTransaction, value }: Reply): void {
    if (!this.wasOpen) {
      this.wasOpen = true
      if (this.state === "opening") this.state = "open"
      return
    }
    this.isTransaction = isTransaction
    const answer = this.asked.shift()
    if (answer === undefined) return
    if (this.asked.length === 0 && this.state !== "closing") this.worker.unref()
    answer.settle(error === undefined ? Effect.succeed(value) : Effect.fail(errorOf(error, answer.operation)))
  }
}

const errorOf = ({ count, errcode, from, isRolledBack, message }: Failed, operation: string) => {
  const error =
    isRolledBack === true
      ? rolledBack()
      : sqlErrorOf(Object.assign(new Error(message), errcode === 0 ? {} : { errcode }), operation)
  return from === undefined ? error : new PartRefused(error, from, count ?? 1)
}

export interface ThreadConnection extends BulkConnection {
  readonly thread: Thread
}

/** The connection of a thread for transactions: nothing else is done with it. */
export const connectionOf = (thread: Thread, retryLock: RetryLock): ThreadConnection => {
  const ask = <A>(request: Request, operation?: string): Effect.Effect<A, SqlError> =>
    Effect.suspend(() => thread.send(request, operation).wait) as Effect.Effect<A, SqlError>

  const run = <A>(sql: string, params: ReadonlyArray<unknown>, form: Form, within = true) =>
    Effect.withFiber<A, SqlError>((fiber) =>
      ask({
        _tag: "Run",
        sql,
        params: params.map(sendable),
        form,
        exact: fiber.getRef(SqlClient.SafeIntegers),
        within
      })
    )

  const waiting = <A>(sql: string, params: ReadonlyArray<unknown>, form: Form) => retryLock(run<A>(sql, params, form))

  /** Of a thread that has ended there is nothing to undo: the database has done so. */
  const control = (sql: string, params: ReadonlyArray<unknown>) => {
    const given = run<ReadonlyArray<never>>(sql, params, "rows", false)
    return /^(ROLLBACK|RELEASE)/.test(sql)
      ? Effect.catch(given, (error) => (thread.isReady ? Effect.fail(error) : Effect.succeed([])))
      : given
  }

  const begin = (sql: string, params: ReadonlyArray<unknown>, exact: boolean) =>
    Effect.suspend(() => {
      const cursor = thread.nextCursor()
      return Effect.acquireRelease(
        Effect.as(
          ask({ _tag: "Begin", cursor, sql, params: params.map(sendable), exact }),
          ask<ReadonlyArray<Row>>({ _tag: "Next", cursor })
        ),
        () => Effect.ignore(ask({ _tag: "End", cursor }))
      )
    })

  return {
    thread,
    execute: (sql, params, transform) =>
      Effect.map(waiting<ReadonlyArray<never>>(sql, params, "rows"), transform ?? identity),
    executeRaw: (sql, params) => waiting(sql, params, "raw"),
    executeValues: (sql, params) => waiting(sql, params, "values"),
    executeValuesUnprepared: (sql, params) => waiting(sql, params, "values"),
    executeUnprepared: (sql, params, transform) => Effect.map(control(sql, params), transform ?? identity),
    executeStream: (sql, params, transform) => Rows.stream((exact) => begin(sql, params, exact), transform),
    insertMany: (insert, slices) => insertMany(thread, insert, slices)
  }
}

/** Slices that are under way at most: one is written, one is in the queue, and one is made. */
const mostUnderWay = 3

const insertMany = (thread: Thread, insert: Insert, slices: Slices): Effect.Effect<void, PartRefused<SqlError>> =>
  Effect.suspend(() => {
    const underWay: Array<Effect.Effect<unknown, PartRefused<SqlError>>> = []
    let from = 0
    const send = (slice: Slice) => {
      const at = from
      const count = slice[0]?.length ?? 0
      from += count
      const transfer: Array<ArrayBuffer> = []
      const columns: ReadonlyArray<Packed> = slice.map((values) => pack(values, transfer))
      const answer = thread.send({ _tag: "Insert", columns, parts: partsOf(insert, count) }, "execute", transfer)
      underWay.push(
        Effect.mapError(answer.wait, (error) =>
          error instanceof PartRefused
            ? new PartRefused(error.error, at + error.from, error.count)
            : new PartRefused(error, at, count)
        )
      )
    }
    const iterator = slices[Symbol.iterator]()
    let isDone = false
    return Effect.whileLoop({
      while: () => !isDone || underWay.length > 0,
      body: (): Effect.Effect<unknown, PartRefused<SqlError>> => {
        if (isDone || underWay.length >= mostUnderWay) return underWay.shift()!
        const next = iterator.next()
        if (next.done === true) isDone = true
        else send(next.value)
        return Effect.yieldNow
      },
      step: () => {}
    })
  })

/** Powers of two, so that a handful of statements serves every number of rows. */
const partsOf = ({ largest, sql }: Insert, count: number): ReadonlyArray<readonly [string, number]> => {
  const parts: Array<readonly [string, number]> = []
  let size = largest
  for (let rest = count; rest > 0; rest -= size) {
    while (size > rest) size /= 2
    parts.push([sql(size), size])
  }
  return parts
}
