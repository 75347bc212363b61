/** The programs of docs/examples, each in a process of its own, in a folder of its own. */
import * as Effect from "effect/Effect"
import { readFileSync } from "node:fs"
import { join, resolve } from "node:path"
import { DatabaseSync } from "node:sqlite"
import * as Child from "./child.ts"

const examples = resolve(import.meta.dirname, "../../docs/examples")

/** A name such as "copy", or "twins/copy". */
export const path = (name: string): string => join(examples, `${name}.ts`)

export const start = (name: string, cwd: string, args: ReadonlyArray<string> = []) =>
  Child.start([path(name), ...args], { cwd })

/** Runs it to its end, which has to be a good one; gives what it said. */
export const run = (name: string, cwd: string, args: ReadonlyArray<string> = []): Effect.Effect<string> =>
  Effect.scoped(Effect.flatMap(start(name, cwd, args), ended))

export const ended = (child: Child.Child): Effect.Effect<string> =>
  Effect.map(child.end, ({ code, signal, stderr, stdout }) => {
    if (code !== 0) throw new Error(`It ended with ${signal ?? code}:\n${stdout}\n${stderr}`)
    return stdout
  })

/** Ends it with no chance to clean up; fails where it had come to its end. */
export const kill = (child: Child.Child): Effect.Effect<void> =>
  Effect.flatMap(
    Effect.suspend(() => {
      child.kill("SIGKILL")
      return child.end
    }),
    ({ signal, stderr, stdout }) =>
      signal === "SIGKILL" ? Effect.void : Effect.die(new Error(`It had ended before:\n${stdout}\n${stderr}`))
  )

/** Completes once that is so; dies when the program has ended before. */
export const until = (child: Child.Child, holds: () => boolean | Promise<boolean>): Effect.Effect<void> =>
  child.does(holding(holds))

const holding = (holds: () => boolean | Promise<boolean>): Effect.Effect<void> =>
  Effect.flatMap(
    Effect.promise(async () => holds()),
    (so) => (so ? Effect.void : Effect.delay(holding(holds), "5 millis"))
  )

/** Of an SQLite file that others may be writing to; none where it is not there yet, or not the table. */
export const rows = (file: string, sql: string): ReadonlyArray<Record<string, unknown>> => {
  let database
  try {
    database = new DatabaseSync(file, { readOnly: true, timeout: 10_000 })
    return database
      .prepare(sql)
      .all()
      .map((row) => ({ ...row }))
  } catch {
    return []
  } finally {
    database?.close()
  }
}

/** Lines that are neither blank nor comment. */
export const lines = (name: string): number =>
  readFileSync(path(name), "utf8")
    .replaceAll(/^\s*\/\*[^]*?\*\/\s*$/gm, "")
    .split("\n")
    .filter((line) => line.trim() !== "" && !line.trim().startsWith("//")).length
