/** What `SKEIN_INSPECT` asks for. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Inspect from "../../inspect/Inspect.ts"
import * as Inspector from "../Inspector.ts"
import * as Opened from "./Opened.ts"

export const layer = (asked: string): Layer.Layer<never> => {
  if (asked === "1") return Layer.provideMerge(Opened.layer(false), Inspect.layer())
  if (asked === "deep")
    return Layer.provideMerge(
      Opened.layer(false),
      Layer.mergeAll(Inspect.layer(), Inspector.deep, Inspector.watchdog())
    )
  const shown = JSON.stringify(asked)
  return Layer.effectDiscard(
    Effect.logWarning(`SKEIN_INSPECT is ${shown}, and so nothing. Set it to 1, or to "deep" to see where tasks wait.`)
  )
}
