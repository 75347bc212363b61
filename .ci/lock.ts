/**
 * Completes package-lock.json. npm leaves out an optional platform package that its registry does not carry, and then
 * npm 11 refuses the file in `npm ci` on every platform. With its name, version and platform listed, it is content.
 *
 *   npx node .ci/lock.ts          write what is missing
 *   npx node .ci/lock.ts --check  fail if something is missing
 */
import { readFileSync, writeFileSync } from "node:fs"

interface Entry {
  readonly version?: string
  readonly optionalDependencies?: Record<string, string>
  readonly [field: string]: unknown
}

const file = new URL("../package-lock.json", import.meta.url)
const lock: { packages: Record<string, Entry> } = JSON.parse(readFileSync(file, "utf8"))

const missing: Record<string, Entry> = {}
for (const [parent, entry] of Object.entries(lock.packages)) {
  for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
    const path = `node_modules/${name}`
    if (path in lock.packages || `${parent}/${path}` in lock.packages) continue
    const os = /\b(darwin|linux|win32|android|freebsd|openharmony)\b/.exec(name)?.[1]
    const cpu = /\b(x64|arm64|arm|ia32|ppc64|riscv64|s390x)\b/.exec(name)?.[1]
    if (os === undefined || cpu === undefined) continue
    const libc = name.endsWith("-musl") ? { libc: ["musl"] } : name.endsWith("-gnu") ? { libc: ["glibc"] } : {}
    missing[path] = { version, cpu: [cpu], dev: true, ...libc, license: "MIT", optional: true, os: [os] }
  }
}

const names = Object.keys(missing)
if (process.argv.includes("--check")) {
  if (names.length > 0) console.error(`package-lock.json lacks ${names.join(", ")}\nrun: npx node .ci/lock.ts`)
  process.exit(names.length > 0 ? 1 : 0)
}
lock.packages = Object.fromEntries(
  Object.entries({ ...lock.packages, ...missing }).sort(([a], [b]) => a.localeCompare(b, "en"))
)
writeFileSync(file, `${JSON.stringify(lock, null, 2)}\n`)
