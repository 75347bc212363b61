/** What a `Content-Type` says of a body, by the MIME Sniffing and Fetch standards. */

export interface MediaType {
  /** As `text/html`, in small letters. */
  readonly essence: string
  /** The name of its encoding as it was given. */
  readonly charset: string | undefined
}

/** Undefined where it says nothing. Of several headers, whose values come as one list, the last one counts. */
export const parse = (header: string | undefined): MediaType | undefined => {
  if (header === undefined) return undefined
  if (header !== last.header) last = { header, type: read(header) }
  return last.type
}

/** A server says the same of most that it sends. */
let last: { readonly header: string; readonly type: MediaType | undefined } = { header: "", type: undefined }

const read = (header: string): MediaType | undefined => {
  let found: MediaType | undefined
  for (const value of split(header, ",")) {
    const [essence, ...parameters] = split(value, ";").map((part) => part.trim())
    if (essence === undefined || !isEssence.test(essence) || essence === "*/*") continue
    const name = essence.toLowerCase()
    const charset = charsetIn(parameters) ?? (found?.essence === name ? found.charset : undefined)
    found = { essence: name, charset }
  }
  return found
}

/** Whether a body of this type is read as text: what people write, and what is made of it. */
export const isText = (essence: string): boolean => {
  const [type, subtype = ""] = essence.split("/")
  return type === "text" || textual.test(subtype)
}

export const isHtml = (essence: string): boolean => essence === "text/html"

export const isXml = (essence: string): boolean => /^(text|application)\/xml$|\+xml$/.test(essence)

const textual =
  /^(.*\+)?(json5?|xml|yaml)$|^(x-)?(ndjson|jsonl|jsonlines|json-seq|csv|tsv|yaml|toml|javascript|ecmascript|typescript|graphql|sql|rtf|sh|latex|tex|subrip|www-form-urlencoded|xml-dtd|n-triples|n-quads|sparql-query|trig|jsonlines|pem-file)$|^(json-patch|ld-json|xml-external-parsed-entity)$/

const isEssence = /^[\w!#$%&'*+.^`|~-]+\/[\w!#$%&'*+.^`|~-]+$/

const charsetIn = (parameters: ReadonlyArray<string>): string | undefined => {
  for (const parameter of parameters) {
    const at = parameter.indexOf("=")
    if (at < 0 || parameter.slice(0, at).trim().toLowerCase() !== "charset") continue
    const value = parameter.slice(at + 1).trim()
    const bare = value.startsWith('"')
      ? value.slice(1, value.indexOf('"', 1) < 0 ? undefined : value.indexOf('"', 1))
      : value
    // Servers quote it in both ways, though only one is allowed.
    const label = bare.replaceAll("'", "").trim()
    if (label !== "") return label
  }
  return undefined
}

/** Not within quotes. */
const split = (text: string, by: string): Array<string> => {
  const parts: Array<string> = []
  let isQuoted = false
  let start = 0
  for (let at = 0; at < text.length; at++) {
    const character = text[at]
    if (character === '"') isQuoted = !isQuoted
    else if (character === "\\" && isQuoted) at++
    else if (character === by && !isQuoted) {
      parts.push(text.slice(start, at))
      start = at + 1
    }
  }
  parts.push(text.slice(start))
  return parts
}
