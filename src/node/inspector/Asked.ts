/** What `SKEIN_INSPECT` asks for. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { socket } from "./Opened.ts"

export const layer = (asked: string): Layer.Layer<never> =>
  asked === "1"
    ? socket()
    : Layer.effectDiscard(Effect.logWarning(`SKEIN_INSPECT is ${JSON.stringify(asked)}: set it to 1 to be looked into`))
