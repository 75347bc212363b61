/** Halts the main thread from another one, to see where it is, and lets it go on at once. */
import { type Debugger, Session } from "node:inspector"
import * as Shown from "../../concurrency/base/Shown.ts"
import { type AtWork, type Culprit, slot } from "./Beat.ts"
import { isMachinery, isOwn, placeOf } from "./Code.ts"

/** Lines of a stack. */
const most = 20

interface Frame {
  readonly url: string
  readonly text: string
}

export class Halt {
  private session: Session | undefined
  private readonly urls = new Map<string, string>()
  private asked: { readonly isStill: () => boolean; readonly found: (culprit: Culprit) => void } | undefined

  /** `found` is called once it is halted, if it ever is, and if it is still at what it was then. */
  look(isStill: () => boolean, found: (culprit: Culprit) => void): void {
    this.asked = { isStill, found }
    const session = (this.session ??= this.connect())
    session.post("Debugger.enable")
    session.post("Debugger.pause")
  }

  /** Where the thread was not halted yet, it will not be. */
  giveUp(): void {
    if (this.asked === undefined) return
    this.asked = undefined
    this.session?.post("Debugger.disable")
  }

  private connect(): Session {
    const session = new Session()
    session.on("Debugger.scriptParsed", ({ params }) => void this.urls.set(params.scriptId, params.url))
    session.on("Debugger.paused", ({ params }) => this.halted(session, params.callFrames))
    session.connectToMainThread()
    return session
  }

  private halted(session: Session, frames: ReadonlyArray<Debugger.CallFrame>): void {
    const { asked } = this
    this.asked = undefined
    const goOn = () => {
      session.post("Debugger.resume")
      session.post("Debugger.disable")
    }
    const inner = frames[0]
    if (inner === undefined || asked?.isStill() !== true) return goOn()
    const expression = `globalThis[Symbol.for(${JSON.stringify(slot)})]?.()`
    session.post(
      "Debugger.evaluateOnCallFrame",
      { callFrameId: inner.callFrameId, expression, returnByValue: true, silent: true },
      (error, value) => {
        goOn()
        const isTold = error === null && value.exceptionDetails === undefined
        asked.found(this.culpritOf(frames, (isTold ? value.result.value : undefined) as AtWork | undefined))
      }
    )
  }

  private culpritOf(frames: ReadonlyArray<Debugger.CallFrame>, atWork: AtWork | undefined): Culprit {
    const stack = told(
      frames.map(({ functionName, location }) => {
        const url = this.urls.get(location.scriptId) ?? ""
        const { column, file, line } = placeOf(url, location.lineNumber, location.columnNumber ?? 0)
        const place = `${file === "" ? "<anonymous>" : file}:${line}:${column}`
        return { url, text: Shown.text(functionName === "" ? place : `${functionName} (${place})`) }
      })
    )
    const { fiber = null, name = null, task = null } = atWork ?? {}
    const who =
      name === null ? (fiber === null ? "outside of any fiber" : `by fiber ${fiber}`) : `by task "${Shown.text(name)}"`
    return { task, name, stack, words: ` ${who}${stack[0] === undefined ? "" : `, at ${stack[0]}`}` }
  }
}

/** Those of the program first, then those of packages; those of Node, Effect and ours only where there are no others. */
const told = (frames: ReadonlyArray<Frame>): ReadonlyArray<string> => {
  const own = frames.filter(({ url }) => isOwn(url))
  const others = frames.filter(({ url }) => !isOwn(url) && !isMachinery(url))
  const all = [...own, ...others]
  return (all.length > 0 ? all : frames).slice(0, most).map(({ text }) => text)
}
