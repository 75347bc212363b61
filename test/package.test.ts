/** The package as a user gets it: packed, installed in an empty project, compiled against, imported and run. */
import * as main from "skein"
import * as node from "skein/node"
import * as schemas from "skein/schemas"
import * as testing from "skein/testing"
import { execFile } from "node:child_process"
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { delimiter, dirname, join, resolve } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"

const root = resolve(import.meta.dirname, "..")
const modules = join(root, "node_modules")
const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8"))

const temporary = mkdtempSync(join(tmpdir(), "skein-package-"))
afterAll(() => rmSync(temporary, { recursive: true, force: true }))
const checkout = join(temporary, "checkout")
const app = join(temporary, "app")
const tarball = join(temporary, `${manifest.name}-${manifest.version}.tgz`)

/** Runs to the end and gives the standard output; a failure shows everything that was printed. */
const run = (cwd: string, command: string, ...args: ReadonlyArray<string>): Promise<string> =>
  new Promise((done, fail) => {
    const env = { ...process.env, PATH: `${dirname(process.execPath)}${delimiter}${process.env["PATH"]}` }
    execFile(command, args, { cwd, env, shell: process.platform === "win32" }, (error, stdout, stderr) =>
      error === null ? done(stdout) : fail(new Error(`${command} ${args.join(" ")}\n${stdout}\n${stderr}`))
    )
  })
const tool = (cwd: string, script: string, ...args: ReadonlyArray<string>): Promise<string> =>
  run(cwd, process.execPath, join(modules, script), ...args)

describe("the published package", () => {
  beforeAll(async () => {
    // A copy, so that neither a `dist` nor an untracked file of the working tree gets into what is tested.
    const parts = ["package.json", "tsconfig.json", "tsconfig.build.json", ".ci", "src", ...manifest.files.slice(2)]
    for (const part of parts) cpSync(join(root, part), join(checkout, part), { recursive: true })
    for (const part of ["README.md", "LICENSE"]) cpSync(join(root, part), join(checkout, part))
    symlinkSync(modules, join(checkout, "node_modules"), "junction")
    await run(checkout, "npm", "pack", "--pack-destination", temporary)

    mkdirSync(app)
    writeFileSync(join(app, "package.json"), JSON.stringify({ name: "app", private: true, type: "module" }))
    const versions = ["effect", "@types/node"].map((name) => `${name}@${manifest.devDependencies[name]}`)
    const flags = ["--prefer-offline", "--no-audit", "--no-fund", "--no-package-lock"]
    await run(app, "npm", "install", ...flags, tarball, ...versions)
  }, 120_000)

  it("has its entry points, with types, and exports what the sources export", async () => {
    const options = { module: "NodeNext", target: "ES2023", strict: true, noEmit: true, types: ["node"] }
    writeFileSync(join(app, "tsconfig.json"), JSON.stringify({ compilerOptions: options, files: ["app.ts"] }))
    writeFileSync(
      join(app, "app.ts"),
      [
        `import * as main from "skein"`,
        `import * as node from "skein/node"`,
        `import * as schemas from "skein/schemas"`,
        `import * as testing from "skein/testing"`,
        `console.log(JSON.stringify([main, node, schemas, testing].map((all) => Object.keys(all).sort())))`,
        `type IsAny<T> = 0 extends 1 & T ? true : false`,
        `export const typed: [IsAny<typeof main>, IsAny<typeof node>, IsAny<typeof schemas>] = [false, false, false]`,
        `export const alsoTyped: IsAny<typeof testing> = false`
      ].join("\n")
    )
    await tool(app, "typescript/bin/tsc", "-p", app)
    expect(JSON.parse(await run(app, process.execPath, "app.ts"))).toEqual(
      [main, node, schemas, testing].map((all) => Object.keys(all).sort())
    )
  })

  it("has the skein command", async () => {
    expect(await run(app, "npx", "--no-install", "skein", "--help")).toContain("skein")
  })

  it("holds the sources that its maps point to, and no tests", async () => {
    const names = (await run(app, "tar", "-tzf", tarball)).split("\n").map((name) => name.replace(/^package\//, ""))
    expect(names).toEqual(expect.arrayContaining(["README.md", "LICENSE", "CHANGELOG.md", "src/index.ts"]))
    expect(names.filter((name) => /(^|\/)(test|bench|docs|out|node_modules)\/|\.test\./.test(name))).toEqual([])
  })

  it("is what publint accepts", async () => {
    await tool(temporary, "publint/src/cli.js", tarball, "--strict")
  })

  it("is what attw accepts", async () => {
    await tool(temporary, "@arethetypeswrong/cli/dist/index.js", tarball, "--profile", "esm-only")
  })
})
