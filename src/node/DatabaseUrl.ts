/** What the path or URL of a database names. */
import { sep } from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"

export type DatabaseUrl =
  | { readonly _tag: "File"; readonly path: string }
  | { readonly _tag: "Postgres" }
  | { readonly _tag: "Server"; readonly scheme: string }
  | { readonly _tag: "Wrong"; readonly reason: string }

/** A path, or a `sqlite:` or `file:` URL, is a file; a relative one starts at the folder the program was started in. */
export const parse = (url: string): DatabaseUrl => {
  // One letter is a drive of Windows.
  const [, scheme = "sqlite", rest = url] = /^([a-z][a-z0-9+.-]+):(.*)$/is.exec(url) ?? []
  switch (scheme.toLowerCase()) {
    case "sqlite":
      return { _tag: "File", path: rest }
    case "file":
      return rest.startsWith(memory) ? { _tag: "File", path: memory } : fromFileUrl(url)
    case "postgres":
    case "postgresql":
      return { _tag: "Postgres" }
    default:
      return { _tag: "Server", scheme }
  }
}

/** Whether it outlives the program: SQLite keeps nothing of what is in memory, or in a file that it deletes. */
export const isKept = (url: string): boolean => {
  const at = parse(url)
  return at._tag !== "File" || (at.path !== "" && !at.path.startsWith(memory))
}

const memory = ":memory:"

const fromFileUrl = (url: string): DatabaseUrl => {
  try {
    return { _tag: "File", path: fileURLToPath(new URL(url, pathToFileURL(process.cwd() + sep))) }
  } catch (error) {
    const said = error instanceof Error ? error.message : String(error)
    return { _tag: "Wrong", reason: `its URL names no file here: ${said}. Write file:///path, or the path alone` }
  }
}
