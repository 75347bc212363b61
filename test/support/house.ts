/** The rules of who may import whom in `src`, and of what stands where, as functions of file names and texts. */

/** Each folder may import itself and those before it. */
const floors = ["concurrency", "pipeline", "io", "inspect", "testing", "node", "cli"]
/** Nothing but tests imports it. */
const forTests = "testing"
/** Machinery that every floor may use. What else stands in a folder of a floor is that floor's own. */
const shelves = new Set(["concurrency/base", "pipeline/context", "io/context", "inspect/context"])
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

/** The folder of a floor that a file stands in; none for one that stands at the top. */
const machineryOf = (path: string): string | undefined => /^[^/]+\/[^/]+(?=\/)/.exec(path)?.[0]

const targetOf = (from: string, specifier: string): string => new URL(specifier, `file:///${from}`).pathname.slice(1)

const wrongWith = (from: string, specifier: string): string | undefined => {
  const folder = folderOf(from)
  if (specifier.startsWith(".")) {
    if (!specifier.endsWith(".ts")) return "a relative import names the .ts file"
    const target = targetOf(from, specifier)
    const to = folderOf(target)
    if (to === "") return "nothing imports an entry point"
    if (!floors.includes(to)) return `there is no floor ${to}`
    if (to === forTests && folder !== forTests) return "testing is for tests"
    const machinery = machineryOf(target)
    if (machinery !== undefined && to !== folder && !shelves.has(machinery)) return `${machinery} is only for ${to}`
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

/** Files that import one another, types included: each list is all that one of them reaches and is reached by. */
export const circles = (sources: ReadonlyArray<Source>): ReadonlyArray<ReadonlyArray<string>> => {
  const imports = new Map(
    sources.map(({ path, text }) => [
      path,
      importsOf(text)
        .filter((specifier) => specifier.startsWith("."))
        .map((specifier) => targetOf(path, specifier))
    ])
  )
  const reaches = new Map([...imports.keys()].map((path) => [path, reachedFrom(path, imports)]))
  const found = new Map<string, ReadonlyArray<string>>()
  for (const [path, reached] of reaches) {
    if (!reached.has(path)) continue
    const circle = [...reached].filter((other) => reaches.get(other)?.has(path)).toSorted()
    found.set(circle.join(), circle)
  }
  return [...found.values()].toSorted()
}

/** Itself only where a way leads back to it. */
const reachedFrom = (path: string, imports: ReadonlyMap<string, ReadonlyArray<string>>): ReadonlySet<string> => {
  const reached = new Set<string>()
  const next = [...(imports.get(path) ?? [])]
  for (let one = next.pop(); one !== undefined; one = next.pop()) {
    if (reached.has(one)) continue
    reached.add(one)
    next.push(...(imports.get(one) ?? []))
  }
  return reached
}

/** One line for each tagged error of these floors whose file is not named for errors. */
export const strayErrors = (sources: ReadonlyArray<Source>, floors: ReadonlyArray<string>): ReadonlyArray<string> => {
  const tagged = /^(?!\s*(?:\*|\/[/*])).*?\b(?:(?:Schema|Data)\.|extends )TaggedError(?:<(\w+)>|\("(\w+)")/gm
  return sources
    .filter(({ path }) => floors.includes(folderOf(path)) && !path.endsWith("Error.ts"))
    .flatMap(({ path, text }) =>
      [...text.matchAll(tagged)].map(([, self, tag]) => `${path}: ${self ?? tag} belongs into a file *Error.ts`)
    )
}

/**
 * One line for each file at the top of these floors that is no public module, which is one that an entry point exports, no
 * error file, and not in the list of what else may stand there.
 */
export const strayFiles = (
  sources: ReadonlyArray<Source>,
  floors: ReadonlyArray<string>,
  others: ReadonlyArray<string>
): ReadonlyArray<string> => {
  const exported = new Set(
    sources
      .filter(({ path }) => path.endsWith("index.ts"))
      .flatMap(({ path, text }) => importsOf(text).map((specifier) => targetOf(path, specifier)))
  )
  return sources
    .map(({ path }) => path)
    .filter((path) => floors.includes(folderOf(path)) && machineryOf(path) === undefined)
    .filter((path) => !exported.has(path) && !path.endsWith("Error.ts") && !others.includes(path))
    .map((path) => `${path} is no public module: it belongs into the folder of one`)
}
