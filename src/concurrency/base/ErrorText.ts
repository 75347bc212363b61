/**
 * What a failure says, in words for people: its class, its message and fields, what caused it, and what several failures it is made
 * of. One text for dead letters, messages and logs: bounded, without secrets, and without characters that a terminal obeys.
 */
import * as Foreign from "./Foreign.ts"
import * as Secrets from "./Secrets.ts"
import * as Shown from "./Shown.ts"

/** Marks an error whose message is a whole sentence for people, which its class and fields would only repeat. */
export const worded: unique symbol = Symbol.for("skein/worded")

/** The text of a failure, no longer than `most` characters, as it is kept and shown. */
export const of = (error: unknown, most = 8000): string => {
  const text = Shown.text(told(error, { seen: new Set(), most, depth: 0 }))
  if (text === "") return "no reason given"
  return text.length > most ? `${text.slice(0, most)}…` : text
}

interface Telling {
  readonly seen: Set<unknown>
  readonly most: number
  readonly depth: number
}

/** Causes of causes. */
const deepest = 8
/** Failures in one place. */
const widest = 5

const told = (error: unknown, { depth, most, seen }: Telling): string => {
  if (error === undefined || error === null) return ""
  if (isObject(error)) seen.add(error)
  const inner = { seen, most, depth: depth + 1 }
  const [message, fields] = saidBy(error)
  let text = named(error, cut(message, most)) + fields
  const parts = partsOf(error)
  if (depth < deepest && parts !== undefined) text = several(text, parts, inner)
  const cause = isCause(error) ? undefined : Foreign.get(error, "cause")
  if (cause === undefined || cause === null || seen.has(cause)) return text
  if (depth === deepest) return `${text}; and what caused that`
  const further = told(cause, inner)
  // What was made of its cause may repeat what that says.
  const rest = withoutWhatIsIn(text, further)
  return rest === "" ? text : text === "" ? rest : `${text}; caused by ${rest}`
}

/** The links of a chain that are not said yet. */
const withoutWhatIsIn = (text: string, further: string): string => {
  let rest = further
  while (rest !== "") {
    const [first = ""] = rest.split(link, 1)
    // Under another class it is the same message.
    const bare = first.replace(/^[\w$]*(?:Error|Exception): /, "")
    if (!says(text, first) && !says(text, bare)) break
    rest = rest.slice(first.length + link.length)
  }
  return rest
}

const link = "; caused by "

