/** The rows of the tree: as many elements as are seen, whatever their number; the chosen row stays chosen, and where it is, when they change. */
import type { Browser, Part } from "./Dom.ts"
import type { Row } from "./Outline.ts"
import type { Words } from "./Words.ts"

export interface Tree {
  readonly show: (rows: ReadonlyArray<Row>) => void
  readonly chosen: () => Row | undefined
  /** False where there is no such row. */
  readonly choose: (key: string) => boolean
  readonly focus: () => void
  /** Measures anew. */
  readonly resize: () => void
}

export const tree = (
  browser: Browser,
  words: Words,
  scroller: Part,
  tall: Part,
  on: { readonly choose: (row: Row | undefined) => void; readonly turn: (row: Row) => void }
): Tree => {
  const { document } = browser
  let rows: ReadonlyArray<Row> = []
  let chosen: number | undefined
  let height = 24
  let isAsked = false
  /** Elements by the rows that they show; a row of the same place modulo their number takes the place of another. */
  const elements: Array<{
    readonly row: Part
    readonly cells: Readonly<Record<string, Part>>
    told: string
    key: string
  }> = []

  const make = (i: number) => {
    const row = document.createElement("div")
    row.setAttribute("role", "treeitem")
    row.setAttribute("id", `row-${i}`)
    const cells: Record<string, Part> = {}
    for (const name of ["name", "state", "age", "waits", "place"]) {
      const cell = document.createElement("span")
      cell.className = name
      cells[name] = cell
      row.append(cell)
    }
    tall.append(row)
    return { row, cells, told: "", key: "" }
  }
  const write = (element: (typeof elements)[number], row: Row, index: number): void => {
    const place = row.task?.places[0]
    const texts = {
      name: row.name,
      state: row.kind === "group" && row.state === "open" ? "" : row.state,
      age: Number.isNaN(row.age) ? "" : words.time(row.age),
      waits: row.waits,
      place: place === undefined ? "" : words.place(place)
    }
    const isChosen = index === chosen
    const { depth, hasMore, isOpen, kind, position, siblings } = row
    const told = JSON.stringify([texts, isChosen, depth, hasMore, isOpen, kind, position, siblings, index, height])
    element.key = row.key
    if (element.told === told) return
    element.told = told
    for (const [name, text] of Object.entries(texts)) {
      const cell = element.cells[name]!
      if (cell.textContent !== text) cell.textContent = text
    }
    const state = row.task?.state ?? row.state
    element.row.className = `row ${kind} ${state}${isChosen ? " chosen" : ""}${hasMore ? (isOpen ? " open" : " shut") : ""}`
    element.row.hidden = false
    element.row.style.setProperty("--depth", String(Math.min(depth, 24)))
    element.row.style.setProperty("--top", `${index * height}px`)
    const said = [texts.name, texts.state, texts.age, texts.waits && `waits for ${texts.waits}`, texts.place]
    element.row.setAttribute("aria-label", said.filter((text) => text !== "").join(", "))
    element.row.setAttribute("aria-level", String(depth + 1))
    element.row.setAttribute("aria-posinset", String(position))
    element.row.setAttribute("aria-setsize", String(siblings))
    element.row.setAttribute("aria-selected", String(isChosen))
    if (hasMore) element.row.setAttribute("aria-expanded", String(isOpen))
    else element.row.removeAttribute("aria-expanded")
  }
  const draw = (): void => {
    const seen = Math.ceil(scroller.clientHeight / height) + 2
    const first = Math.max(0, Math.min(Math.floor(scroller.scrollTop / height) - 1, rows.length - seen))
    while (elements.length < seen + 1) elements.push(make(elements.length))
    const used = new Set<number>()
    for (let i = first; i < Math.min(rows.length, first + seen); i++) {
      used.add(i % elements.length)
      write(elements[i % elements.length]!, rows[i]!, i)
    }
    for (const [i, element] of elements.entries()) {
      if (used.has(i)) continue
      element.row.hidden = true
      element.told = ""
    }
    if (chosen !== undefined && used.has(chosen % elements.length) && chosen >= first && chosen < first + seen) {
      scroller.setAttribute("aria-activedescendant", `row-${chosen % elements.length}`)
    } else scroller.removeAttribute("aria-activedescendant")
  }
  const soon = (): void => {
    if (isAsked) return
    isAsked = true
    browser.requestAnimationFrame(() => {
      isAsked = false
      draw()
    })
  }
  const measure = (): void => {
    height = Number.parseFloat(browser.getComputedStyle(scroller).getPropertyValue("--row")) || 24
    tall.style.setProperty("height", `${rows.length * height}px`)
  }
  const go = (index: number): void => {
    chosen = rows.length === 0 ? undefined : Math.min(Math.max(index, 0), rows.length - 1)
    if (chosen !== undefined) {
      const top = chosen * height
      const most = scroller.clientHeight - height
      if (top < scroller.scrollTop) scroller.scrollTop = top
      if (top > scroller.scrollTop + most) scroller.scrollTop = top - most
    }
    draw()
    on.choose(rows[chosen ?? -1])
  }
  const turn = (row: Row | undefined): void => {
    if (row?.hasMore === true) on.turn(row)
  }
  const parentOf = (index: number): number => {
    for (let i = index - 1; i >= 0; i--) if (rows[i]!.depth < rows[index]!.depth) return i
    return index
  }
  const page = (): number => Math.max(1, Math.floor(scroller.clientHeight / height) - 1)
  const keys: Readonly<Record<string, (at: number, row: Row) => void>> = {
    ArrowDown: (at) => go(at + 1),
    ArrowUp: (at) => go(at - 1),
    PageDown: (at) => go(at + page()),
    PageUp: (at) => go(at - page()),
    Home: () => go(0),
    End: () => go(rows.length - 1),
    ArrowRight: (at, row) => (row.hasMore && !row.isOpen ? turn(row) : row.hasMore ? go(at + 1) : undefined),
    ArrowLeft: (at, row) => (row.hasMore && row.isOpen ? turn(row) : go(parentOf(at))),
    Enter: (_, row) => turn(row),
    " ": (_, row) => turn(row)
  }
  scroller.addEventListener("keydown", (event) => {
    const act = event.ctrlKey || event.metaKey || event.altKey ? undefined : keys[event.key]
    if (act === undefined || rows.length === 0) return
    event.preventDefault()
    const at = chosen ?? 0
    act(at, rows[at]!)
  })
  scroller.addEventListener("focus", () => (chosen === undefined ? go(Math.ceil(scroller.scrollTop / height)) : draw()))
  scroller.addEventListener("scroll", soon)
  scroller.addEventListener("click", (event) => {
    const index = Math.floor((event.clientY - tall.getBoundingClientRect().top) / height)
    if (index < 0 || index >= rows.length) return
    const wasChosen = index === chosen
    const isMark = event.target.className === "name" || wasChosen
    go(index)
    if (isMark) turn(rows[index])
  })

  return {
    show: (next) => {
      // What the eye is at stays where it is: the chosen row where it is seen, or else the first that is.
      const first = Math.floor(scroller.scrollTop / height)
      const isSeen =
        chosen !== undefined && chosen >= first && chosen * height < scroller.scrollTop + scroller.clientHeight
      const anchor = isSeen ? chosen! : first
      const [anchorKey, key] = [rows[anchor]?.key, rows[chosen ?? -1]?.key]
      rows = next
      const indexOf = (wanted: string | undefined): number =>
        wanted === undefined ? -1 : rows.findIndex((row) => row.key === wanted)
      const now = indexOf(key)
      if (now >= 0) chosen = now
      else if (chosen !== undefined) chosen = rows.length === 0 ? undefined : Math.min(chosen, rows.length - 1)
      const moved = scroller.scrollTop === 0 && !isSeen ? -1 : indexOf(anchorKey)
      tall.style.setProperty("height", `${rows.length * height}px`)
      if (moved >= 0 && moved !== anchor) scroller.scrollTop += (moved - anchor) * height
      draw()
      on.choose(rows[chosen ?? -1])
    },
    chosen: () => rows[chosen ?? -1],
    choose: (key) => {
      const index = rows.findIndex((row) => row.key === key)
      if (index < 0) return false
      go(index)
      return true
    },
    focus: () => scroller.focus(),
    resize: () => {
      measure()
      draw()
    }
  }
}
