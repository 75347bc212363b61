/**
 * Measures Skein against its peers and against what the work costs at least.
 *
 *     npm run bench                         everything
 *     npm run bench -- spawn memory         these groups
 *     npm run bench -- --quick              a tenth of the work, to see whether all runs
 *     npm run bench -- --large              the largest of the data sets, which take minutes
 *     npm run bench -- --json FILE          the values as JSON as well
 *     npm run bench -- --compare FILE       beside those of an earlier run: what a change did
 *     npm run bench -- --compare FILE FILE  two earlier runs beside one another
 *     npm run bench -- --table FILE         nothing is measured: a run becomes the table of the README
 */
import { execFileSync, fork } from "node:child_process"
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { availableParallelism } from "node:os"
import { dirname, join } from "node:path"
import { parseArgs } from "node:util"
import { compare } from "./support/compare.ts"
import type { Report } from "./support/measure.ts"
import { withTable } from "./support/readme.ts"
import * as Results from "./support/results.ts"
import { format } from "./support/table.ts"

/** The groups, in the order in which they are measured and shown. */
const names = [
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
  "sim",
  "inspector"
]
/** Take minutes each, and gigabytes of work. */
const large = ["large"]

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    json: { type: "string" },
    quick: { type: "boolean", default: false },
    large: { type: "boolean", default: false },
    compare: { type: "string" },
    table: { type: "string" }
  }
})

const folder = import.meta.dirname

if (values.table !== undefined) {
  const [file, readme] = [join(folder, "results.json"), join(folder, "README.md")]
  const run = Results.read(values.table)
  if (run.quick) throw new Error("The values of a quick run are not to be kept.")
  const all = [...names, ...large]
  const before = existsSync(file) ? Results.read(file) : run
  const kept = all.filter((name) => run.groups[name] === undefined && before.groups[name] !== undefined)
  if (kept.length > 0 && before.machine !== run.machine) {
    throw new Error(`Measure these too, as they are of another machine, ${before.machine}: ${kept.join(" ")}`)
  }
  if (kept.length > 0) console.error(`As they were before: ${kept.join(" ")}`)
  Results.write(file, Results.merged(before, run, all))
  writeFileSync(readme, withTable(readFileSync(readme, "utf8"), Results.read(file)))
  process.exit()
}

const [first, ...more] = positionals
if (values.compare !== undefined && first?.endsWith(".json") === true && more.length === 0) {
  console.log(compare(Results.read(values.compare), Results.read(first)))
  process.exit()
}

const wanted = positionals.length > 0 ? positionals : values.large ? large : names
const unknown = wanted.filter((name) => ![...names, ...large].includes(name))
if (unknown.length > 0) {
  console.error(`There is no group ${unknown.join(", ")}. The groups: ${[...names, ...large].join(" ")}`)
  process.exit(2)
}

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
for (const name of wanted) {
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
const found: Results.Run = { machine, quick: values.quick, groups }
if (values.json !== undefined) Results.write(values.json, found)
if (values.compare !== undefined) console.log(`\nBefore and now:\n\n${compare(Results.read(values.compare), found)}`)
