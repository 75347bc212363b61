/**
 * What runs in the watchdog's thread: it looks whether the loop of the program turns. Where it does not, it halts the program for a
 * moment, reads the stack, lets it go on, and says at once who is at work: the program itself cannot, and maybe never will.
 */
import { writeSync } from "node:fs"
import { parentPort, workerData } from "node:worker_threads"
import * as Beat from "./Beat.ts"
import { Halt } from "./Halt.ts"

const port = parentPort!
const { interval, shared, threshold } = workerData as Beat.Setup

/** A stack costs the program some 50 ms: so many at once, and then one in so many milliseconds. */
const most = 10
const refill = 10_000

/** After so many times the threshold it is said even if it was not halted. */
const patience = 10
const native = " by what runs no JavaScript, as a call of the system"

interface Blocked {
  readonly at: number
  culprit: Beat.Culprit | undefined
  isSaid: boolean
}

const halt = new Halt()
let last = Atomics.load(shared, Beat.at)
let looked = performance.now()
let standing = 0
let stacks = most
let blocked: Blocked | undefined

const isStill = (): boolean => Atomics.load(shared, Beat.at) === last

const look = (): void => {
  const now = performance.now()
  // A process that was stopped, or got no processor, did not look either.
  const passed = Math.min(now - looked, 2 * interval)
  stacks = Math.min(most, stacks + (now - looked) / refill)
  looked = now
  if (isStill()) {
    standing += passed
    if (blocked === undefined && standing >= threshold + interval) begin()
    if (blocked?.isSaid === false && standing >= patience * threshold) {
      blocked.isSaid = true
      say(`The event loop is blocked${native}`)
    }
  } else {
    last = Atomics.load(shared, Beat.at)
    if (blocked !== undefined) end(blocked)
    standing = 0
    blocked = undefined
  }
}

const begin = (): void => {
  const current: Blocked = { at: Date.now() - standing, culprit: undefined, isSaid: false }
  blocked = current
  const found = (culprit: Beat.Culprit) => {
    if (current.culprit !== undefined || blocked !== current) return
    current.culprit = culprit
    current.isSaid = true
    say(`The event loop is blocked${culprit.words}`)
  }
  if (Atomics.load(shared, Beat.debugged) === 1)
    found(unknown("; a debugger may be attached, so it was not halted to see where"))
  else if (stacks < 1) found(unknown("; it was too often lately to be halted again to see where"))
  else {
    stacks -= 1
    // What is halted after the loop has turned is somebody else.
    halt.look(isStill, found)
  }
}

const end = ({ at, culprit = unknown(native) }: Blocked): void => {
  halt.giveUp()
  const took = Atomics.exchange(shared, Beat.stood, 0) || Math.round(standing)
  port.postMessage({ at, took, culprit } satisfies Beat.Blockage)
}

const unknown = (words: string): Beat.Culprit => ({ task: null, name: null, stack: [], words })

const say = (text: string): void => {
  try {
    writeSync(2, `${text}\n`)
  } catch {
    // Nobody reads it, or not fast enough.
  }
}

setInterval(look, interval)
