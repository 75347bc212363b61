/** What programs weigh in a browser, by entry point: kilobytes, gzipped, with Effect. What is not used has to stay out. */
import { expect, it } from "vitest"
import { type Bundle, bundle } from "./support/bundle.ts"

const bundles = new Map<string, Promise<Bundle>>()
const bundleOf = (program: string): Promise<Bundle> => {
  const known = bundles.get(program) ?? bundle(program)
  bundles.set(program, known)
  return known
}

const run = (names: string, entry: string, program: string): string => `
  import * as Effect from "effect/Effect"
  import { ${names} } from "${entry}"
  Effect.runPromise(${program}).then(console.log)
`

const group = run(
  "TaskGroup",
  "skein",
  `TaskGroup.open(Effect.gen(function*() {
    const one = yield* TaskGroup.spawn(Effect.succeed(1))
    const two = yield* TaskGroup.spawn(Effect.succeed(2), { name: "two" })
    return (yield* one.join) + (yield* two.join)
  }))`
)
const limiter = run(
  "Limiter",
  "skein",
  "Effect.flatMap(Limiter.concurrency(2), (limiter) => limiter.withPermit(Effect.succeed(1)))"
)

// A budget is a little more than what a program weighs; the goal of the first is 20.
it.each([
  ["tasks in a group", 20, group],
  ["a limiter", 11.1, limiter],
  ["a deadline", 12.4, run("Deadline", "skein", `Deadline.within(Effect.succeed(1), "1 second")`)],
  ["a joiner", 21.7, run("Joiner", "skein", "Joiner.all([Effect.succeed(1), Effect.succeed(2)])")],
  ["a pipeline", 91.3, run("Pipeline", "skein", "Pipeline.collect(Pipeline.from([1, 2]))")],
  ["a simulation", 57.3, run("Sim", "skein/testing", "Sim.run(Effect.succeed(1))")],
  ["the schema of an error", 28, run("schemaOf", "skein/schemas", "Effect.succeed(schemaOf)")]
])("the bundle of %s is within %s kB", async (_, kilobytes, program) => {
  const { gzipped, modules } = await bundleOf(program)
  const largest = modules.slice(0, 20).map(([name, bytes]) => `${String(bytes).padStart(6)} ${name}`)
  if (gzipped > kilobytes * 1000) {
    expect.fail([`${gzipped} bytes, gzipped; the largest modules, minified:`, ...largest].join("\n"))
  }
})

it("an entry point of which nothing is used is nothing in a bundle", async () => {
  const entries = ["skein", "skein/schemas", "skein/testing"].map((entry) => `import "${entry}"`)
  expect((await bundleOf(entries.join("\n"))).modules).toEqual([])
})

it("what tasks, deadlines, joiners and limiters do not use is in none of their bundles", async () => {
  const names = async (program: string) => (await bundleOf(program)).modules.map(([name]) => name)
  const unused = (all: ReadonlyArray<string>, ...parts: ReadonlyArray<string>) =>
    all.filter((name) => parts.some((part) => name.includes(part)))
  const inGroup = await names(group)
  expect(inGroup).toContain("src/concurrency/TaskGroup.ts")
  const texts = [
    "effect/dist/Schema",
    "effect/dist/Logger",
    "effect/dist/Duration",
    "base/ErrorText",
    "base/FailureLog"
  ]
  expect(
    unused(inGroup, ...texts, "limiter/KeyedLimiter", "joiner/", "offload/", "group/Unhandled", "group/Bridge")
  ).toEqual([])
  const inLimiter = await names(limiter)
  expect(inLimiter).toContain("src/concurrency/limiter/ConcurrencyLimiter.ts")
  expect(
    unused(inLimiter, ...texts, "limiter/KeyedLimiter", "limiter/AdaptiveLimiter", "limiter/RateLimiter", "group/")
  ).toEqual([])
})
