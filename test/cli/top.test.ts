/** `skein top`: what it draws and does with keys, and in a real pseudo terminal that it gives the terminal back. */
/* oxlint-disable no-control-regex -- what a terminal obeys is what is tested */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { execFileSync, spawn, spawnSync } from "node:child_process"
import { join, resolve } from "node:path"
import type { GroupView, RunView, Snapshot, TaskView } from "../../src/inspect/context/Snapshot.ts"
import * as Dashboard from "../../src/cli/view/Dashboard.ts"
import * as Screen from "../../src/cli/view/Screen.ts"
import * as Child from "../support/child.ts"

const task = (id: number, fields: Partial<TaskView> = {}): TaskView => ({
  id,
  name: `task ${id}`,
  kind: "task",
  parent: null,
  group: "server",
  state: "running",
  since: 1000 - id,
  waitsFor: null,
  groups: [],
  work: null,
  places: [],
  ...fields
})
const group = (tasks: ReadonlyArray<TaskView>): GroupView => ({ name: "server", state: "open", tasks })
const snapshot = (tasks: ReadonlyArray<TaskView>, fields: Partial<Snapshot> = {}): Snapshot => ({
  formatVersion: 1,
  at: 2000,
  process: { pid: 7, title: "job.ts", startedAt: 0, memory: { resident: 100, heap: 50 }, busy: 0.25 },
  groups: [group(tasks)],
  orphans: [],
  runs: [],
  findings: [],
  history: { kept: 0, dropped: 0 },
  withoutPlaces: null,
  ...fields
})

