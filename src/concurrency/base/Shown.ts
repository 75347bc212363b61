/** Text that came from outside as it may be shown: without secrets, and without characters that a terminal obeys. */
import * as Secrets from "./Secrets.ts"

/** Line breaks and tabs stay; other control characters, and those that turn the direction of text, are told by their code. */
export const text = (text: string): string => escaped(Secrets.hidden(text))

/** As `text`, with every further line behind an indentation, so that it cannot pass for a line of another. */
export const indented = (indentation: string, shown: string): string =>
  text(shown.replaceAll("\r\n", "\n")).replaceAll("\n", `\n${indentation}`)

/** A value as JSON on one line; what is secret by the name of its field is not shown. */
export const json = (value: unknown): string => escaped(JSON.stringify(value, hiddenInJson))

/** Without characters that a terminal obeys; JSON stays the JSON that it was. */
export const escaped = (text: string): string =>
  text.replaceAll(
    /[^\P{Cc}\n\t]|[\u2028-\u202E\u2066-\u2069]/gu,
    (character) => `\\u${character.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0")}`
  )

const hiddenInJson = (_key: string, value: unknown): unknown => {
  if (typeof value === "string") return Secrets.hidden(value)
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [Secrets.hidden(key), Secrets.isSecret(key) ? Secrets.mark : inner])
  )
}
