/** What V8 knows of objects of this very thread, and tells through a session of `node:inspector`. */
import { type Runtime, Session } from "node:inspector"

/** Where something stands in a script; V8 counts from 0. */
export interface Location {
  readonly scriptId: string
  readonly lineNumber: number
  readonly columnNumber?: number
}

export interface Spot {
  readonly url: string
  readonly line: number
  readonly column: number
}

/** Objects are handed to the session in a global, as it takes expressions only. */
const slot: unique symbol = Symbol.for("skein/inspector/Mirror")
const holder = globalThis as { [slot]?: unknown }
const group = "skein"

export class Mirror {
  private readonly session = new Session()
  /** The addresses of scripts, by id. */
  private readonly urls = new Map<string, string>()

  constructor() {
    this.session.on("Debugger.scriptParsed", ({ params }) => void this.urls.set(params.scriptId, params.url))
    this.session.connect()
  }

  close(): void {
    this.session.disconnect()
  }

  /** What V8 keeps beside the properties of each of these, under the names it has for that; `look` has to be done with it at its end. */
  inside<A>(
    objects: ReadonlyArray<object>,
    look: (inner: (object: number) => ReadonlyMap<string, Runtime.RemoteObject>) => A
  ): A {
    holder[slot] = objects
    try {
      const all = this.post<Runtime.EvaluateReturnType>("Runtime.evaluate", {
        expression: `globalThis[Symbol.for("${slot.description}")]`,
        objectGroup: group
      })
      const { result } = this.propertiesOf(all.result.objectId!)
      const ids = new Map(result.map(({ name, value }) => [name, value?.objectId]))
      return look((object) => {
        const id = ids.get(String(object))
        const inner = id === undefined ? [] : (this.propertiesOf(id).internalProperties ?? [])
        return new Map(inner.flatMap(({ name, value }) => (value === undefined ? [] : [[name, value] as const])))
      })
    } finally {
      delete holder[slot]
      this.post("Runtime.releaseObjectGroup", { objectGroup: group })
    }
  }

  /** None for code that has no address, as that of `eval`. */
  spot({ columnNumber = 0, lineNumber, scriptId }: Location): Spot | undefined {
    if (!this.urls.has(scriptId)) this.learn(scriptId)
    const url = this.urls.get(scriptId)
    return url === undefined || url === "" ? undefined : { url, line: lineNumber, column: columnNumber }
  }

  /** Tens of milliseconds: it tells all scripts there are. Done for the first, and for one that was loaded since. */
  private learn(scriptId: string): void {
    this.post("Debugger.enable")
    this.post("Debugger.disable")
    if (!this.urls.has(scriptId)) this.urls.set(scriptId, "")
  }

  private propertiesOf(objectId: string): Runtime.GetPropertiesReturnType {
    return this.post("Runtime.getProperties", { objectId, ownProperties: true })
  }

  /** The session is of this thread: it answers before `post` returns. */
  private post<A>(method: string, params?: object): A {
    let answer: { readonly value: A } | undefined
    let refusal: Error | null = null
    this.session.post(method, params, (error: Error | null, value?: object) => {
      refusal = error
      answer = { value: value as A }
    })
    if (refusal !== null) throw new Error(`${method} failed`, { cause: refusal })
    return answer!.value
  }
}
