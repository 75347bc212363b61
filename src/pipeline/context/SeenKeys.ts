/** The keys of elements that were seen, by the step that saw them. */
export class SeenKeys {
  private readonly steps = new Map<string, Set<string>>()

  add(step: string, keys: Iterable<string>): void {
    const known = this.steps.get(step) ?? new Set()
    this.steps.set(step, known)
    for (const key of keys) known.add(key)
  }

  /** Those of the keys that are in it. */
  among(step: string, keys: ReadonlyArray<string>): ReadonlySet<string> {
    const known = this.steps.get(step)
    return new Set(known === undefined ? [] : keys.filter((key) => known.has(key)))
  }

  clear(): void {
    this.steps.clear()
  }

  get all(): { [step: string]: ReadonlyArray<string> } {
    return Object.fromEntries(Array.from(this.steps, ([step, keys]) => [step, [...keys]]))
  }
}
