/** The header `Link` (RFC 8288): where an answer says what belongs to it. */

/** The target of the first link with this relation, as it is written; relative ones are for whoever knows the page. */
export const find = (header: string | undefined, relation: string): string | undefined => {
  if (header === undefined) return undefined
  const links = new Reader(header)
  for (let link = links.next(); link !== undefined; link = links.next()) {
    // One with an anchor speaks of another page.
    if (link.anchor === undefined && link.rel?.toLowerCase().split(/\s+/).includes(relation) === true)
      return link.target
  }
  return undefined
}

interface Link {
  readonly target: string
  readonly rel: string | undefined
  readonly anchor: string | undefined
}

class Reader {
  private readonly text: string
  private at = 0

  constructor(text: string) {
    this.text = text
  }

  /** Skips what is no link, as browsers do. */
  next(): Link | undefined {
    for (;;) {
      this.skip(/[\s,]*/y)
      if (this.at >= this.text.length) return undefined
      const target = this.take(/<([^>]*)>/y)
      const parameters = this.parameters()
      if (target !== undefined)
        return { target: target.trim(), rel: parameters.get("rel"), anchor: parameters.get("anchor") }
      this.skip(/[^,]*/y)
    }
  }

  /** Of each name the first one counts. */
  private parameters(): ReadonlyMap<string, string> {
    const found = new Map<string, string>()
    while (this.take(/\s*(;)\s*/y) !== undefined) {
      const name = this.take(/([^\s=;,"]+)\s*/y)?.toLowerCase()
      if (name === undefined) continue
      const value = this.take(/=\s*/y) === undefined ? "" : this.value()
      if (!found.has(name)) found.set(name, value)
    }
    return found
  }

  private value(): string {
    const quoted = this.take(/"((?:[^"\\]|\\.)*)"?/y)
    return quoted === undefined ? (this.take(/([^\s;,]*)/y) ?? "") : quoted.replace(/\\(.)/g, "$1")
  }

  private skip(pattern: RegExp): void {
    this.take(pattern)
  }

  /** What the first group matched, or the whole; undefined where it does not stand here. */
  private take(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.at
    const match = pattern.exec(this.text)
    if (match === null) return undefined
    this.at = pattern.lastIndex
    return match[1] ?? match[0]
  }
}
