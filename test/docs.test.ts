import { execFile } from "node:child_process"
import { globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, relative, resolve } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { asProgram, blocksOf, commandsOf } from "./support/examples.ts"

const root = resolve(import.meta.dirname, "..")
const cli = join(root, "src/cli/main.ts")

const files = globSync(["*.md", "docs/**/*.md", "src/**/*.ts"], { cwd: root }).map((name) => name.replaceAll("\\", "/"))
const blocks = files.sort().flatMap((path) => blocksOf(path, readFileSync(join(root, path), "utf8")))
const examples = blocks.filter((block) => block.language === "ts")
const shells = blocks.filter((block) => /^(sh|bash|console)$/.test(block.language))

const run = (cwd: string, ...args: ReadonlyArray<string>): Promise<{ code: unknown; output: string }> =>
  new Promise((done) => {
    execFile(process.execPath, args, { cwd, timeout: 30_000 }, (error, stdout, stderr) =>
      done({ code: error === null ? 0 : (error.code ?? error.signal), output: stdout + stderr })
    )
  })

// Node strips no types under node_modules, and outside of the project `skein` would not resolve to its sources.
mkdirSync(join(root, ".cache"), { recursive: true })
const folder = mkdtempSync(join(root, ".cache/docs-"))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
const fileOf = (path: string, line: number): string => join(folder, `${path.replaceAll("/", "-")}-${line}.ts`)

describe.runIf(examples.length > 0)("every example compiles and runs", () => {
  let compiler = ""
  beforeAll(async () => {
    for (const block of examples) {
      const program = asProgram(block, relative(folder, join(root, "test/support/shows.ts")).replaceAll("\\", "/"))
      writeFileSync(fileOf(block.path, block.line), program)
    }
    const config = { extends: "../../tsconfig.json", compilerOptions: { noUnusedLocals: false }, include: ["*.ts"] }
    writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(config))
    compiler = (await run(folder, join(root, "node_modules/typescript/bin/tsc"), "--pretty", "false")).output
    expect(compiler, "the compiler itself failed").not.toMatch(/^error/m)
  })

  it.concurrent.each(examples.map((block) => [`${block.path}:${block.line}`, block] as const))(
    "%s",
    async (_at, { path, line, info }) => {
      const file = fileOf(path, line)
      const errors = compiler.split(/\n(?!\s)/).filter((error) => error.startsWith(relative(folder, file)))
      expect(errors.join("\n")).toBe("")
      if (info.startsWith("no-run")) {
        expect(info, "say after `no-run` why the block cannot run").toMatch(/^no-run \S+/)
        return
      }
      const cwd = mkdtempSync(join(tmpdir(), "skein-docs-"))
      const { code, output } = await run(cwd, "--conditions=skein-source", file)
      rmSync(cwd, { recursive: true, force: true })
      expect(code, output).toBe(0)
    }
  )
})

describe.runIf(shells.length > 0)("every command in the documents exists", () => {
  const { scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"))
  const isScript = (name: string): void => expect(Object.keys(scripts)).toContain(name)

  it.concurrent.each(shells.map((block) => [`${block.path}:${block.line}`, block] as const))(
    "%s",
    async (_at, block) => {
      for (const words of commandsOf(block)) {
        const [program, first = "", second = ""] = words[0] === "npx" ? words.slice(1) : words
        if (program === "npm" && first === "run") isScript(second)
        if (program === "npm" && (first === "start" || first === "test")) isScript(first)
        if (program === "skein") {
          const subcommand = first.startsWith("-") ? [] : [first]
          const help = await run(root, "--conditions=skein-source", cli, ...subcommand, "--help")
          expect(help.code, help.output).toBe(0)
          for (const flag of words.filter((word) => word.startsWith("--"))) {
            expect(help.output, `${words.join(" ")}: ${flag}`).toContain(flag.replace(/=.*/, ""))
          }
        }
      }
    }
  )
})

describe("the extraction itself", () => {
  const fence = "```"

  it("finds the blocks of a document and of comments", () => {
    expect(blocksOf("a.md", `text\n${fence}ts no-run needs a server\nlet a\n\n  a\n${fence}\n`)).toEqual([
      { path: "a.md", line: 2, language: "ts", info: "no-run needs a server", code: "let a\n\n  a" }
    ])
    const comment = ["/**", ` * ${fence}ts`, " * one()", " *", " *   two()", ` * ${fence}`, " */"].join("\n")
    expect(blocksOf("a.ts", `\n${comment}\nconst s = 1`)).toEqual([
      { path: "a.ts", line: 3, language: "ts", info: "", code: "one()\n\n  two()" }
    ])
  })

  it("turns shown values into assertions on the same line", () => {
    const code = "const a = [1] // => [1]\nconsole.log(a) // => [1]\nawait f() // => 2"
    const rows = asProgram({ path: "a.md", line: 3, language: "ts", info: "", code }, "shows.ts").split("\n")
    expect(rows.slice(3, 6)).toEqual([
      `const a = [1]; __shows(a, [1], "a.md:4")`,
      `__shows(a, [1], "a.md:5")`,
      `__shows(await f(), 2, "a.md:6")`
    ])
  })

  it("refuses a value that would not be checked", () => {
    const block = { path: "a.md", line: 1, language: "ts", info: "", code: "f(\n  1\n) // => 2" }
    expect(() => asProgram(block, "shows.ts")).toThrow("a.md:4")
  })

  it("takes shell blocks apart", () => {
    const code = "$ npm start -- --crash 5 # five times\ncat urls.txt | skein fetch \\\n  --db a.db"
    expect(commandsOf({ path: "a.md", line: 1, language: "sh", info: "", code })).toEqual([
      ["npm", "start", "--", "--crash", "5"],
      ["cat", "urls.txt"],
      ["skein", "fetch", "--db", "a.db"]
    ])
  })
})
