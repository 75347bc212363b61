/**
 * What tail.ts does, by hand: looks four times a second for what was added, and keeps rows and place in one transaction.
 *
 *     node docs/examples/twins/tail.ts access.log
 */
import { existsSync, renameSync, writeFileSync } from "node:fs"
import { open, stat, type FileHandle } from "node:fs/promises"
import { DatabaseSync } from "node:sqlite"
import { setTimeout as sleep } from "node:timers/promises"

const [log = "access.log"] = process.argv.slice(2)

interface Request {
  readonly at: string
  readonly path: string
  readonly status: number
  readonly millis: number
}
const parse = (line: string): Request | undefined => {
  let value
  try {
    value = JSON.parse(line)
  } catch {
    return undefined
  }
  if (typeof value !== "object" || value === null) return undefined
  const { at, millis, path, status } = value
  if (Number.isNaN(Date.parse(at)) || typeof path !== "string") return undefined
  if (!Number.isInteger(status) || !Number.isFinite(millis)) return undefined
  return { at: new Date(at).toISOString(), path, status, millis }
}

const database = new DatabaseSync("tail.db", { timeout: 10_000 })
database.exec(`
  CREATE TABLE IF NOT EXISTS requests (at TEXT NOT NULL, path TEXT NOT NULL, status INTEGER NOT NULL, millis REAL NOT NULL);
  CREATE TABLE IF NOT EXISTS place (file TEXT PRIMARY KEY, inode INTEGER NOT NULL, byte INTEGER NOT NULL)`)
const insert = database.prepare("INSERT INTO requests VALUES (?, ?, ?, ?)")
const keep = database.prepare(`
  INSERT INTO place VALUES (?, ?, ?) ON CONFLICT (file) DO UPDATE SET inode = excluded.inode, byte = excluded.byte`)

let [written, skipped, paused] = [0, 0, false]
const stop = new AbortController()
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => stop.abort())

/** Reads whole lines behind `byte`, 64 KiB at most; gives the byte behind the last of them. */
const readOn = async (file: FileHandle, inode: number, byte: number): Promise<number> => {
  const { buffer, bytesRead } = await file.read({ buffer: Buffer.alloc(65_536), position: byte })
  const end = buffer.subarray(0, bytesRead).lastIndexOf(10) + 1
  if (end === 0 && bytesRead === buffer.length) throw new Error(`${log}: a line is longer than 64 KiB`)
  if (end === 0) return byte
  const lines = buffer.toString("utf8", 0, end - 1).split("\n")
  const requests = lines.map(parse).filter((request) => request !== undefined)
  database.exec("BEGIN")
  try {
    for (const { at, millis, path, status } of requests) insert.run(at, path, status, millis)
    keep.run(log, inode, byte + end)
    database.exec("COMMIT")
  } catch (error) {
    database.exec("ROLLBACK")
    throw error
  }
  written += requests.length
  skipped += lines.length - requests.length
  return byte + end
}

const measure = () => {
  const counts = { tail_requests_total: written, tail_skipped_total: skipped }
  const lines = Object.entries(counts).map(([name, count]) => `# TYPE ${name} counter\n${name} ${count}\n`)
  writeFileSync("tail.prom.new", lines.join(""))
  renameSync("tail.prom.new", "tail.prom")
}

let file = await open(log)
let { ino } = await file.stat()
const known = database.prepare("SELECT inode, byte FROM place WHERE file = ?").get(log)
let byte = known?.["inode"] === ino ? Number(known["byte"]) : 0
const began = Date.now()
let told = began

while (!stop.signal.aborted) {
  const closed = existsSync("maintenance")
  if (closed !== paused) console.log(closed ? "Paused." : "Going on.")
  paused = closed
  const before = byte
  if (!paused) byte = await readOn(file, ino, byte)
  if (Date.now() - told >= 1000) {
    told = Date.now()
    measure()
    const rate = (written + skipped) / ((told - began) / 1000)
    console.log(`${written} requests, ${skipped} lines that are none, ${rate.toFixed(0)} a second`)
  }
  if (byte > before) continue
  // It was read to its end: another one may have taken its name.
  const there = await stat(log).catch(() => undefined)
  if (!paused && there !== undefined && there.ino !== ino) {
    await file.close()
    file = await open(log)
    ino = (await file.stat()).ino
    byte = 0
    continue
  }
  await sleep(250)
}
await file.close()
measure()
const all = database.prepare("SELECT count(*) AS count FROM requests").get()
database.close()
console.log(`Stopped: ${written} requests, ${skipped} lines that are none; ${String(all?.["count"])} requests in all.`)
