/** Gives lines without end to whoever reads them. */
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Effect from "effect/Effect"
import { Files, Journal, Pipeline } from "skein"

const job = Pipeline.from(Array.from({ length: 1_000_000 }, (_, n) => `line ${n}`)).pipe(
  Pipeline.to(Files.lines(Files.stdout))
)

Effect.runPromise(
  Effect.match(Pipeline.run(job, { name: "give" }), {
    onFailure: (error) => ("kind" in error ? `${error._tag} ${error.kind}` : error._tag),
    onSuccess: () => "all was read"
  }).pipe(Effect.provide([Journal.memory, NodeServices.layer]))
).then((told) => process.stderr.write(told))