/** What a terminal of this size shows after these writes; it does not wrap. */
const terminal = (size: Dashboard.Size) => {
  let lines = Array.from({ length: size.rows }, () => "")
  let written: ReadonlyArray<number> = []
  let [row, column] = [0, 0]
  const write = (text: string) => {
    for (const [, escape, plain = ""] of text.matchAll(/(\u001B\[[\d;?]*[A-Za-z])|([^\u001B]+)/g)) {
      const [, numbers = "", letter] = /^\u001B\[([\d;?]*)([A-Za-z])$/.exec(escape ?? "") ?? []
      if (letter === "H") [row = 0, column = 0] = numbers.split(";").map((n) => Number(n) - 1)
      else if (letter === "J") lines = lines.map(() => "")
      else if (letter === "K") lines[row] = lines[row]!.slice(0, column)
      else if (letter === undefined) {
        lines[row] = (lines[row]!.slice(0, column).padEnd(column) + plain).slice(0, size.columns)
        column = Math.min(size.columns, column + plain.length)
        written = [...written, row]
      }
    }
  }
  return {
    write,
    shown: () => lines.map((line) => line.trimEnd()),
    /** The rows that were written to since the last call. */
    touched: () => {
      const rows = written
      written = []
      return rows
    }
  }
}

const plain = (lines: ReadonlyArray<string>): ReadonlyArray<string> =>
  lines.map((line) => line.replaceAll(/\u001B\[\d+m/g, ""))
const size = { columns: 100, rows: 10 }
const drawn = (seen: Snapshot, view = Dashboard.start, problem?: string) => Dashboard.draw(seen, view, size, problem)
const tasksIn = (lines: ReadonlyArray<string>) => plain(lines).flatMap((line) => /task \d+/.exec(line)?.[0] ?? [])

describe("the screen", () => {
  it("is written where it changed, and nowhere else", () => {
    const { shown, touched, write } = terminal(size)
    const first = drawn(snapshot([task(1), task(2), task(3)])).lines
    write(Screen.whole(first))
    expect(shown().filter((line) => line !== "")).toEqual(plain(first).map((line) => line.trimEnd()))
    touched()
    const second = drawn(snapshot([task(1), task(2, { waitsFor: "a permit" }), task(3)])).lines
    write(Screen.changes(first, second))
    expect(shown().filter((line) => line !== "")).toEqual(plain(second).map((line) => line.trimEnd()))
    expect(touched()).toEqual([plain(second).findIndex((line) => line.includes("a permit"))])
    expect(Screen.changes(second, second)).toBe("")
    // What is no longer there goes.
    const third = drawn(snapshot([task(1)])).lines
    write(Screen.changes(second, third))
    expect(shown().filter((line) => line !== "")).toEqual(plain(third).map((line) => line.trimEnd()))
  })

  it("is drawn at once where a terminal knows how to", () => {
    expect(Screen.changes([], ["a"])).toBe("\u001B[?2026h\u001B[1;1Ha\u001B[0m\u001B[K\u001B[?2026l")
  })

  it("fits, whatever its size, and has nothing that a terminal obeys", () => {
    const hostile = "a\u001B[2J\nb\u202E"
    const run: RunView = {
      name: hostile,
      partition: null,
      state: "running",
      steps: [],
      settled: 5,
      written: 5,
      dead: 1,
      inFlight: 2,
      lag: 3,
      rate: 10,
      elapsed: 100,
      eta: 1000,
      commit: { at: 1900, rows: 5, took: 3, count: 1 },
      leaseUntil: 5000
    }
    const seen = snapshot(
      Array.from({ length: 100 }, (_, i) => task(i, { name: hostile, waitsFor: hostile })),
      {
        findings: Array.from({ length: 9 }, () => ({
          kind: "deadlock" as const,
          task: null,
          message: hostile,
          advice: hostile,
          places: []
        })),
        runs: [run, run, run, run, run]
      }
    )
    for (const rows of [1, 2, 3, 5, 10, 24, 60]) {
      const { lines } = Dashboard.draw(seen, Dashboard.start, { columns: 40, rows }, undefined)
      expect(lines.length).toBeLessThanOrEqual(rows)
      expect(plain(lines).join("")).not.toMatch(/[\u0000-\u001F\u202E]/)
      if (rows === 24) {
        expect(lines.length).toBe(rows)
        expect(plain(lines).join("\n")).toContain("… and 5 more findings")
      }
    }
  })
})

describe("a key", () => {
  const seen = snapshot([
    task(1, { waitsFor: "b", work: { fibers: 1, isRunnable: false, busy: 1, scheduled: 0, idle: 0 } }),
    task(2, { state: "cancelling", work: { fibers: 1, isRunnable: true, busy: 9, scheduled: 0, idle: 0 } }),
    task(10, { waitsFor: "a" })
  ])
  it.each([
    ["a", ["task 10", "task 2", "task 1"]],
    ["b", ["task 2", "task 1", "task 10"]],
    ["n", ["task 1", "task 2", "task 10"]],
    ["s", ["task 2", "task 1", "task 10"]],
    ["w", ["task 10", "task 1", "task 2"]]
  ])("%s sorts, and r turns it round", (key, order) => {
    const view = Dashboard.press(Dashboard.start, key, size)!
    expect(tasksIn(drawn(seen, view).lines)).toEqual(order)
    expect(tasksIn(drawn(seen, Dashboard.press(view, "r", size)).lines)).toEqual(order.toReversed())
  })

  it("scrolls, no further than there is something to see", () => {
    const many = snapshot(Array.from({ length: 50 }, (_, i) => task(50 - i, { since: i })))
    const after = (...keys: ReadonlyArray<string>) => {
      let view = Dashboard.start
      for (const key of keys) view = drawn(many, Dashboard.press(view, key, size)).view
      return view.above
    }
    expect(after("up")).toBe(0)
    expect(after("down", "j", "k")).toBe(1)
    expect(after("pagedown")).toBe(5)
    expect(after("pagedown", "pageup", "pageup")).toBe(0)
    expect(after("end")).toBe(43)
    expect(after("end", "down", "up")).toBe(42)
    expect(after("end", "home")).toBe(0)
    expect(after("end", "a")).toBe(0)
    expect(plain(drawn(many, { ...Dashboard.start, above: 3 }).lines).join("\n")).toContain("(4 to 10 of 50)")
  })

  it("q leaves, and others do nothing", () => {
    expect(Dashboard.press(Dashboard.start, "q", size)).toBeUndefined()
    expect(Dashboard.press(Dashboard.start, "x", size)).toBe(Dashboard.start)
  })
})

it("a process that does not answer is told of over what it answered last", () => {
  const { lines } = drawn(snapshot([task(1)]), Dashboard.start, "Process 7 has not answered")
  expect(plain(lines)[1]).toBe("Process 7 has not answered")
  expect(tasksIn(lines)).toEqual(["task 1"])
})

/** `script` of util-linux; that of BSD has other options. */
const hasScript = spawnSync("script", ["--version"], { encoding: "utf8" }).stdout?.includes("util-linux") ?? false

interface Pty {
  readonly type: (text: string) => void
  /** Completes once this holds for what was written since the last time. */
  readonly shows: (pattern: RegExp) => Effect.Effect<void>
  readonly output: () => string
}

/** A shell in a terminal of 100 columns and 12 rows. */
const pty = (command: string, env: Readonly<Record<string, string>>): Effect.Effect<Pty, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => {
        const child = spawn("script", ["-qfec", `stty rows 12 cols 100; tty; ${command}`, "/dev/null"], {
          env: { ...process.env, ...env },
          stdio: ["pipe", "pipe", "ignore"]
        })
        return { child, closed: new Promise<void>((resolve) => child.on("close", () => resolve())) }
      }),
      ({ child, closed }) =>
        Effect.promise(() => {
          child.stdin.end()
          child.kill()
          return closed
        })
    ),
    ({ child }) => {
      let [all, read] = ["", 0]
      const checks = new Set<() => void>()
      child.stdout.setEncoding("utf8").on("data", (text: string) => {
        all += text
        checks.forEach((check) => check())
      })
      return {
        type: (text) => void child.stdin.write(text),
        output: () => all,
        shows: (pattern) =>
          Effect.callback((resume) => {
            const check = () => {
              const match = pattern.exec(all.slice(read))
              if (match === null) return
              read += match.index + match[0].length
              checks.delete(check)
              resume(Effect.void)
            }
            checks.add(check)
            check()
          })
      }
    }
  )

