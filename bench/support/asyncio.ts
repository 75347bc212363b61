/** Python's asyncio, where there is a Python that has `TaskGroup`. */
import { execFile } from "node:child_process"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { check, type Sample } from "./group.ts"

const script = fileURLToPath(new URL("asyncio_peer.py", import.meta.url))
const python = (...args: ReadonlyArray<string>) => promisify(execFile)("python3", args)
const isThere = await python("-c", "import asyncio; asyncio.TaskGroup").then(
  () => true,
  () => false
)

/** Nanoseconds an operation of `workload`, a function of `asyncio_peer.py`. */
export const nanos = (workload: string, ops: number, checksum: number): (() => Promise<Sample>) | undefined =>
  isThere
    ? async () => {
        const { stdout } = await python(script, workload, `${ops}`)
        const result: { seconds: number; cpu: number; checksum: number } = JSON.parse(stdout)
        check(result.checksum, checksum)
        return { value: (result.seconds * 1e9) / ops, cpu: (result.cpu * 1e9) / ops }
      }
    : undefined
