import * as EffectVitest from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { spawnSync } from "node:child_process"
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join, resolve } from "node:path"
import { afterAll, describe, expect, it as plain } from "vitest"
import { Leaks, Schedules, type Sim } from "skein/testing"
import { extend, it } from "skein/testing/vitest"

interface Registered {
  readonly how: "run" | "skip" | "only"
  readonly name: string
  readonly options: { readonly timeout?: number }
  /** Runs the test, as Vitest would, to see how it ends. */
  readonly outcome: (signal?: AbortSignal) => Promise<Error | undefined>
  /** What the test has told the reporter. */
  readonly annotations: ReadonlyArray<string>
}

/** An `it` that registers tests here, for us to run them and look. */
const registering = () => {
  const tests: Array<Registered> = []
  const register =
    (how: Registered["how"]) =>
    (
      name: string,
      options: Registered["options"],
      f: (context: {
        readonly annotate: (message: string) => Promise<void>
        readonly signal: AbortSignal
      }) => Promise<unknown>
    ) => {
      const annotations: Array<string> = []
      const annotate = async (message: string) => void annotations.push(message)
      const outcome = (signal = new AbortController().signal) =>
        f({ annotate, signal }).then(
          () => undefined,
          (error: unknown) => error as Error
        )
      tests.push({ how, name, options, outcome, annotations })
    }
  const base = Object.assign(register("run"), { skip: register("skip"), only: register("only"), effect: "its own" })
  return { tests, base, it: extend(base as never) }
}

const outcomeOf = async (add: (it: typeof EffectVitest.it & ReturnType<typeof extend>) => void) => {
  const { it, tests } = registering()
  add(it as never)
  return tests[0]!.outcome()
}

/** Adds so many times, and loses when one is preempted between reading and writing. */
const adding = (count: number) =>
  Effect.gen(function* () {
    let total = 0
    const add = Effect.flatMap(
      Effect.sync(() => total),
      (n) => Effect.sync(() => void (total = n + 1))
    )
    yield* Effect.all(
      Array.from({ length: count }, () => add),
      { concurrency: count }
    )
    if (total !== count) return yield* Effect.fail(`${count - total} lost`)
  })

