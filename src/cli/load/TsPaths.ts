/** Imports by the `paths` of a tsconfig.json, which TypeScript knows and Node does not. */
import { type Cache, createPathsMatcher, getTsconfig, type PathsMatcher } from "get-tsconfig"
import { statSync } from "node:fs"
import { isBuiltin, registerHooks } from "node:module"
import { dirname, sep } from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"

let isHooked = false

/** From now on, what is imported is looked for by the `paths` of the nearest tsconfig.json as well, and of those that it extends. */
export const honour = (): void => {
  if (isHooked) return
  isHooked = true
  const files: Cache = new Map()
  const matchers = new Map<string, PathsMatcher | null>()
  const matcherOf = (folder: string): PathsMatcher | null => {
    const known = matchers.get(folder)
    if (known !== undefined) return known
    const found = getTsconfig(folder, "tsconfig.json", files)
    const matcher = found === null ? null : createPathsMatcher(found)
    matchers.set(folder, matcher)
    return matcher
  }
  registerHooks({
    resolve: (specifier, context, next) => {
      const { parentURL } = context
      if (parentURL?.startsWith("file:") !== true || isOwn(specifier)) return next(specifier, context)
      const folder = dirname(fileURLToPath(parentURL))
      // Packages are as they were published.
      if (folder.split(sep).includes("node_modules")) return next(specifier, context)
      for (const path of matcherOf(folder)?.(specifier) ?? []) {
        const file = endings.map((ending) => path.replace(...ending)).find(isFile)
        if (file !== undefined) return next(pathToFileURL(file).href, context)
      }
      return next(specifier, context)
    }
  })
}

/** What no `paths` are for. */
const isOwn = (specifier: string): boolean => /^(?:\.{0,2}\/|#|[a-z]+:)/i.test(specifier) || isBuiltin(specifier)

/** What TypeScript takes a path without an ending for, or with that of what it becomes. */
const endings: ReadonlyArray<readonly [RegExp, string]> = [
  [/$/, ""],
  ...["ts", "mts", "js", "mjs", "json"].map((ending): readonly [RegExp, string] => [/$/, `.${ending}`]),
  [/\.(m?)js$/, ".$1ts"],
  ...["ts", "mts", "js", "mjs"].map((ending): readonly [RegExp, string] => [/$/, `${sep}index.${ending}`])
]

const isFile = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isFile() === true
