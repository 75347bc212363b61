import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { expect, it } from "vitest"
import { begin, leaveOut } from "../../bench/support/cost.ts"

/** Milliseconds of CPU time that a child uses up before it says so; then it waits for its end. */
const used = 200
const program = `
  while (process.cpuUsage().user < ${used * 1000});
  process.stdout.write("used")
  process.stdin.resume()
`

const withChild = async (use: (child: ChildProcess) => void): Promise<number> => {
  const end = begin()
  const child = spawn(process.execPath, ["-e", program], { stdio: ["pipe", "pipe", "inherit"] })
  use(child)
  await once(child.stdout, "data")
  const { cpu } = end()
  child.stdin.end()
  await once(child, "exit")
  return cpu
}

it("counts CPU time of its own, all of it", () => {
  const end = begin()
  const from = process.cpuUsage()
  while (process.cpuUsage(from).user < 20_000);
  expect(end().cpu).toBeGreaterThanOrEqual(20)
})

it.runIf(process.platform === "linux")("counts that of children, living and ended", async () => {
  const end = begin()
  expect(await withChild(() => {})).toBeGreaterThan(used / 2)
  expect(end().cpu).toBeGreaterThan(used / 2)
})

it.runIf(process.platform === "linux")("counts that of no child that is the other side", async () => {
  const from = process.cpuUsage()
  const cpu = await withChild((child) => leaveOut(child.pid))
  const { system, user } = process.cpuUsage(from)
  expect(cpu).toBeLessThanOrEqual((system + user) / 1000)
})
