/** Commits batches of rows with a checkpoint that counts them, for ever; says so after each. Killed by its test. Its
 * lease is taken over at once, as its process is gone. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { Db, Journal } from "skein"
import { Drivers } from "skein/node"
import { writeSync } from "node:fs"

const Row = Schema.Struct({ n: Schema.Int, text: Schema.String })

const program = Effect.gen(function* () {
  const { journal } = yield* Db.Db
  const lease = yield* journal.lease(Journal.keyOf("crash"), { duration: Duration.seconds(15) })
  const kept = yield* lease.load
  const table = Db.table("numbers", Row)
  const { clean, durable, host, id: owner } = lease
  let state = Option.flatMap(kept, ({ sinks }) => Option.fromUndefinedOr(sinks[table.name]?.state))
  const writer = yield* table.open({ committed: state, clean, host, owner, durable })
  let written = Option.match(kept, { onNone: () => 0, onSome: ({ counts }) => counts.written })
  while (true) {
    const rows = Array.from({ length: 1000 }, (_, i) => ({ n: written + i, text: "x".repeat(32) }))
    const next = written + rows.length
    yield* lease.commit(
      Effect.map(writer.write(rows, state), (after) => {
        state = Option.some(after)
        return {
          checkpoint: {
            fingerprint: {},
            position: Option.some(next),
            ahead: [],
            reach: Option.none(),
            sinks: { [table.name]: { fingerprint: {}, state: after } },
            counts: { settled: next, written: next, filtered: 0, skipped: 0, dead: 0, bytes: 0 },
            finished: false
          },
          dead: [
            {
              step: "s",
              input: next,
              cause: "c",
              causes: [],
              attempts: 1,
              position: next,
              path: "",
              version: null,
              at: 0
            }
          ],
          replayed: [],
          seen: [],
          restart: false
        }
      })
    )
    written = next
    writeSync(1, `${written}\n`)
  }
})

await Effect.runPromise(
  Effect.scoped(program).pipe(Effect.provide(Db.sqlite(process.argv[2] ?? "").pipe(Layer.provide(Drivers.layer))))
)
