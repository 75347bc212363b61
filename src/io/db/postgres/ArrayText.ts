/** PostgreSQL's text of an array: {1,2,NULL,"with \"quotes\""}. */

/** The text of an array of texts. */
export const print = (items: ReadonlyArray<string | null>): string =>
  `{${items.map((item) => (item === null ? "NULL" : `"${item.replace(/["\\]/g, "\\$&")}"`)).join(",")}}`

/** The texts of an array's text, with arrays in it as such; undefined where it is none. */
export const parse = (text: string): ReadonlyArray<Item> | undefined => {
  // Where its first index is not 1, it says so before: [0:2]={1,2,3}
  let at = text.startsWith("[") ? text.indexOf("=") + 1 : 0
  const end = text.length

  const quoted = (): string | undefined => {
    let item = ""
    for (at++; at < end; at++) {
      const character = text[at]!
      if (character === '"') {
        at++
        return item
      }
      item += character === "\\" ? (text[++at] ?? "") : character
    }
    return undefined
  }
  const bare = (): string | null => {
    const start = at
    while (at < end && text[at] !== "," && text[at] !== "}") at++
    const item = text.slice(start, at)
    return item === "NULL" ? null : item
  }
  const list = (): ReadonlyArray<Item> | undefined => {
    if (text[at] !== "{") return undefined
    at++
    const items: Array<Item> = []
    if (text[at] === "}") {
      at++
      return items
    }
    for (;;) {
      const item = text[at] === "{" ? list() : text[at] === '"' ? quoted() : bare()
      if (item === undefined) return undefined
      items.push(item)
      const next = text[at++]
      if (next === "}") return items
      if (next !== ",") return undefined
    }
  }
  const items = list()
  return at === end ? items : undefined
}

export type Item = string | null | ReadonlyArray<Item>
