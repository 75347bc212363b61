/** A folder for the files of a benchmark. */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

export const temporary = (name: string) => {
  const folder = mkdtempSync(join(tmpdir(), `skein-bench-${name}-`))
  const close = () => rmSync(folder, { recursive: true, force: true })
  process.once("exit", close)
  return {
    path: (file: string): string => join(folder, file),
    remove: (...files: ReadonlyArray<string>) => files.forEach((file) => rmSync(join(folder, file), { force: true })),
    close
  }
}