/** Whether a text has another as a sentence of its own, as messages have that repeat what caused them. */
const says = (text: string, sentence: string): boolean => {
  if (sentence === "") return false
  for (let at = text.indexOf(sentence); at >= 0; at = text.indexOf(sentence, at + sentence.length)) {
    if (at === 0 || /[(:]\s?$/.test(text.slice(Math.max(0, at - 2), at))) return true
  }
  return false
}

const several = (text: string, parts: ReadonlyArray<unknown>, inner: Telling): string => {
  const told_ = parts.slice(0, widest).map((part) => (inner.seen.has(part) ? "the same again" : told(part, inner)))
  if (parts.length === 1 && text === "") return told_[0] ?? ""
  const all = told_.map((one, i) => `(${i + 1}) ${one === "" ? "no reason given" : one}`)
  if (parts.length > widest) all.push(`and ${parts.length - widest} more`)
  return text === "" ? all.join("; ") : `${text}: ${all.join("; ")}`
}

/** With its class, where the message does not say all by itself. */
const named = (error: unknown, message: string): string => {
  const tag = tagOf(error)
  const name = Foreign.isError(error) ? (Foreign.nameOf(error) ?? "Error") : (tag ?? "")
  if (message === "") return name
  const repeats = name === "" || name === "Error" || name.startsWith("Symbol(") || message.startsWith(`${name}: `)
  if (repeats || isWorded(error)) return message
  return `${name}: ${message}`
}

/** Its message, and behind it the fields that the message leaves out. */
const saidBy = (error: unknown): readonly [message: string, fields: string] => {
  if (!isObject(error) || typeof error === "function") return [Foreign.messageOf(error), ""]
  const isNamed = Foreign.isError(error) || tagOf(error) !== undefined
  const own = Foreign.get(error, "message")
  const message = typeof own === "string" ? own.replaceAll("\r\n", "\n").trim() : ""
  if (isCause(error)) return ["", ""]
  if (!isNamed && message === "") return [cut(withoutSecrets(error), longestField), ""]
  return [message, isWorded(error) ? "" : fieldsOf(error, message)]
}

const fieldsOf = (error: object, message: string): string => {
  const isTagged = tagOf(error) !== undefined
  const fields = Foreign.attempt(() => Object.keys(error), []).flatMap((key) => {
    if (apart.has(key) || key.startsWith("~")) return []
    const value = Foreign.get(error, key)
    if (typeof value === "function" || value === undefined) return []
    // Of errors that are not tagged nobody says what their fields are: some libraries hang whole requests on them.
    if (isObject(value) && !isTagged) return []
    if (value === "" || (!isObject(value) && message.includes(String(value)))) return []
    const text = Secrets.isSecret(key) ? Secrets.mark : cut(withoutSecrets(value), longestField)
    return [`${key}: ${text}`]
  })
  const shown = fields.slice(0, mostFields)
  if (fields.length > mostFields) shown.push(`and ${fields.length - mostFields} more`)
  return shown.length === 0 ? "" : ` { ${shown.join(", ")} }`
}

/** Said elsewhere, or a number that has a name beside it. */
const apart: ReadonlySet<string> = new Set(["_tag", "name", "message", "stack", "cause", "errors", "errno"])
const mostFields = 12
const longestField = 500

const withoutSecrets = (value: unknown): string => {
  if (typeof value === "string") return JSON.stringify(Secrets.hidden(value))
  return Foreign.messageOf(value)
}

const tagOf = (value: unknown): string | undefined => {
  const tag = Foreign.get(value, "_tag")
  return typeof tag === "string" && tag !== "" ? tag : undefined
}

/** Marked so, or of a class that makes its message of its fields. */
const isWorded = (error: unknown): boolean => {
  if (Foreign.attempt(() => worded in (error as object), false)) return true
  if (tagOf(error) === undefined) return false
  let at: unknown = error
  while (isObject(at) && at !== Error.prototype) {
    const from = at
    const found = Foreign.attempt(() => Object.getOwnPropertyDescriptor(from, "message"), undefined)
    if (found !== undefined) return found.get !== undefined && Foreign.get(error, "message") !== ""
    at = Foreign.attempt(() => Object.getPrototypeOf(from) as unknown, undefined)
  }
  return false
}

/** The failures that it is made of: of an `AggregateError`, or of a `Cause` of Effect. */
const partsOf = (error: unknown): ReadonlyArray<unknown> | undefined => {
  if (isCause(error)) {
    return list(Foreign.get(error, "reasons"))?.map((reason) => {
      const tag = Foreign.get(reason, "_tag")
      return tag === "Fail"
        ? Foreign.get(reason, "error")
        : tag === "Die"
          ? Foreign.get(reason, "defect")
          : new Error("interrupted")
    })
  }
  return Foreign.isError(error) ? list(Foreign.get(error, "errors")) : undefined
}

const list = (value: unknown): ReadonlyArray<unknown> | undefined =>
  Foreign.attempt(() => (Array.isArray(value) && value.length > 0 ? value.slice(0, 1000) : undefined), undefined)

const isCause = (value: unknown): boolean => Foreign.attempt(() => "~effect/Cause" in (value as object), false)

const isObject = (value: unknown): value is object =>
  (typeof value === "object" && value !== null) || typeof value === "function"

const cut = (text: string, most: number): string => (text.length > most ? `${text.slice(0, most)}…` : text)
