/** Modules of Node, which Bun and Deno have as well, without an import that other platforms could not resolve. */

interface Host {
  readonly process?: { readonly getBuiltinModule?: (name: string) => unknown }
}

/** Undefined where this is none of them, or one that lacks it. */
export const builtin = (name: string): unknown => (globalThis as Host).process?.getBuiltinModule?.(name)
