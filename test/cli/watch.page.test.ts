/** The page of `skein watch` in a real browser: of a real process, and of one that says what the test makes it say. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/testing/TestClock"
import { join } from "node:path"
import type { Finding, GroupView, RunView, Snapshot, TaskView } from "../../src/inspect/context/Snapshot.ts"
import { SocketError } from "../../src/node/inspector/SocketError.ts"
import * as Server from "../../src/cli/watch/Server.ts"
import * as Child from "../support/child.ts"
import * as Chromium from "../support/chromium.ts"
import { hostile } from "./watched-program.ts"

const inBrowser = Chromium.path === undefined ? describe.skip : process.platform === "win32" ? describe.skip : describe

/** A page of `skein watch` on a real program. */
const watched = (name: string, browser?: (page: Chromium.Page) => Promise<unknown>) =>
  Effect.gen(function* () {
    const folder = yield* Child.folder
    const env = { XDG_RUNTIME_DIR: folder, SKEIN_INSPECT: "1" }
    const child = yield* Child.start([join(import.meta.dirname, "watched-program.ts"), name], { env })
    yield* child.says("ready")
    const skein = yield* Child.skein(["watch", String(child.process.pid)], { env })
    const url = yield* Effect.callback<string>((resume) => {
      skein.process.stdout?.once("data", (text) => resume(Effect.succeed(String(text).trim())))
    })
    const page = yield* shown(url, browser)
    return { child, skein, page, url }
  })

const shown = (url: string, browser: (page: Chromium.Page) => Promise<unknown> = async () => {}) =>
  Effect.gen(function* () {
    const page = yield* Chromium.open("about:blank")
    yield* Effect.promise(() => browser(page))
    yield* Effect.promise(() => page.call("Page.navigate", { url }))
    yield* until(page, "document.getElementById('status')?.textContent === 'live'")
    return page
  })

const until = (page: Chromium.Page, condition: string) =>
  Effect.promise(() =>
    page.ask(`new Promise((done) => { const look = () => (${condition}) ? done(true) : setTimeout(look, 20); look() })`)
  )
const ask = (page: Chromium.Page, expression: string) => Effect.promise(() => page.ask(expression))
const press = (page: Chromium.Page, ...keys: ReadonlyArray<string>) =>
  Effect.promise(async () => {
    for (const key of keys) await page.press(key)
  })
/** The names of the rows that are drawn, from above. */
const names = `[...document.querySelectorAll('#tall .row:not([hidden])')]
  .toSorted((a, b) => parseFloat(a.style.getPropertyValue('--top')) - parseFloat(b.style.getPropertyValue('--top')))
  .map((row) => row.querySelector('.name').textContent)`
const chosen = "document.querySelector('#tall .row.chosen:not([hidden]) .name')?.textContent"
const active =
  "document.getElementById(document.getElementById('tree').getAttribute('aria-activedescendant'))?.getAttribute('aria-label')"

const task = (id: number, fields: Partial<TaskView> = {}): TaskView => ({
  id,
  name: `task ${id}`,
  kind: "task",
  parent: 0,
  group: "main",
  state: "running",
  since: 0,
  waitsFor: null,
  groups: [],
  work: null,
  places: [],
  ...fields
})
const group = (tasks: ReadonlyArray<TaskView>, name = "main"): GroupView => ({
  name,
  state: "open",
  tasks: [task(0, { name, kind: "body", parent: null }), ...tasks]
})
const seen = (fields: Partial<Snapshot>): Snapshot => ({
  formatVersion: 1,
  at: 60_000,
  process: { pid: 4711, title: "node shop.ts", startedAt: 0, memory: { resident: 90, heap: 40 }, busy: 0.25 },
  groups: [],
  orphans: [],
  runs: [],
  findings: [],
  history: { kept: 0, dropped: 0 },
  withoutPlaces: null,
  ...fields
})
const place = { file: "/shop/src/orders.ts", line: 41, column: 7 }
const finding: Finding = {
  kind: "deadlock",
  task: { id: 2, name: "pay 2" },
  message: "pay 2 waits for a permit that ship 3 holds, which waits for pay 2",
  advice: "Take the permits in the same order everywhere.",
  places: [place]
}
const run: RunView = {
  name: "cities",
  partition: null,
  state: "running",
  steps: [
    {
      name: "fetch",
      concurrency: 8,
      waiting: 3,
      working: 4,
      resting: 0,
      taken: 1000,
      given: 990,
      retries: 2,
      skipped: 0,
      dead: 1,
      latency: { p50: 12, p99: 480 }
    }
  ],
  settled: 980,
  written: 970,
  dead: 1,
  inFlight: 20,
  lag: 25,
  rate: 50,
  elapsed: 20_000,
  eta: 61_000,
  commit: { at: 58_000, rows: 500, took: 30, count: 2 },
  leaseUntil: 75_000
}

