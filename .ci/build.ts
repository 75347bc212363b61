/** Compiles `src` into a fresh `dist`. `node .ci/build.ts DIR` puts it elsewhere. */
import { spawnSync } from "node:child_process"
import { chmodSync, rmSync } from "node:fs"
import { resolve } from "node:path"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("..", import.meta.url))
const dist = resolve(root, process.argv[2] ?? "dist")
rmSync(dist, { recursive: true, force: true })
const tsc = spawnSync(
  process.execPath,
  [resolve(root, "node_modules/typescript/bin/tsc"), "-p", resolve(root, "tsconfig.build.json"), "--outDir", dist],
  { stdio: "inherit" }
)
if (tsc.status !== 0) process.exit(tsc.status ?? 1)
chmodSync(resolve(dist, "cli/main.js"), 0o755)
