/** Where the elements of two branches are paired, the first with the first and so on. */
import * as Effect from "effect/Effect"
import { Tally } from "../context/Tally.ts"
import type { Fate } from "../fate/Fate.ts"
import { Queue } from "../fate/Queue.ts"
import { Signal } from "../fate/Signal.ts"
import { ZipUneven } from "../RunError.ts"
import { Item } from "./Lane.ts"
import type { Station } from "./Station.ts"

export class Zip {
  readonly sides: readonly [Side, Side]
  private pairs = 0
  private readonly pipeline: string
  private readonly next: Station
  private readonly fate: Fate

  constructor(pipeline: string, names: ReadonlyArray<string>, next: Station, fate: Fate) {
    this.pipeline = pipeline
    this.next = next
    this.fate = fate
    const moved = () => this.pair()
    this.sides = [new Side(names[0]!, moved), new Side(names[1]!, moved)]
  }

  private pair(): void {
    const [left, right] = this.sides
    while (left.items.length > 0 && right.items.length > 0) {
      const { path, unit, value } = left.items.take()!
      const other = right.items.take()!
      this.pairs += 1
      this.fate.merge([unit, other.unit])
      // It is called after the first of them, which is in no other pair.
      this.next.accept(new Item([value, other.value], unit, `${path}+2`))
    }
    for (const [short, long] of [
      [left, right],
      [right, left]
    ] as const) {
      if (!short.isOver || short.waiting > 0 || long.waiting === 0) continue
      const { name: ended } = short
      const { name: longer, waiting } = long
      const error = new ZipUneven({ pipeline: this.pipeline, pairs: this.pairs, ended, longer, left: waiting })
      for (const side of this.sides) side.fail(error)
    }
  }
}

/** The end of one of the branches. */
export class Side implements Station {
  /** What waits here is at rest: only the other side moves it. */
  readonly isIdle = true
  readonly working = 0
  readonly resting = 0
  readonly concurrency = 1
  readonly tallies: readonly [Tally] = [new Tally()]
  /** Whether all has come that there is. */
  isOver = false
  readonly items = new Queue<Item>()
  readonly name: string
  private readonly moved: () => void
  private closed = false
  private error: ZipUneven | undefined
  private readonly changed = new Signal()

  constructor(name: string, moved: () => void) {
    this.name = name
    this.moved = moved
  }

  get waiting(): number {
    return this.items.length
  }

  crew(): ReadonlyArray<Effect.Effect<void, ZipUneven>> {
    return [
      Effect.andThen(
        this.changed.wait(() => this.closed || this.error !== undefined),
        Effect.suspend(() => (this.error === undefined ? Effect.void : Effect.fail(this.error)))
      )
    ]
  }

  accept(item: Item): void {
    this.items.push(item)
    this.moved()
  }

  flush(): void {}

  /** The branch was read to its end; otherwise the next run reads the rest of it. */
  end(): void {
    this.isOver = true
    this.moved()
  }

  fail(error: ZipUneven): void {
    this.error = error
    this.changed.wakeAll()
  }

  close(): void {
    this.closed = true
    this.changed.wakeAll()
  }
}
