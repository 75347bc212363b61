/** Commits batches of rows with a checkpoint that counts them, for ever; says so after each. Killed by its test. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { Db } from "skein"
import { Drivers } from "skein/node"
import { writeSync } from "node:fs"

const Row = Schema.Struct({ n: Schema.Int, text: Schema.String })

const program = Effect.gen(function* () {
  const { journal } = yield* Db.Db
  const kept = yield* journal.load("crash")
  const writer = yield* Db.table("numbers", Row).open(Option.flatMap(kept, ({ sink }) => sink))
  let written = Option.match(kept, { onNone: () => 0, onSome: ({ counts }) => counts.written })
  while (true) {
    const rows = Array.from({ length: 700 }, (_, i) => ({ n: written + i, text: "x".repeat(32) }))
    const next = written + rows.length
    yield* journal.commit(
      "crash",
      Effect.map(writer.write(rows), (state) => ({
        checkpoint: {
          fingerprint: {},
          position: Option.some(next),
          ahead: [],
          sink: Option.some(state),
          counts: { settled: next, written: next, filtered: 0, skipped: 0, dead: 0, bytes: 0 },
          finished: false
        },
        dead: [{ step: "s", input: next, cause: "c", attempts: 1, position: next, version: null, at: 0 }]
      }))
    )
    written = next
    writeSync(1, `${written}\n`)
  }
})

await Effect.runPromise(
  Effect.scoped(program).pipe(Effect.provide(Db.sqlite(process.argv[2] ?? "").pipe(Layer.provide(Drivers.layer))))
)
