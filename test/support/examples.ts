/** The code blocks of a document or of a module's comments, and how one becomes a program that checks itself. */

export interface Block {
  readonly path: string
  /** The line of the opening fence. */
  readonly line: number
  readonly language: string
  /** What follows the language on the fence. */
  readonly info: string
  readonly code: string
}

/** In a TypeScript file, the blocks are those of its JSDoc comments. */
export const blocksOf = (path: string, text: string): ReadonlyArray<Block> => {
  const margin = path.endsWith(".ts") ? /^\s*\* ?/ : /^/
  const blocks: Array<Block> = []
  let open: { line: number; language: string; info: string; indent: number; rows: Array<string> } | undefined
  for (const [index, whole] of text.split("\n").entries()) {
    if (!margin.test(whole)) continue
    const row = whole.replace(margin, "")
    const fence = /^( *)```([a-z]*) *(.*)$/.exec(row)
    if (fence === null) {
      open?.rows.push(row.slice(Math.min(open.indent, row.length - row.trimStart().length)))
    } else if (open === undefined) {
      const [, indent = "", language = "", info = ""] = fence
      open = { line: index + 1, language, info: info.trim(), indent: indent.length, rows: [] }
    } else {
      blocks.push({ path, line: open.line, language: open.language, info: open.info, code: open.rows.join("\n") })
      open = undefined
    }
  }
  return blocks
}

/** `expression // => value` and `const name = expression // => value` become assertions. Line numbers stay. */
export const asProgram = (block: Block, shows: string): string => {
  const rows = block.code.split("\n").map((row, index) => {
    const [whole, indent = "", code = "", value = ""] = /^(\s*)(.*?)\s*\/\/ => (.*)$/.exec(row) ?? []
    if (whole === undefined) return row
    const at = `${block.path}:${block.line + 1 + index}`
    if (/^[)}\].]/.test(code)) throw new Error(`${at}: what stands before "// =>" has to fit on its line`)
    const constant = /^const (\w+)[^=]*= /.exec(code)?.[1]
    const expression = constant ?? /^console\.log\((.*)\)$/.exec(code)?.[1] ?? code
    const assertion = `__shows(${expression}, ${value}, ${JSON.stringify(at)})`
    return indent + (constant === undefined ? assertion : `${code}; ${assertion}`)
  })
  const first = `import { shows as __shows } from ${JSON.stringify(shows)}; void __shows`
  return [first, ...Array<string>(block.line - 1).fill(""), ...rows, "export {}", ""].join("\n")
}

/** The commands of a shell block: comments, prompts, pipes and continued lines undone, each as words. */
export const commandsOf = (block: Block): ReadonlyArray<ReadonlyArray<string>> =>
  block.code
    .replaceAll(/\\\n/g, " ")
    .split(/\n|&&|\|\|?|;/)
    .map((command) => command.replace(/(^|\s)#.*$/, "").replace(/^\s*\$ /, ""))
    .map((command) => command.split(/\s+/).filter((word) => word !== ""))
    .filter((words) => words.length > 0)