describe("it.sim", () => {
  it.sim("is a test that passes when every schedule does", Effect.sleep("1 hour"), { schedules: 10 })

  plain("fails with the smallest schedule that breaks the effect, the token and the table", async () => {
    const error = await outcomeOf((it) => it.sim("loses", adding(2)))
    expect(error?.name).toBe("BugFound")
    expect(error?.message).toMatch(/^Schedule \d+ fails: 1 lost\n {2}replay: "sim1:[^"]+"\n {2}1 of \d+ choices/)
    expect(error?.message).toMatch(/\n +main +fiber 1 +fiber 2\n/)
    expect(error?.stack).toBe(`BugFound: ${error?.message}`)
  })

  plain("takes the options of Sim.explore", async () => {
    let runs = 0
    const counting = Effect.sync(() => void runs++)
    expect(await outcomeOf((it) => it.sim("counts", counting, { schedules: 7 }))).toBeUndefined()
    expect(runs).toBe(7)
    expect((await outcomeOf((it) => it.sim("checks", counting, { check: () => false })))?.message).toContain(
      "the check says false"
    )
    expect(
      await outcomeOf((it) => it.sim("leaks", Effect.forkDetach(Effect.never), { check: Leaks.check }))
    ).toMatchObject({ name: "BugFound" })
    const natural = Schedules.token({ seed: 0, strategy: "fifo", granularity: "boundary" })
    runs = 0
    expect(await outcomeOf((it) => it.sim("replays", counting, { replay: natural }))).toBeUndefined()
    expect(runs).toBe(1)
    expect(await outcomeOf((it) => it.sim("replays", counting, { replay: "nonsense" }))).toBeInstanceOf(
      Schedules.BadToken
    )
  })

  plain(
    "tells the reporter how many orders an exhaustive search has seen, and fails where there are more",
    async () => {
      const { it, tests } = registering()
      const turns = Effect.all([Effect.yieldNow, Effect.yieldNow, Effect.yieldNow], { concurrency: 3 })
      const options = { granularity: "boundary", exhaustive: true } as const
      it.sim("all", turns, options)
      it.sim("some", turns, { ...options, schedules: 5 })
      it.sim("by chance", turns, { schedules: 5 })
      it.sim("one", turns, { ...options, replay: "sim1:1:boundary:1" })
      it.sim("loses", adding(2), { exhaustive: true })
      const errors = await Promise.all(tests.map(({ outcome }) => outcome()))
      expect(errors.slice(0, 4).map((error) => error?.message)).toEqual([
        undefined,
        "not every order was run: 3 orders of more. Make the program smaller, with fewer fibers and steps, allow fewer " +
          "`preemptions`, or raise `schedules`",
        undefined,
        undefined
      ])
      expect(errors[4]?.message).toMatch(/^Schedule \d+ fails: 1 lost/)
      expect(tests.map(({ annotations }) => annotations)).toEqual([
        ["all 6 orders without preemptions"],
        [],
        [],
        [],
        []
      ])
    }
  )

  plain("gives each run a scope of its own, and an effect of its own where it is told how to make one", async () => {
    const scopes = new Set<Scope.Scope>()
    let closed = 0
    const scoped = Effect.gen(function* () {
      scopes.add(yield* Effect.scope)
      yield* Effect.addFinalizer(() => Effect.sync(() => closed++))
    })
    expect(await outcomeOf((it) => it.sim("scoped", scoped, { schedules: 5 }))).toBeUndefined()
    expect([scopes.size, closed]).toEqual([5, 5])
    let made = 0
    expect(await outcomeOf((it) => it.sim("made", () => (made++, scoped), { schedules: 5 }))).toBeUndefined()
    expect([made, scopes.size, closed]).toEqual([5, 10, 10])
  })

  plain("can be skipped, be the only one, and have a timeout of its own", () => {
    const { it, tests } = registering()
    it.sim("usual", Effect.void)
    it.sim.skip("skipped", Effect.void)
    it.sim.only("only", Effect.void, { timeout: 5 })
    it.sim.prop("property", [Schema.Boolean], () => Effect.void, { timeout: 6 })
    it.everywhere("usual", Effect.void)
    it.everywhere.skip("skipped", Effect.void)
    it.everywhere.only("only", Effect.void, { timeout: 7 })
    expect(tests.map(({ how, name, options }) => [how, name, options])).toEqual([
      ["run", "usual", {}],
      ["skip", "skipped", {}],
      ["only", "only", { timeout: 5 }],
      ["run", "property", { timeout: 6 }],
      ["run", "usual", {}],
      ["skip", "skipped", {}],
      ["only", "only", { timeout: 7 }]
    ])
  })

  plain("is interrupted when the test is over, at its timeout for one", async () => {
    const { it, tests } = registering()
    const endless = Effect.forever(Effect.yieldNow)
    it.sim("endless", endless, { maxOperations: Infinity })
    const error = await tests[0]!.outcome(AbortSignal.timeout(20))
    expect(error?.message).toMatch(/interrupt/i)
  })
})

