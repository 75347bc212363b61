import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { appendFileSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import * as Child from "../support/child.ts"
import * as Programs from "../support/programs.ts"

const request = (n: number) => ({ at: `2026-01-01T00:00:0${n}.000Z`, path: `/${n}`, status: 200 + n, millis: n / 2 })
const line = (n: number) => `${JSON.stringify(request(n))}\n`
const stored = (cwd: string) => Programs.rows(join(cwd, "tail.db"), "SELECT * FROM requests ORDER BY path")

const has = (child: Child.Child, cwd: string, count: number) =>
  Programs.until(child, () => stored(cwd).length === count)
const requests = (count: number) => Array.from({ length: count }, (_, i) => request(i + 1))

describe.concurrent("docs/examples/tail.ts", () => {
  it.live(
    "pauses, is killed, and goes on, through a rotation as well, with each line once",
    () =>
      Effect.gen(function* () {
        const cwd = yield* Child.folder
        const [log, maintenance] = [join(cwd, "access.log"), join(cwd, "maintenance")]
        writeFileSync(log, `${line(1)}{}\n${line(2)}`)

        const first = yield* Programs.start("tail", cwd, [log])
        yield* has(first, cwd, 2)
        writeFileSync(maintenance, "")
        yield* first.says("Paused.")
        appendFileSync(log, `${line(3)}${line(4).slice(0, 10)}`)
        let looks = 0
        first.process.stdout?.on("data", () => looks++)
        yield* Programs.until(first, () => looks > 1)
        yield* Programs.kill(first)
        expect(stored(cwd)).toEqual(requests(2))

        const second = yield* Programs.start("tail", cwd, [log])
        yield* second.says("Paused.")
        rmSync(maintenance)
        yield* second.says("Going on.")
        yield* has(second, cwd, 3)
        appendFileSync(log, line(4).slice(10))
        yield* has(second, cwd, 4)
        renameSync(log, `${log}.1`)
        writeFileSync(log, line(5))
        yield* has(second, cwd, 5)
        second.kill("SIGINT")
        expect(yield* Programs.ended(second)).toMatch(
          /^Stopped: 3 requests, 0 lines that are none; 5 requests in all\.$/m
        )
        expect(stored(cwd)).toEqual(requests(5))
      }),
    300_000
  )

  it.live(
    "comes to what its twin comes to",
    () =>
      Effect.gen(function* () {
        for (const [name, measured] of [
          [
            "tail",
            ['skein_run_written_total{pipeline="tail"} 3', 'skein_step_skipped_total{pipeline="tail",step="parse"} 1']
          ],
          ["twins/tail", ["tail_requests_total 3", "tail_skipped_total 1"]]
        ] as const) {
          const cwd = yield* Child.folder
          const log = join(cwd, "access.log")
          writeFileSync(log, `${line(1)}none\n${line(2)}`)
          const child = yield* Programs.start(name, cwd, [log])
          yield* has(child, cwd, 2)
          appendFileSync(log, line(3))
          yield* has(child, cwd, 3)
          child.kill("SIGINT")
          expect(yield* Programs.ended(child)).toMatch(
            /^Stopped: 3 requests, 1 lines that are none; 3 requests in all\.$/m
          )
          expect(stored(cwd)).toEqual(requests(3))
          const metrics = readFileSync(join(cwd, "tail.prom"), "utf8").split("\n")
          expect(metrics).toEqual(expect.arrayContaining([...measured]))
        }
      }),
    300_000
  )
})
