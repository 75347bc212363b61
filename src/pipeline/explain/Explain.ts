/** What a job would do, as text and as a picture. Nothing is opened, read or run for it. */
import * as Shown from "../../concurrency/base/Shown.ts"
import type { Description } from "../run/Running.ts"
import type { RunOptions } from "../Run.ts"
import { mermaid } from "./Mermaid.ts"
import { type Box, outline } from "./Outline.ts"

export interface Explanation {
  /** For people: a line for each part, and under it what there is to say of it. */
  readonly text: string
  /** A flowchart of Mermaid. */
  readonly mermaid: string
}

export const explain = (job: Description, options: Partial<RunOptions<unknown>>): Explanation => {
  const { arrows, boxes } = outline(job, options)
  const shown = boxes.map((box) => ({ ...box, name: onOneLine(box.name), notes: box.notes.map(onOneLine) }))
  return { text: shown.map(lines).join("\n"), mermaid: mermaid({ arrows, boxes: shown }) }
}

const lines = ({ kind, name, notes }: Box): string =>
  [`${kind.padEnd(6)} ${name}`, ...notes.map((note) => `         ${note}`)].join("\n")

const onOneLine = (text: string): string => Shown.text(text.trim().replaceAll(/\s*[\r\n]+\s*/g, " "))
