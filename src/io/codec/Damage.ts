/** Why bytes could not be compressed or undone, found by whoever does it; who asked makes an error of it. */
import type { Compression } from "./Machine.ts"

export class Damage {
  readonly kind: Compression
  /**
   * "cut": they end too early; "bad": they are damaged, or something else; "trailing": something follows that does not belong to
   * them; "large": more than was allowed; "unsupported": this platform cannot do it.
   */
  readonly reason: "cut" | "bad" | "trailing" | "large" | "unsupported"
  /** How many of the compressed bytes come before the place where it was seen, as near as can be told. */
  readonly at: number
  /** As in "`it` ends in the middle of its data". */
  readonly detail: string
  constructor(kind: Compression, reason: Damage["reason"], at: number, detail: string) {
    this.kind = kind
    this.reason = reason
    this.at = at
    this.detail = detail
  }
}
