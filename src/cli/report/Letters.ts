/** Dead letters as they are shown: one in three lines, or whole, with all that it came of. */
import * as Shown from "../../concurrency/base/Shown.ts"
import type { KeptDeadLetter } from "../../pipeline/Journal.ts"

export const brief = (letter: KeptDeadLetter): string =>
  [...headOf(letter), `   ${Shown.indented("   ", letter.cause)}`, `   ${placeOf(letter)}`].join("\n")

export const whole = (letter: KeptDeadLetter): string => {
  const { causes, path, version } = letter
  const further = [
    ...(path === "" ? [] : [`descendant ${Shown.text(path)}`]),
    ...(version === null ? [] : [`version ${Shown.text(version)}`])
  ]
  const trace = causes.flatMap(({ depth, message, name, stack }) => {
    const indentation = " ".repeat(3 + 2 * depth)
    const said = name === "" || message === "" ? `${name}${message}` : `${name}: ${message}`
    const lines = `${depth === 0 ? "" : "caused by "}${said}`
    const frames = stack === undefined ? [] : [`${indentation}  ${Shown.indented(`${indentation}  `, stack)}`]
    return [`${indentation}${Shown.indented(indentation, lines)}`, ...frames]
  })
  return [
    ...headOf(letter),
    `   ${[placeOf(letter), ...further].join(", ")}`,
    ...(trace.length === 0 ? [`   ${Shown.indented("   ", letter.cause)}`] : trace)
  ].join("\n")
}

const headOf = ({ id, input, step }: KeptDeadLetter) => [`#${id} ${Shown.text(step)}: ${Shown.json(input)}`]

const placeOf = ({ at, attempts, position }: KeptDeadLetter): string =>
  `attempts ${attempts}, position ${Shown.json(position)}, ${new Date(at).toISOString()}`
