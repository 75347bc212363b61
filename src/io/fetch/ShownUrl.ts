/** A URL as it may be shown and kept. */
import * as UrlParams from "effect/http/UrlParams"

/**
 * A URL without its password and without the values of parameters that are secret: those known to be, and those named
 * in `secret`, of any case, in query and fragment.
 */
export const hidden = (url: string, secret: ReadonlyArray<string> = []): string => {
  const names = secret.length === 0 ? known : [...known, ...secret]
  const hash = url.indexOf("#")
  if (hash < 0) return UrlParams.redactUrl(url, names)
  const fragment = UrlParams.redactUrl(`?${url.slice(hash + 1)}`, names).slice(1)
  return `${UrlParams.redactUrl(url.slice(0, hash), names)}#${fragment}`
}

/** As `hidden`, in one line of no more than 300 characters, for messages. */
export const shown = (url: string, secret?: ReadonlyArray<string>): string => line(hidden(url, secret))

/** What others said, in one line of no more than 300 characters. */
export const line = (text: string): string => {
  const safe = text.replace(control, escaped)
  return safe.length > 300 ? `${safe.slice(0, 300)}…` : safe
}

/** Whether a parameter or a header of this name holds a secret: by the usual names, or as it is named in `secret`. */
export const isSecret = (name: string, secret: ReadonlyArray<string>): boolean =>
  UrlParams.isRedactedName(name, known) || UrlParams.isRedactedName(name, secret)

const known: ReadonlyArray<string | RegExp> = [
  // Of a page of results, and of nobody.
  /^(?!.*(page|next|continuation|cursor)).*token$/i,
  /(secret|passw(or)?d|passphrase|pwd|signature|credentials?|jwt|authorization)$/i,
  /(api|app|access|private|secret|subscription|auth|signing|encryption|account|functions)[-_.]?key([-_.]?id)?$/i,
  /^(x-)?(key|sig|auth|cookie|session|session[-_]?id|sid|phpsessid|jsessionid)$/i
]

// oxlint-disable-next-line no-control-regex
const control = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g
const escaped = (character: string): string => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`
