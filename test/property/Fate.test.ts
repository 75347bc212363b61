/** What becomes of elements, in any order of events, against a model that keeps a list of them. */
import { describe, expect, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { type Batch, Fate, type Refused } from "../../src/pipeline/fate/Fate.ts"
import type { Block } from "../../src/pipeline/fate/Block.ts"
import type { Unit } from "../../src/pipeline/fate/Unit.ts"
import type { Open, Settled, Window } from "../../src/pipeline/fate/Window.ts"
import type { Counts, DeadLetter } from "../../src/pipeline/Journal.ts"

const runs = process.env["SKEIN_DEEP"] === undefined ? 3000 : 60_000

const Int = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))
const Spec = Schema.Struct({
  items: Int(1, 9),
  bytes: Schema.Literals([1, 15, 40, 1_000_000]),
  maxRows: Int(1, 4),
  /** Whether commits wait for as many. */
  /** Where an earlier run came to, and what it settled behind that. */
  watermark: Int(0, 3),
  ahead: Schema.Array(Int(2, 8)).check(Schema.isMaxLength(3)),
  replay: Schema.Boolean,
  events: Schema.Array(
    Schema.Struct({
      what: Schema.Literals([
        "admit",
        "admit",
        "block",
        "block",
        "single",
        "write",
        "write",
        "drop",
        "join",
        "fanOut",
        "fanOut",
        "merge",
        "merge",
        "merge",
        "filter",
        "skip",
        "bury",
        "output",
        "output",
        "output",
        "grow",
        "take",
        "after",
        "settle",
        "settle",
        "close"
      ]),
      /** Which of those that there are. */
      pick: Int(0, 1000),
      much: Int(0, 3)
    })
  ).check(Schema.isMinLength(10), Schema.isMaxLength(60))
})
type Spec = typeof Spec.Type
type Event = Spec["events"][number]

const letter = (input: number): DeadLetter => ({
  step: "step",
  input,
  cause: "",
  causes: [],
  attempts: 1,
  position: null,
  path: "",
  version: null,
  at: 0
})

/** A source element in the model. Several that a batch brought together have one `fate`. */
interface Element {
  readonly position: number
  readonly bytes: number
  fate: Together
}

interface Together {
  elements: Array<Element>
  live: number
  rows: Array<number>
  filtered: number
  skipped: number
  dead: number
  letters: number
  bytes: number
  state: "open" | "complete" | "taken" | "settled"
}

/** An element that a range has. */
interface Loose {
  readonly block: Block
  readonly index: number
  readonly element: Element
}

/** An element on its way: the unit that `Fate` gave, and the element in the model. */
interface Way {
  readonly unit: Unit
  readonly element: Element
}

const zero: Counts = { settled: 0, written: 0, filtered: 0, skipped: 0, dead: 0, bytes: 0 }

