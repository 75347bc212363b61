import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { createHash } from "node:crypto"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import { createContext, Script } from "node:vm"
import { Timeline } from "skein/inspect"
import { type Bar, layout } from "../../src/inspect/timeline/page/Layout.ts"
import { paint } from "../../src/inspect/timeline/page/Paint.ts"
import { view } from "../../src/inspect/timeline/page/View.ts"
import * as Chromium from "../support/chromium.ts"
import { everything, hostile, many } from "./entries.ts"

const barsOf = (entries: ReadonlyArray<Timeline.Entry>): ReadonlyArray<Partial<Bar>> => layout(entries).bars
const task = (id: number, parent: number | null = null) => ({ task: id, name: `t${id}`, group: "g", parent })

describe("the layout", () => {
  it("has a bar a task, those spawned below whoever spawned them, and times from the first entry", () => {
    const { bars, counts, end, marks, origin, wakes } = layout(everything)
    expect([origin, end]).toEqual([everything[0]!.at, 20])
    expect(
      bars.map(({ depth, end, outcome, parent, start, task }) => [task, depth, parent, start, end, outcome])
    ).toEqual([
      [1, 0, undefined, 0, 20, "succeeded"],
      [2, 1, 0, 0.25, 14, "failed"],
      [3, 1, 0, 1, 16, "cancelled"]
    ])
    expect(bars[1]!.waits).toEqual([{ from: 2, to: 5, what: "a permit of limiter db", by: 2 }])
    // The third ended while it waited.
    expect(bars[2]!.waits.map(({ from, to }) => [from, to])).toEqual([[5, 16]])
    expect([bars[2]!.cancelled, bars[2]!.reason]).toEqual([15, "its sibling failed"])
    expect(wakes).toEqual([{ at: 5, from: 2, to: 1 }])
    expect(marks.map(({ from, kind, to }) => [kind, from, to])).toEqual([
      ["committed", 5.5, 6],
      ["blocked", 7, 12],
      ["blocked", 12, 13],
      ["lost", 13, 13]
    ])
    expect(counts).toEqual({ running: 0, succeeded: 1, failed: 1, cancelled: 1 })
  })

  it("goes down into each task before the next, however deep", () => {
    const deep = Array.from({ length: 20_000 }, (_, i) => ({
      kind: "spawned" as const,
      at: i,
      ...task(i, i === 0 ? null : i - 1)
    }))
    const { bars } = layout([...deep, { kind: "spawned", at: 20_001, ...task(-1, 0) }])
    expect(bars.map((bar) => bar.task)).toEqual([...deep.map(({ task }) => task), -1])
    expect(bars[19_999]!.depth).toBe(19_999)
  })

  it("of a task that waits for several things, draws one wait behind the other", () => {
    const [{ waits }] = barsOf([
      { kind: "started", at: 0, ...task(1) },
      { kind: "suspended", at: 1, ...task(1), what: "a" },
      { kind: "suspended", at: 2, ...task(1), what: "a and b" },
      { kind: "resumed", at: 3, ...task(1) },
      { kind: "resumed", at: 5, ...task(1) },
      { kind: "exited", at: 6, ...task(1), outcome: "succeeded", duration: 6 }
    ]) as [Bar]
    expect(waits.map(({ from, to, what }) => [from, to, what])).toEqual([
      [1, 2, "a"],
      [2, 3, "a and b"],
      [3, 5, "a"]
    ])
  })

  it("takes a history whose beginning is lost, in any order, and one without an end", () => {
    const bars = barsOf([
      { kind: "resumed", at: 9, ...task(2), by: 7 },
      { kind: "exited", at: 8, ...task(1, 99), outcome: "succeeded", duration: 6 },
      { kind: "suspended", at: 10, ...task(3), what: "ever" },
      { kind: "resumed", at: 7, ...task(1, 99) }
    ])
    expect(bars.map(({ end, outcome, start, task }) => [task, start, end, outcome])).toEqual([
      [1, 5, 6, "succeeded"],
      [2, 7, 8, "running"],
      [3, 8, 8, "running"]
    ])
  })

  it("takes spawners that lead back to themselves", () => {
    const bars = barsOf([
      { kind: "spawned", at: 0, ...task(1, 2) },
      { kind: "spawned", at: 1, ...task(2, 1) },
      { kind: "spawned", at: 2, ...task(3, 3) }
    ])
    expect(bars.map(({ task }) => task)).toEqual([3, 1, 2])
  })

  it("of nothing is nothing", () => {
    expect(layout([])).toMatchObject({ bars: [], wakes: [], marks: [], origin: 0, end: 0 })
  })
})

