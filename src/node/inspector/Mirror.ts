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

/** What a function is: where it stands, and the variables around it that it uses. */
export interface Closure {
  readonly location: Location
  readonly variables: Readonly<Record<string, unknown>>
}

/** Objects are handed to the session, and come back from it, in a global, as it takes expressions only. */
const slot: unique symbol = Symbol.for("skein/inspector/Mirror")
const holder = globalThis as { [slot]?: unknown }
const inSlot = `globalThis[Symbol.for(${JSON.stringify(slot.description)})]`
const group = "skein"

export class Mirror {
  private readonly session = new Session()
  /** The addresses of scripts, by id. */
  private readonly urls = new Map<string, string>()

  constructor() {
    this.session.on("Debugger.scriptParsed", ({ params }) => void this.urls.set(params.scriptId, params.url))
    this.session.connect()
    this.learn()
  }

  close(): void {
    this.session.disconnect()
  }

  /** What is looked at in it is let go afterwards. */
  while<A>(look: () => A): A {
    try {
      return look()
    } finally {
      delete holder[slot]
      this.post("Runtime.releaseObjectGroup", { objectGroup: group })
    }
  }

  /** Where a generator waits; none of one that runs, and of what is no generator. */
  generator(generator: object): Location | undefined {
    return this.inside(generator).get("[[GeneratorLocation]]")?.value as Location | undefined
  }

  /** None for one that is not written in JavaScript. */
  closure(f: object): Closure | undefined {
    const inside = this.inside(f)
    const location = inside.get("[[FunctionLocation]]")?.value as Location | undefined
    const scopes = inside.get("[[Scopes]]")?.objectId
    if (location === undefined || scopes === undefined) return undefined
    const innermost = this.propertiesOf(scopes).result.find(({ name }) => name === "0")?.value
    if (innermost?.objectId === undefined || innermost.description === "Global") return { location, variables: {} }
    this.post("Runtime.callFunctionOn", {
      objectId: innermost.objectId,
      functionDeclaration: `function () { ${inSlot} = this.object }`
    })
    return { location, variables: holder[slot] as Record<string, unknown> }
  }

  /** None for code that has no address, as that of `eval`. */
  spot({ columnNumber = 0, lineNumber, scriptId }: Location): Spot | undefined {
    if (!this.urls.has(scriptId)) {
      this.learn()
      if (!this.urls.has(scriptId)) this.urls.set(scriptId, "")
    }
    const url = this.urls.get(scriptId)
    return url === undefined || url === "" ? undefined : { url, line: lineNumber, column: columnNumber }
  }

  /** Tens of milliseconds: it tells all scripts there are. Done at first, and for one that was loaded since. */
  private learn(): void {
    this.post("Debugger.enable")
    this.post("Debugger.disable")
  }

  /** What V8 keeps of it beside its properties, under the names it has for that. */
  private inside(object: object): ReadonlyMap<string, Runtime.RemoteObject> {
    holder[slot] = object
    const { result } = this.post<Runtime.EvaluateReturnType>("Runtime.evaluate", {
      expression: inSlot,
      objectGroup: group
    })
    const { internalProperties = [] } = this.propertiesOf(result.objectId!)
    return new Map(internalProperties.flatMap(({ name, value }) => (value === undefined ? [] : [[name, value]])))
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
