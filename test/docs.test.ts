import * as Effect from "effect/Effect"
import { execFile } from "node:child_process"
import { existsSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, relative, resolve } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { flags } from "./support/child.ts"
import { asProgram, type Block, blocksOf, commandsOf } from "./support/examples.ts"
import { fresh } from "./support/postgres/database.ts"

const root = resolve(import.meta.dirname, "..")
const cli = join(root, "src/cli/main.ts")

const files = globSync(["*.md", "docs/**/*.md", "src/**/*.ts"], { cwd: root }).map((name) => name.replaceAll("\\", "/"))
const blocks = files.sort().flatMap((path) => blocksOf(path, readFileSync(join(root, path), "utf8")))
const examples = blocks.filter((block) => block.language === "ts")
const shells = blocks.filter((block) => /^(sh|bash|console)$/.test(block.language))

const run = (cwd: string, ...args: ReadonlyArray<string>): Promise<{ code: unknown; output: string }> =>
  runWith({}, cwd, args)

const runWith = (
  env: Readonly<Record<string, string>>,
  cwd: string,
  args: ReadonlyArray<string>
): Promise<{ code: unknown; output: string }> =>
  new Promise((done) => {
    execFile(
      process.execPath,
      args,
      { cwd, timeout: 240_000, env: { ...process.env, ...env } },
      (error, stdout, stderr) =>
        done({ code: error === null ? 0 : (error.code ?? error.signal), output: stdout + stderr })
    )
  })

// Node strips no types under node_modules, and outside of the project `skein` would not resolve to its sources.
mkdirSync(join(root, ".cache"), { recursive: true })
const folder = mkdtempSync(join(root, ".cache/docs-"))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
const fileOf = (path: string, line: number): string => join(folder, `${path.replaceAll("/", "-")}-${line}.ts`)

/** A PostgreSQL, which it gets one of its own of. */
const needsDatabase = ({ code }: Block): boolean => code.includes("DATABASE_URL")

/** What a process has only one of: its environment and end, the tree of its tasks, and the list of what was abandoned in it. */
const needsOwnProcess = (block: Block): boolean =>
  needsDatabase(block) ||
  block.info !== "" ||
  /\bMain\.run\(|\borphans\b|\bTaskGroup\.tree\b|\bskein\/inspect\b/.test(block.code)

/** Runs programs in as few processes as it takes; gives what each failed with. */
const runInTurn = async (files: ReadonlyArray<string>): Promise<ReadonlyMap<string, string>> => {
  const failures = new Map<string, string>()
  for (let left = files; left.length > 0; left = left.filter((file) => !failures.has(file))) {
    const { code, output } = await run(root, ...flags, join(root, "test/support/inTurn.ts"), ...left)
    for (const file of left) {
      if (existsSync(`${file}.error`)) failures.set(file, readFileSync(`${file}.error`, "utf8"))
    }
    const ended = left.find((file) => !failures.has(file))
    const told = left.some((file) => failures.get(file))
    if (ended !== undefined && !told) failures.set(ended, `It ended the process (${code}):\n${output}`)
  }
  return failures
}

const runAlone = async (block: Block): Promise<string> => {
  const { info, line, path } = block
  const cwd = mkdtempSync(join(tmpdir(), "skein-docs-"))
  const args = [...flags, fileOf(path, line)]
  const within = (url: string) => Effect.promise(() => runWith({ DATABASE_URL: url }, cwd, args))
  const { code, output } = needsDatabase(block)
    ? await Effect.runPromise(Effect.scoped(Effect.flatMap(fresh, within)))
    : await run(cwd, ...args)
  rmSync(cwd, { recursive: true, force: true })
  const expected = Number(/^exit (\d+)$/.exec(info)?.[1] ?? 0)
  return code === expected ? "" : `Exit code ${code}, not ${expected}\n${output}`
}

describe.runIf(examples.length > 0)("every example compiles and runs", () => {
  let compiler = ""
  const failures = new Map<string, string>()

  beforeAll(async () => {
    for (const block of examples) {
      const program = asProgram(block, relative(folder, join(root, "test/support/shows.ts")).replaceAll("\\", "/"))
      writeFileSync(fileOf(block.path, block.line), program)
    }
    const config = { extends: "../../tsconfig.json", compilerOptions: { noUnusedLocals: false }, include: ["*.ts"] }
    writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(config))
    const compile = async () => {
      compiler = (await run(folder, join(root, "node_modules/typescript/bin/tsc"), "--pretty", "false")).output
    }
    const together = examples.filter((block) => !needsOwnProcess(block)).map(({ line, path }) => fileOf(path, line))
    const half = async (which: number) => {
      const mine = together.filter((_, index) => index % 2 === which)
      for (const [file, failure] of await runInTurn(mine)) failures.set(file, failure)
    }
    const alone = async () => {
      for (const block of examples) {
        if (block.info.startsWith("no-run") || !needsOwnProcess(block)) continue
        failures.set(fileOf(block.path, block.line), await runAlone(block))
      }
    }
    await Promise.all([compile().then(alone), half(0), half(1)])
    expect(compiler, "the compiler itself failed").not.toMatch(/^error/m)
    // A machine that others load takes many times as long as one that is quiet.
  }, 600_000)

  it.each(examples.map((block) => [`${block.path}:${block.line}`, block] as const))(
    "%s",
    (_at, { path, line, info }) => {
      const file = fileOf(path, line)
      const errors = compiler.split(/\n(?!\s)/).filter((error) => error.startsWith(relative(folder, file)))
      expect(errors.join("\n")).toBe("")
      if (info.startsWith("no-run")) {
        expect(info, "say after `no-run` why the block cannot run").toMatch(/^no-run \S+/)
        return
      }
      expect(info, "after `ts` stands nothing, `no-run` and why, or `exit` and the exit code").toMatch(/^(exit \d+)?$/)
      expect(failures.get(file)).toBe("")
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
          const help = await run(root, ...flags, cli, ...subcommand, "--help")
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

  it("tells what became of each program, whatever the others do", async () => {
    const programs = {
      "works.ts": "await Promise.resolve()",
      "throws.ts": "throw new Error('at once')",
      "throws-late.ts": "setTimeout(() => { throw new Error('later') }, 1)",
      "exits.ts": "process.exit(0)",
      "waits.ts": "await new Promise(() => {})",
      "works-as-well.ts": "console.log('out')"
    }
    const files = Object.entries(programs).map(([name, code]) => {
      const file = join(folder, name)
      writeFileSync(file, `${code}\nexport {}`)
      return file
    })
    const failures = await runInTurn(files)
    expect(files.map((file) => failures.get(file)?.split("\n")[0])).toEqual([
      "",
      "Error: at once",
      "Error: later",
      "It ended the process (0):",
      "It ended the process (13):",
      ""
    ])
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
