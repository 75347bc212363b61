/** A whole screen of a terminal, of which only what changed is written. */

/** The alternate screen, without a cursor and without wrapping: a line that is too long is cut by the terminal. */
export const enter = "\u001B[?1049h\u001B[?25l\u001B[?7l"
export const leave = "\u001B[0m\u001B[?7h\u001B[?25h\u001B[?1049l"

/** Shown at once: a terminal that knows it draws nothing in between. */
const [begin, end] = ["\u001B[?2026h", "\u001B[?2026l"]

/** What to write where `before` is shown, for `after` to be; nothing where they are the same. */
export const changes = (before: ReadonlyArray<string>, after: ReadonlyArray<string>): string => {
  const text = written(before, after)
  return text === "" ? "" : begin + text + end
}

/** As `changes`, where nobody knows what is shown. */
export const whole = (after: ReadonlyArray<string>): string => `${begin}\u001B[2J${written([], after)}${end}`

const written = (before: ReadonlyArray<string>, after: ReadonlyArray<string>): string =>
  Array.from({ length: Math.max(before.length, after.length) }, (_, i) => {
    const line = after[i] ?? ""
    return line === (before[i] ?? "") ? "" : `\u001B[${i + 1};1H${line}\u001B[0m\u001B[K`
  }).join("")

export const bold = (text: string): string => `\u001B[1m${text}`
export const reversed = (text: string): string => `\u001B[7m${text}`
export const dim = (text: string): string => `\u001B[2m${text}`
