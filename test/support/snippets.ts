/** Programs in a folder of their own inside of the project, where `skein` is the sources. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { join, resolve } from "node:path"

const root = resolve(import.meta.dirname, "../..")

/** Writes the files, with the compiler settings of the project beside them, and takes them away after `use`. */
export const withSnippets = async <A>(
  files: Readonly<Record<string, string>>,
  use: (folder: string) => Promise<A>
): Promise<A> => {
  mkdirSync(join(root, ".cache"), { recursive: true })
  const folder = mkdtempSync(join(root, ".cache/snippets-"))
  try {
    for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
    const config = { extends: "../../tsconfig.json", compilerOptions: { noUnusedLocals: false }, include: ["*.ts"] }
    writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(config))
    return await use(folder)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
