/** What the compiler says of snippets, all in one run of it. */
import { execFile } from "node:child_process"
import { join } from "node:path"
import { root, withSnippets } from "./snippets.ts"

/** The first line of the first error of each snippet, without its place; "compiles" where there is none. */
export const firstErrors = <Name extends string>(
  prelude: string,
  snippets: Readonly<Record<Name, string>>
): Promise<Readonly<Record<Name, string>>> => {
  const names = Object.keys(snippets) as Array<Name>
  const files = Object.fromEntries(names.map((name, i) => [`snippet-${i}.ts`, `${prelude}\n${snippets[name]}\n`]))
  return withSnippets(files, async (folder) => {
    const output = await new Promise<string>((done, failed) => {
      const args = [join(root, "node_modules/typescript/bin/tsc"), "-p", folder, "--pretty", "false"]
      execFile(process.execPath, args, { cwd: folder, maxBuffer: Infinity }, (error, stdout, stderr) =>
        // 1 and 2 say that there are errors, in what is compiled.
        typeof error?.code === "string" ? failed(error) : done(stdout + stderr)
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
