/** Where the statements of a text of SQL begin and end. */

/** The statements of a text, without what stands between them. A `;` in quotes, comments and bodies of triggers ends none. */
export const statements = (text: string): ReadonlyArray<string> => {
  const found: Array<string> = []
  let start = 0
  let words: Array<string> = []
  const add = (end: number) => {
    if (words.length > 0) found.push(text.slice(start, end).trim())
    start = end
    words = []
  }
  for (const { at, token } of tokens(text)) {
    if (token === ";") {
      if (isTrigger(words) && !isEnd(words)) words.push(";")
      else add(at + 1)
      continue
    }
    if (words.length === 0) start = at
    words.push(token.toUpperCase())
  }
  add(text.length)
  return found
}

/** The word of a text that would end or begin the transaction it is run in. */
export const controls = (text: string): string | undefined => {
  let before = ";"
  for (const { token } of tokens(text)) {
    const word = token.toUpperCase()
    if (before === ";" && control.has(word)) return word
    before = word
  }
  return undefined
}

const control = new Set(["BEGIN", "START", "COMMIT", "ROLLBACK", "ABORT"])

/** Its statements end with a `;` each, as SQLite's own `sqlite3_complete` knows. */
const isEnd = (words: ReadonlyArray<string>): boolean => words.at(-2) === ";" && words.at(-1) === "END"

const isTrigger = ([first, second, third]: ReadonlyArray<string>): boolean =>
  first === "CREATE" && (second === "TRIGGER" || (/^TEMP(ORARY)?$/.test(second ?? "") && third === "TRIGGER"))

interface Token {
  readonly at: number
  /** A word, a `;`, or something else that counts. */
  readonly token: string
}

/** Of a quote that is not closed, the rest of the text is a part. */
const pattern =
  /--[^\n]*|\/\*[^]*?(?:\*\/|$)|'(?:[^']|'')*(?:'|$)|"(?:[^"]|"")*(?:"|$)|`(?:[^`]|``)*(?:`|$)|\$([A-Za-z_\x80-\uFFFF]\w*)?\$|[A-Za-z_\x80-\uFFFF][\w$\x80-\uFFFF]*|;|[^\s]/g

function* tokens(text: string): Generator<Token> {
  const next = new RegExp(pattern)
  for (let match = next.exec(text); match !== null; match = next.exec(text)) {
    const [token] = match
    if (token.startsWith("--") || token.startsWith("/*")) continue
    if (/^\$\w*\$$/.test(token)) {
      // The quotes of PostgreSQL around bodies of functions.
      const end = text.indexOf(token, next.lastIndex)
      next.lastIndex = end < 0 ? text.length : end + token.length
    }
    yield { at: match.index, token }
  }
}
