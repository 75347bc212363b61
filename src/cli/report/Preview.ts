/** What a job would do, shown instead of run: for people, or as a line of JSON. */
import * as Console from "effect/Console"
import type * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Shown from "../../concurrency/base/Shown.ts"
import type * as Pipeline from "../../pipeline/Pipeline.ts"

export interface Options {
  readonly json: boolean
}

export const explanation = ({ mermaid, text }: Pipeline.Explanation, { json }: Options): Effect.Effect<void> =>
  Console.log(json ? Shown.json({ event: "explain", text, mermaid }) : text)

export const dryRun = (dry: Pipeline.DryRun, { json }: Options): Effect.Effect<void> =>
  json
    ? Console.log(jsonOf({ event: "dry-run", ...dry, from: Option.getOrNull(dry.from) }))
    : Console.log([...parts(dry), summary(dry)].join("\n"))

const parts = ({ dead, filtered, skipped, written }: Pipeline.DryRun): ReadonlyArray<string> => [
  ...written.flatMap(({ elements, sink }) => [`would write to ${Shown.text(sink)}:`, ...listed(elements)]),
  ...section("would filter out:", filtered, ({ input, step }) => [`${Shown.text(step)}: ${jsonOf(input)}`]),
  ...section("would skip:", skipped, ({ cause, input, step }) => [
    `${Shown.text(step)}: ${jsonOf(input)}`,
    `  ${Shown.indented("    ", cause)}`
  ]),
  ...section("would keep as dead letters:", dead, ({ cause, input, step }) => [
    `${Shown.text(step)}: ${jsonOf(input)}`,
    `  ${Shown.indented("    ", cause)}`
  ])
]

const listed = (elements: ReadonlyArray<unknown>): ReadonlyArray<string> =>
  elements.length === 0 ? ["  nothing"] : elements.map((element) => `  ${jsonOf(element)}`)

const section = <A>(title: string, all: ReadonlyArray<A>, lines: (one: A) => ReadonlyArray<string>) =>
  all.length === 0 ? [] : [title, ...all.flatMap(lines).map((line) => `  ${line}`)]

const summary = ({ counts, ended, from, pipeline }: Pipeline.DryRun): string =>
  [
    `${Shown.text(pipeline)}: dry run: ${counts.settled} read`,
    ...(Option.isSome(from) ? [`behind ${jsonOf(from.value)}`] : []),
    ...(ended ? ["to the end"] : []),
    `${counts.written} would be written`,
    ...some(counts.filtered, "filtered"),
    ...some(counts.skipped, "skipped"),
    ...some(counts.dead, "dead"),
    "nothing was"
  ].join(", ")

const some = (count: number, what: string): ReadonlyArray<string> => (count > 0 ? [`${count} ${what}`] : [])

/** Elements may be anything, also what has no JSON. */
const jsonOf = (value: unknown): string => {
  try {
    return Shown.json(value) ?? Shown.text(String(value))
  } catch {
    return Shown.text(String(value))
  }
}
