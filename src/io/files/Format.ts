/** How the bytes of a file are cut into elements, and how elements become bytes. A format does no I/O. */
import type { Portion } from "../../pipeline/context/Portion.ts"
import type { Fingerprint } from "../../pipeline/Source.ts"

/** Why a part of a file or an element cannot be accepted, found by whoever converts between the two. */
export class Refusal {
  readonly reason: string
  readonly fix: string
  /** Where in the value, if it is in a part of it. */
  readonly field: string | undefined
  constructor(reason: string, fix: string, field?: string) {
    this.reason = reason
    this.fix = fix
    this.field = field
  }
}

/** What was refused, and how many bytes come before it. */
export interface Problem {
  readonly offset: number
  readonly refusal: Refusal
}

/**
 * From bytes to elements: it says where bytes should go, is told how many came, and gives elements. The position of one is the
 * byte behind all that belongs to it, where another cutter of the same format can start.
 */
export interface Cutter<out A> {
  /** Where to put the bytes that follow: room for one at least. */
  space(): Uint8Array
  /** Takes `count` bytes that were put at the start of the last `space()`; none means that no more follow. */
  add(count: number): void
  /** The next elements; none when more bytes are needed, at a problem and at the end. */
  next(): Portion<A, number>
  /** What follows was refused for this, once all before it has been given. */
  readonly problem: Problem | undefined
  /** It was told that no more bytes follow. */
  readonly ended: boolean
  /** Once no more bytes follow: where another cutter goes on, if some do later. */
  readonly end: number
}

/** Where a cutter starts: at the first byte of the file, or at the position of an element. */
export interface Start {
  readonly at: number
  /** The byte before it; undefined at the first one. A line that was read before it had an end gets it later. */
  readonly before: number | undefined
  /** The first bytes of the file, as many as `Format.head` says, or all: empty at the first byte, where they follow anyway. */
  readonly head: Uint8Array
}

export interface Format<in out A> {
  readonly name: string
  /** What else of it must not change from run to run, by which a sink is known: the delimiter of CSV. */
  readonly form?: Fingerprint
  /** Whether it is no text, so that bytes are taken as they are. Default false. */
  readonly isBinary?: boolean
  /** How many of a file's first bytes `cut` needs to start further on, as for the names of columns. Default 0. */
  readonly head?: number
  readonly cut: (start: Start) => Cutter<A>
  /** The characters that end an element, where the last one of a file may lack its end and get it later. Default: none do. */
  readonly ends?: string
  /** Why nothing can be written behind what begins with these bytes, as many as `head` says. Default: anything goes. */
  readonly follows?: (head: Uint8Array) => Refusal | undefined
  /** One element, without what stands around it. */
  readonly print: (element: A) => string | Uint8Array | Refusal
  readonly layout: Layout
}

/** What stands around elements in a file, all of it nothing by default. */
export interface Layout {
  /** At the start of a file. */
  readonly header?: string
  /** Behind each element. A file that does not end in it gets it before the next element. */
  readonly terminator?: string
  /** Between two elements. */
  readonly separator?: string
  /** At the end, once the last element is known. It does not count as written: what comes later stands in its place. */
  readonly footer?: string
}
