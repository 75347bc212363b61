/** What a platform can tell of the process that a program runs in. */
import * as Context from "effect/Context"
import type { ProcessView } from "./Snapshot.ts"

/** Looks at the process; none where the platform tells nothing of it. */
export const Process: Context.Reference<(() => ProcessView) | undefined> = /* @__PURE__ */ Context.Reference(
  "skein/inspect/Process",
  { defaultValue: (): (() => ProcessView) | undefined => undefined }
)
