/** The folder of this user where the command remembers what was run: never the one it is run in, which may be anybody's. */
import { createHash } from "node:crypto"
import { homedir } from "node:os"
import { isAbsolute, join, sep } from "node:path"

/** The part of it for what was run in one folder. */
export const of = (workingFolder: string): string =>
  join(root(), createHash("sha256").update(workingFolder).digest("hex").slice(0, 16))

const root = (): string => {
  const { LOCALAPPDATA: local = "", XDG_STATE_HOME: state = "" } = process.env
  if (isAbsolute(state)) return join(state, "skein")
  return process.platform === "win32" && isAbsolute(local)
    ? join(local, "skein")
    : join(home(), ".local", "state", "skein")
}

/** A user without a home has no place where anything could be remembered. */
const home = (): string => {
  try {
    return homedir()
  } catch {
    return sep
  }
}
