/** Does a run of ten million elements complete in a heap of 128 MB? */
import { execFile } from "node:child_process"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { check, type Group, scaled, sumBelow } from "./support/group.ts"

const n = scaled(10_000_000)
const program = fileURLToPath(new URL("support/heap_program.ts", import.meta.url))

const group: Group = {
  title: `${n.toLocaleString("en")} elements through three steps, one with a key, and batches, with --max-old-space-size=128`,
  unit: "MB resident at most",
  better: "less",
  baseline: "Pipeline.run",
  rounds: 1,
  cold: true,
  rows: [
    {
      name: "Pipeline.run",
      kind: "ours",
      goal: { limit: Infinity },
      measure: async () => {
        const flags = ["--conditions=skein-source", "--max-old-space-size=128"]
        const { stdout } = await promisify(execFile)(process.execPath, [...flags, program, `${n}`])
        const result: { sum: number; settled: number; megabytes: number } = JSON.parse(stdout)
        check([result.settled, result.sum], [n, sumBelow(n)])
        return result.megabytes
      }
    }
  ]
}
export default group
