/** Downloads what it is told to, and says how far it is: for a test that kills it. */
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as Effect from "effect/Effect"
import { Fetch } from "skein"
import { Http } from "skein/node"

const [url = "", file = ""] = process.argv.slice(2)
const mebibyte = 1024 * 1024
let said = 0

const program = Fetch.download(url, file, {
  onProgress: ({ bytes }) =>
    Effect.sync(() => {
      if (bytes < said + mebibyte) return
      said = bytes - (bytes % mebibyte)
      console.log(`at ${said / mebibyte}`)
    })
})
const done = await Effect.runPromise(Effect.provide(program, [Http.layer(), NodeFileSystem.layer]))
console.log(`done ${done.bytes} ${done.resumed}`)
