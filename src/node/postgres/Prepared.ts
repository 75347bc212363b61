/** The statements that a session has prepared, by their SQL. */
import { createHash } from "node:crypto"

/** As many as a program has that does not make up SQL as it goes; beyond that the oldest are forgotten. */
const atMost = 256

export class Prepared {
  private readonly names = new Map<string, string>()
  private closing: Array<string> = []

  /** Its name, and whether the server knows it already. */
  of(sql: string): { readonly name: string; readonly isPrepared: boolean } {
    const known = this.names.get(sql)
    if (known !== undefined) return { name: known, isPrepared: true }
    const [oldest] = this.names.size < atMost ? [] : this.names.keys()
    if (oldest !== undefined) this.forget(oldest)
    // Behind a pooler a session may be one that others have prepared theirs in: a name is never that of another statement.
    const name = `skein_${createHash("sha256").update(sql).digest("base64url").slice(0, 32)}`
    this.names.set(sql, name)
    return { name, isPrepared: false }
  }

  forget(sql: string): void {
    const name = this.names.get(sql)
    if (name === undefined) return
    this.names.delete(sql)
    this.closing.push(name)
  }

  /** The names to close in the server, which also takes those it does not know. */
  takeClosing(): ReadonlyArray<string> {
    const names = this.closing
    this.closing = []
    return names
  }
}
