/** What does a browser load for a program with a TaskGroup? */
import { bundle } from "../test/support/bundle.ts"
import type { Group } from "./support/group.ts"

const kilobytes = (program: string) => async () => (await bundle(program)).gzipped / 1000

const effect = `
  import * as Effect from "effect/Effect"
  Effect.runPromise(Effect.succeed(1)).then(console.log)
`
const fork = `
  import * as Effect from "effect/Effect"
  import * as Fiber from "effect/Fiber"
  const program = Effect.gen(function*() {
    const one = yield* Effect.forkChild(Effect.succeed(1))
    const two = yield* Effect.forkChild(Effect.succeed(2))
    return (yield* Fiber.join(one)) + (yield* Fiber.join(two))
  })
  Effect.runPromise(program).then(console.log)
`
const taskGroup = `
  import * as Effect from "effect/Effect"
  import { TaskGroup } from "skein"
  const program = TaskGroup.open(Effect.gen(function*() {
    const one = yield* TaskGroup.spawn(Effect.succeed(1))
    const two = yield* TaskGroup.spawn(Effect.succeed(2), { name: "two" })
    return (yield* one.join) + (yield* two.join)
  }))
  Effect.runPromise(program).then(console.log)
`

const group: Group = {
  title: "A program for the browser, minified and gzipped",
  unit: "kB",
  better: "less",
  baseline: "Effect alone",
  rounds: 1,
  rows: [
    { name: "Effect alone", kind: "floor", measure: kilobytes(effect) },
    { name: "with forkChild", kind: "raw", measure: kilobytes(fork) },
    { name: "with TaskGroup", kind: "ours", goal: { limit: 20 }, measure: kilobytes(taskGroup) }
  ]
}
export default group
