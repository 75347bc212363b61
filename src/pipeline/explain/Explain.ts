/** What a job would do, as text and as a picture. Nothing is opened, read or run for it. */
import type { Description } from "../run/Running.ts"
import type { RunOptions } from "../Run.ts"
import { sourcesOf } from "../Step.ts"

export interface Explanation {
  /** For people, a line a thing. */
  readonly text: string
  /** A flowchart of Mermaid. */
  readonly mermaid: string
}

export const explain = (description: Description, options: Partial<RunOptions<unknown>>): Explanation => ({
  text: `${sourcesOf(description)
    .map(({ name }) => name)
    .join(", ")} ${options.name ?? ""}`,
  mermaid: ""
})
