/** Looks at fibers that wait: where they do, and what for. */
import type * as Fiber from "effect/Fiber"
import type { Seen } from "../../inspect/context/Deep.ts"
import { NotSeen } from "../../inspect/context/Deep.ts"
import type { Place } from "../../inspect/context/Snapshot.ts"
import { ownFirst, placeOf } from "./Code.ts"
import * as FiberParts from "./FiberParts.ts"
import { Mirror } from "./Mirror.ts"
import { Waits } from "./Waits.ts"

type AnyFiber = Fiber.Fiber<unknown, unknown>

/** The thread does nothing else meanwhile: a look takes no more fibers, and no longer in milliseconds. */
const most = 500
const longest = 250
/** Of one fiber; a recursion may be in very many. */
const generators = 20

export class Sight {
  private readonly mirror: Mirror
  private readonly waits: Waits

  /** Throws where there is no inspector. */
  constructor() {
    this.mirror = new Mirror()
    this.waits = this.mirror.while(() => new Waits(this.mirror))
  }

  close(): void {
    this.mirror.close()
  }

  look(fibers: ReadonlyArray<AnyFiber>): ReadonlyMap<AnyFiber, Seen> {
    const end = performance.now() + longest
    const seen = new Map<AnyFiber, Seen>()
    const observed = new Map(
      fibers.flatMap((fiber) => FiberParts.observersOf(fiber).map((one) => [one, fiber] as const))
    )
    for (const fiber of fibers.slice(0, most)) {
      if (seen.size > 0 && performance.now() > end) break
      this.mirror.while(() => seen.set(fiber, { places: this.placesOf(fiber), ...this.waits.of(fiber, observed) }))
    }
    return seen
  }

  private placesOf(fiber: AnyFiber): ReadonlyArray<Place> {
    const spots = FiberParts.generatorsOf(fiber)
      .slice(0, generators)
      .flatMap((generator) => {
        const location = this.mirror.generator(generator)
        const spot = location && this.mirror.spot(location)
        return spot === undefined ? [] : [spot]
      })
    return ownFirst(spots).map(({ column, line, url }) => placeOf(url, line, column))
  }
}

/** Made for the first who looks; or why there is none. */
export const open = (isRight: () => boolean = FiberParts.isRight): Sight | NotSeen => {
  if (!isRight()) return new NotSeen("this version of Effect keeps the generators of its fibers elsewhere")
  try {
    return new Sight()
  } catch (error) {
    return new NotSeen(`this Node has no inspector: ${error instanceof Error ? error.message : String(error)}`)
  }
}
