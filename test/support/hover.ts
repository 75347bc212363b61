/**
 * What an editor shows over a name: asks the language server of TypeScript.
 *
 * ```ts
 * await hovers("const one = 1") // => { one: "const one: 1" }
 * ```
 */
import { spawn } from "node:child_process"
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import getExePath from "../../node_modules/typescript/lib/getExePath.js"
import { withSnippets } from "./snippets.ts"

/** The hover of each `const` of the program, by its name, without the fence around it. */
export const hovers = (program: string): Promise<Readonly<Record<string, string>>> =>
  withSnippets({ "program.ts": program }, async (folder) => {
    const server = new Server(folder)
    try {
      const uri = pathToFileURL(join(folder, "program.ts")).href
      await server.request("initialize", {
        processId: process.pid,
        rootUri: pathToFileURL(folder).href,
        capabilities: { textDocument: { hover: { contentFormat: ["markdown"] } } }
      })
      server.notify("initialized", {})
      server.notify("textDocument/didOpen", {
        textDocument: { uri, languageId: "typescript", version: 1, text: program }
      })
      const shown: Record<string, string> = {}
      for (const [line, row] of program.split("\n").entries()) {
        const [before = "", name] = row.match(/^const (?=(\w+))/) ?? []
        if (name === undefined) continue
        const position = { line, character: before.length }
        const hover = (await server.request("textDocument/hover", { textDocument: { uri }, position })) as Hover
        shown[name] = /```\w+\n([^]*?)\n```/.exec(hover?.contents.value ?? "")?.[1] ?? "nothing"
      }
      return shown
    } finally {
      await server.end()
    }
  })

type Hover = { readonly contents: { readonly value: string } } | null

/** Speaks the protocol with one process, which ends with `end`, whatever happened before. */
class Server {
  readonly #child
  readonly #waiting = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>()
  #ids = 0
  #got = Buffer.alloc(0)
  #stderr = ""
  readonly #ended: Promise<void>

  constructor(cwd: string) {
    // It also ends when its input does: with this process, whatever becomes of that.
    this.#child = spawn(getExePath(), ["--lsp", "--stdio"], {
      cwd,
      stdio: ["pipe", "pipe", "pipe"],
      timeout: 170_000,
      killSignal: "SIGKILL"
    })
    this.#child.stderr.on("data", (chunk: Buffer) => (this.#stderr += chunk.toString()))
    this.#child.stdout.on("data", (chunk: Buffer) => {
      this.#got = Buffer.concat([this.#got, chunk])
      for (let message = this.#next(); message !== undefined; message = this.#next()) this.#receive(message)
    })
    // A pipe that is closed: the process ended, which `close` tells.
    this.#child.stdin.on("error", () => {})
    this.#ended = new Promise((ended) => {
      this.#child.on("error", () => ended())
      this.#child.on("close", () => ended())
    })
    void this.#ended.then(() => {
      for (const { reject } of this.#waiting.values()) reject(new Error(`The language server ended:\n${this.#stderr}`))
    })
  }

  request(method: string, params: unknown): Promise<unknown> {
    const id = ++this.#ids
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject })
      this.#send({ id, method, params })
    })
  }

  notify(method: string, params: unknown): void {
    this.#send({ method, params })
  }

  end(): Promise<void> {
    this.#child.kill("SIGKILL")
    return this.#ended
  }

  #send(message: object): void {
    const body = JSON.stringify({ jsonrpc: "2.0", ...message })
    this.#child.stdin.write(`Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`)
  }

  /** The next whole message. */
  #next(): Message | undefined {
    const head = this.#got.indexOf("\r\n\r\n")
    if (head < 0) return undefined
    const length = Number(/Content-Length: (\d+)/i.exec(this.#got.toString("latin1", 0, head))?.[1])
    const end = head + 4 + length
    if (this.#got.length < end) return undefined
    const body = this.#got.toString("utf8", head + 4, end)
    this.#got = this.#got.subarray(end)
    return JSON.parse(body) as Message
  }

  #receive({ error, id, method, params, result }: Message): void {
    if (id === undefined) return
    if (method !== undefined) {
      // The server asks something: it gets the defaults, one for each of the sections it asks for.
      const items = (params as { readonly items?: ReadonlyArray<unknown> } | undefined)?.items
      return this.#send({ id, result: items === undefined ? null : items.map(() => null) })
    }
    const waiting = this.#waiting.get(Number(id))
    this.#waiting.delete(Number(id))
    if (error === undefined) waiting?.resolve(result)
    else waiting?.reject(new Error(error.message))
  }
}

interface Message {
  readonly id?: number | string
  readonly method?: string
  readonly params?: unknown
  readonly result?: unknown
  readonly error?: { readonly message: string }
}
