/**
 * Runs the programs it is given one after another in one process, each in an empty folder of its own, and leaves beside
 * each what it failed with, in `FILE.error`, empty when it did not. After a failure the process ends, as what that program
 * left behind is not to be blamed on the next one; a program that ends the process itself leaves no such file.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout } from "node:timers/promises"
import { pathToFileURL } from "node:url"
import { inspect } from "node:util"

/** What holds the process, besides its output. */
const held = () => process.getActiveResourcesInfo().filter((kind) => kind !== "Immediate" && kind !== "PipeWrap")

const released = async (before: number) => {
  while (held().length > before) await setTimeout(5)
}

// A machine that others load takes many times as long as one that is quiet.
const patience = 120_000

for (const file of process.argv.slice(2)) {
  const folder = mkdtempSync(join(tmpdir(), "skein-docs-"))
  process.chdir(folder)
  const before = held().length
  let onUncaught = (_error: unknown): void => {}
  const uncaught = new Promise<never>((_, reject) => (onUncaught = reject))
  process.once("uncaughtException", onUncaught)
  const late = setTimeout(patience, undefined, { ref: false }).then(() => {
    throw new Error(`Not at its end after ${patience / 1000} s; what holds the process: ${held().join(", ")}`)
  })
  let error = ""
  try {
    await Promise.race([import(pathToFileURL(file).href).then(() => released(before)), uncaught, late])
  } catch (thrown) {
    error = inspect(thrown)
  }
  process.off("uncaughtException", onUncaught)
  late.catch(() => {})
  process.chdir(tmpdir())
  rmSync(folder, { recursive: true, force: true })
  writeFileSync(`${file}.error`, error)
  if (error !== "") process.exit(1)
}
