/** Moves many elements through every kind of step. Its test gives it little memory. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { Journal, Pipeline, Sink, type Source } from "skein"

const many = 500_000

const source: Source.Source<number, never, never, number> = {
  name: "numbers",
  resumable: true,
  size: Effect.succeed(Option.none()),
  fingerprint: () => Effect.succeed({}),
  read: () => Stream.map(Stream.range(1, many), (n) => ({ value: n, position: n, bytes: 8 }))
}

const job = Pipeline.from(source).pipe(
  Pipeline.filter((n) => n % 4 === 0),
  Pipeline.map((n) => (n % 16 === 0 ? Effect.as(Effect.yieldNow, n) : n), { concurrency: 4 }),
  Pipeline.flatMap((n) => [n, n, n]),
  Pipeline.batch(10),
  Pipeline.map((batch) => batch, { concurrency: 2, order: "completion" }),
  Pipeline.to(Sink.discard)
)

const { filtered, settled } = await Effect.runPromise(
  Pipeline.run(job, { name: "many" }).pipe(Effect.provide(Journal.memory))
)
console.log(`${settled} settled, ${filtered} filtered`)
