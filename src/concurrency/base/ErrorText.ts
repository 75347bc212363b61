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

/** One of the failures that a failure is made of or came of. */
export interface Link {
  /** 0 for the failure itself, 1 for what caused it or what it is made of, and so on. */
  readonly depth: number
  /** Its class or tag; "" where it has none. */
  readonly name: string
  readonly message: string
  /** The frames of its stack, a line each. */
  readonly stack?: string
}

/** A failure and behind it what it came of, one by one: bounded, and without secrets; control characters are as they were. */
export const links = (error: unknown): ReadonlyArray<Link> => {
  const all: Array<Link> = []
  const seen = new Set<unknown>()
  let left = mostOfLinks
  const add = (one: unknown, depth: number): void => {
    if (one === undefined || one === null || seen.has(one) || depth > deepest || all.length === mostLinks) return
    if (isObject(one)) seen.add(one)
    const parts = partsOf(one)?.slice(0, widest) ?? []
    if (isCause(one)) return parts.forEach((part) => add(part, depth))
    const [said, fields] = saidBy(one)
    const message = hiddenAndCut(said + fields, Math.min(longestMessage, left))
    const frames = framesOf(one)
    const stack = hiddenAndCut(frames, Math.min(longestStack, left - message.length))
    left = Math.max(0, left - message.length - stack.length)
    all.push({ depth, name: cut(nameOf(one), longestField), message, ...(stack !== "" && { stack }) })
    for (const part of parts) add(part, depth + 1)
    add(Foreign.get(one, "cause"), depth + 1)
  }
  add(error, 0)
  return all
}

const mostLinks = 20
const mostOfLinks = 32_000
const longestMessage = 4000
const longestStack = 2000
const mostFrames = 16

/** Without the message, which it begins with. */
const framesOf = (error: unknown): string => {
  const stack = Foreign.isError(error) ? Foreign.get(error, "stack") : undefined
  if (typeof stack !== "string") return ""
  const lines = stack.slice(-mostOfLinks).split("\n")
  const first = lines.findIndex((line) => /^\s+at /.test(line))
  if (first < 0) return ""
  const frames = lines.slice(first).filter((line) => /^\s+at /.test(line))
  return frames
    .slice(0, mostFrames)
    .map((line) => line.trim())
    .join("\n")
}

/** Cut last, as half a secret cannot be told from what is none. */
const hiddenAndCut = (text: string, most: number): string =>
  cut(Secrets.hidden(text.slice(0, most + longestSecret)), most)
const longestSecret = 4000

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
  let text = named(error, cut(message, most + longestSecret)) + fields
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
  const name = nameOf(error)
  if (message === "") return name
  const repeats = name === "" || name === "Error" || name.startsWith("Symbol(") || message.startsWith(`${name}: `)
  if (repeats || isWorded(error)) return message
  return `${name}: ${message}`
}

const nameOf = (error: unknown): string =>
  Foreign.isError(error) ? (Foreign.nameOf(error) ?? "Error") : (tagOf(error) ?? "")

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
