/** What the compiler says of snippets, all in one run of it. */
import { execFile } from "node:child_process"
import getExePath from "../../node_modules/typescript/lib/getExePath.js"
import { withSnippets } from "./snippets.ts"

/** The first line of the first error of each snippet, without its place; "compiles" where there is none. */
export const firstErrors = <Name extends string>(
  prelude: string,
  snippets: Readonly<Record<Name, string>>
): Promise<Readonly<Record<Name, string>>> => {
  const names = Object.keys(snippets) as Array<Name>
  const files = Object.fromEntries(names.map((name, i) => [`snippet-${i}.ts`, `${prelude}\n${snippets[name]}\n`]))
  return withSnippets(files, async (folder) => {
    const output = await new Promise<string>((done, failed) => {
      const options = { cwd: folder, maxBuffer: Infinity, timeout: 170_000 }
      execFile(getExePath(), ["-p", folder, "--pretty", "false"], options, (error, stdout) =>
        // That there are errors in what is compiled is no failure of the compiler.
        error === null || error.code === 1 || error.code === 2 ? done(stdout) : failed(error)
      )
    })
    const first = new Map<string, string>()
    for (const [, file = "", text = ""] of output.matchAll(/^([^\s(][^(\n]*)\(\d+,\d+\): error TS\d+: (.*)$/gm)) {
      if (!first.has(file)) first.set(file, text)
    }
    return Object.fromEntries(names.map((name, i) => [name, first.get(`snippet-${i}.ts`) ?? "compiles"])) as Record<
      Name,
      string
    >
  })
}
