/** What a browser would load for a program: bundled from the sources, minified, and what of it comes from where. */
import { rolldown } from "rolldown"
import { minifySync } from "rolldown/utils"
import { resolve } from "node:path"
import { gzipSync } from "node:zlib"

const root = resolve(import.meta.dirname, "../..")
/** A file that is not there, so that the program finds the packages of this one. */
const entry = resolve(root, "program.ts")

export interface Bundle {
  readonly gzipped: number
  /** The bytes of each module, minified by itself, the largest first. */
  readonly modules: ReadonlyArray<readonly [name: string, bytes: number]>
}

export const bundle = async (program: string): Promise<Bundle> => {
  const build = await rolldown({
    input: entry,
    platform: "browser",
    resolve: { conditionNames: ["skein-source", "browser", "import", "default"] },
    plugins: [
      {
        name: "program",
        resolveId: (id) => (id === entry ? id : null),
        load: (id) => (id === entry ? program : null)
      }
    ]
  })
  const { output } = await build.generate({ minify: true })
  await build.close()
  const chunks = output.flatMap((part) => (part.type === "chunk" ? [part] : []))
  const modules = chunks.flatMap((chunk) => Object.entries(chunk.modules))
  return {
    gzipped: gzipSync(chunks.map(({ code }) => code).join("")).length,
    modules: modules
      .map(([id, { code }]) => [nameOf(id), code === null ? 0 : sizeOf(code)] as const)
      .filter(([, bytes]) => bytes > 0)
      .toSorted(([, one], [, other]) => other - one)
  }
}

const nameOf = (id: string): string =>
  id
    .replaceAll("\\", "/")
    .replace(/^.*\/node_modules\//, "")
    .replace(`${root.replaceAll("\\", "/")}/`, "")

const sizeOf = (code: string): number =>
  minifySync("module.js", code, { module: true, compress: false, mangle: { toplevel: true } }).code.length
