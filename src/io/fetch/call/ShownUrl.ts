/** What is shown of a URL, and of what others said, in a message. */
import * as Secrets from "../../../concurrency/base/Secrets.ts"

/** A URL in one line of no more than 300 characters, without its secrets; parameters named in `secret` hold some too. */
export const shown = (url: string, secret?: ReadonlyArray<string>): string => line(Secrets.hidden(url, secret))

/** What others said, in one line of no more than 300 characters. */
export const line = (text: string): string => {
  const safe = text.replace(control, escaped)
  return safe.length > 300 ? `${safe.slice(0, 300)}…` : safe
}

/** Whether a header of this name holds a secret: by the usual names, or as it is named in `secret`. */
export const isSecret = (header: string, secret: ReadonlyArray<string>): boolean =>
  Secrets.isSecret(header) || secret.some((name) => name.toLowerCase() === header)

// oxlint-disable-next-line no-control-regex
const control = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g
const escaped = (character: string): string => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`
