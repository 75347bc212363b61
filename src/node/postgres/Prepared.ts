/** The statements that a session has prepared, by their SQL. */

/** As many as a program has that does not make up SQL as it goes; beyond that the oldest are forgotten. */
const atMost = 256

export class Prepared {
  private readonly names = new Map<string, string>()
  private count = 0
  private closing: Array<string> = []

  /** Its name, and whether the server knows it already. */
  of(sql: string): { readonly name: string; readonly isPrepared: boolean } {
    const known = this.names.get(sql)
    if (known !== undefined) return { name: known, isPrepared: true }
    const [oldest] = this.names.size < atMost ? [] : this.names.keys()
    if (oldest !== undefined) this.forget(oldest)
    const name = `skein_${this.count++}`
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
