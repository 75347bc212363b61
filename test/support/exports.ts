/** The values that a module exports and the comments above them, as a function of texts. Types are no values. */

export interface Exported {
  readonly name: string
  /** The comments above all declarations of the name: of a service, its interface has one too. */
  readonly comment: string
  readonly isError: boolean
}

/** `read` gives the text of a file; a path that a file imports is told relative to that file. */
export const valuesOf = (file: string, read: (file: string) => string): ReadonlyArray<Exported> => {
  const text = read(file)
  const other = (path: string) => valuesOf(new URL(path, `file:///${file}`).pathname.slice(1), read)

  const own = [...text.matchAll(/^export (?:const|let|function\*?|class) (\w+)/gm)].map(([, name = ""]) => ({
    name,
    comment: commentsOf(text, name),
    isError:
      new RegExp(`TaggedError(<${name}>|\\("${name}"\\))`).test(text) || text.includes(`class ${name} extends Error `)
  }))
  const all = [...text.matchAll(/^export \* from "([^"]+)"/gm)].flatMap(([, path = ""]) =>
    path.startsWith(".") ? other(path) : []
  )
  const named = [...text.matchAll(/^export \{([^}]*)\}(?: from "([^"]+)")?/gm)].flatMap(([, list = "", path]) =>
    namesIn(list).flatMap(({ as, name }) => {
      const from = path === undefined ? importedAs(text, name) : { name, path }
      const found = from && other(from.path).find((value) => value.name === from.name)
      return found === undefined ? [] : [{ ...found, name: as }]
    })
  )
  return [...own, ...all, ...named]
}

/** The modules that an entry point exports under a name. */
export const modulesOf = (text: string): ReadonlyArray<{ readonly name: string; readonly path: string }> =>
  [...text.matchAll(/^export \* as (\w+) from "([^"]+)"/gm)].map(([, name = "", path = ""]) => ({ name, path }))

/** The values in a list of names, and what they are called outside. */
const namesIn = (list: string): ReadonlyArray<{ readonly name: string; readonly as: string }> =>
  list
    .split(",")
    .map((entry) => entry.trim())
    .filter((entry) => entry !== "" && !entry.startsWith("type "))
    .map((entry) => {
      const [name = "", as = name] = entry.split(" as ")
      return { name, as }
    })

/** Where a name comes from that is exported by itself, and what it is called there. */
const importedAs = (text: string, as: string): { readonly name: string; readonly path: string } | undefined =>
  [...text.matchAll(/^import \{([^}]*)\} from "([^"]+)"/gm)]
    .flatMap(([, list = "", path = ""]) => namesIn(list).map((imported) => ({ ...imported, path })))
    .find((imported) => imported.as === as)

const commentsOf = (text: string, name: string): string => {
  const lines = text.split("\n")
  const declared = new RegExp(`^export (?:const|let|function\\*?|class|interface|type) ${name}\\b`)
  return lines.flatMap((line, at) => (declared.test(line) ? [commentAbove(lines, at)] : [])).join("\n")
}

const commentAbove = (lines: ReadonlyArray<string>, at: number): string => {
  let end = at
  while (lines[end - 1]?.startsWith("//") === true) end -= 1
  if (lines[end - 1]?.trimEnd().endsWith("*/") !== true) return ""
  let start = end - 1
  while (start > 0 && !lines[start]!.startsWith("/*")) start -= 1
  return lines.slice(start, end).join("\n")
}
