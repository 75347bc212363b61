/** A real browser, driven by the protocol that its own tools speak to it; none where the machine has none. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { type ChildProcess, spawn } from "node:child_process"
import { accessSync, constants, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { delimiter, join } from "node:path"

const isProgram = (file: string): boolean => {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** `CHROME_PATH` is where others look, too. */
export const path: string | undefined = [
  ...(process.env.CHROME_PATH ? [process.env.CHROME_PATH] : []),
  ...(process.env.PATH ?? "")
    .split(delimiter)
    .flatMap((folder) => ["chromium", "chromium-browser", "google-chrome"].map((name) => join(folder, name)))
].find(isProgram)

export const reason = "there is no chromium on this machine (CHROME_PATH says where one is)"

export interface Page {
  /** Calls a method of the protocol. */
  readonly call: (method: string, params?: object) => Promise<any>
  /** The value of an expression in the page; a promise is waited for. */
  readonly ask: (expression: string) => Promise<any>
  /** Presses a key, by the name that the page sees. */
  readonly press: (key: string) => Promise<void>
  readonly mouse: (type: "mouseMoved" | "mousePressed" | "mouseReleased", x: number, y: number) => Promise<void>
  readonly wheel: (x: number, y: number, delta: number, modifiers?: number) => Promise<void>
  /** What the page said, threw or was refused. */
  readonly said: ReadonlyArray<string>
  /** The URLs that it asked for. */
  readonly requests: ReadonlyArray<string>
}

/** A page of a browser of its own that shows what is at `url`. */
export const open = (url: string): Effect.Effect<Page, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.promise(() => start(url)),
      ({ end }) => Effect.promise(end)
    ),
    ({ page }) => page
  )

const start = async (url: string): Promise<{ readonly page: Page; readonly end: () => Promise<void> }> => {
  const profile = mkdtempSync(join(tmpdir(), "skein-chromium-"))
  const child = spawn(
    path!,
    [
      "--headless",
      "--remote-debugging-port=0",
      `--user-data-dir=${profile}`,
      "--no-first-run",
      "--disable-gpu",
      "--disable-dev-shm-usage",
      "--window-size=1200,800",
      // The sandbox needs another user than root, and a kernel that lets it.
      "--no-sandbox",
      "about:blank"
    ],
    { stdio: ["ignore", "ignore", "pipe"], detached: true }
  )
  const gone = new Promise<void>((done) => child.once("close", () => done()))
  const end = async (): Promise<void> => {
    try {
      process.kill(-child.pid!, "SIGKILL")
    } catch {
      // It has ended.
    }
    await gone
    rmSync(profile, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 })
  }
  try {
    return { page: await attach(await address(child), url), end }
  } catch (error) {
    await end()
    throw error
  }
}

const address = (child: ChildProcess): Promise<string> =>
  new Promise((done, fail) => {
    let told = ""
    child.once("error", fail)
    child.once("close", () => fail(new Error(`the browser ended:\n${told}`)))
    child.stderr!.on("data", (chunk) => {
      told += chunk
      const found = /DevTools listening on (ws:\S+)/.exec(told)?.[1]
      if (found !== undefined) done(found)
    })
  })

const attach = async (address: string, url: string): Promise<Page> => {
  const socket = new WebSocket(address)
  await new Promise<void>((done, fail) => {
    socket.addEventListener("open", () => done(), { once: true })
    socket.addEventListener("error", () => fail(new Error("the browser does not answer")), { once: true })
  })
  const calls = new Map<number, { readonly done: (value: any) => void; readonly fail: (error: Error) => void }>()
  const said: Array<string> = []
  const requests: Array<string> = []
  let loaded: () => void = () => {}
  let id = 0
  socket.addEventListener("message", ({ data }) => {
    const { error, id, method, params, result } = JSON.parse(String(data))
    if (id !== undefined) {
      if (error === undefined) calls.get(id)?.done(result)
      else calls.get(id)?.fail(new Error(error.message))
      calls.delete(id)
    }
    if (method === "Page.loadEventFired") loaded()
    if (method === "Log.entryAdded") said.push(params.entry.text)
    if (method === "Runtime.exceptionThrown") said.push(params.exceptionDetails.exception?.description ?? "threw")
    if (method === "Runtime.consoleAPICalled") said.push(params.args.map((arg: any) => arg.value).join(" "))
    if (method === "Network.requestWillBeSent") requests.push(params.request.url)
  })
  const send = (method: string, params: object, session?: string): Promise<any> =>
    new Promise((done, fail) => {
      calls.set(++id, { done, fail })
      socket.send(JSON.stringify({ id, method, params, ...(session !== undefined && { sessionId: session }) }))
    })
  const { targetId } = await send("Target.createTarget", { url: "about:blank" })
  const { sessionId } = await send("Target.attachToTarget", { targetId, flatten: true })
  const call = (method: string, params: object = {}) => send(method, params, sessionId)
  for (const domain of ["Page", "Runtime", "Log", "Network"]) await call(`${domain}.enable`)
  const load = new Promise<void>((done) => (loaded = done))
  await call("Page.navigate", { url })
  await load
  return {
    call,
    said,
    requests,
    ask: async (expression) => {
      const { exceptionDetails, result } = await call("Runtime.evaluate", {
        expression,
        awaitPromise: true,
        returnByValue: true
      })
      if (exceptionDetails !== undefined) throw new Error(exceptionDetails.exception?.description ?? "it threw")
      return result.value
    },
    press: async (key) => {
      const text = key.length === 1 ? { text: key } : {}
      await call("Input.dispatchKeyEvent", { type: "keyDown", key, ...text })
      await call("Input.dispatchKeyEvent", { type: "keyUp", key })
    },
    mouse: async (type, x, y) => {
      const buttons = type === "mouseReleased" || type === "mouseMoved" ? 0 : 1
      const button = type === "mouseMoved" ? "none" : "left"
      await call("Input.dispatchMouseEvent", { type, x, y, button, buttons, clickCount: 1 })
    },
    wheel: async (x, y, delta, modifiers = 0) => {
      await call("Input.dispatchMouseEvent", { type: "mouseWheel", x, y, deltaX: 0, deltaY: delta, modifiers })
    }
  }
}