describe("it.sim.prop", () => {
  it.sim.prop(
    "is a test that draws from schemas and arbitraries",
    [Schema.Int, Arbitrary.schema(Schema.String)],
    (n, text) => (Number.isInteger(n) && typeof text === "string" ? Effect.void : Effect.fail("no"))
  )

  const upTo = (maximum: number) => Schema.Int.check(Schema.isBetween({ minimum: 1, maximum }))

  plain("fails with the smallest input that some schedule breaks, and the smallest such schedule", async () => {
    const error = await outcomeOf((it) => it.sim.prop("loses", [upTo(9), Schema.Boolean], adding))
    expect(error?.name).toBe("BugFound")
    expect(error?.message).toMatch(
      /^with the input 2, false: Schedule \d+ fails: 1 lost\n {2}replay: "[^/"]+\/sim1:[^"]+"\n {2}1 of \d+ choices/
    )
  })

  plain("replays input and order, which are on one line", async () => {
    const inputs: Array<number> = []
    const test = (replay?: string) =>
      outcomeOf((it) =>
        it.sim.prop(
          "loses",
          [upTo(9), Schema.Boolean],
          (count) => {
            inputs.push(count)
            return adding(count)
          },
          { replay }
        )
      )
    const pair = /replay: "(.+)"/.exec((await test())?.message ?? "")?.[1]
    inputs.length = 0
    const again = await test(pair)
    expect(again?.message).toContain(`with the input 2, false: Schedule 1 fails: 1 lost\n  replay: "${pair}"\n`)
    expect(inputs.at(-1)).toBe(2)
    for (const bad of ["nonsense", `${pair?.split("/")[0]}`, "!/sim1:0:op:"]) {
      const error = await test(bad)
      expect(error).toBeInstanceOf(Schedules.BadToken)
      expect(error?.message).toContain(`Cannot replay "${bad}": it has not an input, a slash and an order`)
    }
    expect(await test(`${pair?.split("/")[0]}/sim1:x`)).toBeInstanceOf(Schedules.BadToken)
  })

  plain("passes the replay of what does not fail any more", async () => {
    const error = await outcomeOf((it) => it.sim.prop("fails", [Schema.Boolean], () => Effect.fail("no")))
    const replay = /replay: "(.+)"/.exec(error?.message ?? "")?.[1]
    expect(
      await outcomeOf((it) => it.sim.prop("fixed", [Schema.Boolean], () => Effect.void, { replay }))
    ).toBeUndefined()
  })

  plain("draws 50 inputs and explores 20 schedules of each by default, or as it is told", async () => {
    const runs = new Map<number, number>()
    const count = (n: number) => Effect.sync(() => void runs.set(n, (runs.get(n) ?? 0) + 1))
    const drawing = Arbitrary.map(Arbitrary.schema(Schema.Int), () => draws++)
    let draws = 0
    expect(await outcomeOf((it) => it.sim.prop("counts", [drawing], count))).toBeUndefined()
    expect([runs.size, new Set(runs.values())]).toEqual([50, new Set([20])])
    runs.clear()
    const options = { schedules: 3, arbitrary: { runs: 4 } }
    expect(await outcomeOf((it) => it.sim.prop("counts", [drawing], count, options))).toBeUndefined()
    expect([runs.size, new Set(runs.values())]).toEqual([4, new Set([3])])
  })

  plain("goes through all orders of each input, if it is told to", async () => {
    const all = { exhaustive: { preemptions: 1 }, arbitrary: { runs: 5 } } as const
    const guarded = (count: number) => Effect.replicateEffect(Effect.yieldNow, count)
    expect(await outcomeOf((it) => it.sim.prop("passes", [upTo(3)], guarded, all))).toBeUndefined()
    expect((await outcomeOf((it) => it.sim.prop("loses", [upTo(3)], adding, all)))?.message).toMatch(
      /^with the input 2: Schedule \d+ fails: 1 lost/
    )
    const few = { ...all, schedules: 1 }
    const forks = (count: number) =>
      Effect.all(
        Array.from({ length: count }, () => Effect.yieldNow),
        { concurrency: 3 }
      )
    expect((await outcomeOf((it) => it.sim.prop("gives up", [upTo(3)], forks, few)))?.message).toMatch(
      /^not every order was run: 1 order of more/
    )
  })

  plain("fails where no input can be drawn", async () => {
    const none = Arbitrary.filter(Arbitrary.schema(Schema.Int), () => false)
    expect((await outcomeOf((it) => it.sim.prop("draws", [none], () => Effect.void)))?.message).toMatch(
      /discard|exhaust/i
    )
  })

  plain("does not pass what fails only now and then", async () => {
    let runs = 0
    const error = await outcomeOf((it) =>
      it.sim.prop("state outside", [Schema.Boolean], () =>
        Effect.suspend(() => (++runs === 3 ? Effect.fail("now") : Effect.void))
      )
    )
    expect(error?.message).toMatch(/^with the input \w+: A run fails \(now\), but not in the same way twice: /)
    expect(error?.name).toBe("OutsideNondeterminism")
  })

  plain("takes the check of Sim.explore, and gives each run a scope", async () => {
    let closed = 0
    const scoped = (n: number) =>
      Effect.as(
        Effect.addFinalizer(() => Effect.sync(() => closed++)),
        n
      )
    const even = ({ exit }: Sim.Run<number, never>) => Exit.isSuccess(exit) && exit.value % 2 === 0
    const error = await outcomeOf((it) => it.sim.prop("even", [upTo(100)], scoped, { check: even }))
    expect(error?.message).toContain("with the input 1: Schedule 1 fails: the check says false")
    expect(closed).toBeGreaterThan(3)
  })
})

