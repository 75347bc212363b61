import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { Timeline } from "skein/inspect"
import { everything } from "./entries.ts"

const whyNot = (text: string): Promise<string> =>
  Effect.runPromise(Effect.map(Effect.flip(Timeline.decode(text)), (bad) => bad.message))

const decoded = (text: string) => Effect.runPromise(Timeline.decode(text))

it("a timeline is read as it was written, of every kind of entry", async () => {
  expect(await decoded(Timeline.encode(everything))).toEqual(everything)
})

it("has a line an entry, whatever stands in its texts", async () => {
  const text = Timeline.encode(everything)
  expect(text.split("\n").length).toBe(everything.length + 2)
  expect(text.startsWith('{"skein-timeline":1}\n')).toBe(true)
})

it("texts of the same format one after another are a timeline", async () => {
  const text = Timeline.encode(everything.slice(0, 2)) + Timeline.encode(everything.slice(2))
  expect(await decoded(text)).toEqual(everything)
})

it("takes lines as other systems end them, empty lines, and fields that are new", async () => {
  const [first] = everything
  const text = `\uFEFF{"skein-timeline":1,"by":"another"}\r\n\r\n${JSON.stringify({ ...first, more: 1 })}\r\n`
  expect(await decoded(text)).toEqual([first])
})

const header = '{"skein-timeline":1}'
const entry = JSON.stringify(everything[0])

it.each([
  ["", "Line 1 of the timeline cannot be read: it is empty"],
  ["\n\n", "Line 1 of the timeline cannot be read: it is empty"],
  [entry, `Line 1 of the timeline cannot be read: a timeline begins with ${header}`],
  ["<html>", `Line 1 of the timeline cannot be read: a timeline begins with ${header}`],
  [
    '{"skein-timeline":2}',
    "Line 1 of the timeline cannot be read: it says format 2, and this version of Skein reads format 1"
  ],
  [
    '{"skein-timeline":0}',
    "Line 1 of the timeline cannot be read: it says format 0, and this version of Skein reads format 1"
  ],
  [
    '{"skein-timeline":"new\\u001b"}',
    'Line 1 of the timeline cannot be read: it says format "new\\u001b", and this version of Skein reads format 1'
  ],
  [
    `${header}\n${entry}\n{"skein-timeline":3}`,
    "Line 3 of the timeline cannot be read: it says format 3, and this version of Skein reads format 1"
  ],
  [`${header}\n${entry}\n${entry.slice(0, 30)}`, "Line 3 of the timeline cannot be read: it is no JSON"],
  [`${header}\n${entry}\n[1]`, /^Line 3 of the timeline cannot be read: /],
  [`${header}\n${entry}\nnull`, /^Line 3 of the timeline cannot be read: /],
  [`${header}\n{"kind":"slept","at":1}`, /^Line 2 of the timeline cannot be read: /],
  [`${header}\n${entry.replace(/"at":[\d.]+/, '"at":1e999')}`, /^Line 2 of the timeline cannot be read: "at": /],
  [`${header}\n${entry.replace(/"name":"[^"]*"/, '"name":7')}`, /^Line 2 of the timeline cannot be read: "name": /]
])("what is no timeline is refused in one line, case %#", async (text, message) => {
  const told = await whyNot(text)
  expect(told).toMatch(message instanceof RegExp ? message : told)
  if (typeof message === "string") expect(told).toBe(message)
  expect(told).not.toMatch(/\n|\p{Cc}/u)
})
