/**
 * `npm test`: the static checks at once, then every test. Each check counts as one.
 *
 *   npm test                                        everything
 *   npm test -- test/concurrency/TaskGroup.test.ts  only vitest, with these arguments
 *   npm run test:deep                               everything, property and crash tests with many more rounds
 */
import { spawn } from "node:child_process"
import { existsSync, readFileSync, rmSync } from "node:fs"
import { resolve } from "node:path"

const root = resolve(import.meta.dirname, "..")
const modules = resolve(root, "node_modules")
const args = process.argv.slice(2).filter((arg) => arg !== "--deep")
const env = process.argv.includes("--deep") ? { ...process.env, SKEIN_DEEP: "1" } : process.env
const total = { passed: 0, failed: 0, skipped: 0 }

const run = (stdio: "inherit" | "pipe", command: ReadonlyArray<string>): Promise<{ ok: boolean; output: string }> =>
  new Promise((done) => {
    let output = ""
    const child = spawn(process.execPath, command, { cwd: root, env, stdio: ["ignore", stdio, stdio] })
    for (const stream of [child.stdout, child.stderr]) stream?.on("data", (chunk) => (output += chunk))
    child.on("close", (code) => done({ ok: code === 0, output }))
  })

const check = async (name: string, ...command: ReadonlyArray<string>): Promise<void> => {
  const start = performance.now()
  const { ok, output } = await run("pipe", command)
  total[ok ? "passed" : "failed"]++
  console.log(`${ok ? "ok    " : "FAILED"} ${name.padEnd(10)} ${((performance.now() - start) / 1000).toFixed(1)} s`)
  if (!ok) console.log(output)
}

interface VitestReport {
  readonly numPassedTests: number
  readonly numFailedTests: number
  readonly numPendingTests: number
  readonly numTodoTests: number
  readonly testResults: ReadonlyArray<{
    readonly status: string
    readonly assertionResults: ReadonlyArray<{ readonly status: string }>
  }>
}

const vitest = async (): Promise<void> => {
  const report = resolve(modules, ".cache/vitest-report.json")
  rmSync(report, { force: true })
  const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${report}`]
  const { ok } = await run("inherit", [resolve(modules, "vitest/vitest.mjs"), "run", ...reporters, ...args])
  const before = total.failed
  if (existsSync(report)) {
    const result: VitestReport = JSON.parse(readFileSync(report, "utf8"))
    total.passed += result.numPassedTests
    // A file that cannot be loaded, or whose setup fails, has no failed test to count.
    const broken = result.testResults.filter(
      (file) => file.status === "failed" && !file.assertionResults.some((test) => test.status === "failed")
    )
    total.failed += result.numFailedTests + broken.length
    total.skipped += result.numPendingTests + result.numTodoTests
  }
  // Unhandled errors and crashes of the runner itself fail no test.
  if (!ok && total.failed === before) total.failed++
}

if (args.length === 0) {
  await Promise.all([
    check("types", ".ci/check.ts"),
    check("lint", resolve(modules, "oxlint/bin/oxlint"), "--deny-warnings"),
    check("format", resolve(modules, "oxfmt/bin/oxfmt"), "--check"),
    check("exports", resolve(modules, "knip/bin/knip.js"), "--no-progress"),
    check("lock file", ".ci/lock.ts", "--check")
  ])
}
await vitest()

const skipped = total.skipped > 0 ? `, ${total.skipped} skipped` : ""
console.log(`${total.passed} passed, ${total.failed} failed${skipped}`)
process.exitCode = total.failed === 0 ? 0 : 1
