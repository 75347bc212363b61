/**
 * Many elements at once: a column for each thing that is known of them, and no object for each of them. A source that gives
 * portions is still a stream of elements to whoever reads it so, or changes it.
 */
import * as Arr from "effect/Array"
import * as Stream from "effect/Stream"

/** Of one element at least. */
export interface Portion<out A, out P> {
  readonly values: ReadonlyArray<A>
  /** Where reading goes on once the element at this index, and all before it, are settled. */
  readonly positionOf: (index: number) => P
  /** The size in memory of each, as near as the source can tell cheaply. */
  readonly bytes: ArrayLike<number>
}

/** A portion that is put together one element after the other, in which a position is a number. */
export class Columns<A> implements Portion<A, number> {
  readonly values: Array<A> = []
  readonly bytes: Array<number> = []
  private readonly positions: Array<number> = []

  readonly positionOf = (index: number): number => this.positions[index]!

  add(value: A, position: number, bytes: number): void {
    this.values.push(value)
    this.positions.push(position)
    this.bytes.push(bytes)
  }
}

/** The same elements at other positions. */
export const placed = <A, P, Q>(
  { bytes, positionOf, values }: Portion<A, P>,
  place: (position: P) => Q
): Portion<A, Q> => ({ values, positionOf: (index) => place(positionOf(index)), bytes })

interface Element<out A, out P> {
  readonly value: A
  readonly position: P
  readonly bytes: number
}

const known = new WeakMap<object, Stream.Stream<Portion<unknown, unknown>, unknown, unknown>>()

/** The elements of portions, which are not made where `portionsOf` asks for the portions. */
export const elementsOf = <A, P, E, R>(
  portions: Stream.Stream<Portion<A, P>, E, R>
): Stream.Stream<Element<A, P>, E, R> => {
  const elements = Stream.mapArray(portions, Arr.flatMap(elementsIn))
  known.set(elements, portions)
  return elements
}

/** What elements came from, or portions of the arrays in which they come. */
export const portionsOf = <A, P, E, R>(
  elements: Stream.Stream<Element<A, P>, E, R>
): Stream.Stream<Portion<A, P>, E, R> =>
  (known.get(elements) as Stream.Stream<Portion<A, P>, E, R> | undefined) ??
  Stream.mapArray(elements, (some) => Arr.of(portionOf(some)))

/** The same portions in other surroundings. */
export const through = <A, P, E, R, E2, R2>(
  elements: Stream.Stream<Element<A, P>, E, R>,
  change: <B>(stream: Stream.Stream<B, E, R>) => Stream.Stream<B, E2, R2>
): Stream.Stream<Element<A, P>, E2, R2> =>
  known.has(elements) ? elementsOf(change(portionsOf(elements))) : change(elements)

const elementsIn = <A, P>({ bytes, positionOf, values }: Portion<A, P>): Arr.NonEmptyArray<Element<A, P>> =>
  Arr.map(values as Arr.NonEmptyReadonlyArray<A>, (value, i) => ({ value, position: positionOf(i), bytes: bytes[i]! }))

const portionOf = <A, P>(elements: ReadonlyArray<Element<A, P>>): Portion<A, P> => {
  const positions = elements.map(({ position }) => position)
  return {
    values: elements.map(({ value }) => value),
    positionOf: (index) => positions[index]!,
    bytes: elements.map(({ bytes }) => bytes)
  }
}