describe("it.everywhere", () => {
  it.everywhere(
    "is a test that passes when no interruption leaves anything",
    Effect.scoped(Effect.acquireRelease(Effect.yieldNow, () => Effect.yieldNow))
  )

  const late = Effect.gen(function* () {
    let open = 0
    yield* Leaks.watch("file", () => open)
    yield* Effect.sync(() => open++)
    yield* Effect.ensuring(
      Effect.yieldNow,
      Effect.sync(() => open--)
    )
  })

  plain("fails with the place where something is left, and takes the options of Interrupt.everywhere", async () => {
    const error = await outcomeOf((it) => it.everywhere("late", late))
    expect(error?.name).toBe("BugFound")
    expect(error?.message).toContain("1 × file is not given back")
    expect(error?.message).toMatch(/:interrupt@\d+\/0"/)
    expect(await outcomeOf((it) => it.everywhere("late", late, { at: "suspension" }))).toBeUndefined()
    expect((await outcomeOf((it) => it.everywhere("late", () => late, { check: () => false })))?.message).toContain(
      "the check says false"
    )
  })
})

describe("extend", () => {
  plain("leaves all else as it is, and the it that it extends as well", () => {
    const { base, it } = registering()
    expect((it as { readonly effect: unknown }).effect).toBe("its own")
    expect("sim" in base).toBe(false)
    expect(typeof it.sim).toBe("function")
  })

  it.effect("has it.effect work as that of @effect/vitest", () => Effect.void)

  extend(EffectVitest.makeMethods(EffectVitest.test.extend("port", () => 3000)))(
    "keeps fixtures",
    ({ expect, port }) => {
      expect(port).toBe(3000)
    }
  )

  extend(EffectVitest.makeMethods(EffectVitest.test.extend("port", () => 3000))).sim(
    "explores beside them",
    Effect.sleep(1)
  )
})

describe("under Vitest itself", () => {
  const root = resolve(import.meta.dirname, "../..")
  mkdirSync(join(root, ".cache"), { recursive: true })
  const folder = mkdtempSync(join(root, ".cache/vitest-"))
  afterAll(() => rmSync(folder, { recursive: true }))

  plain("tests pass, fail, are skipped and time out as they should", () => {
    writeFileSync(
      join(folder, "a.test.ts"),
      `import * as Effect from "effect/Effect"
       import * as Schema from "effect/Schema"
       import { Choices } from "skein/testing"
       import { it } from "skein/testing/vitest"
       const unlucky = Effect.flatMap(Choices.choose(4), (n) => (n === 3 ? Effect.fail("unlucky") : Effect.void))
       it.sim("passes", Effect.sleep("1 hour"))
       it.sim("fails", unlucky)
       it.sim.skip("is skipped", unlucky)
       it.sim.prop("property fails", [Schema.Boolean], () => unlucky)
       it.everywhere("everywhere", Effect.sleep("1 hour"))
       it.sim("times out", Effect.forever(Effect.yieldNow), { maxOperations: Infinity, timeout: 50 })
      `
    )
    writeFileSync(
      join(folder, "b.test.ts"),
      `import * as Effect from "effect/Effect"
       import { it } from "skein/testing/vitest"
       it.sim("is not the only one", Effect.die("it should not run"))
       it.sim.only("is the only one", Effect.void)
      `
    )
    const vitest = join(root, "node_modules/vitest/vitest.mjs")
    const config = join(folder, "vitest.config.ts")
    writeFileSync(
      config,
      `export default {
         ssr: { resolve: { conditions: ["skein-source", "module", "node", "development|production"] } },
         test: { include: ["*.test.ts"], allowOnly: true, execArgv: ["--conditions=skein-source"] }
       }`
    )
    const args = [
      vitest,
      "run",
      "--root",
      folder,
      "--config",
      config,
      "--reporter",
      "json",
      "--outputFile",
      "report.json"
    ]
    spawnSync(process.execPath, args, { cwd: folder, encoding: "utf8" })
    const report = JSON.parse(readFileSync(join(folder, "report.json"), "utf8")) as {
      readonly testResults: ReadonlyArray<{
        readonly assertionResults: ReadonlyArray<{
          readonly title: string
          readonly status: string
          readonly failureMessages: ReadonlyArray<string>
        }>
      }>
    }
    const results = report.testResults.flatMap(({ assertionResults }) => assertionResults)
    expect(Object.fromEntries(results.map(({ status, title }) => [title, status]))).toEqual({
      passes: "passed",
      fails: "failed",
      "is skipped": "skipped",
      "property fails": "failed",
      everywhere: "passed",
      "times out": "failed",
      "is not the only one": "skipped",
      "is the only one": "passed"
    })
    const messageOf = (name: string) => results.find(({ title }) => title === name)?.failureMessages.join("\n")
    expect(messageOf("fails")).toMatch(/Schedule \d+ fails: unlucky\n {2}replay: "sim1:/)
    expect(messageOf("property fails")).toMatch(/with the input false: Schedule \d+ fails: unlucky/)
    expect(messageOf("times out")).toContain("50ms")
  })
})
