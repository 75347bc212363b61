/** What it.sim and it.everywhere take, and what does not compile. */
import * as Arbitrary from "effect/Arbitrary"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Schema from "effect/Schema"
import { Choices } from "skein/testing"
import { it } from "skein/testing/vitest"

class Port extends Context.Service<Port, { readonly port: number }>()("Port") {}

it.sim(
  "may need a scope",
  Effect.addFinalizer(() => Effect.void)
)
it.everywhere("may need a scope", () => Effect.addFinalizer(() => Effect.void))

// @ts-expect-error nobody provides the service
it.sim("may need nothing else", Effect.service(Port))
// @ts-expect-error nobody provides the service
it.everywhere("may need nothing else", Effect.service(Port))

it.sim("knows the value of each run", Choices.choose(2), {
  check: ({ exit }) => Exit.isSuccess(exit) && exit.value.toFixed() === "0"
})

it.sim.prop(
  "knows the types of its inputs, from schemas and arbitraries",
  [Schema.Int, Arbitrary.schema(Schema.String)],
  (n, text) => Effect.succeed(n.toFixed() + text.trim())
)
// @ts-expect-error the input is a number
it.sim.prop("knows the types of its inputs", [Schema.Int], (text: string) => Effect.succeed(text))
