/**
 * The sources and Effect in one file, for the programs that tests start: 860 modules take twice the CPU to load, and
 * a test that kills starts many programs. `linked-hooks.ts` gives each module out of it to whoever imports it.
 *
 * `SKEIN_DEEP` and `SKEIN_LINKED=no` do without.
 */
import { execFile } from "node:child_process"
import { createHash } from "node:crypto"
import { existsSync, globSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, statSync } from "node:fs"
import { createRequire } from "node:module"
import { dirname, join, resolve } from "node:path"
import { pathToFileURL } from "node:url"
import { promisify } from "node:util"
import { rolldown } from "rolldown"

const root = resolve(import.meta.dirname, "../..")
const home = join(root, ".cache/linked")

/** What programs import; what these import comes with them. */
const entries = [
  "src/index.ts",
  "src/node/index.ts",
  "src/inspect/index.ts",
  "src/testing/index.ts",
  "src/cli/skein.ts"
]

/** What a process must have only one of. Of other packages a program that imports one gets its own. */
const isShared = (path: string): boolean =>
  path.startsWith(join(root, "src/")) || /\/node_modules\/(effect|@effect\/platform-node(-shared)?)\//.test(path)

/** Another one for each state of what goes into it. */
const keyOfSources = (): string => {
  const hash = createHash("sha256").update(process.version)
  const others = ["package-lock.json", "test/support/linked.ts"]
  for (const name of [...globSync("src/**/*.ts", { cwd: root }).toSorted(), ...others]) {
    const { mtimeMs, size } = statSync(join(root, name))
    hash.update(`${name} ${size} ${mtimeMs}\n`)
  }
  return hash.digest("hex").slice(0, 16)
}

/** A module, with a line that puts it where the hooks look for it. */
const registered = (code: string, path: string): string => {
  const url = JSON.stringify(pathToFileURL(path).href)
  // A file of modules cannot pass on what a package exports that is not one.
  const undici = () => `export const { ${Object.keys(createRequire(path)("undici")).join(", ")} } = Undici`
  return `import * as __module from ${JSON.stringify(path)}
    ${code.replaceAll("import.meta.url", url).replace(`export * from "undici"`, undici)}
    ;globalThis["skein/linked"].set(${url}, __module)`
}

/**
 * What a module exports, as an object that is filled when it is asked for something: nobody asks for most of them, and to
 * make them all takes as long as all the modules do.
 */
const lazily = `const __lazily = (exported) => {
  const module = {}
  let isFilled = false
  const filled = () => {
    if (isFilled) return module
    isFilled = true
    for (const [name, get] of Object.entries(exported())) Object.defineProperty(module, name, { get, enumerable: true })
    return module
  }
  return new Proxy(module, {
    get: (_, name) => filled()[name],
    has: (_, name) => name in filled(),
    ownKeys: () => Reflect.ownKeys(filled()),
    getOwnPropertyDescriptor: (_, name) => Reflect.getOwnPropertyDescriptor(filled(), name)
  })
}`

const link = async (folder: string): Promise<void> => {
  const start = join(root, "linked.ts")
  const bundle = await rolldown({
    input: { linked: start },
    platform: "node",
    treeshake: false,
    external: [/^node:/, "pg"],
    resolve: { conditionNames: ["skein-source", "node", "import", "module", "default"] },
    plugins: [
      {
        name: "linked",
        resolveId: (id) => (id === start ? id : null),
        load: (id) =>
          id === start ? entries.map((entry) => `import ${JSON.stringify(join(root, entry))}`).join("\n") : null,
        transform: (code, id) => (isShared(id) ? registered(code, id) : null),
        renderChunk: (code) => `${lazily}\n${code.replaceAll(/\b__exportAll\((\{[^{}]*\})\)/g, "__lazily(() => ($1))")}`
      }
    ]
  })
  await bundle.write({
    dir: folder,
    entryFileNames: "[name].mjs",
    chunkFileNames: "[name]-[hash].mjs",
    keepNames: true,
    comments: false
  })
  await bundle.close()
}

/** Where the file is; made when the sources have changed since. */
const linked = async (): Promise<string> => {
  const folder = join(home, keyOfSources())
  const file = join(folder, "linked.mjs")
  if (existsSync(file)) return file
  mkdirSync(home, { recursive: true })
  for (const name of readdirSync(home)) {
    const old = join(home, name)
    // Others may run programs with one that is younger.
    if (statSync(old).mtimeMs < Date.now() - 3_600_000) rmSync(old, { recursive: true, force: true })
  }
  const unfinished = mkdtempSync(join(home, "unfinished-"))
  await link(unfinished)
  try {
    renameSync(unfinished, folder)
  } catch {
    // Another run was faster.
    rmSync(unfinished, { recursive: true, force: true })
  }
  // Who is killed leaves no code behind: one program comes to its end before all.
  const env = { ...process.env, SKEIN_LINKED: file, NODE_COMPILE_CACHE: compiledIn(folder) }
  const hooks = join(import.meta.dirname, "linked-hooks.ts")
  await promisify(execFile)(process.execPath, [`--import=${hooks}`, "--eval", "0"], { env })
  return file
}

const compiledIn = (folder: string): string => join(folder, "compiled")

/** Also half of what is left is code that is compiled, which is the same each time. */
export default async (): Promise<void> => {
  const isWanted = process.env["SKEIN_DEEP"] === undefined && process.env["SKEIN_LINKED"] !== "no"
  if (isWanted) process.env["SKEIN_LINKED"] = await linked()
  process.env["NODE_COMPILE_CACHE"] ??= compiledIn(
    isWanted ? dirname(process.env["SKEIN_LINKED"]!) : process.env["XDG_STATE_HOME"]!
  )
}
