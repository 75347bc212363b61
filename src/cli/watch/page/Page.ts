/** Puts the page together: what comes in, keys, what is chosen. */
import type { Browser, Happening, Part } from "./Dom.ts"
import type { Lists } from "./Lists.ts"
import type { Heard } from "./Live.ts"
import type { Asked, Outline, Row } from "./Outline.ts"
import type { Snapshot, TaskView } from "./Seen.ts"
import type { Tree } from "./Tree.ts"
import type { Words } from "./Words.ts"

export interface Pieces {
  readonly words: () => Words
  readonly outline: (words: Words) => (snapshot: Snapshot, asked: Asked) => Outline
  readonly tree: (
    browser: Browser,
    words: Words,
    scroller: Part,
    tall: Part,
    on: { readonly choose: (row: Row | undefined) => void; readonly turn: (row: Row) => void }
  ) => Tree
  readonly lists: (
    browser: Browser,
    words: Words,
    parts: { readonly findings: Part; readonly runs: Part },
    go: (task: number) => void
  ) => Lists
  readonly live: (browser: Browser, on: Heard) => void
}

export const page = (browser: Browser, pieces: Pieces): void => {
  const { document } = browser
  const part = (id: string): Part => {
    const found = document.getElementById(id)
    if (found === null) throw new Error(`the page has no ${id}`)
    return found
  }
  const put = (where: Part, text: string): void => {
    if (where.textContent !== text) where.textContent = text
  }
  const words = pieces.words()
  const outlineOf = pieces.outline(words)
  const [search, fold, detail, help, status] = [
    part("search"),
    part("fold"),
    part("detail"),
    part("help"),
    part("status")
  ]
  let [seen, last, held]: ReadonlyArray<Snapshot | undefined> = []
  let names: ReadonlyMap<number, string> = new Map()
  const turned = new Set<string>()

  const say = (state: "live" | "held" | "trouble" | "ended", text: string): void => {
    status.className = state
    put(status, text)
  }
  const facts = (row: Row): ReadonlyArray<readonly [string, string]> => {
    const { group, kind, task, waits } = row
    const told: Array<readonly [string, string]> = []
    if (group !== undefined) told.push(["Group", `${group.state}, ${words.count(group.tasks.length, "task")} in it`])
    if (kind === "fold") told.push(["Alike", `${words.count(row.tasks, "task")}; what follows is of the first of them`])
    if (task === undefined) return waits === "" ? told : [...told, ["Waits for", waits]]
    const of = task.parent === null ? "" : `, spawned by ${names.get(task.parent) ?? `task ${task.parent}`}`
    told.push(["Task", `${task.id} of group ${words.text(task.group)}${of}`])
    told.push(["State", `${words.state(task)} for ${words.time((seen?.at ?? 0) - task.since)}`])
    if (words.waits(task) !== "") told.push(["Waits for", words.waits(task)])
    for (const [i, place] of task.places.entries()) told.push([i === 0 ? "At" : "", words.wholePlace(place)])
    if (task.work !== null) {
      const { busy, fibers, idle, scheduled } = task.work
      const times = `${words.time(busy)} busy, ${words.time(scheduled)} ready to go on, ${words.time(idle)} idle`
      told.push(["Work", `${words.count(fibers, "fiber")}: ${times}`])
    }
    return told
  }
  let described = ""
  const describe = (row: Row | undefined): void => {
    const told = row === undefined ? [] : facts(row)
    const text = JSON.stringify([row?.name, told])
    if (text === described) return
    described = text
    const heading = document.createElement("strong")
    heading.textContent = row?.name ?? "Choose a row to see all there is of it."
    const list = document.createElement("dl")
    for (const [name, fact] of told) {
      const [term, description] = [document.createElement("dt"), document.createElement("dd")]
      term.textContent = name
      description.textContent = fact
      list.append(term, description)
    }
    detail.replaceChildren(heading, list)
  }

  const tree = pieces.tree(browser, words, part("tree"), part("tall"), {
    choose: describe,
    turn: ({ key }) => {
      if (!turned.delete(key)) turned.add(key)
      drawTree()
    }
  })
  const drawTree = (): void => {
    if (seen === undefined) return
    const { found, rows, tasks } = outlineOf(seen, { turned, search: search.value, folds: fold.checked })
    put(
      part("found"),
      search.value.trim() === ""
        ? words.count(tasks, "task")
        : `${words.number(found)} of ${words.count(tasks, "task")}`
    )
    tree.show(rows)
  }
  const reveal = (id: number): void => {
    search.value = ""
    const path = pathTo(id)
    if (path === undefined) return
    if (fold.checked) {
      // It may be one of many that are folded: then all are shown.
      drawTree()
      if (!tree.choose(`task ${id}`)) fold.checked = false
    }
    for (const key of path) turned.delete(key)
    drawTree()
    tree.choose(`task ${id}`)
    tree.focus()
  }
  /** The tasks that it stands below, which have to be open. */
  const pathTo = (id: number): ReadonlyArray<string> | undefined => {
    const open = (seen?.groups ?? []).map((group) => ({ group, path: [] as ReadonlyArray<string> }))
    for (let next = open.pop(); next !== undefined; next = open.pop()) {
      for (const task of next.group.tasks) {
        const path = [...next.path, `task ${task.id}`]
        if (task.id === id) return next.path
        for (const group of task.groups) open.push({ group, path })
      }
    }
    return undefined
  }
  const lists = pieces.lists(browser, words, { findings: part("findings"), runs: part("runs") }, reveal)

  const header = ({ at, findings, history, process, runs, withoutPlaces }: Snapshot): void => {
    const title = process === null ? "A program" : words.text(process.title)
    put(part("title"), title)
    const pid = process === null ? "" : `${process.pid} · `
    const worst = findings.length === 0 ? "" : `(${findings.length}) `
    const whole = `${worst}${pid}${title} · skein watch`
    if (document.title !== whole) document.title = whole
    const facts = [
      ...(process === null
        ? []
        : [
            `pid ${process.pid}`,
            `up ${words.time(at - process.startedAt)}`,
            `event loop ${Math.round(process.busy * 100)} % busy`,
            `${words.number(process.memory.resident)} MB, heap ${words.number(process.memory.heap)} MB`
          ]),
      ...(history.dropped === 0 ? [] : [`${words.count(history.dropped, "event")} dropped`])
    ]
    put(part("facts"), facts.join(" · "))
    put(
      part("wrong"),
      findings.length === 0
        ? "Nothing looks wrong"
        : `${words.count(findings.length, "thing")} that look${findings.length === 1 ? "s" : ""} wrong`
    )
    part("wrong-part").className = findings.length === 0 ? "none" : "some"
    part("runs-part").hidden = runs.length === 0
    put(part("places"), withoutPlaces === null ? "" : `No places in files: ${words.text(withoutPlaces)}.`)
    part("places").hidden = withoutPlaces === null
  }
  const show = (snapshot: Snapshot): void => {
    last = seen
    seen = snapshot
    const named = new Map<number, string>()
    const open = [...snapshot.groups]
    for (let group = open.pop(); group !== undefined; group = open.pop()) {
      for (const task of group.tasks as ReadonlyArray<TaskView>) {
        named.set(task.id, words.text(task.name))
        open.push(...task.groups)
      }
    }
    names = named
    header(snapshot)
    lists.show(snapshot, last)
    drawTree()
    tree.resize()
  }

  let [isHeld, isEnded] = [false, false]
  const hold = (): void => {
    if (isEnded) return
    isHeld = !isHeld
    part("hold").setAttribute("aria-pressed", String(isHeld))
    if (isHeld) return say("held", "held")
    say("live", "live")
    if (held !== undefined) show(held)
    held = undefined
  }
  const helped = (): void => (help.open ? help.close() : help.showModal())

  const keys: Readonly<Record<string, () => void>> = {
    "?": helped,
    "/": () => {
      search.focus()
      search.select()
    },
    t: tree.focus,
    f: () => part("wrong-part").focus(),
    r: () => part("runs-part").focus(),
    p: hold,
    a: () => {
      fold.checked = !fold.checked
      drawTree()
    }
  }
  document.addEventListener("keydown", (event: Happening) => {
    const act = event.ctrlKey || event.metaKey || event.altKey ? undefined : keys[event.key]
    const isTyping = event.target.tagName === "INPUT" && event.target !== fold
    if (act === undefined || isTyping || (help.open && event.key !== "?")) return
    event.preventDefault()
    act()
  })
  search.addEventListener("input", drawTree)
  search.addEventListener("keydown", (event) => {
    if (event.key === "Escape") search.value = ""
    if (event.key !== "Escape" && event.key !== "Enter") return
    drawTree()
    tree.focus()
  })
  fold.addEventListener("change", drawTree)
  part("hold").addEventListener("click", hold)
  part("ask").addEventListener("click", helped)
  part("close").addEventListener("click", helped)
  browser.addEventListener("resize", tree.resize)
  tree.resize()
  describe(undefined)

  pieces.live(browser, {
    snapshot: (snapshot) => {
      if (isHeld) return void (held = snapshot)
      show(snapshot)
      say("live", "live")
    },
    ended: (why) => {
      isEnded = true
      if (held !== undefined) show(held)
      say("ended", `${words.text(why)} ${seen === undefined ? "" : "This is what was seen of it last."}`.trim())
    },
    trouble: (why) => say("trouble", words.text(why)),
    refused: (why) => {
      isEnded = true
      say("ended", words.text(why))
    }
  })
}
