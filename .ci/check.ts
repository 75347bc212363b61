/**
 * Types and Effect diagnostics of everything, then `src` alone as it is built, with declarations, which others have to be
 * able to name. `@effect/tsgo` ships a TypeScript with the diagnostics built in, so nothing in node_modules is patched.
 */
import { execFile, execFileSync } from "node:child_process"
import { resolve } from "node:path"

const root = resolve(import.meta.dirname, "..")
const node = process.execPath
const effectTsgo = resolve(root, "node_modules/@effect/tsgo/dist/effect-tsgo.cjs")
const effectTsc = execFileSync(node, [effectTsgo, "get-exe-path"], { cwd: root, encoding: "utf8" }).trim()

const run = (command: string, ...args: ReadonlyArray<string>): Promise<string> =>
  new Promise((done) => {
    execFile(command, [...args, "--pretty", "false"], { cwd: root, maxBuffer: Infinity }, (error, stdout, stderr) =>
      done(stdout + stderr || (error === null ? "" : error.message))
    )
  })

const outputs = await Promise.all([
  run(effectTsc, "-p", "tsconfig.json"),
  run(node, resolve(root, "node_modules/typescript/bin/tsc"), "-p", "tsconfig.build.json", "--noEmit")
])
// Both see `src`: say each thing once.
const messages = new Set(
  outputs
    .join("\n")
    .split(/\n+(?!\s)/)
    .filter((message) => message.trim() !== "")
)
for (const message of messages) console.log(message)
process.exitCode = messages.size === 0 ? 0 : 1
