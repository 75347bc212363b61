/** Gives what the tests run a folder for what it remembers, so that none writes into the home of whoever runs them. */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

export default (): (() => void) => {
  const folder = mkdtempSync(join(tmpdir(), "skein-state-"))
  process.env["XDG_STATE_HOME"] = folder
  return () => rmSync(folder, { recursive: true, force: true })
}
