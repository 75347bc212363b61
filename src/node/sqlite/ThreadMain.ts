/** Runs in a thread of its own: has a connection, and does what it is asked one after the other. */
import { parentPort, workerData } from "node:worker_threads"
import { codeOf, type Database, open } from "./Database.ts"
import { Cursor } from "./Cursor.ts"
import { type Begin, type Failed, isFirst, PartRefused, type Reply, type Request, unpack } from "./Protocol.ts"

const port = parentPort!
const { file, first, synchronous } = workerData as Begin
let database: Database
const cursors = new Map<number, Cursor>()

const rolledBack = Symbol("rolled back")

const answer = (request: Request): unknown => {
  switch (request._tag) {
    case "Run":
      if (request.within && !database.isTransaction) throw rolledBack
      return database.run(request.sql, request.params, request.form, request.exact)
    case "Insert":
      return insert(request)
    case "Begin":
      if (!database.isTransaction) throw rolledBack
      cursors.set(request.cursor, new Cursor(database.iterate(request.sql, request.params, request.exact)))
      return undefined
    case "Next":
      return cursors.get(request.cursor)!.next()
    case "End":
      cursors.get(request.cursor)?.close()
      cursors.delete(request.cursor)
      return undefined
    case "Close":
      database.close()
      port.close()
      return undefined
  }
}

const insert = ({ columns, parts }: Extract<Request, { readonly _tag: "Insert" }>): void => {
  const next = columns.map(unpack)
  let from = 0
  for (const [sql, rows] of parts) {
    if (!database.isTransaction) throw rolledBack
    const values = new Array<unknown>(rows * next.length)
    for (let at = 0; at < values.length;) {
      for (const value of next) values[at++] = value()
    }
    try {
      database.run(sql, values, "raw", false)
    } catch (error) {
      throw new PartRefused(error, from, rows)
    }
    from += rows
  }
}

const failed = (error: unknown): Failed => {
  if (error === rolledBack) return { message: "", isRolledBack: true }
  if (error instanceof PartRefused) return { ...failed(error.error), from: error.from, count: error.count }
  return { message: error instanceof Error ? error.message : String(error), errcode: codeOf(error) }
}

const reply = (request: Request): Reply => {
  try {
    const value = answer(request)
    return { value, isTransaction: request._tag !== "Close" && database.isTransaction }
  } catch (error) {
    return { error: failed(error), isTransaction: database.isTransaction }
  }
}

if (isFirst(first)) {
  database = open(file, synchronous)
  port.on("message", (request: Request) => port.postMessage(reply(request)))
  port.postMessage({ isTransaction: false } satisfies Reply)
}