/** Plays the events on `Fate` and on the model, and compares what both say after each. */
const play = (spec: Spec): void => {
  const ahead = spec.replay ? [] : [...new Set(spec.ahead)].toSorted((a, b) => a - b)
  const start = spec.replay ? 0 : spec.watermark
  const before: Counts = { ...zero, settled: start + ahead.length, written: 2, dead: spec.replay ? 60 : 0 }
  const position = start === 0 ? Option.none<number>() : Option.some(start)
  const reachBefore = ahead.length === 0 ? Option.none<number>() : Option.some(start + ahead.at(-1)!)
  const fate = new Fate({
    window: { items: spec.items, bytes: spec.bytes },
    maxRows: spec.maxRows,
    sources: [{ resume: { position, ahead, reach: reachBefore } }],
    counts: before
  })
  const window0 = fate.windows[0]!

  const elements: Array<Element> = []
  const ways: Array<Way> = []
  /** In the order in which they came. */
  const loose: Array<Loose> = []
  const settledBefore = new Set(ahead.map((index) => start + index))
  /** Those that are complete, in the order in which they became so. */
  let ready: Array<Together> = []
  let batch:
    | { readonly real: Batch; readonly model: ReadonlyArray<Together>; readonly refused: ReadonlyArray<Refused> }
    | undefined
  let closed = false
  let rows = 0

  const writes = (one: Together) => one.rows.length > 0 || one.dead > 0 || one.letters > 0
  const isSettled = ({ fate: { state }, position }: Element) => state === "settled" || settledBefore.has(position)
  const willBe = (element: Element) => isSettled(element) || element.fate.state === "taken"

  /** The watermark, and what is settled behind it, where these elements are. */
  const standing = (is: (element: Element) => boolean) => {
    const passed = elements.findIndex((element) => !is(element))
    const upTo = start + (passed < 0 ? elements.length : passed)
    const read = start + elements.length
    const behind = [
      ...elements.filter((element) => element.position > upTo && is(element)).map(({ position }) => position),
      ...[...settledBefore].filter((position) => position > read)
    ].toSorted((a, b) => a - b)
    return {
      position: upTo === 0 ? Option.none() : Option.some(upTo),
      ahead: behind.map((position) => position - upTo),
      reach: behind.length === 0 ? Option.none() : Option.some(behind.at(-1)!)
    }
  }

  const window = () => elements.filter(({ position }) => position > upTo())
  const upTo = () => Option.getOrElse(standing(isSettled).position, () => 0)
  const togethers = () => [...new Set(elements.map((element) => element.fate))]
  const held = () => togethers().reduce((sum, one) => sum + (one.state === "settled" ? 0 : one.bytes), 0)

  const counted = (all: ReadonlyArray<Together>, refused: ReadonlyArray<Refused> = []): Counts => {
    const counts = { ...zero }
    for (const one of all) {
      counts.settled += one.elements.length
      counts.written += one.rows.length
      counts.filtered += one.filtered
      counts.skipped += one.skipped
      counts.dead += one.dead
      counts.bytes += one.elements.reduce((sum, { bytes }) => sum + bytes, 0)
    }
    for (const { letter } of refused) {
      counts.written -= 1
      if (letter === undefined) counts.skipped += 1
      else counts.dead += 1
    }
    return counts
  }
  const settledRefused: Array<Refused> = []
  const settled = () =>
    counted(
      togethers().filter(({ state }) => state === "settled"),
      settledRefused
    )

  const fresh = (): Together => ({
    elements: [],
    live: 1,
    rows: [],
    filtered: 0,
    skipped: 0,
    dead: 0,
    letters: 0,
    bytes: 0,
    state: "open"
  })

  /** Takes elements of one block out of those that ranges have, between which there are only such as are gone from them. */
  const neighbours = (pick: number, much: number): ReadonlyArray<Loose> => {
    const first = loose[pick % (loose.length + 1)]
    if (first === undefined) return []
    const { block } = first
    const at = loose.indexOf(first)
    let end = at + 1
    for (; end <= at + much && loose[end]?.block === block; end++) {
      const [before, next] = [loose[end - 1]!.index + 1, loose[end]!.index]
      if (block.live(before, next) < next) break
    }
    return loose.splice(at, end - at)
  }

  const joined = (some: ReadonlyArray<Loose>): Together => {
    const together = fresh()
    for (const { element } of some) {
      together.elements.push(element)
      together.bytes += element.bytes
      element.fate = together
    }
    return together
  }

  const ended = (one: Together): void => {
    one.live -= 1
    if (one.live > 0) return
    one.state = "complete"
    ready.push(one)
  }

  const compare = (): void => {
    expect(fate.settled).toEqual(settled())
    const counts = { ...fate.known }
    const quiet = togethers().filter((one) => (one.state === "complete" || one.state === "taken") && !writes(one))
    expect(counts).toEqual(
      counted([...togethers().filter(({ state }) => state === "settled"), ...quiet], settledRefused)
    )
    expect(fate.read).toBe(elements.length)
    expect(fate.lag).toBe(window().length)
    const open = elements.filter((element) => !isSettled(element) && !quiet.includes(element.fate))
    expect(fate.inFlight).toBe(open.length)
    expect(fate.isHeavy).toBe(held() >= spec.bytes)
    const isFull = window().length >= spec.items || (held() >= spec.bytes / 2 && window().length > 0)
    expect(fate.isFull).toBe(isFull)
    const toWrite = ready.filter(writes)
    const rows = toWrite.reduce((sum, one) => sum + one.rows.length, 0)
    const count = toWrite.reduce((sum, one) => sum + one.elements.length, 0)
    const isStuck = isFull && !togethers().some((one) => one.state === "open" && one.elements.length > 0)
    const isHeavy = held() >= spec.bytes
    expect(fate.isEnough).toBe(closed || rows >= spec.maxRows || count >= spec.items / 2 || isHeavy || isStuck)
    const makesRoom = ready.length > 0 && (closed || isFull)
    expect(fate.isDue).toBe(toWrite.length > 0 || makesRoom)
    expect(fate.isCommitting).toBe(batch !== undefined)
    expect(fate.isAtRest).toBe(batch === undefined && toWrite.length === 0 && !makesRoom)
  }

  /** What is true once the batch is settled may be asked as often as one likes, and changes nothing. */
  const askAfter = (): void => {
    if (batch === undefined) return
    const { model, real, refused } = batch
    const both = counted(
      [...togethers().filter(({ state }) => state === "settled"), ...model],
      [...settledRefused, ...refused]
    )
    const replayed = togethers().reduce(
      (sum, one) => sum + (one.state === "settled" || one.state === "taken" ? one.letters : 0),
      0
    )
    const expected = {
      places: [standing(willBe)],
      counts: {
        settled: before.settled + both.settled - replayed,
        written: before.written + both.written,
        filtered: both.filtered,
        skipped: both.skipped,
        dead: before.dead + both.dead - replayed,
        bytes: both.bytes
      }
    }
    for (let i = 0; i < 3; i++) expect(fate.after(real, refused)).toEqual(expected)
  }

  const happen = ({ much, pick, what }: Event): void => {
    const index = ways.length === 0 ? -1 : pick % ways.length
    const way = ways[index]
    switch (what) {
      case "admit": {
        // Nobody admits into a window that is full.
        if (fate.isFull || closed) return
        const position = start + elements.length + 1
        const bytes = pick % 10
        const replays = spec.replay ? { replays: { letter: position, step: "step", path: "", at: 0 } } : {}
        const one = { values: [position], positionOf: () => position, bytes: [bytes], ...replays }
        const block = fate.admit(window0, one, 0, 1)
        const unit = block.live(0, 1) < 1 ? fate.single(block, 0) : undefined
        const element: Element = { position, bytes, fate: undefined as never }
        const known = settledBefore.has(position)
        element.fate = fresh()
        element.fate.letters = spec.replay ? 1 : 0
        if (!known) Object.assign(element.fate, { elements: [element], bytes })
        elements.push(element)
        expect(unit === undefined).toBe(known)
        if (unit !== undefined) ways.push({ unit, element })
        return
      }
      case "block": {
        if (fate.isFull || closed || spec.replay) return
        const read = start + elements.length
        const some = Array.from({ length: 2 + (pick % 6) }, (_, i) => ({ position: read + i, bytes: (pick + i) % 10 }))
        const arrivals = {
          values: some.map(({ position }) => 1000 + position),
          positionOf: (i: number) => some[i]!.position,
          bytes: some.map(({ bytes }) => bytes)
        }
        // The first of them is what came before.
        const taken = window0.fits(arrivals, 1, much + 1)
        let [size, bytes, count] = [window().length, held(), 0]
        while (
          count < some.length - 1 &&
          count <= much &&
          size < spec.items &&
          (size === 0 || bytes < spec.bytes / 2)
        ) {
          size += 1
          count += 1
          bytes += some[count]!.bytes
        }
        expect(taken).toBe(count)
        if (count === 0) return
        const block = fate.admit(window0, arrivals, 1, count)
        for (const [i, { bytes, position }] of some.slice(1, 1 + count).entries()) {
          const known = settledBefore.has(position)
          const element: Element = { position, bytes, fate: fresh() }
          if (!known) Object.assign(element.fate, { elements: [element], bytes })
          elements.push(element)
          expect(block.live(i, i + 1) > i).toBe(known)
          if (!known) loose.push({ block, index: i, element })
        }
        return
      }
      case "single": {
        const [one] = loose.splice(pick % (loose.length + 1), 1)
        if (one !== undefined) ways.push({ unit: fate.single(one.block, one.index), element: one.element })
        return
      }
      case "write": {
        const some = neighbours(pick, much)
        if (some.length === 0) return
        let room = spec.maxRows - (ready.reduce((sum, one) => sum + one.rows.length, 0) % spec.maxRows)
        fate.write(some[0]!.block, some[0]!.index, some.at(-1)!.index + 1)
        // Never across the end of a batch.
        for (let at = 0; at < some.length; room = spec.maxRows) {
          const together = joined(some.slice(at, at + room))
          at += room
          together.rows = together.elements.map(({ position }) => 1000 + position)
          together.live = 0
          together.state = "complete"
          ready.push(together)
        }
        return
      }
      case "drop": {
        for (const { block, element, index } of neighbours(pick, much)) {
          fate.drop(block, index, index + 1)
          element.fate.filtered += 1
          ended(element.fate)
        }
        return
      }
      case "join": {
        const some = [...neighbours(pick, much), ...neighbours(pick + much, 1)]
        if (some.length === 0) return
        const ranges = some.map(({ block, index }) => ({ block, from: index, to: index + 1 }))
        joined(some).live = 1
        ways.push({ unit: fate.join(ranges), element: some[0]!.element })
        return
      }
      case "fanOut": {
        if (way === undefined) return
        ways.splice(index, 1)
        if (much === 0) {
          fate.end(way.unit)
          return ended(way.element.fate)
        }
        fate.fanOut(way.unit, much)
        way.element.fate.live += much - 1
        for (let i = 0; i < much; i++) ways.push(way)
        return
      }
      case "merge": {
        if (way === undefined) return
        const members = ways.splice(index, 1 + much)
        const merged = fate.merge(members.map(({ unit }) => unit))
        const first = way.element.fate
        for (const { element } of members) {
          const other = element.fate
          if (other === first) continue
          first.elements.push(...other.elements)
          first.live += other.live
          first.rows.push(...other.rows)
          for (const field of ["filtered", "skipped", "dead", "letters", "bytes"] as const) first[field] += other[field]
          for (const one of other.elements) one.fate = first
        }
        first.live -= members.length - 1
        // It may be called by the merged unit or by any of its members.
        ways.push({ unit: pick % 2 === 0 ? merged : members.at(-1)!.unit, element: way.element })
        return
      }
      case "filter":
      case "skip":
      case "bury": {
        if (way === undefined) return
        ways.splice(index, 1)
        const one = way.element.fate
        if (what === "filter") {
          fate.filter(way.unit)
          one.filtered += 1
        } else if (what === "skip") {
          fate.skip(way.unit)
          one.skipped += 1
        } else {
          fate.bury(way.unit, letter(pick))
          one.dead += 1
        }
        fate.end(way.unit)
        return ended(one)
      }
      case "output": {
        if (way === undefined) return
        ways.splice(index, 1)
        const row = ++rows
        way.element.fate.rows.push(row)
        fate.output(way.unit, row)
        return ended(way.element.fate)
      }
      case "grow": {
        if (way === undefined) return
        fate.grow(way.unit, much * 7)
        way.element.fate.bytes += much * 7
        return
      }
      case "take": {
        if (batch !== undefined) return
        const real = fate.take()
        const model = ready.filter((one) => !writes(one))
        const wanting = ready.filter(writes)
        let count = 0
        // As many as fit, and one in any case: what belongs together is never split.
        for (const one of wanting) {
          if (count > 0 && count + one.rows.length > spec.maxRows) break
          count += one.rows.length
          model.push(one)
        }
        ready = ready.filter((one) => !model.includes(one))
        for (const one of model) one.state = "taken"
        expect(real.rows).toEqual(model.flatMap((one) => one.rows))
        expect(real.units.flatMap((unit) => unit.dead).length).toBe(model.reduce((sum, { dead }) => sum + dead, 0))
        const refused = real.rows.flatMap((_, row): ReadonlyArray<Refused> =>
          (pick >> row) % 5 === 0 ? [{ row, letter: pick % 2 === 0 ? letter(row) : undefined }] : []
        )
        batch = { real, model, refused }
        return
      }
      case "after":
        return askAfter()
      case "settle": {
        if (batch === undefined) return
        askAfter()
        const promised = fate.after(batch.real, batch.refused)
        fate.settle(batch.real, batch.refused)
        for (const one of batch.model) one.state = "settled"
        settledRefused.push(...batch.refused)
        batch = undefined
        // What was kept is what is true now.
        expect(fate.after({ units: [], rows: [], marks: [] })).toEqual(promised)
        return
      }
      case "close": {
        if (pick % 4 > 0) return
        closed = true
        fate.close()
        expect(fate.isClosed).toBe(true)
      }
    }
  }

  compare()
  for (const event of spec.events) {
    happen(event)
    compare()
  }
  // To the end: all that is under way is written, and all is settled.
  while (loose.length > 0) happen({ what: "write", pick: 0, much: 3 })
  while (ways.length > 0) happen({ what: "output", pick: 0, much: 0 })
  happen({ what: "settle", pick: 0, much: 0 })
  closed = true
  fate.close()
  while (ready.length > 0) {
    expect(fate.isDue).toBe(true)
    happen({ what: "take", pick: 1, much: 0 })
    compare()
    happen({ what: "settle", pick: 0, much: 0 })
    compare()
  }
  expect([fate.isDue, fate.isAtRest, fate.lag, fate.inFlight]).toEqual([false, true, 0, 0])
  expect(fate.after({ units: [], rows: [], marks: [] })).toMatchObject({ places: [standing(isSettled)] })
}