/** A process that says what it is made to, a second of virtual time after another. */
const told = (first: Partial<Snapshot>) => {
  const process = {
    pid: 4711,
    title: "node shop.ts",
    now: Effect.succeed(seen(first)) as Effect.Effect<Snapshot, SocketError>
  }
  return Object.assign(process, { snapshot: Effect.suspend(() => process.now) })
}

inBrowser(`the page${Chromium.path === undefined ? `: ${Chromium.reason}` : ""}`, () => {
  it.live("shows a real process, and text of its names as text", () =>
    Effect.gen(function* () {
      const { page } = yield* watched("names")
      yield* until(page, "document.querySelectorAll('#tall .row:not([hidden])').length >= 9")
      expect(yield* ask(page, names)).toEqual([
        "server",
        "reader",
        "writer",
        hostile.markup,
        "line·one·[31m·evil·",
        "outer",
        "nested",
        "inner",
        "5 × worker *"
      ])
      expect(yield* ask(page, "document.querySelectorAll('img, body script:not(:last-of-type)').length")).toBe(0)
      expect(yield* ask(page, "document.title")).toMatch(/^\d+ · .*watched-program.ts names · skein watch$/)
      // Its policy holds: nothing makes markup or a script of a text.
      const markup = "(() => { try { document.body.innerHTML = '<i>' } catch (error) { return error.name } })()"
      expect(yield* ask(page, markup)).toBe("TypeError")
      expect(page.requests.map((url) => new URL(url).pathname).filter((path) => path !== "blank")).toEqual([
        "/",
        "/live"
      ])
      expect(page.requests.join()).not.toContain("#")
    })
  )

  it.live("keeps what was seen last when the process ends, and says so", () =>
    Effect.gen(function* () {
      const { child, page } = yield* watched("names")
      yield* until(page, "document.querySelectorAll('#tall .row:not([hidden])').length >= 9")
      child.kill("SIGKILL")
      yield* child.end
      yield* until(page, "document.getElementById('status').className === 'ended'")
      expect(yield* ask(page, "document.getElementById('status').textContent")).toMatch(
        /^Process \d+ has ended[.] This is what was seen of it last[.]$/
      )
      expect((yield* ask(page, names)).length).toBe(9)
    })
  )

  it.live("stays usable with 10,000 tasks: few elements, folded, searched, and gone through by keys", () =>
    Effect.gen(function* () {
      const { page } = yield* watched("many")
      yield* until(page, "document.getElementById('found').textContent === '10,000 tasks'")
      expect(yield* ask(page, names)).toEqual(["server", "10,000 × request *"])
      yield* press(page, "t", "ArrowDown", "ArrowRight")
      yield* until(page, "document.querySelectorAll('#tall .row:not([hidden])').length > 5")
      yield* press(page, "End")
      expect(yield* ask(page, chosen)).toBe("request 9999")
      expect(yield* ask(page, "document.querySelectorAll('#tall .row').length")).toBeLessThan(100)
      expect(yield* ask(page, active)).toMatch(/^request 9999, waits, .*, waits for an answer of shard 15$/)
      yield* press(page, "/", ..."1234")
      yield* until(page, "document.getElementById('found').textContent === '1 of 10,000 tasks'")
      yield* press(page, "Enter", "Home", "ArrowDown")
      expect(yield* ask(page, chosen)).toBe("request 1234")
    })
  )

  it.effect("shows first what looks wrong and what to do, and leads to the task", () =>
    Effect.gen(function* () {
      const many = Array.from({ length: 50 }, (_, i) => task(i + 10, { name: `idle ${i}` }))
      const process = told({
        groups: [group([...many, task(2, { name: "pay 2", waitsFor: "a permit of limiter till", places: [place] })])],
        findings: [finding, { ...finding, kind: "orphan", task: null, message: hostile.markup, places: [] }]
      })
      const { url } = yield* Server.open(process, 0)
      const page = yield* shown(url)
      expect(yield* ask(page, "document.getElementById('wrong').textContent")).toBe("2 things that look wrong")
      const texts = yield* ask(
        page,
        "[...document.querySelectorAll('#findings li')].map((one) => one.innerText.split(/\\s*\\n\\s*/))"
      )
      expect(texts).toEqual([
        [`deadlock${finding.message}`, finding.advice, "/shop/src/orders.ts:41:7", "Show pay 2"],
        [`orphan${hostile.markup}`, finding.advice]
      ])
      // By keys alone, and the button keeps its focus when the next snapshot comes.
      yield* press(page, "f", "Tab")
      expect(yield* ask(page, "document.activeElement.textContent")).toBe("Show pay 2")
      process.now = Effect.succeed(seen({ groups: [group([task(2, { name: "pay 2" })])], findings: [finding] }))
      yield* TestClock.adjust(1000)
      yield* until(page, "document.getElementById('wrong').textContent === '1 thing that looks wrong'")
      expect(yield* ask(page, "document.activeElement.textContent")).toBe("Show pay 2")
      yield* Effect.promise(() => page.ask("document.activeElement.click()"))
      expect(yield* ask(page, chosen)).toBe("pay 2")
      expect(yield* ask(page, "document.activeElement.id")).toBe("tree")
    })
  )

  it.effect("shows the runs with a row a step", () =>
    Effect.gen(function* () {
      const process = told({ runs: [run] })
      const { url } = yield* Server.open(process, 0)
      const page = yield* shown(url)
      const cells =
        "[...document.querySelectorAll('#runs tbody tr')].map((row) => [...row.cells].map((cell) => cell.textContent))"
      expect(yield* ask(page, cells)).toEqual([
        ["fetch", "4 of 8", "3", "", "12 ms", "480 ms", "2", "", "1", "1,000", "990"]
      ])
      expect(yield* ask(page, "document.querySelector('#runs .facts').textContent")).toBe(
        "980 done · 970 written · 50/s · ETA 1m 1s · 20 in flight · lag 25 · 1 dead · commit 2: 500 rows in 30 ms, 2.0 s ago · lease for 15 s"
      )
      const steps = [{ ...run.steps[0]!, taken: 1200 }]
      process.now = Effect.succeed(seen({ at: 61_000, runs: [{ ...run, state: "paused", steps, leaseUntil: 60_500 }] }))
      yield* TestClock.adjust(1000)
      yield* until(page, "document.querySelector('#runs .state').textContent === 'paused'")
      expect((yield* ask(page, cells))[0][3]).toBe("200/s")
      expect(yield* ask(page, "document.querySelector('#runs .facts').textContent")).toContain("its lease ran out")
    })
  )

  it.effect("keeps what is chosen, and where, while tasks come and go", () =>
    Effect.gen(function* () {
      const all = (from: number) => [
        group(Array.from({ length: 500 }, (_, i) => task(from + i, { name: `t${from + i}` })))
      ]
      const process = told({ groups: all(1) })
      const { url } = yield* Server.open(process, 0)
      const page = yield* shown(url)
      yield* press(page, "a", "t", "Home", ...Array.from({ length: 6 }, () => "PageDown"))
      const [name, top] = [
        yield* ask(page, chosen),
        "document.querySelector('#tall .row.chosen').getBoundingClientRect().top"
      ]
      const before = yield* ask(page, top)
      process.now = Effect.succeed(seen({ groups: all(21) }))
      yield* TestClock.adjust(1000)
      yield* until(
        page,
        `${names}.every((name) => name !== 't20') && document.getElementById('found').textContent === '500 tasks'`
      )
      yield* press(page, "x")
      expect(yield* ask(page, chosen)).toBe(name)
      expect(yield* ask(page, top)).toBe(before)
      expect(yield* ask(page, "document.activeElement.id")).toBe("tree")
      expect(yield* ask(page, "document.querySelector('#detail strong').textContent")).toBe(name)
    })
  )

  it.effect("is held and let go, tells of trouble, and has a list of its keys", () =>
    Effect.gen(function* () {
      const process = told({ groups: [group([task(1)])] })
      const { url } = yield* Server.open(process, 0)
      const page = yield* shown(url)
      const status = "document.getElementById('status').textContent"
      yield* press(page, "p")
      expect(yield* ask(page, status)).toBe("held")
      process.now = Effect.succeed(seen({ groups: [group([task(1), task(2)])] }))
      yield* TestClock.adjust(1000)
      process.now = Effect.fail(new SocketError("Process 4711 has not answered for 3 seconds."))
      yield* TestClock.adjust(1000)
      yield* until(page, `${status}.includes('has not answered')`)
      expect(yield* ask(page, names)).toEqual(["main", "task 1"])
      yield* press(page, "p")
      expect(yield* ask(page, names)).toEqual(["main", "task 1", "task 2"])
      yield* press(page, "?")
      expect(yield* ask(page, "document.getElementById('help').open")).toBe(true)
      yield* press(page, "?")
      expect(yield* ask(page, "document.getElementById('help').open")).toBe(false)
    })
  )

  it.effect("names all that can be chosen for those who hear it", () =>
    Effect.gen(function* () {
      const nested = task(1, {
        name: "outer",
        groups: [group([task(3, { name: "inner", waitsFor: "an answer" })], "nested")]
      })
      const { url } = yield* Server.open(told({ groups: [group([nested])], runs: [run], findings: [finding] }), 0)
      const page = yield* shown(url)
      yield* press(page, "t", "End")
      const { nodes } = yield* Effect.promise(() => page.call("Accessibility.getFullAXTree"))
      const all: ReadonlyArray<{ role: string; name: string }> = nodes
        .filter((node: any) => node.ignored !== true)
        .map((node: any) => ({ role: node.role?.value, name: node.name?.value ?? "" }))
      for (const role of ["button", "searchbox", "checkbox", "tree", "treeitem", "region", "table", "rowheader"]) {
        const some = all.filter((node) => node.role === role)
        expect([role, some.length > 0, some.filter(({ name }) => name === "")]).toEqual([role, true, []])
      }
      expect(yield* ask(page, active)).toBe("inner, waits, 1m 0s, waits for an answer")
      const levels = yield* ask(
        page,
        "[...document.querySelectorAll('#tall .row:not([hidden])')].map((row) => row.ariaLevel)"
      )
      expect(levels.toSorted()).toEqual(["1", "2", "3", "4"])
    })
  )

  it.effect("is as wide as the window, down to 320 pixels, by day and by night", () =>
    Effect.gen(function* () {
      const { url } = yield* Server.open(told({ groups: [group([task(1)])], runs: [run], findings: [finding] }), 0)
      const narrow = (scheme: string) => async (page: Chromium.Page) => {
        await page.call("Emulation.setDeviceMetricsOverride", {
          width: 320,
          height: 640,
          deviceScaleFactor: 1,
          mobile: false
        })
        await page.call("Emulation.setEmulatedMedia", { features: [{ name: "prefers-color-scheme", value: scheme }] })
      }
      const page = yield* shown(url, narrow("light"))
      expect(yield* ask(page, "document.documentElement.scrollWidth - document.documentElement.clientWidth")).toBe(0)
      expect(yield* ask(page, "document.documentElement.clientWidth")).toBeGreaterThan(290)
      const colour = "getComputedStyle(document.body).backgroundColor"
      expect(yield* ask(page, colour)).toBe("rgb(255, 255, 255)")
      yield* Effect.promise(() => narrow("dark")(page))
      expect(yield* ask(page, colour)).toBe("rgb(20, 23, 28)")
    })
  )

  it.live("says that a token is wrong", () =>
    Effect.gen(function* () {
      const { url } = yield* Server.open(told({}), 0)
      const page = yield* Chromium.open(`${url}x`)
      yield* until(page, "document.getElementById('status').className === 'ended'")
      expect(yield* ask(page, "document.getElementById('status').textContent")).toBe(
        "the token is missing or wrong: open the URL that `skein watch` printed"
      )
    })
  )
})
