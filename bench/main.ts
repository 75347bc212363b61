/**
 * Measures Skein against its peers and against what the work costs at least.
 *
 *     npm run bench                         everything
 *     npm run bench -- spawn memory         these groups
 *     npm run bench -- --quick              a tenth of the work, to see whether all runs
 *     npm run bench -- --json FILE          the values as JSON as well
 */
import { execFileSync, fork } from "node:child_process"
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { availableParallelism } from "node:os"
import { dirname, join } from "node:path"
import { parseArgs } from "node:util"
import type { Report } from "./support/measure.ts"
import { format } from "./support/table.ts"

const all = [
  "spawn",
  "memory",
  "joiner",
  "cancel",
  "limiter",
  "offload",
  "pipeline",
  "slow",
  "keys",
  "steps",
  "fetch",
  "sqlite",
  "postgres",
  "frontier",
  "jsonl",
  "csv",
  "parquet",
  "gzip",
  "etl",
  "heap",
  "bundle",
  "sim"
]
const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { json: { type: "string" }, quick: { type: "boolean", default: false } }
})
const unknown = positionals.filter((name) => !all.includes(name))
if (unknown.length > 0) {
  console.error(`There is no group ${unknown.join(", ")}. The groups: ${all.join(" ")}`)
  process.exit(2)
}

const folder = import.meta.dirname

const peers = join(folder, "peers")

if (!existsSync(join(peers, "node_modules"))) {
  console.error("Installing the peers into bench/peers/node_modules")
  try {
    const flags = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    execFileSync("npm", ["ci", "--prefix", peers, ...flags], {
      stdio: ["ignore", "ignore", "inherit"],
      shell: process.platform === "win32"
    })
  } catch {
    console.error("That did not work: peers are shown as absent. Try `npm ci --prefix bench/peers`.")
  }
}

/** Prints the reports of a group as they come, and gives them. */
const run = (name: string): Promise<ReadonlyArray<Report>> =>
  new Promise((done, fail) => {
    const reports: Array<Report> = []
    const child = fork(join(folder, "support/child.ts"), [name], {
      serialization: "advanced",
      execArgv: ["--conditions=skein-source", "--expose-gc"],
      env: { ...process.env, BENCH_QUICK: values.quick ? "1" : "0" }
    })
    child.on("message", (report: Report) => {
      reports.push(report)
      console.log(`\n${format(report)}`)
    })
    child.on("error", fail)
    child.on("close", (code) => (code === 0 ? done(reports) : fail(new Error(`group ${name} ended with code ${code}`))))
  })

const effect: { version: string } = JSON.parse(
  readFileSync(join(dirname(folder), "node_modules/effect/package.json"), "utf8")
)
const machine = `Node ${process.versions.node}, effect ${effect.version}, ${availableParallelism()} cores`
console.log(machine + (values.quick ? ", quick: no values to keep" : ""))

const groups: Record<string, ReadonlyArray<Report>> = {}
for (const name of positionals.length > 0 ? positionals : all) {
  try {
    groups[name] = await run(name)
    if (groups[name].some(({ results }) => results.some(({ status }) => status === "void" || status === "failed"))) {
      process.exitCode = 1
    }
  } catch (error) {
    console.error(`\n${error instanceof Error ? error.message : String(error)}`)
    process.exitCode = 1
  }
}
if (values.json !== undefined)
  writeFileSync(values.json, `${JSON.stringify({ machine, quick: values.quick, groups }, null, 2)}\n`)
