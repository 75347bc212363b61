/** Kills itself, as `docs/examples/cities.ts` does: prints whether that came in time, for what was asked of the child. */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { Main } from "skein/node"
import * as Processes from "../../docs/examples/cities/processes.ts"

const [role = "", what = ""] = process.argv.slice(2)

if (role === "child") {
  if (what === "goes on") {
    setInterval(() => {}, 1000)
    console.log("1 places")
  }
  if (what === "fails") process.exitCode = 3
} else {
  Main.run(Effect.flatMap(Processes.killOnTheWay(1, ["child", role]), (killed) => Console.log(`killed: ${killed}`)))
}
