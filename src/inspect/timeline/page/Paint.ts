/** The picture of what is seen of a timeline at the moment. */
import type { Brush } from "./Dom.ts"
import type { Bar, Layout } from "./Layout.ts"

export interface Picture {
  readonly layout: Layout
  /** The rows that are shown, of all. */
  readonly rows: ReadonlyArray<number>
  /** Where among them a row is. */
  readonly places: ReadonlyMap<number, number>
  /** What of the time is seen. */
  readonly from: number
  readonly to: number
  /** How many pixels of the rows are above what is seen. */
  readonly top: number
  readonly width: number
  readonly height: number
  /** Where names end and bars begin. */
  readonly gutter: number
  /** Where the rows begin below the axis. */
  readonly head: number
  readonly rowHeight: number
  /** Places among `rows`. */
  readonly selected: number | undefined
  readonly hovered: number | undefined
  readonly hasFocus: boolean
  readonly font: string
  readonly colours: Readonly<Record<Colour, string>>
}

export type Colour = "page" | "text" | "faint" | "line" | "band" | "accent" | "run" | "wait" | "failed" | "cancelled"

export const paint = (brush: Brush, picture: Picture): void => {
  const { colours, from, gutter, head, height, layout, rowHeight, rows, to, top, width } = picture
  const scale = (width - gutter) / (to - from)
  const x = (at: number): number => gutter + (at - from) * scale
  const y = (place: number): number => head + place * rowHeight - top
  const first = Math.max(0, Math.floor(top / rowHeight))
  const last = Math.min(rows.length - 1, Math.ceil((top + height - head) / rowHeight))

  const rectangle = (colour: string, left: number, up: number, right: number, down: number): void => {
    const l = Math.max(left, gutter)
    const r = Math.min(right, width)
    if (r < l) return
    brush.fillStyle = colour
    // What is too short to be seen is seen all the same.
    brush.fillRect(l, up, Math.max(r - l, 1), down - up)
  }
  const line = (colour: string, ...points: ReadonlyArray<readonly [number, number]>): void => {
    brush.strokeStyle = colour
    brush.beginPath()
    for (const [i, [px, py]] of points.entries()) {
      if (i === 0) brush.moveTo(px, py)
      else brush.lineTo(px, py)
    }
    brush.stroke()
  }
  const clipped = (left: number, up: number, wide: number, high: number, draw: () => void): void => {
    brush.save()
    brush.beginPath()
    brush.rect(left, up, wide, high)
    brush.clip()
    draw()
    brush.restore()
  }

  const stepOf = (least: number): number => {
    const second = 1000
    const large = [second, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400]
    if (least >= second) {
      const found = large.slice(1).find((step) => step * second >= least)
      if (found !== undefined) return found * second
      const days = Math.ceil(least / 86_400_000)
      const power = 10 ** Math.floor(Math.log10(days))
      return [1, 2, 5, 10].find((step) => step * power >= days)! * power * 86_400_000
    }
    const power = 10 ** Math.floor(Math.log10(least))
    return [1, 2, 5, 10].find((step) => step * power >= least)! * power
  }
  const written = (at: number, step: number): string => {
    const [unit, name] =
      step >= 86_400_000
        ? [86_400_000, "d"]
        : step >= 3_600_000
          ? [3_600_000, "h"]
          : step >= 60_000
            ? [60_000, "min"]
            : step >= 1000
              ? [1000, "s"]
              : step >= 0.1
                ? [1, "ms"]
                : [0.001, "µs"]
    return `${Number((at / (unit as number)).toFixed(6))} ${name}`
  }

  const marked = { committed: colours.accent, blocked: colours.failed, lost: colours.cancelled }
  const axis = (): void => {
    const step = stepOf(90 / scale)
    brush.textAlign = "left"
    for (let n = Math.ceil(from / step); n * step <= to; n++) {
      const at = Math.round(x(n * step)) + 0.5
      line(colours.line, [at, 22], [at, height])
      brush.fillStyle = colours.faint
      brush.fillText(written(n * step, step), at + 4, 12)
    }
    for (const mark of layout.marks) {
      if (mark.to < from || mark.from > to) continue
      rectangle(marked[mark.kind], x(mark.from), 24, Math.max(x(mark.to), x(mark.from) + 2), 32)
      if (mark.kind === "committed") continue
      brush.globalAlpha = 0.1
      rectangle(marked[mark.kind], x(mark.from), 32, x(mark.to), height)
      brush.globalAlpha = 1
    }
    line(colours.line, [0, head - 0.5], [width, head - 0.5])
  }

  const cross = (px: number, py: number): void => {
    brush.lineWidth = 2
    line(colours.failed, [px - 4, py - 4], [px + 4, py + 4])
    line(colours.failed, [px - 4, py + 4], [px + 4, py - 4])
    brush.lineWidth = 1
  }
  const ring = (px: number, py: number): void => {
    brush.lineWidth = 2
    brush.strokeStyle = colours.cancelled
    brush.fillStyle = colours.page
    brush.beginPath()
    brush.arc(px, py, 4, 0, Math.PI * 2)
    brush.fill()
    brush.stroke()
    brush.lineWidth = 1
  }

  /** The first wait that is not over before what is seen. */
  const firstWait = ({ waits }: Bar): number => {
    let low = 0
    let high = waits.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (waits[middle]!.to < from) low = middle + 1
      else high = middle
    }
    return low
  }

  const bar = (one: Bar, up: number): void => {
    const middle = up + rowHeight / 2
    const thick = Math.floor(rowHeight / 4)
    if (one.end < from || one.start > to) {
      // Where it is to be found.
      const at = one.end < from ? gutter + 3 : width - 3
      brush.fillStyle = colours.faint
      brush.fillRect(at - 1, middle - 1, 2, 2)
      return
    }
    const left = x(one.start)
    const right = x(one.end)
    const { waits } = one
    rectangle(colours.wait, left, middle - 1, right, middle + 1)
    let drawn = -Infinity
    const runs = (begin: number, end: number): void => {
      // A thousand of them in a pixel are one.
      if (end < drawn + 1) return
      rectangle(colours.run, begin, middle - thick, end, middle + thick)
      drawn = Math.max(end, begin + 1)
    }
    let awake = left
    for (let i = firstWait(one); i < waits.length && waits[i]!.from <= to; i++) {
      const { from, to } = waits[i]!
      runs(awake, x(from))
      awake = x(to)
    }
    if (awake < right || waits.length === 0) runs(awake, right)
    if (one.cancelled !== undefined) {
      rectangle(colours.cancelled, x(one.cancelled), middle + thick - 2, right, middle + thick)
    }
    if (one.outcome === "running" && right <= width) line(colours.run, [right, up + 3], [right, up + rowHeight - 3])
    if (right < gutter || right > width) return
    if (one.outcome === "failed") cross(right, middle)
    if (one.outcome === "cancelled") ring(right, middle)
  }

  const arrow = (colour: string, at: number, start: number, end: number): void => {
    const px = x(at)
    const [a, b] = [y(start) + rowHeight / 2, y(end) + rowHeight / 2]
    const down = b > a ? 1 : -1
    brush.strokeStyle = colour
    brush.beginPath()
    brush.moveTo(px, a)
    brush.bezierCurveTo(px - 10, a + down * 8, px - 10, b - down * 8, px, b)
    brush.stroke()
    line(colour, [px - 6, b - down * 3], [px, b], [px - 5, b - down * 8])
  }
  const arrows = (): void => {
    const focus = picture.hovered ?? picture.selected
    const row = focus === undefined ? undefined : rows[focus]
    const near = (place: number): boolean => place >= first - 1 && place <= last + 1
    const draw = (colour: string, at: number, start: number, end: number): void => {
      const [a, b] = [picture.places.get(start), picture.places.get(end)]
      if (a === undefined || b === undefined || at < from || at > to || !(near(a) || near(b))) return
      arrow(colour, at, a, b)
    }
    let low = 0
    let high = layout.wakes.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (layout.wakes[middle]!.at < from) low = middle + 1
      else high = middle
    }
    const most = 300
    let few = 0
    while (few <= most && low + few < layout.wakes.length && layout.wakes[low + few]!.at <= to) few++
    if (few <= most)
      for (const wake of layout.wakes.slice(low, low + few)) draw(colours.line, wake.at, wake.from, wake.to)
    if (row === undefined) return
    let left = most
    for (let i = low; left > 0 && i < layout.wakes.length && layout.wakes[i]!.at <= to; i++) {
      const wake = layout.wakes[i]!
      if (wake.from !== row && wake.to !== row) continue
      draw(colours.accent, wake.at, wake.from, wake.to)
      left--
    }
    const one = layout.bars[row]!
    if (one.parent !== undefined) draw(colours.faint, one.start, one.parent, row)
  }

  brush.clearRect(0, 0, width, height)
  brush.font = picture.font
  brush.textBaseline = "middle"
  brush.lineWidth = 1
  clipped(gutter, 0, width - gutter, height, axis)
  clipped(0, head, width, height - head, () => {
    for (let place = first; place <= last; place++) {
      const isSelected = place === picture.selected
      if (!isSelected && place !== picture.hovered) continue
      brush.fillStyle = colours.band
      brush.fillRect(0, y(place), width, rowHeight)
      if (!isSelected) continue
      brush.fillStyle = colours.accent
      brush.fillRect(0, y(place), 3, rowHeight)
      brush.strokeStyle = colours.accent
      if (picture.hasFocus) brush.strokeRect(0.5, y(place) + 0.5, width - 1, rowHeight - 1)
    }
  })
  clipped(gutter, head, width - gutter, height - head, () => {
    for (let place = first; place <= last; place++) bar(layout.bars[rows[place]!]!, y(place))
    arrows()
  })
  clipped(0, head, gutter - 8, height - head, () => {
    brush.textAlign = "left"
    for (let place = first; place <= last; place++) {
      const one = layout.bars[rows[place]!]!
      brush.fillStyle =
        one.outcome === "failed" ? colours.failed : one.outcome === "cancelled" ? colours.cancelled : colours.text
      brush.fillText(one.name, 12 + Math.min(one.depth, 8) * 10, y(place) + rowHeight / 2)
    }
  })
  line(colours.line, [gutter - 0.5, 0], [gutter - 0.5, height])
}
