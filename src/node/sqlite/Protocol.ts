/** What goes between the thread of the program and the one that writes. Runs in both. */
import type { Form, Synchronous } from "./Database.ts"

export interface Start {
  readonly file: string
  readonly synchronous: Synchronous
}

/** One number that says who was first: the thread, which opens the database, or who has no more need of it. */
export interface Begin extends Start {
  readonly first: SharedArrayBuffer
}

/** Whether nobody was first before. */
export const isFirst = (first: SharedArrayBuffer): boolean => Atomics.add(new Int32Array(first), 0, 1) === 0

export type Request =
  | {
      readonly _tag: "Run"
      readonly sql: string
      readonly params: ReadonlyArray<unknown>
      readonly form: Form
      readonly exact: boolean
      /** Whether a transaction has to be open: SQLite may have rolled it back by itself. */
      readonly within: boolean
    }
  | {
      readonly _tag: "Insert"
      readonly columns: ReadonlyArray<Packed>
      /** Statements, each with the number of rows that it is for; together they are all rows. */
      readonly parts: ReadonlyArray<readonly [sql: string, rows: number]>
    }
  | {
      readonly _tag: "Begin"
      readonly cursor: number
      readonly sql: string
      readonly params: ReadonlyArray<unknown>
      readonly exact: boolean
    }
  | { readonly _tag: "Next"; readonly cursor: number }
  | { readonly _tag: "End"; readonly cursor: number }
  | { readonly _tag: "Close" }

/** To each request one, in the same order. */
export interface Reply {
  readonly value?: unknown
  readonly error?: Failed
  /** Whether a transaction is open now. */
  readonly isTransaction: boolean
}

/** What a part of an insert failed with, and its rows. */
export class PartRefused<out E> {
  readonly error: E
  readonly from: number
  readonly count: number
  constructor(error: E, from: number, count: number) {
    this.error = error
    this.from = from
    this.count = count
  }
}

export interface Failed {
  readonly message: string
  readonly errcode?: number | undefined
  /** The rows of an insert that it is about. */
  readonly from?: number | undefined
  readonly count?: number | undefined
  readonly isRolledBack?: boolean | undefined
}

/** A column on its way: numbers as they are in memory, strings end to end with their lengths, or all values one by one. */
export type Packed = Float64Array | { readonly text: string; readonly lengths: Int32Array } | ReadonlyArray<unknown>

export const pack = (values: ReadonlyArray<unknown>, transfer: Array<ArrayBuffer>): Packed => {
  switch (typeof values.find((value) => value !== null)) {
    case "number":
      return packNumbers(values, transfer)
    case "string":
      return packTexts(values, transfer)
    default:
      return values.map(sendable)
  }
}

const packNumbers = (values: ReadonlyArray<unknown>, transfer: Array<ArrayBuffer>): Packed => {
  const numbers = new Float64Array(values.length)
  for (let at = 0; at < values.length; at++) {
    const value = values[at]
    if (typeof value !== "number") return values.map(sendable)
    numbers[at] = value
  }
  transfer.push(numbers.buffer)
  return numbers
}

const packTexts = (values: ReadonlyArray<unknown>, transfer: Array<ArrayBuffer>): Packed => {
  const lengths = new Int32Array(values.length)
  for (let at = 0; at < values.length; at++) {
    const value = values[at]
    if (typeof value === "string") lengths[at] = value.length
    else if (value === null) lengths[at] = -1
    else return values.map(sendable)
  }
  transfer.push(lengths.buffer)
  // What is null is nothing there.
  return { text: values.join(""), lengths }
}

/** Bytes without the rest of the memory that they are a part of, which would be copied as well. */
export const sendable = (value: unknown): unknown =>
  value instanceof Uint8Array ? Uint8Array.prototype.slice.call(value) : value

/** The values of a column one after the other. */
export const unpack = (column: Packed): (() => unknown) => {
  let at = 0
  if (!("text" in column)) return () => column[at++]
  const { lengths, text } = column
  let from = 0
  return () => {
    const length = lengths[at++]!
    if (length < 0) return null
    const value = text.slice(from, from + length)
    from += length
    return value
  }
}
