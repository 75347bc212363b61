/** What must not be seen in a text that came from outside: user and password in URLs, and tokens in their queries. */

/** What stands in the place of a secret. */
export const mark = "***"

/** The text with `***` for user and password, whatever stands around its URLs, and for parameters that are secret, or named so. */
export const hidden = (text: string, names: ReadonlyArray<string> = []): string => {
  if (!/[@?#]/.test(text)) return text
  const word = (one: string) => hiddenInWord(one, names)
  // A URL that is the whole text may have spaces in its password.
  return hasUser(text) ? word(text) : text.replaceAll(/\S+/g, word)
}

/** Whether something may be hidden in a URL: its user and password, or a parameter. */
export const isHidden = (url: string): boolean => /(^|[/\\])\*{3}@|=\*{3}(&|;|#|$| \(\d+\)$)/.test(url)

/** The URL of a database without the password in it; paths of files stay as they are. */
export const withoutPassword = (url: string): string => {
  if (!url.includes("://")) return url
  const [head = "", ...query] = url.split("?")
  const parsed = URL.parse(head)
  if (parsed === null || parsed.hash !== "") return hidden(url)
  parsed.password = ""
  // As it is written: a URL that is put together again has + for a space, which a database takes for a +.
  const kept = query
    .join("?")
    .split("&")
    .filter((pair) => !/^(ssl)?password$/i.test(nameIn(pair)))
  return kept.join("&") === "" ? parsed.href : `${parsed.href}?${kept.join("&")}`
}

const nameIn = (pair: string): string => decoded(pair.split("=", 1)[0] ?? "")

const decoded = (name: string): string => {
  try {
    return decodeURIComponent(name)
  } catch {
    return name
  }
}

const hasUser = (text: string): boolean => {
  const url = text.includes("://") ? URL.parse(text) : null
  return url !== null && url.username + url.password !== ""
}

const hiddenInWord = (word: string, names: ReadonlyArray<string>): string => {
  const [first = "", ...rest] = word.split(/(:[/\\]{2,})/)
  const urls = rest.map((part, i) => (i % 2 === 1 ? bare(part) : part))
  const whole = urls.length === 0 ? withoutScheme(first) : first + urls.join("")
  return whole.replaceAll(/([?&;#])([^=&#?;]*)=([^&#"]*)/g, (pair, before, name, value) =>
    isSecretParameter(decoded(name), names) ? `${before}${name}=${mark}${punctuationAfter(value)}` : pair
  )
}

/** What ends the sentence that a URL stands in. */
const punctuationAfter = (value: string): string => {
  let end = value.length
  while (end > 0 && ":;,.)]}>'".includes(value[end - 1]!)) end -= 1
  return value.slice(end)
}

/** Whether a parameter of a URL of this name is one, or is named so in `names`. */
export const isSecretParameter = (name: string, names: ReadonlyArray<string>): boolean =>
  isSecret(name) ||
  /^key$|session[-_]?id$|^(?:php|j)sessid$|^sid$/i.test(name) ||
  names.some((secret) => secret.toLowerCase() === name.toLowerCase())

/** A token that leads to the next page is no secret. */
const secretNames =
  /^(?!.*(?:page|next|continuation|cursor)).*token|secret|passw|passphrase|signature|credential|authorization|cookie|jwt|(?:api|access|private)[-_]?key|^(?:auth|pwd|sig)$/i

/** Whether a field, a header or a parameter of this name holds what must not be seen. */
export const isSecret = (name: string): boolean => secretNames.test(name)

const authorityOf = (part: string): string => /^[^/\\?#]*/.exec(part)?.[0] ?? ""

/** What follows `://`. */
const bare = (part: string): string => {
  const authority = authorityOf(part)
  // A password with one of /\?# in it is in no valid URL, but people type it; digits behind a colon are a port.
  const typed = !authority.includes("@") && !authority.startsWith("[") && /:(?!\d*$)/.test(authority)
  const at = (typed ? part : authority).lastIndexOf("@")
  return at < 0 ? part : `***${part.slice(at)}`
}

/** `user:password@host`, as it stands in lists. */
const withoutScheme = (word: string): string => {
  const [quotes = ""] = /^["'`(<[{]*/.exec(word) ?? []
  const rest = word.slice(quotes.length)
  const authority = authorityOf(rest)
  const at = authority.lastIndexOf("@")
  return at > authority.indexOf(":") && authority.includes(":") ? `${quotes}***${rest.slice(at)}` : word
}