const page = Timeline.html(everything, { title: hostile })
const between = (text: string, from: string, to: string): string => {
  const start = text.indexOf(from) + from.length
  return text.slice(start, text.indexOf(to, start))
}

describe("the page", () => {
  it("has nothing of the data as markup", () => {
    expect(page.match(/<script/g)).toHaveLength(2)
    expect(page.match(/<\/script/g)).toHaveLength(2)
    expect(page.match(/<\/title>/g)).toHaveLength(1)
    expect(page).not.toContain("<img")
    expect(page).not.toContain("<!--")
  })

  it("holds the entries as they were", async () => {
    const data = between(page, '<script type="application/json" id="entries">\n', "</script>")
    expect(await Effect.runPromise(Timeline.decode(data))).toEqual(everything)
  })

  it("lets no script and no style run but its own, and asks for nothing", () => {
    const hash = (text: string) => `'sha256-${createHash("sha256").update(text).digest("base64")}'`
    const script = hash(page.slice(page.lastIndexOf("<script>") + 8, page.lastIndexOf("</script>")))
    const style = hash(between(page, "<style>", "</style>"))
    expect(between(page, 'Content-Security-Policy" content="', '"')).toBe(
      `default-src 'none'; script-src ${script}; style-src ${style}; base-uri 'none'; form-action 'none'`
    )
    const ours = page.replace(between(page, 'id="entries">', "</script>"), "").replaceAll(/<title>.*|<h1>.*/g, "")
    expect(ours).not.toMatch(/https?:|\bsrc=|\bhref=|\bstyle=|\bon\w+=(?=["'])/)
  })

  it("has functions that name nothing outside of themselves", () => {
    const sources = [view, layout, paint].map((f) => `(${f.toString()})`).join(",")
    expect(sources).not.toMatch(/__vi_|\bimport\b|\brequire\b/)
    const [, laid, painted] = new Script(`[${sources}]`).runInContext(createContext({})) as [
      typeof view,
      typeof layout,
      typeof paint
    ]
    const found = laid(everything)
    expect(JSON.stringify(found)).toBe(JSON.stringify(layout(everything)))
    expect(brushed(painted, found, 0, 20)).toContain("main")
  })
})

/** What it writes, where it paints nothing. */
const brushed = (
  paint_: typeof paint,
  found: ReturnType<typeof layout>,
  from: number,
  to: number
): ReadonlyArray<string> => {
  const written: Array<string> = []
  let calls = 0
  const brush = new Proxy({} as never, {
    get: (_, key) => (key === "fillText" ? (text: string) => written.push(text) : () => void calls++),
    set: () => true
  })
  const rows = [...found.bars.keys()]
  const places = new Map(rows.map((row) => [row, row]))
  const colours = new Proxy({} as never, { get: () => "" })
  const sizes = { top: 0, width: 1000, height: 500, gutter: 200, head: 36, rowHeight: 22 }
  const looks = { selected: 1, hovered: undefined, hasFocus: true, font: "", colours }
  paint_(brush, { layout: found, rows, places, from, to, ...sizes, ...looks })
  expect(calls).toBeLessThan(20_000)
  return written
}

describe("the picture", () => {
  it.each([
    [0, 0.000_7, ["0 µs", "0.1 µs", "0.2 µs"]],
    [0, 20, ["0 ms", "5 ms", "10 ms"]],
    [100, 4000, ["500 ms", "1000 ms"]],
    [0, 90_000, ["0 s", "15 s", "30 s"]],
    [0, 7_000_000, ["0 min", "15 min"]],
    [0, 900_000_000, ["0 d", "2 d", "4 d"]]
  ])("writes times from %d to %d ms in steps that people count in", (from, to, times) => {
    const written = brushed(paint, layout(everything), from, to)
    expect(written.filter((text) => / (µs|ms|s|min|h|d)$/.test(text)).slice(0, times.length)).toEqual(times)
    expect(written.length).toBeLessThan(40)
  })

  it("of 10,000 tasks with 100,000 waits has as many strokes as there is room for", () => {
    const found = layout(many(10_000, 10))
    expect(found.bars).toHaveLength(10_000)
    expect(brushed(paint, found, 0, found.end).length).toBeLessThan(60)
  })
})

describe.skipIf(Chromium.path === undefined)(
  `in a browser${Chromium.path === undefined ? `: ${Chromium.reason}` : ""}`,
  () => {
    const opened = (entries: ReadonlyArray<Timeline.Entry>, title: string) =>
      Effect.gen(function* () {
        const folder = yield* Effect.acquireRelease(
          Effect.sync(() => mkdtempSync(join(tmpdir(), "skein-page-"))),
          (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
        )
        const file = join(folder, "timeline.html")
        writeFileSync(file, Timeline.html(entries, { title }))
        return yield* Chromium.open(pathToFileURL(file).href)
      })
    const painted = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
    const detail = "document.getElementById('detail').textContent"
    const option = "document.getElementById('option').textContent"
    const pixels = "document.getElementById('canvas').toDataURL()"

    it.live("shows hostile data as text, loads nothing and complains of nothing", () =>
      Effect.scoped(
        Effect.gen(function* () {
          const page = yield* opened(everything, hostile)
          yield* Effect.promise(async () => {
            expect(await page.ask("document.querySelector('h1').textContent")).toContain("<img src=x onerror=broken=1>")
            expect(await page.ask("document.getElementById('summary').textContent")).toBe(
              "2023-11-14T22:13:20.000Z · 20 ms · 1 succeeded · 1 failed · 1 cancelled"
            )
            await page.ask("document.getElementById('rows').focus()")
            await page.press("End")
            expect(await page.ask(detail)).toContain("<img src=x onerror=broken=1> cancelled after 15 ms")
            expect(await page.ask("[globalThis.broken, document.images.length, document.scripts.length]")).toEqual([
              null,
              0,
              2
            ])
            // The policy holds, too: what came in all the same would not run.
            await page.ask(
              "document.body.append(Object.assign(document.createElement('script'), { text: 'broken = 1' }))"
            )
            expect(await page.ask("globalThis.broken")).toBe(undefined)
            expect(page.said.join()).toContain("Content Security Policy")
            expect(page.said).toHaveLength(1)
            expect(page.requests).toHaveLength(1)
          })
        })
      )
    )

    it.live("is used by keyboard alone", () =>
      Effect.scoped(
        Effect.gen(function* () {
          const page = yield* opened(everything, "A night")
          yield* Effect.promise(async () => {
            await page.press("Tab")
            expect(await page.ask("document.activeElement.id")).toBe("search")
            for (const _ of [1, 2, 3, 4, 5]) await page.press("Tab")
            expect(await page.ask("document.activeElement.id")).toBe("rows")
            expect(await page.ask(option)).toMatch(/^main succeeded after 20 ms\. Task 1 of group main/)
            await page.press("ArrowDown")
            expect(await page.ask(option)).toMatch(
              /^job failed after 13.75 ms\..*spawned by main.*Waited 3 ms from 2 ms for a permit of limiter db, woken by/
            )
            expect(await page.ask("document.getElementById('rows').getAttribute('aria-activedescendant')")).toBe(
              "option"
            )
            await page.press("w")
            expect(await page.ask(option)).toContain("cancelled after 15 ms")
            await page.press("p")
            expect(await page.ask(option)).toContain("main succeeded")
            await page.ask(painted)
            const whole = await page.ask(pixels)
            await page.press("+")
            await page.ask(painted)
            const near = await page.ask(pixels)
            await page.press("ArrowRight")
            await page.ask(painted)
            const right = await page.ask(pixels)
            expect(new Set([whole, near, right]).size).toBe(3)
            await page.press("0")
            await page.ask(painted)
            expect(await page.ask(pixels)).toBe(whole)
            await page.press("/")
            await page.press("j")
            await page.press("o")
            expect(await page.ask("document.getElementById('found').textContent")).toBe("1 of 3 tasks")
            await page.press("Enter")
            expect(await page.ask(option)).toContain("job failed")
          })
        })
      )
    )

    it.live("is used by mouse and wheel, by day and by night", () =>
      Effect.scoped(
        Effect.gen(function* () {
          const page = yield* opened(everything, "A night")
          yield* Effect.promise(async () => {
            const { left, top } = await page.ask(
              "(({ left, top }) => ({ left, top }))(document.getElementById('rows').getBoundingClientRect())"
            )
            await page.mouse("mouseMoved", left + 400, top + 36 + 33)
            expect(await page.ask(detail)).toMatch(/^job failed/)
            await page.mouse("mouseMoved", left + 600, top + 28)
            await page.mouse("mouseMoved", left + 700, top + 28)
            expect(await page.ask(detail)).toContain("the event loop did not turn in")
            await page.mouse("mouseMoved", left + 400, top + 300)
            await page.ask(painted)
            const whole = await page.ask(pixels)
            await page.wheel(left + 400, top + 100, -300, 2)
            await page.ask(painted)
            const near = await page.ask(pixels)
            expect(near).not.toBe(whole)
            await page.mouse("mousePressed", left + 500, top + 100)
            await page.call("Input.dispatchMouseEvent", { type: "mouseMoved", x: left + 300, y: top + 100, buttons: 1 })
            await page.mouse("mouseReleased", left + 300, top + 100)
            await page.ask(painted)
            expect(await page.ask(pixels)).not.toBe(near)
            const ground = "getComputedStyle(document.body).backgroundColor"
            for (const [value, colour] of [
              ["light", "rgb(255, 255, 255)"],
              ["dark", "rgb(20, 23, 28)"]
            ]) {
              await page.call("Emulation.setEmulatedMedia", { features: [{ name: "prefers-color-scheme", value }] })
              expect(await page.ask(ground)).toBe(colour)
            }
          })
        })
      )
    )

    it.live("shows 10,000 tasks, and finds one among them", () =>
      Effect.scoped(
        Effect.gen(function* () {
          const page = yield* opened(many(10_000, 2), "Many")
          yield* Effect.promise(async () => {
            expect(await page.ask("document.getElementById('found').textContent")).toBe("10000 tasks")
            // However many tasks: no part of the page is one's own.
            expect(await page.ask("document.querySelectorAll('*').length")).toBeLessThan(100)
            await page.ask("document.getElementById('rows').focus()")
            await page.press("End")
            expect(await page.ask(option)).toContain("task 9999 ")
            expect(await page.ask("document.getElementById('rows').scrollTop")).toBeGreaterThan(200_000)
            await page.press("/")
            for (const key of "task 7777") await page.press(key)
            await page.press("Enter")
            expect(await page.ask(option)).toContain("task 7777 ")
            expect(page.said).toEqual([])
          })
        })
      )
    )
  }
)
