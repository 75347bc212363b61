/** An outline as a flowchart of Mermaid. */
import type { Box, Outline } from "./Outline.ts"

export const mermaid = ({ arrows, boxes }: Outline): string =>
  [
    "flowchart TD",
    ...boxes.map((box) => `  ${box.id}${shape(box)}`),
    ...arrows.map(({ from, label, to }) =>
      label === undefined ? `  ${from} --> ${to}` : `  ${from} -. ${text(label)} .-> ${to}`
    )
  ].join("\n")

const shape = ({ kind, name, notes }: Box): string => {
  const [open, close] = shapes[kind]
  return `${open}"${[name, ...notes].map(text).join("<br/>")}"${close}`
}

const shapes: { readonly [Kind in Box["kind"]]: readonly [open: string, close: string] } = {
  from: ["([", "])"],
  step: ["[", "]"],
  meet: ["{{", "}}"],
  to: ["[(", ")]"],
  dead: ["[(", ")]"],
  keeps: ["[(", ")]"],
  gives: ["{{", "}}"]
}

/** Letters, digits and what means nothing to Mermaid as they are, and all else by its number. */
const text = (text: string): string =>
  text.replaceAll(/[^\p{L}\p{N} .,:/()+_-]/gu, (character) => `#${character.codePointAt(0)};`)
