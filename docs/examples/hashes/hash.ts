/** What a worker thread computes: a key that is slow to make, so that nobody tries out many passwords. */
import { scryptSync } from "node:crypto"

export const hash = (password: string, salt: string): string =>
  scryptSync(password, salt, 32, { N: 4096, r: 8, p: 1 }).toString("hex")
