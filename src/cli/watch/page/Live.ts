/** Reads what the server sends for as long as the page is seen. */
import type { Answer, Browser } from "./Dom.ts"
import type { Snapshot } from "./Seen.ts"

export interface Heard {
  readonly snapshot: (snapshot: Snapshot) => void
  /** The process is gone: nothing comes any more. */
  readonly ended: (why: string) => void
  /** Nothing can be told now; it is tried again. */
  readonly trouble: (why: string) => void
  /** It will not be told at all. */
  readonly refused: (why: string) => void
}

export const live = (browser: Browser, on: Heard): void => {
  const token = browser.location.hash.slice(1)
  const again = 2000
  let [isOver, isOpen] = [false, false]
  let timer = 0
  let stop = (): void => {}

  const take = (frame: string): void => {
    const lines = frame.split("\n")
    const event = lines.find((line) => line.startsWith("event: "))?.slice(7)
    const data: unknown = JSON.parse(lines.find((line) => line.startsWith("data: "))?.slice(6) ?? "null")
    if (event === "snapshot") on.snapshot(data as Snapshot)
    if (event === "trouble") on.trouble(String(data))
    if (event !== "ended") return
    isOver = true
    on.ended(String(data))
  }
  const read = async ({ body }: Answer): Promise<void> => {
    const [reader, decoder] = [body!.getReader(), new browser.TextDecoder()]
    let parts: Array<string> = []
    while (true) {
      const { done, value } = await reader.read()
      if (done || value === undefined) return
      const text = decoder.decode(value, { stream: true })
      // A frame of megabytes comes in many pieces, and is put together once.
      const ends = text.includes("\n\n") || (text.startsWith("\n") && parts.at(-1)?.endsWith("\n") === true)
      parts.push(text)
      if (!ends) continue
      const frames = parts.join("").split("\n\n")
      parts = [frames.pop() ?? ""]
      for (const frame of frames) take(frame)
    }
  }
  const open = async (): Promise<void> => {
    if (isOpen || isOver || browser.document.hidden) return
    isOpen = true
    browser.clearTimeout(timer)
    const controller = new browser.AbortController()
    let isStopped = false
    stop = () => {
      isStopped = true
      controller.abort()
    }
    let why = "`skein watch` does not answer any more"
    try {
      const answer = await browser.fetch("/live", {
        headers: { authorization: `Bearer ${token}` },
        signal: controller.signal,
        cache: "no-store"
      })
      if (answer.ok) await read(answer)
      else why = (await answer.text()).trim()
      if (answer.status === 401 || answer.status === 403) {
        isOver = true
        on.refused(why)
      }
    } catch {
      // It was stopped, or cannot be reached.
    }
    isOpen = false
    if (isOver) return
    if (isStopped) return void open()
    on.trouble(why)
    timer = browser.setTimeout(() => void open(), again)
  }
  browser.document.addEventListener("visibilitychange", () => (browser.document.hidden ? stop() : void open()))
  void open()
}
