/** A job as boxes and arrows, from what the engine itself makes of it. */
import { grouped } from "../flow/Flow.ts"
import { type Delivery, ranks, whyNoMore } from "../Guarantee.ts"
import { boundsOf } from "../run/Bounds.ts"
import { keeps } from "../run/Place.ts"
import type { Description } from "../run/Running.ts"
import type { RunOptions } from "../Run.ts"
import * as Words from "./Words.ts"

export interface Box {
  readonly id: string
  readonly kind: "from" | "step" | "to" | "dead" | "keeps" | "gives"
  readonly name: string
  /** What there is to say of it, a phrase each. */
  readonly notes: ReadonlyArray<string>
}

export interface Arrow {
  readonly from: string
  readonly to: string
  /** Of what goes aside, or is only said of it. */
  readonly label?: string
}

export interface Outline {
  readonly boxes: ReadonlyArray<Box>
  readonly arrows: ReadonlyArray<Arrow>
}

export const outline = (job: Description, options: Partial<RunOptions<unknown>>): Outline => {
  const boxes: Array<Box> = []
  const arrows: Array<Arrow> = []
  const add = (kind: Box["kind"], name: string, notes: ReadonlyArray<string>): string => {
    const id = `${kind}${boxes.length + 1}`
    boxes.push({ id, kind, name, notes })
    return id
  }
  const keeping: Array<string> = []

  let last = add("from", job.source.name, [position(job), window(options)])
  for (const steps of grouped(job.steps)) {
    const [first] = steps
    const own = steps.map((step) => ({ step, notes: Words.step(step) }))
    const id = add("step", steps.map(({ name }) => name).join(" + "), [
      ...(first._tag === "Each" ? [Words.workers(first)] : []),
      ...(steps.length === 1
        ? own.flatMap(({ notes }) => notes)
        : own.map(({ notes, step }) => `${step.name}: ${notes.join("; ")}`))
    ])
    if (steps.some((step) => step._tag === "Each" && typeof step.onError !== "string")) keeping.push(id)
    arrows.push({ from: last, to: id })
    last = id
  }
  const sinks = (job.sink.members ?? [job.sink]).map((sink) => {
    const id = add("to", sink.name, [sink.guarantee, ...writing(job, options)])
    arrows.push({ from: last, to: id })
    if (typeof job.sinkStep.onError !== "string") keeping.push(id)
    return id
  })
  if (keeping.length > 0) {
    const dead = add("dead", "dead letters", [`kept with the place of the run; Pipeline.replay runs them again`])
    for (const id of keeping) arrows.push({ from: id, to: dead, label: "fails on" })
  }
  const place = add("keeps", keeps(job) ? "its place" : "nothing", [placeOf(job)])
  const guarantee = add("gives", job.guarantee, why(job))
  for (const id of sinks) arrows.push({ from: id, to: guarantee, label: "gives" })
  arrows.push({ from: guarantee, to: place, label: "keeps" })
  return { boxes, arrows }
}

const position = ({ source }: Description): string => {
  if (!source.resumable) return "without positions: every run reads it from its beginning"
  return source.account === undefined
    ? "with positions: a run goes on behind what is settled"
    : "keeps account of its elements: a run takes those that are not done"
}

const window = (options: Partial<RunOptions<unknown>>): string => {
  const { window } = boundsOf(options)
  const more = options.window?.items === undefined ? ", or two batches where the sink prefers larger ones" : ""
  return `at most ${Words.count(window.items, "element")} and ${Words.bytes(window.bytes)} are open at once${more}`
}

const writing = ({ sinkStep }: Description, options: Partial<RunOptions<unknown>>): ReadonlyArray<string> => [
  `at most ${Words.count(boundsOf(options).maxRows, "element")} a write${options.maxRows === undefined ? ", or what it prefers" : ""}`,
  ...(options.commitEvery === undefined
    ? []
    : [`a commit every ${Words.time(options.commitEvery)}, or when the window is full`]),
  ...(sinkStep.retry === undefined ? [] : [Words.retry(sinkStep.retry)]),
  Words.failing(sinkStep)
]

const placeOf = (job: Description): string => {
  const { sink } = job
  const members = sink.members ?? [sink]
  const tables = members.filter(({ guarantee }) => guarantee === "exactly-once").map(({ name }) => name)
  if (tables.length > 0) return `in the database of ${tables.join(" and ")}, in the transactions that write its rows`
  if (sink.home !== undefined) {
    const homes = members.filter(({ home }) => home !== undefined).map(({ name }) => name)
    return `in the journal of the program, or in one beside ${homes[0] ?? sink.name} where it gives none`
  }
  return keeps(job)
    ? "in the journal of the program: Files.journal, or that of a database; Journal.memory is gone with the process"
    : "there is no place to go on from and nothing else to keep, so that it needs no journal"
}

const meaning: { readonly [G in Delivery]: string } = {
  "exactly-once": "nothing is lost and nothing is there twice, however often a run is killed and goes on",
  "effectively-once": "nothing is lost, and nothing is there twice once the next run has opened the sink",
  "at-least-once": "nothing is lost; what was open when a run was killed may be written once more",
  "at-most-once": "a run that is killed is not gone on with"
}

const why = ({ guarantee, sink, source }: Description): ReadonlyArray<string> => {
  const outside = source.resumable
    ? ["what steps do to others may be done again: Pipeline.idempotencyKey is the same then"]
    : []
  if (guarantee === "exactly-once") return [meaning[guarantee], ...outside]
  const weakest = (sink.members ?? [sink]).filter((one) => one.guarantee === ranks.find((rank) => rank === guarantee))
  const names = weakest.map(({ name }) => name).join(" and ")
  const because = {
    "effectively-once": `${names}: what was not committed is undone when it is opened again, and not in a transaction`,
    "at-least-once": `${names}: what it has done is not undone after a crash`,
    "at-most-once": `${source.name}: it has no positions`
  }[guarantee]
  return [meaning[guarantee], `not more because of ${because}`, whyNoMore[guarantee], ...outside]
}
