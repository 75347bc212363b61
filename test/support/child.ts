/**
 * A program of its own process, for what only whole processes have: signals, exit codes, standard streams.
 *
 * ```ts
 * const child = yield* Child.start(["program.ts"], { cwd: folder })
 * yield* child.says("ready")
 * child.kill("SIGTERM")
 * const { code, stderr } = yield* child.end
 * ```
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { spawn, type ChildProcess } from "node:child_process"
import { chmodSync, mkdtempSync, readdirSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"

export interface Ended {
  /** Null when a signal ended it. */
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

export interface Child {
  readonly process: ChildProcess
  readonly kill: (signal: NodeJS.Signals) => void
  /** Completes once the text stands in its standard output or error; dies when it ended without. */
  readonly says: (text: string) => Effect.Effect<void>
  readonly end: Effect.Effect<Ended>
}

export interface Options {
  readonly cwd?: string
  /** A line for `sh`, in which `"$@"` stands for the command; default the command itself. */
  readonly sh?: string
  /** Beside those of this process. */
  readonly env?: Readonly<Record<string, string>>
}

/** What Node gets before a program: `skein` and `skein/node` are the sources, linked (`linked.ts`). */
export const flags = ["--conditions=skein-source", `--import=${join(import.meta.dirname, "linked-hooks.ts")}`]

/** Starts Node, with `skein` and `skein/node` from the sources; it is killed with the scope. */
export const start = (args: ReadonlyArray<string>, options: Options = {}): Effect.Effect<Child, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const command = [process.execPath, ...flags, ...args]
      const [file = "", ...rest] = options.sh === undefined ? command : ["sh", "-c", options.sh, "sh", ...command]
      const child = spawn(file, rest, {
        cwd: options.cwd,
        env: { ...process.env, ...options.env },
        stdio: ["ignore", "pipe", "pipe"]
      })
      let stdout = ""
      let stderr = ""
      let ended: Ended | undefined
      const waiting = new Set<() => void>()
      const changed = () => waiting.forEach((check) => check())
      child.stdout.setEncoding("utf8").on("data", (text: string) => {
        stdout += text
        changed()
      })
      child.stderr.setEncoding("utf8").on("data", (text: string) => {
        stderr += text
        changed()
      })
      child.on("close", (code, signal) => {
        ended = { code, signal, stdout, stderr }
        changed()
      })
      const until = <A>(poll: () => Effect.Effect<A> | undefined): Effect.Effect<A> =>
        Effect.callback((resume) => {
          const check = () => {
            const result = poll()
            if (result !== undefined)
              resume(
                Effect.ensuring(
                  result,
                  Effect.sync(() => waiting.delete(check))
                )
              )
          }
          waiting.add(check)
          check()
          return Effect.sync(() => waiting.delete(check))
        })
      return {
        process: child,
        kill: (signal: NodeJS.Signals) => void child.kill(signal),
        says: (text: string) =>
          until(() => {
            if ((stdout + stderr).includes(text)) return Effect.void
            return ended && Effect.die(new Error(`It ended without saying "${text}":\n${stdout}\n${stderr}`))
          }),
        end: until(() => ended && Effect.succeed(ended))
      }
    }),
    (child) =>
      Effect.suspend(() => {
        child.kill("SIGKILL")
        return child.end
      })
  )

/** The `skein` command. */
export const skein = (args: ReadonlyArray<string>, options: Options = {}): Effect.Effect<Child, never, Scope.Scope> =>
  start([resolve(import.meta.dirname, "../../src/cli/main.ts"), ...args], options)

/** The `skein` command, to its end. */
export const run = (args: ReadonlyArray<string>, options: Options = {}): Effect.Effect<Ended> =>
  Effect.scoped(Effect.flatMap(skein(args, options), ({ end }) => end))

/** Also where a test has made folders in it that may not be written to. */
const removed = (folder: string): void => {
  try {
    rmSync(folder, { recursive: true, force: true })
  } catch {
    for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
      if (entry.isDirectory()) chmodSync(join(entry.parentPath, entry.name), 0o700)
    }
    rmSync(folder, { recursive: true, force: true })
  }
}

/** An empty folder that goes with the scope. */
export const folder: Effect.Effect<string, never, Scope.Scope> = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "skein-"))),
  (path) => Effect.sync(() => removed(path))
)
