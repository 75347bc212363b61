/** What `Serve.drain.test.ts` sends signals to: a server that has one slow answer, and says so. */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import { Cancel } from "skein"
import { Main, Serve } from "skein/node"

const [drainWithin = "20 seconds"] = process.argv.slice(2)

const routes = Layer.mergeAll(
  // Goes on when the server is asked to stop, and is not cancelled by it.
  HttpRouter.add(
    "GET",
    "/until-stopped",
    Effect.andThen(Console.log("began"), Cancel.stopRequested).pipe(
      Effect.andThen(Effect.sleep("20 millis")),
      Effect.as(HttpServerResponse.text("finished"))
    )
  ),
  HttpRouter.add(
    "GET",
    "/never",
    Effect.andThen(Console.log("began"), Effect.never).pipe(Effect.onInterrupt(() => Console.log("cancelled")))
  )
)

const program = Effect.gen(function* () {
  const server = yield* Serve.http(routes, { port: 0, drainWithin: drainWithin as "20 seconds" })
  yield* Console.log(`port ${server.port}.`)
  yield* server.await
  yield* Console.log("ended")
})

Main.run(Effect.scoped(program))
