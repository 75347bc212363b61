/** `skein ps`: the processes that can be looked into. */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Clock from "effect/Clock"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Shown from "../concurrency/base/Shown.ts"
import * as Inspected from "../node/Inspected.ts"
import type * as Main from "../node/Main.ts"
import * as Counts from "./view/Counts.ts"
import * as Words from "./view/Words.ts"

const description = `List your processes that can be looked into, the oldest first: number, how long they run, how
  many tasks and runs they have, how many findings of what looks wrong, and what they are.

  A process can be looked into when it was started with SKEIN_INSPECT=1 and is run by \`Main.run\`,
  as \`skein\` is, or when it has the layer \`Inspector.socket()\`. Its socket is in
  $XDG_RUNTIME_DIR/skein, or in the temporary folder, where nobody but you can open it.

  Exit codes: 0 done; 1 failed; 2 wrong usage; 130 cancelled.`

export const ps: Command.Command<"ps", { readonly json: boolean }, {}, unknown, Main.Services> = Command.make(
  "ps",
  { json: Flag.Boolean("json").pipe(Flag.withDescription("Print a line of JSON for each"), Flag.withDefault(false)) },
  ({ json }): Effect.Effect<void, unknown, Main.Services> =>
    Effect.gen(function* () {
      const found = yield* Inspected.list
      const asked = yield* Effect.forEach(
        found,
        (one) => Effect.map(Effect.result(one.snapshot), (answer) => ({ one, answer })),
        { concurrency: 16 }
      )
      const rows = asked.flatMap(({ answer, one: { pid, startedAt, title } }): ReadonlyArray<Row> => {
        if (Result.isFailure(answer)) {
          const error = answer.failure
          return error.isGone
            ? []
            : [{ pid, title, startedAt, tasks: null, runs: null, findings: null, error: error.message }]
        }
        const { findings, groups, runs } = answer.success
        return [
          { pid, title, startedAt, tasks: Counts.of(groups), runs: runs.length, findings: findings.length, error: null }
        ]
      })
      if (json) return yield* Effect.forEach(rows, (row) => Console.log(Shown.json(row)), { discard: true })
      if (rows.length === 0) return yield* Console.log(Inspected.nobody)
      const now = yield* Clock.currentTimeMillis
      for (const line of table(rows, now)) yield* Console.log(line)
      for (const { error } of rows) if (error !== null) yield* Console.error(`note: ${Words.text(error)}`)
    })
).pipe(Command.withShortDescription("List the processes that can be looked into"), Command.withDescription(description))

interface Row {
  readonly pid: number
  readonly title: string
  readonly startedAt: number
  /** Null where the process does not answer. */
  readonly tasks: number | null
  readonly runs: number | null
  readonly findings: number | null
  readonly error: string | null
}

const table = (rows: ReadonlyArray<Row>, now: number): ReadonlyArray<string> => {
  const known = (n: number | null) => (n === null ? "?" : Words.number(n))
  const cells = [
    ["PID", "UP", "TASKS", "RUNS", "FINDINGS", "PROGRAM"],
    ...rows.map(({ findings, pid, runs, startedAt, tasks, title }) => [
      `${pid}`,
      Words.time(now - startedAt),
      known(tasks),
      known(runs),
      known(findings),
      Words.text(title)
    ])
  ]
  const widths = (cells[0] ?? []).map((_, i) => Math.max(...cells.map((row) => row[i]?.length ?? 0)))
  return cells.map((row) =>
    row.map((cell, i) => (i === row.length - 1 ? cell : cell.padStart(widths[i] ?? 0))).join("  ")
  )
}
