/**
 * A run of two commits, told by JSON, that stops itself in the second: `{"url", "name", "lease", "freeze"}`, where `freeze` is
 * "copy", "idle" or absent. Says `frozen` before it stops, and in its last line how it ended.
 */
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import { writeSync } from "node:fs"
import { Db } from "skein"
import { Drivers } from "skein/node"
import type { CopyConnection } from "../../src/io/db/CopyConnection.ts"
import { kept, leaseOf } from "../support/database.ts"

export interface Told {
  readonly url: string
  readonly name: string
  readonly lease?: "2 seconds"
  readonly freeze?: "copy" | "idle"
}

const { freeze, lease: duration, name, url }: Told = JSON.parse(process.argv[2]!)
const tell = (text: string) => void writeSync(1, `${text}\n`)

const stop = () => {
  tell("frozen")
  process.kill(process.pid, "SIGSTOP")
}

function* rows() {
  yield Buffer.from("3\n4\n")
  stop()
  yield Buffer.from("5\n6\n")
}

const program = Effect.gen(function* () {
  const { journal, sql } = yield* Db.Db
  const lease = yield* leaseOf(journal, { pipeline: name, duration: duration ?? "15 seconds" })
  const insert = (ns: string) => sql`INSERT INTO written SELECT unnest(${ns}::int[])`
  const copy = Effect.contextWith((context: Context.Context<never>) =>
    (Context.getUnsafe(context, sql.transactionService)[0] as CopyConnection).copyIn("COPY written FROM STDIN", rows())
  )
  const second = freeze === "copy" ? Effect.asVoid(copy) : Effect.andThen(insert("{3,4,5,6}"), Effect.sync(stop))
  yield* lease.commit(freeze === undefined ? Effect.succeed(kept()) : Effect.as(insert("{1,2}"), kept({ ahead: [2] })))
  if (freeze !== undefined) yield* lease.commit(Effect.as(second, kept({ ahead: [6] })))
}).pipe(
  Effect.scoped,
  Effect.provide(Db.open(url).pipe(Layer.provide(Drivers.layer), Layer.provideMerge(NodeServices.layer)))
)

const ended = await Effect.runPromise(Effect.result(program))
tell(
  JSON.stringify(
    Result.match(ended, {
      onSuccess: () => ({ outcome: "done" }),
      onFailure: ({ _tag, message }) => ({ outcome: _tag, message })
    })
  )
)
