/** Runs a sick program so that it can be looked into, with limits that nobody has to wait for. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Inspect } from "skein/inspect"
import { Inspector, Main } from "skein/node"

const soon = "1 millis"
const limits = { orphan: soon, cleanup: soon, held: soon, growing: soon, slowStep: soon, queue: 20, tasks: 20 } as const

const layer = Layer.provideMerge(
  Inspector.socket(),
  Layer.mergeAll(Inspect.layer({ limits }), Inspector.deep, Inspector.watchdog())
)

export const inspected = (program: Effect.Effect<unknown, unknown, Main.Services>): void =>
  Main.run(Effect.provide(program, layer))
