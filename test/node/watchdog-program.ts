/** What `Inspector.watchdog.test.ts` runs in processes of their own: one program for each name. */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import { execFileSync } from "node:child_process"
import { existsSync } from "node:fs"
import { TaskGroup } from "skein"
import { Inspector, Main } from "skein/node"

const [, , name = "", file = ""] = process.argv

/** Blocks the loop until the test has seen that this was reported. */
const busy = () => {
  while (!existsSync(file)) continue // here
}

const tell = (entry: Inspector.BlockedEntry) => console.log(JSON.stringify(entry))

/** Goes on for ever: a loaded machine blocks the loop as well, so the test waits for what it looks for. */
const blocking = (block: () => void) =>
  TaskGroup.open(TaskGroup.spawn(Effect.andThen(Effect.sleep(1), Effect.sync(block)), { name: "parse" })).pipe(
    Effect.andThen(Console.log("over")),
    Effect.andThen(Effect.never)
  )

const watched = (options?: Inspector.WatchdogOptions) => Inspector.watchdog({ on: tell, ...options })

const programs: Record<string, () => void> = {
  "a task": () => Main.run(Effect.provide(blocking(busy), watched())),
  "a callback": () => {
    const later = Effect.sync(() => void setTimeout(busy, 1))
    Main.run(Effect.provide(Effect.andThen(later, Effect.never), watched()))
  },
  "outside of JavaScript": () => {
    const wait = `const look = () => require("fs").existsSync(process.argv[1]) || setTimeout(look, 20); look()`
    const block = () => void execFileSync(process.execPath, ["--eval", wait, file])
    Main.run(Effect.provide(blocking(block), watched()))
  },
  metrics: () => {
    const tell = Effect.gen(function* () {
      const ours = (yield* Metric.snapshot).filter(({ id }) => id.startsWith("skein_event_loop"))
      yield* Console.log(ours.map((one) => `${one.id} ${(one.state as { count: number }).count > 0}`).join(", "))
    })
    const on = () => void Effect.runFork(tell)
    Main.run(Effect.provide(blocking(busy), watched({ on })))
  },
  "a listener that throws": () => {
    const on = () => {
      throw new Error("cannot hear")
    }
    Main.run(Effect.provide(blocking(busy), watched({ on })))
  },
  "nothing to do": () => void Effect.runFork(Effect.provide(Effect.never, watched()))
}

programs[name]!()
