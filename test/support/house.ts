/** The rules of who may import whom in `src`, as a function of file names and texts. */

/** Each folder may import itself and those before it. */
const floors = ["concurrency", "pipeline", "io", "testing", "node", "cli"]
/** Nothing but tests imports it. */
const forTests = "testing"
const needsNode = new Set(["node", "cli"])
const nodeOnly = /^(node:|@effect\/(platform|sql)-|pg\b|undici\b)/
/** The package itself, or a folder of it; modules have capital names. */
const barrel = /^(?:effect|@effect\/platform-node)(?:(?:\/[^/]+)*\/[a-z][^/]*)?$/

export interface Source {
  /** Relative to `src`, with forward slashes. */
  readonly path: string
  readonly text: string
}

/** What a file imports. Lines of comments do not count, so examples may import what they like. */
export const importsOf = (text: string): ReadonlyArray<string> => {
  const statement = /^(?:import|export)\s(?:[^"'`=]*?\sfrom\s)?\s*["']([^"']+)["']/gm
  const call = /^(?!\s*(?:\*|\/\/)).*?\bimport\(\s*["']([^"']+)["']/gm
  return [...text.matchAll(statement), ...text.matchAll(call)].map((match) => match[1] ?? "")
}

const folderOf = (path: string): string => (path.includes("/") ? path.slice(0, path.indexOf("/")) : "")

const wrongWith = (from: string, specifier: string): string | undefined => {
  const folder = folderOf(from)
  if (specifier.startsWith(".")) {
    if (!specifier.endsWith(".ts")) return "a relative import names the .ts file"
    const target = new URL(specifier, `file:///${from}`).pathname.slice(1)
    const to = folderOf(target)
    if (to === "") return "nothing imports an entry point"
    if (!floors.includes(to)) return `there is no floor ${to}`
    if (to === forTests && folder !== forTests) return "testing is for tests"
    if (folder === "") return needsNode.has(to) ? "the main entry point runs without Node" : undefined
    return floors.indexOf(to) > floors.indexOf(folder) ? `${folder} is above ${to}` : undefined
  }
  if (/^skein\b/.test(specifier)) return "src does not import itself by name"
  if (barrel.test(specifier)) return "import the module, not the barrel"
  if (folder === forTests && /^(@effect\/)?vitest$/.test(specifier))
    return from === "testing/vitest.ts" ? undefined : "only testing/vitest.ts needs Vitest"
  if (needsNode.has(folder)) return undefined
  if (nodeOnly.test(specifier)) return "only node/ and cli/ need Node"
  if (folder === "concurrency" && !specifier.startsWith("effect/")) return "concurrency imports only effect"
  return undefined
}

/** One line for each import that the house does not allow. */
export const violations = (sources: ReadonlyArray<Source>): ReadonlyArray<string> =>
  sources.flatMap(({ path, text }) => {
    const folder = folderOf(path)
    if (folder !== "" && !floors.includes(folder)) return [`${path}: there is no floor ${folder}`]
    return importsOf(text).flatMap((specifier) => {
      const reason = wrongWith(path, specifier)
      return reason === undefined ? [] : [`${path} imports ${specifier}: ${reason}`]
    })
  })
