import { execFile, spawn } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { promisify } from "node:util"
import { afterAll, describe, expect, it } from "vitest"
import { expected, serve } from "../docs/examples/crawler/site.ts"
import { flags } from "./support/child.ts"

const program = resolve(import.meta.dirname, "../docs/examples/cities.ts")
const folders: Array<string> = []
const folder = () => {
  const name = mkdtempSync(join(tmpdir(), "skein-cities-"))
  folders.push(name)
  return name
}
afterAll(() => folders.forEach((name) => rmSync(name, { recursive: true, force: true })))

const command = [...flags, program]
const run = async (cwd: string, ...args: ReadonlyArray<string>): Promise<string> =>
  (await promisify(execFile)(process.execPath, [...command, ...args], { cwd, timeout: 240_000 })).stdout

/** Runs the example until it has printed progress, then sends it a signal; gives what it printed. */
const interrupted = (cwd: string): Promise<{ readonly code: number | null; readonly output: string }> =>
  new Promise((done) => {
    const child = spawn(process.execPath, command, { cwd })
    let output = ""
    let asked = false
    child.stdout.on("data", (chunk) => {
      output += chunk
      if (asked || !/^[1-9][\d,]* places/m.test(output)) return
      asked = true
      child.kill("SIGINT")
    })
    child.on("close", (code) => done({ code, output }))
  })

describe.concurrent("docs/examples/cities.ts", () => {
  it("is killed on its way and proves that nothing was lost or doubled", { timeout: 300_000 }, async () => {
    const output = await run(folder(), "--crash", "2")
    expect(output.match(/SIGKILL/g)).toHaveLength(2)
    expect(output).toMatch(/171,075 with the runs before/)
    expect(output).toContain("Nothing was lost, nothing was doubled.")
  })

  it(
    "stops at a signal, goes on where it was, and starts afresh once it has finished",
    { timeout: 300_000 },
    async () => {
      const cwd = folder()
      const stopped = await interrupted(cwd)
      expect(stopped.code).toBe(0)
      expect(stopped.output).toContain("Stopped. Run the same command again to go on.")
      const resumed = await run(cwd)
      expect(resumed).toContain("171,075 with the runs before")
      expect(resumed).toMatch(/United States +17,343/)
      const afresh = await run(cwd)
      expect(afresh).toContain("items         171,075 places from 343 pages\n")
      expect(afresh).toMatch(/United States +17,343/)
    }
  )

  it.each([
    ["goes on", /kill 1: SIGKILL \d+ ms after its first places\nkilled: true\n$/],
    ["ends", /kill 1: too late, the job was done; it starts over\nkilled: false\n$/]
  ])("kills a child that %s, and counts it only if that came in time", { timeout: 300_000 }, async (what, told) => {
    const killer = resolve(import.meta.dirname, "support/killed.ts")
    const { stdout } = await promisify(execFile)(process.execPath, [...flags, killer, what])
    expect(stdout).toMatch(told)
  })

  it("fails when a child does", { timeout: 300_000 }, async () => {
    const killer = resolve(import.meta.dirname, "support/killed.ts")
    const failing = promisify(execFile)(process.execPath, [...flags, killer, "fails"])
    await expect(failing).rejects.toThrow("the job ended with exit code 3")
  })
})

describe.concurrent("docs/examples/crawler.ts", () => {
  const crawler = resolve(import.meta.dirname, "../docs/examples/crawler.ts")
  const crawl = (cwd: string, site: string) => spawn(process.execPath, [...flags, crawler, site], { cwd })
  const toTheEnd = (cwd: string, site: string) =>
    new Promise<string>((done) => {
      const child = crawl(cwd, site)
      let output = ""
      for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (output += chunk))
      child.on("close", () => done(output))
    })
  /** Kills it once it has said for the `times`-th time how far it is. */
  const killed = (cwd: string, site: string, times: number) =>
    new Promise<NodeJS.Signals | null>((done) => {
      const child = crawl(cwd, site)
      let output = ""
      child.stdout.on("data", (chunk) => {
        output += chunk
        if ((output.match(/visited/g) ?? []).length >= times) child.kill("SIGKILL")
      })
      child.on("close", (_, signal) => done(signal))
    })
  const found = (cwd: string) => {
    const database = new DatabaseSync(join(cwd, "crawl.db"), { timeout: 10_000 })
    const rows = database.prepare("SELECT url, status, title FROM pages").all()
    database.close()
    return rows
  }
  const holds = (cwd: string, site: string) => {
    const rows = found(cwd)
    expect(new Map(rows.map(({ status, url }) => [url, status]))).toEqual(expected(site))
    expect(rows).toHaveLength(expected(site).size)
    expect(rows.filter(({ title }) => title === "Страница 13")).toHaveLength(9)
  }

  it("visits each page once, and nothing that is not for robots", { timeout: 300_000 }, async () => {
    const [cwd, site] = [folder(), await serve(0)]
    const output = await toTheEnd(cwd, site)
    expect(output).toMatch(/^Done\. 547 addresses in .* 547 in all, 24 not to be had or not for robots\.$/m)
    holds(cwd, site)
  })

  it("comes to the same when it is killed, and has nothing left to do then", { timeout: 300_000 }, async () => {
    const [cwd, site] = [folder(), await serve(0)]
    expect(await killed(cwd, site, 1)).toBe("SIGKILL")
    expect(await killed(cwd, site, 2)).toBe("SIGKILL")
    expect(await killed(cwd, site, 1)).toBe("SIGKILL")
    expect(await toTheEnd(cwd, site)).toMatch(/^Done\. \d+ addresses in .* 547 in all/m)
    holds(cwd, site)
    expect(await toTheEnd(cwd, site)).toMatch(/^Done\. 0 addresses in .* 547 in all/m)
  })
})

describe("docs/examples/migrate", () => {
  it(
    "gives the same after each step, and leaves nothing running from the second on",
    { timeout: 300_000 },
    async () => {
      const measure = resolve(import.meta.dirname, "../docs/examples/migrate/measure.ts")
      const { stderr, stdout } = await promisify(execFile)(process.execPath, [...flags, measure, "--json"])
      expect(stderr).toBe("")
      const rows: Record<string, { readonly most: number }> = JSON.parse(stdout)
      // How many meet depends on how busy this machine is.
      expect(Object.values(rows).filter(({ most }) => most > 8)).toEqual([])
      const same = { sum: 594, requests: 110, failed: "Error: item 0: status 404" }
      expect(rows).toMatchObject({
        before: { ...same, leftFailed: 7, aborted: "Error: the user left" },
        step1: { ...same, leftFailed: 7, aborted: "AbortError: the user left" },
        step2: { ...same, leftFailed: 0, aborted: "AbortError: the user left" },
        after: { ...same, leftFailed: 0, aborted: "AbortError: the user left" }
      })
    }
  )

  it("shows the table that the guide does", () => {
    const guide = readFileSync(resolve(import.meta.dirname, "../docs/from-promises.md"), "utf8")
    const rows = guide
      .match(/^\| (before|step\d|after) +\| \d.*$/gm)!
      .map((row) => row.replaceAll(/[ |`]+/g, " ").trim())
    expect(rows).toEqual([
      "before 594 110 8 Error: item 0: status 404 7 Error: the user left",
      "step1 594 110 8 Error: item 0: status 404 7 AbortError: the user left",
      "step2 594 110 8 Error: item 0: status 404 0 AbortError: the user left",
      "after 594 110 8 Error: item 0: status 404 0 AbortError: the user left"
    ])
  })
})
