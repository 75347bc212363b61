/** What `SKEIN_INSPECT` asks for. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { deep } from "../Inspector.ts"
import { socket } from "./Opened.ts"

export const layer = (asked: string): Layer.Layer<never> => {
  if (asked === "1") return socket()
  if (asked === "deep") return Layer.provideMerge(socket(), deep)
  const shown = JSON.stringify(asked)
  return Layer.effectDiscard(
    Effect.logWarning(`SKEIN_INSPECT is ${shown}, and so nothing. Set it to 1, or to "deep" to see where tasks wait.`)
  )
}
