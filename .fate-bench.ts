import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
const dir = process.argv[2]!
const { Journal, Pipeline, Sink } = await import(`${dir}/src/index.ts`)
const n = 100_000
const source = { name: "numbers", resumable: true, size: Effect.succeed(Option.none()), fingerprint: () => Effect.succeed({}),
  read: () => Stream.map(Stream.range(1, n), (k: number) => ({ value: k, position: k, bytes: 8 })) }
const run = (steps: any) => Effect.runPromise(Pipeline.run(steps(Pipeline.from(source)).pipe(Pipeline.to(Sink.discard)), { name: "b" }).pipe(Effect.provide(Journal.memory)) as any)
const cases: Record<string, any> = {

  map: (p: any) => p.pipe(Pipeline.map((k: number) => k + 1)),
  filter: (p: any) => p.pipe(Pipeline.filter((k: number) => k % 4 === 0)),


  flat2: (p: any) => p.pipe(Pipeline.flatMap((k: number) => [k, k]), Pipeline.flatMap((k: number) => [k, k])),

}
const out: Record<string, number> = {}
for (const [name, steps] of Object.entries(cases)) {
  let best = Infinity
  for (let i = 0; i < 14; i++) {
    const before = process.cpuUsage()
    await run(steps)
    const { user, system } = process.cpuUsage(before)
    best = Math.min(best, ((user + system) * 1000) / n)
  }
  out[name] = Math.round(best)
}
console.log(JSON.stringify(out))
