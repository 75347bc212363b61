/** What `SKEIN_INSPECT` asks for. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Inspect from "../../inspect/Inspect.ts"
import { deep } from "../Inspector.ts"
import { socket } from "./Opened.ts"

export const layer = (asked: string): Layer.Layer<never> => {
  if (asked === "1") return Layer.provideMerge(socket(), Inspect.layer())
  if (asked === "deep") return Layer.provideMerge(socket(), Layer.merge(Inspect.layer(), deep))
  const shown = JSON.stringify(asked)
  return Layer.effectDiscard(
    Effect.logWarning(`SKEIN_INSPECT is ${shown}, and so nothing. Set it to 1, or to "deep" to see where tasks wait.`)
  )
}
