/**
 * Makes hashes of the passwords in users.csv, on all processors, into hashes.jsonl, in the same order. Ctrl-C lets it finish those
 * that it has begun; a second one ends it at once, in the middle of a hash. Run it again and it goes on, also after a kill.
 *
 *     node --conditions=skein-source docs/examples/hashes.ts users.csv hashes.jsonl
 */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { Files, Offload, Pipeline } from "skein"
import { Main } from "skein/node"
import { availableParallelism } from "node:os"
import type * as Hash from "./hashes/hash.ts"

const [from = "users.csv", to = "hashes.jsonl"] = process.argv.slice(2)

const User = Schema.Struct({ name: Schema.String, salt: Schema.String, password: Schema.String })
const Hashed = Schema.Struct({ name: Schema.String, salt: Schema.String, hash: Schema.String })

const threads = availableParallelism()
const hashing = Offload.define<typeof Hash>(new URL("./hashes/hash.ts", import.meta.url))

const program = Effect.gen(function* () {
  const { hash } = yield* Offload.pool(hashing, { size: threads })
  const job = Pipeline.from(Files.csv(from, User)).pipe(
    Pipeline.map(({ name, password, salt }) => Effect.map(hash(password, salt), (hash) => ({ name, salt, hash })), {
      name: "hash",
      concurrency: threads
    }),
    Pipeline.to(Files.jsonl(to, Hashed))
  )
  const { total, written } = yield* Pipeline.run(job, {
    name: "hashes",
    require: "effectively-once",
    progress: { on: ({ settled }) => Console.log(`${settled} hashes so far`) }
  })
  yield* Console.log(`${written} hashes made, ${total.written} in all.`)
})

Main.run(Effect.scoped(program))
