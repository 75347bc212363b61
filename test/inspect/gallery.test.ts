/** Sick programs: what is wrong with each is told by `skein tree` in words, by the name of the task, and at the line. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { Inspect } from "skein/inspect"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import * as Child from "../support/child.ts"
import * as Command from "../support/command.ts"
import { runtimeFolder } from "../support/runtimeFolder.ts"

interface Sick {
  readonly kind: Inspect.Finding["kind"]
  readonly message: RegExp
  /** By the name of the program, where the line is that is marked. */
  readonly isPlaced: boolean
}

const placed = (kind: Sick["kind"], message: RegExp): Sick => ({ kind, message, isPlaced: true })
const named = (kind: Sick["kind"], message: RegExp): Sick => ({ kind, message, isPlaced: false })

const gallery: Readonly<Record<string, Sick>> = {
  deadlock: placed("deadlock", /"(transfer|report)" waits for .*"(transfer|report)" waits for/),
  fibers: placed("deadlock", /"(hen|egg)" waits for .*"(hen|egg)" waits for/),
  itself: placed("waits-for-itself", /"tail" waits for .*"ouroboros"/),
  blocked: named("blocks-the-loop", /"primes"/),
  leak: named("tasks-grow", /"clients"/),
  permit: placed("permit-held", /"hoarder"/),
  orphan: named("orphan", /"legacy export"/),
  cleanup: placed("cleanup-stuck", /"upload"/),
  queue: named("queue-grows", /"letter \d+"/),
  step: named("step-slow", /"resize".*"images"/),
  lease: named("lease-stalled", /"nightly"/)
}

const lineOf = (program: string): number =>
  1 +
  readFileSync(program, "utf8")
    .split("\n")
    .findIndex((line) => line.endsWith("// here"))

describe.skipIf(process.platform === "win32")("a sick program", () => {
  it.effect.each(Object.entries(gallery))("%s", ([name, { isPlaced, kind, message }]) =>
    Effect.gen(function* () {
      const folder = yield* runtimeFolder
      const program = join(import.meta.dirname, "gallery", `${name}-program.ts`)
      const file = join(folder, "given")
      const child = yield* Child.start([program, file], { cwd: folder })
      yield* child.says("sick")
      if (name === "blocked") {
        // While it is blocked, only the watchdog can tell.
        yield* child.says(`${name}-program.ts:${lineOf(program)}`)
        writeFileSync(file, "")
      }
      const pid = String(child.process.pid)
      const look = (...options: ReadonlyArray<string>) => Command.run(folder, "tree", pid, ...options)
      // Each look is an answer of the process: there is no waiting in between.
      let found: Inspect.Finding | undefined
      for (let looks = 0; found === undefined && looks < 1000; looks++) {
        const { code, stderr, stdout } = yield* look("--json")
        expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
        found = (JSON.parse(stdout) as Inspect.Snapshot).findings.find(
          (finding) => finding.kind === kind && message.test(finding.message)
        )
      }
      expect(found?.advice).toMatch(/^[A-Z].{20}/)
      const tree = (yield* look()).stdout
      expect(tree).toMatch(message)
      if (isPlaced) expect(tree).toContain(`${name}-program.ts:${lineOf(program)}`)
      child.kill("SIGKILL")
      yield* child.end
    }).pipe(Effect.scoped)
  )
})