/** Several sources, and elements that are read to parts, which may be read to parts again. */
const Tree = Schema.Struct({
  sources: Int(1, 3),
  items: Int(1, 9),
  maxRows: Int(1, 4),
  events: Schema.Array(
    Schema.Struct({
      what: Schema.Literals([
        "admit",
        "admit",
        "admit",
        "admit",
        "block",
        "open",
        "open",
        "end",
        "end",
        "merge",
        "filter",
        "output",
        "output",
        "output",
        "take",
        "settle",
        "settle"
      ]),
      pick: Int(0, 1000)
    })
  ).check(Schema.isMinLength(10), Schema.isMaxLength(80))
})

/** What comes in by a source, or of an element. */
interface Strand {
  readonly real: Window
  readonly parent: Leaf | undefined
  readonly leaves: Array<Leaf>
  ended: boolean
}

interface Leaf {
  readonly strand: Strand
  /** None in a run, which is never read to parts. */
  unit?: Unit
  readonly strands: Array<Strand>
  group: Group
}

/** What settles together. */
interface Group {
  leaves: Array<Leaf>
  live: number
  rows: Array<number>
  filtered: number
  state: "open" | "complete" | "taken" | "settled"
}

const playTree = ({ events, items, maxRows, sources }: typeof Tree.Type): void => {
  const fate = new Fate({
    window: { items, bytes: 1_000_000 },
    maxRows,
    sources: Array.from({ length: sources }, () => ({
      resume: { position: Option.none(), ahead: [], reach: Option.none() }
    })),
    counts: zero
  })
  const strands: Array<Strand> = fate.windows.map((real) => ({ real, parent: undefined, leaves: [], ended: false }))
  const roots = [...strands]
  const ways: Array<{ readonly unit: Unit; readonly leaf: Leaf }> = []
  let ready: Array<Group> = []
  let batch: { readonly real: Batch; readonly model: Array<Group> } | undefined
  let rows = 0
  let names = 0

  const isGone = ({ group }: Leaf) => group.state === "taken" || group.state === "settled"
  const isOver = (strand: Strand) => strand.ended && strand.leaves.every(isGone)
  const isWhole = (group: Group) => group.live === 0 && group.leaves.every((leaf) => leaf.strands.every(isOver))
  const passed = (leaves: ReadonlyArray<Leaf>, is: (leaf: Leaf) => boolean) => {
    const first = leaves.findIndex((leaf) => !is(leaf))
    return first < 0 ? leaves.length : first
  }
  const isSettled = ({ group }: Leaf) => group.state === "settled"
  /** A model of `Window.after`, without the positions. */
  const standing = ({ leaves }: Strand, is: (leaf: Leaf) => boolean): unknown => {
    const upTo = passed(leaves, is)
    const behind = leaves.slice(upTo)
    return {
      count: upTo,
      ahead: behind.flatMap((leaf, i) => (is(leaf) ? [i + 1] : [])),
      inside: behind.flatMap((leaf, i) =>
        is(leaf) ? [] : leaf.strands.map((strand) => ({ index: i + 1, ...(standing(strand, is) as object) }))
      )
    }
  }
  const said = ({ ahead, inside = [], position }: Settled): unknown => ({
    count: Option.getOrElse(position, () => 0),
    ahead,
    inside: inside.map((one) => {
      const { settled } = one as Open
      expect(one.count).toBe(Option.getOrElse(settled.position, () => 0))
      return { index: one.index, ...(said(settled) as object) }
    })
  })
  const window = (strand: Strand) => strand.leaves.length - passed(strand.leaves, isSettled)
  const groups = () => [...new Set(strands.flatMap(({ leaves }) => leaves.map(({ group }) => group)))]
  const isFull = (strand: Strand) => {
    const own = strand.parent === undefined
    const held = own
      ? window(strand)
      : strands.filter(({ parent }) => parent).reduce((sum, one) => sum + window(one), 0)
    return window(strand) > 0 && held >= (own ? Math.max(1, Math.floor(items / sources)) : items)
  }
  const completed = (group: Group) => {
    if (group.state !== "open" || !isWhole(group)) return
    group.state = "complete"
    ready.push(group)
  }
  const enter = (strand: Strand, group: Group): Leaf => {
    const leaf: Leaf = { strand, strands: [], group }
    group.leaves.push(leaf)
    strand.leaves.push(leaf)
    return leaf
  }
  const fresh = (): Group => ({ leaves: [], live: 1, rows: [], filtered: 0, state: "open" })

  const compare = () => {
    const settled = groups().filter(({ state }) => state === "settled")
    const elements = settled.flatMap(({ leaves }) => leaves.filter(({ strand }) => strand.parent === undefined))
    expect(fate.settled.settled).toBe(elements.length)
    expect(fate.settled.written).toBe(settled.reduce((sum, one) => sum + one.rows.length, 0))
    expect(fate.settled.filtered).toBe(settled.reduce((sum, one) => sum + one.filtered, 0))
    expect(fate.lag).toBe(roots.reduce((sum, root) => sum + window(root), 0))
    for (const strand of strands) {
      // Nobody looks at the parts of an element that is settled.
      if (strand.parent !== undefined && isSettled(strand.parent)) continue
      expect([strand.real.size, strand.real.isFull]).toEqual([window(strand), isFull(strand)])
    }
    const { places } = fate.after({ units: [], rows: [], marks: [] })
    expect(places.map(said)).toEqual(roots.map((root) => standing(root, isGone)))
    expect(fate.isDue).toBe(ready.some((one) => one.rows.length > 0) || (ready.length > 0 && fate.isFull))
  }

  const happen = ({ pick, what }: (typeof events)[number]): void => {
    const open = strands.filter(({ ended }) => !ended)
    const strand = open[pick % open.length]!
    const index = ways.length === 0 ? -1 : pick % ways.length
    const way = ways[index]
    switch (what) {
      case "admit": {
        if (strand.real.isFull) return
        const position = strand.leaves.length + 1
        const one = { values: [0], positionOf: () => position, bytes: [1] }
        const unit = fate.single(fate.admit(strand.real, one, 0, 1), 0)
        ways.push({ unit, leaf: Object.assign(enter(strand, fresh()), { unit }) })
        return
      }
      case "block": {
        if (strand.real.isFull) return
        const position = strand.leaves.length + 1
        const values = [1, 2, 3].map(() => ++rows)
        const arrivals = { values, positionOf: (i: number) => position + i, bytes: [1, 1, 1] }
        const taken = strand.real.fits(arrivals, 0, 3)
        expect(taken).toBeGreaterThan(0)
        fate.write(fate.admit(strand.real, arrivals, 0, taken), 0, taken)
        // Never across the end of a batch.
        let room = maxRows - (ready.reduce((sum, one) => sum + one.rows.length, 0) % maxRows)
        for (let at = 0; at < taken; room = maxRows) {
          const group = { ...fresh(), live: 0 }
          for (const value of values.slice(at, Math.min(taken, at + room))) {
            enter(strand, group)
            group.rows.push(value)
          }
          at += room
          completed(group)
        }
        return
      }
      case "open": {
        // What settles with others is not read to parts, nor what was before.
        if (way === undefined || way.leaf.group.leaves.length > 1 || way.leaf.strands.length > 0) return
        ways.splice(index, 1)
        const within = { step: "s", path: `/${++names}`, count: 0, keep: () => Effect.die("nobody keeps it") }
        const real = fate.open(way.unit, within, { position: Option.none(), ahead: [], reach: Option.none() })
        const inner: Strand = { real, parent: way.leaf, leaves: [], ended: false }
        way.leaf.strands.push(inner)
        way.leaf.group.live -= 1
        strands.push(inner)
        return
      }
      case "end": {
        if (strand.parent === undefined) return
        strand.ended = true
        fate.ended(strand.real)
        // The element itself is at its end with its last part.
        fate.end(strand.parent.unit!)
        return completed(strand.parent.group)
      }
      case "merge": {
        const members = ways.slice(index, index + 1 + (pick % 3)).filter(({ leaf }) => leaf.strands.length === 0)
        if (way === undefined || members.length < 2) return
        fate.merge(members.map(({ unit }) => unit))
        const first = members[0]!.leaf.group
        for (const { leaf } of members) {
          const other = leaf.group
          if (other === first) continue
          first.leaves.push(...other.leaves)
          first.live += other.live
          first.rows.push(...other.rows)
          first.filtered += other.filtered
          for (const each of other.leaves) each.group = first
        }
        first.live -= members.length - 1
        for (const member of members.slice(1)) ways.splice(ways.indexOf(member), 1)
        return
      }
      case "filter":
      case "output": {
        if (way === undefined) return
        ways.splice(index, 1)
        const { group } = way.leaf
        group.live -= 1
        if (what === "output") {
          group.rows.push(++rows)
          fate.output(way.unit, rows)
        } else {
          group.filtered += 1
          fate.filter(way.unit)
          fate.end(way.unit)
        }
        return completed(group)
      }
      case "take": {
        if (batch !== undefined) return
        const real = fate.take()
        const model = ready.filter((one) => one.rows.length === 0)
        let count = 0
        for (const one of ready.filter((one) => one.rows.length > 0)) {
          if (count > 0 && count + one.rows.length > maxRows) break
          count += one.rows.length
          model.push(one)
        }
        ready = ready.filter((one) => !model.includes(one))
        // With its last part goes an element that has nothing to write itself.
        for (const one of model) {
          one.state = "taken"
          for (const { strand } of one.leaves) {
            const above = strand.parent?.group
            if (above === undefined || above.state !== "open" || !isWhole(above)) continue
            if (above.rows.length === 0) model.push(Object.assign(above, { state: "taken" as const }))
            else completed(above)
          }
        }
        expect(real.rows).toEqual(model.flatMap((one) => one.rows))
        expect(real.units.length).toBe(model.length)
        batch = { real, model }
        return
      }
      case "settle": {
        if (batch === undefined) return
        fate.settle(batch.real)
        for (const one of batch.model) one.state = "settled"
        batch = undefined
      }
    }
  }
  compare()
  for (const event of events) {
    happen(event)
    compare()
  }
  while (ways.length > 0) happen({ what: "output", pick: 0 })
  for (const strand of strands.slice()) {
    const open = strands.filter(({ ended }) => !ended)
    if (strand.parent !== undefined && !strand.ended) happen({ what: "end", pick: open.indexOf(strand) })
  }
  happen({ what: "settle", pick: 0 })
  fate.close()
  while (ready.length > 0) {
    happen({ what: "take", pick: 0 })
    compare()
    happen({ what: "settle", pick: 0 })
    compare()
  }
  expect([fate.isDue, fate.isAtRest, fate.lag, fate.inFlight]).toEqual([false, true, 0, 0])
}

describe("Fate", () => {
  it.prop(
    "P1 is what a list of the elements says, after any events; nothing is settled before it is told so",
    { spec: Arbitrary.schema(Spec) },
    ({ spec }) => play(spec),
    { arbitrary: { runs }, timeout: 300_000 }
  )

  it.prop(
    "P16 settles parts of elements, of several sources, before the elements that they are of",
    { spec: Arbitrary.schema(Tree) },
    ({ spec }) => playTree(spec),
    { arbitrary: { runs }, timeout: 300_000 }
  )
})