describe("in a terminal", () => {
  if (!hasScript) {
    it.skip("needs `script` of util-linux for a pseudo terminal, which is not here", () => {})
    return
  }

  const skein = `"${process.execPath}" ${Child.flags.map((flag) => `"${flag}"`).join(" ")} "${resolve(import.meta.dirname, "../../src/cli/main.ts")}"`
  /** What the terminal is set to is told behind it. */
  const told = `; echo "code $?" $(stty -a | grep -ow -e '-icanon' -e '-echo')"."`
  const program = join(import.meta.dirname, "../node/inspected-program.ts")
  const given = /\u001B\[0m\u001B\[\?7h\u001B\[\?25h\u001B\[\?1049l/
  const watched = Effect.gen(function* () {
    const env = { XDG_RUNTIME_DIR: yield* Child.folder, SKEIN_INSPECT: "1" }
    const child = yield* Child.start([program, "waits"], { env })
    yield* child.says("ready")
    return { env: { ...env, SKEIN_INSPECT: "" }, child }
  })

  it.live("it draws, sorts, resizes, leaves with q, and gives the terminal back", () =>
    Effect.gen(function* () {
      const { env } = yield* watched
      const { output, shows, type } = yield* pty(`${skein} top --interval 100ms${told}`, env)
      yield* shows(
        /\u001B\[\?1049h\u001B\[\?25l\u001B\[\?7l[^]*\u001B\[\?2026h\u001B\[2J[^]*\[age\][^]*writer[^]*1 of 1 permits/
      )
      type("n")
      yield* shows(/\[name\]/)
      const [tty = ""] = /\/dev\/\S+/.exec(output()) ?? []
      execFileSync("stty", ["-F", tty, "rows", "3", "cols", "60"])
      // All of it anew, and only as much as there is room for.
      yield* shows(/\u001B\[\?2026h\u001B\[2J\u001B\[1;1H[^]*\u001B\[3;1H[^]*\u001B\[\?2026l/)
      expect(output().split("\u001B[2J").at(-1)).not.toContain("\u001B[4;1H")
      type("q")
      yield* shows(given)
      yield* shows(/code 0 *\./)
    })
  )

  it.live.each([
    ["Ctrl-C", "\u0003"],
    ["Esc", "\u001B"]
  ] as const)("it leaves with %s", ([, key]) =>
    Effect.gen(function* () {
      const { env } = yield* watched
      const { shows, type } = yield* pty(`${skein} top${told}`, env)
      yield* shows(/writer/)
      type(key)
      yield* shows(given)
      yield* shows(/code 0 *\./)
    })
  )

  it.live("it gives the terminal back when it is killed, and when the process ends that it shows", () =>
    Effect.gen(function* () {
      const { child, env } = yield* watched
      const { output, shows } = yield* pty(`sh -c 'echo pid $$; exec ${skein} top --interval 100ms'${told}`, env)
      yield* shows(/writer/)
      process.kill(Number(/pid (\d+)/.exec(output())?.[1]), "SIGTERM")
      yield* shows(given)
      yield* shows(/code 130 *\./)
      const second = yield* pty(`${skein} top --interval 100ms${told}`, env)
      yield* second.shows(/writer/)
      child.kill("SIGTERM")
      yield* second.shows(given)
      yield* second.shows(/note: process \d+ has ended/)
      yield* second.shows(/code 0 *\./)
    })
  )
})

it.effect("without a terminal it says so", () =>
  Effect.gen(function* () {
    const { code, stderr, stdout } = yield* Child.run(["top"])
    expect({ code, stdout, stderr }).toEqual({
      code: 1,
      stdout: "",
      stderr: "error: There is no terminal to draw on. `skein tree` prints what there is to see.\n"
    })
  })
)
