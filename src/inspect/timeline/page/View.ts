/** What the page does with keys, mouse and wheel. */
import type { Entry } from "../../context/Entry.ts"
import type { Browser, Brush, Happening, Part } from "./Dom.ts"
import type { Bar, Layout, Outcome } from "./Layout.ts"
import type { Colour, Picture } from "./Paint.ts"

export const view = (
  browser: Browser,
  layoutOf: (entries: ReadonlyArray<Entry>) => Layout,
  paint: (brush: Brush, picture: Picture) => void
): void => {
  const { document } = browser
  const part = (id: string): Part => {
    const found = document.getElementById(id)
    if (found === null) throw new Error(`the page has no ${id}`)
    return found
  }
  const [head, rowHeight] = [36, 22]
  const [scroller, canvas, tall, option] = [part("rows"), part("canvas"), part("tall"), part("option")]
  const [search, outcome, found, detail] = [part("search"), part("outcome"), part("found"), part("detail")]
  const brush = canvas.getContext("2d")!

  const lines = (part("entries").textContent ?? "").trim().split("\n").slice(1)
  const layout = layoutOf(lines.map((line) => JSON.parse(line) as Entry))
  const { bars } = layout
  const words = bars.map((bar) => `${bar.name}\n${bar.group}`.toLowerCase())
  // So that the last mark of the last bar is seen, and a timeline of one moment too.
  const room = Math.max(layout.end, 0.001)
  const [least, most] = [-room * 0.01, room * 1.03]

  let rows: ReadonlyArray<number> = []
  let places: ReadonlyMap<number, number> = new Map()
  let [from, to] = [least, most]
  let selected: number | undefined
  let hovered: number | undefined
  let [width, height, gutter] = [0, 0, 0]
  let colours = {} as Record<Colour, string>
  let isAsked = false

  const theme = (): void => {
    const style = browser.getComputedStyle(document.documentElement)
    const colour = (name: Colour): string => style.getPropertyValue(`--${name}`).trim()
    colours = {
      page: colour("page"),
      text: colour("text"),
      faint: colour("faint"),
      line: colour("line"),
      band: colour("band"),
      accent: colour("accent"),
      run: colour("run"),
      wait: colour("wait"),
      failed: colour("failed"),
      cancelled: colour("cancelled")
    }
    draw()
  }
  const draw = (): void => {
    if (isAsked) return
    isAsked = true
    browser.requestAnimationFrame(() => {
      isAsked = false
      const font = `12px ${browser.getComputedStyle(document.documentElement).getPropertyValue("--font").trim()}`
      const hasFocus = document.activeElement === scroller
      const top = scroller.scrollTop
      const looks = {
        from,
        to,
        top,
        width,
        height,
        gutter,
        head,
        rowHeight,
        selected,
        hovered,
        hasFocus,
        font,
        colours
      }
      paint(brush, { layout, rows, places, ...looks })
    })
  }
  const size = (): void => {
    const ratio = browser.devicePixelRatio || 1
    width = scroller.clientWidth
    height = scroller.clientHeight
    gutter = Math.round(Math.min(260, width * 0.3))
    canvas.width = Math.round(width * ratio)
    canvas.height = Math.round(height * ratio)
    canvas.style.width = `${width}px`
    canvas.style.height = `${height}px`
    brush.setTransform(ratio, 0, 0, ratio, 0, 0)
    draw()
  }

  const time = (millis: number): string => {
    const [value, unit] =
      millis >= 3_600_000
        ? [millis / 3_600_000, "h"]
        : millis >= 60_000
          ? [millis / 60_000, "min"]
          : millis >= 1000
            ? [millis / 1000, "s"]
            : millis >= 0.1 || millis === 0
              ? [millis, "ms"]
              : [millis * 1000, "µs"]
    return `${Number((value as number).toPrecision(4))} ${unit}`
  }
  const nameOf = (row: number): string => bars[row]!.name
  const stateOf = (bar: Bar): string => {
    if (bar.outcome === "running") return bar.cancelled === undefined ? "had not ended" : "was being cancelled"
    return `${bar.outcome} after ${time(bar.end - bar.start)}`
  }
  const factsOf = (bar: Bar, at: number | undefined): ReadonlyArray<readonly [string, string]> => {
    const facts: Array<readonly [string, string]> = []
    const parent = bar.parent === undefined ? "" : `, spawned by ${nameOf(bar.parent)}`
    facts.push(["Task", `${bar.task} of group ${bar.group}${parent}`], ["Began", `at ${time(bar.start)}`])
    if (bar.error !== undefined) facts.push(["Failed", bar.error])
    if (bar.cancelled !== undefined) {
      facts.push(["Cancelled", `at ${time(bar.cancelled)}${bar.reason === undefined ? "" : `: ${bar.reason}`}`])
    }
    const here = at === undefined ? undefined : bar.waits.find((wait) => wait.from <= at && at <= wait.to)
    const longest = bar.waits.toSorted((a, b) => b.to - b.from - (a.to - a.from)).filter((wait) => wait !== here)
    const shown = [...(here === undefined ? [] : [here]), ...longest].slice(0, 4)
    for (const wait of shown) {
      const by = wait.by === undefined ? "" : `, woken by ${nameOf(wait.by)}`
      facts.push(["Waited", `${time(wait.to - wait.from)} from ${time(wait.from)} for ${wait.what}${by}`])
    }
    if (bar.waits.length > shown.length) facts.push(["", `and ${bar.waits.length - shown.length} times more`])
    return facts
  }
  const tell = (title: string, facts: ReadonlyArray<readonly [string, string]>): void => {
    const heading = document.createElement("strong")
    heading.textContent = title
    const list = document.createElement("dl")
    for (const [name, text] of facts) {
      const [term, description] = [document.createElement("dt"), document.createElement("dd")]
      term.textContent = name
      description.textContent = text
      list.append(term, description)
    }
    detail.replaceChildren(heading, list)
  }
  const describe = (at?: number): void => {
    const row = rows[hovered ?? selected ?? -1]
    if (row === undefined) return tell(bars.length === 0 ? "No tasks." : "Choose a task to see what it did.", [])
    tell(`${nameOf(row)} ${stateOf(bars[row]!)}`, factsOf(bars[row]!, at))
  }

  const look = (begin: number, end: number): void => {
    const span = Math.min(Math.max(end - begin, room * 1e-9, 0.0005), most - least)
    from = Math.min(Math.max(begin, least), most - span)
    to = from + span
    draw()
  }
  const zoom = (by: number, at = (from + to) / 2): void => look(at - (at - from) * by, at + (to - at) * by)
  const timeAt = (px: number): number => from + ((px - gutter) / (width - gutter)) * (to - from)
  const select = (place: number | undefined): void => {
    selected = place === undefined || rows.length === 0 ? undefined : Math.min(Math.max(place, 0), rows.length - 1)
    hovered = undefined
    if (selected === undefined) {
      scroller.removeAttribute("aria-activedescendant")
      option.textContent = ""
    } else {
      const up = selected * rowHeight
      const seen = height - head - rowHeight
      if (up < scroller.scrollTop) scroller.scrollTop = up
      if (up > scroller.scrollTop + seen) scroller.scrollTop = up - seen
      const bar = bars[rows[selected]!]!
      const facts = factsOf(bar, undefined).map(([name, text]) => `${name} ${text}`)
      option.textContent = [`${bar.name} ${stateOf(bar)}`, ...facts].join(". ")
      option.setAttribute("aria-posinset", String(selected + 1))
      option.setAttribute("aria-setsize", String(rows.length))
      scroller.setAttribute("aria-activedescendant", "option")
    }
    describe()
    draw()
  }
  const show = (): void => {
    const before = selected === undefined ? undefined : rows[selected]
    const text = search.value.trim().toLowerCase()
    const wanted = outcome.value as Outcome | ""
    rows = [...bars.keys()].filter(
      (row) => (wanted === "" || bars[row]!.outcome === wanted) && (text === "" || words[row]!.includes(text))
    )
    places = new Map(rows.map((row, place) => [row, place]))
    found.textContent = rows.length === bars.length ? `${bars.length} tasks` : `${rows.length} of ${bars.length} tasks`
    tall.style.height = `${Math.max(0, head + rows.length * rowHeight + rowHeight - height)}px`
    select(before === undefined ? undefined : places.get(before))
  }
  const goTo = (row: number | undefined): void => {
    if (row === undefined) return
    if (!places.has(row)) {
      search.value = ""
      outcome.value = ""
      show()
    }
    select(places.get(row))
  }
  const whole = (bar: Bar): void => {
    const margin = Math.max(bar.end - bar.start, room * 1e-9) * 0.1
    look(bar.start - margin, bar.end + margin)
  }

  const keys: Readonly<Record<string, () => void>> = {
    ArrowDown: () => select((selected ?? -1) + 1),
    ArrowUp: () => select((selected ?? rows.length) - 1),
    PageDown: () => select((selected ?? 0) + Math.floor((height - head) / rowHeight)),
    PageUp: () => select((selected ?? 0) - Math.floor((height - head) / rowHeight)),
    Home: () => select(0),
    End: () => select(rows.length - 1),
    ArrowLeft: () => look(from - (to - from) / 8, to - (to - from) / 8),
    ArrowRight: () => look(from + (to - from) / 8, to + (to - from) / 8),
    "+": () => zoom(0.7),
    "=": () => zoom(0.7),
    "-": () => zoom(1 / 0.7),
    "0": () => look(least, most),
    Enter: () => selected !== undefined && whole(bars[rows[selected]!]!),
    p: () => selected !== undefined && goTo(bars[rows[selected]!]!.parent),
    w: () => selected !== undefined && goTo(bars[rows[selected]!]!.waits.findLast((wait) => wait.by !== undefined)?.by),
    "/": () => search.focus()
  }
  const placeAt = (event: Happening): number | undefined => {
    const box = scroller.getBoundingClientRect()
    const py = event.clientY - box.top
    const place = Math.floor((py - head + scroller.scrollTop) / rowHeight)
    return py < head || place >= rows.length ? undefined : place
  }
  const xOf = (event: Happening): number => event.clientX - scroller.getBoundingClientRect().left

  scroller.addEventListener("keydown", (event) => {
    const act = event.ctrlKey || event.metaKey || event.altKey ? undefined : keys[event.key]
    if (act === undefined) return
    event.preventDefault()
    act()
  })
  search.addEventListener("keydown", (event) => {
    if (event.key === "Escape") search.value = ""
    if (event.key === "Escape" || event.key === "Enter") {
      show()
      scroller.focus()
      if (event.key === "Enter") select(0)
    }
  })
  search.addEventListener("input", show)
  outcome.addEventListener("change", show)
  scroller.addEventListener("scroll", draw)
  scroller.addEventListener("focus", () => (selected === undefined ? select(0) : draw()))
  scroller.addEventListener("blur", draw)
  scroller.addEventListener(
    "wheel",
    (event) => {
      const across = event.shiftKey ? event.deltaY || event.deltaX : event.deltaX
      if (event.ctrlKey || event.metaKey || event.altKey) zoom(Math.exp(event.deltaY * 0.004), timeAt(xOf(event)))
      else if (across !== 0)
        look(from + (across / (width - gutter)) * (to - from), to + (across / (width - gutter)) * (to - from))
      else return
      event.preventDefault()
    },
    { passive: false }
  )
  let held:
    | { readonly px: number; readonly py: number; readonly from: number; readonly to: number; readonly top: number }
    | undefined
  let isMoved = false
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return
    held = { px: event.clientX, py: event.clientY, from, to, top: scroller.scrollTop }
    isMoved = false
    canvas.setPointerCapture(event.pointerId)
  })
  canvas.addEventListener("pointermove", (event) => {
    if (held !== undefined && event.buttons > 0) {
      const [right, down] = [event.clientX - held.px, event.clientY - held.py]
      if (Math.abs(right) + Math.abs(down) > 3) isMoved = true
      if (!isMoved) return
      canvas.style.cursor = "grabbing"
      const by = (right / (width - gutter)) * (held.to - held.from)
      scroller.scrollTop = held.top - down
      return look(held.from - by, held.to - by)
    }
    const mark = event.clientY - scroller.getBoundingClientRect().top < head ? markAt(timeAt(xOf(event))) : undefined
    hovered = placeAt(event)
    if (mark === undefined) describe(timeAt(xOf(event)))
    else
      tell(mark.text, [
        ["Took", `${time(mark.to - mark.from)} up to ${time(mark.to)}`],
        ...mark.stack.map((at) => ["", at] as const)
      ])
    draw()
  })
  const markAt = (at: number) => {
    const near = ((to - from) / (width - gutter)) * 3
    return layout.marks.find((mark) => mark.from - near <= at && at <= mark.to + near)
  }
  canvas.addEventListener("pointerup", (event) => {
    canvas.style.cursor = ""
    if (held !== undefined && !isMoved) {
      scroller.focus()
      select(placeAt(event))
    }
    held = undefined
  })
  canvas.addEventListener("pointerleave", () => {
    if (hovered === undefined) return
    hovered = undefined
    describe()
    draw()
  })
  canvas.addEventListener("dblclick", (event) => {
    const place = placeAt(event)
    if (place !== undefined) whole(bars[rows[place]!]!)
  })
  part("in").addEventListener("click", () => zoom(0.7))
  part("out").addEventListener("click", () => zoom(1 / 0.7))
  part("fit").addEventListener("click", () => look(least, most))
  browser.addEventListener("resize", () => {
    size()
    show()
  })
  browser.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", theme)

  const { cancelled, failed, running, succeeded } = layout.counts
  const counts = [`${succeeded} succeeded`, `${failed} failed`, `${cancelled} cancelled`, `${running} had not ended`]
  // Times of a simulation begin at 0.
  // @effect-diagnostics-next-line globalDate:off -- a page has no services
  const began = layout.origin > 1e11 ? [new Date(layout.origin).toISOString()] : []
  part("summary").textContent = [...began, time(layout.end), ...counts.filter((text) => !text.startsWith("0 "))].join(
    " · "
  )
  size()
  show()
  theme()
}
